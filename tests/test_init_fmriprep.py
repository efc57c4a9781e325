"""A folder of fMRIPrep gets a config that needs nothing more: runs, space and cleaning."""

import json
import shutil

import numpy as np
import pytest

from bold_tree import SPACE, plant
from rheobase import config as settings
from rheobase.stages.check import check
from rheobase.stages.init import init


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Return a tree of four people as fMRIPrep leaves it."""
    top = tmp_path_factory.mktemp("bids") / "derivatives" / "fmriprep"
    for number in range(1, 5):
        plant(top, subject=f"{number:02d}", seed=number, regions=6, samples=240, jumps=())
    made = [{"Name": "fMRIPrep", "Version": "23.2.1"}]
    (top / "dataset_description.json").write_text(json.dumps({"GeneratedBy": made}))
    return top


@pytest.fixture
def tree(planted, tmp_path):
    """Return a copy of the tree that a test may change."""
    shutil.copytree(planted.parent.parent, tmp_path / "bids")
    return tmp_path / "bids" / "derivatives" / "fmriprep"


def in_space(tree, space, subjects, *, moved=False):
    """Copy (or move) images, sidecars and masks of some people to another space."""
    for subject in subjects:
        for path in list((tree / f"sub-{subject}" / "func").glob(f"*_space-{SPACE}_*")):
            other = path.with_name(path.name.replace(SPACE, space))
            (shutil.move if moved else shutil.copy)(path, other)


def written(folder, tmp_path):
    said = init(folder, tmp_path / "c.yaml")
    return said, settings.read(tmp_path / "c.yaml")["datasets"]["mine"]


def test_a_tree_is_recognised_and_its_config_is_right(tree, tmp_path):
    said, dataset = written(tree, tmp_path)
    assert f"4 recordings of format fmriprep\nimages of space {SPACE} were chosen\nnow: " in said
    assert dataset == {
        "modality": "fmri",
        "source": {"kind": "path", "path": str(tree)},
        "entities": {"subject": ["01", "02", "03", "04"], "task": ["rest"]},
        "reader": {"format": "fmriprep", "space": SPACE},
        "preprocess": {
            "atlas": "seitzman300_voronoi",
            "n_dummy": "auto",
            "denoise": "simple",
            "band_hz": [0.01, 0.1],
            "fd_mm": 0.5,
        },
        "split": {"by": "subject"},
        "models": ["baseline"],
    }
    assert "# Images made by fMRIPrep 23.2.1." in (tmp_path / "c.yaml").read_text()
    assert "fine (1 datasets, 4 recordings, 4 fits)" in check(tmp_path / "c.yaml")


def test_the_folder_above_the_derivatives_gives_the_same(tree, tmp_path):
    bids = tree.parent.parent
    (bids / "participants.tsv").write_text(
        "participant_id\tgroup\nsub-01\ta\nsub-02\tb\nsub-03\ta\nsub-04\tb\n"
    )
    said, dataset = written(bids, tmp_path)
    assert dataset["source"]["path"] == str(tree)
    assert "its columns group are labels in the table" in said
    assert (tmp_path / "c.tsv").read_text().splitlines()[1] == "01\trest\ta"
    (tmp_path / "c.yaml").unlink()
    (tmp_path / "c.tsv").unlink()
    assert "labels in the table" in written(tree, tmp_path)[0]


def test_of_several_spaces_the_commonest_of_mni_is_chosen_and_the_others_are_named(tree, tmp_path):
    in_space(tree, "T1w", ["01", "02", "03", "04"])
    in_space(tree, "MNI152NLin6Asym", ["01", "02", "03"])
    said, dataset = written(tree, tmp_path)
    assert dataset["reader"]["space"] == SPACE
    assert "there are MNI152NLin6Asym, T1w too: for another one, correct reader.space" in said
    text = (tmp_path / "c.yaml").read_text()
    assert "# MNI152NLin6Asym, T1w are there too" in text


def test_a_resolution_in_the_names_is_kept(tree, tmp_path):
    in_space(tree, f"{SPACE}_res-2", ["01", "02", "03", "04"], moved=True)
    said, dataset = written(tree, tmp_path)
    assert dataset["reader"] == {"format": "fmriprep", "space": SPACE, "res": "2"}
    assert f"images of space {SPACE}, res 2 were chosen" in said
    assert "fine" in check(tmp_path / "c.yaml")


def test_images_in_the_persons_own_space_leave_the_atlas_open(tree, tmp_path):
    in_space(tree, "T1w", ["01", "02", "03", "04"], moved=True)
    said, dataset = written(tree, tmp_path)
    assert dataset["preprocess"]["atlas"] == "?"
    assert "fill in 1 unknown" in said
    with pytest.raises(settings.ConfigError, match="preprocess.atlas"):
        check(tmp_path / "c.yaml")


def test_sessions_and_runs_become_entities(tree, tmp_path):
    for subject in ("01", "02"):
        for session in ("pre", "post"):
            old, place = (
                tree / f"sub-{subject}" / "func",
                tree / f"sub-{subject}" / f"ses-{session}",
            )
            (place / "func").mkdir(parents=True)
            for path in old.iterdir():
                name = path.name.replace("_task-rest", f"_ses-{session}_task-rest_run-01")
                shutil.copy(path, place / "func" / name)
        shutil.rmtree(old)
    said, dataset = written(tree, tmp_path)
    assert dataset["entities"]["session"] == ["post", "pre"]
    assert dataset["entities"]["run"] == ["01"]
    assert "left aside: sub-03_task-rest_" in said
    assert "fine (1 datasets, 4 recordings" in check(tmp_path / "c.yaml")


def test_a_run_that_lacks_its_confounds_is_left_aside_by_name(tree, tmp_path):
    next((tree / "sub-02" / "func").glob("*confounds*.tsv")).unlink()
    said, dataset = written(tree, tmp_path)
    assert dataset["entities"]["subject"] == ["01", "03", "04"]
    assert "sub-02_task-rest_" in said
    assert "(no confounds)" in said


def test_without_any_confounds_images_are_plain_images(tree, tmp_path):
    for path in tree.rglob("*confounds*.tsv"):
        path.unlink()
    assert written(tree, tmp_path)[1]["reader"]["format"] == "nifti"


@pytest.mark.parametrize(
    ("samples", "tr_s", "expected"),
    [
        (168, 2.0, {"band_hz": None}),
        (240, 2.0, {"band_hz": [0.01, 0.1]}),
        (110, 2.0, {"band_hz": None, "least_valid_s": 110}),
        (60, 6.0, {"band_hz": None}),
    ],
)
def test_short_and_slow_runs_keep_their_degrees_of_freedom(tmp_path, samples, tr_s, expected):
    plant(tmp_path / "d", regions=6, samples=samples, tr_s=tr_s, jumps=(),
          series=np.zeros((samples, 6)))  # fmt: skip
    _, dataset = written(tmp_path / "d", tmp_path)
    for key, value in expected.items():
        assert dataset["preprocess"][key] == value
    assert ("least_valid_s" in dataset["preprocess"]) == ("least_valid_s" in expected)

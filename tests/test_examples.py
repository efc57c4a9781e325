"""Every example is a config that a newcomer can run: it passes its check, and its table is made."""

from __future__ import annotations

import json
import re
import shutil

import nibabel
import numpy as np
import pytest
import yaml

from bold_tree import AFFINE, atlas, plant
from nilearn_files import REGIONS, VOLUMES, serve
from rheobase import config as settings
from rheobase import layout
from rheobase.recording import Recording
from rheobase.stages import plan, prepare
from rheobase.stages.check import check
from rheobase.stages.tables import write_tables
from workflow_runs import ROOT

EXAMPLES = sorted((ROOT / "config" / "examples").glob("*.yaml"))
FROM_NILEARN = ("abide_pcp", "development_fmri")


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """Return a function that copies an example, with whatever lies beside it, and its folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RHEOBASE_DATA", raising=False)
    monkeypatch.delenv("RHEOBASE_DOWNLOADS", raising=False)
    monkeypatch.setattr("nilearn.datasets.func.fetch_files", no_network)

    def copy(name):
        made = tmp_path / "config" / "examples"
        shutil.copytree(ROOT / "config" / "examples", made, dirs_exist_ok=True)
        for table in FROM_NILEARN:
            (made / f"{table}.tsv").unlink(missing_ok=True)
        return made / f"{name}.yaml"

    return copy


def no_network(*_, **__):
    raise AssertionError("nothing may be downloaded here")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.stem)
def test_every_example_passes_its_check(example, copied, monkeypatch):
    path = copied(example.stem)
    if example.stem in FROM_NILEARN:
        serve(monkeypatch, people=155)
        write_tables(path)
    config = settings.parse(settings.read(path), [path])
    for dataset in config.datasets.values():
        for file in plan.source_files(config, dataset).values():
            if dataset.source["kind"] == "path":
                file.parent.mkdir(parents=True, exist_ok=True)
                file.touch()
    assert ": fine (" in check(path)


@pytest.mark.parametrize("name", FROM_NILEARN)
def test_a_missing_table_of_nilearn_is_answered_with_the_command_that_writes_it(name, copied):
    with pytest.raises(settings.ConfigError, match="`rheobase table` with this file writes it"):
        check(copied(name))


def test_the_table_of_abide_says_who_is_at_the_site_and_of_which_group(copied, monkeypatch):
    serve(monkeypatch)
    path = copied("abide_pcp")
    said = write_tables(path)
    lines = path.with_suffix(".tsv").read_text().splitlines()
    assert lines[:3] == [
        "subject\tSITE_ID\tDX_GROUP\tAGE_AT_SCAN\tSEX",
        "50001\tNYU\tautism\t10.25\tfemale",
        "50003\tNYU\tcontrol\t10.75\tfemale",
    ]
    assert len(lines) == 16
    assert "15 recordings; columns: SITE_ID, DX_GROUP, AGE_AT_SCAN, SEX" in said
    assert "abide_pcp.tsv is there already" in write_tables(path)


def test_abide_is_read_by_person_whatever_the_order_of_the_table(copied, monkeypatch):
    serve(monkeypatch)
    path = copied("abide_pcp")
    write_tables(path)
    table = path.with_suffix(".tsv")
    head, *rows = table.read_text().splitlines()
    table.write_text("\n".join([head, *reversed(rows)]) + "\n")
    spec = told(path, "abide", exclude={"sub-50003": "for the test"})
    prepare.fetch(spec)
    prepare.preprocess(spec, ["sub-50001"])
    recording = Recording.load(layout.recording_path("abide", "sub-50001"))
    assert recording.signal.shape == (VOLUMES, REGIONS)
    assert recording.labels["DX_GROUP"] == "autism"
    first = 1000 + np.random.default_rng(50001).normal(size=(VOLUMES, REGIONS))
    r = np.corrcoef(recording.signal[:, 0], first[:, 0])[0, 1]
    assert r > 0.98
    assert not (layout.source_dir("abide") / "sub-50003.npy").exists()


def test_the_film_is_cleaned_with_the_motion_that_nilearn_brings(copied, monkeypatch, tmp_path):
    run = plant(tmp_path / "deriv", regions=6, samples=VOLUMES, jumps=(), series=np.zeros((90, 6)))
    image = nibabel.load(run.image)
    noisy = np.asarray(image.dataobj) + np.random.default_rng(0).normal(size=image.shape)  # pyright: ignore[reportAttributeAccessIssue]
    made: nibabel.Nifti1Image = nibabel.Nifti1Image(noisy.astype(np.float32), AFFINE)
    made.header.set_zooms((4, 4, 4, 2.0))
    made.header.set_xyzt_units("mm", "sec")
    nibabel.save(made, tmp_path / "film.nii.gz")
    serve(monkeypatch, images=[tmp_path / "film.nii.gz"], people=9)
    path = copied("development_fmri")
    content = settings.read(path)
    content["datasets"]["age"]["source"]["arguments"] = {"n_subjects": 6}
    path.write_text(yaml.safe_dump({**content, "datasets": {"age": content["datasets"]["age"]}}))
    assert "6 recordings; columns: Child_Adult, Age, AgeGroup, Gender" in write_tables(path)
    options = {"atlas": atlas(tmp_path, 6), "least_valid_s": 60, "band_hz": None, "fd_mm": 0.5}
    spec = told(path, "age", preprocess={**content["datasets"]["age"]["preprocess"], **options})
    prepare.fetch(spec)
    prepare.preprocess(spec, ["sub-pixar002"])
    recording = Recording.load(layout.recording_path("age", "sub-pixar002"))
    assert recording.labels["Age"] == pytest.approx(4.35)
    steps = {step["step"]: step for step in recording.steps}
    assert steps["regress out confounds"]["confounds"] == 24
    assert "fd_mean_mm" in recording.quality


def told(path, name, **changes):
    """Return what a job is told of a dataset, with changes."""
    config = settings.parse(settings.read(path), [path])
    raw = {**config.datasets[name].raw, **changes}
    return json.dumps(
        {"name": name, "dataset": raw, "data_dir": "data", "download_dir": "downloads"}
    )


def test_the_block_on_ones_own_recordings_is_right_once_its_marks_are_off(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        f"{person}\t{session}\t{direction}\tf{max(person, 1)}"
        for person in range(4)
        for session in ("REST1", "REST2")
        for direction in ("LR", "RL")
    ]
    header = "subject\tsession\tacquisition\tfamily_id"
    (tmp_path / "hcp.tsv").write_text("\n".join([header, *rows]) + "\n")
    text = (ROOT / "config" / "examples" / "hcp_rest.yaml").read_text()
    block = re.search(r"^  # (my_hcp:\n(?:  # .+\n)+)", text, re.MULTILINE)
    assert block is not None
    content = yaml.safe_load(re.sub("^  # ", "", block[1], flags=re.MULTILINE))
    models = yaml.safe_load(text)["models"]
    parsed = settings.parse({"datasets": content, "models": models})
    assert len(parsed.datasets["my_hcp"].recordings) == 16
    assert parsed.datasets["my_hcp"].n_folds == len(parsed.datasets["my_hcp"].groups) == 3


def test_a_config_without_nilearn_needs_no_table(copied):
    with pytest.raises(ValueError, match="no dataset of kind nilearn has a table"):
        write_tables(copied("synthetic"))


def test_every_example_is_listed_in_the_documentation():
    listed = (ROOT / "config" / "README.md").read_text()
    assert [p.name for p in EXAMPLES if f"examples/{p.name}" not in listed] == []

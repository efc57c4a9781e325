"""Files beside a recording are inputs like its own: an edit runs again what depends on it."""

import builtins
import json
import shutil
from pathlib import Path

import pytest

from rheobase import config as settings
from rheobase.cli import main
from rheobase.io.side_files import side_files
from rheobase.stages import inputs, verify
from rheobase.stages.checksums import checksum
from rheobase.storage import write_json
from workflow_runs import change, planned, run, tiny

IMAGE = {
    "reader": {
        "format": "nifti",
        "mask": "{data_dir}/mask.nii.gz",
        "motion": {"path": "sub-{subject}.par", "format": "fsl"},
    },
    "preprocess": {"atlas": {"image": "parcels.nii.gz", "labels": "parcels.tsv"}},
}


def parsed(good, subjects=("a", "b"), **changes):
    """Return a config of one dataset of images with these changes."""
    rest = {
        "modality": "fmri",
        "source": {"kind": "path", "path": "sub-{subject}.nii.gz"},
        "entities": {"subject": list(subjects), "task": ["rest"]},
        "split": {"by": "subject"},
        "models": ["baseline"],
    }
    good["datasets"] = {"rest": {**rest, **changes}}
    made = settings.parse(good)
    return made, made.datasets["rest"]


def test_side_files_are_those_of_reader_and_atlas(good):
    _, dataset = parsed(good, **IMAGE)
    found = side_files(dataset, dataset.recordings[0], Path("d"))
    assert {key: str(path) for key, path in found.items()} == {
        "reader.mask": "d/mask.nii.gz",
        "reader.motion": "sub-a.par",
        "preprocess.atlas.image": "parcels.nii.gz",
        "preprocess.atlas.labels": "parcels.tsv",
    }


def test_files_beside_an_image_of_fmriprep_count_and_the_json_where_it_is(good, tmp_path):
    _, dataset = parsed(
        good,
        source={"kind": "path", "path": str(tmp_path)},
        reader={"format": "fmriprep"},
        preprocess={"atlas": "seitzman300"},
    )
    entry = dataset.recordings[0]
    found = side_files(dataset, entry, Path())
    assert set(found) == {"sidecar", "mask", "confounds"}
    found["confounds"].parent.mkdir(parents=True)
    found["confounds"].with_suffix(".json").write_text("{}")
    assert side_files(dataset, entry, Path())["confounds JSON"].suffix == ".json"


def test_what_nilearn_brings_beside_an_image_is_made_by_the_fetching_job(good, in_own_folder):
    motion = "results/rest/source/sub-{subject}_task-rest_confounds.tsv"
    config, dataset = parsed(
        good,
        source={"kind": "nilearn", "dataset": "development_fmri"},
        reader={"format": "nifti", "motion": {"path": motion, "format": "fmriprep"}},
        preprocess={"atlas": "seitzman300"},
    )
    brought = inputs.fetched(config)["rest"]
    assert Path(motion.format(subject="a")) in brought
    assert len(brought) == 4
    assert inputs.read(config, dataset, dataset.recordings[:1], brought) == [
        "results/rest/source/sub-a_task-rest.nii.gz",
        "results/rest/source/sub-a_task-rest_confounds.tsv",
    ]


def test_missing_file_of_the_user_is_left_to_the_job_and_a_shared_one_is_named_once(
    good, in_own_folder
):
    config, dataset = parsed(good, **IMAGE)
    Path("parcels.tsv").write_text("index\tname\n")
    assert inputs.read(config, dataset, dataset.recordings, ()) == ["parcels.tsv"]


def test_planning_opens_no_file(good, in_own_folder, monkeypatch):
    config, dataset = parsed(good, subjects=[f"s{i}" for i in range(1000)], **IMAGE)
    for entry in dataset.recordings:
        Path(f"sub-{entry.entities['subject']}.par").touch()

    def opened(*_, **__):
        raise AssertionError("a file was opened")

    monkeypatch.setattr(builtins, "open", opened)
    monkeypatch.setattr(Path, "open", opened)
    assert len(inputs.read(config, dataset, dataset.recordings, ())) == 1000


def test_edited_label_of_a_table_counts_for_its_recording_alone(good, in_own_folder):
    def lots(group):
        Path("t.tsv").write_text(f"subject\tgroup\na\tx\nb\t{group}\n")
        _, dataset = parsed(good, **IMAGE)
        rest = {k: v for k, v in dataset.raw.items() if k != "entities"}
        good["datasets"]["rest"] = {**rest, "table": "t.tsv"}
        dataset = settings.parse(good).datasets["rest"]
        return [inputs.told([entry]) for entry in dataset.recordings]

    before, after = lots("x"), lots("y")
    assert before[0] == after[0]
    assert before[1] != after[1]


def test_placeholder_that_nothing_fills_is_an_error_of_its_key(good):
    with pytest.raises(settings.ConfigError, match=r"reader\.mask.*names \{person\}"):
        parsed(good, **{**IMAGE, "reader": {"format": "nifti", "mask": "{person}.nii.gz"}})


def test_checksum_of_a_changed_file_is_taken_again(tmp_path):
    path = tmp_path / "f"
    path.write_text("one")
    before = checksum(path)
    path.write_text("another")
    assert checksum(path) != before


def test_edited_side_file_cleans_again_and_verify_names_it(tmp_path, monkeypatch, capsys):
    config = tiny(tmp_path)
    units = tmp_path / "in" / "units.tsv"
    rows = [f"r{i}\t{'AB'[i % 2]}" for i in range(6)]
    units.write_text("\n".join(["name\tnetwork", *rows]) + "\n")

    def with_units(content):
        content["datasets"]["rest"]["reader"]["units_file"] = "in/units.tsv"

    change(config, with_units)
    done = run(tmp_path, config.name, "--cores", "1")
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "results/rest/provenance.json").read_text())["inputs"]
    side = told["sub-0"]["side_files"]["reader.units_file"]
    assert side == {"path": "in/units.tsv", "sha256": checksum(units)}
    monkeypatch.chdir(tmp_path)
    assert main(["verify", "results"]) == 0
    assert planned(tmp_path, "--configfile", config.name) == {}
    units.write_text(units.read_text().replace("r5\tB", "r5\tA"))
    assert planned(tmp_path, "--configfile", config.name)["preprocess"] == 1
    capsys.readouterr()
    assert main(["verify", "results"]) == 1
    assert "in/units.tsv has changed since rest was made from it" in capsys.readouterr().err


def test_reproduce_names_an_input_that_changed_though_results_agree(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    made, side = Path("results/one/splits.json"), Path("mask.nii.gz")
    write_json({"folds": 2}, made)
    side.write_text("old")
    told = {"path": str(side), "sha256": checksum(side)}
    content = {
        "dataset": "one",
        "config": {"data_dir": "data", "download_dir": "downloads"},
        "outputs": {str(made): checksum(made)},
        "inputs": {"r": {"file": "r", "path": "r", "sha256": "0", "side_files": {"mask": told}}},
    }
    write_json(content, made.with_name("provenance.json"))

    def again(config, folder, *, cores):
        shutil.copytree("results", folder / "results")
        return 0

    monkeypatch.setattr(verify, "_run_again", again)
    assert main(["reproduce", "results/one/provenance.json"]) == 0
    side.write_text("new mask")
    assert main(["reproduce", "results/one/provenance.json"]) == 1
    assert "mask.nii.gz has changed since one was made from it" in capsys.readouterr().err

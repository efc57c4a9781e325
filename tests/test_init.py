"""A starter config holds what the files show, and marks the rest so that `check` points at it."""

import h5py
import nibabel
import numpy as np
import pytest

from rheobase import config as settings
from rheobase.stages.check import check
from rheobase.stages.init import init


def unknowns(path):
    with pytest.raises(settings.ConfigError) as caught:
        check(path)
    return [p.split(": ")[1] for p in caught.value.problems if "still unknown" in p]


def test_bids_names_become_entities(tmp_path, rng):
    for subject in ("01", "02"):
        for run in ("1", "2"):
            np.save(tmp_path / f"sub-{subject}_run-{run}.npy", rng.normal(size=(100, 4)))
    init(tmp_path, tmp_path / "c.yaml")
    written = settings.read(tmp_path / "c.yaml")["datasets"]["mine"]
    assert written["entities"] == {"subject": ["01", "02"], "run": ["1", "2"]}
    assert written["source"]["path"] == f"{tmp_path}/sub-{{subject}}_run-{{run}}.npy"
    assert unknowns(tmp_path / "c.yaml") == [
        "datasets.mine.modality",
        "datasets.mine.reader.orientation",
        "datasets.mine.sampling_rate_hz",
        "datasets.mine.units",
    ]


def test_unequal_sessions_become_a_table(tmp_path, rng):
    for name in ("sub-01_ses-1", "sub-01_ses-2", "sub-02_ses-1"):
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(100, 4)))
    init(tmp_path, tmp_path / "c.yaml")
    assert (tmp_path / "c.tsv").read_text().splitlines() == [
        "subject\tsession",
        "01\t1",
        "01\t2",
        "02\t1",
    ]


def test_one_odd_name_does_not_cost_the_others_their_entities(tmp_path, rng):
    for name in ("sub-01_ses-1_task-rest", "weird"):
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(100, 4)))
    said = init(tmp_path, tmp_path / "c.yaml")
    written = settings.read(tmp_path / "c.yaml")["datasets"]["mine"]
    assert written["entities"] == {"subject": ["01"], "session": ["1"], "task": ["rest"]}
    assert "1 recordings" in said
    assert "left aside: weird.npy" in said


def test_many_odd_names_are_all_kept(tmp_path, rng):
    for name in ("sub-01_task-rest", "weird", "wild", "wan"):
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(100, 4)))
    assert "4 recordings" in init(tmp_path, tmp_path / "c.yaml")


def test_participants_become_labels_of_the_table(tmp_path, rng):
    for name in ("sub-01", "sub-02", "sub-03"):
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(100, 4)))
    (tmp_path / "participants.tsv").write_text(
        "participant_id\tgroup\tage\nsub-02\tpatient\tn/a\nsub-01\tcontrol\t34\n"
    )
    said = init(tmp_path, tmp_path / "c.yaml")
    assert (tmp_path / "c.tsv").read_text().splitlines() == [
        "subject\tgroup\tage",
        "01\tcontrol\t34",
        "02\tpatient\t?",
        "03\t?\t?",
    ]
    assert "participants.tsv: its columns group, age are labels in the table; 3 of" in said
    assert settings.read(tmp_path / "c.yaml")["datasets"]["mine"]["table"]


def test_filled_in_config_is_right(tmp_path, rng):
    for name in ("fish a", "fish b"):
        np.savez(
            tmp_path / f"{name}.npz", dff=rng.normal(size=(30, 200)), xy=rng.normal(size=(30, 2))
        )
    init(tmp_path, tmp_path / "c.yaml")
    text = (tmp_path / "c.yaml").read_text()
    assert 'key: "dff"' in text
    text = text.replace('modality: "?"', "modality: calcium").replace('by: "?"', "by: subject")
    text = text.replace('units: "?"', "#")
    text = text.replace('orientation: "?"', "orientation: time_last").replace('hz: "?"', "hz: 5")
    (tmp_path / "c.yaml").write_text(text)
    assert "fine" in check(tmp_path / "c.yaml")


def starter(folder, head):
    """Return the starter config of a table with this line of names."""
    folder.joinpath("a.csv").write_text(f"{head}\n0.0,1,2\n0.5,2,1\n")
    init(folder, folder / "c.yaml")
    return settings.read(folder / "c.yaml")["datasets"]["mine"]


@pytest.mark.parametrize("name", ["time_s", "Time (s)", "t [sec]", "seconds"])
def test_time_column_that_says_seconds_gives_the_rate(tmp_path, name):
    written = starter(tmp_path, f"{name},left,right")
    assert written["reader"] == {"format": "csv", "time_column": name}
    assert "sampling_rate_hz" not in written


@pytest.mark.parametrize("name", ["time", "t", "Timestamps"])
def test_time_column_without_a_unit_is_never_taken_for_seconds(tmp_path, name):
    assert starter(tmp_path, f"{name},left,right")["reader"]["time_column"] == "?"
    assert "datasets.mine.reader.time_column" in unknowns(tmp_path / "c.yaml")
    assert f'# "{name}" if it is in seconds; else' in (tmp_path / "c.yaml").read_text()


@pytest.mark.parametrize("name", ["time_ms", "t (us)", "time [msec]"])
def test_time_column_in_another_unit_is_left_out(tmp_path, name):
    written = starter(tmp_path, f"{name},left,right")
    assert written["reader"] == {"format": "csv", "columns": {"exclude": [name]}}
    assert written["sampling_rate_hz"] == "?"


def test_names_like_a_time_are_signals(tmp_path):
    assert starter(tmp_path, "ts,t1,tibialis")["reader"] == {"format": "csv"}


def test_region_series_are_recordings_and_confounds_are_not(tmp_path):
    for subject in ("01", "02"):
        for name in ("atlas-Gordon_timeseries", "desc-confounds_timeseries", "motion"):
            (tmp_path / f"sub-{subject}_task-rest_{name}.tsv").write_text("a\tb\n1\t2\n3\t4\n")
    said = init(tmp_path, tmp_path / "c.yaml")
    written = settings.read(tmp_path / "c.yaml")["datasets"]["mine"]
    assert written["source"]["path"].endswith("task-{task}_atlas-Gordon_timeseries.tsv")
    assert "2 recordings of format tsv" in said
    assert "left aside" not in said


def test_masks_are_no_recordings(tmp_path, rng):
    nibabel.save(
        nibabel.Nifti1Image(rng.normal(size=(3, 3, 3, 9)), np.eye(4)),
        tmp_path / "sub-01_bold.nii.gz",
    )
    nibabel.save(nibabel.Nifti1Image(np.ones((3, 3, 3)), np.eye(4)), tmp_path / "mask.nii.gz")
    assert init(tmp_path, tmp_path / "c.yaml").startswith(f"{tmp_path / 'c.yaml'}: 1 recordings")


def test_existing_config_is_never_overwritten(tmp_path, rng):
    np.save(tmp_path / "a.npy", rng.normal(size=(9, 9)))
    (tmp_path / "c.yaml").write_text("mine")
    with pytest.raises(ValueError, match="exists"):
        init(tmp_path, tmp_path / "c.yaml")
    assert (tmp_path / "c.yaml").read_text() == "mine"


def caiman(path, rng):
    with h5py.File(path, "w") as file:
        file["estimates/C"] = rng.random((5, 600)) + 5
        file["estimates/YrA"] = 0.1 * rng.normal(size=(5, 600))
        file["params/data/fr"] = 15.0


def test_files_of_caiman_are_told_from_other_hdf5_by_what_they_hold(tmp_path, rng):
    for name in ("sub-01.hdf5", "sub-02.hdf5"):
        caiman(tmp_path / name, rng)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = rng.random((5, 600))
    (tmp_path / "sub-01.tif").write_bytes(b"")
    said = init(tmp_path, tmp_path / "c.yaml")
    assert "2 recordings of format caiman (left aside: 1 of movies)" in said
    written = settings.read(tmp_path / "c.yaml")["datasets"]["mine"]
    assert written["modality"] == "calcium"
    assert written["reader"] == {"format": "caiman"}
    assert written["entities"] == {"subject": ["01", "02"]}
    check(tmp_path / "c.yaml")


def test_a_folder_of_movies_is_answered_with_what_to_run_on_them(tmp_path):
    (tmp_path / "m1.TIFF").write_bytes(b"")
    with pytest.raises(ValueError, match=r"m1\.TIFF is a movie, .* reader\.format suite2p"):
        init(tmp_path, tmp_path / "c.yaml")
    assert not (tmp_path / "c.yaml").exists()


def test_folder_without_recordings_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no recording"):
        init(tmp_path, tmp_path / "c.yaml")

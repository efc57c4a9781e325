"""fMRI recordings of one dataset together, through the stages."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bold_tree import atlas, plant
from rheobase import layout
from rheobase.recording import Recording
from rheobase.stages import cut, prepare
from rheobase.stages.runs import check_coverage, check_twins
from rheobase.storage import read_json


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def spec(parcels, subjects, **preprocess):
    dataset = {
        "modality": "fmri",
        "source": {"kind": "path", "path": "{data_dir}"},
        "entities": {"subject": subjects, "task": ["rest"]},
        "reader": {"format": "fmriprep"},
        "time_unit": "s",
        "preprocess": {
            "atlas": parcels,
            "n_dummy": 0,
            "detrend": "linear",
            "band_hz": [0.01, 0.15],
            "fd_mm": 0.5,
            "least_valid_s": 120,
            **preprocess,
        },
        "split": {"by": "subject", "folds": 3},
        "models": ["baseline"],
    }
    return json.dumps(
        {"name": "rest", "dataset": dataset, "data_dir": "deriv", "download_dir": "downloads"}
    )


def names(subjects):
    return [f"sub-{subject}_task-rest" for subject in subjects]


def test_a_derivatives_tree_becomes_recordings_with_validity_and_folds(tmp_path):
    subjects = ["01", "02", "03"]
    runs = [
        plant(tmp_path / "deriv", subject=s, seed=i, samples=140, jumps=(30, 90))
        for i, s in enumerate(subjects)
    ]
    told = spec(atlas(tmp_path, 24), subjects, denoise="6p", resample_s=1.0, std_dvars=None)
    prepare.preprocess(told, names(subjects))
    cut.split(told)
    recording = Recording.load(layout.recording_path("rest", "sub-01_task-rest"))
    assert recording.rate == pytest.approx(1.0)
    assert recording.signal.shape == (280, 24)
    assert set(np.flatnonzero(~recording.valid)) >= {60, 180}
    steps = {step["step"]: step for step in recording.steps}
    assert steps["choose confounds"]["confounds"] == [
        "rot_x", "rot_y", "rot_z", "trans_x", "trans_y", "trans_z",
    ]  # fmt: skip
    assert steps["choose confounds"]["cosines_dropped"] == 3
    assert recording.data.attrs["source"] == runs[0].image.name
    qc = read_json(layout.qc_path("rest", "sub-01_task-rest"))
    assert recording.quality == {"fd_mean_mm": pytest.approx(qc["metrics"]["fd_mean_mm"])}
    assert qc["metrics"]["invalid_percent"] == pytest.approx(100 * 2 / 140, abs=0.01)
    assert len(qc["preview"]["censored"]) == 2
    assert len(read_json(layout.splits_path("rest"))["folds"]) == 3


def test_one_person_under_two_names_is_refused(tmp_path):
    subjects = ["01", "02", "03"]
    for i, subject in enumerate(subjects):
        plant(tmp_path / "deriv", subject=subject, seed=i % 2, samples=140, jumps=())
    told = spec(atlas(tmp_path, 24), subjects, denoise="none", std_dvars=None)
    prepare.preprocess(told, names(subjects))
    with pytest.raises(
        ValueError, match="rest: sub-01_task-rest and sub-03_task-rest were read from the same"
    ):
        cut.split(told)


def test_a_missing_person_is_named_with_the_file(tmp_path):
    plant(tmp_path / "deriv", subject="01", samples=140, jumps=())
    told = spec(atlas(tmp_path, 24), ["01", "09"], denoise="none", std_dvars=None)
    with pytest.raises(ValueError, match="sub-09_task-rest_space-.*does not exist; correct source"):
        prepare.preprocess(told, names(["09"]))


def test_recordings_of_different_files_are_no_twins():
    check_twins("rest", {"a": "1", "b": "2", "c": "", "d": ""})


def test_a_region_that_one_run_in_twenty_lacks_is_kept_and_the_run_refused():
    with pytest.raises(ValueError, match="s07 lacks 1 regions that at least 95 % .*\\(r1\\)"):
        check_coverage("rest", {"s07": {"r1", "r2"}, "s08": {"r2"}, "s09": {"r2"}}, 20)


def test_regions_that_many_runs_lack_are_dropped_everywhere():
    check_coverage("rest", {"s07": {"r1"}, "s08": {"r1"}}, 20)
    check_coverage("rest", {"s07": {"r1"}}, 19)

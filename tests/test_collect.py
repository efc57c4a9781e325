"""A report shows what belongs to the present run, and every damage as an error."""

import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from rheobase import layout
from rheobase.config import parse
from rheobase.recording import Recording
from rheobase.stages.collect import collect
from rheobase.storage import write_dataset, write_json

MODELS = {"models": {"baseline": {"seeds": [0], "family": "linear"}}, "device": "cpu"}


def score(value):
    return {"name": "r2", "unit": "", "higher_is_better": True, "value": value, "chance": None,
            "rivals": {"ar1": 0.1}, "note": "", "seed": 0}  # fmt: skip


@pytest.fixture
def dataset(tmp_path, monkeypatch, rng):
    """Write what a whole run of two subjects in two folds leaves behind."""
    monkeypatch.chdir(tmp_path)
    config = {
        "datasets": {
            "rest": {
                "modality": "fmri",
                "source": {"kind": "path", "path": "{subject}.npy"},
                "entities": {"subject": ["1", "2"]},
                "reader": {"format": "npy", "orientation": "time_first"},
                "repetition_time_s": 2.0,
                "split": {"by": "subject", "folds": 2},
                "models": ["baseline"],
            }
        },
        "models": {"baseline": {"family": "linear"}},
    }
    for name in ("sub-1", "sub-2"):
        made = Recording.build(rng.normal(size=(50, 3)), name=name, modality="fmri",
                               sampling_rate_hz=0.5, entities={"subject": name[4:]})  # fmt: skip
        made.save(layout.recording_path("rest", name))
        write_json({"metrics": {}, "units": [], "flags": []}, layout.qc_path("rest", name))
    write_json({"by": "subject", "gap_s": 0, "folds": []}, layout.splits_path("rest"))
    for fold in (0, 1):
        folder = layout.fit_dir("rest", "baseline", fold, 0)
        write_json({"seed": 0, "fold": fold, "notices": []}, folder / "run.json")
        identity = {"dataset": "rest", "model": "baseline", "family": "linear"}
        made = {**identity, "scores": [{**score(0.5 + fold), "fold": fold}]}
        write_json(made, folder / "metrics.json")
    return parse(config).datasets["rest"]


def values(content):
    return [s["value"] for s in content.scores.get("baseline", {"scores": []})["scores"]]


def test_a_whole_run_is_shown_whole(dataset):
    content = collect(dataset, MODELS, "")
    assert values(content) == [0.5, 1.5]
    assert [r["name"] for r in content.recordings] == ["sub-1", "sub-2"]
    assert not content.errors
    assert not content.missing


def test_scores_of_an_earlier_fit_are_not_shown(dataset):
    (layout.fit_dir("rest", "baseline", 1, 0) / "run.json").unlink()
    assert values(collect(dataset, MODELS, "")) == [0.5]


def test_fits_older_than_the_folds_are_not_shown(dataset):
    os.utime(layout.splits_path("rest"))
    content = collect(dataset, MODELS, "")
    assert values(content) == []
    assert content.runs == {"baseline": []}


def test_a_score_older_than_its_fit_is_not_shown(dataset):
    os.utime(layout.fit_dir("rest", "baseline", 0, 0) / "run.json")
    assert values(collect(dataset, MODELS, "")) == [1.5]


def test_a_damaged_recording_is_an_error_and_named_as_missing(dataset):
    path = layout.recording_path("rest", "sub-2")
    path.write_bytes(path.read_bytes()[:-300])
    content = collect(dataset, MODELS, "")
    assert [r["name"] for r in content.recordings] == ["sub-1"]
    assert "is corrupt" in content.missing["sub-2"]
    assert any("delete it and run again" in error["message"] for error in content.errors)


def test_an_absent_recording_is_named_with_the_sentence_of_its_job(dataset):
    layout.recording_path("rest", "sub-2").unlink()
    log = layout.log_path("rest", "preprocess-0")
    log.parent.mkdir(parents=True)
    log.write_text("error: sub-2: region 3 is constant\n")
    content = collect(dataset, MODELS, "")
    assert content.missing == {"sub-2": "sub-2: region 3 is constant"}


def test_provenance_of_an_earlier_run_is_not_shown(dataset, monkeypatch):
    path = layout.dataset_dir("rest") / "provenance.json"
    write_json({"command": "the run before"}, path)
    monkeypatch.setenv("RHEOBASE_COMMAND", "this run")
    metrics = layout.model_dir("rest", "baseline") / "metrics.json"
    write_json({"scores": []}, metrics)
    assert collect(dataset, MODELS, "").provenance["command"] == "this run"
    os.utime(path)
    assert collect(dataset, MODELS, "").provenance["command"] == "the run before"


def test_unreadable_json_is_an_error_of_the_report(dataset):
    Path(layout.qc_path("rest", "sub-1")).write_text("{")
    content = collect(dataset, MODELS, "")
    assert list(content.qc) == ["sub-2"]
    assert "not valid JSON" in content.errors[0]["message"]


def test_pictures_are_read_and_a_damaged_one_is_an_error(dataset):
    for name in ("sub-1", "sub-2"):
        made = xr.Dataset({"place": (("region", "axis"), np.zeros((3, 3)))}, {}, {"regions": 3})
        write_dataset(made, layout.pictures_path("rest", name))
    layout.pictures_path("rest", "sub-2").write_bytes(b"no NetCDF")
    content = collect(dataset, MODELS, "")
    assert list(content.pictures) == ["sub-1"]
    assert content.pictures["sub-1"].attrs["regions"] == 3
    assert "place" not in content.pictures["sub-1"]
    assert "sub-2.nc" in content.errors[0]["message"]
    assert not collect(dataset, MODELS, "", drawn=False).pictures

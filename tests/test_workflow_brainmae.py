"""BrainMAE through the workflow: from a derivatives tree to reports, and one set for another."""

import csv
import json
import re

import numpy as np
import pytest
import yaml

from bold_tree import atlas, plant
from rheobase.recording import Recording
from workflow_runs import run

SMALL = {"width": 8, "segment_width": 8, "heads": 2, "steps": 4, "check_every": 1, "crop_s": 120}


def dataset(parcels, subjects, models):
    return {
        "modality": "fmri",
        "source": {"kind": "path", "path": "deriv"},
        "entities": {"subject": subjects, "task": ["rest"]},
        "reader": {"format": "fmriprep"},
        "preprocess": {
            "atlas": parcels, "denoise": "6p", "n_dummy": 0, "detrend": "linear",
            "band_hz": [0.01, 0.15], "fd_mm": 0.5, "std_dvars": None, "least_valid_s": 120,
        },
        "split": {"by": "subject", "folds": 2},
        "models": models,
    }  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    people = [f"{i:02d}" for i in range(1, 9)]
    for i, subject in enumerate(people):
        plant(folder / "deriv", subject=subject, seed=i, samples=140, jumps=(30, 90))
    parcels = atlas(folder, 24)
    config = {
        "seeds": [0],
        "datasets": {
            "many": dataset(parcels, people[:4], ["mae"]),
            "few": dataset(parcels, people[4:], ["later"]),
        },
        "models": {
            "mae": {"family": "brainmae", "params": SMALL},
            "later": {"family": "brainmae", "params": {**SMALL, "init_from": "many/mae"}},
        },
    }
    (folder / "c.yaml").write_text(yaml.safe_dump(config))
    done = run(folder, "c.yaml", "--cores", "2")
    assert done.returncode == 0, done.stderr
    return folder


def page(study, name):
    html = (study / "results" / name / "report.html").read_text()
    return re.sub(r"\s+", " ", re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL))


def test_motion_travels_from_the_scanner_to_the_figure_of_runs(study):
    recording = Recording.load(study / "results/many/recordings/sub-01_task-rest.nc")
    assert {30, 90} <= set(np.flatnonzero(~recording.valid))
    drawn = study / "results/many/models/mae/fold-0_seed-0/figures/runs.csv"
    with drawn.open() as file:
        moved = [float(row["fd_mean_mm"]) for row in csv.DictReader(file)]
    assert len(moved) == 4
    assert all(0 < value < 0.5 for value in moved)


def test_regions_with_places_are_drawn_on_a_glass_brain(study):
    assert "Where in the brain" in page(study, "many")


def test_a_set_starts_from_what_was_learnt_of_another(study):
    fits = study / "results"
    first, later = (
        json.loads((fits / path / "fold-0_seed-0/run.json").read_text())
        for path in ("many/models/mae", "few/models/later")
    )
    assert first["metrics"]["loss"] > 0
    assert "loss" not in later["metrics"]
    assert re.search(r"group connectivity correlates .* with that of the fit that this one starts",
                     page(study, "few"))  # fmt: skip


def test_the_verdict_says_whether_hidden_regions_are_filled_in(study):
    assert "mae is on average behind its best rival, conditional Gaussian" in page(study, "many")

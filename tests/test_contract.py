"""One test for all families: what the contract promises, each family keeps.

A new family adds one case: tiny parameters, and recordings on which it must beat a rival.
"""

import ast
import dataclasses
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import xarray as xr

from rheobase import layout, splits
from rheobase.config import ModelEntry
from rheobase.models import base
from rheobase.recording import Recording
from rheobase.stages import cut, learn
from rheobase.stages.prepare import load_spec
from rheobase.storage import read_dataset, read_json, write_dataset, write_json

HUGE = 2.0**20


class Case(NamedTuple):
    params: dict
    make: object
    """A function of a generator that returns recordings of the family's own kind."""
    beats: tuple[str, str]
    """A score and the rival that the model must beat on those recordings."""


def coupled(rng, n=6, samples=300, units=5):
    """Return recordings of a vector autoregression whose units drive each other."""
    mixing = 0.5 * np.roll(np.eye(units), 1, axis=1) + 0.3 * np.eye(units)
    made = []
    for number in range(n):
        signal = np.zeros((samples, units))
        for t in range(1, samples):
            signal[t] = mixing @ signal[t - 1] + rng.normal(size=units)
        made.append(recording(signal, number))
    return made


def recording(signal, number, **changes):
    values = {
        "name": f"sub-{number:02d}",
        "modality": "fmri",
        "sampling_rate_hz": 0.5,
        "entities": {"subject": f"{number:02d}"},
        "labels": {"group": "ab"[number % 2]},
    }
    return Recording.build(signal, **{**values, **changes})


def communities(rng, n=6, samples=160, units=8):
    """Return recordings in which two communities of regions each follow a course of their own."""
    made = []
    for number in range(n):
        course = np.cumsum(rng.normal(size=(samples, 2)), axis=0)
        course -= np.linspace(course[0], course[-1], samples)
        signal = np.repeat(course, units // 2, axis=1) + 0.3 * rng.normal(size=(samples, units))
        made.append(recording(signal, number))
    return made


def turns(rng, n=6, samples=240, units=12):
    """Return recordings in which two groups of units move together, one group at a time."""
    made = []
    for number in range(n):
        course = np.cumsum(rng.normal(size=(samples, 2)), axis=0)
        still = np.repeat(rng.integers(0, 2, samples // 20), 20)
        for group in (0, 1):
            steps = np.diff(course[:, group], prepend=0) * (still != group)
            course[:, group] = np.cumsum(steps)
        signal = np.repeat(course, units // 2, axis=1) + 0.2 * rng.normal(size=(samples, units))
        made.append(recording(signal, number))
    return made


def tones(rng, n=6, samples=400, units=3):
    """Return recordings whose label is how fast they swing, not how far: features tell little."""
    made = []
    for number in range(n):
        label = np.repeat(rng.permutation(samples // 40) % 2, 40)
        turn = np.where(label == 0, 0.9, 1.8)
        phase = np.cumsum(turn) + rng.uniform(0, 2 * np.pi)
        signal = np.sin(phase[:, None] + np.arange(units)) + 0.3 * rng.normal(size=(samples, units))
        told = {"times": {"pace": label}, "label": {"name": "pace", "kind": "class"}}
        made.append(recording(signal, number, **told))
    return made


SMALL_NETWORK = {
    "width": 16, "heads": 2, "spatial_layers": 1, "encoder_layers": 1, "decoder_layers": 1,
    "steps": 60, "learning_rate": 1e-2, "check_every": 30, "held_share": 0.0,
}  # fmt: skip
SMALL_TENSOR = {
    "ntf": {"ranks": [2], "restarts": 2, "screen": 10, "keep": 2, "max_iter": 30,
            "holdout_folds": 2},
    "null": {"n": 4, "starts": 1, "max_iter": 20}, "communities": {"mcmc": 20}, "permutations": 5,
    "label_permutations": 20,
}  # fmt: skip
SMALL_STATES = {
    "grid": [2], "folds": 2, "restarts": 2, "surrogates": 1, "rate_samples": 200,
    "permutations": 20, "components": 3, "stop": {"iterations": 20}, "emulate": True,
    "emulator": {"members": 1, "schedule": "tiny", "sequences": 32, "repeats": 2, "units": 8,
                 "noise": 2, "batch": 16, "moment_steps": 10, "steps": 2, "length": 20},
}  # fmt: skip
SMALL_RESERVOIR = {
    "n_units": 60, "degree": 20, "members": 2, "horizons": [1, 3], "lags": [1, 2],
    "adapt": {"schedule": [[100, 1e-3]]},
    "search": {"n_trials": 2, "seeds_per_trial": 1, "inner_folds": 2, "samples": 1000},
}  # fmt: skip
SMALL_SPIKING = {
    "hidden": [24], "window_s": 40.0, "hop_s": 20.0, "windows": 600, "permutations": 20,
    "training": {"epochs": 6, "updates": 1, "rate": 1e-2, "batch": 32},
}  # fmt: skip
CASES = {
    "linear": Case({"permutations": 20}, coupled, ("forecast_r2_h1", "ar1")),
    "connectome": Case(SMALL_TENSOR, turns, ("explained_hidden_pairs", "one_component")),
    "hmm_rnn": Case(SMALL_STATES, turns, ("heldout_loglik", "one_gaussian")),
    "reservoir": Case(SMALL_RESERVOIR, coupled, ("forecast_r2_h1", "ar")),
    "spiking": Case(SMALL_SPIKING, tones, ("decode_balanced_accuracy", "lda_on_features")),
    "brainmae": Case(SMALL_NETWORK, communities, ("masked_r2_50", "mean")),
}


@pytest.fixture(params=sorted(base.FAMILIES))
def case(request):
    name = request.param
    assert name in CASES, f"add a case for {name} to CASES"
    return name, CASES[name]


@pytest.fixture
def fitted(case, rng):
    name, one = case
    recordings = one.make(rng)
    model = base.build(name, params=one.params)
    return model, model.fit(recordings[:4], seed=0, device="cpu"), recordings


def test_builds_from_defaults_and_every_preset(case):
    name, _ = case
    cls = base.family(name)
    assert dataclasses.is_dataclass(cls)
    assert cls.__dataclass_params__.frozen
    assert "demo" in cls.presets
    for preset in (None, *cls.presets):
        assert isinstance(base.build(name, preset=preset), cls)


def test_same_seed_gives_identical_arrays_and_input_is_left_alone(case, rng):
    name, one = case
    recordings = one.make(rng)
    before = [r.signal.copy() for r in recordings]
    model = base.build(name, params=one.params)
    first, second = (model.fit(recordings[:4], seed=3, device="cpu") for _ in range(2))
    xr.testing.assert_identical(first.arrays, second.arrays)
    assert first.weights.keys() == second.weights.keys()
    for key, weight in first.weights.items():
        np.testing.assert_array_equal(weight, second.weights[key])
    for kept, r in zip(before, recordings, strict=True):
        np.testing.assert_array_equal(kept, r.signal)


def test_another_seed_gives_another_fit_if_the_table_says_so(case, rng):
    name, one = case
    recordings = one.make(rng)
    model = base.build(name, params=one.params)
    a, b = (model.fit(recordings[:4], seed=s, device="cpu").arrays for s in (0, 1))
    learnt = [v for v in a.data_vars if a[v].dtype.kind == "f"]
    assert any(not a[v].equals(b[v]) for v in learnt) == base.FAMILIES[name].random


def test_every_score_stands_beside_a_rival(fitted):
    model, fit, recordings = fitted
    scores = model.evaluate(fit, recordings[4:])
    assert len({score.name for score in scores}) == len(scores) > 0
    for score in scores:
        assert score.rivals
        assert np.isfinite([score.value, *score.rivals.values()]).all()


def test_saving_changes_no_score(fitted, tmp_path):
    model, fit, recordings = fitted
    write_dataset(fit.arrays, tmp_path / "arrays.nc")
    again = dataclasses.replace(fit, arrays=read_dataset(tmp_path / "arrays.nc"))
    assert model.evaluate(again, recordings[4:]) == model.evaluate(fit, recordings[4:])


def test_model_beats_its_rival_where_it_should(fitted, case):
    model, fit, recordings = fitted
    name, rival = case[1].beats
    score = next(s for s in model.evaluate(fit, recordings[4:]) if s.name == name)
    better = score.value - score.rivals[rival]
    assert better > 0 if score.higher_is_better else better < 0


def test_every_figure_has_words_and_is_drawn(fitted):
    model, fit, recordings = fitted
    drawings = model.figures(fit, recordings[4:])
    assert drawings
    for name, drawing in drawings.items():
        assert name.isidentifier()
        assert all(len(text) > 10 for text in (drawing.title, drawing.caption, drawing.alt))
        drawing.figure.canvas.draw()


@pytest.mark.parametrize("by", ["subject", "time"])
def test_huge_values_in_the_test_part_leave_the_fit_alone(case, rng, by, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, one = case
    job = prepared(one.make(rng), by, name, one.params)
    before = fitted_arrays(job)
    plant_in_test_part(job)
    assert max(float(np.abs(r.signal).max()) for r in learn.load(job, "test")) == HUGE
    assert max(float(np.abs(r.signal).max()) for r in learn.load(job, "train")) < HUGE
    xr.testing.assert_identical(before, fitted_arrays(job))


@pytest.mark.parametrize("by", ["subject", "time"])
def test_huge_values_in_the_test_part_leave_a_chain_alone(case, rng, by, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, one = case
    below = prepared(one.make(rng), by, "linear", CASES["linear"].params)
    above = ModelEntry("above", name, params=one.params, on="model")
    job = dataclasses.replace(below, model=above, upstream=((below.model, below.seed),))
    before = [fitted_arrays(step) for step in (below, job)]
    plant_in_test_part(job)
    for arrays, step in zip(before, (below, job), strict=True):
        xr.testing.assert_identical(arrays, fitted_arrays(step))


def prepared(recordings, by, family, params):
    """Save recordings as a preprocessed dataset with its folds; return the job of one fit."""
    first = recordings[0]
    raw = {
        "modality": first.modality,
        "source": {"kind": "path", "path": "{subject}.npy"},
        "entities": {"subject": [r.subject for r in recordings]},
        "reader": {"format": "npy", "orientation": "time_first"},
        "sampling_rate_hz": first.rate,
        "time_unit": first.time_unit,
        "preprocess": {},
        "split": {"by": by, "folds": 3, "gap_s": 10 / first.rate},
        "models": ["model"],
    }
    spec = json.dumps({"name": "d", "dataset": raw, "data_dir": ".", "download_dir": "."})
    for r in recordings:
        r.save(layout.recording_path("d", r.name))
        write_json({"units": [{"name": n} for n in r.unit_names]}, layout.qc_path("d", r.name))
    cut.split(spec)
    return learn.Job(load_spec(spec)[0], ModelEntry("model", family, params=params), (), 1, 0)


def plant_in_test_part(job):
    for part in splits.parts(read_json(layout.splits_path("d")), job.fold, "test"):
        path = layout.recording_path("d", part.recording)
        recording = Recording.load(path)
        signal = recording.signal.copy()
        signal[part.start : part.stop] = HUGE
        planted = recording.data.assign(signal=(recording.data["signal"].dims, signal))
        Recording(planted).save(path)


def fitted_arrays(job):
    learn.fit(job, device="cpu")
    return read_dataset(job.folder / "arrays.nc")


def test_unknown_parameter_and_preset_are_named(case):
    name, _ = case
    with pytest.raises(ValueError, match="unknown parameter 'colour'"):
        base.build(name, params={"colour": 1})
    with pytest.raises(ValueError, match="unknown preset 'huge'"):
        base.build(name, preset="huge")


def test_other_units_in_another_recording_are_named(case, rng):
    name, one = case
    recordings = one.make(rng)
    odd = recording(rng.normal(size=(300, 4)), 99)
    with pytest.raises(ValueError, match="sub-99"):
        base.build(name, params=one.params).fit([*recordings[:3], odd], seed=0, device="cpu")


def test_transform_gives_recordings_of_the_same_people(fitted):
    model, fit, recordings = fitted
    if not hasattr(model, "transform"):
        return
    made = model.transform(fit, recordings)
    assert [r.name for r in made] == [r.name for r in recordings]
    assert made[0].steps[: len(recordings[0].steps)] == recordings[0].steps
    assert len(made[0].steps) > len(recordings[0].steps)


def test_no_family_loads_code_with_data():
    folder = Path(base.__file__).parents[1]
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not {"pickle", "joblib", "dill"} & {a.name for a in node.names}, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec"), path

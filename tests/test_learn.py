"""From recordings to scores: folds that can be learnt, fits that go on, numbers left undefined."""

import dataclasses
import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import xarray as xr
from safetensors.numpy import load_file, save_file

from rheobase import layout
from rheobase.config import ModelEntry
from rheobase.evaluate.aggregate import summarise
from rheobase.evaluate.gather import gather
from rheobase.models import base
from rheobase.recording import Recording
from rheobase.stages import cut, learn
from rheobase.storage import read_json, write_json


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def spec(**changes):
    dataset = {
        "modality": "series",
        "source": {"kind": "path", "path": "{subject}.npy"},
        "entities": {"subject": ["0", "1", "2"]},
        "reader": {"format": "npy", "orientation": "time_first"},
        "sampling_rate_hz": 100,
        "time_unit": "s",
        "preprocess": {},
        "split": {"by": "subject", "folds": 3},
        "models": ["toy"],
        **changes,
    }
    return json.dumps(
        {"name": "rest", "dataset": dataset, "data_dir": "data", "download_dir": "downloads"}
    )


def save_session(trial, label):
    """Save a recording of trials with a label over time, and its quality control."""
    signal = np.random.default_rng(0).normal(size=(len(trial), 4))
    made = Recording.build(signal, name="sub-0", modality="series", sampling_rate_hz=100,
                           times={"trial": trial, "cue": label}, entities={"subject": "0"},
                           label={"name": "cue", "kind": "class"})  # fmt: skip
    made.save(layout.recording_path("rest", "sub-0"))
    rows = [{"name": name} for name in made.unit_names]
    write_json({"units": rows}, layout.qc_path("rest", "sub-0"))
    return spec(
        reader={"format": "npz", "trial_key": "t", "label_key": "cue"},
        entities={"subject": ["0"]},
        split={"by": "trial", "folds": 2},
        label={"name": "cue", "kind": "class"},
    )


def test_trials_of_cyclic_cues_are_dealt_out_by_their_majority_label():
    trial = np.repeat(np.arange(1, 9), 50)
    label = np.where(np.arange(400) % 50 < 5, "rest", np.where(trial % 2, "fist", "open"))
    cut.split(save_session(trial, label))
    for fold in json.loads(layout.splits_path("rest").read_text())["folds"]:
        for side in ("train", "test"):
            assert {str(label[part["start"] + 25]) for part in fold[side]} == {"fist", "open"}


def test_one_gesture_a_trial_is_refused_before_any_fit():
    trial = np.repeat(np.arange(1, 5), 50)
    told = save_session(trial, np.array(["a", "b", "c", "d"])[trial - 1])
    with pytest.raises(ValueError, match=r"class 'a' is only in one trial.*drop the label"):
        cut.split(told)
    assert not layout.splits_path("rest").exists()


@dataclass(frozen=True)
class Toy:
    """Walks towards the mean of the training part in random steps; may stop on the way."""

    epochs: int = 6
    pace: float = 0.1

    modalities: ClassVar = frozenset({"series"})
    presets: ClassVar = {"demo": {}}
    views: ClassVar = {}
    resume: ClassVar = True
    stop_after: ClassVar = None
    began: ClassVar = []

    def fit(self, train, *, seed, device, checkpoint):
        goal = np.mean([r.signal.mean(axis=0) for r in train], axis=0).astype(float)
        at, epoch = np.zeros_like(goal), 0
        if checkpoint.exists():
            state = load_file(checkpoint)
            at, epoch = state["at"], state["epoch"]
        self.began.append(int(epoch))
        for number in range(int(epoch), self.epochs):
            if number == self.stop_after:
                raise KeyboardInterrupt
            noise = np.random.default_rng([seed, number]).normal(size=at.shape)
            at = at + self.pace * (goal - at) + 0.01 * noise
            # Straight to its place: the folder must be there.
            save_file({"at": at, "epoch": np.array(number + 1)}, checkpoint)
        return base.Fitted(xr.Dataset({"at": ("unit", at)}))

    def evaluate(self, fitted, test):
        rivals = {"mean": 0.5, "other": float("nan")}
        return [
            base.Score("a", float("nan"), rivals, note="too short"),
            base.Score("b", 1.0, rivals),
        ]

    def figures(self, fitted, test):
        return {}


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setitem(base.FAMILIES, "toy", base.Family(f"{__name__}:Toy", False, True))
    monkeypatch.setattr(Toy, "began", [])
    save_people()
    cut.split(spec())
    return Toy


def save_people(add=0.0):
    for number in range(3):
        signal = np.random.default_rng(number).normal(size=(200, 4)) + number + add
        made = Recording.build(signal, name=f"sub-{number}", modality="series",
                               sampling_rate_hz=100, entities={"subject": str(number)})  # fmt: skip
        made.save(layout.recording_path("rest", made.name))
        rows = [{"name": name} for name in made.unit_names]
        write_json({"units": rows}, layout.qc_path("rest", made.name))


def job(told=None, seed=0, **params):
    model = dataclasses.asdict(ModelEntry("toy", "toy", params=params, seeds=(0,)))
    return learn.Job.read(told or spec(), json.dumps({"model": model, "upstream": []}), 0, seed)


def stop(toy, monkeypatch, one, after=3):
    """Fit until the epoch ``after``, then stop as a killed job does."""
    with monkeypatch.context() as until:
        until.setattr(toy, "stop_after", after)
        with pytest.raises(KeyboardInterrupt):
            learn.fit(one, device="cpu")
    assert (one.folder / "checkpoint.safetensors").exists()


def result(one):
    return (one.folder / "arrays.nc").read_bytes()


def test_stopped_fit_goes_on_to_the_same_bits(toy, monkeypatch):
    learn.fit(job(), device="cpu")
    whole = result(job())
    stop(toy, monkeypatch, job())
    learn.fit(job(), device="cpu")
    assert toy.began == [0, 0, 3]
    assert result(job()) == whole
    assert not list(job().folder.glob("checkpoint*"))


def changed_splits():
    content = read_json(layout.splits_path("rest"))
    content["folds"][0]["train"][0].update(start=0, stop=150)
    write_json(content, layout.splits_path("rest"))


def changed_data():
    save_people(add=1.0)
    cut.split(spec())


@pytest.mark.parametrize(
    "change", [{"pace": 0.2}, {"seed": 1}, {"told": spec(units="mV")}, changed_splits, changed_data]
)
def test_checkpoint_of_another_fit_is_not_gone_on_from(toy, monkeypatch, change):
    old = job()
    stop(toy, monkeypatch, old)
    other = job() if callable(change) else job(**change)
    if callable(change):
        change()
    if other.folder != old.folder:
        other.folder.mkdir(parents=True)
        for path in old.folder.glob("checkpoint*"):
            path.rename(other.folder / path.name)
    learn.fit(other, device="cpu")
    afresh = result(other)
    assert toy.began == [0, 0]
    learn.fit(other, device="cpu")
    assert result(other) == afresh


def test_checkpoint_of_other_code_is_not_gone_on_from(toy, monkeypatch, tmp_path):
    stop(toy, monkeypatch, job())
    (tmp_path / "edited.py").write_text("# another version of the family\n")
    monkeypatch.setattr(learn, "_sources", lambda name: [tmp_path / "edited.py"])
    learn.fit(job(), device="cpu")
    assert toy.began == [0, 0]


def test_checkpoint_of_unknown_origin_is_not_gone_on_from(toy, monkeypatch):
    stop(toy, monkeypatch, job())
    (job().folder / "checkpoint.json").unlink()
    learn.fit(job(), device="cpu")
    assert toy.began == [0, 0]


def test_undefined_numbers_are_left_out_and_keep_their_note(toy):
    for fold in range(3):
        one = dataclasses.replace(job(), fold=fold)
        learn.fit(one, device="cpu")
        learn.evaluate(one)
    rows = [read_json(dataclasses.replace(job(), fold=k).folder / "metrics.json") for k in range(3)]
    undefined, defined = rows[0]["scores"]
    assert undefined["value"] is None
    assert undefined["note"] == "too short"
    assert defined["rivals"] == {"mean": 0.5, "other": None}
    assert defined["note"] == "undefined in some fits: other"
    rows[1]["scores"][0]["value"] = 2.0
    summaries = {s.name: s for s in summarise({"toy": gather(rows)})["toy"]}
    assert summaries["a"].missing == 2
    assert [c.rival for c in summaries["b"].comparisons] == ["mean"]


def test_score_without_rivals_is_refused(toy, monkeypatch):
    learn.fit(job(), device="cpu")
    monkeypatch.setattr(toy, "evaluate", lambda *_: [base.Score("alone", 1.0, {})])
    with pytest.raises(ValueError, match="the score alone has no rival"):
        learn.evaluate(job())

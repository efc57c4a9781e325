"""What all fits of a model have in common is drawn by the family, and shown while it is current."""

import json
import os
from dataclasses import dataclass
from typing import ClassVar

import pytest
import xarray as xr
from matplotlib.figure import Figure
from safetensors.numpy import save_file

from rheobase import layout
from rheobase.models import base
from rheobase.stages import publish
from rheobase.stages.collect import collect
from rheobase.stages.gathered import aggregate
from rheobase.stages.prepare import load_spec
from rheobase.storage import write_dataset, write_json

SPEC = {
    "name": "rest",
    "dataset": {
        "modality": "series",
        "source": {"kind": "path", "path": "{subject}.npy"},
        "entities": {"subject": ["0", "1"]},
        "reader": {"format": "npy", "orientation": "time_first"},
        "sampling_rate_hz": 100,
        "time_unit": "s",
        "preprocess": {},
        "split": {"by": "subject", "folds": 2},
        "models": ["toy"],
    },
    "data_dir": "data",
    "download_dir": "downloads",
}
TOLD = {"models": {"toy": {"family": "toy", "seeds": [0]}}, "device": "cpu"}


@dataclass(frozen=True)
class Toy:
    """Says of its fits where each stands and what it holds."""

    seen: ClassVar = []

    @staticmethod
    def across(fits):
        Toy.seen.append([(p.dataset, p.fold, p.seed, float(p.fitted.arrays["at"])) for p in fits])
        words = ("How they agree", "Read it so.", "Two fits agree.")
        return {"agreement": base.Drawing(Figure(), *words)}


@pytest.fixture(autouse=True)
def _toys(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(base.FAMILIES, "toy", base.Family(f"{__name__}:Toy", False, True))
    monkeypatch.setattr(Toy, "seen", [])
    fitted("rest")


def fitted(dataset, folds=2):
    """Leave behind what fits of two folds do."""
    write_json({"by": "subject", "gap_s": 0, "folds": []}, layout.splits_path(dataset))
    for fold in range(folds):
        folder = layout.fit_dir(dataset, "toy", fold, 0)
        write_dataset(xr.Dataset({"at": float(fold)}), folder / "arrays.nc")
        save_file({}, folder / "weights.safetensors")
        run = {"seed": 0, "fold": fold, "notices": [], "metrics": {"parameters": 12.0}}
        write_json(run, folder / "run.json")
        score = {"name": "r2", "value": 0.5, "rivals": {"mean": 0.1}, "higher_is_better": True,
                 "fold": fold, "seed": 0, "chance": None, "unit": "", "note": ""}  # fmt: skip
        made = {"dataset": dataset, "model": "toy", "family": "toy", "scores": [score]}
        write_json(made, folder / "metrics.json")


def drawn():
    dataset, _ = load_spec(json.dumps(SPEC))
    return [one["title"] for one in collect(dataset, TOLD, "").across["toy"]]


def test_all_fits_are_drawn_together_and_shown():
    aggregate("rest", "toy", [(0, 0), (1, 0)])
    assert Toy.seen == [[("rest", 0, 0, 0.0), ("rest", 1, 0, 1.0)]]
    assert drawn() == ["How they agree"]


def test_a_drawing_older_than_a_fit_is_not_shown():
    aggregate("rest", "toy", [(0, 0), (1, 0)])
    os.utime(layout.fit_dir("rest", "toy", 1, 0) / "metrics.json")
    assert drawn() == []


def test_a_single_fit_and_a_family_without_the_hook_draw_nothing(monkeypatch):
    aggregate("rest", "toy", [(0, 0)])
    assert Toy.seen == []
    monkeypatch.delattr(Toy, "across")
    aggregate("rest", "toy", [(0, 0), (1, 0)])
    assert list(layout.across_dir("rest", "toy").iterdir()) == []


def test_what_was_drawn_before_does_not_stay(monkeypatch):
    aggregate("rest", "toy", [(0, 0), (1, 0)])
    monkeypatch.setattr(Toy, "across", staticmethod(lambda fits: {}))
    aggregate("rest", "toy", [(0, 0), (1, 0)])
    assert list(layout.across_dir("rest", "toy").iterdir()) == []


def test_fits_of_several_datasets_meet_on_the_index():
    fitted("task")
    specs = [{"spec": {**SPEC, "name": name}, "models": TOLD} for name in ("rest", "task")]
    publish.index(json.dumps(specs[:1]))
    assert Toy.seen == []
    publish.index(json.dumps(specs))
    assert [place[:2] for place in Toy.seen[0]] == [("rest", 0), ("rest", 1), ("task", 0),
                                                    ("task", 1)]  # fmt: skip
    page = (layout.RESULTS / "index.html").read_text()
    assert "toy over datasets" in page
    assert "How they agree" in page
    assert "data:image/webp" in page


def test_parameters_stand_beside_the_cost():
    page_of = json.dumps({**SPEC})
    publish.report(page_of, json.dumps(TOLD))
    assert "12 parameters a fit" in (layout.dataset_dir("rest") / "report.html").read_text()

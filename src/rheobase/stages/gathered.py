"""All fits of a model together: their scores, and drawings of what they have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rheobase import layout
from rheobase.models.base import FAMILIES, Drawing, Placed, family
from rheobase.stages.learn import load_fitted, save_drawings
from rheobase.storage import read_json, write_json


def aggregate(dataset: str, model: str, pairs: Sequence[tuple[int, int]]) -> None:
    """Write scores (``metrics.json``) and drawings (``figures``) of all folds and seeds."""
    from rheobase.evaluate.gather import gather

    folders = {pair: layout.fit_dir(dataset, model, *pair) for pair in pairs}
    content = gather([read_json(folder / "metrics.json") for folder in folders.values()])
    drawings = across(content["family"], {dataset: folders})
    there = layout.across_dir(dataset, model)
    there.mkdir(parents=True, exist_ok=True)
    for old in there.iterdir():
        old.unlink()
    save_drawings(drawings, there)
    write_json(content, layout.model_dir(dataset, model) / "metrics.json")


def across(name: str, folders: Mapping[str, Mapping[tuple[int, int], Path]]) -> dict[str, Drawing]:
    """Return what a family draws of several fits; nothing where it does not, or of a single fit.

    ``folders`` are those of the fits, by dataset, then by fold and seed.
    """
    if name not in FAMILIES or sum(map(len, folders.values())) < 2:
        return {}
    draw = getattr(family(name), "across", None)
    if draw is None:
        return {}
    return draw([
        Placed(dataset, fold, seed, load_fitted(folder))
        for dataset, found in folders.items()
        for (fold, seed), folder in found.items()
    ])  # fmt: skip

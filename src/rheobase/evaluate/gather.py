"""Gather the metrics of all fits of a model into one list of scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def gather(fits: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the metrics of a model from the metrics of its fits.

    Scores keep the order of the fit that has most of them (its headline first), then fold and seed.
    Raises ``ValueError`` for no fits, fits of different models, or the same fit twice.
    """
    if not fits:
        raise ValueError("there is no fit to gather; run `rheobase evaluate` first")
    identity = {key: fits[0][key] for key in ("dataset", "model", "family")}
    for fit in fits:
        if any(fit[key] != value for key, value in identity.items()):
            raise ValueError(
                f"metrics of {fit['dataset']}/{fit['model']} do not belong to "
                f"{identity['dataset']}/{identity['model']}; gather one model at a time"
            )
    scores = [dict(score) for fit in fits for score in fit["scores"]]
    seen: set[tuple[Any, ...]] = set()
    for score in scores:
        key = (score["name"], score["fold"], score["seed"])
        if key in seen:
            raise ValueError(
                f"{identity['model']}: score {key[0]!r} of fold {key[1]}, seed {key[2]} is there "
                "twice; name each fit once"
            )
        seen.add(key)
    first = min(
        fits, key=lambda f: (-len(f["scores"]), [(s["fold"], s["seed"]) for s in f["scores"]])
    )
    names = list(
        dict.fromkeys([*(s["name"] for s in first["scores"]), *sorted({s["name"] for s in scores})])
    )
    scores.sort(key=lambda s: (names.index(s["name"]), s["fold"], s["seed"]))
    return {**identity, "scores": scores}

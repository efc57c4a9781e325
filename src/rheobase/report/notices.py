"""What the fits of a model have to say, each thing once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rheobase.evaluate.alike import merged, shape


def gathered_notices(runs: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return every notice of a model's fits once.

    Notices that differ in their numbers alone become one, with the range of each number. One that
    not all fits give says which do.
    """
    alike: dict[str, list[tuple[int, str]]] = {}
    for i, run in enumerate(runs):
        for notice in dict.fromkeys(str(n) for n in run.get("notices") or []):
            alike.setdefault(shape(notice), []).append((i, notice))
    return tuple(
        merged([notice for _, notice in found]) + _where(runs, {i for i, _ in found})
        for found in alike.values()
    )


def _where(runs: Sequence[Mapping[str, Any]], said: set[int]) -> str:
    """Return which fits said it; empty where all did."""
    if len(said) == len(runs):
        return ""
    folds = sorted({runs[i]["fold"] for i in said})
    if len(folds) == len({run["fold"] for run in runs}):
        return f" (in {len(said)} of {len(runs)} fits)"
    return f" (fold{'s' * (len(folds) > 1)} {', '.join(map(str, folds))})"

"""What the fits of a model have to say, each thing once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

NUMBER = re.compile(r"(?<![\w.-])[-\N{MINUS SIGN}]?\d+(?:\.\d+)?(?![\w-]|\.\d)")
"""A number that stands by itself, not one inside of a name such as sub-03"""


def gathered_notices(runs: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return every notice of a model's fits once.

    Notices that differ in their numbers alone become one, with the range of each number. One that
    not all fits give says which do.
    """
    alike: dict[str, list[tuple[int, str]]] = {}
    for i, run in enumerate(runs):
        for notice in dict.fromkeys(str(n) for n in run.get("notices") or []):
            alike.setdefault(NUMBER.sub("#", notice), []).append((i, notice))
    return tuple(
        _merged([notice for _, notice in found]) + _where(runs, {i for i, _ in found})
        for found in alike.values()
    )


def _merged(notices: Sequence[str]) -> str:
    """Return notices that differ in their numbers as one, with the range of each."""
    values = zip(*(NUMBER.findall(notice) for notice in notices), strict=True)
    ranges = iter([_range(texts) for texts in values])
    return NUMBER.sub(lambda _: next(ranges), notices[0])


def _range(texts: Sequence[str]) -> str:
    ordered = sorted(texts, key=lambda text: float(text.replace("\N{MINUS SIGN}", "-")))
    low, high = ordered[0], ordered[-1]
    return low if low == high else f"{low} to {high}"


def _where(runs: Sequence[Mapping[str, Any]], said: set[int]) -> str:
    """Return which fits said it; empty where all did."""
    if len(said) == len(runs):
        return ""
    folds = sorted({runs[i]["fold"] for i in said})
    if len(folds) == len({run["fold"] for run in runs}):
        return f" (in {len(said)} of {len(runs)} fits)"
    return f" (fold{'s' * (len(folds) > 1)} {', '.join(map(str, folds))})"

"""Folds: which samples of which recordings are learnt from, and which are kept for the test.

Groups (subject, session, run, trial) never stand on both sides; a split by time cuts contiguous
blocks and leaves a gap on both sides of the test block. Nothing is shuffled in time. The folds are
made once per dataset and shared by all models and their rivals.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import numpy as np

MIN_TEST_SAMPLES = 20
SHIFT_LIMIT = 2.0
Item = TypeVar("Item", str, int)


@dataclass(frozen=True)
class Part:
    """Samples ``start`` to ``stop`` (end excluded) of a recording; None for its own ends."""

    recording: str
    start: int | None = None
    stop: int | None = None


@dataclass(frozen=True)
class Fold:
    """One fold: what is learnt from and what is tested."""

    fold: int
    train: list[Part]
    test: list[Part]
    shift: dict[str, Any] = field(default_factory=dict)


def to_json(by: str, gap_s: float, folds: Sequence[Fold]) -> dict[str, Any]:
    """Return the content of ``splits.json``."""
    return {"by": by, "gap_s": gap_s, "folds": [asdict(fold) for fold in folds]}


def parts(splits: Mapping[str, Any], fold: int, side: str) -> list[Part]:
    """Return the ``train`` or ``test`` parts of one fold of a ``splits.json``."""
    return [Part(**part) for part in splits["folds"][fold][side]]


def refuse_leak(splits: Mapping[str, Any], fold: int, groups: Mapping[str, str]) -> None:
    """Raise ``ValueError`` where a fold learns from what it is tested on.

    ``groups`` maps recordings to what is left out together (empty for a split within recordings):
    no group may stand on both sides, and no sample of a recording.
    """
    train, test = (parts(splits, fold, side) for side in ("train", "test"))
    both = {groups.get(p.recording) for p in train} & {groups.get(p.recording) for p in test}
    for shared in sorted(name for name in both if name is not None):
        raise ValueError(
            f"fold {fold} has {splits['by']} {shared!r} in its training and in its test part, so "
            "scores would be too good; delete splits.json so that folds are made again"
        )
    ordered = sorted([(*_span(p), 0) for p in train] + [(*_span(p), 1) for p in test])
    for (name, _, stop, side), (other, start, _, next_side) in itertools.pairwise(ordered):
        if name == other and side != next_side and start < stop:
            raise ValueError(
                f"fold {fold} is tested on samples of {name} that it learns from, so scores would "
                "be too good; delete splits.json so that folds are made again"
            )


def _span(part: Part) -> tuple[str, int, float]:
    return part.recording, part.start or 0, float("inf") if part.stop is None else part.stop


def by_group(
    groups: Mapping[str, str], n_folds: int, strata: Mapping[str, str] | None = None
) -> list[Fold]:
    """Leave whole groups out.

    ``groups`` maps recordings to their group, ``strata`` to their class where folds should be
    balanced. Groups are dealt out in an order that depends on their names alone (a hash, so that
    the order of recruitment plays no part). Raises ``ValueError`` with fewer groups than folds, or
    where a fold could not learn a class that it tests.
    """
    members: dict[str, list[str]] = {}
    for recording, group in groups.items():
        members.setdefault(group, []).append(recording)
    if len(members) < n_folds:
        raise ValueError(
            f"{n_folds} folds need {n_folds} groups; there are {len(members)}: lower split.folds"
        )
    classes = {
        group: frozenset((strata or {}).get(r, "") for r in rs) - {""}
        for group, rs in members.items()
    }
    order = sorted(members, key=lambda g: hashlib.sha256(g.encode()).hexdigest())
    held_out = _deal(order, classes, n_folds, what="group")
    return [
        Fold(
            fold=k,
            train=[Part(r) for r, g in groups.items() if held_out[g] != k],
            test=[Part(r) for r, g in groups.items() if held_out[g] == k],
        )
        for k in range(n_folds)
    ]


def _deal(
    order: Sequence[Item], classes: Mapping[Item, Set[str]], n_folds: int, *, what: str
) -> dict[Item, int]:
    """Return the fold that holds each item out: even numbers, each class spread over the folds.

    Items of the same classes are dealt one after the other. An item goes to the smallest fold,
    unless that would put all of a class there.
    """
    total = Counter(c for item in order for c in classes[item])
    sizes, counts = [0] * n_folds, [Counter[str]() for _ in range(n_folds)]
    held_out: dict[Item, int] = {}
    for item in sorted(order, key=lambda i: sorted(classes[i])):
        costs = []
        for k, own in enumerate(counts):
            lost = sum(own[c] + 1 == total[c] for c in classes[item])
            costs.append((lost, sizes[k], sum(own[c] for c in classes[item]), k))
        k = min(costs)[-1]
        held_out[item] = k
        sizes[k] += 1
        counts[k].update(classes[item])
    _all_learnt(held_out, classes, what)
    return held_out


def _all_learnt(held_out: Mapping[Item, int], classes: Mapping[Item, Set[str]], what: str) -> None:
    """Raise ``ValueError`` naming a class that the training part of its fold would lack."""
    places: dict[str, list[Item]] = {}
    for item in held_out:
        for name in classes[item]:
            places.setdefault(name, []).append(item)
    if len(places) < 2:
        return
    for name, items in sorted(places.items()):
        folds = {held_out[item] for item in items}
        if len(folds) == 1:
            where = f"one {what}" if len(items) == 1 else f"{len(items)} {what}s"
            raise ValueError(
                f"class {name!r} is only in {where}, which fold {folds.pop()} tests, "
                "so that its training part lacks it; split by something else or drop the label"
            )


def by_time(lengths: Mapping[str, int], n_folds: int, gap: int) -> list[Fold]:
    """Cut every recording into ``n_folds`` contiguous blocks; ``gap`` samples are lost on both
    sides.

    Raises ``ValueError`` naming a recording whose blocks would be too short.
    """
    folds = []
    for recording, length in lengths.items():
        left = length // n_folds
        if left < MIN_TEST_SAMPLES or length - left - 2 * gap < MIN_TEST_SAMPLES:
            raise ValueError(
                f"{recording} has {length} samples: {n_folds} folds with a gap of {gap} "
                "samples leave blocks "
                f"under {MIN_TEST_SAMPLES}; lower split.folds or split.gap_s"
            )
    for k in range(n_folds):
        train, test = [], []
        for recording, length in lengths.items():
            start, stop = k * length // n_folds, (k + 1) * length // n_folds
            test.append(Part(recording, start, stop))
            if start - gap >= MIN_TEST_SAMPLES:
                train.append(Part(recording, 0, start - gap))
            if length - stop - gap >= MIN_TEST_SAMPLES:
                train.append(Part(recording, stop + gap, length))
        folds.append(Fold(k, train, test))
    return folds


def by_trial(
    trials: Mapping[str, np.ndarray],
    n_folds: int,
    classes: Mapping[str, Mapping[int, Set[str]]] | None = None,
) -> list[Fold]:
    """Leave whole trials out; ``trials`` holds a trial number a sample (0: no trial, never used).

    The same number in two recordings is the same repetition and falls on the same side.
    ``classes`` maps recordings to the classes of their trials, over which folds are balanced.
    Raises ``ValueError`` with fewer trials than folds, or where a fold could not learn a class
    that it tests.
    """
    numbers = sorted({int(n) for values in trials.values() for n in np.unique(values) if n != 0})
    if len(numbers) < n_folds:
        raise ValueError(
            f"{n_folds} folds need {n_folds} trials; there are {len(numbers)}: lower split.folds"
        )
    found = {
        number: frozenset(c for of in (classes or {}).values() for c in of.get(number, ()))
        for number in numbers
    }
    held_out = _deal(numbers, found, n_folds, what="trial")
    folds = [Fold(k, [], []) for k in range(n_folds)]
    for recording, values in trials.items():
        edges = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
        for start, stop in itertools.pairwise(edges):
            if values[start] == 0:
                continue
            for fold in folds:
                side = fold.test if held_out[int(values[start])] == fold.fold else fold.train
                side.append(Part(recording, start, stop))
    return folds


def shift(train: np.ndarray, test: np.ndarray) -> dict[str, Any]:
    """Say how far the test part lies from the training part, in training spreads.

    Both are (stretch, feature) log amplitudes of the units. The distance is the median over
    features of |median(test) - median(train)| / (1.4826 MAD of train); above ``SHIFT_LIMIT`` it is
    flagged (chosen here).
    """
    centre = np.median(train, axis=0)
    spread = 1.4826 * np.median(np.abs(train - centre), axis=0)
    spread = np.maximum(spread, 0.05)
    value = float(np.median(np.abs(np.median(test, axis=0) - centre) / spread))
    return {"value": round(value, 3), "limit": SHIFT_LIMIT, "flag": value > SHIFT_LIMIT}

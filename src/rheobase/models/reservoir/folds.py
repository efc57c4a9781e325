"""Inner folds of training recordings: by group, or forward in time where there is one group.

A part is a stretch of one recording, run from rest on its own. Within a group, training and
held-out parts are ``gap`` samples apart, and the held-out part is the later one; ``gap`` is at
least the washout and the longest horizon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rheobase.models.inputs import dealt
from rheobase.models.reservoir.sequences import check_washout


@dataclass(frozen=True)
class Part:
    """Samples ``start`` to ``stop`` of one recording."""

    recording: int
    start: int
    stop: int


@dataclass(frozen=True)
class Split:
    """What an inner fold learns from, and what it is judged by."""

    train: tuple[Part, ...]
    held: tuple[Part, ...]


@dataclass(frozen=True, eq=False)
class Fold:
    """The arrays of a split, inputs standardised by its own training part."""

    inputs: list[np.ndarray]
    """(time, channel) each, training parts first"""
    targets: list[np.ndarray]
    """(time, target) each"""
    training: int
    """How many of them are training parts"""
    washout: int
    thin: int = 1
    """One sample of so many enters the sums"""

    def labels(self) -> list[np.ndarray]:
        """Return 0 for training and 1 for held-out samples, -1 where a target is not known."""
        made = []
        for number, target in enumerate(self.targets):
            used = np.isfinite(target).all(axis=1) & (np.arange(len(target)) % self.thin == 0)
            made.append(np.where(used, int(number >= self.training), -1))
        return made


def splits(
    lengths: Sequence[int], groups: Sequence[str], *, folds: int, gap: int, least: int
) -> list[Split]:
    """Return up to ``folds`` inner folds of recordings of these lengths.

    Whole groups are held out in turns where there are two or more. One group is cut into
    ``folds + 1`` blocks of time, its recordings one after another: each is forecast from all before
    it. Parts shorter than ``least`` samples are left out; raises ``ValueError`` where none is left.
    """
    if len(set(groups)) > 1:
        fold_of = dealt(groups, min(folds, len(set(groups))))
        whole = [Part(number, 0, length) for number, length in enumerate(lengths)]
        return [
            Split(tuple(p for p, f in zip(whole, fold_of, strict=True) if f != fold),
                  tuple(p for p, f in zip(whole, fold_of, strict=True) if f == fold))
            for fold in range(fold_of.max() + 1)
        ]  # fmt: skip
    total, made = sum(lengths), []
    edges = np.linspace(0, total, folds + 2).astype(int)
    for border, end in zip(edges[1:-1], edges[2:], strict=True):
        train = _cut(lengths, 0, int(border), least)
        held = _cut(lengths, int(border) + gap, int(end), least)
        if not train or not held:
            raise ValueError(
                f"{total} samples of the training part in {folds} inner folds with a gap of {gap} "
                f"leave parts shorter than {least}, so give longer recordings, fewer inner folds "
                "or several recordings"
            )
        made.append(Split(train, held))
    return made


def labels(
    lengths: Sequence[int], groups: Sequence[str], *, folds: int, gap: int
) -> tuple[list[np.ndarray], int]:
    """Return the inner fold of every sample, (time,) each, and how many folds there are.

    Whole groups where there are two or more; else blocks of time, and the first ``gap`` samples of
    each later block carry the number of folds, which means none. Raises ``ValueError`` where time
    is too short for two blocks.
    """
    if len(set(groups)) > 1:
        count = min(folds, len(set(groups)))
        own = dealt(groups, count)
        return [np.full(n, fold) for n, fold in zip(lengths, own, strict=True)], count
    total = sum(lengths)
    count = min(folds, total // (2 * gap))
    if count < 2:
        raise ValueError(
            f"{total} samples are too few to choose a penalty in two blocks with a gap of {gap}; "
            "give longer recordings, or lower washout or horizons"
        )
    whole = np.arange(total) * count // total
    for fold in range(1, count):
        first = int(np.argmax(whole == fold))
        whole[first : first + gap] = count
    return np.split(whole, np.cumsum(lengths)[:-1]), count


def _cut(lengths: Sequence[int], start: int, stop: int, least: int) -> tuple[Part, ...]:
    """Return the parts of ``start`` to ``stop``, counted over recordings one after another."""
    ends = np.cumsum([0, *lengths]).tolist()
    found = [
        Part(number, max(start - first, 0), min(stop - first, length))
        for number, (first, length) in enumerate(zip(ends[:-1], lengths, strict=True))
    ]
    return tuple(part for part in found if part.stop - part.start >= least)


def fold(
    split: Split, inputs: Sequence[np.ndarray], targets: Sequence[np.ndarray], *, washout: int
) -> Fold:
    """Return the arrays of a split; inputs are z-scored by its training samples alone."""
    parts = [*split.train, *split.held]
    check_washout([p.stop - p.start for p in parts], washout,
                  [f"recording {p.recording}" for p in parts])  # fmt: skip
    seen = np.concatenate([inputs[p.recording][p.start : p.stop] for p in split.train])
    mean, deviation = seen.mean(axis=0), seen.std(axis=0)
    deviation = np.where(deviation > 1e-12 * (1 + np.abs(mean)), deviation, 1.0)
    return Fold(
        [(inputs[p.recording][p.start : p.stop] - mean) / deviation for p in parts],
        [targets[p.recording][p.start : p.stop] for p in parts],
        len(split.train),
        washout,
    )

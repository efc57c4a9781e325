"""Inner folds of training recordings: by group, or forward in time where there is one group.

A part is a stretch of one recording, run from rest on its own. Within a recording, training and
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

    def labels(self) -> list[np.ndarray]:
        """Return 0 for training and 1 for held-out samples, -1 where a target is not known."""
        return [
            np.where(np.isfinite(target).all(axis=1), int(number >= self.training), -1)
            for number, target in enumerate(self.targets)
        ]


def splits(
    lengths: Sequence[int], groups: Sequence[str], *, folds: int, gap: int, least: int
) -> list[Split]:
    """Return up to ``folds`` inner folds of recordings of these lengths.

    Whole groups are held out in turns where there are two or more. One group is cut into
    ``folds + 1`` blocks of time: each is forecast from all before it. Raises ``ValueError`` where
    a part would be shorter than ``least`` samples.
    """
    if len(set(groups)) > 1:
        fold_of = dealt(groups, min(folds, len(set(groups))))
        whole = [Part(number, 0, length) for number, length in enumerate(lengths)]
        return [
            Split(tuple(p for p, f in zip(whole, fold_of, strict=True) if f != fold),
                  tuple(p for p, f in zip(whole, fold_of, strict=True) if f == fold))
            for fold in range(fold_of.max() + 1)
        ]  # fmt: skip
    made = []
    for fold in range(folds):
        train, held = [], []
        for number, length in enumerate(lengths):
            edges = np.linspace(0, length, folds + 2).astype(int)
            train.append(Part(number, 0, int(edges[fold + 1])))
            held.append(Part(number, int(edges[fold + 1]) + gap, int(edges[fold + 2])))
        made.append(Split(tuple(train), tuple(held)))
    for part in (part for split in made for side in (split.train, split.held) for part in side):
        if part.stop - part.start < least:
            raise ValueError(
                f"recording {part.recording} has {lengths[part.recording]} samples; {folds} inner "
                f"folds with a gap of {gap} leave parts shorter than {least}, so give longer "
                "recordings, fewer inner folds or several recordings"
            )
    return made


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

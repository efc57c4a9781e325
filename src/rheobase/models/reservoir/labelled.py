"""Labelled windows of stretches: what is decoded, and where its states are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rheobase.models.decoding import examples
from rheobase.models.decoding.examples import Examples, How
from rheobase.models.inputs import by_name
from rheobase.models.reservoir.stretches import Stretch


@dataclass(frozen=True, eq=False)
class Labelled:
    """Examples ordered by stretch, with the features of the linear rival."""

    examples: Examples
    stretch: np.ndarray
    """Number of the stretch, (example,)"""
    start: np.ndarray
    """First sample of the window, counted from the start of the stretch, (example,)"""
    width: int
    """Samples of a window; 0: from ``start`` to the end of the stretch"""

    def starts(self, stretches: int) -> list[np.ndarray]:
        """Return the first samples of the windows of each stretch."""
        return [self.start[self.stretch == number] for number in range(stretches)]


def labelled(
    stretches: Sequence[Stretch], how: How, *, delay: int, washout: int
) -> Labelled:  # fmt: skip
    """Return the labelled windows that begin after the washout of their stretch.

    A window has one label, lies in one stretch, and is read ``delay`` samples later. One label a
    recording: the window is all of its longest stretch. Raises ``NotDecodableError`` where no
    labelled window is left.
    """
    if how.features == "connectivity":
        return _whole(stretches, how, washout)
    segments = list(dict.fromkeys(one.place for one in stretches))
    given = {one.place: one.segment for one in stretches}
    width = max(round(how.window_s * given[segments[0]].rate), 1)
    width = width if how.features == "windows" else 1
    parts, owners, starts = [], [], []
    for place in segments:
        whole = examples.of_segment(given[place], how, delay=delay)
        at = whole.order + delay
        for number, one in enumerate(stretches):
            if one.place != place:
                continue
            inside = (at >= one.piece.start + washout) & (at + width <= one.piece.stop)
            parts.append(whole.take(inside))
            owners.append(np.full(int(inside.sum()), number))
            starts.append(at[inside] - one.piece.start)
    return _kept(parts, owners, starts, stretches, how, width)


def _whole(stretches: Sequence[Stretch], how: How, washout: int) -> Labelled:
    parts, owners, starts = [], [], []
    for segments in by_name([one.segment for one in stretches]).values():
        own = [n for n, one in enumerate(stretches) if one.segment.name == segments[0].name]
        longest = max(own, key=lambda n: stretches[n].length)
        unique = list({id(segment): segment for segment in segments}.values())
        parts.append(examples.of_recording(unique))
        owners.append(np.array([longest]))
        starts.append(np.array([washout]))
    return _kept(parts, owners, starts, stretches, how, 0)


def _kept(
    parts: list[Examples], owners: list[np.ndarray], starts: list[np.ndarray],
    stretches: Sequence[Stretch], how: How, width: int,
) -> Labelled:  # fmt: skip
    together = examples.joined(parts)
    owner, start = np.concatenate(owners), np.concatenate(starts)
    rows = np.flatnonzero(examples.usable(together, [one.segment for one in stretches], how))
    rows = rows[np.lexsort((start[rows], owner[rows]))]
    kept = examples.exchangeable(together.take(rows))
    return Labelled(kept, owner[rows], start[rows], width)


def class_weights(y: np.ndarray, *, kind: str) -> np.ndarray:
    """Return what an example counts, so that classes count alike; 1 on average, (example,)."""
    if kind == "value":
        return np.ones(len(y))
    names, code, counts = np.unique(y, return_inverse=True, return_counts=True)
    return len(y) / (len(names) * counts[code])


def folds_of(found: Labelled, labels: Sequence[np.ndarray], folds: int) -> np.ndarray:
    """Return the inner fold of each window, ``folds`` where it is in none or in two, (example,)."""
    made = np.full(len(found.start), folds)
    for number, label in enumerate(labels):
        own = found.stretch == number
        first = found.start[own]
        last = first + found.width - 1 if found.width else np.full(len(first), len(label) - 1)
        made[own] = np.where(label[first] == label[last], label[first], folds)
    return made

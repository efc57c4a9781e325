"""Labelled windows of recordings, as the network and its rivals are given them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rheobase.models.decoding import examples
from rheobase.models.decoding.examples import Examples, How, NotDecodableError
from rheobase.models.inputs import by_name
from rheobase.models.spiking.settings import Scale
from rheobase.recording import Recording

NO_LABEL = "a spiking network tells a label, and here is none"


@dataclass(frozen=True, eq=False)
class Taken:
    """Where the windows of recordings lie, and their labels; cut from the signals on demand."""

    segments: list[Recording]
    examples: Examples
    """Without features; ``unit`` is what may change labels under the null"""
    run: np.ndarray
    """Trial, or stretch of one label, of each window, (example,)"""
    segment: np.ndarray
    """Number of the segment, (example,)"""
    start: np.ndarray
    """First sample in the segment, (example,)"""
    width: int

    def __len__(self) -> int:
        return len(self.start)

    def cut(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Return windows (example, sample, unit) float32, as they were recorded."""
        rows = np.arange(len(self)) if rows is None else rows
        made = np.empty((len(rows), self.width, self.segments[0].signal.shape[1]), np.float32)
        for number, segment in enumerate(self.segments):
            own = np.flatnonzero(self.segment[rows] == number)
            if not len(own):
                continue
            view = np.lib.stride_tricks.sliding_window_view(segment.signal, self.width, axis=0)
            made[own] = view[self.start[rows[own]]].transpose(0, 2, 1)
        return made


def how_of(scale: Scale, recording: Recording, ignore: Sequence[str]) -> How:
    """Return how labels of windows are read; raises ``NotDecodableError`` where there is none."""
    if recording.label_name is None:
        raise NotDecodableError(
            f"{recording.name}: {NO_LABEL}; give the dataset a label, or take the model out"
        )
    return How("windows", recording.label_kind or "class", scale.window_s, scale.hop_s,
               scale.trim_s, tuple(str(name) for name in ignore))  # fmt: skip


def take(recordings: Sequence[Recording], how: How, scale: Scale) -> Taken:
    """Return the windows of one label in one unbroken piece, those without a label left out.

    The signal is read ``scale.delay`` samples after the label. Raises ``NotDecodableError`` where
    no window is left.
    """
    segments = [one for named in by_name(recordings).values() for one in named]
    parts, places, starts = [], [], []
    for number, segment in enumerate(segments):
        whole = examples.of_segment(segment, how, delay=0)
        piece = np.full(len(segment.valid), -1)
        for place, one in enumerate(segment.pieces()):
            piece[one] = place
        last = whole.order + scale.delay + scale.width - 1
        inside = last < len(piece)
        inside[inside] &= piece[last[inside]] == piece[whole.order[inside]]
        parts.append(whole.take(inside))
        places.append(np.full(int(inside.sum()), number))
        starts.append(whole.order[inside] + scale.delay)
    together = examples.joined(parts)
    rows = np.flatnonzero(examples.usable(together, segments, how))
    kept = together.take(rows)
    return Taken(segments, examples.exchangeable(kept), kept.unit, np.concatenate(places)[rows],
                 np.concatenate(starts)[rows], scale.width)  # fmt: skip


def even(y: np.ndarray, most: int) -> np.ndarray:
    """Return rows in which all classes are alike, ``most`` in all at most, in order.

    Many windows of a class are thinned evenly, few are repeated; values are thinned only.
    """
    if y.dtype.kind == "f":
        return np.arange(min(most, len(y))) * len(y) // min(most, len(y))
    names, counts = np.unique(y, return_counts=True)
    wanted = max(min(most // len(names), int(counts.max())), 1)
    rows = []
    for name in names:
        own = np.flatnonzero(y == name)
        if len(own) >= wanted:
            rows.append(own[np.arange(wanted) * len(own) // wanted])
        else:
            rows.append(np.resize(own, wanted))
    return np.sort(np.concatenate(rows))

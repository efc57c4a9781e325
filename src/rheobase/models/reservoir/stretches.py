"""Recordings as reservoirs see them: unbroken stretches, standardised, in few channels.

Every stretch is run from rest. Means, deviations and principal axes are those of the recordings
that they are fitted on, and are applied to others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rheobase.models.inputs import in_order, inner_groups
from rheobase.recording import Recording


@dataclass(frozen=True, eq=False)
class Stretch:
    """One piece of one segment of a recording."""

    segment: Recording
    piece: slice
    place: int
    """Of the segment among those given"""

    @property
    def signal(self) -> np.ndarray:
        """Return the samples, (time, unit) float64."""
        return self.segment.signal[self.piece].astype(np.float64)

    @property
    def length(self) -> int:
        return self.piece.stop - self.piece.start


@dataclass(frozen=True, eq=False)
class Front:
    """What turns a signal into the input of a reservoir."""

    mean: np.ndarray
    """(unit,)"""
    scale: np.ndarray
    """(unit,)"""
    axes: np.ndarray | None
    """Principal axes (unit, channel) over the root of their mean variance; None: all units"""

    @property
    def channels(self) -> int:
        return len(self.mean) if self.axes is None else self.axes.shape[1]

    def standard(self, signal: np.ndarray) -> np.ndarray:
        """Return the signal (time, unit) in standard deviations."""
        return (signal - self.mean) / self.scale

    def inputs(self, standard: np.ndarray) -> np.ndarray:
        """Return the input (time, channel) of a standardised signal."""
        return standard if self.axes is None else standard @ self.axes


def cut(recordings: Sequence[Recording], *, least: int) -> list[Stretch]:
    """Return the stretches of at least so many samples, by name and time.

    Recordings of one class each are ordered by it first, so that inner folds hold all classes.
    """
    segments = sorted(in_order(recordings), key=_class_of)
    return [
        Stretch(segment, piece, place)
        for place, segment in enumerate(segments)
        for piece in segment.pieces()
        if piece.stop - piece.start >= least
    ]


def _class_of(recording: Recording) -> str:
    label = recording.label if recording.label_name and recording.label_kind == "class" else ""
    return "" if isinstance(label, np.ndarray) else str(label)


def groups_of(stretches: Sequence[Stretch]) -> list[str]:
    """Return what inner folds keep together: people or recordings where there are three, else two
    recordings; the same name for all where there is one.
    """
    names = [one.segment.name for one in stretches]
    return inner_groups([one.segment.subject for one in stretches], names) or names


def front_of(signals: Sequence[np.ndarray], *, components: int) -> Front:
    """Return the front end of these signals: as many principal axes as ``components`` at most."""
    whole = np.concatenate(signals)
    mean, deviation = whole.mean(axis=0), whole.std(axis=0)
    scale = np.where(deviation > 1e-12 * (1 + np.abs(mean)), deviation, 1.0)
    return Front(mean, scale, _axes((whole - mean) / scale, components))


def _axes(standard: np.ndarray, components: int) -> np.ndarray | None:
    if standard.shape[1] <= components:
        return None
    values, vectors = np.linalg.eigh(standard.T @ standard / len(standard))
    values, vectors = values[::-1][:components], vectors[:, ::-1][:, :components]
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(components)])
    return vectors * signs / np.sqrt(values.mean())

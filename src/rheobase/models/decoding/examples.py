"""Labelled examples: what is decoded, from what, and which examples belong together.

Three ways, by modality and label: ``connectivity`` (one example a recording: Fisher-z
correlations), ``windows`` (EMG: log(1 + RMS) of each channel) and ``samples`` (one example a
sample).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rheobase import metrics
from rheobase.models.decoding.labels import (
    How,
    NotDecodableError,
    choose,
    classes_in,
    label_of,
    too_short,
)
from rheobase.models.inputs import by_name, own_standard
from rheobase.recording import Recording

__all__ = [
    "Examples", "How", "NotDecodableError", "choose", "exchangeable", "gather", "label_of",
    "joined", "label_runs", "of_recording", "of_segment", "strata", "usable",
]  # fmt: skip


@dataclass(frozen=True)
class Examples:
    """Features with their labels; all arrays run over examples."""

    x: np.ndarray
    """(example, feature) float64"""
    y: np.ndarray
    """Class names, or float64 values"""
    subject: np.ndarray
    recording: np.ndarray
    unit: np.ndarray
    """Names of what may change labels under the null: person, recording, trial or run of a label"""
    within: bool
    """Whether labels change within a recording"""
    order: np.ndarray
    """Place in time, counted over the concatenated recordings"""

    def take(self, keep: np.ndarray) -> Examples:
        """Return the chosen examples."""
        kept = {k: v[keep] for k, v in vars(self).items() if k != "within"}
        return Examples(**kept, within=self.within)


def gather(recordings: Sequence[Recording], how: How, *, delay: int = 0) -> Examples:
    """Return the labelled examples of the recordings; ``delay`` in samples, label before signal.

    Raises ``NotDecodableError`` where no labelled example is left.
    """
    parts = []
    for segments in by_name(recordings).values():
        if how.features == "connectivity":
            parts.append(of_recording(segments))
        else:
            parts += [of_segment(segment, how, delay=delay) for segment in segments]
    examples = joined(parts)
    return exchangeable(examples.take(usable(examples, recordings, how)))


def of_segment(segment: Recording, how: How, *, delay: int = 0) -> Examples:
    """Return the examples of windows or samples; ``order`` is where in the segment they begin."""
    make = _windows if how.features == "windows" else _samples
    return make(segment, how, delay)


def joined(parts: Sequence[Examples]) -> Examples:
    """Return the examples of all parts, their place in time counted on from part to part."""
    shift = np.cumsum([0, *(part.order.max(initial=-1) + 1 for part in parts)])
    arrays = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("x", "y", "subject", "recording", "unit")
    }
    order = np.concatenate([part.order + s for part, s in zip(parts, shift, strict=False)])
    return Examples(**arrays, within=any(part.within for part in parts), order=order)


def usable(examples: Examples, recordings: Sequence[Recording], how: How) -> np.ndarray:
    """Return which examples carry a label that is not ignored, (example,).

    Raises ``NotDecodableError`` where none does.
    """
    labelled = np.isfinite(examples.y) if how.kind == "value" else examples.y != ""
    if how.kind == "class" and how.ignore:
        labelled &= ~np.isin(examples.y, how.ignore)
    if not labelled.any() and classes_in(recordings, how):
        raise NotDecodableError(
            f"{recordings[0].name}: label {recordings[0].label_name!r} has no example left: "
            f"{too_short(recordings, how)}"
        )
    if not labelled.any():
        raise NotDecodableError(
            f"{recordings[0].name}: no example carries a usable label {recordings[0].label_name!r} "
            f"(ignored: {', '.join(how.ignore) or 'none'}); check the labels or ignore_labels"
        )
    return labelled


def exchangeable(examples: Examples) -> Examples:
    """Return the examples with the largest units that have one label: person, recording or run."""
    person = _varies(examples.subject, examples.y)
    recording = _varies(examples.recording, examples.y)
    unit = np.where(recording, examples.unit, examples.recording)
    return replace(examples, unit=np.where(person, unit, examples.subject))


def strata(examples: Examples) -> np.ndarray:
    """Return the name of what each example's unit may change labels in, (example,).

    The runs of a recording with several labels change within it, the recordings of a person with
    several labels within that person, and people with one label among each other.
    """
    inside = np.char.add("recording ", examples.recording.astype(str))
    own = np.char.add("person ", examples.subject.astype(str))
    name = np.where(_varies(examples.recording, examples.y), inside, own)
    return np.where(_varies(examples.subject, examples.y), name, "people")


def _varies(group: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return whether each example's group has more than one label, (example,)."""
    several = {g: len(np.unique(y[group == g])) > 1 for g in np.unique(group)}
    return np.array([several[g] for g in group], bool)


def of_recording(segments: Sequence[Recording]) -> Examples:
    """Return one example: the Fisher-z correlations of a recording."""
    first = segments[0]
    label = label_of(first)
    features = metrics.fisher_z(metrics.edges(metrics.correlation(own_standard(segments))))
    name = np.array([first.name])
    return Examples(
        features[None],
        np.array([label]),
        np.array([first.subject]),
        name,
        name,
        False,
        np.zeros(1, int),
    )


def label_runs(recording: Recording) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return each sample's label, its run (a trial or a stretch of one label), and if it varies."""
    label = label_of(recording)
    length = len(recording.valid)
    if not isinstance(label, np.ndarray):
        return np.full(length, label), np.zeros(length, int), False
    changed = np.zeros(length, bool)
    sources = [np.asarray(label)] if recording.label_kind == "class" else []
    sources += [recording.data[k].values for k in ("trial", "block") if k in recording.data]
    for values in sources:
        changed[1:] |= values[1:] != values[:-1]
    return np.asarray(label), np.cumsum(changed), True


def _build(
    recording: Recording,
    x: np.ndarray,
    y: np.ndarray,
    run: np.ndarray,
    at: np.ndarray,
    within: bool,
) -> Examples:
    n = len(x)
    start = float(recording.time[0])
    unit = np.array([f"{recording.name} {start:g} {r}" if within else recording.name for r in run])
    return Examples(
        x, y, np.full(n, recording.subject), np.full(n, recording.name),
        unit.astype(str), within, at,
    )  # fmt: skip


def _samples(recording: Recording, how: How, delay: int) -> Examples:
    """Return one example a sample: the signal ``delay`` samples after the label, in one piece."""
    label, run, within = label_runs(recording)
    times = [np.arange(p.start, p.stop - delay) for p in recording.pieces()]
    at = np.concatenate([np.zeros(0, int), *times])
    x = recording.signal[at + delay].astype(np.float64)
    return _build(recording, x, label[at], run[at], at, within)


def _windows(recording: Recording, how: How, delay: int) -> Examples:
    """Return one example a window of constant label: log(1 + RMS) of each channel.

    Windows lie in one piece, and the first ``trim_s`` seconds after each switch of a label that
    varies are left out. A value is averaged over the window.
    """
    width, hop = (max(round(s * recording.rate), 1) for s in (how.window_s, how.hop_s))
    if width < 2:
        raise ValueError(
            f"{recording.name}: window_s {how.window_s} holds {width} sample at {recording.rate} "
            f"samples a {recording.time_unit}; make it longer"
        )
    label, run, within = label_runs(recording)
    trim = round(how.trim_s * recording.rate) if within and how.kind == "class" else 0
    starts = []
    for piece in recording.pieces():
        switches = np.flatnonzero(np.diff(run[piece])) + piece.start + 1
        edges = [piece.start, *switches, piece.stop]
        for i, (a, b) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
            starts.append(np.arange(a + (trim if i else 0), b - width + 1, hop))
    at = np.concatenate([np.zeros(0, int), *starts]).astype(int)
    power = np.cumsum(np.pad(recording.signal.astype(np.float64) ** 2, ((1, 0), (0, 0))), axis=0)
    x = np.log1p(np.sqrt(np.maximum(power[at + width] - power[at], 0) / width))
    y = label[at]
    if how.kind == "value":
        missing = ~np.isfinite(label.astype(np.float64))
        total, gaps = (
            np.cumsum(np.pad(values, (1, 0)))
            for values in (np.where(missing, 0, label).astype(np.float64), missing.astype(int))
        )
        y = (total[at + width] - total[at]) / width
        y = np.where(gaps[at + width] > gaps[at], np.nan, y)
    return _build(recording, x, y, run[at], at, within)

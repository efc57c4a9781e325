"""What goes into the linear family: checked recordings, training means, standardised pieces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from rheobase.recording import Recording


def check(
    recordings: Sequence[Recording], *, part: str, units: Sequence[str] | None = None
) -> None:
    """Raise ``ValueError`` naming recording and culprit where these cannot be modelled together.

    ``units`` are the names that the training part had.
    """
    if not recordings:
        raise ValueError(f"the {part} part holds no recording; give it at least one")
    first = recordings[0]
    expected = first.unit_names if units is None else list(units)
    for recording in recordings:
        _check_one(recording, first, expected, "the training part" if units else first.name)


def long_enough(
    recordings: Sequence[Recording], *, part: str, reach: int, needs: str = "the longest horizon"
) -> tuple[list[Recording], tuple[str, ...]]:
    """Return the recordings with a piece of ``reach`` samples, in order, and what was left out.

    ``needs`` says in the sentence what such a piece is needed for.
    Raises ``ValueError`` where that is all of them.
    """
    longest: dict[str, int] = {}
    for recording in recordings:
        length = max((s.stop - s.start for s in recording.pieces()), default=0)
        longest[recording.name] = max(length, longest.get(recording.name, 0))
    short = {
        name: f"{name}: its longest unbroken stretch in the {part} part has {length} samples; "
        f"{needs} need{'s' * (' and ' not in needs)} {reach}"
        for name, length in sorted(longest.items())
        if length < reach
    }
    if len(short) == len(longest):
        raise ValueError(
            f"{next(iter(short.values()))}, so shorten horizons or leave the recording out"
        )
    kept = [r for r in in_order(recordings) if r.name not in short]
    return kept, tuple(f"{sentence}, so it is left out" for sentence in short.values())


def _check_one(recording: Recording, first: Recording, units: list[str], other: str) -> None:
    if recording.modality != first.modality:
        raise ValueError(
            f"{recording.name} is {recording.modality} but {first.name} is {first.modality}; "
            "give one modality"
        )
    if abs(recording.rate - first.rate) > 1e-6 * first.rate:
        raise ValueError(
            f"{recording.name} has {recording.rate} samples a {recording.time_unit} but "
            f"{first.name} has {first.rate}; resample one of them"
        )
    names = recording.unit_names
    if names != units:
        differ = sorted(set(names) ^ set(units)) or ["the order"]
        remedy = f"give both the same {recording.unit_dim}s"
        if recording.modality == "calcium":
            remedy = "cells of two animals cannot be matched: make a dataset of each, split by time"
        raise ValueError(
            f"{recording.name} has {len(names)} {recording.unit_dim}s and {other} has {len(units)}"
            f"; they differ in {', '.join(differ[:5])}; {remedy}"
        )
    bad = ~np.isfinite(recording.signal).all(axis=0)
    if bad.any():
        culprit = np.asarray(names)[bad][0]
        raise ValueError(f"{recording.name}: {recording.unit_dim} {culprit} holds NaN; repair it")


def by_name(recordings: Sequence[Recording]) -> dict[str, list[Recording]]:
    """Return the segments of each recording, names sorted, segments in order of time."""
    ordered = sorted(recordings, key=lambda r: (r.name, float(r.time[0])))
    names = sorted({r.name for r in ordered})
    return {name: [r for r in ordered if r.name == name] for name in names}


def in_order(recordings: Sequence[Recording]) -> list[Recording]:
    """Return the segments sorted by name and time, so that their order given does not matter."""
    return [segment for segments in by_name(recordings).values() for segment in segments]


def scaler(recordings: Sequence[Recording]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each unit over all valid samples, (unit,) float64.

    The deviation of a constant unit is given as 1.
    """
    count = sum(int(r.valid.sum()) for r in recordings)
    mean = sum(r.signal[r.valid].sum(axis=0, dtype=np.float64) for r in recordings) / count
    power = sum(((r.signal[r.valid] - mean) ** 2).sum(axis=0) for r in recordings) / count
    deviation = np.sqrt(power)
    return np.asarray(mean), np.where(deviation > 1e-12 * (1 + np.abs(mean)), deviation, 1.0)


def pieces(
    recordings: Sequence[Recording], mean: np.ndarray, scale: np.ndarray, *, least: int = 1
) -> Iterator[np.ndarray]:
    """Yield the standardised pieces (time, unit) float64 of at least ``least`` samples."""
    for recording in recordings:
        for piece in recording.pieces():
            if piece.stop - piece.start >= least:
                yield (recording.signal[piece] - mean) / scale


def own_standard(recordings: Sequence[Recording]) -> np.ndarray:
    """Return all valid samples of one recording's segments, by their own mean and SD."""
    mean, scale = scaler(recordings)
    return np.concatenate(list(pieces(recordings, mean, scale)))


def dealt(groups: Sequence[str], folds: int) -> np.ndarray:
    """Return the fold of each group's members, whole groups dealt out in the order they come."""
    place = {name: i % folds for i, name in enumerate(dict.fromkeys(groups))}
    return np.array([place[name] for name in groups], int)


def inner_groups(subjects: Sequence[str], names: Sequence[str]) -> list[str] | None:
    """Return what inner folds keep together: people, else recordings; None below three of both."""
    for groups in (list(subjects), list(names)):
        if len(set(groups)) >= 3:
            return groups
    return None


def smooth_note(recordings: Sequence[Recording], autocorrelation: np.ndarray) -> str:
    """Return what forecast scores of such signals are worth; empty where nothing speaks against."""
    steps = [step for recording in recordings for step in recording.steps]
    banded = any("band-pass" in str(step.get("step", "")) for step in steps)
    typical = float(np.median(autocorrelation))
    said = []
    if banded or typical > 0.8:
        said.append(
            "the signal is band-limited, so one-step scores say little "
            f"(median lag-1 autocorrelation {typical:.2f})"
        )
    if looked_ahead := acausal_note(recordings):
        said.append(f"{looked_ahead}, so forecasts are flattered")
    return "; ".join(said)


def acausal_note(recordings: Sequence[Recording]) -> str:
    """Return which steps of preprocessing used the whole recording; empty where none did."""
    steps = [step for recording in recordings for step in recording.steps]
    acausal = list(dict.fromkeys(str(s.get("step")) for s in steps if s.get("acausal")))
    if not acausal:
        return ""
    return f"preprocessing let later samples change earlier ones ({', '.join(acausal)})"

"""Recordings cut into segments of about 15 seconds, each run standardised by itself."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from rheobase.recording import Recording

LEAST_SEGMENTS = 4
MOST_FLAGGED = 0.2
"""Share of flagged frames above which a segment is hidden whole and not scored."""
MOST_UNUSED = 0.05
"""Share of unused frames above which it is said why they are not used."""


@dataclass(frozen=True)
class Run:
    """One unbroken stretch of a recording, each region standardised over its valid frames."""

    name: str
    subject: str
    signal: np.ndarray
    """(time, region) float32"""
    valid: np.ndarray
    """(time,) bool"""
    start_s: float


def samples_per_segment(repetition_time_s: float, segment_s: float) -> int:
    """Return the samples a segment, at least 2; halves are rounded up."""
    return max(2, math.floor(segment_s / repetition_time_s + 0.5))


def runs(recordings: Sequence[Recording], samples: int) -> tuple[list[Run], tuple[str, ...]]:
    """Return the unbroken stretches of 4 usable segments or more, and what was left out.

    Flagged frames stay in place; only a change of ``block`` breaks a recording. A segment is usable
    where at most a fifth of it is flagged. Mean and standard
    deviation are those of the recording's own valid frames, so nothing passes between recordings.
    Raises ``ValueError`` where nothing is long enough.
    """
    made, short = [], []
    for recording in sorted(recordings, key=lambda r: (r.name, float(r.time[0]))):
        kept = recording.signal[recording.valid].astype(np.float64)
        mean, scale = kept.mean(axis=0), kept.std(axis=0)
        scale = np.where(scale > 1e-12 * (1 + np.abs(mean)), scale, 1.0)
        long_enough = False
        for part in _stretches(recording):
            if usable(recording.valid[part], samples).sum() < LEAST_SEGMENTS:
                continue
            long_enough = True
            signal = ((recording.signal[part] - mean) / scale).astype(np.float32)
            start_s = float(recording.time[part.start])
            valid = recording.valid[part].copy()
            made.append(Run(recording.name, recording.subject, signal, valid, start_s))
        if not long_enough:
            short.append(
                f"{recording.name} has no unbroken stretch with {LEAST_SEGMENTS} segments of "
                f"{samples} volumes of which at most {MOST_FLAGGED:.0%} are flagged, so it is left "
                "out"
            )
    if not made:
        raise ValueError(f"{short[0]}; give longer runs, a shorter segment_s or milder censoring")
    return made, (*short, *_unused(recordings, made, samples))


def usable(valid: np.ndarray, samples: int) -> np.ndarray:
    """Return which whole segments are not mostly flagged, (segment,) bool."""
    whole = len(valid) // samples
    share = valid[: whole * samples].reshape(whole, samples).mean(axis=1)
    return 1 - share <= MOST_FLAGGED


def _unused(recordings: Sequence[Recording], made: Sequence[Run], samples: int) -> list[str]:
    """Return in a sentence how many volumes count and why others do not, where many do not."""
    total = sum(len(one.valid) for one in recordings)
    flagged = total - sum(int(one.valid.sum()) for one in recordings)
    seen = lost = 0
    for run in made:
        kept = np.repeat(usable(run.valid, samples), samples)
        valid = run.valid[: len(kept)]
        seen, lost = seen + int((valid & kept).sum()), lost + int((valid & ~kept).sum())
    if total - seen <= MOST_UNUSED * total:
        return []
    ends = total - flagged - seen - lost
    return [
        f"of {total} volumes {seen / total:.0%} are used: {flagged / total:.0%} are flagged, "
        f"{lost / total:.0%} stand in segments of {samples} volumes of which more than "
        f"{MOST_FLAGGED:.0%} are flagged, {ends / total:.0%} at the ends or in what is too short"
    ]


def _stretches(recording: Recording) -> Iterator[slice]:
    edges = np.zeros(0, int)
    if "block" in recording.data:
        edges = np.flatnonzero(np.diff(recording.data["block"].values) != 0) + 1
    borders = [0, *edges.tolist(), len(recording.valid)]
    yield from (slice(a, b) for a, b in zip(borders, borders[1:], strict=False) if b > a)


def windows(run: Run, samples: int, segments: int, stride: int) -> list[int]:
    """Return the first samples of windows of ``segments`` segments, ``stride`` segments apart.

    The last window ends with the run's last whole segment; a shorter run is one window.
    """
    whole = len(run.signal) // samples
    if whole <= segments:
        return [0]
    last = whole - segments
    starts = list(range(0, last + 1, stride))
    return [s * samples for s in (starts if starts[-1] == last else [*starts, last])]


def even_windows(total: int, longest: int) -> Iterator[tuple[int, int]]:
    """Yield first segment and length of windows of nearly equal length that do not overlap."""
    edges = np.linspace(0, total, -(-total // longest) + 1).round().astype(int)
    yield from zip(edges[:-1].tolist(), np.diff(edges).tolist(), strict=True)


@dataclass(frozen=True)
class Batch:
    """Windows of several runs side by side, on one device."""

    signal: Tensor
    """(run, segment, region, sample) float32"""
    weight: Tensor
    """(run, segment, sample) float32: 1 where a frame counts, 0 where it is flagged"""
    present: Tensor
    """(run, segment) bool: False where a shorter run is padded"""
    lost: Tensor
    """(run, segment) bool: too many flagged frames, so hidden whole and not scored"""
    middle_s: Tensor
    """(run, segment) float32, seconds from the window's start"""
    padded: bool
    """Whether any run is padded"""

    def part(self, chosen: slice) -> Batch:
        """Return some of the runs."""
        cut = {k: v[chosen] for k, v in vars(self).items() if k != "padded"}
        return Batch(**cut, padded=self.padded)


class Deck:
    """Runs on one device, from which batches of windows are dealt."""

    def __init__(self, runs: Sequence[Run], *, samples: int, period_s: float, device: str) -> None:
        self.runs, self.samples, self.period_s = list(runs), samples, period_s
        self.signals = [torch.from_numpy(run.signal).to(device) for run in runs]
        self.valid = [torch.from_numpy(run.valid).to(device, torch.float32) for run in runs]

    def __len__(self) -> int:
        return len(self.runs)

    def some(self, chosen: Sequence[int]) -> Deck:
        """Return a deck of some of the runs; their arrays are shared."""
        made = copy.copy(self)
        for name in ("runs", "signals", "valid"):
            setattr(made, name, [getattr(self, name)[i] for i in chosen])
        return made

    def deal(self, chosen: Sequence[tuple[int, int]], segments: int) -> Batch:
        """Return windows of up to ``segments`` segments, each a run's number and first sample."""
        counts = [
            min(segments, (len(self.signals[run]) - start) // self.samples) for run, start in chosen
        ]
        longest = max(counts)
        signals, weights = [], []
        for (run, start), count in zip(chosen, counts, strict=True):
            stop, lacking = start + count * self.samples, (longest - count) * self.samples
            signals.append(F.pad(self.signals[run][start:stop], (0, 0, 0, lacking)))
            weights.append(F.pad(self.valid[run][start:stop], (0, lacking)))
        shape = (len(chosen), longest, self.samples)
        signal = torch.stack(signals).view(*shape, -1).transpose(2, 3).contiguous()
        weight = torch.stack(weights).view(shape)
        device = signal.device
        present = (
            torch.arange(longest, device=device) < torch.tensor(counts, device=device)[:, None]
        )
        lost = present & (1 - weight.mean(dim=2) > MOST_FLAGGED)
        middle = (torch.arange(longest, device=device) + 0.5) * self.samples * self.period_s
        return Batch(
            signal, weight.masked_fill(lost[..., None], 0.0), present, lost,
            middle.expand(len(chosen), longest), min(counts) < longest,
        )  # fmt: skip

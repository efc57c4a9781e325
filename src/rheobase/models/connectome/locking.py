"""Whether components are active in given epochs, against circular shifts of their course."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import false_discovery_control, rankdata


@dataclass(frozen=True)
class Locking:
    """Components against labels, each (component, label)."""

    difference: np.ndarray
    """Mean of B inside the epochs minus outside"""
    p: np.ndarray
    """Share of shifts with at least this difference, the observed one counted in"""
    q: np.ndarray
    """p after Benjamini and Hochberg over components and labels"""
    auc: np.ndarray
    """How well B tells inside from outside; 0.5 is chance"""


def epoch_locking(
    times: np.ndarray,
    inside: np.ndarray,
    *,
    seed: int,
    shifts: int = 1000,
    blocks: Sequence[slice] | None = None,
) -> Locking:
    """Return whether components are more active inside the epochs of each label.

    ``times`` B is (component, bin), ``inside`` (label, bin) bool. ``blocks`` are the recordings
    that the bins come from: shifts turn round inside each of them (default: one). The test is
    one-sided. A label without epochs, or without bins outside them, gets NaN.
    """
    if times.shape[1] != inside.shape[1]:
        raise ValueError(f"B has {times.shape[1]} bins and the epochs {inside.shape[1]}")
    blocks = [slice(0, times.shape[1])] if blocks is None else blocks
    if sum(len(range(times.shape[1])[block]) for block in blocks) != times.shape[1]:
        raise ValueError("blocks must cover every bin once")
    generator = np.random.default_rng(seed)
    total = times.astype(np.float64).sum(axis=1)
    shape = (len(times), len(inside))
    difference, p, auc = (np.full(shape, np.nan) for _ in range(3))
    for label, epochs in enumerate(inside):
        count = int(epochs.sum())
        if count in (0, len(epochs)):
            continue
        sums = _shifted_sums(times.astype(np.float64), epochs, blocks, shifts, generator)
        made = sums / count - (total[:, None] - sums) / (len(epochs) - count)
        difference[:, label] = made[:, 0]
        slack = 1e-12 * np.abs(made).max()
        p[:, label] = (made >= made[:, :1] - slack).sum(axis=1) / (1 + shifts)
        auc[:, label] = [area_under_curve(course, epochs) for course in times]
    return Locking(difference, p, benjamini_hochberg(p), auc)


def _shifted_sums(
    times: np.ndarray,
    epochs: np.ndarray,
    blocks: Sequence[slice],
    shifts: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Return sums of B inside the epochs, unshifted first and then shifted, (component, 1 + n)."""
    made = np.zeros((len(times), 1 + shifts))
    for block in blocks:
        course, mark = times[:, block], epochs[block].astype(np.float64)
        length = len(mark)
        spectrum = np.fft.rfft(course, axis=1).conj() * np.fft.rfft(mark)
        every = np.fft.irfft(spectrum, n=length, axis=1)
        offsets = (
            generator.integers(1, length, size=shifts) if length > 1 else np.zeros(shifts, int)
        )
        made += every[:, np.concatenate([[0], offsets])]
    return made


def area_under_curve(values: np.ndarray, inside: np.ndarray) -> float:
    """Return the chance that a value inside exceeds one outside, ties by half; NaN without both."""
    n, m = int(inside.sum()), int((~inside).sum())
    if not n or not m:
        return float("nan")
    return float((rankdata(values)[inside].sum() - n * (n + 1) / 2) / (n * m))


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    """Return adjusted p values; NaN stay and do not count as tests."""
    made = np.full(p.shape, np.nan)
    tested = ~np.isnan(p)
    if tested.any():
        made[tested] = false_discovery_control(p[tested], method="bh")
    return made

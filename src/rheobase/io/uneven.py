"""Samples taken at uneven times, brought onto an even clock."""

from __future__ import annotations

import numpy as np

GAP = 1.5
"""Steps longer than this many usual ones are gaps, in which nothing is made up; chosen here."""


def evened(signal: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, float]:
    """Return (time, unit) on an even clock, and its rate in hertz.

    ``time`` are seconds that increase. The clock ticks at the median step from the first time on;
    values are linear between neighbours, and NaN inside gaps, further than half a step from any
    sample.
    """
    step = float(np.median(np.diff(time)))
    ticks = time[0] + step * np.arange(int(np.floor((time[-1] - time[0]) / step + 1e-6)) + 1)
    after = np.clip(np.searchsorted(time, ticks), 1, len(time) - 1)
    before = after - 1
    width = time[after] - time[before]
    part = np.clip((ticks - time[before]) / width, 0, 1)[:, None].astype(signal.dtype)
    made = signal[before] * (1 - part) + signal[after] * part
    nearest = np.minimum(np.abs(ticks - time[before]), np.abs(time[after] - ticks))
    made[(width > GAP * step) & (nearest > step / 2)] = np.nan
    return made, 1 / step

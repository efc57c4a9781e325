"""Small before-and-after pictures of a recording as numbers, for the report to draw.

Signals are (time, unit); everything returned is JSON-able.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rheobase.preprocess import filters

POINTS = 128
CARPET_UNITS, CARPET_TIMES = 60, 200
TRACES, TRACE_POINTS = 3, 600
SERIES_POINTS = 2000


def spectra(
    before: np.ndarray, after: np.ndarray, parts: Sequence[slice], *, rate: float, samples: int
) -> dict[str, list[float]]:
    """Return the median power over units at up to 128 frequencies, before and after."""
    frequencies, power, _ = filters.spectrum(before, parts, rate=rate, samples=samples)
    _, cleaned, _ = filters.spectrum(after, parts, rate=rate, samples=samples)
    keep = slice(1, None)
    return {
        "frequency_hz": _binned(frequencies[keep], POINTS),
        "before": _binned(np.median(power[keep], axis=1), POINTS),
        "after": _binned(np.median(cleaned[keep], axis=1), POINTS),
    }


def carpet(
    before: np.ndarray,
    after: np.ndarray,
    names: Sequence[str],
    *,
    rate: float,
    power: bool = False,
) -> dict[str, Any]:
    """Return up to 60 units x 200 times as tenths of a standard deviation, clipped to +-30.

    Times are means over bins, or root mean squares with ``power``. Units are thinned evenly; ``of``
    is how many there are.
    """
    chosen = spread(len(names), CARPET_UNITS)
    bins = spread(len(before), CARPET_TIMES)
    return {
        "time": _plain(bins / rate),
        "names": [names[i] for i in chosen],
        "of": len(names),
        "before": _tenths(before[:, chosen], bins, power=power),
        "after": _tenths(after[:, chosen], bins, power=power),
    }


def traces(
    before: np.ndarray,
    after: np.ndarray,
    names: Sequence[str],
    *,
    rate: float,
    window: slice | None = None,
) -> dict[str, Any]:
    """Return three units of low, middle and high spread over up to 600 points.

    With ``window`` the first 600 samples of it as they are, else means over bins of everything.
    """
    order = np.argsort(after.std(axis=0), kind="stable")
    chosen = order[np.unique([len(order) // 10, len(order) // 2, (len(order) * 9) // 10])]
    if window is None:
        bins = spread(len(before), TRACE_POINTS)
        parts = [means(x[:, chosen], bins) for x in (before, after)]
        time = bins / rate
    else:
        window = slice(window.start, min(window.stop, window.start + TRACE_POINTS))
        parts = [x[window][:, chosen] for x in (before, after)]
        time = np.arange(window.start, window.stop) / rate
    return {
        "time": _plain(time),
        "names": [names[i] for i in chosen],
        "before": [_plain(x) for x in parts[0].T],
        "after": [_plain(x) for x in parts[1].T],
    }


def busiest(signal: np.ndarray, parts: Sequence[slice]) -> slice:
    """Return up to 600 samples within one piece where the signal's power is largest."""
    best, top = parts[0], -1.0
    for part in parts:
        power = (signal[part].astype(np.float64) ** 2).mean(axis=1)
        width = min(TRACE_POINTS, len(power))
        total = np.concatenate([[0], np.cumsum(power)])
        sums = (total[width:] - total[:-width]) / width
        at = int(sums.argmax())
        if sums[at] > top:
            best, top = slice(part.start + at, part.start + at + width), float(sums[at])
    return best


def course(values: np.ndarray) -> list[float | None]:
    """Return a (time,) series in up to 2000 points, the largest of each bin."""
    bins = spread(len(values), SERIES_POINTS)
    with np.errstate(invalid="ignore"):
        largest = np.fmax.reduceat(values, bins)
    return [None if not np.isfinite(v) else float(f"{v:.6g}") for v in largest]


def spread(length: int, most: int) -> np.ndarray:
    """Return up to ``most`` numbers below ``length``, evenly spaced from 0."""
    return np.unique(np.linspace(0, length, min(length, most), endpoint=False).astype(int))


def means(signal: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Return the mean over time of each bin, (bin, unit), where ``bins`` are its first samples."""
    widths = np.diff(np.append(bins, len(signal)))
    return np.add.reduceat(signal.astype(np.float64), bins, axis=0) / widths[:, None]


def _binned(values: np.ndarray, most: int) -> list[float]:
    return _plain(means(values[:, None], spread(len(values), most))[:, 0])


def _tenths(signal: np.ndarray, bins: np.ndarray, *, power: bool) -> list[list[int]]:
    signal = signal.astype(np.float64)
    course = np.sqrt(means(signal**2, bins)) if power else means(signal, bins)
    course = np.nan_to_num(course - course.mean(axis=0))
    scale = course.std(axis=0)
    score = course / np.where(scale > 0, scale, 1)
    return np.clip(np.rint(10 * score), -30, 30).astype(int).T.tolist()


def _plain(values: np.ndarray) -> list[float]:
    return [float(f"{v:.5g}") for v in np.asarray(values, float)]

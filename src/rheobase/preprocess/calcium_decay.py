"""How fast calcium decays: estimated from a trace, taken from the file or told by the indicator."""

from __future__ import annotations

from typing import Any

import numpy as np

from rheobase.io.raw import Raw
from rheobase.preprocess import filters
from rheobase.preprocess.clean import Order

LAGS = 5
LIKELY_S = (0.05, 10.0)
INDICATOR_S = {
    "gcamp6f": 0.7,
    "gcamp6m": 1.0,
    "gcamp6s": 1.5,
    "gcamp7f": 0.5,
    "gcamp8f": 0.3,
    "nuclear_gcamp": 3.0,
}
"""Usual decays at the frame rates of imaging, seconds; the last is that of worms' nuclei."""


def decay_times(
    signal: np.ndarray, runs: np.ndarray, valid: np.ndarray, *, rate: float
) -> np.ndarray:
    """Return each cell's decay in seconds (frames at rate 1), (cell,); NaN where it has none.

    ``gamma`` is the slope of the autocovariance at lags 2 to 5 on that at lags 1 to 4, which white
    noise does not enter; the decay is ``-1 / (rate ln gamma)``. Pairs of frames across a change of
    ``runs``, or with a frame that is not ``valid``, do not count.
    """
    made = np.full(signal.shape[1], np.nan)
    for units in filters.unit_chunks(len(signal), signal.shape[1], copies=3):
        x = signal[:, units].astype(np.float64)
        x = np.where(valid[:, None], x - x[valid].mean(axis=0), 0)
        lagged = []
        for lag in range(1, min(LAGS, len(x) - 1) + 1):
            pair = valid[lag:] & valid[:-lag] & (runs[lag:] == runs[:-lag])
            many = max(int(pair.sum()), 1)
            lagged.append((x[lag:] * x[:-lag] * pair[:, None]).sum(axis=0) / many)
        course = np.stack(lagged)
        square = (course[:-1] ** 2).sum(axis=0)
        gamma = (course[1:] * course[:-1]).sum(axis=0) / np.where(square > 0, square, np.nan)
        falls = (gamma > 0) & (gamma < 1)
        made[units] = np.where(falls, -1 / (rate * np.log(np.where(falls, gamma, 0.5))), np.nan)
    return made


def likely(decay: np.ndarray, time_unit: str) -> np.ndarray:
    """Return (cell,) True where a decay is between 0.05 and 10 s (any number of frames)."""
    low, high = LIKELY_S if time_unit == "s" else (0, np.inf)
    with np.errstate(invalid="ignore"):
        return (decay >= low) & (decay <= high)


def chosen_decay(
    estimated: np.ndarray, raw: Raw, order: Order
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the decay of each cell for its deconvolution, (cell,), and where it is from.

    ``decay_s`` or ``indicator`` of the config, else the file's, else estimated. A cell whose own
    estimate is unlikely takes the median of the others; raises ``ValueError`` where none is likely.
    """
    told, indicator = order.options["decay_s"], order.options["indicator"]
    count = len(estimated)
    if indicator is not None:
        if indicator not in INDICATOR_S:
            raise ValueError(
                f"{order.name}: the indicator {indicator!r} is unknown; use one of "
                f"{', '.join(INDICATOR_S)}, or give decay_s"
            )
        value = INDICATOR_S[indicator]
        return np.full(count, value), {"decay_s": value, "from": f"the indicator {indicator}"}
    if told is not None and told != "auto":
        return np.full(count, float(told)), {"decay_s": float(told)}
    if told is None and order.time_unit == "s" and float(raw.extras.get("decay_s", 0)) > 0:
        value = float(raw.extras["decay_s"])
        return np.full(count, value), {"decay_s": value, "from": "the file"}
    good = likely(estimated, order.time_unit)
    if not good.any():
        raise ValueError(
            f"{order.name}: no cell has a decay between {LIKELY_S[0]:g} and {LIKELY_S[1]:g} s, so "
            "none can be estimated; give decay_s or indicator"
        )
    middle = float(np.median(estimated[good]))
    made = np.where(good, estimated, middle)
    return made, {"decay_s": round(middle, 4), "from": "estimates, a cell each",
                  "cells_at_median": int((~good).sum())}  # fmt: skip

"""The fluorescence at rest, F0, three ways, and dF/F; signals are (time, cell)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy
from numpy.lib.stride_tricks import sliding_window_view

from rheobase.preprocess import filters
from rheobase.preprocess.calcium_bleaching import bleaching
from rheobase.preprocess.calcium_frames import FLUORESCENCE
from rheobase.preprocess.clean import Order

CENTRES = 8
"""Percentiles are taken this many times a window."""


@dataclass(frozen=True)
class Relative:
    """A trace relative to its baseline, and what that was."""

    signal: np.ndarray
    """(time, cell) float32."""
    baseline: np.ndarray | None = None
    """F0, (time, cell) float32; None where nothing was divided or subtracted."""
    floor: float | None = None
    """The least F0 that is divided by."""
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    """(cell,) share of floored frames and drift."""


def relative(
    signal: np.ndarray,
    parts: Sequence[slice],
    valid: np.ndarray,
    order: Order,
    steps: list[dict[str, Any]],
) -> Relative:
    """Return dF/F = (F - F0) / max(F0, floor); of traces that are dF/F already, F - F0.

    The floor is a tenth of the 5th percentile of F0 over cells. Frames that are not ``valid`` do
    not count in F0. Raises ``ValueError`` where the median baseline is not positive.
    """
    kind, way = order.options["input"], order.options["baseline"]
    if kind not in (*FLUORESCENCE, "dff") or way == "none":
        return Relative(signal)
    base = np.empty_like(signal)
    for part in parts:
        base[part] = baseline(signal[part], valid[part], order)
    step = {"method": way, **_settings(order), "acausal": True}
    if kind == "dff":
        steps.append({"step": f"subtract running {way}", **step})
        return Relative(signal - base, base)
    level = np.median(base, axis=0)
    if np.median(level) <= 0:
        raise ValueError(
            f"{order.name}: the median baseline is {np.median(level):.3g}, and fluorescence must "
            "be above 0; set preprocess.input to dff, zscore or deconvolved"
        )
    floor = float(np.percentile(level[level > 0], 5) / 10)
    steps.append({"step": "dF/F", **step, "least_baseline": floor})
    columns = {
        "floored_baseline_percent": 100 * (base <= floor).mean(axis=0),
        "drift_percent_per_min": _drift(base, order),
    }
    return Relative((signal - base) / np.maximum(base, floor), base, floor, columns)


def baseline(signal: np.ndarray, valid: np.ndarray, order: Order) -> np.ndarray:
    """Return F0 of one piece, (time, cell), by the method that the config names."""
    options = order.options
    window = _frames(options["baseline_window_s"], order)
    match options["baseline"]:
        case "percentile":
            return running_percentile(
                signal, window=window, percentile=options["baseline_percentile"], valid=valid
            )
        case "maximin":
            return maximin(
                signal, window=window, sigma=options["baseline_smoothing_s"] * order.rate
            )
        case "exp":
            return bleaching(signal, valid, percentile=options["baseline_percentile"])
        case other:
            raise ValueError(
                f"{order.name}: preprocess.baseline {other!r} is unknown; use percentile, maximin, "
                "exp or none"
            )


def _frames(seconds: float, order: Order) -> int:
    return max(2, round(seconds * order.rate))


def _settings(order: Order) -> dict[str, Any]:
    """Return the parameters that the method uses, as they are: windows in whole frames."""
    options, rate = order.options, order.rate
    window = {"window_s": _frames(options["baseline_window_s"], order) / rate}
    return {
        "percentile": {"percentile": options["baseline_percentile"], **window},
        "maximin": {"smoothing_s": options["baseline_smoothing_s"], **window},
        "exp": {"percentile": options["baseline_percentile"]},
    }[options["baseline"]]


def running_percentile(
    signal: np.ndarray, *, window: int, percentile: float, valid: np.ndarray | None = None
) -> np.ndarray:
    """Return the running percentile of each unit, (time, unit) float32.

    Taken at centres an eighth of a window apart, linear between them, reflected at the ends.
    ``window`` counts samples and shrinks to the signal's length; samples that are not ``valid`` do
    not count, and where a window holds no other the line goes on from its neighbours.
    """
    n_time, n_units = signal.shape
    half = min(window, n_time) // 2
    centres = np.unique(np.append(np.arange(0, n_time, max(1, window // CENTRES)), n_time - 1))
    usable = np.ones(n_time, bool) if valid is None or not valid.any() else valid
    mask = sliding_window_view(np.pad(usable, half, mode="reflect"), 2 * half + 1)[centres]
    some = mask.any(axis=1)
    made = np.empty(signal.shape, np.float32)
    for units in filters.unit_chunks(n_time, n_units, copies=8):
        padded = np.pad(signal[:, units], ((half, half), (0, 0)), mode="reflect")
        windows = sliding_window_view(padded, 2 * half + 1, axis=0)[centres[some]]
        if mask.all():
            values = np.percentile(windows, percentile, axis=-1)
        else:
            values = np.stack([
                np.percentile(one[:, inside], percentile, axis=-1)
                for one, inside in zip(windows, mask[some], strict=True)
            ])  # fmt: skip
        made[:, units] = _between(centres[some], values, n_time)
    return made


def _between(centres: np.ndarray, values: np.ndarray, n_time: int) -> np.ndarray:
    """Return values at all samples, linear between ``centres`` and level outside."""
    if len(centres) == 1:
        return np.repeat(values, n_time, axis=0)
    line = scipy.interpolate.make_interp_spline(centres, values, k=1)
    return line(np.clip(np.arange(n_time), centres[0], centres[-1]))


def maximin(signal: np.ndarray, *, window: int, sigma: float) -> np.ndarray:
    """Return the running maximum of the running minimum of the smoothed trace, (time, unit).

    A Gaussian of ``sigma`` samples, then minimum and maximum over ``window`` samples, reflected at
    the ends: the baseline that suite2p takes (Pachitariu et al. 2017).
    """
    smooth = scipy.ndimage.gaussian_filter1d(signal, sigma, axis=0)
    size = min(window, len(signal))
    low = scipy.ndimage.minimum_filter1d(smooth, size, axis=0)
    return scipy.ndimage.maximum_filter1d(low, size, axis=0)


def _drift(base: np.ndarray, order: Order) -> np.ndarray:
    if order.time_unit == "frame":
        return np.full(base.shape[1], np.nan)
    minutes = np.arange(len(base)) / order.rate / 60
    slope = (minutes - minutes.mean()) @ base / ((minutes - minutes.mean()) ** 2).sum()
    level = base.mean(axis=0, dtype=np.float64)
    return 100 * slope / np.where(level > 0, level, np.nan)

"""Calcium traces: choose cells, take out neuropil and drift, return dF/F and its noise.

Signals are (time, cell) float32 and worked on a few cells at a time. Deconvolution belongs after
``_relative``; event statistics and duplicates of cells belong in ``calcium_quality``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy
from numpy.lib.stride_tricks import sliding_window_view

from rheobase.config.checks import unlikely_rate
from rheobase.io.raw import Raw
from rheobase.preprocess import filters, quality
from rheobase.preprocess.calcium_neuropil import without_neuropil
from rheobase.preprocess.calcium_quality import (
    correlation,
    is_standardised,
    measures,
    report,
    too_noisy,
)
from rheobase.preprocess.clean import Cleaned, Order

LEAST_CELLS, LEAST_SECONDS = 3, 10
JUMP_MADS, LEAST_JUMPING, BRIDGED_S = 8, 10, 0.5
MOST_MISSING = 0.2
FLUORESCENCE = ("raw", "neuropil_corrected")
UNITS = {"raw": "dF/F", "neuropil_corrected": "dF/F", "dff": "dF/F"}


def clean(raw: Raw, order: Order) -> Cleaned:
    """Return dF/F of the kept cells, or the trace itself where ``input`` says it is further on.

    Raises ``ValueError`` for fewer than 3 good cells, less than 10 s, or fluorescence whose
    baseline is not positive.
    """
    _check_length(raw, order)
    signal = np.asarray(raw.signal, np.float32)
    runs = filters.run_numbers(raw.times.get("block"), len(signal))
    excluded = _unusable(raw, signal, order)
    keep = _kept(raw, excluded, order)
    steps: list[dict[str, Any]] = [_selection_step(raw, order)]
    signal, valid, replaced = _whole(signal[:, keep], runs, order, steps)
    subtracted = without_neuropil(signal, raw, keep, order, steps)
    parts = filters.pieces(runs)
    made, columns = _relative(subtracted, parts, order, steps)
    columns |= measures(made, signal, runs, valid, order)
    if "neuropil" in raw.extras:
        columns["neuropil_r"] = correlation(subtracted, raw.extras["neuropil"][:, keep])
    excluded |= too_noisy(columns["snr"], [n for n in raw.names if n not in excluded], order)
    final = _kept(raw, excluded, order)
    output = made[:, final[keep]]
    full = {key: np.full(len(keep), np.nan) for key in columns}
    for key, values in columns.items():
        full[key][keep] = values
    content = report(
        signal[:, final[keep]],
        output,
        raw.names,
        full,
        excluded=excluded,
        valid=valid,
        replaced=replaced,
        parts=parts,
        order=order,
    )
    return _finished(output, valid, raw, final, steps, content, order)


def _finished(
    output: np.ndarray,
    valid: np.ndarray,
    raw: Raw,
    final: np.ndarray,
    steps: list[dict[str, Any]],
    content: dict[str, Any],
    order: Order,
) -> Cleaned:
    units = UNITS.get(order.options["input"]) or raw.units or order.units
    if units is None:
        units = "SD" if is_standardised(content["metrics"]["trace_sd_median"], order) else "a.u."
    if order.options["standardise"] == "zscore":
        output, units = filters.zscore(output, valid), "SD"
        steps.append({"step": "z-score", "over": "valid frames", "acausal": True})
    return Cleaned(
        signal=np.ascontiguousarray(output, np.float32),
        valid=valid,
        names=tuple(name for name, kept in zip(raw.names, final, strict=True) if kept),
        times=dict(raw.times),
        unit_labels={key: np.asarray(v)[final] for key, v in raw.unit_labels.items()},
        units=units,
        steps=steps,
        qc=content,
    )


def _check_length(raw: Raw, order: Order) -> None:
    if order.time_unit == "s" and (why := unlikely_rate("calcium", order.rate)):
        raise ValueError(f"{order.name}: {why}; correct the sampling rate or the file")
    length = len(raw.signal) / order.rate
    if length < LEAST_SECONDS:
        unit = "s" if order.time_unit == "s" else "frames"
        raise ValueError(
            f"{order.name}: it lasts {length:g} {unit}; at least {LEAST_SECONDS} {unit} are "
            "needed, so correct the rate or exclude the recording"
        )


def running_percentile(signal: np.ndarray, *, window: int, percentile: float) -> np.ndarray:
    """Return the running percentile of each unit, (time, unit) float32.

    Taken at centres an eighth of a window apart, linear between them, reflected at the ends.
    ``window`` counts samples and shrinks to the signal's length.
    """
    n_time, n_units = signal.shape
    half = min(window, n_time) // 2
    centres = np.unique(np.append(np.arange(0, n_time, max(1, window // 8)), n_time - 1))
    made = np.empty(signal.shape, np.float32)
    for units in filters.unit_chunks(n_time, n_units, copies=8):
        padded = np.pad(signal[:, units], ((half, half), (0, 0)), mode="reflect")
        windows = sliding_window_view(padded, 2 * half + 1, axis=0)[centres]
        values = np.percentile(windows, percentile, axis=-1)
        if n_time > 1:
            values = scipy.interpolate.make_interp_spline(centres, values, k=1)(np.arange(n_time))
        made[:, units] = values
    return made


def jumps(signal: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """Return (time,) frames where most cells jump at once, and their neighbours.

    With ``d[t]`` the median over cells of ``|x[t] - x[t-1]|`` over the cell's own median change,
    a frame is bad above ``median(d) + 8 MAD(d)``; with fewer than 10 cells
    none is, since their median follows activity (chosen here).
    """
    change = np.abs(np.diff(signal, axis=0))
    typical = np.median(change, axis=0)
    moving = typical > 0
    if moving.sum() < LEAST_JUMPING:
        return np.zeros(len(signal), bool)
    course = np.median(change[:, moving] / typical[moving], axis=1)
    course[np.diff(runs) != 0] = 0
    middle = np.median(course)
    bad = course > middle + JUMP_MADS * np.median(np.abs(course - middle))
    found = np.zeros(len(signal), bool)
    for shift in (-1, 0, 1):
        at = np.flatnonzero(bad) + 1 + shift
        found[at[(at >= 0) & (at < len(signal))]] = True
    return found


def _unusable(raw: Raw, signal: np.ndarray, order: Order) -> dict[str, str]:
    missing = (~np.isfinite(signal)).mean(axis=0)
    with np.errstate(invalid="ignore"):
        constant = np.fmax.reduce(signal, axis=0) == np.fmin.reduce(signal, axis=0)
    cell = np.asarray(raw.extras.get("is_cell", np.ones(len(raw.names))), bool)
    least = order.options["cell_probability"]
    sure = np.asarray(raw.extras.get("cell_probability", np.ones(len(raw.names))), float)
    excluded = {}
    for i, name in enumerate(raw.names):
        if constant[i]:
            excluded[name] = "constant"
        elif missing[i] > MOST_MISSING:
            excluded[name] = f"{100 * missing[i]:.0f} % missing, above {100 * MOST_MISSING:.0f} %"
        elif not cell[i]:
            excluded[name] = "not a cell"
        elif sure[i] < least:
            excluded[name] = f"cell probability {sure[i]:.2f}, below {least:g}"
    return excluded


def _kept(raw: Raw, excluded: dict[str, str], order: Order) -> np.ndarray:
    keep = np.array([name not in excluded for name in raw.names])
    if keep.sum() < LEAST_CELLS:
        reasons = quality.listed(sorted({reason.partition(",")[0] for reason in excluded.values()}))
        raise ValueError(
            f"{order.name}: {int(keep.sum())} of {len(keep)} cells are left, and {LEAST_CELLS} are "
            f"needed (left out: {reasons or 'none'}); lower preprocess.snr or cell_probability"
        )
    return keep


def _selection_step(raw: Raw, order: Order) -> dict[str, Any]:
    step: dict[str, Any] = {"step": "choose cells", "cells": len(raw.names)}
    if "cell_probability" in raw.extras:
        step["cell_probability"] = order.options["cell_probability"]
    return step


def _whole(
    signal: np.ndarray, runs: np.ndarray, order: Order, steps: list[dict[str, Any]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return finite traces, the frames that may be used and the frames that were bad.

    Bad stretches up to 0.5 s are bridged and stay usable, longer ones are bridged and do not.
    """
    bad = np.asarray(~np.isfinite(signal).all(axis=1))
    made = _bridged(signal, bad, runs) if bad.any() else signal
    if order.options["input"] in FLUORESCENCE:
        bad |= jumps(made, runs)
    valid = ~bad
    if not bad.any():
        return signal, valid, bad
    if bad.all():
        raise ValueError(f"{order.name}: every frame is bad in some cell; leave out those cells")
    longest = max(1, round(BRIDGED_S * order.rate)) if order.time_unit == "s" else 1
    for part in filters.pieces(runs):
        for gap in filters.stretches(bad[part]):
            inside = gap.start > 0 and gap.stop < part.stop - part.start
            if inside and gap.stop - gap.start <= longest:
                valid[part.start + gap.start : part.start + gap.stop] = True
    step = {"step": "bridge bad frames", "frames": int(bad.sum()), "acausal": True}
    if order.options["input"] in FLUORESCENCE:
        step["jump_mads"] = JUMP_MADS
    steps.append({**step, "longest_valid_s": BRIDGED_S, "invalid_frames": int((~valid).sum())})
    return _bridged(signal, bad, runs), valid, bad


def _bridged(signal: np.ndarray, bad: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """Return the traces with straight lines across bad frames, level at the ends of a run."""
    made = signal.copy()
    for part in filters.pieces(runs):
        good, gaps = np.flatnonzero(~bad[part]), np.flatnonzero(bad[part])
        if len(gaps) == 0:
            continue
        if len(good) < 2:
            made[part] = signal[part][good] if len(good) else 0
            continue
        bridge = scipy.interpolate.make_interp_spline(good, signal[part][good], k=1)
        made[part.start + gaps] = bridge(np.clip(gaps, good[0], good[-1]))
    return made


def _relative(
    signal: np.ndarray, parts: Sequence[slice], order: Order, steps: list[dict[str, Any]]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return dF/F, with the share of floored baseline and the drift of each cell."""
    kind = order.options["input"]
    if kind not in (*FLUORESCENCE, "dff"):
        return signal, {}
    settings = {"percentile": order.options["baseline_percentile"]}
    window = max(2, round(order.options["baseline_window_s"] * order.rate))
    base = np.empty_like(signal)
    for part in parts:
        base[part] = running_percentile(signal[part], window=window, **settings)
    step = {**settings, "window_s": window / order.rate, "acausal": True}
    if kind == "dff":
        steps.append({"step": "subtract running percentile", **step})
        return signal - base, {}
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
    return (signal - base) / np.maximum(base, floor), columns


def _drift(base: np.ndarray, order: Order) -> np.ndarray:
    if order.time_unit == "frame":
        return np.full(base.shape[1], np.nan)
    minutes = np.arange(len(base)) / order.rate / 60
    slope = (minutes - minutes.mean()) @ base / ((minutes - minutes.mean()) ** 2).sum()
    level = base.mean(axis=0, dtype=np.float64)
    return 100 * slope / np.where(level > 0, level, np.nan)

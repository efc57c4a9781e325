"""Calcium traces: choose cells, take out neuropil and drift, return dF/F or spikes, with quality.

Signals are (time, cell) float32 and worked on a few cells at a time. Each step has a module of its
own, ``calcium_*``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rheobase.config.checks import unlikely_rate
from rheobase.io.raw import Raw
from rheobase.preprocess import calcium_oasis, filters
from rheobase.preprocess.calcium_baseline import Relative, relative
from rheobase.preprocess.calcium_cells import kept, selection_step, unusable
from rheobase.preprocess.calcium_decay import chosen_decay
from rheobase.preprocess.calcium_frames import Frames, bridge
from rheobase.preprocess.calcium_kept import kept_with
from rheobase.preprocess.calcium_neuropil import without_neuropil
from rheobase.preprocess.calcium_quality import (
    correlation,
    measures,
    neighbours,
    told_by_file,
    too_noisy,
)
from rheobase.preprocess.calcium_report import is_standardised, report
from rheobase.preprocess.calcium_resample import Resampled, resampled
from rheobase.preprocess.clean import Cleaned, Order

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAST_SECONDS = 10
UNITS = {"raw": "dF/F", "neuropil_corrected": "dF/F", "dff": "dF/F"}


@dataclass(frozen=True)
class _Cells:
    """The traces of the cells that the file and the config let through, and what is known."""

    keep: np.ndarray
    """(region,) which of the file's regions these are."""
    frames: Frames
    made: Relative
    share: np.ndarray | None
    columns: dict[str, np.ndarray]
    alike: dict[str, str]


def clean(raw: Raw, order: Order) -> Cleaned:
    """Return dF/F or spikes of the kept cells, or the trace itself where ``input`` says it is
    further on.

    Raises ``ValueError`` for fewer than 3 good cells, less than 10 s, or fluorescence whose
    baseline is not positive.
    """
    _check_length(raw, order)
    signal = np.asarray(raw.signal, np.float32)
    runs = filters.run_numbers(raw.times.get("block"), len(signal))
    parts = filters.pieces(runs)
    excluded = unusable(raw, signal, order)
    steps: list[dict[str, Any]] = [selection_step(raw, order)]
    cells = _cells(raw, signal, kept(raw.names, excluded, order), runs, order, steps)
    keep, frames = cells.keep, cells.frames
    names = [name for name in raw.names if name not in excluded]
    excluded |= too_noisy(cells.columns, names, order)
    final = kept(raw.names, excluded, order)
    inside = final[keep]
    output = cells.made.signal[:, inside]
    columns = {key: values[inside] for key, values in cells.columns.items()}
    spikes, decay = _deconvolved(output, columns, parts, raw, order, steps)
    content = report(
        frames.signal[:, inside],
        output if spikes is None else spikes,
        raw.names,
        {**told_by_file(raw, signal), **_spread(cells.columns, keep)},
        alike=cells.alike,
        excluded=excluded,
        valid=frames.valid,
        replaced=frames.bad,
        parts=parts,
        notes=raw.notes,
        order=order,
    )
    beside = kept_with(
        cells.made, cells.share, inside, output, columns["noise"], decay,
        names=[name for name, taken in zip(raw.names, final, strict=True) if taken],
        valid=frames.valid, order=order, steps=steps,
    )  # fmt: skip
    clocked = _clocked(output if spikes is None else spikes, frames.valid, raw.times, parts, order,
                       steps, summed=spikes is not None)  # fmt: skip
    return _finished(clocked, raw, final, steps, content, order, beside)


def _cells(
    raw: Raw,
    signal: np.ndarray,
    keep: np.ndarray,
    runs: np.ndarray,
    order: Order,
    steps: list[dict[str, Any]],
) -> _Cells:
    frames = bridge(signal[:, keep], raw, runs, order, steps)
    subtracted, share = without_neuropil(frames.signal, raw, keep, frames.valid, order, steps)
    made = relative(subtracted, filters.pieces(runs), frames.valid, order, steps)
    columns = {**made.columns, **measures(made.signal, frames.signal, runs, frames.valid, order)}
    if "neuropil" in raw.extras and order.options["input"] in ("raw", "neuropil_corrected"):
        columns["neuropil_r"] = correlation(subtracted, raw.extras["neuropil"][:, keep])
    if share is not None:
        columns["neuropil_share"] = share
    alike: dict[str, str] = {}
    if "position_px" in raw.extras:
        names = [name for name, taken in zip(raw.names, keep, strict=True) if taken]
        places = np.asarray(raw.extras["position_px"], float)[keep]
        columns["neighbour_r"], who = neighbours(made.signal, places, names)
        alike = dict(zip(names, who, strict=True))
    return _Cells(keep, frames, made, share, columns, alike)


def _spread(columns: Mapping[str, np.ndarray], keep: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns over all regions, NaN for those that were not measured."""
    full = {key: np.full(len(keep), np.nan) for key in columns}
    for key, values in columns.items():
        full[key][keep] = values
    return full


def _deconvolved(
    signal: np.ndarray,
    columns: Mapping[str, np.ndarray],
    parts: list[slice],
    raw: Raw,
    order: Order,
    steps: list[dict[str, Any]],
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return spikes (time, cell) in dF/F, and decays (cell,); None where none are wanted."""
    if order.options["deconvolve"] != "oasis":
        return None, None
    unit = "s" if order.time_unit == "s" else "frames"
    decay, said = chosen_decay(columns[f"decay_{unit}"], raw, order)
    gamma = calcium_oasis.decay_factor(decay, order.rate)
    made = np.empty(signal.shape, np.float32)
    for part in parts:
        found = calcium_oasis.deconvolve(signal[part], gamma, columns["noise"])
        made[part] = found.spikes
    steps.append({"step": "deconvolve", "method": "OASIS, AR(1)", **said, "acausal": True})
    return made, decay


def _clocked(
    signal: np.ndarray,
    valid: np.ndarray,
    times: Mapping[str, np.ndarray],
    parts: list[slice],
    order: Order,
    steps: list[dict[str, Any]],
    *,
    summed: bool,
) -> Resampled:
    wanted = order.options["resample_hz"]
    if wanted is None or wanted == order.rate:
        return Resampled(signal, valid, dict(times), order.rate)
    if wanted > order.rate or order.time_unit == "frame":
        why = "not frames" if order.time_unit == "frame" else f"{order.rate:g} Hz, or below"
        raise ValueError(f"{order.name}: resample_hz is {wanted:g} Hz; it must be in hertz, {why}")
    summed = summed or order.options["input"] == "deconvolved"
    steps.append({"step": "resample to a rate", "from_hz": order.rate, "to_hz": wanted,
                  "way": "sums in bins" if summed else "low-pass", "acausal": True})  # fmt: skip
    return resampled(signal, valid, times, parts, rate=order.rate, wanted=wanted, summed=summed)


def _finished(
    made: Resampled,
    raw: Raw,
    final: np.ndarray,
    steps: list[dict[str, Any]],
    content: dict[str, Any],
    order: Order,
    beside: Any,
) -> Cleaned:
    output = made.signal
    units = UNITS.get(order.options["input"]) or raw.units or order.units
    if units is None:
        units = "SD" if is_standardised(content["metrics"]["trace_sd_median"], order) else "a.u."
    if order.options["standardise"] == "zscore":
        output, units = filters.zscore(output, made.valid), "SD"
        steps.append({"step": "z-score", "over": "valid frames", "acausal": True})
    return Cleaned(
        signal=np.ascontiguousarray(output, np.float32),
        valid=made.valid,
        names=tuple(name for name, taken in zip(raw.names, final, strict=True) if taken),
        times=made.times,
        unit_labels={key: np.asarray(v)[final] for key, v in _labels(raw).items()},
        units=units,
        steps=steps,
        qc=content,
        pictures=beside,
        rate=None if made.rate == order.rate else made.rate,
    )


def _labels(raw: Raw) -> dict[str, np.ndarray]:
    """Return the labels of cells, with x and y in pixels where the file told their places."""
    places = raw.extras.get("position_px")
    if places is None or {"x", "y"} & set(raw.unit_labels):
        return raw.unit_labels
    y, x = np.asarray(places, float).T
    return {**raw.unit_labels, "x": x, "y": y}


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

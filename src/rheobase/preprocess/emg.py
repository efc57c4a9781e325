"""Surface EMG: fill short gaps, take out mains, band-pass, find bad channels.

Signals are (time, channel), in microvolt where the unit is known. Nothing is filtered across a gap
or a change of ``block``. Re-referencing belongs between ``filtered`` and ``judge``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rheobase.config.checks import unlikely_rate
from rheobase.io.raw import Raw
from rheobase.preprocess import filters, quality
from rheobase.preprocess.clean import Cleaned, Order
from rheobase.preprocess.emg_channels import (
    MOST_MISSING,
    Channels,
    amplitude,
    clipped,
    full_scale,
    judge,
    rectified,
    resting,
)
from rheobase.preprocess.emg_filters import filtered
from rheobase.preprocess.emg_quality import report

MICROVOLTS = {"uV": 1.0, "mV": 1e3, "V": 1e6, "count": 1.0}
LEAST_RMS_UV, MOST_RMS_UV = 0.5, 5000
FILLED_S, LEAST_PIECE_S, LEAST_SAMPLES = 0.02, 0.1, 30
ENVELOPE_RATE_HZ = 100


def clean(raw: Raw, order: Order) -> Cleaned:
    """Return band-passed EMG without its bad channels, in microvolt (or counts).

    Raises ``ValueError`` for an unknown rate or unit, band edges above half the rate, an unlikely
    amplitude, and when every channel is bad.
    """
    if order.time_unit == "frame":
        raise ValueError(
            f"{order.name}: EMG is filtered in hertz; give sampling_rate_hz, not frames"
        )
    steps: list[dict[str, Any]] = []
    flags: list[dict[str, str]] = []
    signal, units = _in_microvolt(raw, order, steps, flags)
    found = _channels(signal, units, raw, order, steps)
    _check_amplitude(found, order)
    columns, spoiled = judge(found)
    _check_channels(spoiled, len(raw.names), order)
    dropped = spoiled if order.options["bad_channels"] == "drop" else {}
    content = report(found, columns, spoiled, dropped, flags)
    if dropped:
        steps.append({"step": "drop bad channels", "channels": sorted(dropped)})
    keep = np.array([name not in dropped for name in raw.names])
    return _finished(found, raw, keep, steps, content, order)


def _channels(
    signal: np.ndarray, units: str, raw: Raw, order: Order, steps: list[dict[str, Any]]
) -> Channels:
    """Return every channel before and after its filters."""
    runs = filters.run_numbers(raw.times.get("block"), len(signal))
    missing = np.asarray(~np.isfinite(signal)).mean(axis=0)
    clipping, saturated = clipped(signal), full_scale(signal, units)
    before = rectified(signal)
    signal, valid = _filled(signal, missing, runs, order, steps)
    parts = _long_enough(filters.pieces(runs, valid), order)
    valid = np.zeros(len(signal), bool)
    for part in parts:
        valid[part] = True
    envelope = _is_envelope(signal, order)
    _check_rate(raw, order, envelope)
    if envelope:
        made, lines = np.where(valid[:, None], signal, np.float32(0)), ()
        steps.append({"step": "no filter", "why": "the signal is an envelope already"})
    else:
        signal = _centred(signal, parts, order, steps)
        made, lines = filtered(signal, parts, order, steps)
    return Channels(
        names=raw.names,
        before=signal,
        after=made,
        parts=parts,
        valid=valid,
        missing=missing,
        clipping=clipping,
        saturated=saturated,
        rate=order.rate,
        units=units,
        lines_hz=lines,
        rest=resting(raw.times),
        rectified=before & ~envelope,
    )


def _finished(
    found: Channels,
    raw: Raw,
    keep: np.ndarray,
    steps: list[dict[str, Any]],
    content: dict[str, Any],
    order: Order,
) -> Cleaned:
    signal, valid, units = found.after[:, keep], found.valid, found.units
    if order.options["standardise"] == "zscore":
        signal, units = filters.zscore(signal, valid), "SD"
        steps.append({"step": "z-score", "over": "valid samples", "acausal": True})
        signal[~valid] = 0
    return Cleaned(
        signal=np.ascontiguousarray(signal, np.float32),
        valid=valid,
        names=tuple(name for name, kept in zip(raw.names, keep, strict=True) if kept),
        times=dict(raw.times),
        unit_labels={key: np.asarray(v)[keep] for key, v in raw.unit_labels.items()},
        units=units,
        steps=steps,
        qc=content,
    )


def _in_microvolt(
    raw: Raw, order: Order, steps: list[dict[str, Any]], flags: list[dict[str, str]]
) -> tuple[np.ndarray, str]:
    stored = raw.units or order.units
    if stored not in MICROVOLTS:
        raise ValueError(
            f"{order.name}: the unit of the EMG is {stored!r}; set units to one of "
            f"{', '.join(MICROVOLTS)}"
        )
    if raw.units and order.units and raw.units != order.units:
        flags.append(
            quality.flag(
                "warning",
                f"the file gives {raw.units} and the config {order.units}; the file is believed",
            )
        )
    signal = np.asarray(raw.signal, np.float32)
    if stored in ("mV", "V"):
        steps.append({"step": "scale", "from": stored, "to": "uV", "factor": MICROVOLTS[stored]})
        signal = (np.asarray(raw.signal, np.float64) * MICROVOLTS[stored]).astype(np.float32)
    return signal, "count" if stored == "count" else "uV"


def _filled(
    signal: np.ndarray,
    missing: np.ndarray,
    runs: np.ndarray,
    order: Order,
    steps: list[dict[str, Any]],
) -> tuple[np.ndarray, np.ndarray]:
    """Return the signal without NaN, and where it may be used.

    Gaps up to 20 ms are filled. Longer ones make their samples unusable, unless the channel misses
    so much that it is dropped itself.
    """
    if not missing.any():
        return signal, np.ones(len(signal), bool)
    made, filled = filters.fill_short_gaps(
        signal, runs, longest=max(1, round(FILLED_S * order.rate))
    )
    gaps = np.asarray(~np.isfinite(made))
    dropped = (100 * missing > MOST_MISSING) & (order.options["bad_channels"] == "drop")
    valid = np.asarray(~gaps[:, ~dropped].any(axis=1))
    steps.append(
        {
            "step": "fill gaps",
            "longest_s": FILLED_S,
            "samples": int(filled.sum()),
            "invalid_samples": int((~valid).sum()),
            "acausal": bool(filled.any()),
        }
    )
    made[gaps] = 0
    return made, valid


def _long_enough(parts: list[slice], order: Order) -> list[slice]:
    least = max(LEAST_SAMPLES, round(LEAST_PIECE_S * order.rate))
    kept = [part for part in parts if part.stop - part.start >= least]
    if not kept:
        raise ValueError(
            f"{order.name}: no stretch without a gap or a cut has {least} samples, so nothing can "
            "be filtered; repair the gaps or exclude the recording"
        )
    return kept


def _centred(
    signal: np.ndarray, parts: Sequence[slice], order: Order, steps: list[dict[str, Any]]
) -> np.ndarray:
    """Return the signal without its median; a causal filter begins at the first sample."""
    if order.options["causal"]:
        return signal
    used = np.concatenate([signal[part] for part in parts])
    steps.append({"step": "subtract median", "acausal": True})
    return signal - np.median(used, axis=0)


def _check_rate(raw: Raw, order: Order, envelope: bool) -> None:
    if why := unlikely_rate("emg", order.rate, envelope=envelope):
        given = "is its time_column in ms? " if raw.rate_hz else ""
        raise ValueError(f"{order.name}: {why}; {given}Correct the sampling rate or the file")


def _is_envelope(signal: np.ndarray, order: Order) -> bool:
    """Return whether the signal was rectified and smoothed before (100 Hz or slower, never < 0)."""
    if order.rate > ENVELOPE_RATE_HZ or signal.min() < 0:
        return False
    if order.options["band_hz"] is not None:
        raise ValueError(
            f"{order.name}: the signal is never negative at {order.rate:g} Hz, so it is an "
            "envelope already and has no band to pass; remove band_hz"
        )
    return True


def _check_amplitude(found: Channels, order: Order) -> None:
    used = found.after[found.valid]
    moving = [size for x in used.T if (size := amplitude(x)) > 0]
    if found.units == "count" or not moving:
        return
    rms = float(np.median(moving))
    if LEAST_RMS_UV <= rms <= MOST_RMS_UV:
        return
    fits = [f for f in (1e3, 1e-3, 1e6, 1e-6) if LEAST_RMS_UV <= rms * f <= MOST_RMS_UV]
    remedy = f"a factor {fits[0]:g} would fit, so correct units" if fits else "correct units"
    raise ValueError(
        f"{order.name}: the median channel has {rms:.3g} uV (root mean square), outside "
        f"{LEAST_RMS_UV:g} to {MOST_RMS_UV:g} uV; {remedy}"
    )


def _check_channels(spoiled: Mapping[str, str], n_channels: int, order: Order) -> None:
    if len(spoiled) == n_channels:
        name, reason = next(iter(spoiled.items()))
        raise ValueError(
            f"{order.name}: all {n_channels} channels are bad (the first, {name}: {reason}); "
            "exclude the recording"
        )

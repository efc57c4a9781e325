"""Surface EMG: fill short gaps, take out mains, band-pass, find bad channels.

Signals are (time, channel), in microvolt where the unit is known. Nothing is filtered across a gap
or a change of ``block``. Re-referencing belongs between ``_filtered`` and the channel check.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rheobase.io.raw import Raw
from rheobase.preprocess import filters, quality
from rheobase.preprocess.clean import Cleaned, Order
from rheobase.preprocess.emg_quality import (
    MOST_MISSING,
    Channels,
    clipped,
    full_scale,
    judge,
    report,
    resting,
)

MICROVOLTS = {"uV": 1.0, "mV": 1e3, "V": 1e6, "count": 1.0}
LEAST_RMS_UV, MOST_RMS_UV = 0.5, 5000
FILLED_S, PAD_S, LEAST_PIECE_S, LEAST_SAMPLES = 0.02, 0.5, 0.1, 30
SLOW_RATE_HZ, ENVELOPE_RATE_HZ = 250, 100
MAINS_HZ, NOTCH_HZ, LINE_WINDOW_S = (50, 60), 2.0, 2.0
LINE_DB, FEW_WINDOWS, LINE_DB_FEW = 3, 8, 10
"""Fewer than eight averaged windows show a line of 3 dB by chance: then 10 dB (chosen here)."""


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
    runs = filters.run_numbers(raw.times.get("block"), len(signal))
    missing = (~np.isfinite(signal)).mean(axis=0)
    clipping, saturated = clipped(signal), full_scale(signal)
    signal, valid = _filled(signal, missing, runs, order, steps)
    parts = _long_enough(filters.pieces(runs, valid), order)
    valid = np.zeros(len(signal), bool)
    for part in parts:
        valid[part] = True
    if _is_envelope(signal, order):
        filtered, lines = np.where(valid[:, None], signal, np.float32(0)), ()
        steps.append({"step": "no filter", "why": "the signal is an envelope already"})
    else:
        signal = _centred(signal, parts, order, steps)
        filtered, lines = _filtered(signal, parts, order, steps)
    found = Channels(
        raw.names,
        signal,
        filtered,
        parts,
        valid,
        missing,
        clipping,
        saturated if units == "count" else np.zeros(len(raw.names)),
        order.rate,
        units,
        lines,
        resting(raw.times),
    )
    columns, spoiled = judge(found)
    _check_channels(spoiled, raw, order)
    dropped = spoiled if order.options["bad_channels"] == "drop" else {}
    keep = np.array([name not in dropped for name in raw.names])
    _check_amplitude(filtered[valid][:, [n not in spoiled for n in raw.names]], units, order)
    content = report(found, columns, spoiled, dropped, flags)
    if dropped:
        steps.append({"step": "drop bad channels", "channels": sorted(dropped)})
    return _finished(filtered[:, keep], valid, raw, keep, units, steps, content, order)


def _finished(
    signal: np.ndarray,
    valid: np.ndarray,
    raw: Raw,
    keep: np.ndarray,
    units: str,
    steps: list[dict[str, Any]],
    content: dict[str, Any],
    order: Order,
) -> Cleaned:
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
    dropped = (missing > MOST_MISSING) & (order.options["bad_channels"] == "drop")
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


def _band(order: Order) -> tuple[float | None, float | None]:
    nyquist = order.rate / 2
    if order.options["band_hz"] is not None:
        return filters.checked_band(
            order.options["band_hz"], rate=order.rate, time_unit=order.time_unit, name=order.name
        )
    if order.rate < SLOW_RATE_HZ:
        return min(20.0, 0.2 * nyquist), None
    return 20.0, min(450.0, 0.9 * nyquist)


def _filtered(
    signal: np.ndarray, parts: Sequence[slice], order: Order, steps: list[dict[str, Any]]
) -> tuple[np.ndarray, tuple[float, ...]]:
    """Return the notched and band-passed signal, and the mains lines that were taken out."""
    low, high = _band(order)
    causal = bool(order.options["causal"])
    ahead = {} if causal else {"acausal": True}
    line, why = _line(signal, parts, order)
    top = min(high or np.inf, 0.95 * order.rate / 2)
    lines = tuple(line * h for h in range(1, int(top / line) + 1) if line * h < top) if line else ()
    if lines:
        steps.append(
            {"step": "notch", "lines_hz": list(lines), "width_hz": NOTCH_HZ, "why": why, **ahead}
        )
    else:
        steps.append({"step": "no notch", "why": why})
    steps.append(
        {
            "step": "band-pass" if high else "high-pass",
            "low_hz": low,
            "high_hz": high,
            "filter": "Butterworth",
            "order": 4,
            "causal": causal,
            **ahead,
        }
    )
    sections = np.concatenate(
        [
            filters.notch(lines, rate=order.rate, width_hz=NOTCH_HZ),
            filters.butterworth(low, high, rate=order.rate),
        ]
    )
    pad = round(PAD_S * order.rate)
    return filters.filter_pieces(signal, parts, sections, causal=causal, pad=pad), lines


def _line(signal: np.ndarray, parts: Sequence[slice], order: Order) -> tuple[float | None, str]:
    """Return the mains frequency to take out, None for none, and why."""
    asked = order.options["notch_hz"]
    if asked is None:
        return None, "not asked for"
    if asked != "auto":
        if asked >= order.rate / 2:
            raise ValueError(
                f"{order.name}: the mains line {asked:g} Hz must lie below half the sampling rate, "
                f"{order.rate / 2:g} Hz; set notch_hz: null"
            )
        return float(asked), "asked for"
    frequencies, power, windows = filters.spectrum(
        signal, parts, rate=order.rate, samples=round(LINE_WINDOW_S * order.rate)
    )
    found = {
        line: float(np.median(filters.line_ratio(frequencies, power, line)))
        for line in MAINS_HZ
        if line < 0.95 * order.rate / 2
    }
    if not found:
        return None, "the rate is too low to hold a mains line"
    line = max(found, key=lambda f: found[f])
    limit = LINE_DB if windows >= FEW_WINDOWS else LINE_DB_FEW
    said = f"{line} Hz is {found[line]:.1f} dB over its neighbours, limit {limit} dB"
    return (float(line) if found[line] > limit else None), said


def _check_channels(spoiled: dict[str, str], raw: Raw, order: Order) -> None:
    if len(spoiled) == len(raw.names):
        name, reason = next(iter(spoiled.items()))
        raise ValueError(
            f"{order.name}: all {len(raw.names)} channels are bad (the first, {name}: {reason}); "
            "exclude the recording"
        )


def _check_amplitude(filtered: np.ndarray, units: str, order: Order) -> None:
    if units == "count":
        return
    rms = float(np.median(np.sqrt((filtered.astype(np.float64) ** 2).mean(axis=0))))
    if LEAST_RMS_UV <= rms <= MOST_RMS_UV:
        return
    fits = [f for f in (1e3, 1e-3, 1e6, 1e-6) if LEAST_RMS_UV <= rms * f <= MOST_RMS_UV]
    remedy = (
        f"a factor {fits[0]:g} would bring it there, so correct units" if fits else "correct units"
    )
    raise ValueError(
        f"{order.name}: the median channel has {rms:.3g} uV (root mean square), outside "
        f"{LEAST_RMS_UV:g} to {MOST_RMS_UV:g} uV; {remedy}"
    )

"""The filters of surface EMG: which mains lines to take out, which band to pass.

Signals are (time, channel); nothing is filtered across the edges of ``parts``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rheobase.preprocess import filters
from rheobase.preprocess.clean import Order

PAD_S, SLOW_RATE_HZ = 1.5, 250
MAINS_HZ, NOTCH_HZ, LINE_WINDOW_S = (50, 60), 2.0, 2.0
LINE_DB, FEW_WINDOWS, LINE_DB_FEW = 3, 8, 10
"""Fewer than eight averaged windows show a line of 3 dB by chance: then 10 dB (chosen here)."""


def filtered(
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
    tones = [hertz / order.rate for hertz in lines]
    made = filters.filter_pieces(signal, parts, sections, causal=causal, pad=pad, lines=tones)
    return made, lines


def _band(order: Order) -> tuple[float | None, float | None]:
    nyquist = order.rate / 2
    if order.options["band_hz"] is not None:
        return filters.checked_band(
            order.options["band_hz"], rate=order.rate, time_unit=order.time_unit, name=order.name
        )
    if order.rate < SLOW_RATE_HZ:
        return min(20.0, 0.2 * nyquist), None
    return 20.0, min(450.0, 0.9 * nyquist)


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

"""Another repetition time for a cleaned recording; (time, region)."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from rheobase.preprocess import filters
from rheobase.preprocess.clean import Order

SAFE_SHARE = 0.4
"""Largest upper edge as a share of the new rate."""
LARGEST_INTEGER = 1000


@dataclass(frozen=True)
class Resampled:
    """A recording at another rate in hertz."""

    signal: np.ndarray
    valid: np.ndarray
    times: dict[str, np.ndarray]
    rate: float
    steps: tuple[dict[str, Any], ...]


def resample(
    signal: np.ndarray, valid: np.ndarray, times: dict[str, np.ndarray], runs: np.ndarray,
    order: Order,
) -> Resampled:  # fmt: skip
    """Return the recording at ``resample_s`` seconds a volume, or as it is where that is null.

    Polyphase filtering run by run, continued by a line; a new frame is valid where all frames that
    it is made of are, labels come from the nearest frame. Raises ``ValueError`` unless the band
    ends below 0.4 of the new rate and the mean was taken out.
    """
    wanted = order.options.get("resample_s")
    if wanted is None or abs(wanted * order.rate - 1) < 1e-9:
        return Resampled(signal, valid, times, order.rate, ())
    _check(float(wanted), order)
    from scipy.signal import resample_poly

    ratio = Fraction(1 / order.rate / wanted).limit_denominator(LARGEST_INTEGER)
    step = 1 / float(ratio)
    parts, at, good = [], [], []
    for run in filters.pieces(runs):
        made = resample_poly(
            signal[run], ratio.numerator, ratio.denominator, axis=0, padtype="line"
        )
        parts.append(made)
        centre = np.arange(len(made)) * step
        length, reach = run.stop - run.start, max(step / 2 - 0.5, 0.0)
        low = np.clip(np.floor(centre - reach + 1e-9), 0, length - 1).astype(int)
        high = np.clip(np.ceil(centre + reach - 1e-9), 0, length - 1).astype(int)
        bad = np.concatenate([[0], np.cumsum(~valid[run])])
        good.append(bad[high + 1] == bad[low])
        at.append(run.start + np.clip(np.floor(centre + 0.5), 0, length - 1).astype(int))
    nearest = np.concatenate(at)
    done = {"step": "resample", "from_s": 1 / order.rate, "to_s": float(wanted),
            "up": ratio.numerator, "down": ratio.denominator, "acausal": True}  # fmt: skip
    kept = {key: values[nearest] for key, values in times.items()}
    return Resampled(
        np.concatenate(parts), np.concatenate(good), kept, order.rate * float(ratio), (done,)
    )


def _check(wanted: float, order: Order) -> None:
    if order.time_unit == "frame":
        raise ValueError(
            f"{order.name}: resample_s needs the sampling rate, and time counts frames here; give "
            "sampling_rate_hz or set resample_s: null"
        )
    _, high = order.options["band_hz"] or (None, None)
    limit = SAFE_SHARE / wanted
    if high is None or high >= limit:
        raise ValueError(
            f"{order.name}: resample_s: {wanted:g} needs a band that ends below {limit:.3g} Hz "
            f"(0.4 of the new rate), and band_hz ends at {high or 'no edge'}; lower it"
        )
    low, _ = order.options["band_hz"]
    if low is None and order.options["detrend"] == "none":
        raise ValueError(
            f"{order.name}: resample_s needs a signal around zero; set detrend: linear or a lower "
            "edge in band_hz"
        )

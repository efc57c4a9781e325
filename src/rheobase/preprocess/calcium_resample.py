"""Calcium traces on a slower clock, piece by piece; signals are (time, cell)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import scipy

MOST_TERM = 199
TAPS = 8
"""Half the length of the low-pass filter, in samples of the slower clock."""


@dataclass(frozen=True)
class Resampled:
    """A recording on another clock, whose sample k stands at ``k / rate``."""

    signal: np.ndarray
    valid: np.ndarray
    times: dict[str, np.ndarray]
    rate: float


def resampled(
    signal: np.ndarray,
    valid: np.ndarray,
    times: Mapping[str, np.ndarray],
    parts: Sequence[slice],
    *,
    rate: float,
    wanted: float,
    summed: bool,
) -> Resampled:
    """Return the recording at ``wanted`` hertz, each of ``parts`` by itself.

    Polyphase where the ratio of rates has terms below 200, else a low-pass filter and straight
    lines; spikes are ``summed`` in bins instead, so that their number stays. A sample is valid
    where all frames from it to the next are; labels are the nearest earlier ones.
    """
    ratio = wanted / rate
    n_out = int(np.ceil(len(signal) * ratio - 1e-9))
    at = np.minimum((np.arange(n_out) / ratio + 1e-9).astype(int), len(signal) - 1)
    owner = np.minimum((np.arange(len(signal)) * ratio + 1e-9).astype(int), n_out - 1)
    made = np.zeros((n_out, signal.shape[1]), np.float32)
    if summed:
        np.add.at(made, owner, signal)
    else:
        for part in parts:
            first = int(np.ceil(part.start * ratio - 1e-9))
            last = min(int(np.ceil(part.stop * ratio - 1e-9)), n_out)
            if last > first:
                moments = np.arange(first, last) / ratio - part.start
                made[first:last] = _slower(signal[part], moments, ratio)
    spoilt = np.zeros(n_out, bool)
    np.logical_or.at(spoilt, owner, ~valid)
    kept = {key: np.asarray(values)[at] for key, values in times.items()}
    return Resampled(made, ~spoilt & (valid[at] | summed), kept, wanted)


def _slower(signal: np.ndarray, moments: np.ndarray, ratio: float) -> np.ndarray:
    """Return the signal at ``moments``, in samples from its start, without what a slower clock
    cannot hold.
    """
    terms = Fraction(ratio).limit_denominator(MOST_TERM)
    exact = abs(float(terms) / ratio - 1) < 1e-9 and terms.numerator <= MOST_TERM
    lead = int(round(moments[0]))
    if exact and abs(moments[0] - lead) < 1e-6:
        slow = scipy.signal.resample_poly(
            signal[lead:], terms.numerator, terms.denominator, axis=0, padtype="edge"
        )
        short = len(moments) - len(slow)
        return np.pad(slow, ((0, max(short, 0)), (0, 0)), mode="edge")[: len(moments)]
    taps = 2 * int(np.ceil(TAPS / ratio)) + 1
    low = scipy.signal.firwin(taps, min(0.9 * ratio, 0.99))
    padded = np.pad(signal, ((taps // 2, taps // 2), (0, 0)), mode="edge")
    smooth = scipy.signal.oaconvolve(padded, low[:, None], mode="valid", axes=0)
    place = np.clip(moments, 0, len(signal) - 1)
    before = np.minimum(place.astype(int), max(len(signal) - 2, 0))
    after = np.minimum(before + 1, len(signal) - 1)
    share = (place - before)[:, None]
    return smooth[before] * (1 - share) + smooth[after] * share

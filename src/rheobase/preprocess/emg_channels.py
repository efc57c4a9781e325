"""What is measured of each EMG channel, and which are bad and why.

Signals are (time, channel).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from rheobase.preprocess import filters

MOST_MISSING, MOST_CLIPPED = 5, 1
DEAD_UV, MOST_EQUAL, MOST_LINE_DB = 0.1, 50, 20
OUTLYING, LEAST_SCALE, LEAST_CHANNELS = 5, 0.05, 5
"""Noisy and quiet are judged among at least five channels (chosen here)."""
DETACHED_R, DETACHED_NYQUIST = 0.02, 0.4
AMONG = "robust standard deviations from the other channels"
CORRELATION_SAMPLES = 100_000
MOST_UV = 50_000
"""No muscle makes more at the skin (chosen here); a few samples above are artefacts."""
FEW = 0.05
RECTIFIED = 0.1
"""A channel that is never negative was rectified where its first percentile lies below this share
of its mean; a raw signal on an offset stays away from 0 (chosen here)."""
MAINS_HZ = (50, 60)
NOT_LABELS = ("block", "trial")


@dataclass(frozen=True)
class Channels:
    """One recording before and after its filters."""

    names: tuple[str, ...]
    before: np.ndarray
    after: np.ndarray
    parts: Sequence[slice]
    valid: np.ndarray
    missing: np.ndarray
    """Share of samples that were not finite, (channel,)."""
    clipping: np.ndarray
    """Share of clipped samples, (channel,)."""
    saturated: np.ndarray
    """Share of samples at the ends of 8 bits, (channel,)."""
    rate: float
    units: str
    lines_hz: tuple[float, ...]
    rest: np.ndarray | None
    """(time,) True at rest, where labels tell."""
    rectified: np.ndarray
    """Whether each channel was rectified before it was filtered here, (channel,)."""


def clipped(signal: np.ndarray) -> np.ndarray:
    """Return the share of clipped samples of each channel, (channel,).

    A sample is clipped in a run of at least three at the channel's largest absolute value.
    """
    with np.errstate(invalid="ignore"):
        size = np.abs(signal)
        top = np.fmax.reduce(size, axis=0)
        at = (size >= top * (1 - 1e-6)) & (top > 0)
        inner = at[1:-1] & at[2:] & at[:-2]
        inner &= (np.sign(signal[1:-1]) == np.sign(signal[2:])) & (
            np.sign(signal[1:-1]) == np.sign(signal[:-2])
        )
    run = np.zeros(signal.shape, bool)
    for shift in range(3):
        run[shift : len(run) - 2 + shift] |= inner
    constant = np.fmax.reduce(signal, axis=0) == np.fmin.reduce(signal, axis=0)
    return np.where(constant, 0, run.mean(axis=0))


def full_scale(signal: np.ndarray, units: str) -> np.ndarray:
    """Return the share of samples at -128 or 127, (channel,); 0 unless these are 8-bit counts."""
    if units != "count" or not _is_int8(signal):
        return np.zeros(signal.shape[1])
    return ((signal == -128) | (signal == 127)).mean(axis=0)


def rectified(signal: np.ndarray) -> np.ndarray:
    """Return which channels are never negative and come down to 0, (channel,)."""
    made = np.zeros(signal.shape[1], bool)
    for i in range(signal.shape[1]):
        x = signal[np.isfinite(signal[:, i]), i]
        if len(x) and x.min() >= 0:
            made[i] = np.percentile(x, 1) < RECTIFIED * x.mean()
    return made


def artefacts(found: Channels) -> np.ndarray:
    """Return how many usable samples of each channel no muscle can make, (channel,)."""
    if found.units == "count":
        return np.zeros(len(found.names), int)
    return (np.abs(found.after[found.valid]) > MOST_UV).sum(axis=0)


def amplitude(signal: np.ndarray) -> float:
    """Return the root mean square of one channel, or its robust scale beside a few artefacts.

    The robust scale is median |x| / 0.6745. Where more than 5 % of the samples are too large for a
    muscle these are no artefacts but a wrong unit.
    """
    size = np.abs(signal.astype(np.float64))
    if 0 < (size > MOST_UV).mean() <= FEW:
        return float(np.median(size) / 0.6745)
    return float(np.sqrt(np.mean(size**2)))


def resting(times: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Return where a per-sample label says rest (0 or "rest"), None without such a label."""
    for key, values in times.items():
        values = np.asarray(values)
        if key in NOT_LABELS or values.dtype.kind not in "iubUSO":
            continue
        text = values.astype(str)
        rest = np.isin(np.char.lower(text), ["0", "rest"])
        if rest.any() and not rest.all():
            return rest
    return None


def judge(found: Channels) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the metrics, (channel,) each, and why channels are bad, by name."""
    columns = _metrics(found)
    rms, line = columns["rms"], columns["line_after_db"]
    dead_below = DEAD_UV if found.units == "uV" else 0.0
    outlying = _outlying(rms, (100 * found.missing <= MOST_MISSING) & (rms > dead_below))
    apart = _detached(found, columns)
    equal, missing, cut = columns["equal_percent"], 100 * found.missing, 100 * found.clipping
    tests = (
        (missing > MOST_MISSING, missing, f"{{:.1f}} % missing, above {MOST_MISSING} %"),
        (columns["sd_before"] == 0, rms, "dead: constant"),
        (rms < dead_below, rms, f"dead: {{:.2g}} uV, below {DEAD_UV} uV"),
        (equal > MOST_EQUAL, equal, f"dead: {{:.0f}} % of samples repeat, above {MOST_EQUAL} %"),
        (cut > MOST_CLIPPED, cut, f"{{:.1f}} % clipped, above {MOST_CLIPPED} %"),
        (line > MOST_LINE_DB, line, f"mains {{:.0f}} dB over its sides, above {MOST_LINE_DB} dB"),
        (outlying > OUTLYING, outlying, f"noisy: {{:.1f}} {AMONG}, above {OUTLYING}"),
        (outlying < -OUTLYING, outlying, f"quiet: {{:.1f}} {AMONG}, below -{OUTLYING}"),
        (apart, rms, f"detached: noise-like, correlation with every channel below {DETACHED_R}"),
    )
    reasons: dict[str, str] = {}
    for bad, values, why in tests:
        for i in np.flatnonzero(bad):
            reasons.setdefault(found.names[i], why.format(values[i]))
    return columns, reasons


def _metrics(found: Channels) -> dict[str, np.ndarray]:
    samples = round(2 * found.rate)
    frequencies, before, _ = filters.spectrum(
        found.before, found.parts, rate=found.rate, samples=samples
    )
    _, after, _ = filters.spectrum(found.after, found.parts, rate=found.rate, samples=samples)
    used, original = found.after[found.valid], found.before[found.valid]
    lines = found.lines_hz or tuple(f for f in MAINS_HZ if f < 0.95 * found.rate / 2)
    ratios = [
        np.max([filters.line_ratio(frequencies, power, f) for f in lines or (0,)], axis=0)
        for power in (before, after)
    ]
    slow = (frequencies > 0) & (frequencies <= 20)
    fast = (frequencies > 20) & (frequencies <= 450)
    tiny = np.finfo(float).tiny
    power = np.maximum(after.sum(axis=0), tiny)
    columns = {
        "rms": np.sqrt((used.astype(np.float64) ** 2).mean(axis=0)),
        "sd_before": original.std(axis=0, dtype=np.float64),
        "median_frequency_hz": frequencies[(np.cumsum(after, axis=0) >= power / 2).argmax(axis=0)],
        "line_before_db": ratios[0],
        "line_after_db": ratios[1],
        "smr_db": _muscle_over_motion(before, fast, slow),
        "equal_percent": 100 * (np.diff(original, axis=0) == 0).mean(axis=0),
        "missing_percent": 100 * found.missing,
        "clipped_percent": 100 * found.clipping,
        "full_scale_percent": 100 * found.saturated,
        "kurtosis": _kurtosis(used),
    }
    return columns if found.rest is None else columns | _by_label(found, found.rest)


def _muscle_over_motion(power: np.ndarray, fast: np.ndarray, slow: np.ndarray) -> np.ndarray:
    """Return the power above over that below 20 Hz; NaN where the spectrum lacks one of them."""
    if not (fast.any() and slow.any()):
        return np.full(power.shape[1], np.nan)
    return _decibel(power[fast].sum(axis=0), power[slow].sum(axis=0))


def _by_label(found: Channels, rest: np.ndarray) -> dict[str, np.ndarray]:
    made = {}
    for key, mask in (("rest", rest), ("active", ~rest)):
        part = found.after[found.valid & mask].astype(np.float64)
        mean = (part**2).mean(axis=0) if len(part) else np.full(part.shape[1], np.nan)
        made[f"rms_{key}"] = np.sqrt(mean)
    return made | {"snr_db": _decibel(made["rms_active"] ** 2, made["rms_rest"] ** 2)}


def _decibel(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    tiny = np.finfo(float).tiny
    return 10 * np.log10(np.maximum(above, tiny) / np.maximum(below, tiny))


def _kurtosis(signal: np.ndarray) -> np.ndarray:
    made = np.zeros(signal.shape[1])
    for units in filters.unit_chunks(len(signal), signal.shape[1], copies=3):
        x = np.ascontiguousarray(signal[:, units].T, np.float64)
        moving = np.ptp(x, axis=1) > 0
        made[units][moving] = scipy.stats.kurtosis(x[moving], axis=1)
    return made


def _is_int8(signal: np.ndarray) -> bool:
    finite = signal[np.isfinite(signal)]
    return bool(
        finite.size and finite.min() >= -128 and finite.max() <= 127 and (finite % 1 == 0).all()
    )


def _outlying(rms: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Return how many robust standard deviations each log10 amplitude lies from the median."""
    made = np.zeros(len(rms))
    if usable.sum() < LEAST_CHANNELS:
        return made
    level = np.log10(rms[usable])
    middle = np.median(level)
    scale = max(1.4826 * float(np.median(np.abs(level - middle))), LEAST_SCALE)
    made[usable] = (level - middle) / scale
    return made


def correlations(found: Channels) -> np.ndarray:
    """Return the absolute correlations of the filtered channels, 0 on the diagonal."""
    used = np.flatnonzero(found.valid)
    used = used[:: max(1, len(used) // CORRELATION_SAMPLES)]
    score = filters.zscore(found.after[used], np.ones(len(used), bool))
    return np.abs(score.T @ score) / max(1, len(used) - 1) * (1 - np.eye(score.shape[1]))


def _detached(found: Channels, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    if len(found.names) < LEAST_CHANNELS:
        return np.zeros(len(found.names), bool)
    fast = columns["median_frequency_hz"] > DETACHED_NYQUIST * found.rate / 2
    return fast & (correlations(found).max(axis=0) < DETACHED_R)

"""What is known of each EMG channel, and which are bad and why.

Signals are (time, channel).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import kurtosis

from rheobase.preprocess import filters, preview, quality

MOST_MISSING, MOST_CLIPPED, SOME_CLIPPED, MOST_SATURATED = 0.05, 0.01, 0.001, 0.01
DEAD_UV, MOST_EQUAL, MOST_LINE_DB = 0.1, 0.5, 20
OUTLYING, LEAST_SCALE, LEAST_CHANNELS = 5, 0.05, 5
"""Noisy and quiet are judged among at least five channels (chosen here)."""
DETACHED_R, DETACHED_NYQUIST = 0.02, 0.4
LEAST_SNR_DB, LEAST_SMR_DB, SAME_R = 6, 6, 0.9999
AMONG = "robust standard deviations from the other channels"
CORRELATION_SAMPLES = 100_000
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


def full_scale(signal: np.ndarray) -> np.ndarray:
    """Return the share of samples at -128 or 127, (channel,); 0 unless these are 8-bit counts."""
    if not _is_int8(signal):
        return np.zeros(signal.shape[1])
    return ((signal == -128) | (signal == 127)).mean(axis=0)


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
    outlying = _outlying(rms, (found.missing <= MOST_MISSING) & (rms > dead_below))
    apart = _detached(found, columns)
    equal = columns["equal_percent"]
    tests = (
        (
            found.missing > MOST_MISSING,
            100 * found.missing,
            f"{{:.1f}} % missing, above {100 * MOST_MISSING:g} %",
        ),
        (columns["sd_before"] == 0, rms, "dead: constant"),
        (rms < dead_below, rms, f"dead: {{:.2g}} uV, below {DEAD_UV} uV"),
        (
            equal > 100 * MOST_EQUAL,
            equal,
            f"dead: {{:.0f}} % of samples repeat, above {100 * MOST_EQUAL:.0f} %",
        ),
        (
            found.clipping > MOST_CLIPPED,
            100 * found.clipping,
            f"{{:.1f}} % clipped, above {100 * MOST_CLIPPED:g} %",
        ),
        (
            line > MOST_LINE_DB,
            line,
            f"mains {{:.0f}} dB over its neighbours, above {MOST_LINE_DB} dB",
        ),
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
        "smr_db": _decibel(before[fast].sum(axis=0), before[slow].sum(axis=0)),
        "equal_percent": 100 * (np.diff(original, axis=0) == 0).mean(axis=0),
        "missing_percent": 100 * found.missing,
        "clipped_percent": 100 * found.clipping,
        "full_scale_percent": 100 * found.saturated,
        "kurtosis": _kurtosis(used),
    }
    if found.rest is not None:
        for key, mask in (("rest", found.rest), ("active", ~found.rest)):
            part = found.after[found.valid & mask].astype(np.float64)
            columns[f"rms_{key}"] = (
                np.sqrt((part**2).mean(axis=0)) if len(part) else np.full(len(power), np.nan)
            )
        columns["snr_db"] = _decibel(columns["rms_active"] ** 2, columns["rms_rest"] ** 2)
    return columns


def _decibel(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    tiny = np.finfo(float).tiny
    return 10 * np.log10(np.maximum(above, tiny) / np.maximum(below, tiny))


def _kurtosis(signal: np.ndarray) -> np.ndarray:
    made = np.zeros(signal.shape[1])
    for units in filters.unit_chunks(len(signal), signal.shape[1], copies=3):
        x = np.ascontiguousarray(signal[:, units].T, np.float64)
        moving = np.ptp(x, axis=1) > 0
        made[units][moving] = kurtosis(x[moving], axis=1)
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


def _correlations(found: Channels) -> np.ndarray:
    used = np.flatnonzero(found.valid)
    used = used[:: max(1, len(used) // CORRELATION_SAMPLES)]
    score = filters.zscore(found.after[used], np.ones(len(used), bool))
    return np.abs(score.T @ score) / max(1, len(used) - 1) * (1 - np.eye(score.shape[1]))


def _detached(found: Channels, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    if len(found.names) < LEAST_CHANNELS:
        return np.zeros(len(found.names), bool)
    fast = columns["median_frequency_hz"] > DETACHED_NYQUIST * found.rate / 2
    return fast & (_correlations(found).max(axis=0) < DETACHED_R)


def report(
    found: Channels,
    columns: Mapping[str, np.ndarray],
    spoiled: Mapping[str, str],
    dropped: Mapping[str, str],
    flags: list[dict[str, str]],
) -> dict[str, Any]:
    """Return the quality control: ``spoiled`` channels are bad, ``dropped`` ones are left out."""
    good = np.array([name not in spoiled for name in found.names])
    level = "uv" if found.units == "uV" else "count"
    metrics = {
        "n_kept": len(found.names) - len(dropped),
        "n_total": len(found.names),
        "invalid_percent": 100 * (1 - found.valid.mean()),
        f"rms_median_{level}": np.median(columns["rms"][good]),
        **{
            f"{key}_median"
            if not key.endswith(("_hz", "_db"))
            else f"{key[:-3]}_median{key[-3:]}": np.median(columns[key][good])
            for key in ("median_frequency_hz", "smr_db", "kurtosis", "snr_db")
            if key in columns
        },
        "line_before_worst_db": columns["line_before_db"].max(),
        "line_after_worst_db": columns["line_after_db"][good].max(),
        "clipped_worst_percent": columns["clipped_percent"].max(),
        "missing_worst_percent": columns["missing_percent"].max(),
    }
    rows = quality.unit_rows(found.names, columns, dropped)
    for row in rows:
        row["bad"] = spoiled.get(row["name"])
    return {
        "metrics": quality.numbers(metrics),
        "units": rows,
        "flags": [*flags, *_flags(found, columns, spoiled, good)],
        "preview": _preview(found, dropped),
    }


def _flags(
    found: Channels,
    columns: Mapping[str, np.ndarray],
    spoiled: Mapping[str, str],
    good: np.ndarray,
) -> list[dict[str, str]]:
    flags = []
    if spoiled:
        level = "bad" if len(spoiled) > len(found.names) / 2 else "warning"
        said = quality.listed([f"{name} ({why})" for name, why in spoiled.items()])
        text = f"{len(spoiled)} of {len(found.names)} channels are bad: {said}"
        flags.append(quality.flag(level, text))
    for key, limit, what in (
        ("snr_db", LEAST_SNR_DB, "activity over rest"),
        ("smr_db", LEAST_SMR_DB, "muscle over motion (power above and below 20 Hz)"),
    ):
        if key in columns and np.median(columns[key][good]) < limit:
            middle = np.median(columns[key][good])
            flags.append(quality.flag("warning", f"{what} is {middle:.1f} dB, below {limit} dB"))
    for share, limit, what in (
        (found.clipping, SOME_CLIPPED, "are clipped"),
        (found.saturated, MOST_SATURATED, "reach the ends of 8 bits (-128 or 127)"),
    ):
        if (share > limit).any():
            named = quality.listed(
                [n for n, s in zip(found.names, share, strict=True) if s > limit]
            )
            text = f"up to {100 * share.max():.2g} % of the samples of {named} {what}"
            flags.append(quality.flag("warning", f"{text}, above {100 * limit:g} %"))
    same = np.argwhere(np.triu(_correlations(found)) > SAME_R)
    for a, b in same[:5]:
        text = f"{found.names[a]} and {found.names[b]} hold the same signal"
        flags.append(quality.flag("warning", f"{text} (correlation above {SAME_R})"))
    return flags


def _preview(found: Channels, dropped: Mapping[str, str]) -> dict[str, Any]:
    keep = np.array([name not in dropped for name in found.names])
    names = [name for name in found.names if name not in dropped]
    level = np.median(found.before[found.valid], axis=0)
    before = np.where(found.valid[:, None], found.before - level, np.float32(0))[:, keep]
    pair = (before, found.after[:, keep])
    window = preview.busiest(pair[1], found.parts)
    samples = round(found.rate)
    return {
        "spectrum": preview.spectra(*pair, found.parts, rate=found.rate, samples=samples),
        "carpet": preview.carpet(*pair, names, rate=found.rate, power=True),
        "traces": preview.traces(*pair, names, rate=found.rate, window=window),
    }

"""What is known of each cell's trace: noise, drift, shape, and which cells are too noisy.

Signals are (time, cell).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy

from rheobase.preprocess import filters, preview, quality
from rheobase.preprocess.clean import Order

MOST_BAD_PERCENT, MOST_DRIFT, MOST_SATURATED, MOST_FLOORED = 20, 5, 1, 5
MOST_EXCLUDED_PERCENT = 25
SD_LOW, SD_HIGH = 0.5, 2.0
JUDGED_BY_SNR = ("raw", "neuropil_corrected", "dff")


def noise(signal: np.ndarray, runs: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return each unit's noise, ``median |x[t] - x[t-1]| / (0.6745 sqrt 2)``, within runs."""
    pairs = (np.diff(runs) == 0) & valid[1:] & valid[:-1]
    made = np.empty(signal.shape[1])
    for units in filters.unit_chunks(len(signal), signal.shape[1]):
        change = np.abs(np.diff(signal[:, units], axis=0)[pairs])
        made[units] = np.median(change, axis=0) if len(change) else np.nan
    return made / (0.6745 * np.sqrt(2))


def measures(
    made: np.ndarray, fluorescence: np.ndarray, runs: np.ndarray, valid: np.ndarray, order: Order
) -> dict[str, np.ndarray]:
    """Return (cell,) metrics of the cleaned trace ``made`` and of what it was made from.

    ``snr`` is (95th - 50th percentile) / noise; ``nu`` is the noise of dF/F in percent per root
    hertz, ``100 median |x[t] - x[t-1]| / sqrt(rate)``.
    """
    sigma = noise(made, runs, valid)
    columns: dict[str, list[np.ndarray]] = {
        key: [] for key in ("snr", "skewness", "saturated_percent")
    }
    for units in filters.unit_chunks(len(made), made.shape[1]):
        x = np.ascontiguousarray(made[valid, units].T)
        f = fluorescence[valid, units]
        middle, high = np.percentile(x, (50, 95), axis=1)
        columns["snr"].append((high - middle) / np.maximum(sigma[units], np.finfo(np.float32).tiny))
        columns["skewness"].append(scipy.stats.skew(x.astype(np.float64), axis=1))
        columns["saturated_percent"].append(100 * (f == f.max(axis=0)).mean(axis=0))
    found = {"noise": sigma, **{key: np.concatenate(values) for key, values in columns.items()}}
    if order.options["input"] not in ("zscore", "deconvolved") and order.time_unit == "s":
        found["nu_percent_per_root_hz"] = sigma * 0.6745 * np.sqrt(2) * 100 / np.sqrt(order.rate)
    return found


def correlation(signal: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the correlation of each unit with the same unit of ``other``, (unit,)."""
    made = np.empty(signal.shape[1])
    for units in filters.unit_chunks(len(signal), signal.shape[1], copies=2):
        a, b = (x[:, units] - x[:, units].mean(axis=0, dtype=np.float64) for x in (signal, other))
        scale = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
        made[units] = (a * b).sum(axis=0) / np.where(scale > 0, scale, np.nan)
    return made


def too_noisy(snr: np.ndarray, names: Sequence[str], order: Order) -> dict[str, str]:
    """Return why cells are left out for their signal-to-noise ratio; nothing for z-scores."""
    least = order.options["snr"]
    if order.options["input"] not in JUDGED_BY_SNR:
        return {}
    return {
        name: f"signal-to-noise ratio {value:.2f}, below {least:g}"
        for name, value in zip(names, snr, strict=True)
        if not value >= least
    }


def report(
    before: np.ndarray,
    after: np.ndarray,
    names: Sequence[str],
    columns: Mapping[str, np.ndarray],
    *,
    excluded: Mapping[str, str],
    valid: np.ndarray,
    replaced: np.ndarray,
    parts: Sequence[slice],
    order: Order,
) -> dict[str, Any]:
    """Return the quality control.

    ``before`` and ``after`` hold the kept cells, ``names`` and ``columns`` all of them (NaN where
    not measured); ``replaced`` are the frames that were bad.
    """
    keep = np.array([name not in excluded for name in names])
    kept = {key: values[keep] for key, values in columns.items()}
    metrics = {
        "n_kept": int(keep.sum()),
        "n_total": len(names),
        "snr_median": np.median(kept["snr"]),
        "noise_median": np.median(kept["noise"]),
        "skewness_median": np.median(kept["skewness"]),
        "trace_sd_median": np.median(after[valid].std(axis=0, dtype=np.float64)),
        "bad_frames_percent": 100 * replaced.mean(),
        "invalid_percent": 100 * (1 - valid.mean()),
        "global_variance_percent": 100 * _global_share(after, valid),
    }
    for key in ("nu_percent_per_root_hz", "drift_percent_per_min"):
        if key in kept:
            metrics[f"{key}_median"] = np.median(kept[key])
    return {
        "metrics": quality.numbers(metrics),
        "units": quality.unit_rows(names, columns, excluded),
        "flags": _flags(metrics, kept, excluded, order),
        "preview": _preview(before, after, [n for n in names if n not in excluded], parts, order),
    }


def _global_share(signal: np.ndarray, valid: np.ndarray) -> float:
    score = filters.zscore(signal, valid)[valid]
    return float(score.mean(axis=1, dtype=np.float64).var())


def is_standardised(sd: float, order: Order) -> bool:
    """Return whether traces that the config calls z-scores have a standard deviation near 1.

    Near is 0.5 to 2, for the median over cells (chosen here).
    """
    return order.options["input"] == "zscore" and SD_LOW <= sd <= SD_HIGH


def _flags(
    metrics: Mapping[str, Any],
    kept: Mapping[str, np.ndarray],
    excluded: Mapping[str, str],
    order: Order,
) -> list[dict[str, str]]:
    return [*_whole_flags(metrics, excluded, order), *_cell_flags(kept, order)]


def _whole_flags(
    metrics: Mapping[str, Any], excluded: Mapping[str, str], order: Order
) -> list[dict[str, str]]:
    """Return the findings about a recording as a whole."""
    flags = []
    if metrics["bad_frames_percent"] > MOST_BAD_PERCENT:
        text = f"{metrics['bad_frames_percent']:.0f} % of the frames are bad"
        flags.append(quality.flag("bad", f"{text}, above {MOST_BAD_PERCENT} %"))
    share = 100 * len(excluded) / metrics["n_total"]
    if share > MOST_EXCLUDED_PERCENT:
        reasons = Counter(map(_kind, excluded.values()))
        reason, n = reasons.most_common(1)[0]
        text = (
            f"{len(excluded)} of {metrics['n_total']} cells ({share:.0f} %) are left out, above "
            f"{MOST_EXCLUDED_PERCENT} %; the commonest reason, for {n}, is: {reason}"
        )
        flags.append(quality.flag("warning", text))
    sd = metrics["trace_sd_median"]
    if order.options["input"] == "zscore" and not is_standardised(sd, order):
        text = (
            f"the median standard deviation over cells is {sd:.2g}, outside {SD_LOW:g} to "
            f"{SD_HIGH:g}: these are no z-scores, whatever preprocess.input says"
        )
        flags.append(quality.flag("warning", text))
    return flags


def _kind(reason: str) -> str:
    """Return a reason without the measured value: ``signal-to-noise ratio, below 2``."""
    first, *rest = reason.split(", ")
    return ", ".join([re.sub(r"\s*\d[\d.]*( %)?\s*", " ", first).strip(), *rest])


def _cell_flags(kept: Mapping[str, np.ndarray], order: Order) -> list[dict[str, str]]:
    """Return the findings that are counted over cells."""
    flags, nothing = [], np.zeros(0)
    judged = order.options["input"] in JUDGED_BY_SNR
    for found, what, limit in (
        (
            np.abs(kept.get("drift_percent_per_min", nothing)) > MOST_DRIFT,
            "a baseline that drifts",
            f"more than {MOST_DRIFT} % per minute; this is the fluorescence before dF/F, which "
            "takes it out",
        ),
        ((kept["skewness"] < 0) & judged, "a negative skewness", "below 0"),
        (
            kept["saturated_percent"] > MOST_SATURATED,
            "samples at their maximum",
            f"above {MOST_SATURATED} %",
        ),
        (
            kept.get("floored_baseline_percent", nothing) > MOST_FLOORED,
            "an unstable baseline",
            f"at its floor in more than {MOST_FLOORED} % of the frames",
        ),
    ):
        if found.any():
            n = int(found.sum())
            flags.append(quality.flag("warning", f"{n} of {len(found)} cells have {what}, {limit}"))
    return flags


def _preview(
    before: np.ndarray, after: np.ndarray, names: list[str], parts: Sequence[slice], order: Order
) -> dict[str, Any]:
    middle = np.median(before, axis=0)
    fluorescent = order.options["input"] in ("raw", "neuropil_corrected")
    relative = (before - middle) / np.where(fluorescent & (middle > 0), middle, 1)
    pair = (relative.astype(np.float32), after)
    return {
        "spectrum": preview.spectra(*pair, parts, rate=order.rate, samples=512),
        "carpet": preview.carpet(*pair, names, rate=order.rate),
        "traces": preview.traces(*pair, names, rate=order.rate),
    }

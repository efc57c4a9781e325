"""The quality control of a calcium recording: its numbers, its cells, what is wrong with each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rheobase.preprocess import filters, preview, quality
from rheobase.preprocess.calcium_decay import LIKELY_S, likely
from rheobase.preprocess.calcium_quality import JUDGED_BY_SNR, NEAR_PX
from rheobase.preprocess.clean import Order

MOST_BAD_PERCENT, MOST_DRIFT, MOST_SATURATED, MOST_FLOORED, MOST_ALIKE = 20, 5, 1, 5, 0.9
MOST_EXCLUDED_PERCENT = 25
SD_LOW, SD_HIGH = 0.5, 2.0
Columns = Mapping[str, np.ndarray]
MEDIANS = (
    *("snr", "noise", "skewness", "nu_percent_per_root_hz", "drift_percent_per_min"),
    *("decay_s", "event_rate_per_min", "neuropil_share"),
)


def report(
    before: np.ndarray,
    after: np.ndarray,
    names: Sequence[str],
    columns: Columns,
    *,
    alike: Mapping[str, str],
    excluded: Mapping[str, str],
    valid: np.ndarray,
    replaced: np.ndarray,
    parts: Sequence[slice],
    notes: Sequence[str],
    order: Order,
) -> dict[str, Any]:
    """Return the quality control.

    ``before`` and ``after`` hold the kept cells, ``names`` and ``columns`` all of them (NaN where
    not measured); ``alike`` names the neighbour that a cell is most correlated with, ``replaced``
    are the frames that were bad, ``notes`` what the reader had to say.
    """
    keep = np.array([name not in excluded for name in names])
    kept = {key: values[keep] for key, values in columns.items()}
    metrics = {
        "n_kept": int(keep.sum()),
        "n_total": len(names),
        "trace_sd_median": np.median(after[valid].std(axis=0, dtype=np.float64)),
        "bad_frames_percent": 100 * replaced.mean(),
        "invalid_percent": 100 * (1 - valid.mean()),
        "global_variance_percent": 100 * _global_share(after, valid),
    }
    for key in MEDIANS:
        if key in kept and np.isfinite(kept[key]).any():
            metrics[f"{key}_median"] = np.nanmedian(kept[key])
    findings = cell_findings(columns, alike, names, order)
    rows = quality.unit_rows(names, columns, excluded)
    for name, row in zip(names, rows, strict=True):
        row["flags"] = "; ".join(found[name] for found in findings.values() if name in found)
    return {
        "metrics": quality.numbers(metrics),
        "units": rows,
        "flags": [
            *(quality.flag("warning", note) for note in notes),
            *_whole_flags(metrics, excluded, order),
            *_counted(findings, [n for n in names if n not in excluded]),
        ],
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


def cell_findings(
    columns: Columns, alike: Mapping[str, str], names: Sequence[str], order: Order
) -> dict[str, dict[str, str]]:
    """Return what is wrong with cells, by kind of finding and name, each with value and limit."""
    judged = order.options["input"] in JUDGED_BY_SNR
    low, high = LIKELY_S
    nothing = np.full(len(names), np.nan)
    decay = columns.get("decay_s", nothing)
    tests: dict[str, tuple[str, np.ndarray, str]] = {
        "a baseline that drifts, more than "
        f"{MOST_DRIFT} % per minute; this is the fluorescence before dF/F, which takes it out": (
            "drift_percent_per_min",
            np.abs(columns.get("drift_percent_per_min", nothing)) > MOST_DRIFT,
            "baseline drifts by {:.3g} % per minute, limit " + f"{MOST_DRIFT} %",
        ),
        "a negative skewness, below 0": (
            "skewness",
            (columns.get("skewness", nothing) < 0) & judged,
            "skewness {:.3g}, below 0",
        ),
        f"samples at their maximum, above {MOST_SATURATED} %": (
            "saturated_percent",
            columns.get("saturated_percent", nothing) > MOST_SATURATED,
            "{:.3g} % of the samples at the maximum, above " + f"{MOST_SATURATED} %",
        ),
        f"an unstable baseline, at its floor in more than {MOST_FLOORED} % of the frames": (
            "floored_baseline_percent",
            columns.get("floored_baseline_percent", nothing) > MOST_FLOORED,
            f"unstable baseline: at its floor in {{:.3g}} % of the frames, above {MOST_FLOORED} %",
        ),
        f"a decay outside {low:g} to {high:g} s": (
            "decay_s",
            np.isfinite(decay) & ~likely(decay, order.time_unit) & judged,
            "decay of {:.3g} s, outside " + f"{low:g} to {high:g} s",
        ),
        f"a neighbour within {NEAR_PX} pixels with the same signal, correlation above "
        f"{MOST_ALIKE:g}": (
            "neighbour_r",
            columns.get("neighbour_r", nothing) > MOST_ALIKE,
            "correlation {:.3f} with the neighbour {other}, above " + f"{MOST_ALIKE:g}",
        ),
    }
    return {
        kind: {
            names[i]: text.format(columns[key][i], other=alike.get(names[i], ""))
            for i in np.flatnonzero(found).tolist()
        }
        for kind, (key, found, text) in tests.items()
        if found.any()
    }


def _counted(
    findings: Mapping[str, Mapping[str, str]], kept: Sequence[str]
) -> list[dict[str, str]]:
    """Return the findings counted over the kept cells."""
    flags = []
    for kind, found in findings.items():
        if n := sum(name in found for name in kept):
            flags.append(quality.flag("warning", f"{n} of {len(kept)} cells have {kind}"))
    return flags


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

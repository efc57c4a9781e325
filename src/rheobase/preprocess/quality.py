"""Quality control in numbers and sentences, and the comparison of a data set's recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

SD_HIGH, SD_LOW = 1.6, 0.6
BAND_LIMITED_PERCENT = 1.0
SAME_SCALE = 0.25
LEAST_RECORDINGS = 3


def flag(level: str, text: str) -> dict[str, str]:
    """Return one finding, ``warning`` or ``bad``, as a sentence with value and limit."""
    if level not in ("warning", "bad"):
        raise ValueError(f"level is {level!r}; use warning or bad")
    return {"level": level, "text": text}


def number(value: Any, digits: int = 6) -> float | int | None:
    """Return a plain number for JSON with so many significant digits; None for NaN and infinity."""
    if value is None or not np.isfinite(value):
        return None
    if isinstance(value, int | np.integer):
        return int(value)
    return float(f"{float(value):.{digits}g}")


def numbers(values: Mapping[str, Any]) -> dict[str, float | int | None]:
    """Return the metrics of a recording for JSON."""
    return {key: number(value) for key, value in values.items()}


def unit_rows(
    names: Sequence[str], columns: Mapping[str, np.ndarray], excluded: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return one row a unit: its name, its metrics and why it was excluded (None where it was not).

    ``columns`` are (unit,) arrays over all names, NaN where a metric could not be measured.
    """
    plain = {key: np.asarray(values).tolist() for key, values in columns.items()}
    return [
        {
            "name": name,
            **{key: number(values[i]) for key, values in plain.items()},
            "excluded": excluded.get(name),
        }
        for i, name in enumerate(names)
    ]


def listed(names: Sequence[str], limit: int = 5) -> str:
    """Return a few names in a sentence: ``a, b and 3 more``."""
    if len(names) <= limit:
        return ", ".join(names)
    return f"{', '.join(names[:limit])} and {len(names) - limit} more"


def compare(qc: Mapping[str, Mapping[str, Any]]) -> dict[str, list[dict[str, str]]]:
    """Return the findings that need all recordings of a data set, by recording.

    A median regional standard deviation above 1.6 or below 0.6 times the median over at least three
    recordings is bad. It is compared as stored where the recordings' means agree within 25 %, else
    in percent of the mean (both chosen here). A recording with under 1 % of its power above 0.1 Hz
    was filtered before: its spread no longer tells of noise, and the finding is a warning.
    """
    metrics = {name: content.get("metrics", {}) for name, content in qc.items()}
    found: dict[str, list[dict[str, str]]] = {name: [] for name in qc}
    key, unit = _comparable(list(metrics.values()))
    spread = {name: m[key] for name, m in metrics.items() if m.get(key) is not None}
    if len(spread) < LEAST_RECORDINGS:
        return found
    middle = float(np.median(list(spread.values())))
    for name, value in spread.items():
        ratio = value / middle if middle > 0 else 1.0
        if SD_LOW <= ratio <= SD_HIGH:
            continue
        above = metrics[name].get("power_above_0.1_hz_percent")
        filtered = above is not None and above < BAND_LIMITED_PERCENT
        limit = f"above {SD_HIGH:g}" if ratio > SD_HIGH else f"below {SD_LOW:g}"
        text = (
            f"the median regional standard deviation is {value:.3g}{unit}, {ratio:.2f} times the "
            f"median over the recordings ({middle:.3g}{unit}), {limit}"
        )
        found[name].append(flag("warning" if filtered else "bad", text))
    return found


def _comparable(metrics: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    means = np.array([m["grand_mean"] for m in metrics if m.get("grand_mean") is not None])
    percent = [m for m in metrics if m.get("sd_percent_median") is not None]
    if not len(means) or len(percent) < len(means):
        return "sd_median", ""
    apart = np.abs(means / np.median(means) - 1).max()
    return ("sd_median", "") if apart <= SAME_SCALE else ("sd_percent_median", " % of the mean")

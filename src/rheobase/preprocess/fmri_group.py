"""What head motion does to connectivity over the recordings of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

LEAST_RUNS = 20
SMALL_P = 0.05
FEW_EDGES = 3


@dataclass(frozen=True)
class MotionRelation:
    """Correlation over recordings of each edge's connectivity with the mean displacement (QC-FC).

    Arrays are (edge,), NaN where an edge is missing in some recording.
    """

    recordings: int
    before: np.ndarray
    after: np.ndarray
    distance_mm: np.ndarray | None
    """Between the regions' centres; None where they are not known."""
    metrics: dict[str, float | None]
    """``qcfc_median_abs_*``, ``qcfc_significant_percent_*`` (p < 0.05, uncorrected),
    ``qcfc_distance_r_*`` (Spearman), each ``before`` and ``after``."""


def motion_relation(qc: Mapping[str, Mapping[str, Any]]) -> MotionRelation | None:
    """Return QC-FC of a data set (Ciric et al. 2017); None below 20 recordings with motion.

    ``qc`` is the quality control by recording; only those with the most frequent number of regions
    count.
    """
    usable = {
        name: one["edges"]
        for name, one in qc.items()
        if one.get("edges") and one.get("metrics", {}).get("fd_mean_mm") is not None
    }
    sizes = [edges["regions"] for edges in usable.values()]
    if len(usable) < LEAST_RUNS:
        return None
    most = max(set(sizes), key=sizes.count)
    usable = {name: edges for name, edges in usable.items() if edges["regions"] == most}
    if len(usable) < LEAST_RUNS:
        return None
    moved = np.array([qc[name]["metrics"]["fd_mean_mm"] for name in usable], float)
    found = {when: _relation([e[when] for e in usable.values()], moved)
             for when in ("before", "after")}  # fmt: skip
    apart = [e.get("distance_mm") for e in usable.values()]
    distance = None
    if all(row is not None for row in apart):
        distance = np.array(apart, float).mean(axis=0)
    metrics: dict[str, float | None] = {"qcfc_recordings": len(usable)}
    for when, r in found.items():
        metrics |= _summary(when, r, distance, len(usable))
    return MotionRelation(len(usable), found["before"], found["after"], distance, metrics)


def _relation(rows: list[list[int | None]], moved: np.ndarray) -> np.ndarray:
    """Return each edge's correlation with motion, (edge,); connectivity is Fisher-transformed."""
    values = np.array(rows, float) / 1000
    values = np.arctanh(np.clip(values, -0.999, 0.999))
    values = values - values.mean(axis=0)
    centred = moved - moved.mean()
    power = np.sqrt((values**2).sum(axis=0) * (centred**2).sum())
    with np.errstate(invalid="ignore"):
        return (values * centred[:, None]).sum(axis=0) / np.where(power > 0, power, np.nan)


def _summary(
    when: str, r: np.ndarray, distance: np.ndarray | None, count: int
) -> dict[str, float | None]:
    from scipy.stats import spearmanr, t

    known = np.isfinite(r)
    if known.sum() < FEW_EDGES:
        return {}
    limit = t.ppf(1 - SMALL_P / 2, count - 2)
    limit /= np.sqrt(count - 2 + limit**2)
    made: dict[str, float | None] = {
        f"qcfc_median_abs_{when}": float(np.median(np.abs(r[known]))),
        f"qcfc_significant_percent_{when}": float(100 * (np.abs(r[known]) > limit).mean()),
    }
    if distance is not None:
        ranks: Any = spearmanr(r[known], distance[known])
        made[f"qcfc_distance_r_{when}"] = float(ranks[0])
    return made

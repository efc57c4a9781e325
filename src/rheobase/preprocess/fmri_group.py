"""What head motion does to connectivity over the recordings of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rheobase.preprocess.fmri_connectivity import UNKNOWN, pair_of

if TYPE_CHECKING:
    import xarray as xr

LEAST_RUNS = 20
SMALL_P = 0.05
FEW_PAIRS = 3
STAGES = ("before", "after")
PAIRS = ("pairs_before", "pairs_after", "place")
"""What ``MotionGathering.add`` takes of a recording's pictures."""


@dataclass(frozen=True)
class MotionRelation:
    """Correlation over recordings of each pair's connectivity with the mean displacement (QC-FC).

    Arrays are (pair,), NaN where a pair is missing in some recording.
    """

    recordings: int
    before: np.ndarray
    after: np.ndarray
    distance_mm: np.ndarray | None
    """Between the regions' centres; None where they are not known."""
    metrics: dict[str, float | None]
    """``qcfc_recordings``, ``qcfc_pairs``, ``qcfc_median_abs_*``, ``qcfc_significant_percent_*``
    (p < 0.05, uncorrected), ``qcfc_distance_r_*`` (Spearman), each ``before`` and ``after``."""
    of: int
    """Pairs that there are; more than were taken where they are too many."""


class MotionGathering:
    """QC-FC of a data set (Ciric et al. 2017), gathered with one recording in memory at a time.

    Only recordings with motion and with the most frequent number of regions count. Connectivity is
    Fisher-transformed.
    """

    def __init__(self, qc: Mapping[str, Mapping[str, Any]]) -> None:
        """Choose recordings by their quality control, ``qc``."""
        moved = {name: one.get("metrics", {}).get("fd_mean_mm") for name, one in qc.items()}
        sizes = {
            name: len(qc[name].get("units", ())) for name, mm in moved.items() if mm is not None
        }
        most = max(sizes.values(), key=list(sizes.values()).count, default=0)
        self._moved = {name: float(moved[name]) for name, size in sizes.items() if size == most}
        self._regions = most
        self._used: list[float] = []
        self._sums = {stage: np.zeros((3, 0)) for stage in STAGES}
        self._places: np.ndarray | None = np.zeros((most, 3))

    def add(self, name: str, pictures: xr.Dataset) -> None:
        """Take a recording's pairs into account, as ``fmri_pictures.arrays`` made them."""
        if name not in self._moved or "pairs_after" not in pictures:
            return
        moved = self._moved[name]
        for stage in STAGES:
            stored = pictures[f"pairs_{stage}"].values
            values = np.where(stored == UNKNOWN, np.nan, stored / 1000)
            values = np.arctanh(np.clip(values, -0.999, 0.999))
            new = np.stack([values, values**2, values * moved])
            self._sums[stage] = new if not self._used else self._sums[stage] + new
        there = "place" in pictures and self._places is not None
        self._places = self._places + pictures["place"].values if there else None
        self._used.append(moved)

    def relation(self) -> MotionRelation | None:
        """Return QC-FC; None below 20 recordings."""
        count = len(self._used)
        if count < LEAST_RUNS:
            return None
        found = {stage: _relation(self._sums[stage], np.array(self._used)) for stage in STAGES}
        first, second = pair_of(self._regions)
        distance = None
        if self._places is not None:
            centres = self._places / count
            distance = np.linalg.norm(centres[first] - centres[second], axis=1)
        metrics: dict[str, float | None] = {"qcfc_recordings": count, "qcfc_pairs": len(first)}
        for stage, r in found.items():
            metrics |= _summary(stage, r, distance, count)
        of = self._regions * (self._regions - 1) // 2
        return MotionRelation(count, found["before"], found["after"], distance, metrics, of)


def _relation(sums: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Return each pair's correlation with motion, (pair,), from sums of z, z^2 and z times it."""
    count, (total, squares, products) = len(moved), sums
    covariance = products - total * moved.mean()
    power = (squares - total**2 / count) * ((moved - moved.mean()) ** 2).sum()
    with np.errstate(invalid="ignore"):
        return covariance / np.sqrt(np.where(power > 1e-12 * squares, power, np.nan))


def _summary(
    when: str, r: np.ndarray, distance: np.ndarray | None, count: int
) -> dict[str, float | None]:
    from scipy.stats import spearmanr, t

    known = np.isfinite(r)
    if known.sum() < FEW_PAIRS:
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

"""Figures of an fMRI data set as a whole: motion against connectivity, networks, distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rheobase.preprocess.fmri_group import LEAST_RUNS, MotionRelation
from rheobase.report.embed import Figure, csv_address
from rheobase.report.fmri_figures import distribution
from rheobase.report.matrices import Matrix, panels
from rheobase.report.svg import Axis, Canvas, picture

DISTANCE_BINS = 12
LEAST_PAIRS = 5


def group_figures(
    qc: Mapping[str, Mapping[str, Any]], relation: MotionRelation | None
) -> tuple[Figure, ...]:
    """Return what can be drawn of a data set's quality control, by recording in ``qc``."""
    drawn = [_histogram(qc), _networks(qc)]
    if relation is not None:
        drawn += [_motion(relation), _distance(relation)]
    return tuple(figure for figure in drawn if figure is not None)


def group_words(
    qc: Mapping[str, Mapping[str, Any]], relation: MotionRelation | None
) -> tuple[str, ...]:
    """Return sentences on motion and connectivity over the recordings."""
    moved = [one for one in qc.values() if one.get("metrics", {}).get("fd_mean_mm") is not None]
    if not moved:
        return ()
    if relation is None:
        return (
            f"Whether motion shapes connectivity over recordings (QC-FC) is told from {LEAST_RUNS} "
            f"recordings with motion on; there are {len(moved)}.",
        )
    told = relation.metrics
    if "qcfc_median_abs_after" not in told:
        return ()
    many = len(relation.after)
    which = f"all {many:,} pairs" if many == relation.of else (
        f"{many:,} of {relation.of:,} pairs, evenly taken"
    )  # fmt: skip
    text = (
        f"Over {relation.recordings} recordings the connectivity of a pair of regions correlates "
        f"with mean displacement by {told['qcfc_median_abs_after']:.2f} (median of absolute "
        f"values over {which}; {told['qcfc_median_abs_before']:.2f} before cleaning), and "
        f"{told['qcfc_significant_percent_after']:.0f} % of the pairs have p < 0.05, uncorrected "
        f"({told['qcfc_significant_percent_before']:.0f} % before; 5 % by chance)."
    )
    if "qcfc_distance_r_after" not in told:
        return (text,)
    return (
        f"{text} It depends on the distance of the regions with a rank correlation of "
        f"{told['qcfc_distance_r_after']:.2f} ({told['qcfc_distance_r_before']:.2f} before).",
    )


def _histogram(qc: Mapping[str, Mapping[str, Any]]) -> Figure | None:
    found = [one["preview"]["fc"] for one in qc.values() if (one.get("preview") or {}).get("fc")]
    found = [one for one in found if one.get("after")]
    if len(found) < 2:
        return None
    before, after = (
        np.mean([one[when] for one in found], axis=0).tolist() for when in ("before", "after")
    )
    return distribution(
        f"{len(found)} recordings", before, after,
        f"Correlations of all pairs of regions, mean over {len(found)} recordings. Dashed grey "
        "before, solid blue after: after cleaning the middle should be near 0.",
        "fc_histogram.csv",
    )  # fmt: skip


def _networks(qc: Mapping[str, Mapping[str, Any]]) -> Figure | None:
    """Draw connectivity within and between networks, mean over recordings."""
    found = [(one.get("preview") or {}).get("fc_networks") for one in qc.values()]
    found = [one for one in found if one]
    names = found[0]["networks"] if found else []
    same = [one for one in found if one["networks"] == names]
    if len(same) < 2:
        return None
    drawn, rows = [], []
    for when in ("before", "after"):
        with np.errstate(invalid="ignore"):
            mean = np.array([one[when] for one in same], float).mean(axis=0)
        values: list[list[float | None]] = [
            [None if np.isnan(v) else float(v) for v in row] for row in mean
        ]
        drawn.append(Matrix(when, values, names, f"connectivity between networks {when} cleaning"))
        rows += [[when, name, *row] for name, row in zip(names, values, strict=True)]
    return Figure(
        "Connectivity by network",
        panels(drawn),
        f"Mean correlation within (diagonal) and between networks over {len(same)} recordings, "
        "pairs of a region with itself left out; blue is negative, orange is positive, the deepest "
        "colour is 1. Numbers are in hundredths.",
        csv_address(["stage", "network", *names], rows),
        "connectivity_by_network.csv",
        wide=True,
    )


def _motion(relation: MotionRelation) -> Figure:
    def share(values: np.ndarray) -> Sequence[float]:
        known = values[np.isfinite(values)]
        counts, _ = np.histogram(known, 40, (-1, 1))
        return (1000 * counts / max(len(known), 1)).tolist()

    made = distribution(
        "QC-FC", share(relation.before), share(relation.after),
        f"Correlation over {relation.recordings} recordings of each pair's connectivity with mean "
        "framewise displacement. Dashed grey before, solid blue after: the closer to 0, the less "
        "of the differences between recordings is motion.", "qcfc.csv",
    )  # fmt: skip
    return Figure("Motion and connectivity", made.body, made.caption, made.csv, made.csv_name)


def _distance(relation: MotionRelation) -> Figure | None:
    """Draw QC-FC over the distance of the regions: medians of bins."""
    if relation.distance_mm is None:
        return None
    known = np.isfinite(relation.after) & np.isfinite(relation.distance_mm)
    apart = relation.distance_mm[known]
    if len(apart) < DISTANCE_BINS * LEAST_PAIRS:
        return None
    edges = np.unique(np.quantile(apart, np.linspace(0, 1, DISTANCE_BINS + 1)))
    bins = np.clip(np.searchsorted(edges, apart, side="right") - 1, 0, len(edges) - 2)
    held = np.unique(bins).tolist()
    centre = [float(np.median(apart[bins == i])) for i in held]
    before, after = (
        [float(np.median(values[known][bins == i])) for i in held]
        for values in (relation.before, relation.after)
    )
    canvas = Canvas(
        Axis.over(centre, "distance (mm)"), Axis.over([0, *before, *after], "correlation")
    )
    drawn = canvas.frame() + canvas.line(centre, before, "before")
    drawn += canvas.line(centre, after, "after") + canvas.level(0.0, "limit")
    return Figure(
        "Motion by distance",
        picture(drawn, alt="Correlation of connectivity with motion over the regions' distance"),
        "Median correlation of connectivity with motion, pairs of regions in up to twelve bins by "
        "distance. Dashed grey before, solid blue after: a slope means that motion makes near "
        "regions look more connected than far ones.",
        csv_address(["distance_mm", "before", "after"], zip(centre, before, after, strict=True)),
        "qcfc_distance.csv",
    )

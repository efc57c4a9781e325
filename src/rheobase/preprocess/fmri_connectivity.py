"""Connectivity before and after cleaning, in numbers, as pictures, and edge by edge for the group.

Signals are (time, region); connectivity is Pearson's correlation over valid frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rheobase.preprocess import filters

MANY_REGIONS = 1500
"""Numbers use at most so many regions, evenly taken (voxel recordings)."""
MATRIX_REGIONS, MOST_NETWORKS, BINS, EDGES = 64, 24, 40, 2000


def global_correlation(signal: np.ndarray) -> float:
    """Return GCOR, the mean correlation over all pairs of regions (Saad et al. 2013)."""
    return float((filters.zscore(signal, np.ones(len(signal), bool)).mean(axis=1) ** 2).mean())


def numbers(pair: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return GCOR and the spread of connectivity; ``pair`` holds ``before`` and ``after``."""
    metrics: dict[str, float] = {}
    for when, signal in pair.items():
        some = _some(signal.shape[1], MANY_REGIONS)
        if len(some) < 2:
            return {}
        values = _pairs(signal[:, some])
        metrics |= {
            f"gcor_{when}": global_correlation(signal),
            f"fc_mean_{when}": float(values.mean()),
            f"fc_sd_{when}": float(values.std()),
            f"fc_p05_{when}": float(np.percentile(values, 5)),
            f"fc_p95_{when}": float(np.percentile(values, 95)),
        }
    return metrics


def pictures(
    pair: Mapping[str, np.ndarray], names: Sequence[str], networks: np.ndarray | None
) -> dict[str, Any]:
    """Return ``fc`` (histograms), ``fc_matrix`` and, where networks are known, ``fc_networks``.

    Matrices are in hundredths, regions ordered by network and thinned to 64; histograms are shares
    in thousandths of 40 bins from -1 to 1.
    """
    count = len(names)
    if count < 2:
        return {}
    order = np.arange(count) if networks is None else np.argsort(networks, kind="stable")
    chosen = order[_some(count, MATRIX_REGIONS)]
    matrix: dict[str, Any] = {"names": [names[i] for i in chosen], "of": count}
    if networks is not None:
        matrix["networks"] = np.asarray(networks)[chosen].astype(str).tolist()
    made: dict[str, Any] = {"fc": {"low": -1, "high": 1}, "fc_matrix": matrix}
    for when, signal in pair.items():
        matrix[when] = _hundredths(np.corrcoef(signal[:, chosen], rowvar=False))
        values = _pairs(signal[:, _some(count, MANY_REGIONS)])
        shares, _ = np.histogram(values, BINS, (-1, 1))
        made["fc"][when] = np.rint(1000 * shares / len(values)).astype(int).tolist()
    if networks is not None and 2 <= len(set(networks.tolist())) <= MOST_NETWORKS:
        made["fc_networks"] = _by_network(pair, np.asarray(networks).astype(str))
    return made


def edges(
    pair: Mapping[str, np.ndarray],
    names: Sequence[str],
    keep: np.ndarray,
    places: np.ndarray | None,
) -> dict[str, Any]:
    """Return connectivity of up to 2000 pairs of all regions, in thousandths, for the group.

    The same ``names`` give the same pairs in every recording. ``keep`` (region,) bool says which
    regions the signals hold; pairs with another are None. ``places`` (region, 3) in mm give the
    distance.
    """
    count = len(names)
    if count < 2:
        return {}
    chosen = _some(count * (count - 1) // 2, EDGES)
    first, second = _pair_of(chosen, count)
    at = np.cumsum(keep) - 1
    known = keep[first] & keep[second]
    made: dict[str, Any] = {"regions": count}
    for when, signal in pair.items():
        scores = filters.zscore(signal, np.ones(len(signal), bool)).astype(np.float64)
        values = np.full(len(first), np.nan)
        left, right = scores[:, at[first[known]]], scores[:, at[second[known]]]
        values[known] = (left * right).sum(axis=0) / (len(signal) - 1)
        made[when] = [None if not np.isfinite(v) else round(1000 * v) for v in values.tolist()]
    if places is not None:
        apart = np.full(len(first), np.nan)
        apart[known] = np.linalg.norm(places[at[first[known]]] - places[at[second[known]]], axis=1)
        made["distance_mm"] = [None if not np.isfinite(d) else round(d, 1) for d in apart.tolist()]
    return made


def _pair_of(numbers: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of entries of the upper triangle, numbered row by row."""
    starts = np.concatenate([[0], np.cumsum(np.arange(count - 1, 0, -1))])
    first = np.searchsorted(starts, numbers, side="right") - 1
    return first, first + 1 + numbers - starts[first]


def _by_network(pair: Mapping[str, np.ndarray], networks: np.ndarray) -> dict[str, Any]:
    """Return the mean connectivity within and between networks, self-pairs left out."""
    kinds = sorted(set(networks.tolist()))
    member = (networks[None] == np.asarray(kinds)[:, None]).astype(float)
    size = member.sum(axis=1)
    many = np.outer(size, size) - np.diag(size)
    made: dict[str, Any] = {"networks": kinds}
    for when, signal in pair.items():
        scores = filters.zscore(signal, np.ones(len(signal), bool)).astype(np.float64)
        sums = scores @ member.T
        total = sums.T @ sums / (len(signal) - 1) - np.diag(size)
        made[when] = _hundredths(total / np.where(many > 0, many, np.nan))
    return made


def _some(count: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, count, min(count, most), endpoint=False).astype(int))


def _pairs(signal: np.ndarray) -> np.ndarray:
    return np.corrcoef(signal, rowvar=False)[np.triu_indices(signal.shape[1], 1)]


def _hundredths(matrix: np.ndarray) -> list[list[int | None]]:
    return [
        [None if not np.isfinite(v) else round(100 * v) for v in row] for row in matrix.tolist()
    ]

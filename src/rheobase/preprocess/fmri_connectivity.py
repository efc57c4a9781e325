"""Connectivity before and after cleaning, in numbers, as pictures, and pair by pair for the group.

Signals are (time, region); connectivity is Pearson's correlation over valid frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rheobase.preprocess import filters

MANY_REGIONS = 1500
"""Numbers use at most so many regions, evenly taken (voxel recordings)."""
MATRIX_REGIONS, MOST_NETWORKS, BINS, MOST_PAIRS = 64, 24, 40, 500_000
UNKNOWN = np.iinfo(np.int16).min

Variables = dict[str, tuple[tuple[str, ...], np.ndarray]]
"""Dimensions and values by name, as ``xarray.Dataset`` takes them."""


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


def distributions(pair: Mapping[str, np.ndarray], networks: np.ndarray | None) -> dict[str, Any]:
    """Return ``fc`` (histograms) and, where networks are known, ``fc_networks``.

    Histograms are shares in thousandths of 40 bins from -1 to 1; means over networks are in
    hundredths.
    """
    count = next(iter(pair.values())).shape[1]
    if count < 2:
        return {}
    made: dict[str, Any] = {"fc": {"low": -1, "high": 1}}
    for when, signal in pair.items():
        values = _pairs(signal[:, _some(count, MANY_REGIONS)])
        shares, _ = np.histogram(values, BINS, (-1, 1))
        made["fc"][when] = np.rint(1000 * shares / len(values)).astype(int).tolist()
    if networks is not None and 2 <= len(set(networks.tolist())) <= MOST_NETWORKS:
        made["fc_networks"] = _by_network(pair, np.asarray(networks).astype(str))
    return made


def matrix(
    pair: Mapping[str, np.ndarray], names: Sequence[str], networks: np.ndarray | None
) -> Variables:
    """Return ``fc_before`` and ``fc_after`` in hundredths, with ``fc_name`` and ``fc_network``.

    Regions are ordered by network and thinned to 64.
    """
    count = len(names)
    if count < 2:
        return {}
    order = np.arange(count) if networks is None else np.argsort(networks, kind="stable")
    chosen = order[_some(count, MATRIX_REGIONS)]
    made: Variables = {"fc_name": (("fc_row",), np.asarray(names, str)[chosen])}
    if networks is not None:
        made["fc_network"] = ("fc_row",), np.asarray(networks, str)[chosen]
    for when, signal in pair.items():
        values = np.corrcoef(signal[:, chosen], rowvar=False)
        made[f"fc_{when}"] = ("fc_row", "fc_column"), np.rint(100 * values).astype(np.int8)
    return made


def pairs(pair: Mapping[str, np.ndarray], keep: np.ndarray, places: np.ndarray | None) -> Variables:
    """Return the connectivity of all pairs of regions, ``pairs_before`` and ``pairs_after``.

    They are in thousandths, ``UNKNOWN`` where a region is missing, in the order of ``pair_of``;
    above 500,000 pairs an even sample, the same in every recording. ``keep`` (region,) bool says
    which regions the signals hold. ``places`` (region, 3) in mm become ``place``.
    """
    count = len(keep)
    if count < 2:
        return {}
    first, second = pair_of(count)
    at = np.cumsum(keep) - 1
    known = keep[first] & keep[second]
    made: Variables = {}
    for when, signal in pair.items():
        values = np.full(len(first), UNKNOWN, np.int16)
        values[known] = np.rint(1000 * _correlations(signal, at[first[known]], at[second[known]]))
        made[f"pairs_{when}"] = ("pair",), values
    if places is not None:
        everywhere = np.full((count, 3), np.nan, np.float32)
        everywhere[keep] = places
        made["place"] = ("region", "axis"), everywhere
    return made


def pair_of(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the two regions of every pair that ``pairs`` holds, (pair,) each.

    They are entries of the upper triangle, numbered row by row.
    """
    chosen = _some(count * (count - 1) // 2, MOST_PAIRS)
    starts = np.concatenate([[0], np.cumsum(np.arange(count - 1, 0, -1))])
    first = np.searchsorted(starts, chosen, side="right") - 1
    return first, first + 1 + chosen - starts[first]


def _correlations(signal: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation of columns ``first`` with columns ``second``, (pair,)."""
    scores = filters.zscore(signal, np.ones(len(signal), bool)).astype(np.float64)
    made = np.empty(len(first))
    for part in filters.unit_chunks(len(signal), len(first), copies=3):
        made[part] = (scores[:, first[part]] * scores[:, second[part]]).sum(axis=0)
    return made / (len(signal) - 1)


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

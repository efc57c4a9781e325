"""The order in which a component's units and communities are drawn, and the tree above them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Ordered:
    """Units of a component by community."""

    units: np.ndarray
    """Places of the units in drawing order, (unit,)"""
    blocks: np.ndarray
    """Community of each drawn unit, (unit,)"""
    borders: np.ndarray
    """Where a new community begins, (community - 1,)"""

    def middle(self, block: int) -> float:
        """Return where a community stands along the axis."""
        return float(np.flatnonzero(self.blocks == block).mean())


def ordered(labels: np.ndarray, inside: np.ndarray, levels: np.ndarray) -> Ordered:
    """Return units by community, those that merge early beside each other, densest first.

    ``labels`` (unit,) are numbered from the densest, ``inside`` (unit,) is the weight within the
    own community, ``levels`` (level, unit) are nested partitions with -1 for levels that are not.
    """
    known = levels[(levels >= 0).all(axis=1)]
    keys = np.stack([*(_densest(level, labels) for level in known[::-1]), labels])
    order = np.lexsort((-inside, *keys[::-1]))
    blocks = labels[order]
    return Ordered(order, blocks, np.flatnonzero(np.diff(blocks)) + 1)


def _densest(level: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return for each unit the densest community in its group of a level, (unit,)."""
    first = {g: int(labels[level == g].min()) for g in np.unique(level)}
    return np.array([first[g] for g in level])


def merges(
    labels: np.ndarray, levels: np.ndarray, made: Ordered
) -> list[tuple[float, float, float, float, int]]:
    """Return the joints of the tree: places and heights of both sides, and the new height.

    Heights count levels from 0, the communities themselves.
    """
    known = levels[(levels >= 0).all(axis=1)]
    place = {frozenset([b]): (made.middle(b), 0.0) for b in np.unique(labels).tolist()}
    found = []
    for height, level in enumerate(known[1:], start=1):
        groups = [frozenset(labels[level == g].tolist()) for g in np.unique(level)]
        for group in groups:
            if group in place:
                continue
            parts = [p for p in place if p < group]
            (left, low), *rest = sorted(place[p] for p in parts)
            for right, other in rest:
                found.append((left, right, low, other, height))
                left, low = (left + right) / 2, float(height)
            for part in parts:
                del place[part]
            place[group] = left, float(height)
    return found

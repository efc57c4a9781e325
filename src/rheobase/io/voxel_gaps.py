"""Voxels of regions that hold NaN or infinity: left out of the means, so they must be counted."""

from __future__ import annotations

from typing import Any

import numpy as np

from rheobase.io.atlases import find_regions
from rheobase.io.regions import Regions
from rheobase.io.values import listing
from rheobase.io.volumes import Volumes


def voxels_with_gaps(
    volumes: Volumes, mask: np.ndarray | None, usable: np.ndarray, atlas: Any, found: Regions
) -> np.ndarray:
    """Return how many voxels of each region hold NaN or infinity in some volume, (region,) int.

    ``mask`` and ``usable`` are (x, y, z) bool; voxels outside the mask do not count.
    """
    holes = volumes.gaps if mask is None else volumes.gaps & mask
    if not holes.any():
        return np.zeros(len(found.names), int)
    wider = find_regions(atlas, volumes.path, usable | holes, volumes.affine)
    inside = wider.weights[:, np.flatnonzero(holes[usable | holes])]
    return np.diff(inside.tocsr().indptr)


def gap_notes(names: tuple[str, ...], counts: np.ndarray) -> tuple[str, ...]:
    """Return the caution for a quality control; empty where no region has such a voxel."""
    if not counts.any():
        return ()
    told = [f"{names[i]} ({counts[i]})" for i in np.flatnonzero(counts)]
    return (
        f"{int(counts.sum())} voxels of {len(told)} regions hold NaN or infinity in some volume "
        f"and are left out of the means: {listing(told)}",
    )

"""A few axial slices of an image's voxel measures, small enough for a report."""

from __future__ import annotations

import numpy as np

from rheobase.io.regions import Regions

SLICES, MOST_PIXELS, INSET = 8, 72, 0.1
"""At most so many slices between the lowest and highest tenth of the brain, each thinned to at most
so many voxels a side (chosen here)."""


def mosaic(
    inside: np.ndarray, usable: np.ndarray, found: Regions | None, **measures: np.ndarray
) -> dict[str, np.ndarray]:
    """Return ``map_<name>`` for each measure and ``map_regions``, (slice, row, column).

    ``measures`` are over the voxels of ``inside`` (x, y, z); rows run from front to back, columns
    along x as stored. Outside, measures are NaN; regions are numbered from 1, 0 in none.
    """
    levels = np.flatnonzero(inside.any(axis=(0, 1)))
    ends = INSET * (len(levels) - 1), (1 - INSET) * (len(levels) - 1)
    chosen = levels[np.unique(np.linspace(*ends, SLICES).round().astype(int))]
    step = max(1, -(-max(inside.shape[:2]) // MOST_PIXELS))

    def slices(values: np.ndarray) -> np.ndarray:
        thinned = values[::step, ::step][:, :, chosen]
        return thinned.transpose(2, 1, 0)[:, ::-1]

    made = {}
    for name, values in measures.items():
        full = np.full(inside.shape, np.nan)
        full[inside] = values
        made[f"map_{name}"] = slices(full)
    regions = np.zeros(inside.shape, int)
    if found is not None:
        owner = found.weights.tocoo()
        part = np.zeros(int(usable.sum()), int)
        part[owner.col] = owner.row + 1
        regions[usable] = part
    made["map_regions"] = slices(regions)
    return made

"""Axial slices of an image's mean, noise and temporal SNR under the borders of the regions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rheobase.report.embed import Figure
from rheobase.report.raster import OUTSIDE, tissue_image
from rheobase.report.svg import picture, text_at

if TYPE_CHECKING:
    import xarray as xr

WIDE, TALLEST, GAP = 680, 150, 24
"""Width of the figure, largest height of a row of slices, and room for its title."""
PIXELS, FINEST, MARGIN = 800, 12, 1
"""Least width in pixels, most of them along a side of a voxel, and voxels around the brain. A voxel
takes two pixels or more, so that borders are thin."""
TITLES = {"mean": "mean", "sd": "SD", "tsnr": "tSNR"}


def mosaic(name: str, pictures: xr.Dataset) -> Figure | None:
    """Draw axial slices of the mean image, of its noise and of temporal SNR, regions outlined."""
    if "map_mean" not in pictures:
        return None
    shown = _shown(pictures["map_mean"].values != OUTSIDE)
    borders = _borders(_row(pictures["map_regions"].values[shown]))
    drawn, scales, top = [], [], 0
    for key, title in TITLES.items():
        if f"map_{key}" not in pictures:
            continue
        rows = _row(pictures[f"map_{key}"].values[shown])
        tall = min(round(WIDE * rows.shape[0] / rows.shape[1]), TALLEST)
        low, high = pictures[f"map_{key}_range"].values.tolist()
        scales.append(f"{title}, {low:.4g} (dark) to {high:.4g} (light)")
        drawn.append(text_at(2, top + 14, scales[-1], anchor="start", style="axis"))
        box = (0, top + GAP, round(tall * rows.shape[1] / rows.shape[0]), tall)
        drawn.append(tissue_image(rows, borders, box))
        top += GAP + tall + 6
    lines = " The borders of the regions (blue) should follow the brain." * bool(borders.any())
    return Figure(
        "Image",
        picture("".join(drawn), alt=f"{name}: axial slices of the {'; '.join(scales)}",
                height=top, width=WIDE),
        f"Axial slices from low to high.{lines} SD is the standard deviation over time without a "
        "second-order trend: light rims are movement, light spots vessels or ghosts. tSNR is the "
        "mean over SD: where it is dark inside a region, that region's signal is weak. Voxels that "
        "were not used are white.",
        wide=True,
    )  # fmt: skip


def _shown(inside: np.ndarray) -> tuple[slice, ...]:
    """Return the part of (slice, row, column) that holds the brain, and a margin in the plane."""
    found = [np.flatnonzero(inside.any(axis=(0, 3 - axis))) for axis in (1, 2)]
    return slice(None), *(slice(max(0, f[0] - MARGIN), f[-1] + 1 + MARGIN) for f in found)


def _row(slices: np.ndarray) -> np.ndarray:
    """Return (slice, row, column) as one picture, slices side by side."""
    made = np.concatenate(list(slices), axis=1)
    finer = min(max(2, -(-PIXELS // made.shape[1])), FINEST)
    return made.repeat(finer, axis=0).repeat(finer, axis=1)


def _borders(regions: np.ndarray) -> np.ndarray:
    """Return the first pixel of every voxel whose neighbour above or to the left differs."""
    across = np.diff(regions, axis=1, prepend=regions[:, :1]) != 0
    down = np.diff(regions, axis=0, prepend=regions[:1]) != 0
    return across | down

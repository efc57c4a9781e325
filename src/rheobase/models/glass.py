"""Values of regions on a glass brain, where their places in an MNI space are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from rheobase.models.canvas import tick

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

MNI = "MNI"
HEIGHT = 1.9
"""Inches of a row"""


def in_mni(stored: xr.Dataset) -> bool:
    """Return whether the recording says that its coordinates lie in an MNI space."""
    if not {"x", "y", "z", "space"} <= set(stored.coords):
        return False
    return all(space.startswith(MNI) for space in stored["space"].values.astype(str))


def places(stored: xr.Dataset) -> np.ndarray | None:
    """Return the regions' places in an MNI space, (region, 3) in mm; None where unknown.

    Coordinates of any other space would lie anywhere on a template's outline.
    """
    if not in_mni(stored):
        return None
    found = np.stack([stored[axis].values.astype(np.float64) for axis in "xyz"], axis=1)
    return found if np.isfinite(found).all() else None


def rows(
    maps: Mapping[str, np.ndarray], where: np.ndarray, *, width: float, signed: bool = False,
    small: int = 9, normal: int = 10,
) -> Figure:  # fmt: skip
    """Return a figure with one row of glass brains a map, (region,), each with its colour bar.

    ``signed`` maps have 0 in the middle of the colours; others begin at 0 or their smallest.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure
    from nilearn import plotting

    figure = Figure(figsize=(width, HEIGHT * len(maps)))
    colours = "PuOr_r" if signed else "cividis"
    for row, (title, values) in enumerate(maps.items()):
        bottom, height = 1 - (row + 1) / len(maps), 1 / len(maps)
        least, most = _ends(values, signed=signed)
        style: dict[str, Any] = {"node_cmap": colours, "node_size": 18, "display_mode": "lzr",
                                 "node_vmin": least, "node_vmax": most,
                                 "colorbar": False, "annotate": False}  # fmt: skip
        plotting.plot_markers(np.nan_to_num(values, nan=least), where, figure=figure,
                              axes=(0.0, bottom, 0.82, 0.88 * height), **style)  # fmt: skip
        bar = figure.add_axes((0.84, bottom + 0.15 * height, 0.02, 0.55 * height))
        shown = figure.colorbar(ScalarMappable(Normalize(least, most), colours), cax=bar)
        ends = np.linspace(least, most, 3).tolist()
        shown.set_ticks(ends, labels=[tick(end) for end in ends], fontsize=small)
        figure.text(0.01, bottom + 0.98 * height, title, fontsize=normal, va="top")
    return figure


def _ends(values: np.ndarray, *, signed: bool) -> tuple[float, float]:
    low, high = (float(q) for q in np.nanpercentile(values, [2, 98]))
    if signed:
        most = max(abs(low), abs(high), 1e-9)
        return -most, most
    least = min(0.0, low)
    return least, max(high, low + 1e-9, least + 1e-9)

"""Sizes, colours and words that the drawings share; narrow enough to be read on a phone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rheobase.models.canvas import p_text

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "CLASSES", "COLOURS", "MARKS", "NORMAL", "SMALL", "WIDTH", "WORDS", "by_class", "by_network",
    "figure", "matrix", "p_text", "spread",
]  # fmt: skip

WIDTH = 4.8
"""Inches"""
SMALL, NORMAL = 10, 11
COLOURS = {
    "truth": "#000000", "brainmae": "#0072B2", "linear_interpolation": "#CC79A7",
    "pca": "#D55E00", "conditional_gaussian": "#009E73", "conditional_gaussian_3": "#E69F00",
    "ridge": "#56B4E9", "mean": "#666666", "training_average": "#666666",
}  # fmt: skip
"""Okabe and Ito's palette, told apart with every kind of colour vision."""
MARKS = {"brainmae": "o", "linear_interpolation": "x", "pca": "s", "conditional_gaussian": "^",
         "conditional_gaussian_3": "v", "ridge": "D", "mean": ".",
         "training_average": "P"}  # fmt: skip
WORDS = {
    "truth": "measured", "brainmae": "BrainMAE", "linear_interpolation": "linear interpolation",
    "pca": "PCA", "conditional_gaussian": "conditional Gaussian",
    "conditional_gaussian_3": "conditional Gaussian, 3 frames", "ridge": "ridge",
    "mean": "mean", "training_average": "training average",
}  # fmt: skip
CLASSES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442")
UNKNOWN, OTHERS = "#8a8a8a", "#3d3d3d"
MOST_NAMED = 20
"""Networks that are still written out along an axis"""


def figure(
    height: float, rows: int = 1, columns: int = 1, *, layout: Any = "constrained", **more: Any
) -> tuple[Figure, Any]:
    """Return an empty figure and its axes, (row, column); ``layout`` compressed for squares."""
    from matplotlib.figure import Figure

    made = Figure(figsize=(WIDTH, height), layout=layout)
    axes = made.subplots(rows, columns, squeeze=False, **more)
    for one in axes.flat:
        one.spines[["top", "right"]].set_visible(False)
        one.tick_params(labelsize=SMALL)
    return made, axes


def by_class(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the colour of each word, and what the legend says of colours, in its order.

    The commonest words have a colour each; where there are more words than colours, the others
    share one. An empty word is unknown.
    """
    count = Counter(word for word in words if word)
    known = [word for word, _ in sorted(count.items(), key=lambda item: (-item[1], item[0]))]
    named = known if len(known) <= len(CLASSES) else known[: len(CLASSES) - 1]
    legend: dict[str, str] = dict(zip(sorted(named), CLASSES, strict=False))
    left = len(known) - len(named)
    colours = [legend.get(word, OTHERS) if word else UNKNOWN for word in words]
    if left:
        legend[f"{left} others"] = OTHERS
    if len(count) and not all(words):
        legend["unknown"] = UNKNOWN
    return colours, legend


def by_network(arrays: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the order of the regions by network, and each one's network; empty without any."""
    names = arrays["unit"].values
    if "network" not in arrays.coords:
        return np.arange(len(names)), np.zeros(0, str)
    networks = arrays["network"].values.astype(str)
    order = np.argsort(networks, kind="stable")
    return order, networks[order]


def matrix(axes: Axes, values: np.ndarray, networks: np.ndarray, *, named: bool = True) -> None:
    """Draw a (region, region) matrix that is ordered already, with lines between networks."""
    shown = values.astype(np.float64).copy()
    np.fill_diagonal(shown, np.nan)
    signed = np.nanmin(shown) < 0
    high = float(np.nanpercentile(np.abs(shown), 99)) or 1.0
    image = axes.imshow(shown, cmap="PuOr_r" if signed else "cividis", interpolation="nearest",
                        vmin=-high if signed else 0, vmax=high)  # fmt: skip
    axes.spines[:].set_visible(False)
    axes.figure.colorbar(image, ax=axes, shrink=0.8).ax.tick_params(labelsize=SMALL)
    labels, start, count = np.unique(networks, return_index=True, return_counts=True)
    for edge in start[1:] - 0.5:
        for line in (axes.axhline, axes.axvline):
            line(edge, color="#ffffff" if not signed else "#444444", linewidth=0.5)
    if named and 0 < len(labels) <= MOST_NAMED:
        middle = start + (count - 1) / 2
        axes.set_yticks(middle, labels, fontsize=SMALL)
        axes.set_xticks([])
    elif len(labels) or not named:
        axes.set_xticks([])
        axes.set_yticks([])


def spread(count: int, width: float = 0.3) -> np.ndarray:
    """Return offsets that keep points of a row apart, (count,)."""
    return width * (np.arange(count) * 7 % 11 / 11 - 0.45)

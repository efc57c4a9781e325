"""Sizes, colours and words that the drawings share; narrow enough to be read on a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 4.8
"""Inches"""
SMALL, NORMAL = 9, 10
BLUE, ORANGE, GREEN, PINK, RED, SKY, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#666666",
)  # fmt: skip
HUES = (BLUE, ORANGE, GREEN, PINK, RED, SKY)
"""Okabe and Ito's palette, told apart with every kind of colour vision"""
NOT_CAUSE = (
    "What moves together need not be connected: a component is co-variation, and neither its "
    "pairs nor its order say what causes what."
)
LEGEND_EVENTS = 6


def empty(height: float, **more: Any) -> Figure:
    """Return an empty figure of the usual width."""
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), layout="constrained", **more)


def plain(axes: Axes, *, x: str = "", y: str = "") -> Axes:
    """Return the axes without frame, with their labels."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL)
    axes.set_xlabel(x, fontsize=NORMAL)
    axes.set_ylabel(y, fontsize=NORMAL)
    return axes


def matrix(axes: Axes, values: np.ndarray, borders: np.ndarray) -> None:
    """Draw an ordered affinity matrix, (unit, unit), with lines between blocks."""
    shown = values.astype(np.float64).copy()
    np.fill_diagonal(shown, np.nan)
    high = float(np.nanpercentile(shown, 99)) if len(shown) > 1 else 1.0
    axes.imshow(shown, cmap="cividis", vmin=0, vmax=high or 1.0, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    for edge in borders:
        axes.axhline(edge - 0.5, color="#ffffff", linewidth=0.6)
        axes.axvline(edge - 0.5, color="#ffffff", linewidth=0.6)


def shade(axes: Axes, clock: np.ndarray, events: np.ndarray, names: list[str]) -> None:
    """Shade the bins of each event behind a course, one colour a name."""
    for number, name in enumerate(names):
        inside = events == name
        turns = np.flatnonzero(np.diff(np.r_[False, inside, False].astype(int)))
        for k, (a, b) in enumerate(zip(turns[::2], turns[1::2], strict=True)):
            left, right = float(clock[a]), float(clock[min(b, len(clock) - 1)])
            axes.axvspan(left, right, color=HUES[(number + 1) % len(HUES)], alpha=0.25,
                         linewidth=0, label=name if k == 0 else None)  # fmt: skip
    if 0 < len(names) <= LEGEND_EVENTS:
        axes.legend(frameon=False, fontsize=SMALL, ncols=3, loc="upper left")


def p_text(p: float) -> str:
    """Return a p-value as it stands in a sentence."""
    if np.isnan(p):
        return "not tested"
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"

"""Words, matrices and shades of the drawings; sizes and colours are those of all families."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rheobase.models.canvas import (
    BLUE,
    GREEN,
    GREY,
    HUES,
    NORMAL,
    ORANGE,
    PINK,
    RED,
    SKY,
    SMALL,
    WIDTH,
    empty,
    p_text,
    plain,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "BLUE", "GREEN", "GREY", "HUES", "LEGEND_EVENTS", "NORMAL", "NOT_CAUSE", "ORANGE", "PINK",
    "RED", "SKY", "SMALL", "WIDTH", "empty", "matrix", "p_text", "plain", "shade",
]  # fmt: skip

NOT_CAUSE = (
    "What moves together need not be connected: a component is co-variation, and neither its "
    "pairs nor its order say what causes what."
)
LEGEND_EVENTS = 6


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

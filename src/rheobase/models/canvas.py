"""Sizes, colours and empty axes that the drawings of families share, to be read on a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 5.0
"""Inches"""
SMALL, NORMAL = 9, 10
BLUE, ORANGE, GREEN, PINK, RED, SKY, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#666666",
)  # fmt: skip
HUES = (BLUE, ORANGE, GREEN, PINK, RED, SKY)
"""Okabe and Ito's palette, told apart with every kind of colour vision"""


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


def p_text(p: float) -> str:
    """Return a p-value as it stands in a sentence."""
    if p != p:
        return "not tested"
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def tick(value: float) -> str:
    """Return a number as it stands beside a colour bar, short and with two digits that count."""
    return f"{value:.2g}".replace("-", "\N{MINUS SIGN}")


def whole_unit(time_unit: str) -> str:
    """Return the unit of time as it stands in a sentence."""
    return {"s": "second"}.get(time_unit, time_unit)

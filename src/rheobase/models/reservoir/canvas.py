"""Sizes, colours and words that the drawings share; narrow enough to be read on a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 5.0
"""Inches"""
SMALL, NORMAL = 9, 10
WORDS = {
    "adapted": "adapted", "global_balance": "tuned balance", "tanh_network": "tanh network",
    "no_recurrence": "no recurrence",
    "linear_on_lags": "linear on lags", "ar": "AR per unit", "persistence": "persistence",
    "training_mean": "training mean", "linear_decoder": "linear decoder",
}  # fmt: skip
COLOURS = {
    "adapted": "#0072B2", "global_balance": "#56B4E9", "tanh_network": "#CC79A7",
    "no_recurrence": "#000000",
    "linear_on_lags": "#009E73", "ar": "#E69F00", "persistence": "#D55E00",
    "training_mean": "#666666", "linear_decoder": "#009E73",
}  # fmt: skip
"""Okabe and Ito's palette, told apart with every kind of colour vision"""
MARKS = {"adapted": "o", "global_balance": "s", "tanh_network": "D", "no_recurrence": "P",
         "linear_on_lags": "^", "ar": "v", "persistence": "x", "training_mean": ""}  # fmt: skip
TASK_WORDS = {"decode": "decoding", "memory": "memory", "forecast": "forecasts"}


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


def word(name: str) -> str:
    """Return the name of a kind or rival as it stands in a figure."""
    return WORDS.get(name, name.replace("_", " "))

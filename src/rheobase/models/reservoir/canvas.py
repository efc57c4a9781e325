"""Colours and words of networks and rivals in the drawings; sizes are those of all families."""

from __future__ import annotations

from rheobase.models.canvas import NORMAL, SMALL, WIDTH, empty, plain

__all__ = ["COLOURS", "MARKS", "NORMAL", "SMALL", "TASK_WORDS", "WIDTH", "WORDS", "empty", "plain",
           "word"]  # fmt: skip

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


def word(name: str) -> str:
    """Return the name of a kind or rival as it stands in a figure."""
    return WORDS.get(name, name.replace("_", " "))

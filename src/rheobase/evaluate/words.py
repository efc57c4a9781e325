"""Numbers as they are written in sentences and tables."""

from __future__ import annotations

import math
from dataclasses import replace

from rheobase.evaluate.statistics import Interval

WHOLE = {"conditional_gaussian_3": "conditional Gaussian of 3 frames"}
SPOKEN = {
    "r2": "R²",
    "loglik": "log-likelihood",
    "ar1": "AR(1)",
    "var": "VAR",
    "auc": "AUC",
    "mse": "MSE",
    "rmse": "RMSE",
    "nrmse": "NRMSE",
    "mase": "MASE",
    "ar": "AR",
    "hmm": "HMM",
    "rnn": "RNN",
    "fc": "FC",
    "gaussian": "Gaussian",
    "pca": "PCA",
    "auroc": "AUROC",
    "meanmlp": "meanMLP",
    "lr": "linear model",
    "kmeans": "k-means",
    "decode": "decoding",
}
BOUNDS = {
    "accuracy": (0.0, 1.0),
    "auroc": (0.0, 1.0),
    "auc": (0.0, 1.0),
    "r": (-1.0, 1.0),
    "r2": (-math.inf, 1.0),
    "rand": (-1.0, 1.0),
}
"""What a score can be, by a word of its name"""

ROUNDING = 1e-15
"""What is left where two equal numbers of size 1 are subtracted."""


def spoken(name: str) -> str:
    """Return the name of a score or rival as it is said: ``_h5`` of a forecast is 5 steps ahead."""
    if name in WHOLE:
        return WHOLE[name]
    parts = name.split("_")
    horizon = parts[-1][1:]
    ahead = []
    if parts[0] == "forecast" and parts[-1][:1] == "h" and horizon.isdigit():
        parts, ahead = parts[:-1], [horizon, "step ahead" if horizon == "1" else "steps ahead"]
    return " ".join([*(SPOKEN.get(part, part) for part in parts), *ahead])


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with at most ``digits`` significant digits, or "n/a"."""
    if value is None or value != value:
        return "n/a"
    if abs(value) < ROUNDING:
        return "0"
    text = f"{value:.{digits}g}"
    if "e" in text and 1e-4 <= abs(value) < 1e7:
        text = f"{value:.0f}"
    return text.replace("-", "\N{MINUS SIGN}")


def score_text(value: float | None) -> str:
    """Return a score with three significant digits, trailing zeros kept: 0.610."""
    if value is None or value != value or not 1e-3 <= abs(value) < 1000:
        return number(value)
    return f"{value:#.3g}".rstrip(".").replace("-", "\N{MINUS SIGN}")


def p_text(p: float | None) -> str:
    """Return a p-value as it stands in a sentence, like "p = 0.012"."""
    if p is None:
        return "not tested"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def within_bounds(interval: Interval, score: str) -> Interval:
    """Return the interval cut at what the named score can be, such as 0 and 1 of an accuracy."""
    known = [BOUNDS[word] for word in score.split("_") if word in BOUNDS]
    if not known:
        return interval
    least, most = known[-1]
    low, high = (min(max(end, least), most) for end in (interval.low, interval.high))
    return replace(interval, low=low, high=high)


def interval_text(interval: Interval | None, score: str = "") -> str:
    """Return an interval as "0.02 to 0.10", cut at the bounds of the named score."""
    if interval is None:
        return "none"
    shown = within_bounds(interval, score)
    return f"{score_text(shown.low)} to {score_text(shown.high)}"

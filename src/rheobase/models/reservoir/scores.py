"""Scores of forecasts and of memory: from arrays, or from the sums of normal equations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from rheobase.rivals import Gram

Judge = Callable[[Gram, np.ndarray, np.ndarray], np.ndarray]
"""Scores of each target from the sums of a part, weights and bias, (target,)."""

LONGEST_RECALLED = 0.05
"""Squared correlation at the longest delay above which there are too few delays."""
LORENZ_EXPONENT = 0.9056
"""Largest Lyapunov exponent of Lorenz-63 at the usual parameters, per unit of time."""


def nrmse(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return the root mean squared error over the deviation of the truth, averaged over targets.

    Both (time,) or (time, target). NaN where a target is constant.
    """
    truth, predicted = (np.asarray(a, float).reshape(len(a), -1) for a in (truth, predicted))
    error, spread = ((truth - predicted) ** 2).mean(axis=0), truth.var(axis=0)
    safe = np.where(spread > 0, spread, np.nan)
    return float(np.sqrt(error / safe).mean())


def mase(truth: np.ndarray, predicted: np.ndarray, persisted: np.ndarray) -> float:
    """Return the mean absolute error over that of persistence."""
    return float(np.abs(truth - predicted).mean() / np.abs(truth - persisted).mean())


def nrmse_of(gram: Gram, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return ``nrmse`` of each target over the examples of ``gram``, (target,)."""
    fitted, shared, spread, missed = _moments(gram, weights, bias)
    error = np.maximum(spread - 2 * shared + fitted, 0) + missed**2
    return np.sqrt(error / np.where(spread > 0, spread, np.nan))


def squared_errors(gram: Gram, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return the sum of squared errors of each target over the examples of ``gram``, (target,)."""
    fitted, shared, spread, missed = _moments(gram, weights, bias)
    return gram.n * (np.maximum(spread - 2 * shared + fitted, 0) + missed**2)


def pooled_nrmse(gram: Gram, fits: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return the root of squared error over variance, both summed over targets, (readout,).

    Unlike a mean over targets it is defined where some target does not vary.
    """
    variance = float((gram.yy - gram.y**2 / gram.n).sum())
    error = along(squared_errors, gram, fits).sum(axis=1)
    return np.sqrt(error / variance) if variance > 0 else np.full(len(error), np.nan)


def determination(gram: Gram, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return the squared correlation of prediction and truth of each target, (target,)."""
    fitted, shared, spread, _ = _moments(gram, weights, bias)
    product = fitted * spread
    return np.divide(shared**2, product, out=np.zeros_like(product), where=product > 1e-30)


def memory_capacity(gram: Gram, weights: np.ndarray, bias: np.ndarray) -> float:
    """Return the sum over delays, the targets, of the squared correlation (Jaeger 2001).

    Its bias by chance is the number of delays over the number of examples, ``chance_memory``.
    """
    return float(determination(gram, weights, bias).sum())


def chance_memory(gram: Gram) -> float:
    """Return the memory capacity that predictions without any relation would show."""
    return len(gram.y) / gram.n


def too_few_delays(found: np.ndarray) -> str:
    """Return a warning where the longest delay is still recalled, from ``determination``."""
    if found[-1] <= LONGEST_RECALLED and len(found) >= 1.5 * found.sum():
        return ""
    return (
        f"the memory of {found.sum():.1f} may go on behind the {len(found)} delays asked for (the "
        f"last is recalled with r2 {found[-1]:.2f}); ask for three times the memory"
    )


def valid_steps(truth: np.ndarray, predicted: np.ndarray, *, limit: float = 0.4) -> int:
    """Return after how many samples ``|truth - predicted| / sqrt(channels)`` passes the limit.

    Both (time, channel) in standard deviations; all samples where it never does.
    """
    distance = np.linalg.norm(truth - predicted, axis=1) / np.sqrt(truth.shape[1])
    past = ~(distance <= limit)
    return int(np.argmax(past)) if past.any() else len(truth)


def lyapunov_times(steps: float, *, step: float = 0.02) -> float:
    """Return samples of Lorenz-63 in Lyapunov times."""
    return steps * LORENZ_EXPONENT * step


def along(judge: Judge, gram: Gram, fits: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return the scores of several readouts (weights, bias) at once, (readout, target).

    The sums are centred once for all.
    """
    many = len(fits)
    wide = replace(gram, y=np.tile(gram.y, many), yy=np.tile(gram.yy, many),
                   xy=np.tile(gram.xy, (1, many)))  # fmt: skip
    weights, bias = (np.concatenate([fit[i] for fit in fits], axis=-1) for i in (0, 1))
    return judge(wide, weights, bias).reshape(many, -1)


def _moments(
    gram: Gram, weights: np.ndarray, bias: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return variance of the prediction, covariance, variance of the truth, and mean error."""
    mean_x, mean_y = gram.x / gram.n, gram.y / gram.n
    xx = gram.xx / gram.n - np.outer(mean_x, mean_x)
    xy = gram.xy / gram.n - np.outer(mean_x, mean_y)
    fitted = np.einsum("ik,ik->k", weights, xx @ weights)
    shared = np.einsum("ik,ik->k", weights, xy)
    return fitted, shared, gram.yy / gram.n - mean_y**2, mean_y - mean_x @ weights - bias

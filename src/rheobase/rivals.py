"""Simple rivals that several families share, and the ridge regression they rest on.

Signals are (time, unit). A *piece* is a contiguous stretch of one recording; pairs (t, t+h) never
leave their piece. Normal equations are accumulated in float64, a chunk of time after the other, so
that memory does not grow with the length of the recordings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

CHUNK = 1 << 15
"""Samples that one step of an accumulation holds in memory."""


@dataclass(frozen=True)
class Gram:
    """Sums over examples that a linear regression needs; they add and subtract."""

    n: float
    x: np.ndarray
    """(feature,)"""
    y: np.ndarray
    """(target,)"""
    xx: np.ndarray
    """(feature, feature)"""
    xy: np.ndarray
    """(feature, target)"""
    yy: np.ndarray
    """(target,) sums of squares"""

    @classmethod
    def empty(cls, features: int, targets: int) -> Gram:
        """Return the sums over no example."""
        zeros = np.zeros
        return cls(0, zeros(features), zeros(targets), zeros((features, features)),
                   zeros((features, targets)), zeros(targets))  # fmt: skip

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray) -> Gram:
        """Return the sums over the examples in the rows of ``x`` and ``y``."""
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        return cls(len(x), x.sum(0), y.sum(0), x.T @ x, x.T @ y, np.einsum("ij,ij->j", y, y))

    def __add__(self, other: Gram) -> Gram:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Gram(*(a + b for a, b in pairs))

    def __sub__(self, other: Gram) -> Gram:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Gram(*(a - b for a, b in pairs))


def ridge_path(gram: Gram, penalties: Sequence[float]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield weights (feature, target) and bias (target,) for each penalty.

    ``argmin sum |y - x W - b|^2 + penalty |W|^2``, the bias unpenalised; one eigendecomposition
    serves all penalties.
    """
    mean_x, mean_y = gram.x / gram.n, gram.y / gram.n
    values, vectors = np.linalg.eigh(gram.xx - gram.n * np.outer(mean_x, mean_x))
    turned = vectors.T @ (gram.xy - gram.n * np.outer(mean_x, mean_y))
    values = np.maximum(values, 0)
    for penalty in penalties:
        shrunk = values + penalty
        inverse = np.divide(1.0, shrunk, out=np.zeros_like(shrunk), where=shrunk > 0)
        weights = vectors @ (turned * inverse[:, None])
        yield weights, mean_y - mean_x @ weights


def squared_error(gram: Gram, weights: np.ndarray, bias: np.ndarray) -> float:
    """Return the sum of squared errors over the examples of ``gram``, from its sums alone."""
    fitted = np.sum(weights * (gram.xx @ weights)) + gram.n * bias @ bias
    crossed = np.sum(weights * gram.xy) + bias @ (gram.y - gram.x @ weights)
    return float(gram.yy.sum() + fitted - 2 * crossed)


def choose_penalty(
    folds: Iterable[tuple[Gram, Gram]], penalties: Sequence[float]
) -> tuple[float, np.ndarray]:
    """Return the penalty with the least held-out squared error, and the errors of all.

    ``folds`` are (training sums, held-out sums); ties go to the larger penalty.
    """
    errors = np.zeros(len(penalties))
    for train, held in folds:
        path = ridge_path(train, penalties)
        errors += [squared_error(held, weights, bias) for weights, bias in path]
    best = len(errors) - 1 - int(np.argmin(errors[::-1]))
    return float(penalties[best]), errors


def lagged(signal: np.ndarray, order: int) -> np.ndarray:
    """Return ``[x[t], x[t-1], ...]`` for t from order - 1 on, (time - order + 1, order * unit)."""
    n = len(signal) - order + 1
    return np.concatenate([signal[order - 1 - k : order - 1 - k + n] for k in range(order)], axis=1)


def pair_gram(signal: np.ndarray, *, horizon: int, order: int = 1) -> Gram:
    """Return the sums over all pairs (lagged x[t], x[t + horizon]) of one piece (time, unit)."""
    units = signal.shape[1]
    gram = Gram.empty(order * units, units)
    first, last = order - 1, len(signal) - horizon
    for start in range(first, last, CHUNK):
        stop = min(start + CHUNK, last)
        x = lagged(np.asarray(signal[start - order + 1 : stop], np.float64), order)
        gram += Gram.of(x, signal[start + horizon : stop + horizon])
    return gram


def ar1(gram: Gram) -> np.ndarray:
    """Return slope and intercept of ``x[t+h] = a x[t] + b`` of each unit, (2, unit).

    The first features of ``gram`` must be the units at time t, as ``pair_gram`` makes them.
    """
    units = len(gram.y)
    x, xx, xy = gram.x[:units], np.diag(gram.xx)[:units], np.diag(gram.xy)
    spread = xx - x**2 / gram.n
    slope = np.divide(xy - x * gram.y / gram.n, spread, out=np.zeros(units), where=spread > 1e-12)
    return np.stack([slope, (gram.y - slope * x) / gram.n])


def persistence(signal: np.ndarray, *, horizon: int) -> np.ndarray:
    """Return the prediction that nothing changes, for samples ``horizon`` to the end."""
    return signal[:-horizon]


def class_means(x: np.ndarray, y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the mean features of each class, (class, feature)."""
    return np.stack([x[y == name].mean(axis=0) for name in classes])


def nearest_mean(x: np.ndarray, means: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the class whose mean is nearest in Euclidean distance, (example,)."""
    return classes[np.argmax(x @ means.T - 0.5 * np.sum(means**2, axis=1), axis=1)]

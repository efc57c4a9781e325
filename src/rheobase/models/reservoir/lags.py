"""The linear rivals: ridge regression on the last samples of the input, and on each unit's own.

``x[t+h] = sum_k W_k u[t-k] + b`` for k = 0 to p - 1: a vector autoregression where the input is the
signal, a tapped delay line in any case. ``AR``: each unit from its own past. Number of lags and
penalty have the least error in inner folds, for each group of targets by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rheobase.models.reservoir import readout
from rheobase.models.reservoir.choose import Judge, chosen, summed
from rheobase.models.reservoir.sums import weighted
from rheobase.rivals import Gram

MOST_FEATURES = 1000
"""Features that the regression has at most (chosen here); more lags are not tried."""
MOST_OWN = 10
"""Lags of a unit of its own, at most (chosen here)"""
AR_PENALTY = 1e-6
"""Over the variance of a unit, so that a smooth signal has a solution"""


@dataclass(frozen=True, eq=False)
class Lagged:
    """The regression on lags of all channels."""

    weights: np.ndarray
    """(lag, channel, target); 0 for lags that are not used"""
    bias: np.ndarray
    """(target,)"""
    order: np.ndarray
    """Lags of each group of targets"""

    def predict(self, inputs: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Return the prediction (sample, target) at samples ``at`` of one stretch."""
        told = np.tile(self.bias, (len(at), 1))
        for lag in range(int(self.order.max())):
            told += inputs[at - lag] @ self.weights[lag]
        return told


def orders(wanted: Sequence[int], *, channels: int, washout: int) -> list[int]:
    """Return the numbers of lags that can be tried, the smallest always among them."""
    able = [p for p in sorted(wanted) if p <= washout + 1 and p * channels <= MOST_FEATURES]
    return able or [min(wanted)]


def fit(
    inputs: Sequence[np.ndarray], targets: Sequence[np.ndarray], labels: Sequence[np.ndarray], *,
    folds: int, tried: Sequence[int], alphas: Sequence[float], blocks: Sequence[slice],
    washout: int, judge: Judge, weights: Sequence[np.ndarray] | None = None,
) -> Lagged:  # fmt: skip
    """Return the regression with the best number of lags for each block of targets.

    ``weights`` (time,) say how much each sample counts.
    """
    channels, most = inputs[0].shape[1], max(tried)
    sums: dict[int, Gram] = {}
    weights = weights or [np.ones(len(x)) for x in inputs]
    for x, y, label, weight in zip(inputs, targets, labels, weights, strict=True):
        used = np.asarray(np.isfinite(y).all(axis=1))
        used[: max(washout, most - 1)] = False
        for fold in np.unique(label[used]).tolist():
            for rows in _chunks(np.flatnonzero(used & (label == fold))):
                seen = np.concatenate([x[rows - lag] for lag in range(most)], axis=1)
                made = weighted(seen, y[rows], weight[rows])
                sums[fold] = sums[fold] + made if fold in sums else made
    total, count = summed(list(sums.values())), total_targets(blocks)
    best = [(np.inf, 0, 0.0)] * len(blocks)
    for order in tried:
        few = {fold: first(gram, order * channels) for fold, gram in sums.items()}
        held = [gram for fold, gram in few.items() if fold < folds]
        levels, picked = chosen(held, alphas, blocks, judge)
        for b in range(len(blocks)):
            best[b] = min(best[b], (float(levels[b]), order, float(picked[b])))
    found, bias = np.zeros((most, channels, count)), np.zeros(count)
    for block, (_, order, alpha) in zip(blocks, best, strict=True):
        w, b = next(readout.readouts(first(total, order * channels), [alpha]))
        found[:order, :, block] = w[:, block].reshape(order, channels, -1)
        bias[block] = b[block]
    return Lagged(found, bias, np.array([order for _, order, _ in best]))


def total_targets(blocks: Sequence[slice]) -> int:
    """Return how many targets the blocks hold."""
    return max(block.stop for block in blocks)


def first(gram: Gram, features: int) -> Gram:
    """Return the sums of the first features alone."""
    return replace(gram, x=gram.x[:features], xx=gram.xx[:features, :features],
                   xy=gram.xy[:features])  # fmt: skip


def _chunks(rows: np.ndarray) -> list[np.ndarray]:
    many = -(-len(rows) // 4096)
    return np.array_split(rows, many) if many else []


@dataclass(frozen=True, eq=False)
class Own:
    """Autoregressions of each unit, ``x[t+h] = sum_k w_k x[t-k]`` on standardised signals."""

    weights: np.ndarray
    """(horizon, lag, unit); 0 for lags that are not used"""

    def predict(self, standard: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Return the prediction (sample, horizon, unit)."""
        told = np.zeros((len(at), len(self.weights), standard.shape[1]))
        for lag in range(self.weights.shape[1]):
            told += standard[at - lag][:, None] * self.weights[:, lag]
        return told


def fit_own(
    signals: Sequence[np.ndarray], labels: Sequence[np.ndarray], *, horizons: Sequence[int],
    folds: int, tried: Sequence[int], washout: int,
) -> Own:  # fmt: skip
    """Return each unit's autoregression; one number of lags for all units of a horizon."""
    most, units, reach = max(tried), signals[0].shape[1], max(horizons)
    shapes = (units, most, most), (units, most, len(horizons)), (units, len(horizons))
    sums = [[np.zeros(shape) for shape in shapes] for _ in range(folds + 1)]
    for z, label in zip(signals, labels, strict=True):
        used = np.zeros(len(z), bool)
        used[max(washout, most - 1) : len(z) - reach] = True
        for fold in np.unique(label[used]).tolist():
            for rows in _chunks(np.flatnonzero(used & (label == fold))):
                x = np.stack([z[rows - lag] for lag in range(most)], axis=2)
                y = np.stack([z[rows + h] for h in horizons], axis=2)
                sums[fold][0] += np.einsum("tup,tuq->upq", x, x, optimize=True)
                sums[fold][1] += np.einsum("tup,tuh->uph", x, y, optimize=True)
                sums[fold][2] += np.einsum("tuh,tuh->uh", y, y)
    total = [np.sum(parts, axis=0) for parts in zip(*sums, strict=True)]
    errors = np.array([_held_out(sums[:folds], p) for p in tried])
    weights = np.zeros((len(horizons), most, units))
    for h in range(len(horizons)):
        order = tried[int(np.argmin(errors[:, h]))]
        weights[h, :order] = _solved(total, order)[:, :, h].T
    return Own(weights)


def _held_out(sums: Sequence[Sequence[np.ndarray]], order: int) -> np.ndarray:
    """Return the squared error of each horizon over all held-out folds."""
    error = np.zeros(sums[0][2].shape[1])
    for held in range(len(sums)):
        others = [one for k, one in enumerate(sums) if k != held]
        rest = [np.sum(parts, axis=0) for parts in zip(*others, strict=True)]
        w = _solved(rest, order)
        xx, xy, yy = sums[held]
        fitted = np.einsum("uph,upq,uqh->h", w, xx[:, :order, :order], w, optimize=True)
        error += yy.sum(axis=0) - 2 * np.einsum("uph,uph->h", w, xy[:, :order]) + fitted
    return error


def _solved(sums: Sequence[np.ndarray], order: int) -> np.ndarray:
    """Return weights (unit, lag, horizon)."""
    xx = sums[0][:, :order, :order]
    size = np.einsum("upp->u", xx)[:, None, None] / order
    penalty = np.where(size > 0, AR_PENALTY * size, 1.0) * np.eye(order)
    return np.linalg.solve(xx + penalty, sums[1][:, :order])


def persistence(standard: np.ndarray, at: np.ndarray, horizons: int) -> np.ndarray:
    """Return the prediction that nothing changes, (sample, horizon, unit)."""
    return np.repeat(standard[at][:, None], horizons, axis=1)

"""Penalties of readouts, chosen on sums of inner folds for each block of targets by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rheobase.models.reservoir import readout, scores
from rheobase.rivals import Gram

Judge = Callable[[Gram, Sequence[tuple[np.ndarray, np.ndarray]]], np.ndarray]
"""Costs of readouts on held-out sums, (readout, target); the less, the better."""


def squared(gram: Gram, fits: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return the squared errors of readouts."""
    return scores.along(scores.squared_errors, gram, fits)


def forgotten(gram: Gram, fits: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return what of each target's variance readouts do not recall."""
    return 1 - scores.along(scores.determination, gram, fits)


def summed(grams: Sequence[Gram]) -> Gram:
    """Return the sums of all."""
    total = grams[0]
    for gram in grams[1:]:
        total += gram
    return total


def chosen(
    grams: Sequence[Gram], alphas: Sequence[float], blocks: Sequence[slice], judge: Judge
) -> tuple[np.ndarray, np.ndarray]:
    """Return the least cost over held-out folds of each block, and its penalty.

    Ties go to the larger penalty.
    """
    cost = np.zeros((len(alphas), len(blocks)))
    for held, gram in enumerate(grams):
        rest = [one for number, one in enumerate(grams) if number != held]
        each = judge(gram, list(readout.readouts(summed(rest), alphas)))
        cost += np.stack([each[:, block].sum(axis=1) for block in blocks], axis=1)
    at = len(alphas) - 1 - np.argmin(cost[::-1], axis=0)
    return cost[at, np.arange(len(blocks))], np.asarray(alphas)[at]


def fitted(
    total: Gram, picked: np.ndarray, blocks: Sequence[slice]
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return weights (feature, target) and bias (target,), each block with its own penalty."""
    weights, bias = np.zeros(total.xy.shape), np.zeros(total.xy.shape[1])
    used = np.unique(picked)
    for alpha, (w, b) in zip(used, readout.readouts(total, used.tolist()), strict=True):
        for block, own in zip(blocks, picked, strict=True):
            if own == alpha:
                weights[:, block], bias[block] = w[:, block], b[block]
    return weights, bias

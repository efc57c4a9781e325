"""Factors of a factorisation: scaled, sorted, compared, and put together again.

``X[ij, s, t] ~ sum_r weight_r pattern_r,ij animal_rs time_rt`` with columns of 2-norm 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment


@dataclass(frozen=True)
class Factors:
    """Components in order of falling weight."""

    weights: np.ndarray
    """lambda, (component,) float32"""
    patterns: np.ndarray
    """A: between which pairs of neurons, (component, pair) float32"""
    times: np.ndarray
    """B: when, (component, bin) float32"""
    animals: np.ndarray
    """C: in which animals, (component, animal) float32"""

    @property
    def rank(self) -> int:
        return len(self.weights)


def scaled_factors(patterns: np.ndarray, times: np.ndarray, animals: np.ndarray) -> Factors:
    """Return factors with rows of norm 1 and their weights, sorted; rows are components."""
    norms = [np.linalg.norm(f.astype(np.float64), axis=1) for f in (patterns, times, animals)]
    weights = np.prod(norms, axis=0)
    order = np.argsort(-weights, kind="stable")
    made = [
        (f / np.where(n > 0, n, 1.0)[:, None])[order].astype(np.float32)
        for f, n in zip((patterns, times, animals), norms, strict=True)
    ]
    return Factors(weights[order].astype(np.float32), *made)


def matched(first: Factors, second: Factors) -> tuple[np.ndarray, np.ndarray]:
    """Return which component of ``second`` goes with each of ``first``, and how alike they are.

    The Hungarian method on products of cosines of the three modes; both (component,).
    """
    if first.rank != second.rank:
        raise ValueError(f"ranks {first.rank} and {second.rank} differ; compare fits of one rank")
    alike = np.ones((first.rank, second.rank))
    for mode in ("patterns", "times", "animals"):
        a, b = (getattr(f, mode).astype(np.float64) for f in (first, second))
        norms = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
        alike *= np.abs(a @ b.T) / np.where(norms > 0, norms, 1.0)
    rows, columns = linear_sum_assignment(-alike)
    return columns, alike[rows, columns]


def match_score(first: Factors, second: Factors) -> float:
    """Return the factor match score, 1 for the same components in any order."""
    return float(matched(first, second)[1].mean())


def network_at(
    factors: Factors, bin: int, *, animal: int = 0, components: Sequence[int] | None = None
) -> np.ndarray:
    """Return the modelled affinities of one animal in one bin, (neuron, neuron) float32.

    ``G(t, s) = sum_r lambda_r B[r, t] C[r, s] A_r`` over the components asked for (default: all),
    with 0 on the diagonal.
    """
    chosen = np.arange(factors.rank) if components is None else np.asarray(components, np.int64)
    share = factors.weights[chosen] * factors.times[chosen, bin] * factors.animals[chosen, animal]
    return as_matrix(share @ factors.patterns[chosen])


def as_matrix(pattern: np.ndarray) -> np.ndarray:
    """Return the symmetric matrix of a pattern (pair,), (neuron, neuron) with 0 on the diagonal."""
    neurons = round((1 + np.sqrt(1 + 8 * len(pattern))) / 2)
    made = np.zeros((neurons, neurons), pattern.dtype)
    rows, columns = np.triu_indices(neurons, 1)
    made[rows, columns] = made[columns, rows] = pattern
    return made


def participation_ratio(animals: np.ndarray) -> np.ndarray:
    """Return ``(sum C)^2 / (S sum C^2)`` of each row: 1 in all animals alike, 1/S in one alone."""
    total = animals.sum(axis=1, dtype=np.float64) ** 2
    squares = (animals.astype(np.float64) ** 2).sum(axis=1) * animals.shape[1]
    return total / np.where(squares > 0, squares, 1.0)

"""What follows from the rates of a Markov jump process.

``Q`` (..., state, state): rates 1/s off the diagonal, rows that sum to 0.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def generator(rates: Array) -> Array:
    """Return Q of rates (..., state, state), whatever their diagonal holds."""
    eye = np.eye(rates.shape[-1], dtype=bool)
    off = np.where(eye, 0.0, rates)
    return off - eye * off.sum(axis=-1, keepdims=True)


def stationary(Q: Array) -> Array:
    """Return the share of time in each state in the long run, (..., state)."""
    n = Q.shape[-1]
    system = np.swapaxes(Q, -1, -2).copy()
    system[..., -1, :] = 1.0
    right = np.zeros((*Q.shape[:-1], 1))
    right[..., n - 1, 0] = 1.0
    return np.linalg.solve(system, right)[..., 0]


def dwell_s(Q: Array) -> Array:
    """Return the mean stay, ``1 / |Q_ii|``, seconds, (..., state)."""
    return -1 / np.diagonal(Q, axis1=-2, axis2=-1)


def first_passage_s(Q: Array) -> Array:
    """Return the mean time from i until j is first reached, seconds, (..., i, j).

    Solves ``Q' m = -1``, with Q' the generator without row and column j.
    """
    n = Q.shape[-1]
    out = np.zeros_like(Q)
    for j in range(n):
        kept = np.flatnonzero(np.arange(n) != j)
        inner = Q[..., kept[:, None], kept]
        out[..., kept, j] = np.linalg.solve(inner, -np.ones((*Q.shape[:-2], n - 1, 1)))[..., 0]
    return out


def relaxation_s(Q: Array) -> Array:
    """Return ``-1 / Re(eigenvalue)`` of the modes that fade, slowest first, (..., state - 1)."""
    real = np.sort(np.linalg.eigvals(Q).real, axis=-1)[..., ::-1]
    return -1 / real[..., 1:]


def entropy_production(Q: Array) -> Array:
    """Return how irreversible the process is, nats a second; 0 in detailed balance.

    ``sum_{i<j} (p_i Q_ij - p_j Q_ji) ln(p_i Q_ij / (p_j Q_ji))`` with p the stationary shares.
    """
    flux = stationary(Q)[..., None] * Q
    i, j = np.triu_indices(Q.shape[-1], 1)
    there, back = (np.maximum(f, 1e-300) for f in (flux[..., i, j], flux[..., j, i]))
    return ((there - back) * np.log(there / back)).sum(axis=-1)


def passages(Q: Array, start: int, end: int, *, count: int, rng: np.random.Generator) -> Array:
    """Return simulated times from one state until another is first reached, seconds, (passage,)."""
    leave = -np.diagonal(Q)
    heap = (generator(Q) * (1 - np.eye(len(Q))) / leave[:, None]).cumsum(axis=1)
    state, time = np.full(count, start), np.zeros(count)
    while (going := np.flatnonzero(state != end)).size:
        time[going] += rng.exponential(1 / leave[state[going]])
        drawn = rng.random(going.size)[:, None] > heap[state[going]]
        state[going] = np.minimum(drawn.sum(axis=1), len(Q) - 1)
    return time

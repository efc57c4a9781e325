"""Which state of one fit is which of another, and the order in which states are told."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from rheobase.models.hmm_rnn.batch import Chain

STABLE = 0.8
"""Mean overlap of restarts below which the reader is warned."""


def profiles(chain: Chain, model: int = 0) -> np.ndarray:
    """Return what describes each state, (state, number): its mean, and its covariances or others.

    Covariances as their upper triangle; dynamics and symbols as they are.
    """
    parts = []
    for name, values in chain.emission.items():
        held = values[model].cpu().numpy()
        if name == "covs" and held.ndim == 3:
            i, j = np.triu_indices(held.shape[1])
            held = held[:, i, j]
        if name != "means" or held.any():
            parts.append(held.reshape(len(held), -1))
    return np.concatenate(parts, axis=1)


def match(reference: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return, for each reference state, the one of ``other`` that it is, by profiles.

    The sum of correlations of (state, number) is largest (Kuhn 1955); ``other`` may have more.
    """
    return _assigned(_correlations(reference, other))


def match_paths(reference: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the same from state probabilities (time, state), by their overlap."""
    return _assigned(overlaps(reference, other))


def overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return ``sum_t min(a[t, i], b[t, j]) / T``, (state of the first, state of the second)."""
    return np.stack([np.minimum(column[:, None], second).mean(axis=0) for column in first.T])


def stability(gammas: np.ndarray) -> float:
    """Return the overlap of restarts (restart, time, state), aligned, averaged over pairs."""
    found = []
    for a in range(len(gammas)):
        for b in range(a + 1, len(gammas)):
            shared = overlaps(gammas[a], gammas[b])
            found.append(shared[np.arange(len(shared)), _assigned(shared)].sum())
    return float(np.mean(found)) if found else float("nan")


def canonical(occupancy: np.ndarray, first_channel: np.ndarray) -> np.ndarray:
    """Return states by falling occupancy, (state,); ties by the mean of the first channel."""
    return np.lexsort((first_channel, -np.round(occupancy, 12)))


def _correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return correlations of rows; a row without variation agrees with nothing."""
    if first.shape[1] < 3:
        apart = np.abs(first[:, None] - second[None]).sum(axis=2)
        return 1 - apart / max(float(apart.max()), 1e-300)
    unit = []
    for rows in (first, second):
        away = rows - rows.mean(axis=1, keepdims=True)
        unit.append(away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-300))
    return unit[0] @ unit[1].T


def _assigned(likeness: np.ndarray) -> np.ndarray:
    rows, columns = linear_sum_assignment(-likeness)
    found = np.full(len(likeness), -1)
    found[rows] = columns
    return found

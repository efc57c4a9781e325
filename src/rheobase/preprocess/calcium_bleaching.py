"""F0 of traces that bleach: two exponential decays under the lower envelope; (time, cell)."""

from __future__ import annotations

import numpy as np

POINTS, LEAST_FRAMES = 200, 5
"""Points of the envelope, and the frames of which each is a percentile; chosen here."""
DECAYS, FASTEST, SLOWEST = 30, 1 / 50, 3
"""Decays that are tried, from a 50th of the recording to three times its length, besides none."""
ROUNDS = 4


def bleaching(signal: np.ndarray, valid: np.ndarray, *, percentile: float) -> np.ndarray:
    """Return ``fit * percentile(F / fit)``, (time, cell) float32.

    ``fit`` is the sum of two decays of non-negative weight, one of which may be a constant, nearest
    to the lower envelope in absolute difference. Frames that are not ``valid`` do not count.
    """
    used = np.flatnonzero(valid) if valid.any() else np.arange(len(signal))
    time, envelope = _envelope(signal[used], used, percentile)
    rates = _rates(len(signal))
    shape = np.exp(-np.outer(time, rates))
    pairs = np.array(np.triu_indices(len(rates), 1))
    weights = np.ones_like(envelope)
    best = np.zeros((envelope.shape[1], 2))
    chosen = np.zeros(envelope.shape[1], int)
    for _ in range(ROUNDS):
        chosen, best = _nearest(shape, envelope, weights, pairs)
        rest = np.abs(envelope - _curve(shape, pairs, chosen, best))
        least = np.maximum(1e-3 * np.median(np.abs(envelope), axis=0), 1e-12)
        weights = 1 / np.maximum(rest, least)
    whole = np.exp(-np.outer(np.arange(len(signal)), rates))
    fit = _curve(whole, pairs, chosen, best)
    floor = np.maximum(1e-6 * np.abs(fit).max(axis=0), np.finfo(np.float32).tiny)
    fit = np.maximum(fit, floor)
    level = np.percentile(signal[used] / fit[used], percentile, axis=0)
    return (fit * level).astype(np.float32)


def _envelope(
    signal: np.ndarray, frames: np.ndarray, percentile: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle frame and the percentile of consecutive bins, (bin,) and (bin, cell)."""
    count = max(2, min(POINTS, len(signal) // LEAST_FRAMES))
    edges = np.linspace(0, len(signal), count + 1).astype(int)
    spans = [slice(a, b) for a, b in zip(edges, edges[1:], strict=False) if b > a]
    time = np.array([frames[span].mean() for span in spans])
    low = np.stack([np.percentile(signal[span], percentile, axis=0) for span in spans])
    return time, low.astype(np.float64)


def _rates(length: int) -> np.ndarray:
    """Return decay rates a frame, the first of which is 0."""
    return np.append(0, 1 / (length * np.geomspace(SLOWEST, FASTEST, DECAYS)))


def _nearest(
    shape: np.ndarray, envelope: np.ndarray, weights: np.ndarray, pairs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return for each cell the pair of decays and their weights, (cell,) and (cell, 2).

    Weighted least squares over all pairs at once, each in closed form with weights of 0 or more.
    """
    gram = np.einsum("pc,pi,pj->cij", weights, shape, shape, optimize=True)
    along = (weights * envelope).T @ shape
    i, j = pairs
    own_i, own_j, cross = gram[:, i, i], gram[:, j, j], gram[:, i, j]
    to_i, to_j = along[:, i], along[:, j]
    alone_i, alone_j = np.maximum(to_i / own_i, 0), np.maximum(to_j / own_j, 0)
    area = np.maximum(own_i * own_j - cross**2, 1e-12 * own_i * own_j)
    both_i, both_j = (own_j * to_i - cross * to_j) / area, (own_i * to_j - cross * to_i) / area
    inside = (both_i >= 0) & (both_j >= 0)
    first = alone_i * to_i >= alone_j * to_j
    a = np.where(inside, both_i, np.where(first, alone_i, 0))
    b = np.where(inside, both_j, np.where(first, 0, alone_j))
    loss = a**2 * own_i + b**2 * own_j + 2 * a * b * cross - 2 * (a * to_i + b * to_j)
    chosen = loss.argmin(axis=1)
    at = np.arange(len(chosen))
    return chosen, np.stack([a[at, chosen], b[at, chosen]], axis=1)


def _curve(
    shape: np.ndarray, pairs: np.ndarray, chosen: np.ndarray, best: np.ndarray
) -> np.ndarray:
    i, j = pairs[:, chosen]
    return shape[:, i] * best[:, 0] + shape[:, j] * best[:, 1]

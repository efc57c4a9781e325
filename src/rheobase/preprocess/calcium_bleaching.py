"""F0 of traces that bleach: a constant and two decays under the lower envelope; (time, cell)."""

from __future__ import annotations

import numpy as np

POINTS, LEAST_FRAMES = 200, 5
"""Points of the envelope, and the frames of which each is a percentile; chosen here."""
DECAYS, FASTEST, SLOWEST = 30, 1 / 50, 3
"""Decays that are tried, from a 50th of the recording to three times its length, besides none."""
ROUNDS, LOW = 8, 0.2
"""Rounds of reweighting, and the quantile of the envelope that the curve goes through, so that
events do not lift it; chosen here."""


def bleaching(signal: np.ndarray, valid: np.ndarray, *, percentile: float) -> np.ndarray:
    """Return ``fit * percentile(F / fit)``, (time, cell) float32.

    ``fit`` is a constant and two decays, none of negative weight, through the lower fifth of the
    envelope (quantile regression). Frames that are not ``valid`` do not count.
    """
    used = np.flatnonzero(valid) if valid.any() else np.arange(len(signal))
    time, envelope = _envelope(signal[used], used, percentile)
    rates = _rates(len(signal))
    shape = np.exp(-np.outer(time, rates))
    weights = np.ones_like(envelope)
    best = np.zeros((len(rates), envelope.shape[1]))
    for _ in range(ROUNDS):
        best = _nearest(shape, envelope, weights)
        least = np.maximum(1e-3 * np.median(np.abs(envelope), axis=0), 1e-12)
        rest = envelope - shape @ best
        weights = np.where(rest > 0, LOW, 1 - LOW) / np.maximum(np.abs(rest), least)
    fit = np.exp(-np.outer(np.arange(len(signal)), rates)) @ best
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


def _nearest(shape: np.ndarray, envelope: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weight of each decay in each cell, (decay, cell), at most three of them not 0.

    Weighted least squares over every constant with two decays at once, in closed form. Where a
    weight would be negative the best pair without it counts, so that none is.
    """
    gram = np.einsum("pc,pi,pj->cij", weights, shape, shape, optimize=True)
    along = (weights * envelope).T @ shape
    pairs = np.array(np.triu_indices(shape.shape[1], 1))
    triples = np.vstack([np.zeros((1, (pairs[0] > 0).sum()), int), pairs[:, pairs[0] > 0]])
    two, lost_two = _solved(gram, along, pairs)
    three, lost_three = _solved(gram, along, triples)
    made = np.zeros(along.shape)
    for cell, (a, b) in enumerate(
        zip(lost_two.argmin(axis=1), lost_three.argmin(axis=1), strict=True)
    ):
        if lost_three[cell, b] < lost_two[cell, a]:
            made[cell, triples[:, b]] = three[cell, b]
        elif np.isfinite(lost_two[cell, a]):
            made[cell, pairs[:, a]] = two[cell, a]
        else:
            made[cell, 0] = max(along[cell, 0] / gram[cell, 0, 0], 0)
    return made.T


def _solved(gram: np.ndarray, along: np.ndarray, sets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (cell, set, decay) and loss (cell, set), infinite below a weight of 0."""
    some = gram[:, sets.T[:, :, None], sets.T[:, None, :]]
    scale = np.sqrt(np.einsum("csii->csi", some))
    even = some / (scale[..., :, None] * scale[..., None, :])
    even += 1e-10 * np.eye(len(sets))
    to = along[:, sets.T]
    found = np.linalg.solve(even, (to / scale)[..., None])[..., 0] / scale
    loss = np.einsum("csi,csij,csj->cs", found, some, found) - 2 * (found * to).sum(axis=-1)
    return found, np.where((found >= 0).all(axis=-1), loss, np.inf)

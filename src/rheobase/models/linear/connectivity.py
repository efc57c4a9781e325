"""Static connectivity: correlation and partial correlation, Ledoit-Wolf shrunk.

Each recording is standardised by its own mean and standard deviation, so that only correlations
count. Identification uses plain Pearson correlation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rheobase import metrics
from rheobase.models import identify
from rheobase.models.decoding.null import stream
from rheobase.models.inputs import by_name, own_standard, scaler
from rheobase.recording import Recording


@dataclass(frozen=True)
class Connectivity:
    """The training part's connectivity."""

    names: list[str]
    """Recordings, in the order of the rows of ``correlation`` and ``partial``."""
    correlation: np.ndarray
    """Upper triangles of shrunk correlation, (recording, edge)"""
    partial: np.ndarray
    """Upper triangles of partial correlation, (recording, edge)"""
    shrinkage: np.ndarray
    """(recording,)"""
    pearson: np.ndarray
    """Mean unshrunk correlation, (edge,)"""
    autocorrelation: np.ndarray
    """Mean lag-1 autocorrelation, (unit,)"""


def shrunk(signal: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return shrunk correlation, partial correlation (unit, unit) and the shrinkage in [0, 1].

    ``(1 - s) R + s I`` with the s of Ledoit and Wolf (J. Multivar. Anal. 2004) for the standardised
    signal (time, unit).
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    amount = float(ledoit_wolf_shrinkage(signal, assume_centered=True))
    amount = min(max(amount, 1e-6), 1.0)
    matrix = (1 - amount) * metrics.correlation(signal) + amount * np.eye(signal.shape[1])
    return matrix, partial_correlation(matrix), amount


def partial_correlation(matrix: np.ndarray) -> np.ndarray:
    """Return the correlation of each two units given all others, (unit, unit)."""
    precision = np.linalg.inv(matrix)
    scale = np.sqrt(np.diag(precision))
    partial = -precision / np.outer(scale, scale)
    np.fill_diagonal(partial, 1)
    return partial


def fit(train: Sequence[Recording]) -> Connectivity:
    """Return the connectivity of every training recording, segments of one taken together."""
    rows: dict[str, list] = {k: [] for k in ("full", "partial", "amount", "pearson", "lag")}
    grouped = by_name(train)
    for segments in grouped.values():
        signal = own_standard(segments)
        matrix, partial, amount = shrunk(signal)
        rows["full"].append(metrics.edges(matrix))
        rows["partial"].append(metrics.edges(partial))
        rows["amount"].append(amount)
        rows["pearson"].append(metrics.edges(metrics.correlation(signal)))
        rows["lag"].append(autocorrelation(segments))
    return Connectivity(
        list(grouped), np.stack(rows["full"]), np.stack(rows["partial"]), np.array(rows["amount"]),
        np.mean(rows["pearson"], axis=0), np.mean(rows["lag"], axis=0),
    )  # fmt: skip


def autocorrelation(segments: Sequence[Recording]) -> np.ndarray:
    """Return the lag-1 autocorrelation of each unit, its pairs within pieces only, (unit,)."""
    mean, scale = scaler(segments)
    total, weight = np.zeros(len(mean)), 0
    for segment in segments:
        for piece in segment.pieces():
            signal = segment.signal[piece].astype(np.float64)
            if len(signal) > 2:
                total += len(signal) * metrics.lag1_autocorrelation((signal - mean) / scale)
                weight += len(signal)
    return total / max(weight, 1)


def loglik(test: Sequence[Recording], matrix: np.ndarray) -> tuple[float, float]:
    """Return the held-out log-likelihood of a correlation matrix and that of independent units.

    In nats a sample and unit, averaged over recordings.
    """
    signals = [own_standard(segments) for segments in by_name(test).values()]
    alone = np.eye(len(matrix))
    ours = [metrics.gaussian_loglik(signal, matrix) for signal in signals]
    return float(np.mean(ours)), float(
        np.mean([metrics.gaussian_loglik(s, alone) for s in signals])
    )


@dataclass(frozen=True)
class Identification:
    """How well people are told apart by connectivity, and how it was done."""

    found: identify.Found
    uncentred: float
    autocorrelation: float
    between: str
    """``sessions`` or ``halves``"""


def identification(
    test: Sequence[Recording], group: np.ndarray, profile: np.ndarray, *, draws: int, seed: int
) -> Identification | None:
    """Return how often a person's connectivity is nearest to that person's other half or session.

    ``group`` (edge,) and ``profile`` (unit,), the training means of correlation and lag-1
    autocorrelation, are subtracted first. None with fewer than two people or three edges.
    """
    pairs, between = identify.pairs(test)
    if len(pairs) < 2 or len(group) < 3:
        return None
    sides = [[pair[side] for pair in pairs] for side in (0, 1)]
    first, second = (np.stack([_edges(s) for s in side]) for side in sides)
    lags = [np.stack([autocorrelation(s) for s in side]) - profile for side in sides]
    return Identification(
        identify.people(first - group, second - group, draws=draws, rng=stream(seed, 1, test)),
        float(np.mean(metrics.identification(first, second))),
        float(np.mean(metrics.identification(*lags))), between,
    )  # fmt: skip


def _edges(segments: Sequence[Recording]) -> np.ndarray:
    return metrics.edges(metrics.correlation(own_standard(segments)))


def group(learnt: Connectivity, units: int) -> dict[str, np.ndarray]:
    """Return the means over recordings of ``correlation`` and ``partial``, (unit, unit)."""
    return {
        name: metrics.from_edges(getattr(learnt, name).mean(axis=0), units)
        for name in ("correlation", "partial")
    }

"""Scores of predictions, similarities and labels: pure functions on arrays.

Signals are (time, unit), connectivity profiles (recording, edge), labels (example,).
"""

from __future__ import annotations

from typing import Any

import numpy as np


def r2(truth: np.ndarray, predicted: np.ndarray, *, centre: np.ndarray | float = 0.0) -> float:
    """Return the explained variance pooled over samples and units.

    ``1 - sum((truth - predicted)^2) / sum((truth - centre)^2)``. ``centre`` is the training mean of
    each unit, so that predicting the training mean scores 0. NaN where truth never leaves centre.
    """
    total = float(np.sum((truth - centre) ** 2, dtype=np.float64))
    if total == 0:
        return float("nan")
    return 1 - float(np.sum((truth - predicted) ** 2, dtype=np.float64)) / total


def lag1_autocorrelation(signal: np.ndarray) -> np.ndarray:
    """Return the lag-1 autocorrelation of each unit, (unit,); 0 for a constant unit."""
    x = np.asarray(signal, np.float64)
    x = x - x.mean(axis=0)
    power = np.einsum("tu,tu->u", x, x)
    shared = np.einsum("tu,tu->u", x[:-1], x[1:])
    return np.divide(shared, power, out=np.zeros_like(power), where=power > 0)


def correlation(signal: np.ndarray) -> np.ndarray:
    """Return the Pearson correlation between units, (unit, unit); a constant unit correlates 0."""
    x = np.asarray(signal, np.float64)
    x = x - x.mean(axis=0)
    norm = np.sqrt(np.einsum("tu,tu->u", x, x))
    x = np.divide(x, norm, out=np.zeros_like(x), where=norm > 0)
    matrix = np.clip(x.T @ x, -1, 1)
    np.fill_diagonal(matrix, 1)
    return matrix


def edges(matrix: np.ndarray) -> np.ndarray:
    """Return the upper triangle without the diagonal, row by row, (edge,)."""
    return matrix[np.triu_indices(len(matrix), k=1)]


def from_edges(values: np.ndarray, units: int) -> np.ndarray:
    """Return the symmetric (unit, unit) matrix with ``values`` off and 1 on the diagonal."""
    matrix = np.eye(units, dtype=values.dtype)
    rows, columns = np.triu_indices(units, k=1)
    matrix[rows, columns] = matrix[columns, rows] = values
    return matrix


def fisher_z(r: np.ndarray) -> np.ndarray:
    """Return ``arctanh(r)``, with correlations of magnitude above 0.999999 held there."""
    return np.arctanh(np.clip(r, -0.999999, 0.999999))


def gaussian_loglik(signal: np.ndarray, covariance: np.ndarray) -> float:
    """Return the mean log-likelihood of zero-mean samples, in nats a sample and unit.

    ``-(log 2 pi + (log det C + x' C^-1 x) / units) / 2``. Raises ``ValueError`` where the
    covariance (unit, unit) is not positive definite.
    """
    units = len(covariance)
    try:
        factor = np.linalg.cholesky(np.asarray(covariance, np.float64))
    except np.linalg.LinAlgError:
        raise ValueError(f"the covariance of {units} units is not positive definite") from None
    white = np.linalg.solve(factor, np.asarray(signal, np.float64).T)
    logdet = 2 * np.log(np.diag(factor)).sum()
    return float(-0.5 * (np.log(2 * np.pi) + (logdet + np.mean(np.sum(white**2, axis=0))) / units))


def nearest_profile(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Return, for each query profile, the index of the gallery profile it correlates with most."""
    return np.argmax(_unit_rows(queries) @ _unit_rows(gallery).T, axis=1)


def _unit_rows(profiles: np.ndarray) -> np.ndarray:
    centred = profiles - profiles.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.divide(centred, norm, out=np.zeros_like(centred), where=norm > 0)


def identification(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Return how often the nearest profile is the same person's: first to second, and back.

    Row i of both (person, feature) arrays is person i; nearness is Pearson correlation.
    """
    people = np.arange(len(first))
    there = np.mean(nearest_profile(first, second) == people)
    back = np.mean(nearest_profile(second, first) == people)
    return float(there), float(back)


def confusion(truth: np.ndarray, predicted: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return counts (true class, predicted class) in the order of ``classes``."""
    place = {name: i for i, name in enumerate(classes.tolist())}
    rows = np.array([place[name] for name in truth.tolist()], int)
    columns = np.array([place[name] for name in predicted.tolist()], int)
    counts = np.bincount(rows * len(place) + columns, minlength=len(place) ** 2)
    return counts.reshape(len(place), len(place))


def balanced_accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean over the classes that occur in ``truth`` of the share found again."""
    names, code = np.unique(truth, return_inverse=True)
    hits = np.bincount(code, weights=truth == predicted, minlength=len(names))
    return float(np.mean(hits / np.bincount(code, minlength=len(names))))


def macro_f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean over the classes that occur in ``truth`` of F1; 0 for one never found."""
    from sklearn.metrics import f1_score

    never_found: Any = 0
    made = f1_score(truth, predicted, labels=np.unique(truth), average="macro",
                    zero_division=never_found)  # fmt: skip
    return float(made)


def permutation_p(value: float, null: np.ndarray) -> float:
    """Return the share of the null at or above ``value``, the observed value counted in."""
    return float((1 + np.sum(null >= value - 1e-12)) / (1 + len(null)))

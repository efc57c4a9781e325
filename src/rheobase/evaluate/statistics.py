"""Statistics over folds: corrected intervals and tests, combined and corrected p-values.

Training parts of folds overlap, so the variance of a mean over J folds is
``(1/J + n_test/n_train) s^2`` with J - 1 degrees of freedom (Nadeau & Bengio 2003, Machine Learning
52:239).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

MIN_FOLDS = 3
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


def corrected_t(
    values: Sequence[float], ratio: float | None = None
) -> tuple[Interval | None, float | None]:
    """Return the corrected 95 % interval of a mean over folds and the two-sided p-value against 0.

    ``ratio`` is n_test / n_train, by default 1 / (J - 1) as in plain J-fold splits. Both are None
    below three folds. Folds that agree exactly have no variance to make an interval from: it is
    None, and p is that of the sign test, 2^(1-J), or 1 where all are 0.
    """
    x = np.asarray(values, float)
    j = len(x)
    if j < MIN_FOLDS:
        return None, None
    mean, spread = float(x.mean()), float(x.std(ddof=1))
    if spread <= 1e-12 * max(abs(mean), 1e-300):
        return None, 1.0 if mean == 0 else 2.0 ** (1 - j)
    error = spread * np.sqrt(1 / j + (1 / (j - 1) if ratio is None else ratio))
    half = float(scipy.special.stdtrit(j - 1, (1 + LEVEL) / 2)) * error
    return Interval(float(mean - half), float(mean + half)), float(
        2 * scipy.special.stdtr(j - 1, -abs(mean) / error)
    )


def combine_p(values: Sequence[float]) -> float:
    """Return one p-value from those of dependent tests: the one there is, or twice the median.

    Holds whatever their dependence (Meinshausen, Meier & Buehlmann 2009, JASA 104:1671).
    """
    return float(values[0]) if len(values) == 1 else float(min(1.0, 2 * np.median(values)))


def pool_p(values: Sequence[float], nulls: np.ndarray) -> tuple[float, float]:
    """Return the permutation p-value of a mean over folds, and the smallest that there could be.

    ``nulls`` (fold, draw) holds each fold's permuted values, averaged draw by draw. The smallest is
    that of a model as good as the best draw in every fold whose draws vary. How often it is wrong
    is simulated in tests/acceptance/test_linear_chance.py.
    """
    nulls = np.asarray(nulls, float)
    draws = nulls.shape[1]
    reached = nulls.mean(axis=0) >= np.mean(values) - 2e-6
    top = nulls >= nulls.max(axis=1, keepdims=True) - 2e-6
    ways = np.prod(top.mean(axis=1)) if np.ptp(nulls, axis=1).any() else 0.0
    least = max(1 / (draws + 1), float(ways))
    return float((1 + reached.sum()) / (draws + 1)), least


def holm(values: Sequence[float]) -> list[float]:
    """Return p-values corrected for each other (Holm 1979), in the order given."""
    corrected = [0.0] * len(values)
    running = 0.0
    for rank, index in enumerate(np.argsort(values, kind="stable")):
        running = max(running, (len(values) - rank) * values[index])
        corrected[index] = float(min(1.0, running))
    return corrected

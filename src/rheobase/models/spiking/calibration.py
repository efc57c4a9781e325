"""How well probabilities mean what they say."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

GOLDEN = (math.sqrt(5) - 1) / 2
LOG_ALPHA = (-3.0, 4.0)
"""Where the scale of evidence is searched, natural logarithm; chosen here"""


def log_softmax(z: np.ndarray) -> np.ndarray:
    """Return log probabilities along the last axis, in float64."""
    z = np.asarray(z, np.float64)
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def negative_log_likelihood(z: np.ndarray, y: np.ndarray) -> float:
    """Return the mean over steps and examples of -log p(y); (step, example, class), (example,)."""
    chosen = np.take_along_axis(log_softmax(z), y[None, :, None], axis=2)
    return float(-chosen.mean())


def scale(evidence: np.ndarray, y: np.ndarray, *, final: bool = False) -> float:
    """Return the factor of the evidence (step, example, class) with the least mean -log p.

    Over all steps, or over the last alone where ``final``; golden section on its logarithm.
    """
    told = evidence[-1:] if final else evidence
    return math.exp(golden(lambda a: negative_log_likelihood(math.exp(a) * told, y), *LOG_ALPHA))


def golden(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function with one valley is least, by golden section, to 1e-4."""
    a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_a, at_b = function(a), function(b)
    while high - low > 1e-4:
        if at_a <= at_b:
            high, b, at_b = b, a, at_a
            a = high - GOLDEN * (high - low)
            at_a = function(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + GOLDEN * (high - low)
            at_b = function(b)
    return (low + high) / 2


def reliability(
    confidence: np.ndarray, right: np.ndarray, *, bins: int = 15
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean confidence, share right and count in equal bins of [0, 1], NaN where empty."""
    at = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(at, minlength=bins)
    with np.errstate(invalid="ignore"):
        told = np.bincount(at, confidence, bins) / count
        held = np.bincount(at, right.astype(float), bins) / count
    return told, held, count


def calibration_error(confidence: np.ndarray, right: np.ndarray, *, bins: int = 15) -> float:
    """Return the mean distance of confidence and share right, weighed by count (ECE)."""
    told, held, count = reliability(confidence, right, bins=bins)
    full = count > 0
    return float((np.abs(told - held)[full] * count[full]).sum() / count.sum())

"""Permutation nulls that respect what may be exchanged: never single samples."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from rheobase import metrics
from rheobase.models.linear.examples import Examples


def classes_null(
    examples: Examples, predicted: np.ndarray, *, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Return balanced accuracies, (draws,), with labels exchanged between whole units.

    Units are people, recordings, trials or runs of one label; where labels vary within every
    recording they are exchanged only there. Empty where no exchange changes anything.
    """
    names, first, code = np.unique(examples.unit, return_index=True, return_inverse=True)
    classes, label = np.unique(examples.y[first], return_inverse=True)
    if len(classes) < 2:
        return np.zeros(0)
    strata = _strata(examples.recording[first], label, examples.within)
    guess = np.searchsorted(classes, predicted)
    guess = np.where(classes[np.minimum(guess, len(classes) - 1)] == predicted, guess, len(classes))
    counts = np.zeros((len(names), len(classes) + 1))
    np.add.at(counts, (code, guess), 1)
    size = counts.sum(axis=1)
    null = np.empty(draws)
    for i in range(draws):
        drawn = label.copy()
        for members in strata:
            drawn[members] = rng.permutation(label[members])
        hits = np.bincount(drawn, counts[np.arange(len(names)), drawn], len(classes))
        null[i] = np.mean(hits / np.bincount(drawn, size, len(classes)))
    return null


def _strata(recording: np.ndarray, label: np.ndarray, within: bool) -> list[np.ndarray]:
    inside = [np.flatnonzero(recording == name) for name in np.unique(recording)]
    if within and all(len(np.unique(label[members])) > 1 for members in inside):
        return inside
    return [np.arange(len(label))]


def values_null(
    examples: Examples,
    predicted: np.ndarray,
    *,
    centre: float,
    draws: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return R2 values, (draws,), of fixed predictions against labels that lost their place.

    A label over time is shifted in a circle by at least a twentieth of its recording; labels of
    whole recordings are exchanged. Empty where there is too little to move.
    """
    null = np.empty(draws)
    if not examples.within:
        names, first, code = np.unique(examples.unit, return_index=True, return_inverse=True)
        if len(names) < 2:
            return np.zeros(0)
        for i in range(draws):
            drawn = rng.permutation(examples.y[first])[code]
            null[i] = metrics.r2(drawn, predicted, centre=centre)
        return null
    parts = [np.flatnonzero(examples.recording == name) for name in np.unique(examples.recording)]
    parts = [part[np.argsort(examples.order[part], kind="stable")] for part in parts]
    if max(map(len, parts)) < 20:
        return np.zeros(0)
    for i in range(draws):
        drawn = examples.y.copy()
        for part in parts:
            least = max(len(part) // 20, 1)
            shift = int(rng.integers(least, max(len(part) - least, least + 1)))
            drawn[part] = np.roll(examples.y[part], shift)
        null[i] = metrics.r2(drawn, predicted, centre=centre)
    return null


def smallest_p(examples: Examples, draws: int) -> float:
    """Return the smallest p value that exchanging class labels between units can give."""
    _, first = np.unique(examples.unit, return_index=True)
    counts = Counter(examples.y[first].tolist()).values()
    ways = math.lgamma(len(first) + 1) - sum(math.lgamma(n + 1) for n in counts)
    return max(1 / (draws + 1), math.exp(-ways))

"""Permutation nulls that respect what may be exchanged: never single samples."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from rheobase import metrics
from rheobase.models.decoding.examples import Examples, strata
from rheobase.recording import Recording

LEAST_LENGTHS = 10
"""Autocorrelation times of a label over time below which shifts cannot test it."""


def stream(seed: int, purpose: int, test: Sequence[Recording]) -> np.random.Generator:
    """Return random numbers that differ with the test part, so that folds are drawn apart."""
    parts = "|".join(f"{r.name} {float(r.time[0]):g} {len(r.time)}" for r in test)
    return np.random.default_rng([seed, purpose, zlib.crc32(parts.encode())])


def rounded(null: np.ndarray) -> tuple[float, ...]:
    """Return permuted values as they are stored with a score."""
    return tuple(np.round(null, 6).tolist())


def classes_null(
    examples: Examples, predicted: np.ndarray, *, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Return balanced accuracies, (draws,), with labels exchanged between whole units.

    Units are people, recordings, trials or runs of one label, and ``strata`` says within what they
    are exchanged. Empty where no exchange changes anything.
    """
    names, first, code = np.unique(examples.unit, return_index=True, return_inverse=True)
    classes, label = np.unique(examples.y[first], return_inverse=True)
    if len(classes) < 2:
        return np.zeros(0)
    members_of = _members(examples, first)
    if all(len(np.unique(label[members])) < 2 for members in members_of):
        return np.zeros(0)
    guess = np.searchsorted(classes, predicted)
    guess = np.where(classes[np.minimum(guess, len(classes) - 1)] == predicted, guess, len(classes))
    counts = np.zeros((len(names), len(classes) + 1))
    np.add.at(counts, (code, guess), 1)
    size = counts.sum(axis=1)
    null = np.empty(draws)
    for i in range(draws):
        drawn = label.copy()
        for members in members_of:
            drawn[members] = rng.permutation(label[members])
        hits = np.bincount(drawn, counts[np.arange(len(names)), drawn], len(classes))
        null[i] = np.mean(hits / np.bincount(drawn, size, len(classes)))
    return null


def _members(examples: Examples, first: np.ndarray) -> list[np.ndarray]:
    """Return the units (rows of ``first``) of each stratum."""
    stratum = strata(examples)[first]
    return [np.flatnonzero(stratum == name) for name in np.unique(stratum)]


def values_null(
    examples: Examples,
    predicted: np.ndarray,
    *,
    centre: float,
    draws: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return R2 values, (draws,), of fixed predictions against labels that lost their place.

    A label over time is shifted in a circle by at least its autocorrelation time and a twentieth
    of its recording; labels of whole recordings are exchanged. No value lies below 0, that of the
    training mean, so nothing worse than it is above chance. Empty where there is too little to
    move.
    """
    move = _shifts(examples) if examples.within else _swaps(examples)
    if move is None:
        return np.zeros(0)
    values = [metrics.r2(move(rng), predicted, centre=centre) for _ in range(draws)]
    return np.maximum(values, 0)


def _swaps(examples: Examples) -> Callable[[np.random.Generator], np.ndarray] | None:
    _, first, code = np.unique(examples.unit, return_index=True, return_inverse=True)
    members_of = _members(examples, first)
    if max(map(len, members_of)) < 2:
        return None

    def move(rng: np.random.Generator) -> np.ndarray:
        drawn = examples.y[first].copy()
        for members in members_of:
            drawn[members] = rng.permutation(drawn[members])
        return drawn[code]

    return move


def _shifts(examples: Examples) -> Callable[[np.random.Generator], np.ndarray] | None:
    parts = _in_time(examples)
    if lengths(examples) < LEAST_LENGTHS:
        return None

    def move(rng: np.random.Generator) -> np.ndarray:
        drawn = examples.y.copy()
        for part in parts:
            least = min(max(len(part) // 20, int(np.ceil(memory(examples.y[part]))), 1),
                        len(part) // 2)  # fmt: skip
            shift = int(rng.integers(least, max(len(part) - least, least) + 1))
            drawn[part] = np.roll(examples.y[part], shift)
        return drawn

    return move


def _in_time(examples: Examples) -> list[np.ndarray]:
    parts = [np.flatnonzero(examples.recording == name) for name in np.unique(examples.recording)]
    return [part[np.argsort(examples.order[part], kind="stable")] for part in parts]


def memory(y: np.ndarray) -> float:
    """Return the autocorrelation time of a label in samples: 1 + 2 sum of r[k] while r[k] > 0.05.

    Infinite where the label never moves.
    """
    centred = y - y.mean()
    power = np.abs(np.fft.rfft(centred, 2 * len(y))) ** 2
    r = np.fft.irfft(power)[: len(y)]
    if r[0] <= 1e-12 * (1 + np.abs(y).max() ** 2) * len(y):
        return np.inf
    r = r / r[0]
    below = np.flatnonzero(r <= 0.05)
    return float(1 + 2 * r[1 : below[0] if len(below) else None].sum())


def lengths(examples: Examples) -> float:
    """Return how many autocorrelation times the label over time holds, all recordings together."""
    return float(sum(len(part) / memory(examples.y[part]) for part in _in_time(examples)))


def smallest_p(examples: Examples, draws: int) -> float:
    """Return the smallest p value that exchanging class labels between units can give."""
    _, first = np.unique(examples.unit, return_index=True)
    ways = 0.0
    for members in _members(examples, first):
        counts = Counter(examples.y[first][members].tolist()).values()
        ways += math.lgamma(len(members) + 1) - sum(math.lgamma(n + 1) for n in counts)
    return max(1 / (draws + 1), math.exp(-ways))

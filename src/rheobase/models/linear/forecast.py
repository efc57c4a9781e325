"""Direct ridge VAR: ``x[t+h] = W_h [x[t], x[t-1], ...] + b_h``, one regression a horizon.

Signals are standardised by the training part. Penalties are chosen in inner folds of the training
part: people or recordings where there are three, else five contiguous blocks with a gap of one
horizon on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rheobase import rivals
from rheobase.models.inputs import by_name, dealt, inner_groups, pieces
from rheobase.recording import Recording
from rheobase.rivals import Gram

INNER_FOLDS = 5


@dataclass(frozen=True)
class Forecast:
    """One horizon's regressions, on standardised signals."""

    horizon: int
    order: int
    weights: np.ndarray
    """(lag * unit, unit)"""
    bias: np.ndarray
    ar1: np.ndarray
    """slope and intercept, (2, unit)"""
    penalty: float

    def predict(self, signal: np.ndarray) -> np.ndarray:
        """Return the prediction of samples ``order - 1 + horizon`` to the end of a piece."""
        x = rivals.lagged(signal[: len(signal) - self.horizon], self.order)
        return x @ self.weights + self.bias

    def predict_ar1(self, signal: np.ndarray) -> np.ndarray:
        """Return the AR(1) prediction of the same samples."""
        return signal[self.order - 1 : len(signal) - self.horizon] * self.ar1[0] + self.ar1[1]


def fit(
    train: Sequence[Recording], mean: np.ndarray, scale: np.ndarray, *, horizon: int, order: int,
    penalties: Sequence[float],
) -> Forecast:  # fmt: skip
    """Return the regressions of one horizon with the penalty chosen in inner folds."""
    groups = inner_groups([r.subject for r in train], [r.name for r in train])
    if groups is None:
        total, folds = _blocks(train, mean, scale, horizon, order)
    else:
        total, folds = _grouped(train, groups, mean, scale, horizon, order)
    folds = [(learn, held) for learn, held in folds if learn.n > 1 and held.n > 0]
    if not folds:
        raise ValueError(
            f"{train[0].name}: {int(total.n)} pairs of samples are too few to choose the penalty "
            f"of horizon {horizon} in inner folds; give longer recordings or shorten horizons"
        )
    penalty, _ = rivals.choose_penalty(folds, penalties)
    weights, bias = next(rivals.ridge_path(total, [penalty]))
    return Forecast(horizon, order, weights, bias, rivals.ar1(total), penalty)


def _sum(grams: Sequence[Gram]) -> Gram:
    total = grams[0]
    for gram in grams[1:]:
        total += gram
    return total


def _grouped(
    train: Sequence[Recording], groups: Sequence[str], mean: np.ndarray, scale: np.ndarray,
    horizon: int, order: int,
) -> tuple[Gram, list[tuple[Gram, Gram]]]:  # fmt: skip
    """Return the sums of all pairs and (training, held-out) sums of folds of whole groups."""
    count = min(INNER_FOLDS, len(set(groups)))
    held = [Gram.empty(order * len(mean), len(mean)) for _ in range(count)]
    for recording, fold in zip(train, dealt(groups, count), strict=True):
        for piece in pieces([recording], mean, scale, least=horizon + order):
            held[fold] += rivals.pair_gram(piece, horizon=horizon, order=order)
    total = _sum(held)
    return total, [(total - one, one) for one in held]


def _blocks(
    train: Sequence[Recording], mean: np.ndarray, scale: np.ndarray, horizon: int, order: int
) -> tuple[Gram, list[tuple[Gram, Gram]]]:
    """Return the same for contiguous blocks, training pairs ``horizon`` samples away from them."""
    parts = list(pieces(train, mean, scale, least=horizon + order))
    ends = np.cumsum([0, *map(len, parts)])
    borders = np.linspace(0, ends[-1], INNER_FOLDS + 1).astype(int)
    empty = Gram.empty(order * len(mean), len(mean))
    total = _sum([empty, *(rivals.pair_gram(p, horizon=horizon, order=order) for p in parts)])
    folds = []
    for low, high in zip(borders[:-1], borders[1:], strict=True):
        held, near = empty, empty
        for start, part in zip(ends[:-1], parts, strict=True):
            a, b = max(low - start, 0), min(high - start, len(part))
            if a < b:
                held += rivals.pair_gram(part[a:b], horizon=horizon, order=order)
                span = part[max(a - 2 * horizon - order + 1, 0) : b + 2 * horizon + order - 1]
                near += rivals.pair_gram(span, horizon=horizon, order=order)
        folds.append((total - near, held))
    return total, folds


@dataclass(frozen=True)
class ForecastError:
    """Sums of squares over the test part at one horizon, all on the same samples."""

    model: float
    rivals: dict[str, float]
    about_training_mean: float
    about_own_mean: float

    def r2(self, error: float) -> float:
        """Return explained variance about the training mean."""
        return 1 - error / self.about_training_mean

    def own_r2(self, error: float) -> float:
        """Return explained variance about the own means of each test recording."""
        return 1 - error / self.about_own_mean


def evaluate(
    forecast: Forecast, test: Sequence[Recording], mean: np.ndarray, scale: np.ndarray
) -> ForecastError:
    """Return the squared errors of the forecast and its rivals on the test part."""
    sums: dict[str, float] = dict.fromkeys(("model", "persistence", "ar1", "training_mean"), 0.0)
    own = 0.0
    for segments in by_name(test).values():
        count, first, second = 0, np.zeros(len(mean)), np.zeros(len(mean))
        for truth, guesses in _guesses(forecast, segments, mean, scale):
            for name, guess in guesses.items():
                sums[name] += float(np.sum((truth - guess) ** 2))
            count += len(truth)
            first += truth.sum(axis=0)
            second += np.einsum("tu,tu->u", truth, truth)
        own += float(np.sum(second - first**2 / max(count, 1)))
    return ForecastError(sums.pop("model"), sums, sums["training_mean"], own)


def _guesses(
    forecast: Forecast, segments: Sequence[Recording], mean: np.ndarray, scale: np.ndarray
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray | float]]]:
    """Yield, a chunk of time after the other, the truth and what each forecast said of it."""
    lead, skip = forecast.order - 1 + forecast.horizon, forecast.order - 1
    for whole in pieces(segments, mean, scale, least=lead + 1):
        for start in range(0, len(whole) - lead, rivals.CHUNK):
            piece = whole[start : start + rivals.CHUNK + lead]
            yield (
                piece[lead:],
                {
                    "model": forecast.predict(piece),
                    "persistence": rivals.persistence(piece, horizon=forecast.horizon)[skip:],
                    "ar1": forecast.predict_ar1(piece),
                    "training_mean": 0.0,
                },
            )


def residual(
    forecast: Forecast, recording: Recording, mean: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the one-step forecast misses (time, unit), in signal units, and where it exists.

    Samples without a prediction, the first of each piece, are 0 and marked False in the second
    array (time,).
    """
    lead = forecast.order - 1 + forecast.horizon
    missed = np.zeros(recording.signal.shape)
    known = np.zeros(len(missed), bool)
    for piece in recording.pieces():
        signal = (recording.signal[piece] - mean) / scale
        if len(signal) > lead:
            at = slice(piece.start + lead, piece.stop)
            missed[at] = (signal[lead:] - forecast.predict(signal)) * scale
            known[at] = True
    return missed, known

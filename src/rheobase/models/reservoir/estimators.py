"""Reservoirs with the face of scikit-learn: one reservoir, its adaptation and its readout.

``X`` is one recording (time, channel), or a list of recordings of unequal lengths; the state is
reset at each. A prediction at t sees the inputs up to and with t.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from rheobase import rivals
from rheobase.models.inputs import dealt
from rheobase.models.reservoir import readout
from rheobase.models.reservoir.adaptation import adapt
from rheobase.models.reservoir.batched import BatchedReservoir
from rheobase.models.reservoir.sequences import batch, check_washout
from rheobase.models.reservoir.settings import Adapt, Network, Readout
from rheobase.models.reservoir.windows import Windows

INNER_FOLDS = 5
NETWORK = tuple(field.name for field in fields(Network))


class _Reservoir(BaseEstimator):
    """What both estimators share; parameters are the fields of ``Network`` and these:

    adapt : ``Adapt``, how inhibition is adapted to the training input; ``default``: ``Adapt()``;
        None: not at all
    alphas : relative penalties, the best of which is chosen in inner folds
    washout : samples that are not learnt from at the start of a recording;
        None: max(50, 5 / (1 - leak))
    seed : of the reservoir and its targets
    device : cpu | cuda
    """

    def __init__(
        self, *, n_units: int = 500, frac_exc: float = 0.8, degree: int = 50,
        topology: Any = "er", weight_cv: float = 0.2, gain: float = 10.0,
        threshold: Any = 0.0, leak: Any = 0.0, frac_input: float = 0.3, input_scale: float = 0.5,
        balance: float = 0.0, adapt: Adapt | Literal["default"] | None = "default",
        alphas: tuple[float, ...] = Readout().alphas, washout: int | None = None, seed: int = 0,
        device: str = "cpu",
    ) -> None:  # fmt: skip
        self.n_units, self.frac_exc, self.degree = n_units, frac_exc, degree
        self.topology, self.weight_cv, self.gain = topology, weight_cv, gain
        self.threshold, self.leak, self.frac_input = threshold, leak, frac_input
        self.input_scale, self.balance, self.adapt = input_scale, balance, adapt
        self.alphas, self.washout, self.seed, self.device = alphas, washout, seed, device

    def _network(self) -> Network:
        return Network(**{name: getattr(self, name) for name in NETWORK})

    def _washout(self, network: Network) -> int:
        return network.washout if self.washout is None else self.washout

    def _signals(self, X: Any, *, reset: bool) -> list[np.ndarray]:
        """Return the recordings of X as (time, channel) float64, checked."""
        if _many(X):
            signals = [np.asarray(one, float) for one in X]
            signals = [one[:, None] if one.ndim == 1 else one for one in signals]
            batch(signals)
            if reset:
                self.n_features_in_ = signals[0].shape[1]
            elif signals[0].shape[1] != self.n_features_in_:
                raise ValueError(
                    f"X has {signals[0].shape[1]} features, but {type(self).__name__} is expecting "
                    f"{self.n_features_in_} features as input"
                )
            return signals
        X = validate_data(self, _two_dimensional(X), reset=reset, dtype=np.float64)
        return [np.asarray(X, np.float64)]

    def _prepare(self, signals: list[np.ndarray]) -> list[np.ndarray]:
        """Build and adapt the reservoir; returns the inputs standardised by themselves."""
        whole = np.concatenate(signals)
        deviation = whole.std(axis=0)
        self.mean_ = whole.mean(axis=0)
        self.deviation_ = np.where(deviation > 1e-12 * (1 + np.abs(self.mean_)), deviation, 1.0)
        network = self._network()
        self.engine_ = BatchedReservoir([network], [self.seed], channels=signals[0].shape[1],
                                        device=self.device)  # fmt: skip
        inputs = self._scaled(signals)
        check_washout([len(one) for one in inputs], self._washout(network))
        way = Adapt() if isinstance(self.adapt, str) else self.adapt
        self.adaptation_ = adapt(self.engine_, inputs, [way])
        return inputs

    def _scaled(self, signals: list[np.ndarray]) -> list[np.ndarray]:
        return [(one - self.mean_) / self.deviation_ for one in signals]

    def _learn(self, inputs: list[np.ndarray], targets: list[np.ndarray]) -> None:
        """Fit the readout on every sample after the washout."""
        washout = self._washout(self._network())
        labels, folds = _labels([len(one) for one in inputs], washout)
        sums = readout.GramAccumulator(targets, labels=labels)
        self.engine_.run(inputs, sink=sums, washout=washout)
        grams = [sums.gram(0, 0, label) for label in range(len(sums.n))]
        self._choose(grams, folds)

    def _choose(self, grams: list[rivals.Gram], folds: int) -> None:
        """Choose the penalty on the first ``folds`` sums, then fit on all."""
        errors = np.zeros(len(self.alphas))
        for held in range(folds):
            train = _sum([grams[f] for f in range(folds) if f != held])
            fits = readout.readouts(train, self.alphas)
            errors += [rivals.squared_error(grams[held], *fit) for fit in fits]
        at = len(errors) - 1 - int(np.argmin(errors[::-1]))
        self.alpha_ = float(self.alphas[at])
        self.coef_, self.intercept_ = next(readout.readouts(_sum(grams), [self.alpha_]))

    def _outputs(self, X: Any) -> list[np.ndarray]:
        """Return the readout of each recording, (time, target)."""
        check_is_fitted(self, "coef_")
        inputs = self._scaled(self._signals(X, reset=False))
        told = readout.Predictions(self.coef_[None, None], self.intercept_[None, None])
        self.engine_.run(inputs, sink=told)
        return [told.values[0, 0, r, : len(one)] for r, one in enumerate(inputs)]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coef_")


class ReservoirRegressor(RegressorMixin, _Reservoir):
    """Predicts a signal sample by sample from a reservoir that another signal drives.

    ``y`` is (time,) or (time, target), or a list of those beside a list of recordings. ``score``
    is R2 over targets without the washout.
    """

    def fit(self, X: Any, y: Any) -> ReservoirRegressor:
        """Adapt the reservoir and fit its readout."""
        if _many(X):
            signals, targets = self._signals(X, reset=True), [np.asarray(one, float) for one in y]
        else:
            X, y = validate_data(self, _two_dimensional(X), y, multi_output=True, y_numeric=True,
                                 dtype=np.float64)  # fmt: skip
            signals, targets = [X], [np.asarray(y, float)]
        _same_lengths(signals, targets)
        self._flat = targets[0].ndim == 1
        self._learn(self._prepare(signals), targets)
        return self

    def predict(self, X: Any) -> Any:
        """Return the prediction of every sample, washout included; a list for a list."""
        made = [one[:, 0] if self._flat else one for one in self._outputs(X)]
        return made if _many(X) else made[0]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R2, the mean over targets, of the samples after the washout."""
        from sklearn.metrics import r2_score

        many, skip = _many(X), self._washout(self._network())
        told = self.predict(X)
        pairs = zip(y, told, strict=True) if many else [(y, told)]
        kept = [(np.asarray(a)[skip:], b[skip:]) for a, b in pairs]
        truth, predicted = (np.concatenate([pair[i] for pair in kept]) for i in (0, 1))
        weight = None if sample_weight is None else np.asarray(sample_weight)[skip:]
        return float(r2_score(truth, predicted, sample_weight=weight))


class ReservoirClassifier(ClassifierMixin, _Reservoir):
    """Tells classes: of every sample, or of whole recordings by their mean and last rates.

    With a list of recordings and one label each, a recording is classified; otherwise ``y`` holds a
    label a sample. Ridge regression on codes of -1 and 1, the largest output wins.
    """

    def fit(self, X: Any, y: Any) -> ReservoirClassifier:
        """Adapt the reservoir and fit its readout."""
        self._whole = _many(X) and np.ndim(y[0]) == 0
        if _many(X):
            signals = self._signals(X, reset=True)
            given = [np.asarray(y)] if self._whole else [np.asarray(one) for one in y]
        else:
            X, y = validate_data(self, _two_dimensional(X), y, dtype=np.float64)
            signals, given = [X], [np.asarray(y)]
        check_classification_targets(np.concatenate(given))
        self.classes_ = np.unique(np.concatenate(given))
        if len(self.classes_) < 2:
            raise ValueError(f"y holds one class, {self.classes_[0]!r}; give two or more")
        codes = [2.0 * (one[:, None] == self.classes_) - 1 for one in given]
        inputs = self._prepare(signals)
        if self._whole:
            self._learn_whole(inputs, codes[0])
        else:
            _same_lengths(signals, codes)
            self._learn(inputs, codes)
        return self

    def _learn_whole(self, inputs: list[np.ndarray], codes: np.ndarray) -> None:
        if len(codes) != len(inputs):
            raise ValueError(f"there are {len(inputs)} recordings and {len(codes)} labels")
        x = self._features(inputs)
        folds = min(INNER_FOLDS, len(x))
        fold = dealt([str(number) for number in range(len(x))], folds)
        self._choose([rivals.Gram.of(x[fold == f], codes[fold == f]) for f in range(folds)], folds)

    def _features(self, inputs: list[np.ndarray]) -> np.ndarray:
        washout = self._washout(self._network())
        kept = Windows([[(washout, len(one))] for one in inputs])
        self.engine_.run(inputs, sink=kept, washout=washout)
        return kept.of(0, 0)

    def decision_function(self, X: Any) -> Any:
        """Return the output for each class; for two classes that of the second, as usual."""
        check_is_fitted(self, "coef_")
        if self._whole:
            inputs = self._scaled(self._signals(X, reset=False))
            return self._sided(self._features(inputs) @ self.coef_ + self.intercept_)
        made = [self._sided(one) for one in self._outputs(X)]
        return made if _many(X) else made[0]

    def predict(self, X: Any) -> Any:
        """Return the class of every sample or recording; a list for a list of samples' classes."""
        made = self.decision_function(X)
        if isinstance(made, list):
            return [self._named(one) for one in made]
        return self._named(made)

    def _sided(self, outputs: np.ndarray) -> np.ndarray:
        return outputs[:, 1] if len(self.classes_) == 2 else outputs

    def _named(self, outputs: np.ndarray) -> np.ndarray:
        at = (outputs > 0).astype(int) if outputs.ndim == 1 else outputs.argmax(axis=1)
        return self.classes_[at]


def _many(X: Any) -> bool:
    """Return whether X is a list of recordings."""
    return isinstance(X, list | tuple) and len(X) > 0 and isinstance(X[0], np.ndarray)


def _two_dimensional(X: Any) -> Any:
    """Return a signal (time,) as (time, 1)."""
    return X[:, None] if isinstance(X, np.ndarray) and X.ndim == 1 and len(X) > 1 else X


def _same_lengths(signals: Sequence[np.ndarray], targets: Sequence[np.ndarray]) -> None:
    if len(signals) != len(targets):
        raise ValueError(f"there are {len(signals)} recordings and {len(targets)} targets")
    for number, (signal, target) in enumerate(zip(signals, targets, strict=True)):
        if len(signal) != len(target):
            raise ValueError(
                f"recording {number} has {len(signal)} samples and {len(target)} targets; give one "
                "target a sample"
            )


def _labels(lengths: Sequence[int], washout: int) -> tuple[list[np.ndarray], int]:
    """Return the inner fold of each sample and how many there are; samples between are one more.

    Whole recordings are dealt out where there are three. Otherwise time is cut into blocks, with
    ``washout`` samples before each that no fold uses to choose the penalty.
    """
    if len(lengths) >= 3:
        folds = min(INNER_FOLDS, len(lengths))
        own = dealt([str(number) for number in range(len(lengths))], folds)
        return [np.full(n, fold) for n, fold in zip(lengths, own, strict=True)], folds
    total = sum(lengths) - washout * len(lengths)
    folds = min(INNER_FOLDS, total // (2 * max(washout, 1)))
    if folds < 2:
        raise ValueError(
            f"{total} samples after the washout of {washout} are too few to choose the penalty; "
            "give longer recordings, or lower washout"
        )
    labels = []
    for length in lengths:
        own = np.full(length, folds)
        edges = np.linspace(washout, length, folds + 1).astype(int)
        for fold, (low, high) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
            own[low + washout * (fold > 0) : high] = fold
        labels.append(own)
    return labels, folds


def _sum(grams: Sequence[rivals.Gram]) -> rivals.Gram:
    total = grams[0]
    for gram in grams[1:]:
        total += gram
    return total

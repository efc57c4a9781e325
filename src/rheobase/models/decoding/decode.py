"""Label decoding: fit on the training part, score on the test part beside simple rivals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rheobase import metrics, rivals
from rheobase.models.base import Score
from rheobase.models.decoding import classify, null
from rheobase.models.decoding.examples import Examples, gather
from rheobase.models.decoding.labels import How, NotDecodableError, classes_in, too_short
from rheobase.recording import Recording

FIRST_C = 0.01
LONGEST_DELAY_S = 8.0
NOT_EXCHANGED = "no labels of a test part could be exchanged, so chance is not tested there"


@dataclass(frozen=True)
class Decoder:
    """An affine map from standardised features to classes or to a value, and its rivals."""

    kind: str
    features: str
    classes: np.ndarray
    """Class names in order; one empty name for a value"""
    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    """(feature, output)"""
    bias: np.ndarray
    rival: np.ndarray
    """Class means (output, feature); for a value index, slope and intercept of the best feature."""
    centre: float
    """Training mean of a value, 0 for classes"""
    majority: str
    delay: int
    """Samples that the signal lags behind the label"""
    penalty: float
    """Inverse penalty C of logistic regression, penalty of ridge, 0 for LDA"""

    def output(self, x: np.ndarray) -> np.ndarray:
        """Return the class (example,) or the value (example,) of each row of features."""
        out = (x - self.mean) / self.scale @ self.weights + self.bias
        return out[:, 0] if self.kind == "value" else self.classes[np.argmax(out, axis=1)]


def fit(
    train: Sequence[Recording], how: How, *, cs: Sequence[float], penalties: Sequence[float],
    delay_s: float | None,
) -> Decoder:  # fmt: skip
    """Return the decoder of the training part's label.

    Raises ``NotDecodableError`` where there is one class only or too little for inner folds.
    """
    delays = _delays(train[0], how, delay_s)
    if how.kind == "value":
        return _fit_value(train, how, penalties, delays)
    examples = gather(train, how, delay=delays[0])
    classes = np.unique(examples.y)
    if len(classes) < 2:
        raise NotDecodableError(_one_class(train, how, str(classes[0])))
    if how.features == "windows":
        mean, scale = classify.standard(examples.x)
        weights, bias = classify.lda((examples.x - mean) / scale, examples.y, classes)
        return _finish_class(examples, how, classes, weights, bias, delays[0], 0.0)
    delay, c = _choose_class(train, how, classes, cs, delays)
    examples = gather(train, how, delay=delay)
    mean, scale = classify.standard(examples.x)
    path = classify.logistic_path((examples.x - mean) / scale, examples.y, classes, [c])
    return _finish_class(examples, how, classes, *next(path), delay, c)


def _one_class(train: Sequence[Recording], how: How, left: str) -> str:
    """Return why one class is left: the training part has no other, or its examples were cut."""
    label, there = f"label {train[0].label_name!r}", classes_in(train, how)
    if len(there) > 1:
        return (
            f"{train[0].name}: {label} has {len(there)} classes in the training part, but only "
            f"{left!r} is left of them: {too_short(train, how)}"
        )
    return (
        f"{train[0].name}: {label} has the one class {left!r} "
        "in the training part; decoding needs two, so change the split or drop the label"
    )


def _delays(recording: Recording, how: How, delay_s: float | None) -> list[int]:
    if how.features != "samples":
        return [0]
    if delay_s is not None:
        return [round(delay_s * recording.rate)]
    last = int(LONGEST_DELAY_S * recording.rate + 1e-9) if recording.modality == "fmri" else 0
    return list(range(last + 1))


def _inner(examples: Examples, how: How, delays: Sequence[int], rate: float, name: str):
    gap = max(delays[-1] + 1, round(how.window_s * rate), int(np.ptp(examples.order)) // 50)
    inner = classify.folds(examples, gap=gap, stratify=how.kind == "class" and not examples.within)
    if not inner:
        raise NotDecodableError(
            f"{name}: {len(np.unique(examples.recording))} labelled training recordings are too "
            "few to choose a penalty in inner folds; give at least 3 or drop the label"
        )
    return inner


def _choose_class(
    train: Sequence[Recording],
    how: How,
    classes: np.ndarray,
    cs: Sequence[float],
    delays: list[int],
) -> tuple[int, float]:
    """Return label delay (at C = 0.01) and then C with the best inner balanced accuracy."""

    def accuracy(delay: int, grid: Sequence[float]) -> np.ndarray:
        examples = gather(train, how, delay=delay)
        inner = _inner(examples, how, delays, train[0].rate, train[0].name)
        scores = classify.logistic_accuracy(examples, inner, classes, grid)
        if np.isnan(scores).any():
            raise NotDecodableError(
                f"{train[0].name}: no inner fold of the training part holds two classes of "
                f"{train[0].label_name!r}; give more recordings or drop the label"
            )
        return scores

    delay = delays[0]
    if len(delays) > 1:
        delay = delays[int(np.argmax([accuracy(d, [FIRST_C])[0] for d in delays]))]
    rising = sorted(cs)
    return delay, float(rising[int(np.argmax(accuracy(delay, rising)))])


def _finish_class(examples, how, classes, weights, bias, delay, c) -> Decoder:
    mean, scale = classify.standard(examples.x)
    means = rivals.class_means((examples.x - mean) / scale, examples.y, classes)
    names, counts = np.unique(examples.y, return_counts=True)
    majority = str(names[np.argmax(counts)])
    return Decoder(
        "class", how.features, classes, mean, scale, weights, bias, means, 0.0, majority, delay, c
    )


def _fit_value(
    train: Sequence[Recording], how: How, penalties: Sequence[float], delays: list[int]
) -> Decoder:
    best = (np.inf, delays[0], penalties[0])
    for delay in delays:
        examples = gather(train, how, delay=delay)
        inner = _inner(examples, how, delays, train[0].rate, train[0].name)
        errors = classify.ridge_errors(examples, inner, penalties)
        if np.isnan(errors).any():
            raise NotDecodableError(
                f"{train[0].name}: no inner fold of the training part holds two values of "
                f"{train[0].label_name!r}; give more recordings or drop the label"
            )
        at = len(errors) - 1 - int(np.argmin(errors[::-1]))
        best = min(best, (float(errors[at]), delay, penalties[at]))
    _, delay, penalty = best
    examples = gather(train, how, delay=delay)
    mean, scale = classify.standard(examples.x)
    x = (examples.x - mean) / scale
    weights, bias = next(classify.ridge_path(x, examples.y, [penalty]))
    centre = float(examples.y.mean())
    slopes = x.T @ (examples.y - centre) / len(x)
    strongest = int(np.argmax(np.abs(slopes)))
    rival = np.array([strongest, slopes[strongest], centre])
    return Decoder(
        "value", how.features, np.array([""]), mean, scale, weights, bias, rival, centre, "", delay,
        float(penalty),
    )  # fmt: skip


def evaluate(
    decoder: Decoder, examples: Examples, *, draws: int, rng: np.random.Generator
) -> Score:
    """Return balanced accuracy or R2 of the test examples beside chance and rivals."""
    score = _score_value if decoder.kind == "value" else _score_class
    return score(decoder, examples, draws, rng)


def _score_class(
    decoder: Decoder, examples: Examples, draws: int, rng: np.random.Generator
) -> Score:
    predicted, classes = decoder.output(examples.x), np.unique(examples.y)
    value = metrics.balanced_accuracy(examples.y, predicted)
    nearest = rivals.nearest_mean(
        (examples.x - decoder.mean) / decoder.scale, decoder.rival, decoder.classes
    )
    most = np.full(len(predicted), decoder.majority)
    spread = null.classes_null(examples, predicted, draws=draws, rng=rng)
    return Score(
        "decode_balanced_accuracy", value,
        {
            "majority_class": metrics.balanced_accuracy(examples.y, most),
            "nearest_class_mean": metrics.balanced_accuracy(examples.y, nearest),
        },
        chance=float(spread.mean()) if len(spread) else 1 / len(decoder.classes),
        p_value=metrics.permutation_p(value, spread) if len(spread) else None,
        note=_class_note(decoder, examples, classes, draws, bool(len(spread))),
        caution="" if len(spread) else NOT_EXCHANGED,
        null=null.rounded(spread),
    )  # fmt: skip


def _class_note(decoder, examples, classes, draws: int, tested: bool) -> str:
    units = len(np.unique(examples.unit))
    said = [f"{len(classes)} classes, {len(examples.y)} examples of {units} exchangeable units"]
    unknown = sorted(set(classes.tolist()) - set(decoder.classes.tolist()))
    if unknown:
        said.append(f"no example of {', '.join(unknown)} was learnt, so that is always missed")
    if tested and null.smallest_p(examples, draws) > 0.05:
        said.append("too few units for p < 0.05 in this fold alone")
    return "; ".join(said)


def _score_value(
    decoder: Decoder, examples: Examples, draws: int, rng: np.random.Generator
) -> Score:
    predicted, centre = decoder.output(examples.x), decoder.centre
    value = metrics.r2(examples.y, predicted, centre=centre)
    feature, slope, intercept = decoder.rival
    column = (examples.x[:, int(feature)] - decoder.mean[int(feature)]) / decoder.scale[
        int(feature)
    ]
    spread = null.values_null(examples, predicted, centre=centre, draws=draws, rng=rng)
    own = metrics.r2(examples.y, predicted, centre=float(examples.y.mean()))
    note = f"{len(examples.y)} examples"
    if np.isfinite(own):
        note += f"; about the test part's own mean R2 is {own:.2f}"
    caution = "" if len(spread) else NOT_EXCHANGED
    if examples.within and caution:
        caution = (
            "the label is too smooth or too short to test against chance: it holds "
            f"{null.lengths(examples):.1f} autocorrelation times, and 10 are needed"
        )
    return Score(
        "decode_r2", value,
        {
            "training_mean": 0.0,
            "best_feature": metrics.r2(examples.y, slope * column + intercept, centre=centre),
        },
        chance=float(spread.mean()) if len(spread) else None,
        p_value=metrics.permutation_p(value, spread) if len(spread) else None,
        note=note, caution=caution, null=null.rounded(spread),
    )  # fmt: skip

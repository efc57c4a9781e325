"""Decoders of features that a family made itself, one example a recording."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rheobase import rivals
from rheobase.models.decoding import classify
from rheobase.models.decoding.decode import Decoder
from rheobase.models.decoding.examples import Examples, NotDecodableError


def fit_classes(
    known: Examples, *, features: str, cs: Sequence[float], share: np.ndarray | float = 1.0,
    balanced: bool = False,
) -> Decoder:  # fmt: skip
    """Return a multinomial logistic regression on standardised features divided by ``share``.

    The inverse penalty is chosen in inner folds of whole people where there are several.
    ``balanced``: classes weigh alike, however many examples they have.
    """
    classes = np.unique(known.y)
    c = float(cs[0])
    if len(cs) > 1:
        inner = _inner(known, stratify=True)
        scores = classify.logistic_accuracy(known, inner, classes, cs, share, balanced=balanced)
        c = float(cs[int(np.nanargmax(scores))])
    mean, scale = classify.standard(known.x)
    scale = scale * share
    x = (known.x - mean) / scale
    weights, bias = next(classify.logistic_path(x, known.y, classes, [c], balanced=balanced))
    names, counts = np.unique(known.y, return_counts=True)
    return Decoder(
        "class", features, classes, mean, scale, weights, bias,
        rivals.class_means(x, known.y, classes), 0.0, str(names[np.argmax(counts)]), 0, c,
    )  # fmt: skip


def fit_values(
    known: Examples, *, features: str, penalties: Sequence[float], share: np.ndarray | float = 1.0
) -> Decoder:
    """Return a ridge regression on such features, its penalty chosen in the same way."""
    y = known.y.astype(np.float64)
    penalty = float(penalties[0])
    if len(penalties) > 1:
        inner = _inner(known, stratify=False)
        errors = classify.ridge_errors(known, inner, penalties, share)
        penalty = float(penalties[int(np.nanargmin(errors))])
    mean, scale = classify.standard(known.x)
    scale = scale * share
    x = (known.x - mean) / scale
    weights, bias = next(classify.ridge_path(x, y, [penalty]))
    slopes = x.T @ (y - y.mean()) / len(x)
    best = int(np.argmax(np.abs(slopes)))
    rival = np.array([best, slopes[best], y.mean()])
    return Decoder(
        "value", features, np.array([""]), mean, scale, weights, bias, rival, float(y.mean()), "",
        0, penalty,
    )  # fmt: skip


def _inner(known: Examples, *, stratify: bool) -> list[classify.Fold]:
    inner = classify.folds(known, gap=0, stratify=stratify)
    if not inner:
        raise NotDecodableError(
            f"{len(known.y)} labelled training recordings are too few to choose a penalty in inner "
            "folds; give at least 3 or drop the label"
        )
    return inner


def answers(decoder: Decoder, x: np.ndarray) -> np.ndarray:
    """Return log-odds of each class, or the value, (example, output)."""
    return (x - decoder.mean) / decoder.scale @ decoder.weights + decoder.bias

"""Decoders of features that a family made itself, one example a recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from rheobase import rivals
from rheobase.models.decoding import classify
from rheobase.models.decoding.decode import Decoder
from rheobase.models.decoding.examples import Examples, NotDecodableError


def fit_classes(
    known: Examples, *, features: str | Mapping[str, int], cs: Sequence[float],
    balanced: bool = False,
) -> Decoder:  # fmt: skip
    """Return a multinomial logistic regression on standardised features.

    ``features`` names them, or is names and lengths of groups of features that follow each other:
    then the one group is read that predicts best, and the others have weight 0. Group and inverse
    penalty (of a whole group) have the lowest log loss in inner folds, which keep people whole
    where there are several. ``balanced``: classes weigh alike.
    """
    classes, counts = np.unique(known.y, return_counts=True)

    def loss(own: Examples, penalties: Sequence[float]) -> np.ndarray:
        inner = _inner(known, stratify=True)
        return classify.logistic_loss(own, inner, classes, penalties, balanced=balanced)

    name, part, c = _chosen(known, features, lambda size: [c / size for c in cs], loss)
    mean, scale = classify.standard(known.x)
    x = (known.x - mean) / scale
    found, bias = next(classify.logistic_path(x[:, part], known.y, classes, [c], balanced=balanced))
    weights = np.zeros((x.shape[1], len(classes)))
    weights[part] = found
    return Decoder(
        "class", name, classes, mean, scale, weights, bias,
        rivals.class_means(x, known.y, classes), 0.0, str(classes[np.argmax(counts)]), 0, c,
    )  # fmt: skip


def fit_values(
    known: Examples, *, features: str | Mapping[str, int], penalties: Sequence[float]
) -> Decoder:
    """Return a ridge regression on such features, with the lowest squared error in inner folds."""
    y = known.y.astype(np.float64)

    def loss(own: Examples, penalties: Sequence[float]) -> np.ndarray:
        return classify.ridge_errors(own, _inner(known, stratify=False), penalties)

    name, part, penalty = _chosen(
        known, features, lambda size: [p * size for p in penalties], loss
    )  # fmt: skip
    mean, scale = classify.standard(known.x)
    x = (known.x - mean) / scale
    found, bias = next(classify.ridge_path(x[:, part], y, [penalty]))
    weights = np.zeros((x.shape[1], 1))
    weights[part] = found
    slopes = x.T @ (y - y.mean()) / len(x)
    best = int(np.argmax(np.abs(slopes)))
    rival = np.array([best, slopes[best], y.mean()])
    return Decoder(
        "value", name, np.array([""]), mean, scale, weights, bias, rival, float(y.mean()), "",
        0, penalty,
    )  # fmt: skip


def _chosen(
    known: Examples, features: str | Mapping[str, int], grid: Callable[[int], list[float]],
    loss: Callable[[Examples, Sequence[float]], np.ndarray],
) -> tuple[str, slice, float]:  # fmt: skip
    """Return name and columns of the group to read, and its penalty."""
    if isinstance(features, str):
        penalties = grid(1)
        place = int(np.nanargmin(loss(known, penalties))) if len(penalties) > 1 else 0
        return features, slice(0, known.x.shape[1]), penalties[place]
    found, start = [], 0
    for name, size in features.items():
        part, penalties = slice(start, start + size), grid(size)
        losses = loss(replace(known, x=known.x[:, part]), penalties)
        place = int(np.nanargmin(losses))
        found.append((float(losses[place]), name, part, penalties[place]))
        start += size
    return min(found, key=lambda one: one[0])[1:]


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

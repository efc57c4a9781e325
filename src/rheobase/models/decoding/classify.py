"""Classifiers and regressions on standardised features, chosen in inner folds.

LDA with equal priors for EMG windows, multinomial logistic regression else, ridge for values. All
end as one affine map, ``x W + b``, whose largest output names the class.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import numpy as np

from rheobase import metrics, rivals
from rheobase.models.decoding.examples import Examples
from rheobase.models.inputs import dealt, inner_groups

INNER_FOLDS = 5
LEAST_LOG = -20.0
"""Of a held-out class that its inner training part does not know."""
Affine = tuple[np.ndarray, np.ndarray]
Fold = tuple[np.ndarray, np.ndarray]


def standard(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each feature; 1 for a constant one."""
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    return mean, np.where(deviation > 1e-12 * (1 + np.abs(mean)), deviation, 1.0)


def lda(x: np.ndarray, y: np.ndarray, classes: np.ndarray) -> Affine:
    """Return Fisher's discriminant with equal priors: weights (feature, class), bias (class,).

    ``m_k' S^-1 x - m_k' S^-1 m_k / 2`` with class means m and pooled covariance S.
    """
    means = rivals.class_means(x, y, classes)
    inside = x - means[np.searchsorted(classes, y)]
    pooled = inside.T @ inside / max(len(x) - len(classes), 1)
    weights = np.linalg.pinv(pooled, hermitian=True) @ means.T
    return weights, -0.5 * np.einsum("kf,fk->k", means, weights)


def logistic_path(
    x: np.ndarray, y: np.ndarray, classes: np.ndarray, cs: Sequence[float], *,
    balanced: bool = False,
) -> Iterator[Affine]:  # fmt: skip
    """Yield multinomial logistic regressions, weights (feature, class), for rising inverse penalty.

    With more features than examples the solution lies in the span of the examples, so it is found
    there, without loss. ``balanced``: classes weigh alike, however many examples they have.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    x, basis = _in_span(x)
    model = LogisticRegression(
        max_iter=500, tol=1e-4, warm_start=True, class_weight="balanced" if balanced else None
    )
    for c in cs:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.set_params(C=c).fit(x, y)
        weights = np.zeros((x.shape[1], len(classes)))
        bias = np.full(len(classes), -np.inf)
        known = np.searchsorted(classes, model.classes_)
        if len(known) == 2:
            weights[:, known[1]] = model.coef_[0]
            bias[known] = [0, np.asarray(model.intercept_)[0]]
        else:
            weights[:, known], bias[known] = model.coef_.T, model.intercept_
        yield (weights if basis is None else basis.T @ weights), bias


def _in_span(x: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return x in the basis of its own rows, and that basis, where features outnumber examples."""
    if x.shape[1] <= len(x):
        return x, None
    left, size, basis = np.linalg.svd(x, full_matrices=False)
    return left * size, basis


def folds(examples: Examples, *, gap: int, stratify: bool) -> list[Fold]:
    """Return inner folds as (training mask, held-out mask).

    Whole people or recordings where there are three, else five contiguous blocks of time with
    ``gap`` samples left out on both sides; empty where neither can be had.
    """
    groups = inner_groups(examples.subject.tolist(), examples.recording.tolist())
    if groups is None:
        return _blocks(examples, gap) if examples.within else []
    keys = np.asarray(groups)
    order = np.lexsort((keys, examples.y)) if stratify else np.argsort(keys, kind="stable")
    count = min(INNER_FOLDS, len(set(groups)))
    place = np.empty(len(keys), int)
    place[order] = dealt(keys[order].tolist(), count)
    return [(place != k, place == k) for k in range(count)]


def _blocks(examples: Examples, gap: int) -> list[Fold]:
    borders = np.quantile(examples.order, np.linspace(0, 1, INNER_FOLDS + 1))
    borders[-1] += 1
    result = []
    for low, high in zip(borders[:-1], borders[1:], strict=True):
        held = (examples.order >= low) & (examples.order < high)
        near = (examples.order >= low - gap) & (examples.order < high + gap)
        result.append((~near, held))
    return result


def logistic_accuracy(
    examples: Examples, inner: Sequence[Fold], classes: np.ndarray, cs: Sequence[float], *,
    balanced: bool = False,
) -> np.ndarray:  # fmt: skip
    """Return, for each inverse penalty, the balanced accuracy over all held-out examples.

    ``balanced`` as in the path.
    """
    parts = list(_held_out(examples, inner, classes, cs, balanced))
    if not parts:
        return np.full(len(cs), np.nan)
    truth = np.concatenate([y for y, _ in parts])
    odds = (np.concatenate([found[i] for _, found in parts]) for i in range(len(cs)))
    return np.array([metrics.balanced_accuracy(truth, classes[one.argmax(axis=1)]) for one in odds])


def logistic_loss(
    examples: Examples, inner: Sequence[Fold], classes: np.ndarray, cs: Sequence[float], *,
    balanced: bool = False,
) -> np.ndarray:  # fmt: skip
    """Return, for each inverse penalty, the mean log loss of the held-out examples, in nats.

    Finer than the accuracy where examples are few. ``balanced`` as in the path.
    """
    from scipy.special import log_softmax

    parts = list(_held_out(examples, inner, classes, cs, balanced))
    if not parts:
        return np.full(len(cs), np.nan)
    truth = np.searchsorted(classes, np.concatenate([y for y, _ in parts]))
    weight = np.ones(len(truth))
    if balanced:
        weight = 1 / np.bincount(truth, minlength=len(classes))[truth]
    losses = []
    for i in range(len(cs)):
        told = log_softmax(np.concatenate([found[i] for _, found in parts]), axis=1)
        own = np.maximum(told[np.arange(len(truth)), truth], LEAST_LOG)
        losses.append(-np.average(own, weights=weight))
    return np.array(losses)


def _held_out(
    examples: Examples, inner: Sequence[Fold], classes: np.ndarray, cs: Sequence[float],
    balanced: bool,
) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:  # fmt: skip
    """Yield the classes of held-out examples and their log-odds for each inverse penalty."""
    for learn, held in inner:
        if len(np.unique(examples.y[learn])) < 2 or not held.any():
            continue
        mean, scale = standard(examples.x[learn])
        x = (examples.x[learn] - mean) / scale
        path = logistic_path(x, examples.y[learn], classes, cs, balanced=balanced)
        probe = (examples.x[held] - mean) / scale
        yield examples.y[held], [probe @ w + b for w, b in path]


def ridge_errors(
    examples: Examples, inner: Sequence[Fold], penalties: Sequence[float]
) -> np.ndarray:
    """Return, for each penalty, the mean squared error over all held-out examples."""
    errors, count = np.zeros(len(penalties)), 0
    for learn, held in inner:
        if learn.sum() < 2 or not held.any():
            continue
        mean, scale = standard(examples.x[learn])
        path = ridge_path((examples.x[learn] - mean) / scale, examples.y[learn], penalties)
        probe = (examples.x[held] - mean) / scale
        errors += [np.sum((examples.y[held] - probe @ w[:, 0] - b) ** 2) for w, b in path]
        count += int(held.sum())
    return errors / count if count else np.full(len(penalties), np.nan)


def ridge_path(x: np.ndarray, y: np.ndarray, penalties: Sequence[float]) -> Iterator[Affine]:
    """Yield ridge weights (feature, 1) and bias (1,), in the span of the examples if fewer."""
    x, basis = _in_span(x)
    for weights, bias in rivals.ridge_path(rivals.Gram.of(x, y[:, None]), penalties):
        yield (weights if basis is None else basis.T @ weights), bias

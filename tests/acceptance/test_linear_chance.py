"""Does the test against chance keep its promise? Simulated labels with and without meaning."""

import math

import numpy as np
import pytest
import scipy.signal

from rheobase import metrics, splits
from rheobase.evaluate.statistics import pool_p
from rheobase.models.decoding import classify, null
from rheobase.models.decoding.examples import Examples

pytestmark = pytest.mark.slow
FAMILY = "linear"
LEVEL = 0.05
FOLDS = 5
FEATURES = 10


def sessions(people, each, labels, rng):
    """Return features without meaning, one example a session; ``labels`` (people, each)."""
    person = np.repeat([f"p{i:02d}" for i in range(people)], each)
    name = np.array([f"{p} {i % each}" for i, p in enumerate(person)])
    own = rng.normal(size=(people, FEATURES)).repeat(each, axis=0)
    varied = np.array([len(set(row)) > 1 for row in labels]).repeat(each)
    return Examples(
        x=own + rng.normal(size=(people * each, FEATURES)), y=labels.ravel(), subject=person,
        recording=name, unit=np.where(varied, name, person), within=False,
        order=np.zeros(people * each, int),
    )  # fmt: skip


def two_groups(people, each=1):
    return np.array(["control", "patient"])[np.arange(people) % 2][:, None].repeat(each, axis=1)


def folds_of(examples):
    """Yield training and test examples of folds that leave whole people out, classes balanced."""
    groups = dict(zip(examples.recording, examples.subject, strict=True))
    classes = dict(zip(examples.recording, examples.y, strict=True))
    for fold in splits.by_group(groups, FOLDS, classes):
        held = np.isin(examples.recording, [part.recording for part in fold.test])
        yield examples.take(~held), examples.take(held)


def guess(train, test, decoder):
    mean, scale = classify.standard(train.x)
    classes, x = np.unique(train.y), (train.x - mean) / scale
    if decoder == "lda":
        weights, bias = classify.lda(x, train.y, classes)
    else:
        weights, bias = next(classify.logistic_path(x, train.y, classes, [0.1]))
    return classes[np.argmax((test.x - mean) / scale @ weights + bias, axis=1)]


def pooled(examples, decoder, draws, rng):
    values, nulls = [], []
    for train, test in folds_of(examples):
        predicted = test.y if decoder == "perfect" else guess(train, test, decoder)
        drawn = null.classes_null(test, predicted, draws=draws, rng=rng)
        if len(drawn):
            values.append(metrics.balanced_accuracy(test.y, predicted))
            nulls.append(drawn)
    return pool_p(values, np.array(nulls))[0]


def most_allowed(runs):
    """Return the share of false alarms that a correct test exceeds once in 200."""
    return LEVEL + 2.58 * math.sqrt(LEVEL * (1 - LEVEL) / runs)


@pytest.mark.parametrize(("people", "limit"), [(12, 0.05), (35, 0.01)])
def test_perfect_decoding_is_above_chance(people, limit, criterion):
    rng = np.random.default_rng(people)
    p = pooled(sessions(people, 1, two_groups(people), rng), "perfect", 1000, rng)
    criterion(f"chance-power-{people}", f"p of perfect decoding of {people} people in 5 folds",
              f"at most {limit:g}", round(p, 4), p <= limit)  # fmt: skip


@pytest.mark.parametrize("decoder", ["lda", "logistic"])
@pytest.mark.parametrize(("people", "runs"), [(12, 300), (20, 300), (35, 1000)])
def test_features_without_meaning_are_not(people, runs, decoder, criterion):
    """The folds' decoders share people, so the test is a little too ready; see docs/linear.md."""
    found = []
    for seed in range(runs):
        rng = np.random.default_rng([people, seed])
        found.append(pooled(sessions(people, 1, two_groups(people), rng), decoder, 200, rng))
    share, strict = (float(np.mean(np.array(found) <= level)) for level in (LEVEL, 0.01))
    criterion(f"chance-{decoder}-{people}", f"share of {runs} with p <= 0.05, {people} people",
              f"at most {most_allowed(runs):.3f}", f"{share:.3f} ({strict:.3f} with p <= 0.01)",
              share <= most_allowed(runs), seeds=runs)  # fmt: skip


def test_sessions_of_one_person_are_not_taken_for_people(criterion):
    """People differ, have four sessions each, and one of them has both labels."""
    labels = two_groups(10, each=4)
    labels[0] = ["control", "patient", "control", "patient"]
    found = []
    for seed in range(300):
        rng = np.random.default_rng([4, seed])
        found.append(pooled(sessions(10, 4, labels, rng), "lda", 200, rng))
    share = float(np.mean(np.array(found) <= LEVEL))
    criterion("chance-sessions", "share of 300 with p <= 0.05, 10 people, 4 sessions each",
              f"at most {most_allowed(300):.3f}", round(share, 4), share <= most_allowed(300),
              seeds=300)  # fmt: skip


def test_smooth_labels_over_time_are_not_predicted_by_smooth_signals(criterion):
    """An AR(1) label beside an AR(1) feature that knows nothing of it, fitted on the first half."""
    found = []
    for seed in range(600):
        rng = np.random.default_rng([5, seed])
        memory, samples = rng.uniform(0.5, 0.99), int(rng.integers(400, 4000))
        x, y = scipy.signal.lfilter([1.0], [1.0, -memory], rng.normal(size=(2, samples)))
        half = samples // 2
        slope, centre = np.polyfit(x[:half], y[:half], 1)
        name = np.full(samples - half, "one")
        test = Examples(x[half:, None], y[half:], name, name, name, True, np.arange(samples - half))
        predicted, about = slope * test.x[:, 0] + centre, float(y[:half].mean())
        drawn = null.values_null(test, predicted, centre=about, draws=200, rng=rng)
        if len(drawn):
            value = metrics.r2(test.y, predicted, centre=about)
            found.append(metrics.permutation_p(value, drawn))
    share, runs = float(np.mean(np.array(found) <= LEVEL)), len(found)
    criterion("chance-values", f"share of {runs} with p <= 0.05, AR(1) label and feature",
              f"at most {most_allowed(runs):.3f}", round(share, 4), share <= most_allowed(runs),
              seeds=runs)  # fmt: skip

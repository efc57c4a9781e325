"""Decoders of vectors that a family made: one group is read, chosen by what is held out."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from rheobase.models.decoding import classify, vectors
from rheobase.models.decoding.examples import Examples


def test_the_one_group_of_features_that_predicts_is_read(rng):
    y = np.array(list("ab") * 30)
    names = np.array([f"s{i}" for i in range(60)])
    noise = rng.normal(size=(60, 40))
    told = np.where(y == "a", 1.0, -1.0)[:, None] + rng.normal(size=(60, 2))
    x = np.concatenate([noise[:, :30], told, noise[:, 30:]], axis=1)
    groups = {"wide": 30, "telling": 2, "other": 10}
    known = Examples(x, y, names, names, names, False, np.arange(60))
    found = vectors.fit_classes(known, features=groups, cs=(0.01, 0.1, 1.0, 10.0))
    assert found.features == "telling"
    assert np.flatnonzero(found.weights[:, 0] - found.weights[:, 1]).tolist() == [30, 31]
    values = replace(known, y=told[:, 0] + 0.1 * rng.normal(size=60))
    ridge = vectors.fit_values(values, features=groups, penalties=(0.1, 1.0, 10.0))
    assert ridge.features == "telling"
    assert np.flatnonzero(ridge.weights[:, 0]).tolist() == [30, 31]
    reads = vectors.answers(ridge, x)
    assert np.corrcoef(reads[:, 0], values.y.astype(float))[0, 1] > 0.5


def test_the_loss_of_held_out_examples_is_that_of_a_loop(rng):
    y = np.array(list("aab") * 12)
    x = rng.normal(size=(36, 3)) + (y == "a")[:, None]
    names = np.array([f"s{i}" for i in range(36)])
    known = Examples(x, y, names, names, names, False, np.arange(36))
    inner, classes = classify.folds(known, gap=0, stratify=True), np.array(["a", "b"])
    for balanced in (False, True):
        found = classify.logistic_loss(known, inner, classes, (0.1, 10.0), balanced=balanced)
        for place, c in enumerate((0.1, 10.0)):
            losses = []
            for learn, held in inner:
                mean, scale = x[learn].mean(axis=0), x[learn].std(axis=0)
                weight = "balanced" if balanced else None
                model = LogisticRegression(C=c, class_weight=weight)
                model.fit((x[learn] - mean) / scale, y[learn])
                told = model.predict_log_proba((x[held] - mean) / scale)
                losses += [(one, -told[i, int(one == "b")]) for i, one in enumerate(y[held])]
            each = [np.mean([loss for one, loss in losses if one == name]) for name in "ab"]
            wanted = np.mean(each) if balanced else np.mean([loss for _, loss in losses])
            assert found[place] == pytest.approx(wanted, rel=1e-2)

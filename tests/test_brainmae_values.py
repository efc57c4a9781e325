"""What is decoded by BrainMAE and its rivals, beside other libraries."""

import dataclasses
from itertools import combinations

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import balanced_accuracy_score, mean_absolute_error, r2_score, roc_auc_score

from rheobase.models import base
from rheobase.recording import Recording
from rheobase.storage import read_dataset, write_dataset

REGIONS, TRAINED = 12, 30
SMALL = {"width": 8, "segment_width": 8, "heads": 2, "steps": 30, "batch": 8, "check_every": 10,
         "learning_rate": 1e-2, "spatial_layers": 1, "encoder_layers": 1,
         "decoder_layers": 1}  # fmt: skip
MODES = ("", "_probe", "_scratch", "_encoder")
PRETRAINED = ("", "_probe")


def person(rng, number, tie, *, length=80, label=None, kind="class", **entities):
    """Return a recording whose first two regions are tied by ``tie``, the rest by one source."""
    x = rng.normal(size=(length, REGIONS))
    x[:, 1] += tie * x[:, 0]
    x[:, 3:] += rng.normal(size=(length, 1))
    told = {} if label is None else {
        "labels": {"what": label}, "label": {"name": "what", "kind": kind},
    }  # fmt: skip
    name = "_".join([f"sub-{number:02d}", *(f"{k}-{v}" for k, v in entities.items())])
    return Recording.build(
        7 + 3 * x, name=name, modality="fmri", sampling_rate_hz=0.2,
        entities={"subject": f"{number:02d}", **entities}, **told,
    )  # fmt: skip


def fitted(made, epochs, **changes):
    how = {"epochs": epochs, "permutations": 30, "inverse_penalties": [0.1, 1.0]}
    model = base.build("brainmae", params={**SMALL, "label_training": how, **changes})
    return model, model.fit(made[:TRAINED], seed=0, device="cpu"), made[TRAINED:]


def scored(model, fit, test):
    return {score.name: score for score in model.evaluate(fit, test)}


@pytest.fixture(scope="module")
def of_classes():
    """Return a fit to two groups, its test part and its scores; no epoch of training, for speed."""
    rng = np.random.default_rng(1)
    groups = [*"ab" * 15, *"aabababbabababaa"]
    made = [person(rng, i, 0.4 if g == "a" else -0.4, label=g) for i, g in enumerate(groups)]
    found = fitted(made, 0)
    return *found, scored(*found), made[:TRAINED]


@pytest.fixture(scope="module")
def of_values():
    """Return a fit to a value that ties two regions, its test part and its scores."""
    rng = np.random.default_rng(2)
    ages = rng.normal(50, 10, 44)
    made = [person(rng, i, (a - 50) / 10, label=float(a), kind="value")
            for i, a in enumerate(ages)]  # fmt: skip
    found = fitted(made, 2)
    return *found, scored(*found), made[:TRAINED]


def standard(recording):
    x = recording.signal.astype(np.float64)
    return (x - x.mean(axis=0)) / x.std(axis=0)


def links(recordings):
    """Return Fisher's z of every pair of regions, (recording, pair)."""
    made = [np.corrcoef(one.signal.astype(np.float64).T) for one in recordings]
    return np.arctanh([[r[i, j] for i, j in combinations(range(REGIONS), 2)] for r in made])


def apart(train, test):
    """Return features of both parts, standardised on the training part."""
    mean, scale = train.mean(axis=0), train.std(axis=0)
    return (train - mean) / scale, (test - mean) / scale


def tangents(train, test):
    from nilearn.connectome import ConnectivityMeasure

    space = ConnectivityMeasure(kind="tangent", vectorize=True, standardize=False)
    return space.fit_transform([standard(r) for r in train]), space.transform(
        [standard(r) for r in test]
    )


def labels_of(recordings):
    return np.array([one.label for one in recordings])


def test_classes_are_scored_as_scikit_learn_scores_them(of_classes):
    _, _, test, found, train = of_classes
    y, truth = labels_of(train), labels_of(test)
    for name, both in (
        ("fc_lr", (links(train), links(test))),
        ("tangent_lr", tangents(train, test)),
    ):
        inside, outside = apart(*both)
        known = LogisticRegression(C=0.01, tol=1e-8, max_iter=1000).fit(inside, y)
        wanted = balanced_accuracy_score(truth, known.predict(outside))
        area = roc_auc_score(truth == "b", known.decision_function(outside))
        assert 0.5 < area < 1
        for mode in MODES:
            assert found[f"decode{mode}_balanced_accuracy"].rivals[name] == pytest.approx(wanted)
            assert found[f"decode{mode}_auroc"].rivals[name] == pytest.approx(area)
    first = found["decode_balanced_accuracy"]
    assert first.rivals["majority_class"] == 0.5
    assert first.rivals["principal_states"] > 0.6
    assert all(found[f"decode{mode}_auroc"].value > 0.65 for mode in PRETRAINED)
    assert all(found[f"decode{mode}_auroc"].higher_is_better for mode in MODES)
    assert "2 classes, 16 recordings of 16 exchangeable units" in first.note


def test_chance_and_p_are_those_of_exchanged_labels(of_classes):
    first = of_classes[3]["decode_probe_balanced_accuracy"]
    assert len(first.null) == 30
    assert first.chance == pytest.approx(np.mean(first.null), abs=1e-5)
    assert first.p_value == pytest.approx(
        (1 + np.sum(np.array(first.null) > first.value - 1e-5)) / 31
    )


@pytest.mark.parametrize("what", ["balanced_accuracy", "auroc"])
def test_without_an_epoch_of_training_the_encoder_says_what_its_probe_says(of_classes, what):
    found = of_classes[3]
    assert found[f"decode_{what}"].value == pytest.approx(found[f"decode_probe_{what}"].value)
    assert found[f"decode_{what}"].rivals == found[f"decode_probe_{what}"].rivals


def test_a_value_is_decoded_beside_its_rivals(of_values):
    _, fit, test, found, train = of_values
    y, truth = labels_of(train), labels_of(test)
    assert list(found)[:8] == [f"decode{m}_{what}" for what in ("r2", "mae") for m in MODES]
    names = {"fc_lr", "tangent_lr", "meanmlp", "principal_states", "training_mean"}
    about = np.abs(truth - y.mean()).mean()
    for mode in MODES:
        r2, error = found[f"decode{mode}_r2"], found[f"decode{mode}_mae"]
        assert set(r2.rivals) == set(error.rivals) == names
        assert r2.higher_is_better
        assert not error.higher_is_better
        assert r2.rivals["training_mean"] == 0
        assert error.rivals["training_mean"] == pytest.approx(about)
        assert r2.note == "14 recordings"
        if mode in PRETRAINED:
            assert r2.value > 0.3
            assert error.value < 0.85 * about
            assert r2.p_value is not None
            assert r2.p_value < 0.05
        assert r2.rivals["meanmlp"] > 0.3
        assert r2.rivals["principal_states"] > 0.3
    assert "decode_auroc" not in found
    assert not any("not decoded" in notice for notice in fit.notices)


def test_values_are_scored_as_scikit_learn_scores_them(of_values):
    _, fit, test, found, train = of_values
    y, truth = labels_of(train), labels_of(test)
    for name, both in (
        ("fc_lr", (links(train), links(test))),
        ("tangent_lr", tangents(train, test)),
    ):
        inside, outside = apart(*both)
        penalty = float(fit.arrays[f"rival/{name}_penalty"])
        guess = Ridge(alpha=penalty).fit(inside, y).predict(outside)
        wanted = 1 - np.sum((truth - guess) ** 2) / np.sum((truth - y.mean()) ** 2)
        error = mean_absolute_error(truth, guess)
        assert abs(wanted - r2_score(truth, guess)) < 0.2
        assert found["decode_r2"].rivals[name] == pytest.approx(wanted, abs=1e-4)
        assert found["decode_mae"].rivals[name] == pytest.approx(error, abs=1e-3)
        r = np.corrcoef(truth, guess)[0, 1]
        assert found["decode_r"].rivals[name] == pytest.approx(r, abs=1e-4)


@pytest.mark.parametrize("which", ["of_classes", "of_values"])
def test_a_fit_that_was_saved_scores_the_same(which, request, tmp_path):
    model, fit, test, found, _ = request.getfixturevalue(which)
    write_dataset(fit.arrays, tmp_path / "arrays.nc")
    save_file(fit.weights, tmp_path / "weights.safetensors")
    again = dataclasses.replace(
        fit, arrays=read_dataset(tmp_path / "arrays.nc"),
        weights=load_file(tmp_path / "weights.safetensors"),
    )  # fmt: skip
    assert model.evaluate(again, test) == list(found.values())

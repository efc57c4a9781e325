import numpy as np
import pytest
from sklearn.linear_model import Ridge

from rheobase import rivals


def test_ridge_path_agrees_with_scikit_learn(rng):
    x, y = rng.normal(1, 2, (60, 5)), rng.normal(3, 1, (60, 2))
    path = list(rivals.ridge_path(rivals.Gram.of(x, y), [0.5, 20.0]))
    for (weights, bias), penalty in zip(path, [0.5, 20.0], strict=True):
        reference = Ridge(alpha=penalty).fit(x, y)
        assert weights == pytest.approx(reference.coef_.T, abs=1e-10)
        assert bias == pytest.approx(reference.intercept_, abs=1e-10)


def test_squared_error_from_sums_is_that_of_the_samples(rng):
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    weights, bias = rng.normal(size=(3, 2)), rng.normal(size=2)
    direct = np.sum((y - x @ weights - bias) ** 2)
    assert rivals.squared_error(rivals.Gram.of(x, y), weights, bias) == pytest.approx(direct)


def test_sums_of_parts_are_the_sums_of_the_whole(rng):
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    whole = rivals.Gram.of(x, y)
    joined = rivals.Gram.of(x[:15], y[:15]) + rivals.Gram.of(x[15:], y[15:])
    assert joined.xx == pytest.approx(whole.xx)
    assert (whole - joined).xy == pytest.approx(np.zeros((3, 2)), abs=1e-12)


def test_pair_sums_do_not_depend_on_the_chunk(rng, monkeypatch):
    signal = rng.normal(size=(100, 3))
    whole = rivals.pair_gram(signal, horizon=4, order=2)
    monkeypatch.setattr(rivals, "CHUNK", 7)
    chunked = rivals.pair_gram(signal, horizon=4, order=2)
    assert whole.n == chunked.n == 95
    assert chunked.xy == pytest.approx(whole.xy)


def test_lagged_features_put_the_present_first():
    signal = np.arange(8.0).reshape(4, 2)
    assert rivals.lagged(signal, 2).tolist() == [[2, 3, 0, 1], [4, 5, 2, 3], [6, 7, 4, 5]]


def test_penalty_is_chosen_by_held_out_error(rng):
    x = rng.normal(size=(400, 3))
    y = x @ np.array([[1.0], [2.0], [-1.0]]) + 0.1 * rng.normal(size=(400, 1))
    folds = [(rivals.Gram.of(x[:200], y[:200]), rivals.Gram.of(x[200:], y[200:]))]
    assert rivals.choose_penalty(folds, [1.0, 1e3, 1e5])[0] == 1.0
    noise = [(rivals.Gram.of(x[:30], rng.normal(size=(30, 1))), folds[0][1])]
    assert rivals.choose_penalty(noise, [1.0, 1e5])[0] == 1e5


def test_ar1_recovers_each_units_own_slope(rng):
    signal = np.zeros((20000, 2))
    for t in range(1, len(signal)):
        signal[t] = [0.9, -0.4] * signal[t - 1] + rng.normal(size=2)
    slope, intercept = rivals.ar1(rivals.pair_gram(signal, horizon=2))
    assert slope == pytest.approx([0.81, 0.16], abs=0.03)
    assert intercept == pytest.approx([0, 0], abs=0.06)


def test_ar1_of_a_constant_unit_is_its_mean():
    slope, intercept = rivals.ar1(rivals.pair_gram(np.full((10, 1), 5.0), horizon=1))
    assert slope.tolist() == [0]
    assert intercept == pytest.approx([5])


def test_persistence_lines_up_with_the_samples_ahead():
    signal = np.arange(5.0)[:, None]
    assert rivals.persistence(signal, horizon=2).ravel().tolist() == [0, 1, 2]


def test_nearest_mean_names_the_closest_class():
    classes = np.array(["left", "right"])
    y = np.array(["left", "left", "right"])
    means = rivals.class_means(np.array([[-1.0], [-3.0], [2.0]]), y, classes)
    assert means.ravel().tolist() == [-2, 2]
    found = rivals.nearest_mean(np.array([[-0.1], [0.1]]), means, classes)
    assert found.tolist() == ["left", "right"]

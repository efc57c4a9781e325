import numpy as np
import pytest

from rheobase import metrics


def test_predicting_the_centre_scores_zero_and_the_truth_one(rng):
    truth = rng.normal(3, 1, (50, 4))
    assert metrics.r2(truth, np.full_like(truth, 2.0), centre=2.0) == 0
    assert metrics.r2(truth, truth, centre=2.0) == 1


def test_r2_is_pooled_over_units():
    truth = np.array([[1.0, 10.0], [-1.0, -10.0]])
    guess = np.array([[0.0, 10.0], [0.0, -10.0]])
    assert metrics.r2(truth, guess) == pytest.approx(1 - 2 / 202)


def test_r2_of_a_truth_that_never_moves_is_undefined():
    assert np.isnan(metrics.r2(np.ones(5), np.zeros(5), centre=1.0))


def test_lag1_autocorrelation_of_an_alternating_signal_is_near_minus_one():
    signal = np.tile([[1.0, 5.0], [-1.0, 5.0]], (100, 1))
    assert metrics.lag1_autocorrelation(signal) == pytest.approx([-199 / 200, 0])


def test_correlation_agrees_with_numpy_and_constant_units_correlate_zero(rng):
    signal = rng.normal(size=(80, 5))
    assert metrics.correlation(signal) == pytest.approx(np.corrcoef(signal.T))
    signal[:, 2] = 7
    assert metrics.correlation(signal)[2].tolist() == [0, 0, 1, 0, 0]


def test_edges_and_matrix_are_inverse_to_each_other(rng):
    matrix = metrics.correlation(rng.normal(size=(30, 6)))
    assert metrics.from_edges(metrics.edges(matrix), 6) == pytest.approx(matrix)


def test_fisher_z_stays_finite_at_perfect_correlation():
    assert np.isfinite(metrics.fisher_z(np.array([-1.0, 1.0]))).all()
    assert metrics.fisher_z(np.array([0.5])) == pytest.approx(np.arctanh(0.5))


def _logpdf(x, covariance):
    distance = x @ np.linalg.inv(covariance) @ x
    return -0.5 * (np.log(np.linalg.det(2 * np.pi * covariance)) + distance)


def test_gaussian_loglik_agrees_with_the_density(rng):
    covariance = metrics.correlation(rng.normal(size=(40, 3)))
    signal = rng.normal(size=(25, 3))
    expected = np.mean([_logpdf(x, covariance) for x in signal]) / 3
    assert metrics.gaussian_loglik(signal, covariance) == pytest.approx(expected)


def test_gaussian_loglik_refuses_a_singular_covariance():
    with pytest.raises(ValueError, match="2 units is not positive definite"):
        metrics.gaussian_loglik(np.zeros((3, 2)), np.ones((2, 2)))


def test_identification_counts_both_directions():
    first = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0]])
    second = np.array([[1.0, 0.1, 0, 0], [0.9, 0.3, 0, 0]])
    assert metrics.identification(first, first) == (1.0, 1.0)
    assert metrics.identification(first, second) == (1.0, 0.5)


def test_macro_f1_is_the_mean_over_classes_and_counts_what_is_never_found():
    truth = np.array(["a", "a", "a", "b"])
    assert metrics.macro_f1(truth, truth) == 1
    assert metrics.macro_f1(truth, np.array(["a", "a", "b", "b"])) == pytest.approx(
        (2 * (2 / 3) / (5 / 3) + 2 / 3) / 2
    )
    assert metrics.macro_f1(truth, np.full(4, "a")) == pytest.approx((6 / 7 + 0) / 2)


def test_balanced_accuracy_weighs_classes_alike():
    truth = np.array(["a"] * 8 + ["b"] * 2)
    assert metrics.balanced_accuracy(truth, np.full(10, "a")) == 0.5
    assert metrics.balanced_accuracy(truth, truth) == 1


def test_confusion_keeps_the_order_of_classes():
    truth, guess = np.array(["b", "a", "b"]), np.array(["b", "b", "a"])
    counts = metrics.confusion(truth, guess, np.array(["b", "a"]))
    assert counts.tolist() == [[1, 1], [1, 0]]


def test_permutation_p_counts_the_observed_value_in():
    assert metrics.permutation_p(1.0, np.zeros(99)) == 0.01
    assert metrics.permutation_p(0.0, np.zeros(99)) == 1

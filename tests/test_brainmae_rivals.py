"""Rivals that fill in hidden regions, and whether what is filled in moves together as it should."""

import numpy as np
import pytest

from rheobase.models.brainmae import fidelity, reconstruct, ridge
from rheobase.models.brainmae.segments import Run

SAMPLES = 5


def run(signal, name="r", subject=None):
    signal = (signal - signal.mean(axis=0)) / signal.std(axis=0)
    valid = np.ones(len(signal), bool)
    return Run(name, subject or name, signal.astype(np.float32), valid, 0.0)


def mixed(rng, length=200, regions=9, sources=3, noise=0.3, **named):
    return run(rng.normal(size=(length, sources)) @ np.random.default_rng(1).normal(
        size=(sources, regions)) + noise * rng.normal(size=(length, regions)), **named)  # fmt: skip


def test_both_ways_to_condition_a_gaussian_are_the_same(rng):
    mixing = rng.normal(size=(7, 7))
    covariance = mixing @ mixing.T
    given = reconstruct.Conditional(covariance, 0.5)
    for hidden in (2, 5):
        away = np.sort(rng.choice(7, hidden, replace=False))
        seen = np.setdiff1d(np.arange(7), away)
        inside = covariance[np.ix_(seen, seen)] + 0.5 * np.eye(len(seen))
        wanted = covariance[np.ix_(away, seen)] @ np.linalg.inv(inside)
        np.testing.assert_allclose(given.weights(seen, away), wanted, atol=1e-9)
        np.testing.assert_allclose(given.weights(seen, away, slice(1, 2)), wanted[1:2], atol=1e-9)


def test_three_frames_equal_a_gaussian_over_all_that_is_seen(rng):
    one = mixed(rng, length=40)
    lagged = reconstruct.covariances([one])
    (hidden,) = reconstruct.hidden_sets([one], SAMPLES, 0.5)
    made = reconstruct.gaussian_3(one, hidden, samples=SAMPLES, covariance=lagged)
    seen, away = np.flatnonzero(~hidden[2]), np.flatnonzero(hidden[2])
    columns = np.concatenate([lag * 9 + seen for lag in range(3)])
    inside = lagged[np.ix_(columns, columns)] + reconstruct.NOISE * np.eye(len(columns))
    weights = lagged[np.ix_(9 + away, columns)] @ np.linalg.inv(inside)
    frame = 2 * SAMPLES + 3
    x = one.signal[frame - 1 : frame + 2][:, seen].astype(float).ravel()
    np.testing.assert_allclose(made[frame, away], weights @ x, atol=1e-6)


def test_a_small_penalty_is_chosen_where_regions_are_tied_and_a_large_one_where_they_are_not(rng):
    tied = [mixed(rng, noise=0.05, name=f"r{i}") for i in range(4)]
    loose = [run(rng.normal(size=(40, 9)), name=f"r{i}") for i in range(4)]
    assert ridge.penalty(tied, SAMPLES) <= 0.1
    assert ridge.penalty(loose, SAMPLES) >= 1


def test_the_penalty_is_chosen_on_whole_people_left_out(rng):
    signals = [rng.normal(size=(40, 20)) for _ in range(4)]
    twice = [run(x, name=f"r{i}{again}", subject=f"s{i}") for i, x in enumerate(signals)
             for again in "ab"]  # fmt: skip
    alone = [run(x.signal, name=x.name) for x in twice]
    assert ridge.penalty(twice, SAMPLES) == max(ridge.PENALTIES)
    assert ridge.penalty(alone, SAMPLES) < max(ridge.PENALTIES)


def test_with_two_recordings_nothing_can_be_left_out(rng):
    few = [run(rng.normal(size=(40, 9)), name=f"r{i}") for i in range(2)]
    assert ridge.penalty(few, SAMPLES) == min(ridge.PENALTIES)


def test_moments_equal_a_loop(rng):
    signal, counted = rng.normal(size=(50, 6)), rng.random((50, 6)) < 0.7
    threes = fidelity.triplets(6)
    assert len(threes) == 20
    moments = fidelity.Moments(6, threes)
    moments.add(signal[:20], counted[:20])
    moments.add(signal[20:], counted[20:])
    found = moments.found()
    pairs = [(i, j) for i in range(6) for j in range(i + 1, 6)]
    for order, sets in ((2, pairs), (3, [tuple(t) for t in threes])):
        for value, one in zip(found[order], sets, strict=True):
            x = signal[counted[:, list(one)].all(axis=1)][:, list(one)]
            size = np.sqrt((x**2).mean(axis=0).prod())
            assert value == pytest.approx(x.prod(axis=1).mean() / size)


def test_triplets_are_the_same_at_every_call_and_hold_three_regions():
    found = fidelity.triplets(40)
    np.testing.assert_array_equal(found, fidelity.triplets(40))
    assert found.shape == (fidelity.TRIPLETS, 3)
    assert len({tuple(row) for row in found}) == fidelity.TRIPLETS
    assert np.all(np.diff(found, axis=1) > 0)


def test_the_truth_agrees_in_all_orders_and_its_reverse_in_pairs_alone(rng):
    two = [mixed(rng, name=name) for name in "ab"]
    known = fidelity.of_runs([mixed(rng)])
    fills = {
        "brainmae": lambda run, hidden: run.signal[: len(hidden) * SAMPLES].astype(float),
        "pca": lambda run, hidden: -run.signal[: len(hidden) * SAMPLES].astype(float),
    }
    made = fidelity.measure(fills, two, SAMPLES, known)
    assert made.recordings == ["a", "b"]
    for order in (2, 3):
        np.testing.assert_allclose(made.agreement[order, "brainmae"], 1)
        np.testing.assert_allclose(made.own[order, "brainmae"], 1)
    np.testing.assert_allclose(made.agreement[2, "pca"], 1)
    np.testing.assert_allclose(made.agreement[3, "pca"], -1)
    assert made.mean(2, fidelity.AVERAGE) > 0.9
    assert made.tallies["brainmae"].r2 == pytest.approx(1)


def test_what_the_average_says_is_taken_out_of_the_own_part(rng):
    average = rng.normal(size=100)
    rest = fidelity.without(3 + 2 * average, average)
    np.testing.assert_allclose(rest, 0, atol=1e-9)
    own = rng.normal(size=100)
    left = fidelity.without(average + own, average)
    assert fidelity.correlation(left, own) > 0.95

"""Readouts, their scores, and estimators with the face of scikit-learn."""

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.utils.estimator_checks import check_estimator

from rheobase.models.reservoir import readout, scores
from rheobase.models.reservoir.batched import BatchedReservoir
from rheobase.models.reservoir.closed_loop import generate
from rheobase.models.reservoir.estimators import ReservoirClassifier, ReservoirRegressor
from rheobase.models.reservoir.settings import Adapt, Network
from rheobase.models.reservoir.windows import Windows
from rheobase.rivals import Gram

SMALL: dict[str, Any] = {"n_units": 40, "degree": 10}
BY_NATURE = "a prediction depends on the samples before it"
EXPECTED = {
    "check_methods_sample_order_invariance": BY_NATURE,
    "check_methods_subset_invariance": BY_NATURE,
    "check_fit1d": "signals (time,) are taken",
    "check_fit2d_predict1d": "signals (time,) are taken",
    "check_supervised_y_2d": "y (time, 1) is answered by (time, 1)",
}


def engine(settings=3, seeds=(0, 1), *, channels=1, dtype=torch.float32):
    networks = [Network(**SMALL, balance=-0.1 * i) for i in range(settings)]
    return BatchedReservoir(networks, seeds, channels=channels, dtype=dtype)


def signals(rng, *lengths):
    return [rng.normal(size=(length, 1)) for length in lengths]


@pytest.mark.parametrize(("settings", "by_torch"), [(3, False), (20, False), (3, True)])
def test_streamed_sums_are_those_of_all_states(settings, by_torch, rng):
    many, inputs = engine(settings), signals(rng, 600, 333)
    targets = [rng.normal(size=(len(u), 2)) for u in inputs]
    labels = [rng.integers(-1, 2, len(u)) for u in inputs]
    sums = readout.GramAccumulator(targets, labels=labels)
    sums.by_torch = by_torch
    many.run(inputs, sink=sums, washout=50)
    states = many.states(inputs)
    for seed, setting, label in [(0, 0, 0), (1, settings - 1, 1)]:
        rows = [np.flatnonzero(own[50:] == label) + 50 for own in labels]
        x = np.concatenate([states[seed, setting, r, at] for r, at in enumerate(rows)])
        y = np.concatenate([target[at] for target, at in zip(targets, rows, strict=True)])
        slow, found = Gram.of(x, y), sums.gram(seed, setting, label)
        for name in ("n", "x", "y", "xx", "xy", "yy"):
            np.testing.assert_allclose(getattr(found, name), getattr(slow, name), rtol=1e-9,
                                       atol=1e-8, err_msg=name)  # fmt: skip


def test_sums_of_parts_add_up_to_those_of_the_whole(rng):
    inputs = signals(rng, 200, 150)
    targets = [rng.normal(size=len(u)) for u in inputs]

    def made(parts):
        sums = readout.GramAccumulator([targets[i] for i in parts])
        engine(1, (0,)).run([inputs[i] for i in parts], sink=sums)
        return sums.gram(0, 0)

    both, added = made([0, 1]), made([0]) + made([1])
    np.testing.assert_allclose(added.xx, both.xx, rtol=1e-5)
    np.testing.assert_allclose(added.xy, both.xy, rtol=1e-4, atol=1e-4)


def test_more_features_are_squares_and_inputs(rng):
    inputs = signals(rng, 120)
    sums = readout.GramAccumulator([np.zeros(120)], squares=True, inputs=inputs)
    one = engine(1, (0,))
    one.run(inputs, sink=sums)
    x = one.states(inputs)[0, 0, 0].astype(float)
    slow = Gram.of(np.hstack([x, x**2, inputs[0]]), np.zeros((120, 1)))
    np.testing.assert_allclose(sums.gram(0, 0).xx, slow.xx, rtol=1e-9, atol=1e-9)


def test_readout_is_the_least_squares_solution(rng):
    x, y = rng.normal(size=(200, 10)) + 3, rng.normal(size=(200, 2))
    weights, bias = next(readout.readouts(Gram.of(x, y), [0.0]))
    exact = np.linalg.lstsq(np.hstack([x, np.ones((200, 1))]), y, rcond=None)[0]
    np.testing.assert_allclose(weights, exact[:-1], atol=1e-10)
    np.testing.assert_allclose(bias, exact[-1], atol=1e-9)


def test_penalty_is_relative_to_the_mean_variance_of_a_feature(rng):
    x, y = rng.normal(size=(200, 10)) * np.arange(1, 11) + 3, rng.normal(size=(200, 2))
    alphas = [1e-3, 0.5]
    for alpha, (weights, bias) in zip(alphas, readout.readouts(Gram.of(x, y), alphas), strict=True):
        ridge = Ridge(alpha=alpha * 200 * x.var(axis=0).mean()).fit(x, y)
        np.testing.assert_allclose(weights.T, ridge.coef_, atol=1e-10)
        np.testing.assert_allclose(bias, ridge.intercept_, atol=1e-10)


def test_a_penalty_at_the_edge_is_told():
    assert "try lower alphas" in readout.at_edge(1e-9, [1e-9, 1e-7])
    assert "try higher alphas" in readout.at_edge(1e-7, [1e-9, 1e-7])
    assert readout.at_edge(1e-8, [1e-9, 1e-8, 1e-7]) == ""


def test_scores_from_sums_are_those_from_arrays(rng):
    x, y = rng.normal(size=(300, 5)), rng.normal(size=(300, 3)) + 2
    y[:, 0] += x[:, 0]
    weights, bias = rng.normal(size=(5, 3)), rng.normal(size=3)
    gram, told = Gram.of(x, y), x @ weights + bias
    errors = scores.nrmse_of(gram, weights, bias)
    assert errors.mean() == pytest.approx(scores.nrmse(y, told))
    slow = [np.corrcoef(y[:, k], told[:, k])[0, 1] ** 2 for k in range(3)]
    np.testing.assert_allclose(scores.determination(gram, weights, bias), slow, atol=1e-12)
    assert scores.memory_capacity(gram, weights, bias) == pytest.approx(sum(slow))


def test_a_delay_line_remembers_its_own_length(rng):
    """N taps without a network recall N delays, and others only by chance."""
    taps, delays, length = 12, 40, 3000
    u = rng.uniform(-1, 1, length + delays)
    x = np.stack([u[delays - k : delays - k + length] for k in range(1, taps + 1)], axis=1)
    y = np.stack([u[delays - k : delays - k + length] for k in range(1, delays + 1)], axis=1)
    train, test = Gram.of(x[:2000], y[:2000]), Gram.of(x[2000:], y[2000:])
    fit = next(readout.readouts(train, [1e-9]))
    assert scores.memory_capacity(test, *fit) == pytest.approx(taps, abs=0.1)
    assert scores.chance_memory(test) == pytest.approx(40 / 1000)
    assert scores.too_few_delays(scores.determination(test, *fit)) == ""


def test_a_memory_that_goes_on_behind_the_last_delay_is_told():
    assert "the 3 delays asked for" in scores.too_few_delays(np.array([1.0, 0.9, 0.3]))


def test_valid_steps_count_until_the_distance_passes_the_limit():
    truth = np.zeros((10, 2))
    told = truth.copy()
    told[6] = 0.41
    assert scores.valid_steps(truth, told) == 6
    assert scores.valid_steps(truth, truth) == 10
    told[3] = np.nan
    assert scores.valid_steps(truth, told) == 3
    assert scores.lyapunov_times(55.2) == pytest.approx(1, abs=1e-3)


def test_too_many_sums_are_refused_before_they_are_made():
    sums = readout.GramAccumulator([np.zeros(10)], memory_limit_gb=1e-6)
    with pytest.raises(ValueError, match="run fewer at once"):
        engine().run(np.zeros((10, 1)), sink=sums)


def test_an_unknown_target_is_refused():
    with pytest.raises(ValueError, match="target of recording 1 holds NaN"):
        readout.GramAccumulator([np.zeros(5), np.array([0, np.nan])])


def test_predictions_are_states_times_weights(rng):
    many, inputs = engine(), signals(rng, 300, 80)
    weights, bias = rng.normal(size=(2, 3, 40, 2)), rng.normal(size=(2, 3, 2))
    told = readout.Predictions(weights, bias)
    many.run(inputs, sink=told, washout=10)
    slow = np.einsum("smrtn,smnk->smrtk", many.states(inputs), weights) + bias[:, :, None, None]
    np.testing.assert_allclose(told.values[..., 10:, :], slow[..., 10:, :], atol=1e-4)
    assert np.isnan(told.values[..., :10, :]).all()


def test_windows_give_means_ends_and_deviations(rng):
    many, inputs = engine(20), signals(rng, 600, 300)
    kept = Windows([[(60, 400), (390, 600)], [(100, 101)]])
    many.run(inputs, sink=kept, washout=50)
    states = many.states(inputs)
    found = kept.of(1, 7, ("mean", "end", "deviation"))
    for row, (start, stop, r) in enumerate([(60, 400, 0), (390, 600, 0), (100, 101, 1)]):
        own = states[1, 7, r, start:stop].astype(float)
        slow = np.concatenate([own.mean(axis=0), own[-1], own.std(axis=0)])
        np.testing.assert_allclose(found[row], slow, atol=1e-6)


def test_a_closed_loop_feeds_forecasts_back(rng):
    networks = [Network(**SMALL, leak=0.3), Network(**SMALL, leak=0.1, gain=5)]
    many = BatchedReservoir(networks, [0, 1], channels=2, dtype=torch.float64)
    u = rng.normal(size=(100, 2))
    many.states(u)
    start = many.state
    assert start is not None
    weights, bias = rng.normal(size=(2, 2, 40, 2)), rng.normal(size=(2, 2, 2))
    made = generate(many, weights, bias, start=start, steps=5)
    for s in range(2):
        for m in range(2):
            one = BatchedReservoir([networks[m]], [s], channels=2, dtype=torch.float64)
            driven = u
            for step in range(5):
                last = one.states(driven)[0, 0, 0, -1]
                forecast = last @ weights[s, m] + bias[s, m]
                np.testing.assert_allclose(made[step, s, m, 0], forecast, atol=1e-9)
                driven = np.vstack([driven, forecast])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize("kind", [ReservoirRegressor, ReservoirClassifier])
def test_estimators_pass_the_checks_of_scikit_learn(kind):
    own = kind(**SMALL, washout=0, frac_input=1.0, input_scale=1.0, adapt=None)
    check_estimator(own, expected_failed_checks=EXPECTED, on_skip=None)


def delayed(rng, *lengths):
    """Return inputs, and what they were three samples before."""
    inputs = signals(rng, *lengths)
    return inputs, [np.roll(u, 3, axis=0)[:, 0] * (np.arange(len(u)) >= 3) for u in inputs]


def test_a_regressor_recalls_the_past_in_recordings_it_has_not_seen(rng):
    inputs, targets = delayed(rng, *[300] * 6)
    regressor = ReservoirRegressor(n_units=100, input_scale=0.1)
    found = cross_val_score(regressor, inputs, targets, groups=[0, 0, 1, 1, 2, 2],
                            cv=GroupKFold(3))  # fmt: skip
    assert found.min() > 0.95


def test_a_clone_fits_to_the_same_bits_and_a_pickle_predicts_them(rng):
    inputs, targets = delayed(rng, 400)
    first: Any = ReservoirRegressor(**SMALL, adapt=Adapt()).fit(inputs[0][:, 0], targets[0])
    again: Any = clone(first)
    again.fit(inputs[0][:, 0], targets[0])
    told = first.predict(inputs[0])
    assert told.shape == (400,)
    np.testing.assert_array_equal(again.predict(inputs[0]), told)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(first)).predict(inputs[0]), told)
    other: Any = clone(first)
    other.set_params(seed=1).fit(inputs[0], targets[0])
    assert not np.array_equal(other.predict(inputs[0]), told)


def test_the_future_does_not_reach_predictions(rng):
    inputs, targets = delayed(rng, 500)
    regressor = ReservoirRegressor(**SMALL).fit(inputs[0], targets[0])
    other = inputs[0].copy()
    other[300:] = rng.normal(size=(200, 1))
    before, after = regressor.predict(inputs[0]), regressor.predict(other)
    np.testing.assert_array_equal(before[:300], after[:300])
    assert not np.array_equal(before[300:], after[300:])


def test_washout_is_neither_learnt_from_nor_scored(rng):
    inputs, targets = delayed(rng, 500)
    spoiled = targets[0].copy()
    spoiled[:60] = 1e6
    plain, other = (ReservoirRegressor(**SMALL, gain=4.0, washout=60).fit(inputs[0], y)
                    for y in (targets[0], spoiled))  # fmt: skip
    np.testing.assert_array_equal(plain.coef_, other.coef_)
    assert plain.score(inputs[0], spoiled) == plain.score(inputs[0], targets[0]) > 0.5


def test_a_classifier_tells_recordings_by_their_rhythm(rng):
    at, classes = np.arange(150), np.array(["slow", "fast"] * 40)
    inputs = [np.sin(at * (0.2 if c == "slow" else 0.5) + rng.uniform(0, 6))
              + 0.3 * rng.normal(size=150) for c in classes]  # fmt: skip
    classifier = ReservoirClassifier(n_units=100).fit(inputs[:60], classes[:60])
    assert np.mean(classifier.predict(inputs[60:]) == classes[60:]) >= 0.9


def test_a_classifier_tells_every_sample(rng):
    """A single sample tells it in 69 % of cases; the past tells more."""
    state = (np.arange(1200) // 100) % 2
    x = rng.normal(size=(1200, 1)) + state[:, None]
    classifier = ReservoirClassifier(n_units=100).fit(x[:800], state[:800])
    assert np.mean(classifier.predict(x[800:]) == state[800:]) > 0.8


@pytest.mark.parametrize(
    ("inputs", "targets", "said"),
    [
        ([np.zeros((30, 1)), np.zeros((90, 1))], [np.zeros(30), np.zeros(90)],
         "recording 0 has 30 samples and the first 50 are washout"),
        ([np.ones((90, 1))], [np.zeros(80)], "recording 0 has 90 samples and 80 targets"),
        ([np.ones((90, 1))], [np.zeros(90)], "too few to choose the penalty"),
    ],
)  # fmt: skip
def test_recordings_that_cannot_be_learnt_are_named(inputs, targets, said):
    with pytest.raises(ValueError, match=said):
        ReservoirRegressor(**SMALL).fit(inputs, targets)

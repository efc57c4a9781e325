"""Benchmark signals are exact; protocol, rivals, search and diagnosis are honest."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from rheobase.io.synthetic import dynamics
from rheobase.models.reservoir import folds, protocol, scores, tasks
from rheobase.models.reservoir.adaptation import adapt
from rheobase.models.reservoir.batched import BatchedReservoir
from rheobase.models.reservoir.diagnose import (
    common_rate,
    diagnose,
    lowest_stable_rate,
    onset_balance,
    stability,
)
from rheobase.models.reservoir.echo import BatchedEcho, EchoNetwork
from rheobase.models.reservoir.search import KINDS, SPACE, Trial, compare, draw, errors_of, search
from rheobase.models.reservoir.settings import ITERATIVE, Adapt, Network, Target

SMALL: dict[str, Any] = {"n_units": 100, "degree": 50}
ALPHAS = (1e-7, 1e-4, 1e-1)


def test_narma_sums_ten_terms_and_looks_nine_samples_back(rng):
    u = rng.uniform(0, 0.5, 40)
    y = [0.0] * 10
    for t in range(9, 30):
        total = 0.0
        for i in range(10):
            total += y[t - i]
        y.append(0.3 * y[t] + 0.05 * y[t] * total + 1.5 * u[t - 9] * u[t] + 0.1)
    np.testing.assert_allclose(tasks.narma_series(u)[: len(y)], y, atol=1e-15)


def test_narma_pairs_each_input_with_the_next_value():
    task = tasks.narma10(seed=0, length=50)
    u = np.random.default_rng(1000).uniform(0, 0.5, 70)
    y = tasks.narma_series(u)
    np.testing.assert_array_equal(task.inputs[:, 0], 4 * (u[20:] - 0.25))
    np.testing.assert_array_equal(task.targets[:, 0], y[21:])
    assert task.inputs.shape == task.targets.shape == (50, 1)


def test_a_narma_series_that_diverges_is_drawn_again(monkeypatch):
    monkeypatch.setattr(dynamics, "DIVERGED", 0.65)
    task = tasks.narma10(seed=0, length=100)
    assert task.seed >= dynamics.OTHER_SEED
    assert task.targets.max() <= 0.65


def test_a_narma_series_that_runs_away_is_no_error():
    """That of seed 150 overflows; another is drawn without a warning."""
    task = tasks.narma10(seed=150, length=1000)
    assert task.seed == 150 + dynamics.OTHER_SEED
    assert np.abs(task.targets).max() <= dynamics.DIVERGED


def test_memory_is_asked_for_by_delay():
    task = tasks.memory_capacity(seed=3, length=30, delays=5)
    for k in range(1, 6):
        np.testing.assert_array_equal(task.targets[k:, k - 1], task.inputs[:-k, 0])
    assert np.abs(task.inputs).max() <= 1


def test_mackey_glass_agrees_with_half_the_step():
    coarse = tasks.mackey_glass_series(50, start=1.2, burn_in=0)
    fine = tasks.mackey_glass_series(50, start=1.2, burn_in=0, step=0.05)
    assert np.abs(coarse - fine).max() < 1e-4
    assert coarse[0] == 1.2
    assert np.ptp(coarse) > 0.3


def test_mackey_glass_decays_before_its_delay_passes():
    """While the delayed value is constant the equation is linear: an exact solution."""
    x = tasks.mackey_glass_series(17, start=1.2, burn_in=0)
    rest = 2.0 * 1.2 / (1 + 1.2**10)
    exact = rest + (1.2 - rest) * np.exp(-0.1 * np.arange(17))
    np.testing.assert_allclose(x, exact, atol=1e-8)


def test_lorenz_follows_its_equations():
    start = np.array([1.0, 2.0, 20.0])
    x = tasks.lorenz_series(50, start=start, burn_in=0)

    def flow(_, s):
        return 10 * (s[1] - s[0]), s[0] * (28 - s[2]) - s[1], s[0] * s[1] - 8 / 3 * s[2]

    exact = solve_ivp(flow, (0, 1), start, t_eval=np.arange(1, 51) * 0.02, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(x, exact.y.T, atol=5e-3)


def test_forecasts_are_paired_with_the_samples_ahead():
    task = tasks.lorenz(seed=0, length=60, horizons=(1, 10), channels=3)
    np.testing.assert_array_equal(task.targets[:50, 3:], task.inputs[10:])
    np.testing.assert_array_equal(task.targets[:-1, :3], task.inputs[1:])
    scaled = tasks.standardised(task, slice(0, 40))
    np.testing.assert_allclose(scaled.inputs[:40].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.inputs[:40].std(axis=0), 1, atol=1e-12)
    np.testing.assert_array_equal(scaled.targets[:50, 3:], scaled.inputs[10:])


def test_mean_field_values_of_the_derivation():
    assert lowest_stable_rate() == pytest.approx(0.2178, abs=5e-5)
    assert onset_balance(gain=10) == pytest.approx(-0.59, abs=0.005)
    assert stability(0.5) == 0
    rate = common_rate(-0.3, gain=10)
    assert rate == pytest.approx(1 / (1 + np.exp(3 * rate)), abs=1e-10)
    beta = np.log(rate / (1 - rate)) / 10 / rate
    assert 10 * rate * (1 - rate) * beta == pytest.approx(stability(rate), abs=1e-9)


def test_diagnosis_agrees_with_the_states(rng):
    networks = [Network(**SMALL, balance=b) for b in (0.0, -0.3)]
    many = BatchedReservoir(networks, [0, 1], channels=1, dtype=torch.float64)
    inputs = [rng.uniform(-1, 1, 400), rng.uniform(-1, 1, 150)]
    found = diagnose(many, inputs, washout=50, radius=True)
    states = many.states(inputs)
    for s, m in [(0, 0), (1, 1)]:
        own = [states[s, m, 0, 50:400], states[s, m, 1, 50:150]]
        flat = np.concatenate(own)
        rates = flat.mean(axis=0)
        assert found.mean_rate[s, m] == pytest.approx(rates.mean())
        assert found.spread[s, m] == pytest.approx(rates.std())
        shares = [np.histogram(x, 20, (0, 1))[0] / len(x) for x in flat.T]
        bits = [-(p[p > 0] * np.log2(p[p > 0])).sum() for p in shares]
        assert found.entropy[s, m] == pytest.approx(np.mean(bits))
        sign = (-1.0) ** np.arange(50)
        flips = [abs(np.mean(sign * (w - w.mean()))) for part in own
                 for w in np.split(part.mean(axis=1), len(part) // 50)]  # fmt: skip
        assert found.oscillation[s, m] == pytest.approx(np.mean(flips))
        assert found.balance[s, m] == pytest.approx(networks[m].balance)
        correlation = np.corrcoef(flat.T)[np.triu_indices(100, 1)].mean()
        assert found.correlation[s, m] == pytest.approx(correlation, abs=0.1)
        assert 0.5 < found.radius[s, m] < 1.2


def test_an_oscillation_is_found_and_told(rng):
    """A12 in small: over-inhibited and in-degree fixed, all units flip at every step."""
    networks = [Network(n_units=200, topology="fixed", balance=b, input_scale=0.05)
                for b in (0.0, -1.0)]  # fmt: skip
    found = diagnose(BatchedReservoir(networks, [0], channels=1), rng.uniform(-1, 1, 500))
    assert found.oscillation[0, 0] < 0.02
    assert found.oscillation[0, 1] > 0.05
    assert found.slope[0, 1] < -1 < found.slope[0, 0]
    (said,) = found.warnings(["balanced", "over-inhibited"])
    assert "over-inhibited: all units flip" in said


def test_rates_far_from_their_targets_are_told(rng):
    many = BatchedReservoir([Network(**SMALL, input_scale=0.05)], [0], channels=1)
    found = diagnose(many, rng.uniform(-1, 1, 200), targets=np.full((1, 100, 1), 0.3))
    assert "from their targets" in found.warnings()[0]


def test_a_diagnosis_needs_one_window():
    with pytest.raises(ValueError, match="needs 50 samples after 50 of washout"):
        diagnose(BatchedReservoir([Network(**SMALL)], [0], channels=1), np.zeros(60))


def test_adaptation_remembers_more_than_any_balance():
    """A4 to A6 in small: two seeds of 200 units."""
    way = Adapt(method="iterative", target=Target("homogeneous", 0.5), schedule=ITERATIVE)
    balances = (0.5, 0.0, -0.25, -0.5, -1.0)
    networks = [Network(n_units=200, input_scale=0.05, balance=b) for b in (*balances, 0.0)]
    found = protocol.reservoirs(networks, [None] * 5 + [way], tasks.memory_capacity, seeds=(0, 1),
                                judge=scores.determination)  # fmt: skip
    memory = found.total.mean(axis=0)
    assert memory[1:5].max() > 2.5 * memory[0]
    assert memory[5] > 1.3 * memory[:5].max()


def test_a_tapped_delay_of_enough_taps_knows_all_of_a_linear_past():
    def make(*, seed):
        return tasks.memory_capacity(seed=seed, delays=15)

    found = protocol.tapped_delay(make, (5, 20), seeds=(0,), judge=scores.determination)
    assert found.total[0, 1] == pytest.approx(15, abs=0.01)
    assert found.total[0, 0] < 5
    assert protocol.best(found, scores.determination).sum() == found.total[0, 1]


def test_an_echo_state_network_follows_its_equation(rng):
    networks = [EchoNetwork(30, 10, 0.9, 1.0, 0.5), EchoNetwork(30, 10, 0.5, 0.3, 1.0, bias=0.4)]
    many = BatchedEcho(networks, [4], channels=2, dtype=torch.float64)
    u = rng.normal(size=(50, 2))
    states = many.states(u)
    whole = many.weights[0].toarray()
    assert np.abs(np.linalg.eigvals(whole[:, :30])).max() == pytest.approx(1)
    assert 0.5 < np.abs(many.biases).max() < 1
    for m, one in enumerate(networks):
        x = np.zeros(30)
        for t in range(50):
            drive = one.radius * whole[:, :30] @ x
            drive += one.input_scale / np.sqrt(2) * whole[:, 30:] @ u[t]
            drive += one.bias * many.biases[0]
            x = (1 - one.leak) * x + one.leak * np.tanh(drive)
            np.testing.assert_allclose(states[0, m, 0, t], x, atol=1e-12)


def test_groups_are_never_split():
    made = folds.splits([100] * 6, list("aabbcc"), folds=3, gap=20, least=10)
    assert len(made) == 3
    for split in made:
        train, held = ({"aabbcc"[p.recording] for p in side} for side in (split.train, split.held))
        assert not train & held
        assert train | held == set("abc")


def test_blocks_of_time_are_forecast_from_the_past_across_a_gap():
    made = folds.splits([400], ["a"], folds=3, gap=20, least=10)
    for split in made:
        (train,), (held,) = split.train, split.held
        assert train.start == 0
        assert held.start == train.stop + 20
        assert held.stop > held.start
    with pytest.raises(ValueError, match="inner folds with a gap of 90 leave parts shorter"):
        folds.splits([400], ["a"], folds=3, gap=90, least=20)


def test_inputs_are_standardised_by_the_training_part_alone(rng):
    inputs = [rng.normal(size=(200, 2)) + 5, rng.normal(size=(200, 2)) * 9]
    split = folds.Split((folds.Part(0, 0, 200),), (folds.Part(1, 0, 200),))
    made = folds.fold(split, inputs, [x[:, :1] for x in inputs], washout=50)
    np.testing.assert_allclose(made.inputs[0].mean(axis=0), 0, atol=1e-12)
    assert made.inputs[1].std() > 5
    with pytest.raises(ValueError, match="recording 0 has 200 samples and the first 300"):
        folds.fold(split, inputs, inputs, washout=300)


def delayed_folds(rng, lag=4):
    inputs = [rng.uniform(-1, 1, (400, 1)) for _ in range(3)]
    targets = [np.where(np.arange(400)[:, None] >= lag, np.roll(x, lag, axis=0), np.nan)
               for x in inputs]  # fmt: skip
    made = folds.splits([400] * 3, ["a", "b", "c"], folds=2, gap=60, least=100)
    return [folds.fold(split, inputs, targets, washout=50) for split in made]


def test_errors_of_a_trial_are_those_of_a_plain_fit(rng):
    """Held-out error, recomputed from states with the readout of the training part alone."""
    made = delayed_folds(rng)
    network = Network(**SMALL, input_scale=0.1)
    found = errors_of([Trial(network, Adapt()), Trial(network)], made, seeds=(3,), alphas=ALPHAS)
    one = BatchedReservoir([network], [3], channels=1)
    adapt(one, made[0].inputs[: made[0].training], [Adapt()])
    states = one.states(made[0].inputs)[0, 0, :, 50:].astype(float)
    x = [np.concatenate([states[r] for r in rows]) for rows in
         (range(made[0].training), range(made[0].training, 3))]  # fmt: skip
    y = [np.concatenate([made[0].targets[r][50:] for r in rows]) for rows in
         (range(made[0].training), range(made[0].training, 3))]  # fmt: skip
    mean_x, mean_y = x[0].mean(axis=0), y[0].mean()
    centred = x[0] - mean_x
    for at, alpha in enumerate(ALPHAS):
        penalty = alpha * centred.var(axis=0).mean() * len(centred)
        w = np.linalg.solve(
            centred.T @ centred + penalty * np.eye(100), centred.T @ (y[0] - mean_y)
        )
        error = scores.nrmse(y[1], (x[1] - mean_x) @ w + mean_y)
        assert found[0, 0, 0, at] == pytest.approx(error, rel=1e-3)


def test_the_search_finds_the_trial_that_forecasts_best(rng):
    made = delayed_folds(rng)
    trials = [Trial(Network(**SMALL, balance=b, input_scale=s))
              for b, s in [(0.5, 0.05), (0.9, 3.0), (-0.25, 0.1), (0.8, 0.1)]]  # fmt: skip
    for halving in (True, False):
        found = search(trials, made, seeds=(0, 1, 2), alphas=ALPHAS, halving=halving)
        assert found.trial == trials[2]
        assert found.error == np.min(found.errors[np.isfinite(found.errors)])
    assert found.runs == 4 * 3 * 2


def test_every_kind_is_tried_as_often_with_the_same_numbers():
    base = Network(n_units=80)
    trials = {kind: draw(kind, 12, base=base, seed=5) for kind in KINDS}
    for own, other in zip(trials["adapted"], trials["global"], strict=True):
        for name in SPACE:
            assert getattr(own.network, name) == getattr(other.network, name)
        assert own.adapt is not None
        assert other.adapt is None
        assert isinstance(own.network, Network)
        assert own.network.degree <= 80
    for own, other in zip(trials["tanh"], trials["uncoupled"], strict=True):
        assert isinstance(own.network, EchoNetwork)
        assert other.network == replace(own.network, radius=0.0)
    scales = [trial.network.input_scale for trial in draw("tanh", 200, base=base, seed=1)]
    assert 0.01 <= min(scales) < 0.02
    assert 2 < max(scales) < 3
    with pytest.raises(ValueError, match="space holds 'gian'"):
        draw("global", 1, base=base, seed=0, space={"gian": (1.0,)})


def test_all_kinds_are_compared_with_the_same_effort(rng):
    found = compare(delayed_folds(rng), base=Network(n_units=60, degree=30), count=4, seeds=(0, 1),
                    alphas=ALPHAS, seed=0)  # fmt: skip
    assert set(found) == set(KINDS)
    assert found["uncoupled"].error > 1.1 * found["tanh"].error
    assert len({one.runs for one in found.values()}) == 1
    assert all(np.isfinite(one.error) and one.alpha in ALPHAS for one in found.values())


def test_nothing_is_forecast_in_white_noise(rng):
    noise = [rng.normal(size=(2000, 1)) for _ in range(3)]
    targets = [np.vstack([x[1:], [[np.nan]]]) for x in noise]
    made = folds.splits([2000] * 3, ["a", "b", "c"], folds=3, gap=60, least=100)
    found = errors_of([Trial(Network(**SMALL), Adapt()), Trial(Network(**SMALL))],
                      [folds.fold(split, noise, targets, washout=50) for split in made],
                      seeds=(0,), alphas=(1e-1, 10.0))  # fmt: skip
    assert found.min() > 0.99

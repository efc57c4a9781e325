"""The wiring, the equations and the adaptation of reservoirs, against slow dense versions."""

from typing import Any

import numpy as np
import pytest
import torch

from rheobase.models.reservoir import product
from rheobase.models.reservoir.adaptation import adapt
from rheobase.models.reservoir.batched import BatchedReservoir
from rheobase.models.reservoir.diagnose import diagnose
from rheobase.models.reservoir.settings import ITERATIVE, Adapt, Network, Readout, Target, logit
from rheobase.models.reservoir.wiring import balanced_rows, build, effective_radius

SMALL: dict[str, Any] = {"n_units": 60, "degree": 12}
COLUMNS: list[dict[str, Any]] = [
    {"balance": 0.0, "gain": 10.0, "input_scale": 0.5},
    {"balance": -0.5, "gain": 8.0, "input_scale": 0.1, "leak": 0.3, "threshold": 0.1},
    {"balance": 0.2, "gain": 5.0, "input_scale": 1.0, "leak": tuple(np.linspace(0, 0.9, 60))},
    {"balance": 0.2, "threshold": tuple(np.linspace(-0.2, 0.2, 60))},
]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def dense_run(weights, network, inhibition, u):
    """Return the states of equations (1) and (2), one unit after the other."""
    n = network.n_units
    exc, inh = weights.exc.toarray(), inhibition.toarray()
    leak, theta = (np.broadcast_to(v, n) for v in (network.leak, network.threshold))
    potential, rates, course = np.zeros(n), np.full(n, 0.5), []
    for sample in u:
        fresh = np.zeros(n)
        for i in range(n):
            total = sum((exc[i, j] - inh[i, j]) * rates[j] for j in range(n))
            driven = sum(weights.inputs[i, m] * sample[m] for m in range(len(sample)))
            driven *= network.input_scale / np.sqrt(len(sample))
            fresh[i] = leak[i] * potential[i] + total + driven
        potential = fresh
        rates = sigmoid(network.gain * (potential - theta))
        course.append(rates)
    return np.array(course)


def run(networks, u, *, seeds=(0,), dtype=torch.float64, **more):
    engine = BatchedReservoir(networks, seeds, channels=np.reshape(u, (len(u), -1)).shape[1],
                              dtype=dtype)  # fmt: skip
    return engine, engine.states(u, **more)


@pytest.mark.parametrize("topology", ["er", "fixed"])
@pytest.mark.parametrize("balance", [-2.0, -0.3, 0.0, 0.5, 1.0])
def test_balance_is_what_was_asked_for(topology, balance):
    network = Network(n_units=200, degree=50, topology=topology, balance=balance)
    engine = BatchedReservoir([network], [3], channels=1)
    rows = balanced_rows(engine.weights[0], engine.inhibitory(0, 0))
    assert rows.mean() == pytest.approx(balance, abs=1e-12)


@pytest.mark.parametrize("topology", ["er", "fixed"])
def test_every_unit_is_excitatory_or_inhibitory(topology):
    weights = build(Network(n_units=200, degree=50, topology=topology), seed=1, channels=3)
    exc, inh = weights.exc.toarray(), weights.inh.toarray()
    assert weights.n_exc == 160
    assert exc.min() == inh.min() == 0
    assert not exc[:, 160:].any()
    assert not inh[:, :160].any()
    assert exc.sum(axis=1).mean() == pytest.approx(1, abs=1e-12)
    assert inh.sum(axis=1).mean() == pytest.approx(1, abs=1e-12)
    reached = weights.inputs.any(axis=1)
    assert reached.sum() == 60
    assert np.abs(weights.inputs).max() <= 0.5


def test_fixed_topology_gives_every_unit_the_same_number_of_inputs():
    weights = build(Network(n_units=200, degree=50, topology="fixed"), seed=1, channels=1)
    assert set(np.diff(weights.exc.indptr)) == {40}
    assert set(np.diff(weights.inh.indptr)) == {10}


def test_draws_come_from_one_generator_in_the_stated_order():
    network = Network(n_units=30, degree=10)
    rng = np.random.Generator(np.random.PCG64(7))
    blocks = []
    for units, mean in ((24, 1 / 8), (6, 1 / 2)):
        mask = rng.random((30, units)) < 10 / 30
        block = mask * np.abs(rng.normal(mean, 0.2 * mean, (30, units)))
        blocks.append(block / (block.sum() / 30))
    chosen = rng.choice(30, 9, replace=False)
    values = rng.uniform(-0.5, 0.5, (9, 2))
    weights = build(network, seed=7, channels=2)
    np.testing.assert_allclose(weights.exc.toarray()[:, :24], blocks[0], atol=1e-15)
    np.testing.assert_allclose(weights.inh.toarray()[:, 24:], blocks[1], atol=1e-15)
    np.testing.assert_array_equal(weights.inputs[chosen], values)


def test_three_units_by_hand():
    network = Network(n_units=3, degree=3, frac_exc=0.67, gain=2.0, frac_input=1.0, weight_cv=0.0)
    engine, states = run([network], np.array([1.0, -0.5]))
    exc, inh = engine.weights[0].exc.toarray(), engine.weights[0].inh.toarray()
    np.testing.assert_allclose(exc, [[0.5, 0.5, 0]] * 3)
    np.testing.assert_allclose(inh, [[0, 0, 1.0]] * 3)
    w = 0.5 * engine.weights[0].inputs[:, 0]
    first = sigmoid(2 * (0.25 + 0.25 - 0.5 + w))
    second = sigmoid(2 * (0.5 * first[0] + 0.5 * first[1] - first[2] - 0.5 * w))
    np.testing.assert_allclose(states[0, 0, 0], [first, second], atol=1e-12)


def test_an_impulse_is_first_seen_in_the_state_of_its_own_sample():
    u = np.zeros(12)
    network = Network(**SMALL)
    _, still = run([network], u)
    u[5] = 1.0
    _, kicked = run([network], u)
    differs = np.abs(kicked - still)[0, 0, 0].max(axis=1) > 1e-12
    assert np.flatnonzero(differs)[0] == 5


@pytest.mark.parametrize("chosen", [[0], [1], [2], [3], [0, 1, 2], [0, 1, 2, 3]], ids=str)
def test_columns_follow_the_equations(chosen, rng):
    networks = [Network(**SMALL, **COLUMNS[i]) for i in chosen]
    inputs = [rng.normal(size=(40, 2)), rng.normal(size=(25, 2))]
    engine = BatchedReservoir(networks, [3, 4], channels=2, dtype=torch.float64)
    states = engine.states(inputs)
    for s in range(2):
        for m, network in enumerate(networks):
            for r, u in enumerate(inputs):
                slow = dense_run(engine.weights[s], network, engine.inhibitory(s, m), u)
                np.testing.assert_allclose(states[s, m, r, : len(u)], slow, atol=1e-11)
                assert np.isnan(states[s, m, r, len(u) :]).all()


@pytest.mark.parametrize("kind", ["bag", "csr", "dense"])
def test_every_way_to_multiply_gives_the_product(kind, rng):
    from scipy.sparse import csr_array, random_array

    blocks = [csr_array(random_array((30, 20), density=0.3, rng=rng)) for _ in range(3)]
    state = torch.from_numpy(rng.normal(size=(60, 17)).astype(np.float32))
    multiply = product.SparseProduct(
        blocks, columns=17, device="cpu", dtype=torch.float32, kind=kind
    )
    slow = np.concatenate([b.toarray() @ state[20 * i : 20 * i + 20].numpy()
                           for i, b in enumerate(blocks)])  # fmt: skip
    np.testing.assert_allclose(multiply(state).numpy(), slow, atol=1e-5)


@pytest.mark.parametrize("kind", ["bag", "dense"])
def test_every_way_to_multiply_gives_the_same_reservoirs(kind, rng, monkeypatch):
    """The dense one is that of a GPU; adapted columns take the split product and cut synapses."""
    way = Adapt(method="iterative", target=Target("homogeneous", 0.8), schedule=((400, 1e-3),))
    u = rng.uniform(-1, 1, 400)

    def made():
        engine = BatchedReservoir([Network(n_units=100)] * 3, [0, 1], channels=1)
        report = adapt(engine, u, [way, None, Adapt()])
        return report.cut, engine.states(u[:100], start=engine.state)

    plain = made()
    monkeypatch.setattr(product, "kind_for", lambda *_: kind)
    other = made()
    assert plain[0].max() > 0
    np.testing.assert_allclose(other[0], plain[0], atol=1e-3)
    np.testing.assert_allclose(other[1], plain[1], atol=2e-3)


def test_a_batch_gives_what_single_runs_give(rng):
    """A15: 64 columns go another way through the processor than one."""
    networks = [Network(**SMALL, balance=-0.02 * i, input_scale=0.1) for i in range(64)]
    u = rng.uniform(-1, 1, 600)
    _, together = run(networks, u, dtype=torch.float32)
    for m in (0, 31, 63):
        _, alone = run([networks[m]], u, dtype=torch.float32)
        assert np.abs(together[:, m, :, :200] - alone[:, 0, :, :200]).max() < 1e-5


def test_the_same_seed_gives_the_same_bits(rng):
    u = rng.uniform(-1, 1, 300)
    networks = [Network(**SMALL, balance=-0.1 * i) for i in range(20)]
    first, second = (run(networks, u, seeds=(5,), dtype=torch.float32)[1] for _ in range(2))
    other = run(networks, u, seeds=(6,), dtype=torch.float32)[1]
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_padding_changes_nothing(rng):
    network = Network(**SMALL)
    long, short = rng.normal(size=(300, 1)), rng.normal(size=(70, 1))
    engine = BatchedReservoir([network], [0], channels=1, dtype=torch.float64)
    both = engine.states([long, short])
    alone = engine.states(short)
    np.testing.assert_allclose(both[0, 0, 1, :70], alone[0, 0, 0], atol=1e-13)
    assert np.isnan(both[0, 0, 1, 70:]).all()


def test_a_run_goes_on_from_where_the_last_one_ended(rng):
    u = rng.normal(size=(600, 1))
    network = Network(**SMALL, leak=0.5)
    engine, whole = run([network], u)
    engine.states(u[:333])
    rest = engine.states(u[333:], start=engine.state)
    np.testing.assert_allclose(rest, whole[:, :, :, 333:], atol=1e-14)


def test_seeds_may_have_inputs_of_their_own(rng):
    inputs = rng.normal(size=(2, 1, 50, 1))
    engine = BatchedReservoir([Network(**SMALL)], [0, 1], channels=1)
    together = engine.states(inputs)
    for seed in range(2):
        alone = BatchedReservoir([Network(**SMALL)], [seed], channels=1).states(inputs[seed, 0])
        np.testing.assert_allclose(together[seed], alone[0], atol=1e-6)


def slow_adaptation(engine, s, m, u, target, phases):
    """Return inhibitory weights after equation (6), every synapse on its own."""
    network, weights = engine.networks[m], engine.weights[s]
    exc = weights.exc.toarray()
    inh = (1 - network.balance) * weights.inh.toarray()
    plastic, rates = inh > 0, np.full(network.n_units, 0.5)
    step = 0
    for count, delta in phases:
        for _ in range(int(count)):
            drive = network.input_scale * weights.inputs[:, 0] * u[step % len(u)]
            rates = sigmoid(network.gain * ((exc - inh) @ rates + drive))
            change = delta * (rates - target)
            inh = np.where(plastic, np.maximum(0, inh + change[:, None]), 0)
            step += 1
    return inh


@pytest.mark.parametrize("mode", ["implicit", "explicit"])
def test_the_iterative_rule_is_followed(mode, rng):
    phases = ((150, 1e-3), (50, 1e-4))
    way = Adapt(method="iterative", target=Target(law="homogeneous", rate=0.5), schedule=phases)
    networks = [Network(**SMALL, input_scale=0.1, balance=b) for b in (0.0, -0.3)]
    engine = BatchedReservoir(networks, [2, 3], channels=1, dtype=torch.float64)
    u = rng.uniform(-1, 1, 120)
    report = adapt(engine, u, [way, way], mode=mode)
    assert report.mode == mode
    for s in range(2):
        for m in range(2):
            slow = slow_adaptation(engine, s, m, u, report.targets[s, :, m], phases)
            np.testing.assert_allclose(engine.inhibitory(s, m).toarray(), slow, atol=1e-12)


def test_synapses_that_reach_zero_are_cut_by_the_explicit_rule_alone(rng):
    """Weights so uneven that many are cut: the explicit rule is exact, and is chosen."""
    phases = ((120, 5e-3),)
    way = Adapt(method="iterative", target=Target(law="homogeneous", rate=0.7), schedule=phases)
    uneven: dict[str, Any] = {**SMALL, "weight_cv": 0.8}
    networks = [Network(**uneven), Network(**uneven, balance=0.2)]
    engine = BatchedReservoir(networks, [2], channels=1, dtype=torch.float64)
    u = rng.uniform(-1, 1, 120)
    report = adapt(engine, u, [way, None])
    assert report.mode == "explicit"
    assert report.cut[0, 0] > 0.01
    slow = slow_adaptation(engine, 0, 0, u, report.targets[0, :, 0], phases)
    found = engine.inhibitory(0, 0)
    np.testing.assert_allclose(found.toarray(), slow, atol=1e-12)
    np.testing.assert_allclose(engine.inhibitory(0, 1).toarray(),
                               0.8 * engine.weights[0].inh.toarray(), atol=1e-12)  # fmt: skip
    states = engine.states(u[:30])
    slow_states = dense_run(engine.weights[0], engine.networks[0], found, u[:30, None])
    np.testing.assert_allclose(states[0, 0, 0], slow_states, atol=1e-10)


def test_cut_synapses_of_many_columns_act_in_a_run(rng):
    phases = ((400, 1e-3),)
    ways = [Adapt(method="iterative", target=Target(law="homogeneous", rate=r), schedule=phases)
            for r in (0.5, 0.8)]  # fmt: skip
    engine = BatchedReservoir([Network(n_units=100, degree=50)] * 2, [0], channels=1,
                              dtype=torch.float64)  # fmt: skip
    report = adapt(engine, rng.uniform(-1, 1, 400), ways)
    assert 0 < report.cut.max() <= 0.01
    assert engine.inhibition.excess
    inputs = [rng.normal(size=(20, 1)), rng.normal(size=(15, 1))]
    states = engine.states(inputs)
    for m in range(2):
        inhibition = engine.inhibitory(0, m)
        for r, u in enumerate(inputs):
            slow = dense_run(engine.weights[0], engine.networks[m], inhibition, u)
            np.testing.assert_allclose(states[0, m, r, : len(u)], slow, atol=1e-11)


@pytest.mark.parametrize("way", [Adapt(), Adapt(method="iterative", schedule=ITERATIVE)], ids=str)
def test_adaptation_keeps_the_pattern_and_the_signs(way, rng):
    """A2, with many settings and with one."""
    u = rng.uniform(-1, 1, 1500)
    for ways in ([way], [way, way]):
        engine = BatchedReservoir([Network(n_units=200)] * len(ways), [0], channels=1)
        adapt(engine, u, ways)
        inhibition = engine.inhibitory(0, 0)
        np.testing.assert_array_equal(inhibition.indices, engine.weights[0].inh.indices)
        np.testing.assert_array_equal(inhibition.indptr, engine.weights[0].inh.indptr)
        assert inhibition.data.min() >= 0


def test_one_step_makes_the_targets_a_fixed_point(rng):
    """Equation (7): with a constant input nothing moves, leak and threshold included."""
    networks = [Network(n_units=100, leak=0.4, threshold=0.05, balance=-0.2), Network(n_units=100)]
    way = Adapt(method="one_step", target=Target(a=20, b=20))
    engine = BatchedReservoir(networks, [0], channels=2, dtype=torch.float64)
    u = np.tile([0.3, -0.2], (50, 1))
    report = adapt(engine, u, [way, way])
    assert report.silenced.sum() == 0
    for m, network in enumerate(networks):
        rho = report.targets[0, :, m]
        drive = network.input_scale / np.sqrt(2) * engine.weights[0].inputs @ u[0]
        potential = np.asarray(network.threshold) + logit(rho, network.gain)
        coupled = (engine.weights[0].exc - engine.inhibitory(0, m)) @ rho
        residual = network.leak * potential + coupled + drive - potential
        assert np.abs(residual).max() < 1e-10


@pytest.mark.parametrize(
    ("target", "scale", "limit"),
    [(Target("homogeneous", 0.3), 0.05, 0.004), (Target("homogeneous", 0.5), 0.05, 0.004),
     (Target(), 0.05, 0.004), (Target(), 0.5, 0.02)],
)  # fmt: skip
def test_units_reach_their_targets(target, scale, limit, rng):
    engine = BatchedReservoir([Network(n_units=200, input_scale=scale)], [0], channels=1)
    report = adapt(engine, rng.uniform(-1, 1, 1500), [Adapt(target=target)])
    states = engine.states(rng.uniform(-1, 1, 1500), start=engine.state, washout=100)
    assert np.abs(states.mean(axis=3)[:, :, 0].swapaxes(1, 2) - report.targets).mean() < limit


def test_targets_do_not_depend_on_the_wiring():
    expected = np.clip(np.random.default_rng([4, 77]).beta(5, 5, 30), 0.02, 0.98)
    np.testing.assert_array_equal(Target().rates(30, 4), expected)
    assert set(Target("homogeneous", 0.3).rates(30, 4)) == {0.3}
    wide = Target("uniform").rates(2000, 4)
    assert 0.02 <= wide.min() < 0.03
    assert 0.97 < wide.max() <= 0.98


def test_radius_of_the_random_part_is_that_of_the_circular_law():
    network = Network(n_units=500, weight_cv=0.2)
    weights = build(network, seed=0, channels=1)
    law = np.sqrt((1 / 40 + 1 / 10) * (1.04 - 0.1)) * 2.5
    assert effective_radius(weights, weights.inh, 10.0) == pytest.approx(law, rel=0.08)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Network(n_units=40, degree=50), r"degree is 50; it must be 1 to n_units \(40\)"),
        (lambda: Network(balance=1.5), "balance is 1.5; it is at most 1"),
        (lambda: Network(balance=float("nan")), "balance is nan"),
        (lambda: Network(frac_exc=1.0), "frac_exc is 1.0, which makes 500 of 500"),
        (lambda: Network(n_units=2, degree=1, frac_exc=0.9), "2 of 2 units excitatory"),
        (lambda: Network(leak=1.0), "leak is 1.0; it must be at least 0 and below 1"),
        (lambda: Network(threshold=(0.1, 0.2)), "threshold holds 2 values; give one, or one for"),
        (lambda: Network(gain=0), "gain is 0; it must be above 0"),
        (lambda: Network(topology="ring"), "topology is 'ring'; it must be er or fixed"),  # type: ignore[arg-type]
        (lambda: Network(topology="fixed", degree=2), "0 inhibitory inputs"),
        (lambda: Target("homogeneous", 1.0), "rate is 1.0; it must be above 0 and below 1"),
        (lambda: Target("homogeneous", 0.15), "below 0.22 all units flip"),
        (lambda: Adapt(schedule=((0, 1e-3),)), r"schedule holds \[0, 0.001\]"),
        (lambda: Readout(features=("states",)), "give states and bias"),
    ],
)  # fmt: skip
def test_impossible_settings_are_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_a_low_rate_is_taken_on_request():
    assert Target("homogeneous", 0.15, allow_oscillation=True).rate == 0.15


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ([np.zeros((5, 1)), np.full((5, 1), np.nan)], "recording 1 holds NaN or infinity at"),
        ([np.zeros((5, 1)), np.zeros((5, 2))], "recording 1 has 2 channels and recording 0 has 1"),
        (np.zeros((5, 3)), "the input has 3 channels and the reservoir was built for 1"),
        (np.zeros((0, 1)), "recording 0 has the shape"),
        ([], "there is no recording"),
        (np.zeros((3, 1, 5, 1)), "inputs for 3 seeds and 1 reservoirs"),
    ],
)  # fmt: skip
def test_unfit_inputs_are_refused(inputs, said):
    with pytest.raises(ValueError, match=said):
        BatchedReservoir([Network(**SMALL)], [0], channels=1).states(inputs)


def test_a_recording_that_the_washout_uses_up_is_named():
    with pytest.raises(ValueError, match="recording 1 has 50 samples and the first 50 are washout"):
        diagnose(BatchedReservoir([Network(**SMALL)], [0], channels=1), [np.ones(200), np.ones(50)])


def test_networks_of_other_wiring_are_refused():
    with pytest.raises(ValueError, match="share their wiring"):
        BatchedReservoir([Network(), Network(degree=10)], [0], channels=1)


def test_nothing_is_left_to_adapt_without_inhibition():
    engine = BatchedReservoir([Network(**SMALL, balance=1)], [0], channels=1)
    with pytest.raises(ValueError, match="no inhibition is left to adapt"):
        adapt(engine, np.zeros(10), [Adapt()])

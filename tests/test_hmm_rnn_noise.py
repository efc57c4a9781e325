"""What noise does: the sweep of its size, resonance, training, matched distances, refits."""

import dataclasses

import numpy as np
import pytest
import torch

import planted_networks as planted
from rheobase.models.hmm_rnn import (
    activity,
    evolution,
    matched,
    network,
    noise_sweeps,
    refit,
    resonance,
    targets,
    train,
)
from rheobase.models.hmm_rnn.resonance import Coherence

CHAIN = targets.linear(2)


def swept(net, sigmas, seed=0):
    return noise_sweeps.sweep(net, CHAIN, planted.generators(seed), seed=1, count=64, length=40,
                              repeats=2, sigmas=sigmas)  # fmt: skip


def three(net):
    """Return the network with a third symbol, never the likeliest."""
    weights = {name: part.detach()[0] for name, part in net.state_dict().items()}
    Wout = torch.cat([weights["Wout"][:1], 0 * weights["Wout"][:1], weights["Wout"][1:]])
    return planted.built(weights["Wh"], weights["Win"], Wout)


def test_the_size_of_the_noise_leaves_arg_max_and_sharpens_draws():
    net = three(planted.bistable(12))
    x = network.drawn_noise(planted.generators(0), (64, 40, 12))
    one, four = (net(size * x).argmax(-1) for size in (1, 4))
    assert torch.equal(one, four)
    found = swept(net, (0.5, 1.0, 4.0))
    assert found.changes[0, 0] > found.changes[0, 1] > found.changes[0, 2]
    assert found.changes[0, 2] > found.arg_max_changes.item()
    np.testing.assert_allclose(found.area[0] / found.area[0, 1], [0.25, 1, 16], rtol=1e-6)


def test_half_the_readout_wants_twice_the_noise():
    net = three(planted.bistable(12))
    whole = swept(net, (0.5, 1.0, 2.0, 4.0, 8.0))
    with torch.no_grad():
        net.Wout.mul_(0.5)
    half = swept(net, (1.0, 2.0, 4.0, 8.0, 16.0))
    np.testing.assert_allclose(half.scores["volatility"], whole.scores["volatility"], atol=1e-6)
    assert half.best[0] == 2 * whole.best[0]


def test_regular_entries_have_no_variation_and_chance_ones_have_much(rng):
    path = np.stack([np.arange(3000) // 10 % 2, rng.integers(0, 2, 3000)])
    found = resonance.coherence(torch.as_tensor(path)[None, None], (0.0,), 2)
    assert found.cv[0, 0, 0] == 0
    assert found.cv[0, 0, 1] == pytest.approx(0.5, abs=0.05)
    assert found.rate[0, 0, 0] == pytest.approx(0.1, abs=0.001)
    still = resonance.coherence(torch.zeros(1, 1, 2, 100, dtype=torch.int64), (0.0,), 2)
    assert np.isnan(still.cv).all()
    assert np.isnan(still.best[0])
    assert not still.resonant.any()


def test_a_dip_is_a_resonance_and_chance_is_none(rng):
    sizes = (0.0, 0.1, 0.3, 1.0)
    noise = 0.03 * rng.normal(size=(40, 4, 16)) + 0.8
    flat = Coherence(sizes, noise, noise)
    assert flat.resonant.sum() <= 4
    dip = noise - np.array([0, 0, 0.2, 0])[:, None]
    assert Coherence(sizes, dip, noise).resonant.all()
    assert Coherence(sizes, dip, noise).best == [0.3] * 40
    fall = noise - np.array([0, 0.1, 0.2, 0.4])[:, None]
    assert not Coherence(sizes, fall, noise).resonant.any()


def test_a_shake_of_fixed_size_moves_classes_and_none_does_not():
    net = planted.bistable(12)
    seen = activity.simulate(net, planted.generators(0), trajectories=4, steps=300)
    found = resonance.shaken(net, seen, planted.generators(1), trajectories=8, steps=600,
                             sizes=(0.0, 1.0))  # fmt: skip
    assert found.rate[0, 1].mean() > 1.3 * found.rate[0, 0].mean()
    drawn = resonance.drawn(net, seen, planted.generators(1), sigmas=(0.1, 10.0))
    assert drawn.rate[0, 0].mean() > 2 * drawn.rate[0, 1].mean()


def test_the_onset_is_the_step_at_which_eigenvalues_begin_to_turn():
    weights = [planted.ring(12, keep).state_dict() for keep in (0.3, 0.3, 0.95)]
    found = evolution.evolution(dict(zip((0, 25, 50), weights, strict=True)), [0], steps=200)
    assert found.onset == [50]
    assert found.critical[0, 0] == 0
    same = evolution.evolution({0: weights[0], 25: weights[1]}, [0], steps=200)
    assert same.onset == [None]
    np.testing.assert_array_equal(same.transitions[0], same.transitions[1])
    with pytest.raises(ValueError, match="no weights were kept"):
        evolution.evolution({}, [0])


def test_the_second_order_response_of_one_unit_is_by_hand():
    net = planted.built(torch.tensor([[1.0]]), torch.tensor([[0.5]]), torch.ones(1, 1))
    generator, states = planted.generators(3), torch.ones(1, 7, 1)
    found = evolution.response(net, states, generator)
    w = torch.cat([torch.randn(7, 1, generator=g) for g in [planted.generators(3)[0]] * 10], 1)
    first = 0.5 * w.cumsum(1)
    assert found.item() == pytest.approx(float((first**2 / 2).sum(1).mean()), rel=1e-5)


def test_weights_are_kept_at_the_steps_asked_for_also_on_resuming(tmp_path):
    brief = train.Schedule(8, 3, 10, 16, moment_steps=40, steps=20)
    whole = train.train(CHAIN, brief, seeds=[0, 1], keep=[0, 30, 60])
    assert list(whole.snapshots) == [0, 30, 60]
    last = whole.network.state_dict()
    assert all(torch.equal(whole.snapshots[60][name], last[name]) for name in last)
    path = tmp_path / "checkpoint.safetensors"
    course = train._Course(CHAIN, brief, [0, 1], "cpu", path, [0, 30, 60])
    for _ in range(53):
        course.advance()
    again = train.train(CHAIN, brief, seeds=[0, 1], resume=path, keep=[0, 30, 60])
    assert torch.equal(again.snapshots[30]["Wh"], whole.snapshots[30]["Wh"])
    assert torch.equal(again.snapshots[0]["Wh"], whole.snapshots[0]["Wh"])


def test_a_readout_is_sharpened_once_where_phase_two_begins():
    brief = train.Schedule(8, 3, 10, 16, moment_steps=5, steps=1, rate=0.0, sharpen=1.0)
    plain = train.train(CHAIN, brief, seeds=[0]).network
    sharp = train.train(CHAIN, dataclasses.replace(brief, sharpen=2.0), seeds=[0]).network
    torch.testing.assert_close(sharp.Wout, 2 * plain.Wout)
    torch.testing.assert_close(sharp.Wh, plain.Wh)


def test_sequences_matched_with_themselves_are_no_distance_away():
    symbols = CHAIN.sample(200, 30, generator=planted.generators(0)[0])[0]
    assert matched.distances(symbols, symbols, 3).mean() < 0.05
    far = torch.ones(200, 30, dtype=torch.int64)
    found = matched.matched(far, CHAIN, generator=planted.generators(1)[0])
    assert found.mean > 1.3 * found.chain_mean
    one = torch.zeros(1, 4, dtype=torch.int64)
    assert matched.distances(one, one + 1, 3).item() == pytest.approx(np.sqrt(8))


def test_the_plan_has_the_weights_that_it_should():
    cost = torch.rand(20, 30, generator=planted.generators(0)[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matched, "STILL", 1e-6)
        f, g = matched.potentials(cost)
    plan = ((f[:, None] + g - cost) / matched.EPS).exp()
    np.testing.assert_allclose(plan.sum(1), 1 / 20, atol=1e-4)
    np.testing.assert_allclose(plan.sum(0), 1 / 30, atol=1e-4)


def test_a_refit_to_the_chain_s_own_sequences_gives_the_chain_back():
    chain = targets.cyclic(4)
    symbols = chain.sample(300, 60, generator=planted.generators(5)[0])[0]
    told, A, E = refit.refit(symbols, chain, seed=0, restarts=4, repeats=2)
    assert told["transitions"].value < 0.05
    assert told["emissions"].value < 0.08
    np.testing.assert_allclose(A.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(E.sum(1), 1, atol=1e-6)


def test_a_refit_to_shuffled_sequences_is_far_from_the_chain():
    symbols = CHAIN.sample(200, 30, generator=planted.generators(5)[0])[0]
    order = torch.rand(symbols.shape, generator=planted.generators(6)[0]).argsort(1)
    told, _, _ = refit.refit(symbols.gather(1, order), CHAIN, seed=0, restarts=3, repeats=2)
    assert told["transitions"].value > 5 * told["transitions"].mean

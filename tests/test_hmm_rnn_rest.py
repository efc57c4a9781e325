"""Fixed points, slow points, eigenvalues, principal components and orbits of known networks."""

import math

import numpy as np
import pytest
import torch

import planted_networks as planted
from rheobase.models.hmm_rnn import activity, fixed_points, linearised, network, orbits, plane
from rheobase.models.hmm_rnn.fixed_points import Map


def seen(net, *, steps=600, trajectories=16, seed=0):
    return activity.simulate(
        net, planted.generators(seed), trajectories=trajectories, steps=steps, warm_up=50
    )


def test_a_ring_decays_as_it_was_built_to():
    net = planted.ring(12, 0.95)
    found = fixed_points.decay(net, activity.visited(seen(net).states, 50))
    np.testing.assert_allclose(found.median[0], [0.95**t for t in found.times], rtol=1e-4)
    np.testing.assert_allclose(found.largest[0], found.median[0], rtol=1e-4)
    assert found.radius.item() == pytest.approx(0.95, abs=1e-5)
    assert found.single.all()


def test_what_does_not_decay_is_no_single_fixed_point():
    net = planted.ring(12, 1.0)
    assert not fixed_points.decay(net, torch.rand(1, 20, 12)).single.any()


def test_large_weights_may_still_decay():
    Wh = torch.tensor([[0.5, 3.0], [-3.0, 0.5]])
    net = planted.built(Wh, torch.eye(2), torch.eye(2))
    found = fixed_points.decay(net, torch.rand(1, 50, 2))
    assert found.radius.item() > 3
    assert found.single.all()


def test_fixed_points_of_a_bistable_map_are_found_with_their_stability():
    step = Map(torch.diag(torch.tensor([2.0, 0.5]))[None].double(), torch.zeros(1, 2).double(),
               "tanh")  # fmt: skip
    starts = torch.randn(1, 60, 2, generator=planted.generators(0)[0])
    (found,) = fixed_points.slow_points(step, starts, iterations=800)
    kept = found.points[found.fixed]
    x = kept[:, 0].sort().values
    np.testing.assert_allclose(x, [-0.957504, 0, 0.957504], atol=1e-5)
    assert kept[:, 1].abs().max() < 1e-5
    stable = found.stable[found.fixed]
    assert stable.tolist() == (kept[:, 0].abs() > 0.5).tolist()
    near = found.eigenvalues[found.fixed].abs().amax(1)
    assert near[kept[:, 0].abs() < 0.5].item() == pytest.approx(2, abs=1e-4)


def test_a_constant_input_moves_the_fixed_point():
    net = planted.built(0.5 * torch.eye(3), torch.eye(3), torch.eye(3)[:2])
    step = Map.of(net, torch.tensor([[1.0, 2.0, -1.0]]))
    starts = torch.rand(1, 30, 3, generator=planted.generators(0)[0])
    (found,) = fixed_points.slow_points(step, starts, iterations=800)
    assert found.fixed.tolist() == [True]
    np.testing.assert_allclose(found.points[0], [2, 4, 0], atol=1e-5)
    assert found.stable.all()


def test_where_there_is_no_fixed_point_none_is_found():
    step = Map(torch.eye(2)[None].double(), torch.ones(1, 2).double())
    (found,) = fixed_points.slow_points(step, torch.rand(1, 30, 2), iterations=200)
    assert not found.fixed.any()


def test_directions_of_a_ray_do_not_move_and_a_ring_s_do():
    still = planted.built(torch.eye(4), torch.eye(4), torch.eye(4)[:2])
    states = torch.rand(1, 20, 4, generator=planted.generators(0)[0])
    assert fixed_points.slowest_direction(still, states, iterations=50).max() < 1e-6
    alone = torch.eye(8)[None]
    gone = planted.built(torch.zeros(8, 8), torch.eye(8), torch.eye(8)[:2])
    assert fixed_points.slowest_direction(gone, alone, iterations=50).min() == pytest.approx(1)


def test_eigenvalues_behind_gates_are_those_of_the_whole_jacobian():
    net = network.Emulator(20, 4, 3, seeds=[0, 1])
    with torch.no_grad():
        net.Wh.mul_(2.5)
    states = torch.rand(2, 30, 20, generator=planted.generators(0)[0])
    gates = linearised.gates(net, states)
    found = linearised.eigenvalues(net.Wh, gates)
    for m in range(2):
        for s in range(30):
            J = gates[m, s][:, None] * net.Wh[m].detach()
            values = torch.linalg.eigvals(J.double())
            flow = (values - 1) / (values + 1)
            critical = (flow.real.abs() < 0.1) & (flow.imag > 0.05)
            assert found.unstable[m, s] == (values.abs() > 1).sum()
            assert found.critical_pairs[m, s] == critical.sum()
            assert found.largest[m, s] == pytest.approx(float(values.abs().max()), abs=1e-6)
    assert found.unstable.max() > 0


def test_a_slow_turn_is_a_critical_pair():
    angle = 2 * math.pi / 40
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    found = linearised.eigenvalues(0.999 * turn[None], torch.ones(1, 1, 2, dtype=torch.bool))
    assert (found.critical_pairs.item(), found.unstable.item()) == (1, 0)
    grown = linearised.eigenvalues(1.5 * turn[None], torch.ones(1, 1, 2, dtype=torch.bool))
    assert (grown.critical_pairs.item(), grown.unstable.item()) == (0, 2)


def test_components_are_those_of_the_covariance():
    states = torch.randn(1, 4, 500, 6, generator=planted.generators(0)[0])
    states[..., 2] *= 5
    found = plane.fit(states, components=3)
    assert found.components[0, 0].abs().argmax() == 2
    assert found.components[0, 0, 2] > 0
    assert found.explained[0, 0] == pytest.approx(25 / 30, abs=0.02)
    held = found.project(states)
    assert held.mean((1, 2)).abs().max() < 1e-4
    assert held[..., 0].var() > held[..., 1].var() > held[..., 2].var()


def test_a_readout_in_the_plane_lies_in_the_plane():
    axes = plane.Plane(torch.zeros(1, 3), torch.eye(3)[None, :2], torch.ones(1, 2))
    length, angle = plane.readout_alignment(
        axes, torch.tensor([[[3.0, 0, 0], [0, 0, 2], [1, 0, 1]]])
    )
    np.testing.assert_allclose(length[0], [1, 0, math.sqrt(0.5)], atol=1e-6)
    np.testing.assert_allclose(angle[0], [0, 90, 45], atol=0.05)


def test_the_ring_s_orbit_is_found_with_its_period():
    act = seen(planted.ring(12, 0.99))
    turns, phase = orbits.orbits(act, plane.fit(act.states))
    assert turns.turning.all()
    assert turns.agreed.item() == 1
    assert turns.period.item() == pytest.approx(12, rel=0.05)
    steps = torch.diff(phase, dim=-1)
    moved = torch.atan2(steps.sin(), steps.cos()).mean()
    assert moved.item() == pytest.approx(float(turns.velocity), abs=1e-6)


def test_amplitude_grows_with_the_circle():
    angle = torch.linspace(0, 40, 400)
    paths = 3 * torch.stack([angle.cos(), angle.sin()], -1).expand(1, 4, -1, -1)
    found = orbits.rotation(paths)
    assert found.amplitude.item() == pytest.approx(3, abs=1e-5)
    assert found.velocity.item() == pytest.approx(40 / 399, abs=1e-6)
    assert orbits.rotation(paths.flip(2)).mean.item() == pytest.approx(-found.mean.item())


def test_no_orbit_is_found_where_there_is_none():
    for seed in range(10):
        act = seen(planted.leaky(), seed=seed)
        turns, _ = orbits.orbits(act, plane.fit(act.states))
        assert not turns.turning.any()


def test_deviation_of_surrogates_is_that_of_drawn_ones():
    generator = planted.generators(0)[0]
    steps = torch.randn(6, 300, 2, generator=generator)
    paths = steps.clone()
    for t in range(1, 300):
        paths[:, t] += 0.9 * paths[:, t - 1]
    exact = orbits.surrogate_deviation(paths)
    spectrum = torch.fft.rfft(paths.double(), dim=1).abs()
    drawn = []
    for _ in range(1500):
        angle = 2 * math.pi * torch.rand(spectrum.shape, generator=generator)
        angle[:, [0, -1]] = 0
        made = torch.fft.irfft(torch.polar(spectrum, angle.double()), n=300, dim=1)
        x, y = made.unbind(-1)
        drawn.append((x * y.roll(-1, 1) - y * x.roll(-1, 1)).mean())
    drawn = torch.stack(drawn)
    assert float(drawn.std() / exact) == pytest.approx(1, abs=0.08)
    assert abs(float(drawn.mean() / exact)) < 0.1


def test_pieces_never_leave_the_pair():
    inside = np.array([[1, 1, 1, 1, 1, 0, 1, 1], [0, 1, 1, 1, 0, 1, 1, 1]], bool)
    assert orbits.pieces(inside, 2) == [(0, 0), (0, 2), (0, 6), (1, 1), (1, 5)]


def test_turning_within_a_pair_of_classes():
    act = seen(planted.ring(12), steps=1000)
    ((found,),) = orbits.pair_orbits(act, 2)
    assert found.pieces == 80
    assert found.first_second is not None
    assert found.first_second.turning
    path = act.classes.clone()
    path[:, :, ::50] = 2
    few = orbits.pair_orbits(activity.Activity(act.states, path), 3)[0]
    assert [pair.pieces for pair in few] == [0, 0, 0]
    assert all(pair.first_second is None for pair in few)


def test_a_recording_that_turns_at_its_switches_is_told_from_one_that_does_not(rng):
    angle = np.cumsum(np.full(4000, 2 * np.pi / 40) + 0.1 * rng.normal(size=4000))
    signal = np.stack([np.cos(angle), np.sin(angle), np.zeros(4000)], 1)
    signal += 0.3 * rng.normal(size=(4000, 3))
    path = (np.arange(4000) // 50) % 2
    found = orbits.data_rotation(signal, path, [2000, 2000], half=20)
    assert found is not None
    assert found.turning
    noise = orbits.data_rotation(rng.normal(size=(4000, 3)), path, [2000, 2000], half=20)
    assert noise is not None
    assert not noise.turning
    assert orbits.data_rotation(signal, np.zeros(4000, int), [4000], half=20) is None

"""How long known networks stay in the class of a state, and the zones that follow."""

import numpy as np
import pytest
import torch

import planted_networks as planted
from rheobase.models.hmm_rnn import activity, network, noise_sweeps, residency


def stays(net, states, *, roll_outs=3, cap=60, seed=0):
    return residency.residency(
        net, states, planted.generators(*[seed] * net.members), roll_outs=roll_outs, cap=cap
    )


def test_stays_in_a_chain_of_two_clusters_are_the_steps_that_are_left():
    net = planted.clusters(30, 20)
    found = stays(net, torch.eye(50)[None])
    expected = [*range(30, 0, -1), *range(20, 0, -1)]
    assert found.steps[0].tolist() == expected
    assert found.classes[0].tolist() == [0] * 30 + [1] * 20
    assert found.sign_changes.max() == 0
    zones = found.zones()[0].tolist()
    assert zones == [2] * 22 + [1] * 7 + [0] + [2] * 12 + [1] * 7 + [0]
    assert found.histogram().sum() == 50
    assert found.histogram()[0, 29] == 1


def test_zones_that_scale_follow_the_median_stay():
    found = stays(planted.clusters(30, 20), torch.eye(50)[None])
    middle = float(found.steps[0].median())
    zones = found.zones(scaled=True)[0].numpy()
    steps = found.steps[0].numpy()
    np.testing.assert_array_equal(zones == 0, steps < 0.1 * middle)
    np.testing.assert_array_equal(zones == 2, steps > 0.4 * middle)


def test_long_stays_of_which_the_readout_is_unsure_lie_in_no_zone():
    net = planted.clusters(30, 20)
    with torch.no_grad():
        net.Wout.mul_(0.05)
    zones = stays(net, torch.eye(50)[None]).zones()[0].tolist()
    assert zones.count(2) == 0
    assert zones.count(residency.NOWHERE) == 34


def test_turns_of_the_logit_are_counted_while_it_is_inside():
    net = planted.clusters(30, 20)
    with torch.no_grad():
        net.Wout[0, 0, ::2] += 1
    found = stays(net, torch.eye(50)[None])
    assert found.sign_changes[0, :30].tolist() == [max(0, 30 - k - 2) for k in range(30)]


def test_a_network_that_never_leaves_stays_to_the_cap():
    net = planted.clusters(30, 20)
    with torch.no_grad():
        net.Wout[0, 1] = -1
    assert stays(net, torch.eye(50)[None], cap=25).steps.unique().tolist() == [25]


def test_stays_are_those_of_roll_outs_one_at_a_time():
    nets = network.Emulator(12, 4, 3, seeds=[1, 2])
    with torch.no_grad():
        nets.Wh.mul_(1.5)
    seen = activity.simulate(nets, planted.generators(0, 1), trajectories=4, steps=100)
    states = activity.visited(seen.states, 5)
    found = stays(nets, states, roll_outs=2000, cap=30)
    rng = np.random.default_rng(0)
    for m in range(2):
        Win, Wh, Wout = (w[m].detach().numpy() for w in (nets.Win, nets.Wh, nets.Wout))
        for s in range(5):
            h0 = states[m, s].numpy()
            own, left = (h0 @ Wout.T).argmax(), np.full(2000, 30.0)
            h, alive = np.tile(h0, (2000, 1)), np.ones(2000, bool)
            for t in range(1, 31):
                h = np.maximum(h @ Wh.T + rng.normal(size=(2000, 4)) @ Win.T, 0)
                gone = alive & ((h @ Wout.T).argmax(1) != own)
                left[gone] = t
                alive &= ~gone
            error = left.std() * np.sqrt(2 / 2000)
            assert found.steps[m, s].item() == pytest.approx(left.mean(), abs=5 * error + 1e-6)


def test_representatives_are_the_median_of_their_zone():
    states = torch.arange(6.0)[None, :, None]
    zones = torch.tensor([[0, 0, 0, 2, 2, -1]])
    steps = torch.tensor([[3.0, 1.0, 2.0, 9.0, 12.0, 5.0]])
    shown = noise_sweeps.representatives(states, zones, steps, 3)[0, :, 0]
    assert (shown[0].item(), shown[2].item()) == (2, 3)
    assert shown[1].isnan()


def test_what_follows_shared_noise_alone_does_not_spread():
    net = planted.leaky(8)
    found = noise_sweeps.sensitivity(net, torch.ones(1, 1, 8), planted.generators(0), steps=5)
    trace = found.trace[0, 0]
    assert trace[0].max() < 1e-8
    assert (trace[2] > trace[1]).all()
    assert trace[2, 0].item() == pytest.approx(8 * 0.8, rel=0.3)
    nothing = noise_sweeps.sensitivity(net, torch.full((1, 1, 8), torch.nan), planted.generators(0))
    assert nothing.trace.isnan().all()

"""Kick neurons that were planted are found by what they do; where there are none, none are."""

import numpy as np
import pytest
import torch

import planted_networks as planted
from rheobase.models.hmm_rnn import (
    activity,
    before_switches,
    connectivity,
    interventions,
    kick,
    switches,
)
from rheobase.models.hmm_rnn.activity import Change
from rheobase.models.hmm_rnn.kick import Sizes

QUICK = Sizes(set_size=1, random_sets=100, ranked=(64, 150), tested=(96, 150))


def seen(net, *, steps=1000, seed=0):
    return activity.simulate(net, planted.generators(seed), steps=steps)


def found_in(net, sizes, seed=0):
    generators = planted.generators(seed)
    return kick.find(net, activity.simulate(net, generators, steps=1000), generators, sizes=sizes)


def test_switches_of_a_path_are_counted_by_hand():
    path = torch.tensor([[[0, 0, 1, 1, 0], [1, 2, 2, 2, 2]]])
    found = switches.counted(path, 3)
    assert found.counts[0, 0].tolist() == [[1, 1, 0], [1, 1, 1], [0, 0, 3]]
    assert found.rates[0, 0, 0, 1] == 0.5
    assert found.rates[0, 0].diagonal().isnan().all()
    np.testing.assert_allclose(found.occupancy[0, 0], [2 / 8, 3 / 8, 3 / 8])
    assert switches.counted(path[:, :1], 3).ratio()[0, 0].isnan().all()


def test_variants_that_nothing_is_done_to_are_all_the_same():
    net = planted.bistable(12)
    gains = torch.ones(1, 3, 12)
    gains[0, 2, 2] = 0
    found = switches.simulated(net, planted.generators(0), Change(recurrent=gains))
    assert torch.equal(found.counts[0, 0], found.counts[0, 1])
    assert not torch.equal(found.counts[0, 0], found.counts[0, 2])
    assert found.counts[0, 0].sum() == 64 * 150


def test_held_units_keep_their_value_and_silent_noise_leaves_nothing():
    net = planted.bistable(12)
    held = torch.full((1, 2, 12), torch.nan)
    held[0, 1, 3] = 2.5
    for now in activity.walk(
        net, planted.generators(0), trajectories=4, steps=5, change=Change(held=held)
    ):
        assert (now[0, 1, :, 3] == 2.5).all()
        assert not (now[0, 0, :, 3] == 2.5).any()
    silent = Change(noise=torch.zeros(1, 1, 12))
    for now in activity.walk(net, planted.generators(0), trajectories=4, steps=5, change=silent):
        assert now.abs().max() == 0


def test_planted_kick_neurons_are_found_and_confirmed():
    kicks = found_in(planted.bistable(), QUICK)
    for (a, b), unit in planted.KICK.items():
        assert kicks.sets[0, a, b].tolist() == [unit]
        assert kicks.silenced[0, a, b] < 0.5
        assert kicks.driven[0, a, b] > 1.5
        assert kicks.confirmed[0, a, b]
        assert kicks.random[0, a, b].median() == pytest.approx(1)
    assert not kicks.confirmed[0].diagonal().any()


def test_units_that_are_not_heard_have_no_effect_at_all():
    kicks = found_in(planted.bistable(), QUICK)
    assert kicks.effects[0, 8:, 0, 1].abs().max() == 0
    assert kicks.effects[0, 2, 0, 1] < -0.3


def test_input_that_differs_before_switches_confirms_nothing():
    net = planted.bistable(push=0.0)
    before = before_switches.before_switches(net, seen(net, steps=4000))
    assert before.difference[0, 2, 0, 1].abs() > 0.2
    kicks = found_in(net, QUICK)
    assert not kicks.confirmed.any()


def test_no_kick_neurons_are_found_in_a_crowd_of_equals():
    for seed in range(3):
        kicks = found_in(planted.crowd(), Sizes(random_sets=60, tested=(64, 150)), seed=seed)
        assert kicks.tested[0, 0, 1]
        assert not kicks.confirmed.any()
        assert kicks.silenced[0, 0, 1] > 0.9
        assert kicks.p[0, 0, 1] > 1 / 61


def test_the_rule_is_tried_on_untrained_networks_too():
    sizes = Sizes(random_sets=30, ranked=(32, 100), tested=(32, 100))
    found = kick.untrained(planted.bistable(40), seeds=[0, 1], sizes=sizes)
    assert found.tested == 4
    assert len(found.silenced) == 4
    assert 0 <= found.confirmed <= 4
    assert ((found.silenced > 0) & (found.silenced < 1.2)).all()
    assert found.p(0.0) == 1 / 5
    assert found.p(10.0) == 1


def test_few_switches_are_called_too_few():
    kicks = found_in(planted.leaky(), QUICK)
    assert kicks.tested[0, 0, 1]
    net = planted.leaky()
    with torch.no_grad():
        net.Wout[0, 1] = -1
    still = found_in(net, QUICK)
    assert not still.tested.any()
    assert still.p.isnan().all()
    assert (still.sets == -1).all()
    with pytest.raises(ValueError, match="a set of 16 of 16 units"):
        found_in(net, Sizes(set_size=16))


def test_shares_of_activity_before_switches_are_by_hand():
    path = torch.zeros(1, 1, 4000, dtype=torch.int64)
    path[..., 15::40] = 1
    states = torch.zeros(1, 1, 4000, 4)
    states[..., 13::40, 1] = 1
    net = planted.built(torch.eye(4), torch.eye(4), torch.eye(4)[:2])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(before_switches, "FEWEST", 50)
        found = before_switches.before_switches(net, activity.Activity(states, path))
    assert found.active_before[0, 1, 0, 1] == 1
    assert found.active_staying[0, 1, 0, 1] == 0
    assert found.active_before[0, 2, 0, 1] == 0


def test_blocks_of_planted_weights_are_those_that_were_planted():
    W = 0.01 * torch.randn(40, 40, generator=planted.generators(0)[0])
    sides = [torch.arange(0, 3), torch.arange(3, 6)]
    pools = [torch.arange(10, 18), torch.arange(20, 28)]
    for own in (0, 1):
        W[sides[own][:, None], sides[1 - own]] -= 0.4
        W[sides[own][:, None], pools[own]] += 0.5
        W[sides[own][:, None], pools[1 - own]] -= 0.3
    found = connectivity.blocks(W, sides[0], sides[1], planted.generators(1)[0], share=16 / 40)
    np.testing.assert_allclose(found.means[0, 0, 1], -0.4, atol=0.02)
    np.testing.assert_allclose(found.means[1], [[0.5, -0.3], [-0.3, 0.5]], atol=0.02)
    assert found.populations[10:18].tolist() == [0] * 8
    assert found.populations[20:28].tolist() == [1] * 8
    assert found.p[0] < 0.01
    assert found.contrast_z[0] > 3
    assert found.shared == 0


def test_blocks_of_random_weights_are_no_further_than_chance():
    p = []
    for seed in range(30):
        generator = planted.generators(seed)[0]
        W = torch.randn(30, 30, generator=generator)
        found = connectivity.blocks(
            W, torch.arange(3), torch.arange(3, 6), generator, permutations=200
        )
        p.append(found.p.numpy())
    low = (np.array(p) < 0.05).sum(0)
    assert (low <= 6).all(), low


def test_turning_a_planted_set_down_lowers_the_rate_and_others_noise_does_not():
    net = planted.bistable(60)
    act = seen(net)
    units = torch.tensor([2])
    near, apart = interventions.projections(net.Wh[0], units)
    assert near[0]
    assert near[1]
    assert not (near & apart).any()
    assert not near[2]
    found = interventions.curves(net, act, units, (0, 1), planted.generators(0)[0], steps=150)
    assert found.trend[0] > 0.9
    assert found.rates[0, 0] < 0.5 * found.rates[0, 10]
    assert found.rates[0, 19] > 1.3 * found.rates[0, 10]
    assert found.held[0] < 0.8 * found.rates[0, 10]
    np.testing.assert_allclose(found.rates[:, 10], float(found.rates[0, 10]))
    np.testing.assert_allclose(found.occupancy.sum(-1), 1)

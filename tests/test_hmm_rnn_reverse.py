"""The whole analysis of known networks: what it finds, and what it must not find."""

import dataclasses

import numpy as np
import pytest
import torch

import planted_networks as planted
from rheobase.models.hmm_rnn import network, reverse, targets
from rheobase.models.hmm_rnn.kick import Sizes

SMALL = reverse.Settings(
    trajectories=16, steps=800, fixed_states=40, states=100, roll_outs=5, eigen_states=50,
    kick=Sizes(set_size=1, random_sets=60, ranked=(32, 100), tested=(64, 150)), untrained=2,
    sequences=64, length=40, resonance_steps=400,
)  # fmt: skip
CHAIN = targets.Target(np.array([[0.95, 0.05], [0.05, 0.95]]), np.eye(2), np.full(2, 0.5))


@pytest.fixture(scope="module")
def bistable():
    net = planted.bistable(100)
    kept = {0: net.state_dict(), 25: net.state_dict()}
    return reverse.reverse_engineer(net, CHAIN, seed=0, settings=SMALL, snapshots=kept)


def test_planted_kick_neurons_are_told(bistable):
    assert bistable.flags[0]["kick_confirmed"]
    assert bistable.arrays["kick_units"].values[0, 0, 1].tolist() == [2]
    assert any(s.startswith("Kick neurons from class 0 to class 1: silencing units 2 ")
               for s in bistable.statements[0])  # fmt: skip


def test_all_parts_are_there_as_small_arrays(bistable):
    arrays = bistable.arrays
    for name in ("decay_median", "orbit_z", "state_stay", "zone_unstable", "kick_p", "block_means",
                 "gain_rates", "sigma_volatility", "shake_cv", "training_critical",
                 "sensitivity_trace", "before_difference", "kick_untrained"):  # fmt: skip
        assert name in arrays
    assert arrays.sizes["member"] == 1
    assert all(v.dtype != np.float64 for v in arrays.data_vars.values())
    assert arrays["gain_rates"].sel(gain=1.0).values[0, 0, 1] == pytest.approx(
        float(arrays["gain_rates"].values[0, 0, 1, 0, 10])
    )
    assert np.isnan(arrays["kick_p"].values[0, 0, 0])


def test_weights_that_did_not_change_are_told_so(bistable):
    assert any("did not move in training" in s for s in bistable.statements[0])


def test_an_orbit_is_told_where_there_is_one_and_only_there():
    small = dataclasses.replace(SMALL, resonance_steps=0)
    found = reverse.reverse_engineer(planted.ring(12), CHAIN, seed=0, settings=small)
    assert found.flags[0]["noise_sustained_orbit"]
    assert "resonance" not in found.flags[0]
    assert any("Noise sustains an orbit" in s for s in found.statements[0])
    none = reverse.reverse_engineer(planted.leaky(), CHAIN, seed=0, settings=small)
    assert not none.flags[0]["noise_sustained_orbit"]
    assert any(s.startswith("No orbit was found") for s in none.statements[0])
    assert none.flags[0]["single_fixed_point"]


def test_a_network_that_does_nothing_has_nothing_to_tell():
    net = network.Emulator(12, 3, 2, seeds=[0, 1])
    with torch.no_grad():
        net.Wh.zero_()
        net.Wout[:, 1] = net.Wout[:, 0] - 10
        net.Wout[:, 0] = 1
    found = reverse.reverse_engineer(net, CHAIN, seed=0, settings=SMALL)
    for flags, said in zip(found.flags, found.statements, strict=True):
        assert flags == {"single_fixed_point": True, "noise_sustained_orbit": False,
                         "kick_confirmed": False, "resonance": False}  # fmt: skip
        assert any(s.startswith("Kick neurons were not looked for") for s in said)
        assert "Too few switches to look for a resonance." in said
    assert np.isnan(found.arrays["gain_rates"]).all()


def test_the_same_seed_finds_the_same():
    small = dataclasses.replace(SMALL, resonance_steps=0)
    first, again = (reverse.reverse_engineer(planted.bistable(20), CHAIN, seed=3, settings=small)
                    for _ in range(2))  # fmt: skip
    assert first.arrays.identical(again.arrays)
    assert first.statements == again.statements

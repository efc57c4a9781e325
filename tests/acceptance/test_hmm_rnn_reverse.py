"""Emulators emulate, and what is told of their inside is what is there."""

import numpy as np
import pytest
import torch

import planted_networks as planted
from rheobase.models.hmm_rnn import activity, emulation, kick, reverse, targets, train
from rheobase.models.hmm_rnn import orbits as turning
from rheobase.models.hmm_rnn import plane as principal
from rheobase.models.hmm_rnn import residency as stays
from rheobase.models.hmm_rnn.kick import Sizes

pytestmark = pytest.mark.slow
FAMILY = "hmm_rnn"
SEEDS = [0, 1, 2]
STEPS = 60


@pytest.fixture(scope="module")
def two_states():
    chain = targets.linear(2)
    made = train.train(chain, train.SCHEDULES["fast"], seeds=SEEDS, keep=range(0, 725, 75))
    return chain, made


@pytest.fixture(scope="module")
def three_states():
    chain = targets.full(3)
    return chain, train.train(chain, train.SCHEDULES["fast"], seeds=SEEDS)


def scores(chain, network):
    """Return the scores of each member's sequences, and shares of symbols over the chain's."""
    drawn = [torch.Generator().manual_seed(100 + seed) for seed in SEEDS]
    symbols = network.symbols_of(1024, STEPS, generators=drawn)
    told = []
    for one in symbols:
        shares = torch.bincount(one.flatten(), minlength=chain.symbols).numpy() / one.numel()
        found = emulation.emulation(
            one, chain, repeats=5, generator=torch.Generator().manual_seed(6)
        )
        values = {name: score.value for name, score in found.items()}
        ratio = shares / chain.frequencies(length=STEPS)
        told.append(values | {"rarest": float(ratio.min()), "commonest": float(ratio.max())})
    return told


def good(told, *, bigram, sinkhorn):
    """Return whether a member's scores are within all limits of the spec."""
    return (
        told["bigram"] <= bigram and told["frequency"] <= 0.03
        and told["rarest"] >= 0.5 and told["commonest"] <= 2
        and 0.8 <= told["volatility"] <= 1.25 and 0.9 <= told["sinkhorn_ratio"] <= sinkhorn
        and abs(told["excess_nats"]) <= 0.07 and 0.97 <= told["diversity"] <= 1.03
    )  # fmt: skip


def rounded(told):
    return [{name: round(value, 3) for name, value in one.items()} for one in told]


def test_networks_emulate_two_states(criterion, two_states):
    chain, made = two_states
    told = scores(chain, made.network)
    passed = [good(one, bigram=0.03, sinkhorn=1.12) for one in told]
    criterion("S1-scores", "linear chain of 2 states, fast: seeds within all limits of M1 to M8",
              "2 of 3", [sum(passed), rounded(told)], sum(passed) >= 2, 3)  # fmt: skip


def test_what_two_state_networks_do_inside(criterion, two_states):
    chain, made = two_states
    found = reverse.reverse_engineer(made.network, chain, seed=0, snapshots=made.snapshots)
    held = {name: sum(one[name] for one in found.flags) for name in found.flags[0]}
    criterion("S1-inside", "seeds with one fixed point, an orbit, kick neurons, a resonance",
              "3, 1, 1, told", held,
              held["single_fixed_point"] == 3 and held["noise_sustained_orbit"] >= 1
              and held["kick_confirmed"] >= 1, 3)  # fmt: skip


def test_networks_emulate_three_states(criterion, three_states):
    chain, made = three_states
    told = scores(chain, made.network)
    passed = [good(one, bigram=0.05, sinkhorn=1.25) for one in told]
    criterion("S2", "fully connected chain of 3 states, fast: seeds within all limits",
              "2 of 3", [sum(passed), rounded(told)], sum(passed) >= 2, 3)  # fmt: skip


def test_planted_kick_neurons_are_returned(criterion):
    size, right, confirmed = Sizes(set_size=1, tested=(96, 150)), 0, 0
    for seed in range(3):
        net, generators = planted.bistable(), planted.generators(seed)
        seen = activity.simulate(net, generators, steps=1000)
        kicks = kick.find(net, seen, generators, sizes=size)
        for (a, b), unit in planted.KICK.items():
            right += kicks.sets[0, a, b].tolist() == [unit]
            confirmed += bool(kicks.confirmed[0, a, b])
    criterion("T7", "planted kick neurons returned and confirmed, 2 directions, 3 seeds", "6, 6",
              [right, confirmed], right == 6 and confirmed == 6, 3)  # fmt: skip


def test_zones_of_two_planted_clusters(criterion):
    net = planted.clusters(30, 20)
    found = stays.residency(net, torch.eye(50)[None], planted.generators(0))
    expected = np.array([*range(30, 0, -1), *range(20, 0, -1)])
    wrong = int((found.steps[0].numpy() != expected).sum())
    zones = np.where(expected < 2, 0, np.where(expected <= 8, 1, 2))
    misplaced = int((found.zones()[0].numpy() != zones).sum())
    criterion("T8", "stays and zones that are wrong in a planted chain of two clusters", "0, 0",
              [wrong, misplaced], wrong == 0 and misplaced == 0)  # fmt: skip


def test_what_is_not_there_is_not_found(criterion):
    orbits = kicks = 0
    for seed in range(10):
        generators = planted.generators(seed)
        seen = activity.simulate(planted.leaky(), generators, steps=1000)
        turns, _ = turning.orbits(seen, principal.fit(seen.states))
        orbits += int(turns.turning.sum())
        crowd, generators = planted.crowd(), planted.generators(seed)
        seen = activity.simulate(crowd, generators, steps=1000)
        size = Sizes(random_sets=60, tested=(64, 150))
        kicks += int(kick.find(crowd, seen, generators, sizes=size).confirmed.sum())
    criterion("T7-chance", "orbits of unconnected units; kick neurons in a crowd of equals",
              "at most 1, 1", [orbits, kicks], orbits <= 1 and kicks <= 1, 10)  # fmt: skip

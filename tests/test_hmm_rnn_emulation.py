"""Scores of emulators beside those of the chain itself."""

import numpy as np
import pytest
import torch

from rheobase.models.hmm_rnn import emulation, targets

CHAIN = targets.linear(2)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def scored(symbols, repeats=6):
    return emulation.emulation(symbols, CHAIN, repeats=repeats, generator=generator(9))


def test_the_chain_s_own_sequences_score_as_the_chain():
    found = scored(CHAIN.sample(300, 30, generator=generator(0))[0])
    assert all(abs(one.z) < 6 for one in found.values())
    assert found["sinkhorn_ratio"].value == pytest.approx(1, abs=0.25)
    assert found["diversity"].value == pytest.approx(1, abs=0.05)
    assert found["volatility"].value == pytest.approx(1, abs=0.25)


def test_shuffled_sequences_are_unlikely_and_volatile():
    symbols, _ = CHAIN.sample(300, 30, generator=generator(0))
    order = torch.argsort(torch.rand(symbols.shape, generator=generator(1)), 1)
    found = scored(symbols.gather(1, order))
    assert found["excess_nats"].z > 10
    assert found["volatility"].z > 10
    assert found["run_distance"].z > 10
    assert abs(found["frequency"].z) < 6


def test_sequences_that_are_all_alike_lack_diversity():
    symbols, _ = CHAIN.sample(1, 30, generator=generator(0))
    found = scored(symbols.expand(300, -1))
    assert found["diversity"].value == 0
    assert found["sinkhorn_ratio"].value > 1.5


def test_a_symbol_s_log_likelihood_is_that_of_all_paths():
    symbols = torch.tensor([[0, 2, 1]])
    total = 0.0
    for path in np.ndindex(2, 2, 2):
        p = CHAIN.pi[path[0]] * CHAIN.A[path[0], path[1]] * CHAIN.A[path[1], path[2]]
        total += p * np.prod([CHAIN.E[k, s] for k, s in zip(path, (0, 2, 1), strict=True)])
    expected = -np.log(total) / 3
    assert emulation.negative_loglik(symbols, CHAIN) == pytest.approx(expected)


def test_runs_and_their_distance_are_those_by_hand():
    runs = emulation.run_lengths(torch.tensor([[0, 0, 1, 1, 1], [1, 0, 0, 0, 1]]), 3)
    assert [r.tolist() for r in runs] == [[2, 3], [3, 1, 1], []]
    assert emulation.wasserstein(np.array([1, 1]), np.array([3, 5])) == 3
    assert emulation.wasserstein(np.array([], int), np.array([1])) == float("inf")


def test_few_sequences_are_refused():
    with pytest.raises(ValueError, match="there are 5 sequences"):
        scored(torch.zeros(5, 10, dtype=torch.long))

"""The chains of the paper, and what they say of symbols."""

import numpy as np
import pytest
import torch

from rheobase.models.hmm_rnn import targets


def test_linear_chains_are_the_paper_s():
    stays = {2: (0.95,), 3: (1 - 0.223607, 0.552786), 4: (1 - 0.368403, 0.263194),
             5: (1 - 0.472871, 0.054258)}  # fmt: skip
    for K, expected in stays.items():
        chain = targets.linear(K)
        assert chain.A.diagonal()[: len(expected)] == pytest.approx(expected, abs=1e-6)
        assert np.prod([chain.A[k, k + 1] for k in range(K - 1)]) == pytest.approx(0.05)
        assert (chain.E[:, 1] == 0.01).all()


def test_two_states_give_the_known_bigram():
    chain = targets.linear(2)
    expected = [[0.9405, 0.01, 0.0495], [0.495, 0.01, 0.495], [0.0495, 0.01, 0.9405]]
    np.testing.assert_allclose(chain.bigram, expected, atol=5e-5)
    assert chain.volatility == pytest.approx(0.0688, abs=5e-5)
    np.testing.assert_allclose(chain.frequencies(), [0.495, 0.01, 0.495])


@pytest.mark.parametrize("chain", [targets.linear(3), targets.full(), targets.cyclic()])
def test_pairs_of_symbols_are_those_that_are_drawn(chain):
    generator = torch.Generator().manual_seed(0)
    symbols, states = chain.sample(4000, 40, generator=generator)
    found = targets.joint(symbols, (1, 3, 8), 3)
    for lag, one in zip((1, 3, 8), found, strict=True):
        np.testing.assert_allclose(one, chain.lag(lag, length=40), atol=8e-3)
    assert symbols.shape == states.shape == (4000, 40)


def test_a_beginning_is_forgotten_in_the_long_run():
    chain = targets.Target(targets.linear(2).A, targets.linear(2).E, np.array([1.0, 0.0]))
    np.testing.assert_allclose(chain.occupied(100_000), chain.stationary, atol=1e-3)
    assert chain.occupied(1)[0] == 1
    np.testing.assert_allclose(chain.lag(1, length=2), np.outer(chain.E[0], chain.A[0] @ chain.E))


@pytest.mark.parametrize(
    ("A", "E", "words"),
    [
        ([[1.0, 0.0], [0.5, 0.5]], [[1, 0], [0, 1]], "state 0 is never left"),
        ([[0.5, 0.4], [0.5, 0.5]], [[1, 0], [0, 1]], "row 0 of A"),
        ([[0.5, 0.5], [0.5, 0.5]], [[1, 0], [0.2, 0.2]], "row 1 of E"),
        ([[0.5, 0.5], [0.5, 0.5]], [[1, 0]], "give .K, K."),
        ([[1.5, -0.5], [0.5, 0.5]], [[1, 0], [0, 1]], "negative entry"),
    ],
)
def test_chains_that_are_none_are_refused(A, E, words):
    with pytest.raises(ValueError, match=words):
        targets.Target(np.array(A, float), np.array(E, float), np.array([0.5, 0.5]))


def test_lengths_follow_from_stays():
    assert [targets.length(d) for d in (2, 20, 80)] == [30, 100, 150]
    with pytest.raises(ValueError, match="take 5 or fewer"):
        targets.linear(6)

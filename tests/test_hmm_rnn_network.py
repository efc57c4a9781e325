"""The emulating network and its losses."""

import numpy as np
import pytest
import torch

from rheobase.models.hmm_rnn import losses, network, targets
from rheobase.models.hmm_rnn.network import Emulator


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_states_are_those_of_the_equation():
    net = Emulator(5, 2, 3, seeds=[0, 1])
    x = network.drawn_noise(generators(0, 1), (4, 6, 2))
    found = net.states(x).detach().numpy()
    Win, Wh = (w.detach().numpy() for w in (net.Win, net.Wh))
    for m in range(2):
        h = np.zeros((4, 5))
        for t in range(6):
            h = np.maximum(h @ Wh[m].T + x[m, :, t].numpy() @ Win[m].T, 0)
            np.testing.assert_allclose(found[m, :, t], h, atol=1e-6)


def test_twice_the_noise_is_exactly_twice_the_state():
    net = Emulator(16, 4, 3, seeds=[0])
    x = network.drawn_noise(generators(0), (8, 50, 4))
    assert torch.equal(net.states(2 * x), 2 * net.states(x))


def test_nothing_stays_nothing():
    net = Emulator(16, 4, 3, seeds=[0])
    assert net.states(torch.zeros(1, 2, 10, 4)).abs().max() == 0


def test_members_are_what_they_are_alone():
    both = Emulator(8, 2, 3, seeds=[3, 7])
    alone = Emulator(8, 2, 3, seeds=[7])
    torch.testing.assert_close(both.Wh[1], alone.Wh[0])
    x = network.drawn_noise(generators(1, 2), (5, 20, 2))
    torch.testing.assert_close(both(x)[1:], alone(x[1:]))


def test_draws_follow_the_softmax_and_have_slopes():
    logits = torch.tensor([0.0, 1.0, -1.0]).expand(1, 20000, 1, 3).clone().requires_grad_()
    drawn = network.gumbel(logits, generators(0))
    assert set(drawn.detach().round(decimals=5).flatten().tolist()) == {0.0, 1.0}
    np.testing.assert_allclose(drawn.detach().mean((0, 1, 2)), logits[0, 0, 0].detach().softmax(-1),
                               atol=0.01)  # fmt: skip
    drawn[..., 0].sum().backward()
    assert logits.grad is not None
    assert logits.grad[..., 0].sum() > 0 > logits.grad[..., 1].sum()


def test_moments_are_least_for_the_chain_s_own_sequences():
    chain = targets.linear(3)
    moments = losses.Moments.of(chain, 30)
    symbols, _ = chain.sample(3000, 30, generator=generators(0)[0])
    one = torch.nn.functional.one_hot(symbols, 3).float()[None]
    shuffled = one[:, :, torch.randperm(30, generator=generators(1)[0])]
    assert moments.loss(one).item() < 2e-3 < 0.1 * moments.loss(shuffled).item()
    assert moments.lags == (1, 2, 3, 4, 6, 8, 12, 16, 24)


def test_rare_symbols_weigh_more():
    chain = targets.linear(2)
    moments = losses.Moments.of(chain, 20)
    held = moments.frequencies.log().expand(1, 1, 1, 3)
    assert moments.rare(held).item() == pytest.approx(0, abs=1e-10)
    lost = torch.tensor([0.5, 1e-6, 0.5]).log().expand(1, 1, 1, 3)
    moved = torch.tensor([0.485, 0.01, 0.505]).log().expand(1, 1, 1, 3)
    assert moments.rare(lost) > 10 * moments.rare(moved)


def test_divergence_has_a_slope_for_every_member():
    chain = targets.linear(2)
    net = Emulator(8, 2, 3, seeds=[0, 1])
    drawn = network.gumbel(
        net(network.drawn_noise(generators(0, 1), (12, 10, 2))), generators(2, 3)
    )
    symbols, _ = chain.sample(24, 10, generator=generators(4)[0])
    wanted = torch.nn.functional.one_hot(symbols, 3).float().view(2, 12, 10, 3)
    found = losses.divergence(drawn, wanted)
    found.sum().backward()
    assert found.shape == (2,)
    for weights in net.parameters():
        assert weights.grad is not None
        assert (weights.grad.flatten(1).norm(dim=1) > 0).all()


@pytest.mark.parametrize("given", [(2, 2, 3), (8, 0, 3)])
def test_networks_that_cannot_be_are_refused(given):
    with pytest.raises(ValueError, match="noise must be 1 or more"):
        Emulator(*given, seeds=[0])
    with pytest.raises(ValueError, match="tau is 0"):
        network.gumbel(torch.zeros(1, 1, 1, 2), generators(0), tau=0)

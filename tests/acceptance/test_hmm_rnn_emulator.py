"""The losses and the network of emulators are what their equations say."""

import numpy as np
import pytest
import torch

from rheobase.models.hmm_rnn import network, targets
from rheobase.models.hmm_rnn.network import Emulator
from rheobase.models.hmm_rnn.sinkhorn import one_hot_diameter, sinkhorn_divergence

pytestmark = pytest.mark.slow
FAMILY = "hmm_rnn"


def clouds(count, length):
    generator = torch.Generator().manual_seed(0)
    drawn = [targets.linear(2).sample(count, length, generator=generator)[0] for _ in range(2)]
    return [torch.nn.functional.one_hot(s, 3).float().flatten(1)[None] for s in drawn]


def test_the_divergence_is_the_peer_s(criterion):
    geomloss = pytest.importorskip("geomloss")
    x, y = clouds(1024, 100)
    diameter = one_hot_diameter(100)
    peer = geomloss.SamplesLoss("sinkhorn", p=2, blur=0.2, scaling=0.5, debias=True,
                                diameter=diameter, backend="tensorized")  # fmt: skip
    mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    found, expected = sinkhorn_divergence(mine, y, diam=diameter).sum(), peer(theirs, y).sum()
    found.backward()
    expected.backward()
    assert mine.grad is not None
    assert theirs.grad is not None
    value = abs(found.item() / expected.item() - 1)
    slope = float((mine.grad - theirs.grad).norm() / theirs.grad.norm())
    criterion("T4-peer", "value and slope beside geomloss, relative, n = 1024, L = 100, float32",
              "1e-5, 1e-4", [float(f"{v:.1e}") for v in (value, slope)],
              value <= 1e-5 and slope <= 1e-4)  # fmt: skip


def test_the_divergence_of_a_cloud_with_itself(criterion):
    x, y = (c.double() for c in clouds(64, 20))
    own = abs(sinkhorn_divergence(x, x).item())
    turned = abs(sinkhorn_divergence(x, y).item() / sinkhorn_divergence(y, x).item() - 1)
    told = [float(f"{v:.1e}") for v in (own, turned)]
    criterion("T4-self", "divergence from itself; order, relative", "1e-5, 1e-9", told,
              own <= 1e-5 and turned <= 1e-9)  # fmt: skip


def test_the_network_is_homogeneous_and_rests(criterion):
    net = Emulator(150, 100, 3, seeds=[0])
    x = network.drawn_noise([torch.Generator().manual_seed(1)], (32, 100, 100))
    doubled = torch.equal(net.states(2 * x), 2 * net.states(x))
    still = float(net.states(torch.zeros_like(x)).detach().abs().max())
    criterion("T5", "twice the noise is twice the state, bit for bit; state without noise",
              "True, 0", [doubled, still], doubled and still == 0)  # fmt: skip


def test_pairs_of_symbols_are_exact(criterion):
    worst = 0.0
    for chain in (*(targets.linear(K) for K in (2, 3, 4, 5)), targets.full(), targets.cyclic()):
        generator = torch.Generator().manual_seed(0)
        symbols, _ = chain.sample(20_000, 100, generator=generator)
        found = targets.joint(symbols, (1, 4, 16, 48), chain.symbols).numpy()
        exact = np.stack([chain.lag(lag, length=100) for lag in (1, 4, 16, 48)])
        worst = max(worst, float(np.abs(found - exact).max()))
    criterion("T6", "pairs at lags 1 to 48 beside 2e6 drawn symbols, six chains", "3e-3",
              round(worst, 5), worst <= 3e-3)  # fmt: skip

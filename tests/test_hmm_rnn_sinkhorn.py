"""The Sinkhorn divergence, against a dense solution, differences and a peer."""

from typing import Any

import numpy as np
import pytest
import torch

from rheobase.models.hmm_rnn.sinkhorn import annealed, one_hot_diameter, sinkhorn_divergence


def sequences(count, length, seed, *, soft=False):
    """Return flattened one-hot sequences, or soft ones, (1, count, 3 length) float64."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn((count, length, 3), generator=generator, dtype=torch.float64)
    hard = torch.nn.functional.one_hot(logits.argmax(-1), 3).double()
    return (logits.softmax(-1) if soft else hard).flatten(1)[None]


def transported(x, y, eps, rounds=1000):
    """Return the entropic cost of transport by plain alternating updates."""
    cost = ((x[:, None] - y[None]) ** 2).sum(-1) / 2
    f, g = np.zeros(len(x)), np.zeros(len(y))

    def soft(values, axis):
        top = values.max(axis=axis, keepdims=True)
        return np.log(np.exp(values - top).mean(axis=axis)) + top.squeeze(axis)

    for _ in range(rounds):
        f = -eps * soft((g[None] - cost) / eps, 1)
        g = -eps * soft((f[:, None] - cost) / eps, 0)
    return f.mean() + g.mean()


def test_the_divergence_is_that_of_the_dense_solution():
    x, y = (sequences(64, 6, seed, soft=True) for seed in (0, 1))
    a, b = x[0].numpy(), y[0].numpy()
    expected = transported(a, b, 0.04) - (transported(a, a, 0.04) + transported(b, b, 0.04)) / 2
    found = sinkhorn_divergence(x, y, scaling=0.9).item()
    assert found == pytest.approx(expected, rel=2e-2)
    finer = sinkhorn_divergence(x, y, scaling=0.99).item()
    assert abs(finer - expected) < abs(found - expected) + 1e-6


def test_a_cloud_is_at_no_distance_from_itself_and_order_does_not_matter():
    x, y = sequences(40, 8, 0), sequences(40, 8, 1)
    assert abs(sinkhorn_divergence(x, x).item()) < 1e-5
    assert sinkhorn_divergence(x, y).item() == pytest.approx(sinkhorn_divergence(y, x).item())
    assert sinkhorn_divergence(x, y).item() > 0


def test_slopes_are_those_of_differences():
    x, y = sequences(16, 4, 0, soft=True), sequences(16, 4, 1, soft=True)
    moving = x.clone().requires_grad_()
    given: dict[str, Any] = {"blur": 1.0, "scaling": 0.99, "diam": 4.0}
    sinkhorn_divergence(moving, y, **given, need_yy=False).sum().backward()
    assert moving.grad is not None
    for i, j in ((0, 0), (3, 5), (9, 7)):
        step = torch.zeros_like(x)
        step[0, i, j] = 1e-3
        up, down = (sinkhorn_divergence(x + s * step, y, **given).item() for s in (1, -1))
        assert moving.grad[0, i, j].item() == pytest.approx((up - down) / 2e-3, rel=1e-2)


def test_values_and_slopes_are_geomloss_s():
    geomloss = pytest.importorskip("geomloss")
    x, y = sequences(96, 20, 0), sequences(96, 20, 1)
    diameter = one_hot_diameter(20)
    peer = geomloss.SamplesLoss("sinkhorn", p=2, blur=0.2, scaling=0.5, debias=True,
                                diameter=diameter, backend="tensorized")  # fmt: skip
    mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    value = sinkhorn_divergence(mine, y, diam=diameter).sum()
    expected = peer(theirs, y).sum()
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    value.backward()
    expected.backward()
    assert mine.grad is not None
    assert theirs.grad is not None
    assert (mine.grad - theirs.grad).norm() < 1e-4 * theirs.grad.norm()


def test_groups_are_solved_apart_and_the_part_of_y_has_no_slope():
    x, y = (torch.cat([sequences(20, 5, s), sequences(20, 5, s + 10)]) for s in (0, 1))
    both = sinkhorn_divergence(x, y, diam=4.0)
    for g in range(2):
        alone = sinkhorn_divergence(x[g : g + 1], y[g : g + 1], diam=4.0)
        torch.testing.assert_close(both[g], alone[0])
    slopes = []
    for need in (True, False):
        moving = x.clone().requires_grad_()
        sinkhorn_divergence(moving, y, diam=4.0, need_yy=need).sum().backward()
        slopes.append(moving.grad)
    torch.testing.assert_close(slopes[0], slopes[1])


def test_entropy_falls_from_the_diameter_to_the_blur():
    steps = annealed(8.0, 0.2, 0.5)
    assert steps[0] == 64
    assert steps[-1] == pytest.approx(0.04)
    assert all(a >= b for a, b in zip(steps[:-1], steps[1:], strict=True))


@pytest.mark.parametrize("given", [{"blur": 0.0}, {"scaling": 1.0}])
def test_impossible_settings_are_refused(given):
    with pytest.raises(ValueError, match="must be above 0"):
        sinkhorn_divergence(torch.zeros(1, 4, 2), torch.ones(1, 4, 2), **given)

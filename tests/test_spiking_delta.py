"""Delta layers: equal sums, whole steps, the gradient of a learned step size, fewer differences."""

import pytest
import torch

from rheobase.models.spiking import delta


def test_what_accumulates_equals_the_whole_product():
    drawn = torch.Generator().manual_seed(0)
    layer = delta.Delta()
    y, k = layer(torch.randn(2500, 3, 8, generator=drawn).cumsum(0).mul(0.1))
    weight = torch.randn(5, 8, generator=drawn)
    whole = y @ weight.T
    apart = (delta.accumulated(y, weight) - whole).abs().max()
    assert apart < 1e-4 * whole.abs().max()
    torch.testing.assert_close(k, k.round())


def test_step_is_learned_as_the_rounding_error_says():
    layer = delta.Delta(step=0.3)
    a = torch.tensor([[0.2], [1.0], [0.44]], requires_grad=True)
    y, _ = layer(a)
    y.sum().backward()
    ratio = a.detach() / 0.3
    assert layer.level.grad is not None
    slope = torch.sigmoid(layer.level.detach())
    assert float(layer.level.grad) == pytest.approx(float((ratio.round() - ratio).sum() * slope),
                                                    rel=1e-4)  # fmt: skip
    torch.testing.assert_close(a.grad, torch.ones(3, 1))


def test_penalty_on_counts_enlarges_the_step():
    layer = delta.Delta()
    activations = torch.randn(200, 4, 6, generator=torch.Generator().manual_seed(0)).cumsum(0)
    sgd = torch.optim.SGD(layer.parameters(), lr=0.05)
    before = delta.changed(layer(activations)[1].detach())
    for _ in range(50):
        sgd.zero_grad()
        delta.penalty(layer(activations)[1]).backward()
        sgd.step()
    assert float(layer.step.detach()) > 0.2
    assert delta.changed(layer(activations)[1].detach()) < before


def test_penalty_and_share_leave_out_the_first_step():
    k = torch.tensor([[5.0, 1.0], [5.0, 3.0], [5.0, 3.0]])
    assert float(delta.penalty(k)) == 0.5
    assert delta.changed(k) == 0.25


def test_a_step_must_be_above_0():
    with pytest.raises(ValueError, match="step is 0"):
        delta.Delta(step=0)

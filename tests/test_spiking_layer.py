"""The fast layer equals the step-by-step equations, in spikes, gradients and memory."""

from typing import Any

import pytest
import torch

from rheobase.models.spiking import layer, reference
from rheobase.models.spiking.cells import Cell, decay
from rheobase.models.spiking.layer import run
from rheobase.models.spiking.surrogate import SURROGATES

STEPS, EXAMPLES, INPUTS, UNITS = 23, 5, 7, 6
CELLS = {
    "delayed": Cell(),
    "subtract": Cell(reset="subtract"),
    "zero": Cell(reset="zero", rest=-0.2),
    "none": Cell(reset="none"),
    "theta": Cell(theta=0.7),
    "synapse": Cell(synapse=0.6),
    "adaptive": Cell(kappa=0.4),
    "adaptive, slow synapse, to zero": Cell(kappa=0.4, synapse=0.5, reset="zero"),
    **{
        f"{reset}, reset in the gradient": Cell(reset=reset, detach_reset=False)
        for reset in ("delayed", "subtract", "zero")
    },
    **{name: Cell(surrogate=name) for name in SURROGATES},
}


def weights(
    seed=0, *, dtype=torch.float64, recurrent=False, inputs=INPUTS, units=UNITS
) -> list[Any]:  # fmt: skip
    drawn = torch.Generator().manual_seed(seed)
    given = (torch.rand(STEPS, EXAMPLES, inputs, generator=drawn) < 0.3).to(dtype)
    weight = torch.randn(units, inputs, generator=drawn, dtype=dtype)
    bias = 0.1 * torch.randn(units, generator=drawn, dtype=dtype)
    beta = 0.7 + 0.25 * torch.rand(units, generator=drawn, dtype=dtype)
    back = 0.5 * torch.randn(units, units, generator=drawn, dtype=dtype) if recurrent else None
    leaves = [given, weight, bias, beta, back]
    return [one if one is None else one.requires_grad_() for one in leaves]


def slopes(function, leaves, cell):
    given, weight, bias, beta, back = leaves
    found = function(given, weight, bias, beta=beta, cell=cell, recurrent=back)
    spikes, membrane = found[0], found[1]
    asked = torch.linspace(-1, 1, spikes.numel(), dtype=spikes.dtype).sin().view_as(spikes)
    wanted = [one for one in leaves if one is not None]
    return spikes, membrane, torch.autograd.grad((spikes * asked).sum(), wanted)


@pytest.mark.parametrize("recurrent", [False, True], ids=["", "recurrent"])
@pytest.mark.parametrize("chunk", [1000, layer.CHUNK_BYTES])
@pytest.mark.parametrize("name", CELLS)
def test_layer_equals_the_plain_loop(name, chunk, recurrent, monkeypatch):
    monkeypatch.setattr(layer, "CHUNK_BYTES", chunk)
    leaves = weights(recurrent=recurrent)
    spikes, membrane, fast = slopes(run, leaves, CELLS[name])
    expected, slow_membrane, slow = slopes(reference.simulate, leaves, CELLS[name])
    assert 0.02 < expected.mean() < 0.9
    assert torch.equal(spikes, expected)
    torch.testing.assert_close(membrane, slow_membrane, rtol=1e-12, atol=1e-12)
    for ours, theirs in zip(fast, slow, strict=True):
        assert theirs.abs().max() > 0
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


def test_two_layers_pass_gradients_through_spikes():
    given, first, bias, beta, _ = weights()
    _, second, _, _, _ = weights(1, inputs=UNITS, units=3)
    top = run(run(given, first, bias, beta=beta, cell=Cell()), second, beta=0.9, cell=Cell())
    below, _ = reference.simulate(given, first, bias, beta, Cell())
    expected, _ = reference.simulate(below, second, None, 0.9, Cell())
    assert torch.equal(top.values, expected)
    leaves = (given, first, bias, beta, second)
    for ours, theirs in zip(
        torch.autograd.grad(top.values.sum(), leaves),
        torch.autograd.grad(expected.sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


def test_linear_part_passes_gradcheck():
    """Below threshold nothing is a step: the membrane's slope is the surrogate's, exactly."""

    def soft(given, weight, beta):
        class Soft(Cell):
            def fire(self, h, threshold, out=None):
                value = torch.atan(torch.pi * (h - threshold)) / torch.pi + 0.5
                return value if out is None else out.copy_(value)

        return run(given, weight, beta=beta, cell=Soft(reset="none")).values

    given, weight, _, beta, _ = weights()
    small = given[:6, :2].detach().requires_grad_()
    assert torch.autograd.gradcheck(soft, (small, weight, beta))


def test_float32_spikes_are_those_of_float64():
    doubles = [one.detach() for one in weights()[:4]]
    singles = [one.float() for one in doubles]
    ours = run(singles[0], singles[1], singles[2], beta=singles[3], cell=Cell()).values
    theirs = reference.simulate(doubles[0], doubles[1], doubles[2], doubles[3], Cell())[0]
    assert (ours == theirs).float().mean() > 0.9999


def kept_bytes(given, *layers):
    """Return the bytes that autograd keeps for the backward pass, weights and input aside."""
    known = {given.untyped_storage().data_ptr()}
    known |= {one.untyped_storage().data_ptr() for pair in layers for one in pair}
    held = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        passed = given
        for weight, bias in layers:
            passed = run(passed, weight, bias, beta=0.9, cell=Cell())
        passed.values.mean().backward()
    return sum(held.values())


def test_a_layer_keeps_little_more_than_its_membranes():
    given = torch.rand(50, 8, 16)
    shapes = ((64, 16), (64, 64), (64, 64))
    layers = [(torch.randn(s).requires_grad_(), torch.zeros(s[0]).requires_grad_()) for s in shapes]
    assert kept_bytes(given, *layers) <= 1.2 * 3 * 50 * 8 * 64 * 4


def test_fast_products_of_few_spikes_change_only_the_order_of_sums():
    drawn = torch.Generator().manual_seed(0)
    given = (torch.rand(40, 8, 200, generator=drawn) < 0.02).float()
    weight = torch.randn(100, 200, generator=drawn).requires_grad_()
    found = []
    for precision in ("exact", "fast"):
        spikes, membrane, _, _ = run(given, weight, beta=0.9, cell=Cell(), precision=precision)
        found.append((membrane, torch.autograd.grad(spikes.sum(), weight)[0]))
    for exact, fast in zip(*found, strict=True):
        assert torch.allclose(exact, fast, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rate", [0.02, 0.5])
def test_bfloat16_products_err_by_no_more_than_is_stated(rate, monkeypatch):
    from rheobase.models.spiking import product

    monkeypatch.setattr(product, "quick_bfloat16", lambda device: True)
    monkeypatch.setattr(product, "FORWARD_SPARSE", 0.0)
    drawn = torch.Generator().manual_seed(0)
    given = (torch.rand(300, 64, generator=drawn) < rate).float()
    weight = torch.randn(50, 64, generator=drawn)
    exact, fast = torch.empty(300, 50), torch.empty(300, 50)
    product.project(given, weight, None, exact, product.Way("exact", given.device))
    product.project(given, weight, None, fast, product.Way("fast", given.device))
    bound = 2**-7 * (given @ weight.abs().T)
    assert ((exact - fast).abs() <= bound + 1e-6).all()
    assert not torch.equal(exact, fast)


def test_a_decay_follows_the_width_of_a_step():
    assert decay(0.04, 0.008) == pytest.approx(decay(0.04, 0.004) ** 2)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"theta": 0.0}, "threshold must be above 0"),
        ({"reset": "soft"}, "reset is 'soft'"),
        ({"surrogate": "step"}, "surrogate is 'step'"),
        ({"rho": 1.0}, "rho is 1.0"),
        ({"kappa": -1.0}, "kappa is -1.0"),
        ({"width": 0.0}, "width is 0.0"),
    ],
)
def test_impossible_cells_are_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        Cell(**wrong)


@pytest.mark.parametrize("seed", range(3))
def test_spikes_and_gradients_are_those_of_snntorch(seed):
    snntorch = pytest.importorskip("snntorch", reason="the peer snntorch is not installed")
    given, weight, bias, _, _ = weights(seed, dtype=torch.float32)
    grid = [torch.round(one.detach() * 1024) / 1024 for one in (weight, bias)]
    weight, bias = (one.requires_grad_() for one in grid)
    neuron = snntorch.Leaky(beta=0.9, spike_grad=snntorch.surrogate.atan(alpha=2.0))
    state, told = neuron.reset_mem(), []
    for step in given:
        spikes, state = neuron(torch.nn.functional.linear(step, weight, bias), state)
        told.append(spikes)
    theirs = torch.stack(told)
    ours = run(given, weight, bias, beta=0.9, cell=Cell()).values
    assert torch.equal(ours, theirs)
    asked = torch.linspace(-1, 1, ours.numel()).view_as(ours)
    for a, b in zip(
        torch.autograd.grad((ours * asked).sum(), (given, weight, bias)),
        torch.autograd.grad((theirs * asked).sum(), (given, weight, bias)),
        strict=True,
    ):
        assert (a - b).norm() <= 1e-5 * b.norm()

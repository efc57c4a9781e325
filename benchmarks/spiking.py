"""Spiking layers beside snnTorch, SpikingJelly, norse and the plain loop, forward and backward.

64 examples of 200 steps; leaky units that reset one step later, decay 0.9, atan slopes, in every
layer; the loss is the cross-entropy of spike counts. Weights are multiples of 2^-10 and inputs 0 or
1, so that sums are exact in any order and spikes can be compared bit for bit. SpikingJelly resets
in the same step, and so do ours beside it. norse has another neuron: with it only the input is
equal. ``python -m benchmarks.spiking`` prints where the time of a step goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.harness import Case, Equal, Peer, Row, measure
from benchmarks.processes import Call

STEPS, EXAMPLES, BETA, INPUT_RATE = 200, 64, 0.9, 0.1
SIZES = {"64-256-10": (64, 256, 10), "256-1024-1024-20": (256, 1024, 1024, 20)}
GAINS = {"usual": 1.5, "sparse": 0.7}
"""Weights over those of variance 1 / inputs; ``sparse`` leaves hidden units at 2 to 5 %"""
REPEATS = {"64-256-10": 7, "256-1024-1024-20": 3}
PEERS = {
    "the plain loop": ("torch", "looped"), "snnTorch": ("snntorch", "snntorch"),
    "SpikingJelly": ("spikingjelly", "spikingjelly"), "norse": ("norse", "norse"),
}  # fmt: skip


def rows() -> Iterator[Row]:
    """Yield both nets beside every peer, then the large one with few spikes and ``fast``."""
    for net in SIZES:
        for name, (package, how) in PEERS.items():
            yield measure(case(net, "usual", "exact", name, package, how))
    for gain in GAINS:
        name, (package, how) = "snnTorch", PEERS["snnTorch"]
        yield measure(case("256-1024-1024-20", gain, "fast", name, package, how))
    yield measure(case("256-1024-1024-20", "sparse", "exact", "snnTorch", *PEERS["snnTorch"]))


def case(net: str, gain: str, precision: str, name: str, package: str, how: str) -> Case:
    """Return one net beside one peer."""
    same = how != "norse"
    equal = Equal("spikes", 0.0) if same else Equal("the input alone", 0.0)
    task = {"net": net, "gain": gain, "compared": "spikes" if same else "input"}
    reset = "subtract" if how == "spikingjelly" else "delayed"
    ours = call("ours", precision=precision, reset=reset, **task)
    title = f"{net}, {gain} weights, {precision}"
    peer = Peer(name, package, call("peer", how=how, **task))
    return Case(title, ours, peer, equal, repeats=REPEATS[net])


def call(name: str, **arguments: Any) -> Call:
    """Return the call of a function of this module."""
    return Call(f"benchmarks.spiking:{name}", arguments)


def task(net: str, gain: str) -> tuple[Any, list[Any], Any]:
    """Return events (step, example, input), weights (unit, input) a layer, and classes."""
    import torch

    torch.set_num_threads(1)
    sizes, drawn = SIZES[net], torch.Generator().manual_seed(0)
    events = (torch.rand(STEPS, EXAMPLES, sizes[0], generator=drawn) < INPUT_RATE).float()
    weights = []
    for inputs, units in zip(sizes[:-1], sizes[1:], strict=True):
        wide = GAINS[gain] * (3 / inputs) ** 0.5 * torch.randn(units, inputs, generator=drawn)
        weights.append((torch.round(wide * 1024) / 1024).requires_grad_())
    return events, weights, torch.randint(sizes[-1], (EXAMPLES,), generator=drawn)


def repeated(forward: Callable[[], Any], given: tuple[Any, list[Any], Any], compared: str) -> Any:
    """Return a function that runs forward and backward and gives what is compared."""
    import torch

    events, weights, classes = given

    def run() -> Callable[[], Any]:
        for weight in weights:
            weight.grad = None
        spikes = forward()
        torch.nn.functional.cross_entropy(spikes.sum(0), classes).backward()
        shown = spikes.detach() if compared == "spikes" else events
        return lambda: {
            "compared": shown.numpy().astype(np.float32),
            "_rate": float(spikes.detach().mean()),
        }

    return run


def ours(
    *, net: str, gain: str, precision: Any, compared: str, reset: Any = "delayed"
) -> Callable[[], Any]:
    """Return a step of training of our layers."""
    from rheobase.models.spiking.cells import Cell
    from rheobase.models.spiking.layer import run

    given, cell = task(net, gain), Cell(reset=reset)

    def forward() -> Any:
        passed: Any = given[0]
        for weight in given[1]:
            passed = run(passed, weight, beta=BETA, cell=cell, precision=precision)
        return passed.values

    return repeated(forward, given, compared)


def peer(*, net: str, gain: str, how: str, compared: str) -> Callable[[], Any]:
    """Return a step of training of a peer's layers, as its users write it."""
    given = task(net, gain)
    make = {"looped": looped, "snntorch": snntorch, "spikingjelly": spikingjelly, "norse": norse}
    return repeated(make[how](given[0], given[1]), given, compared)


def looped(events: Any, weights: list[Any]) -> Callable[[], Any]:
    """Return our equations step by step, left to autograd."""
    from rheobase.models.spiking.cells import Cell
    from rheobase.models.spiking.reference import simulate

    def forward() -> Any:
        passed = events
        for weight in weights:
            passed = simulate(passed, weight, None, BETA, Cell())[0]
        return passed

    return forward


def snntorch(events: Any, weights: list[Any]) -> Callable[[], Any]:
    """Return snnTorch's Leaky, its loop over steps outside."""
    import torch
    from snntorch import Leaky, surrogate

    cells = [Leaky(beta=BETA, spike_grad=surrogate.atan(alpha=2.0)) for _ in weights]

    def forward() -> Any:
        states, told = [cell.reset_mem() for cell in cells], []
        for passed in events:
            for place, (cell, weight) in enumerate(zip(cells, weights, strict=True)):
                passed, states[place] = cell(
                    torch.nn.functional.linear(passed, weight), states[place]
                )
            told.append(passed)
        return torch.stack(told)

    return forward


def spikingjelly(events: Any, weights: list[Any]) -> Callable[[], Any]:
    """Return SpikingJelly's LIFNode in its multi-step mode, products of all steps at once."""
    import torch
    from spikingjelly.activation_based import functional, neuron, surrogate

    cells = [
        neuron.LIFNode(tau=1 / (1 - BETA), decay_input=False, v_reset=None, detach_reset=True,
                       step_mode="m", surrogate_function=surrogate.ATan(alpha=2.0))
        for _ in weights
    ]  # fmt: skip

    def forward() -> Any:
        passed = events
        for cell, weight in zip(cells, weights, strict=True):
            functional.reset_net(cell)
            passed = cell(torch.nn.functional.linear(passed, weight))
        return passed

    return forward


def norse(events: Any, weights: list[Any]) -> Callable[[], Any]:
    """Return norse's LIFBox (no synaptic current) over sequences, one layer after the other."""
    import torch
    from norse.torch import LIFBoxCell, LIFBoxParameters

    leak = LIFBoxParameters(tau_mem_inv=torch.tensor(100.0))
    cells = [LIFBoxCell(leak, dt=0.001) for _ in weights]

    def forward() -> Any:
        passed = events
        for cell, weight in zip(cells, weights, strict=True):
            drive, state, told = torch.nn.functional.linear(passed, weight) / 0.1, None, []
            for now in drive:
                spikes, state = cell(now, state)
                told.append(spikes)
            passed = torch.stack(told)
        return passed

    return forward


def shares(net: str) -> dict[str, float]:
    """Return the share of CPU time of each kind of operation in one step of ours."""
    from torch.profiler import ProfilerActivity, profile

    run = ours(net=net, gain="usual", precision="exact", compared="input")
    run()
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        run()
    kinds = {
        "products": ("mm", "addmm", "addmm_"),
        "spikes": ("gt",),
        "membranes": ("mul", "add_", "sub_"),
        "slopes": ("sub", "mul_", "reciprocal_", "pow_"),
    }
    spent = {e.key.removeprefix("aten::"): e.self_cpu_time_total for e in seen.key_averages()}
    whole = sum(spent.values())
    told = {kind: sum(spent.get(n, 0) for n in names) / whole for kind, names in kinds.items()}
    return {**told, "the rest": 1 - sum(told.values())}


if __name__ == "__main__":
    for _net in SIZES:
        print(_net, {kind: f"{share:.0%}" for kind, share in shares(_net).items()})

"""What an answer costs: spikes, synaptic operations, and an estimate of energy.

The estimate uses the usual numbers of a 45 nm process (Horowitz 2014): 0.9 pJ to add two 32-bit
numbers, 4.6 pJ to multiply and add. It is an estimate, not a measurement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

ADD_PJ, MULTIPLY_ADD_PJ = 0.9, 4.6


@dataclass(frozen=True)
class Cost:
    """Means over examples of one answer."""

    spikes: float
    """Of hidden units"""
    operations: float
    """Synaptic operations: every spike or event counts once for each of its targets"""
    multiplied: float
    """Multiply-adds of a first layer whose inputs are real numbers"""
    dense: float
    """Multiply-adds of the same network if every step multiplied everything"""
    energy_pj: float
    energy_with_leak_pj: float
    """The same with one multiply-add a neuron and step for the leak"""


def of_answers(
    events: Tensor, spikes: Sequence[Tensor], fan_out: Sequence[int], *,
    stop: Tensor | None = None, real_inputs: bool = False,
) -> Cost:  # fmt: skip
    """Return the cost of answers; ``stop`` (example,) is the number of steps until each.

    Arrays are (step, example, unit). Events of more than 1 count as often. ``real_inputs``: the
    first layer multiplies (currents instead of events), all its weights at every step.
    """
    sent = [events.abs().sum(2), *(layer.sum(2) for layer in spikes)]
    sizes = [events.shape[2], *(layer.shape[2] for layer in spikes)]
    return of_sums(
        torch.stack([one.cpu() for one in sent]), sizes, fan_out, stop=stop, real_inputs=real_inputs
    )


def of_sums(
    sent: Tensor, sizes: Sequence[int], fan_out: Sequence[int], *, stop: Tensor | None = None,
    real_inputs: bool = False,
) -> Cost:  # fmt: skip
    """Return the cost from how much each layer sent, (layer, step, example), the input first.

    ``sizes`` are the units of those layers; the rest as in ``of_answers``.
    """
    _, length, examples = sent.shape
    stop = torch.full((examples,), length) if stop is None else stop.cpu()
    ran = torch.arange(length)[:, None] < stop
    used = [float((layer * ran).sum()) / examples for layer in sent]
    steps = float(stop.double().mean())
    first = 1 if real_inputs else 0
    operations = sum(u * f for u, f in zip(used[first:], fan_out[first:], strict=True))
    dense = length * sum(i * o for i, o in zip(sizes, fan_out, strict=True))
    multiplied = steps * sizes[0] * fan_out[0] if real_inputs else 0.0
    energy = ADD_PJ * operations + MULTIPLY_ADD_PJ * multiplied
    leak = MULTIPLY_ADD_PJ * steps * sum(fan_out)
    return Cost(sum(used[1:]), operations, multiplied, float(dense), energy, energy + leak)


def network_energy(multiply_adds: float) -> float:
    """Return the estimate for a network without spikes, pJ: its own count, once, not every step."""
    return MULTIPLY_ADD_PJ * multiply_adds


def dense_multiply_adds(sizes: Sequence[int]) -> int:
    """Return the multiply-adds of one pass through dense layers of these sizes."""
    return sum(i * o for i, o in zip(sizes[:-1], sizes[1:], strict=True))

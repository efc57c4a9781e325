"""A whole spiking layer as one function of autograd: products of many steps, then the membranes.

The sequence is cut into chunks of steps that fit the cache. Forward: one product for a chunk, then
the recursion of ``cells`` in place. Backward, from the last chunk to the first: surrogates of the
chunk at once, the recursion in place, then products for weights and inputs. Only membranes are
kept: spikes of the layer below are found again from its membranes. Nothing waits for a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rheobase.models.spiking.cells import Cell
from rheobase.models.spiking.product import Precision, Way, add_weight_gradient, back, project
from rheobase.models.spiking.sweep import Backward, Forward

CHUNK_BYTES = 1 << 21
"""Size of one chunk of membranes; chosen here for a cache of 1 to 2 MB a core."""


class Spikes(NamedTuple):
    """What a layer hands on."""

    values: Tensor
    """(step, example, unit), 0 or 1"""
    membrane: Tensor
    """(step, example, unit)"""
    threshold: Tensor | None
    """(step, example, unit) where it adapts, else None"""
    cell: Cell


@dataclass(frozen=True)
class _Plan:
    cell: Cell
    below: Cell | None
    precision: Precision


def run(
    given: Tensor | Spikes,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    beta: Tensor | float,
    cell: Cell,
    recurrent: Tensor | None = None,
    precision: Precision = "exact",
) -> Spikes:
    """Return the spikes of a layer; inputs are (step, example, input) or spikes of another layer.

    ``weight`` is (unit, input), ``beta`` the decay of a step, one or (unit,), ``recurrent``
    (unit, unit). The threshold must be the same in all steps unless the cell adapts.
    """
    below = given if isinstance(given, Spikes) else None
    values = below.values if below else given
    source = (below.membrane, below.threshold) if below else (None, None)
    plan = _Plan(cell, below.cell if below else None, precision)
    found = _Layer.apply(values, *source, weight, bias, beta, recurrent, plan)
    return Spikes(*found, cell=cell)


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, values: Tensor, membrane: Tensor | None, threshold: Tensor | None,
        weight: Tensor, bias: Tensor | None, beta: Tensor | float, recurrent: Tensor | None,
        plan: _Plan,
    ) -> tuple[Tensor, Tensor, Tensor | None]:  # fmt: skip
        shape = (*values.shape[:2], len(weight))
        h, s = weight.new_empty(shape), weight.new_empty(shape)
        thresholds = weight.new_empty(shape) if plan.cell.kappa else None
        way = Way(plan.precision, weight.device)
        sweep = Forward(plan.cell, beta, recurrent, like=h[0])
        for part in _chunks(h):
            project(values[part].flatten(0, 1), weight, bias, h[part].flatten(0, 1), way)
            sweep.advance(h[part], s[part], None if thresholds is None else thresholds[part])
        kept = (None, membrane, threshold) if membrane is not None else (values, None, None)
        ctx.save_for_backward(
            *kept, weight, bias, beta if isinstance(beta, Tensor) else None, recurrent, h,
            thresholds,
        )  # fmt: skip
        ctx.beta, ctx.plan = beta if not isinstance(beta, Tensor) else None, plan
        ctx.mark_non_differentiable(*([h] if thresholds is None else [h, thresholds]))
        ctx.set_materialize_grads(False)
        return s, h, thresholds

    @staticmethod
    def backward(ctx: Any, grad: Tensor | None, *_: Any) -> tuple[Tensor | None, ...]:  # pyright: ignore
        if grad is None:
            return (None,) * 8
        values, membrane, threshold, weight, bias, learnt, recurrent, h, thresholds = (
            ctx.saved_tensors
        )
        plan, needs = ctx.plan, ctx.needs_input_grad
        beta = ctx.beta if learnt is None else learnt
        way = Way(plan.precision, weight.device)
        sweep = Backward(plan.cell, beta, recurrent, h, thresholds, learn_beta=needs[5])
        to_weight = torch.zeros_like(weight) if needs[3] else None
        to_bias = torch.zeros_like(bias) if needs[4] else None
        below = values if values is not None else membrane
        to_given = torch.empty_like(below) if needs[0] else None
        for part in reversed(list(_chunks(h))):
            rows = sweep.retreat(grad[part], part).flatten(0, 1)
            if to_weight is not None:
                inputs = _inputs(values, membrane, threshold, plan.below, part)
                add_weight_gradient(rows, inputs.flatten(0, 1), to_weight, way)
            if to_bias is not None:
                to_bias.add_(rows.sum(0))
            if to_given is not None:
                back(rows, weight, to_given[part].flatten(0, 1), way)
        return to_given, None, None, to_weight, to_bias, sweep.to_beta, sweep.to_recurrent, None


def _inputs(
    values: Tensor | None, membrane: Tensor | None, threshold: Tensor | None, below: Cell | None,
    part: slice,
) -> Tensor:  # fmt: skip
    """Return a chunk of the inputs, found again from membranes where they were spikes."""
    if membrane is None or below is None:
        assert values is not None
        return values[part]
    return below.fire(membrane[part], below.theta if threshold is None else threshold[part])


def _chunks(h: Tensor) -> Iterator[slice]:
    """Yield stretches of steps that hold about ``CHUNK_BYTES`` each."""
    steps = max(1, CHUNK_BYTES // max(1, h[0].numel() * h.element_size()))
    for start in range(0, len(h), steps):
        yield slice(start, min(start + steps, len(h)))

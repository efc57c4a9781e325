"""The equations of ``cells`` step by step, left to autograd: what the fast layer must equal.

Slow, and easy to read. Also what benchmarks compare with where no peer is installed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from rheobase.models.spiking.cells import Cell


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: Tensor, threshold: Tensor, cell: Cell) -> Tensor:
        ctx.save_for_backward(h, threshold)
        ctx.cell = cell
        return cell.fire(h, threshold)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:  # pyright: ignore
        h, threshold = ctx.saved_tensors
        through = grad * ctx.cell.slope(h, threshold)
        return through, -through, None


def simulate(
    given: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    beta: Tensor | float,
    cell: Cell,
    recurrent: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return spikes and membranes, (step, example, unit), of inputs (step, example, input)."""
    first = functional.linear(given[0], weight, bias)
    h = s = a = current = torch.zeros_like(first)
    spikes, membranes = [], []
    for step in range(len(given)):
        drive = functional.linear(given[step], weight, bias)
        if recurrent is not None:
            drive = drive + s @ recurrent.T
        current = cell.synapse * current + drive
        a = cell.rho * a + s
        h = carry(h, s.detach() if cell.detach_reset else s, beta, cell) + current
        s = _Spike.apply(h, cell.theta + cell.kappa * a, cell)
        spikes.append(s)
        membranes.append(h)
    return torch.stack(spikes), torch.stack(membranes)


def carry(h: Tensor, s: Tensor, beta: Tensor | float, cell: Cell) -> Tensor:
    """Return what a membrane brings from one step into the next."""
    if cell.reset == "delayed":
        return beta * h - cell.theta * s
    if cell.reset == "subtract":
        return beta * (h - cell.theta * s)
    if cell.reset == "zero":
        return beta * (h * (1 - s) + cell.rest * s)
    return beta * h

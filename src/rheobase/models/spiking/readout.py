"""Readouts without spikes, for all steps at once."""

from __future__ import annotations

import torch
from torch import Tensor

LONGEST = 512
"""Steps of one triangular product"""


def leaky(currents: Tensor, beta: float) -> Tensor:
    """Return ``o[t] = beta o[t-1] + current[t]`` along the first axis of (step, example, class).

    One product with a lower-triangular matrix of powers of ``beta`` for up to ``LONGEST`` steps;
    longer courses go on from block to block.
    """
    parts, last = [], None
    for part in currents.split(LONGEST):
        steps = torch.arange(len(part), device=part.device, dtype=part.dtype)
        apart = steps[:, None] - steps
        powers = torch.where(apart >= 0, beta ** apart.clamp(min=0), 0.0)
        made = (powers @ part.flatten(1)).view_as(part)
        if last is not None:
            made = made + (beta ** (steps + 1))[:, None, None] * last
        parts.append(made)
        last = made[-1]
    return torch.cat(parts)


def running_mean(currents: Tensor) -> Tensor:
    """Return ``m_t``, the mean of the first t currents, (step, example, class)."""
    count = torch.arange(1, len(currents) + 1, device=currents.device, dtype=currents.dtype)
    return currents.cumsum(0) / count[:, None, None]

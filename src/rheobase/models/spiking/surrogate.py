"""Slopes that stand for the derivative of a spike, by name: ``g(u)``, u = membrane - threshold.

In the forward pass a spike is a step; in the backward pass its derivative is one of these (Neftci,
Mostafa and Zenke 2019). ``width`` is the constant of each formula; defaults as in their sources.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor


def atan(u: Tensor, width: float) -> Tensor:
    """Return ``(width / 2) / (1 + (pi width u / 2)^2)``; the slope that snnTorch calls atan."""
    return u.mul_(math.pi * width / 2).square_().add_(1).reciprocal_().mul_(width / 2)


def fast_sigmoid(u: Tensor, width: float) -> Tensor:
    """Return ``1 / (1 + width |u|)^2``."""
    return u.abs_().mul_(width).add_(1).square_().reciprocal_()


def sigmoid(u: Tensor, width: float) -> Tensor:
    """Return ``width s (1 - s)`` with ``s = 1 / (1 + exp(-width u))``."""
    s = u.mul_(width).sigmoid_()
    return s.sub_(s.square()).mul_(width)


def triangle(u: Tensor, width: float) -> Tensor:
    """Return ``width max(0, 1 - |u|)``; u in units of a threshold of 1."""
    return u.abs_().neg_().add_(1).clamp_(min=0).mul_(width)


def rectangle(u: Tensor, width: float) -> Tensor:
    """Return 1 / width within ``width / 2`` of the threshold, else 0."""
    return u.abs_().lt_(width / 2).div_(width)


def gaussian(u: Tensor, width: float) -> Tensor:
    """Return the density of a normal law of deviation ``width``."""
    scale = 1 / (width * math.sqrt(2 * math.pi))
    return u.square_().mul_(-0.5 / width**2).exp_().mul_(scale)


SURROGATES: dict[str, tuple[Callable[[Tensor, float], Tensor], float]] = {
    "atan": (atan, 2.0),
    "fast_sigmoid": (fast_sigmoid, 25.0),
    "sigmoid": (sigmoid, 4.0),
    "triangle": (triangle, 0.3),
    "rectangle": (rectangle, 1.0),
    "gaussian": (gaussian, 0.5),
    "superspike": (fast_sigmoid, 100.0),
}
"""Function and default width. The functions overwrite what they are given."""

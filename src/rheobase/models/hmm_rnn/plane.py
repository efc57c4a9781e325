"""Principal components of activity, and how far the readout lies in their plane."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

COMPONENTS = 5


@dataclass(frozen=True)
class Plane:
    """Principal components of each member's states."""

    mean: Tensor
    """(member, unit)"""
    components: Tensor
    """(member, component, unit) unit vectors, their largest loading above 0."""
    explained: Tensor
    """(member, component) shares of the variance."""

    def project(self, states: Tensor, *, count: int | None = None) -> Tensor:
        """Return states (member, ..., unit) on the components, (member, ..., component)."""
        flat = states.flatten(1, -2) - self.mean[:, None]
        found = torch.bmm(flat, self.components[:, :count].mT)
        return found.view(*states.shape[:-1], -1)


def fit(states: Tensor, *, components: int = COMPONENTS) -> Plane:
    """Return the components of states (member, ..., unit)."""
    flat = states.flatten(1, -2)
    mean = flat.mean(1)
    away = flat - mean[:, None]
    cov = torch.bmm(away.mT, away).double() / away.shape[1]
    values, vectors = torch.linalg.eigh(cov)
    count = min(components, cov.shape[-1])
    found = vectors.mT.flip(1)[:, :count]
    top = found.gather(2, found.abs().argmax(2, keepdim=True))
    total = values.sum(1, keepdim=True).clamp(min=1e-300)
    explained = (values.flip(1) / total)[:, :count].clamp(min=0)
    return Plane(mean, (found * top.sign()).to(states.dtype), explained)


def readout_alignment(plane: Plane, Wout: Tensor) -> tuple[Tensor, Tensor]:
    """Return how long the readout's unit vectors (member, symbol, unit) are on components 1 and 2.

    (member, symbol): 1 lies in the plane, 0 at a right angle to it; and the angle to the plane,
    degrees.
    """
    unit = torch.nn.functional.normalize(Wout.detach(), dim=-1)
    length = (unit @ plane.components[:, :2].mT).norm(dim=-1).clamp(max=1)
    return length, length.acos().rad2deg()

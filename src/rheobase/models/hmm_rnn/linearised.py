"""Eigenvalues of a step's Jacobian at visited states: directions that grow, and that turn.

    J(h) = diag(1[Wh h + Win x > 0]) Wh

A discrete eigenvalue l becomes ``(l - 1) / (l + 1)`` of a flow (Moebius map): unstable where its
real part is above 0, and a critical pair where that is within 0.1 of 0 and the imaginary part above
0.05. Only units behind an open gate have eigenvalues other than 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rheobase.models.hmm_rnn.network import Emulator

REAL, IMAGINARY = 0.1, 0.05
BLOCK = 256
"""States whose eigenvalues are found at once."""


@dataclass(frozen=True)
class Eigenvalues:
    """How many of each state's eigenvalues are of a kind, (member, state)."""

    unstable: Tensor
    critical_pairs: Tensor
    largest: Tensor
    """Largest modulus."""


@torch.no_grad()
def gates(net: Emulator, states: Tensor) -> Tensor:
    """Return which units a step without noise leaves active, for states (member, state, unit).

    The gates of a step with noise are those units that are active after it.
    """
    return torch.bmm(states, net.Wh.mT) > 0


@torch.no_grad()
def eigenvalues(Wh: Tensor, gates: Tensor, *, imaginary: float = IMAGINARY) -> Eigenvalues:
    """Return the kinds of eigenvalues of Wh behind gates (member, state, unit).

    ``Wh`` (member, unit, unit); ``imaginary``: what the imaginary part of a critical pair is above.
    """
    members, count = gates.shape[:2]
    owner = torch.arange(members, device=gates.device).repeat_interleave(count)
    flat = gates.flatten(0, 1)
    found = torch.empty((3, len(flat)), dtype=torch.float64, device=gates.device)
    for at in flat.sum(1).argsort().split(BLOCK):
        found[:, at] = _kinds(Wh.double(), owner[at], flat[at], imaginary)
    unstable, pairs, largest = found.view(3, members, count)
    return Eigenvalues(unstable, pairs, largest)


def _kinds(Wh: Tensor, owner: Tensor, gates: Tensor, imaginary: float) -> Tensor:
    """Return counts and largest modulus, (3, state), from the block of open gates alone."""
    most = max(1, int(gates.sum(1).max()))
    open_ = gates.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :most]
    block = Wh[owner[:, None, None], open_[:, :, None], open_[:, None, :]]
    block = block * gates.gather(1, open_)[..., None]
    values = torch.linalg.eigvals(block)
    flow = (values - 1) / (values + 1)
    critical = (flow.real.abs() < REAL) & (flow.imag > imaginary)
    size = values.abs()
    return torch.stack([(size > 1).sum(1).double(), critical.sum(1).double(), size.amax(1)])


def by_zone(values: Tensor, zones: Tensor, count: int) -> Tensor:
    """Return the mean of values (member, state) in each zone, (member, zone); NaN in empty ones."""
    found = [torch.where(zones == z, values, torch.nan).nanmean(-1) for z in range(count)]
    return torch.stack(found, -1)

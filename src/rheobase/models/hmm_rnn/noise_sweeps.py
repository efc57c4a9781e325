"""What the size of the noise does to the symbols, and what fresh noise does to single states.

Noise scaled by c scales all states and logits by c, exactly. So one simulation serves all sizes:
symbols are drawn from the softmax of scaled logits, and those by arg-max are the same at every
size. Only how sharp the draw is depends on the noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rheobase.models.hmm_rnn import plane
from rheobase.models.hmm_rnn.emulation import judge
from rheobase.models.hmm_rnn.network import Emulator, drawn_noise, gumbel
from rheobase.models.hmm_rnn.targets import Target

SIGMAS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
KEPT = ("volatility", "frequency", "sinkhorn_ratio", "excess_nats")
CONTOUR = 5.991
"""95 % of a normal distribution in two dimensions lies within this squared distance."""
FRESH = (0.0, 0.5, 1.0)


@dataclass(frozen=True)
class Sweep:
    """Scores of drawn symbols at each deviation of the noise, (member, sigma)."""

    sigmas: tuple[float, ...]
    scores: dict[str, Tensor]
    """Volatility, frequency, Sinkhorn ratio and excess, as ``emulation`` tells them."""
    changes: Tensor
    """Share of steps at which the drawn symbol changes."""
    arg_max_changes: Tensor
    """That of arg-max symbols; the same at every sigma."""
    area: Tensor
    """Area of the plane of components 1 and 2 that holds 95 % of a normal fit to the states."""
    z: Tensor
    """Excess over the chain's own deviation."""

    @property
    def best(self) -> list[float]:
        """Return the sigma of each member whose sequences the chain finds least odd."""
        return [self.sigmas[int(k)] for k in self.z.abs().argmin(1)]


@torch.no_grad()
def sweep(
    net: Emulator,
    target: Target,
    generators: Sequence[torch.Generator],
    *,
    seed: int,
    count: int = 1024,
    length: int = 60,
    repeats: int = 5,
    sigmas: Sequence[float] = SIGMAS,
) -> Sweep:
    """Return the scores of sequences that start at 0, as in training, at each size of the noise."""
    states = net.states(drawn_noise(generators, (count, length, net.noise)))
    held, flat = net.logits(states), plane.fit(states, components=2).project(states).flatten(1, 2)
    cov = torch.einsum("mti,mtj->mij", flat, flat) / flat.shape[1]
    area = torch.pi * CONTOUR * torch.linalg.det(cov.double()).clamp(min=0).sqrt()
    drawn = torch.stack([gumbel(s * held, generators).argmax(-1) for s in sigmas], 1)
    chain = torch.Generator().manual_seed(seed)
    scores = judge(target, count, length, repeats=repeats, generator=chain)
    scored = [[scores(one) for one in member] for member in drawn.cpu()]
    told = {name: torch.tensor([[one[name].value for one in row] for row in scored])
            for name in KEPT}  # fmt: skip
    z = torch.tensor([[one["excess_nats"].z for one in row] for row in scored])
    size = torch.tensor(sigmas, device=area.device) ** 2
    return Sweep(tuple(sigmas), told, _changes(drawn), _changes(held.argmax(-1)[:, None]),
                 area[:, None] * size, z)  # fmt: skip


def _changes(symbols: Tensor) -> Tensor:
    """Return the share of steps at which symbols (..., sequence, time) change."""
    return (symbols[..., 1:] != symbols[..., :-1]).double().mean((-1, -2))


@dataclass(frozen=True)
class Sensitivity:
    """How far roll-outs from one state of a zone go apart, (member, zone, freshness, step)."""

    fresh: tuple[float, ...]
    trace: Tensor
    """Trace of the covariance of states over roll-outs."""
    distance: Tensor
    """Mean distance to the mean of roll-outs."""


@torch.no_grad()
def sensitivity(
    net: Emulator,
    states: Tensor,
    generators: Sequence[torch.Generator],
    *,
    roll_outs: int = 100,
    steps: int = 6,
    fresh: Sequence[float] = FRESH,
) -> Sensitivity:
    """Return how states (member, zone, unit) react to noise that is partly new in each roll-out.

    Noise is ``(1 - g)`` times what all roll-outs share and g times fresh noise; a state of NaN has
    NaN. Torre et al. expect that clusters spread more than transitions.
    """
    members, zones, units = states.shape
    g = torch.tensor(fresh, device=states.device)[:, None, None, None]
    shared = drawn_noise(generators, (1, 1, 1, steps, net.noise))
    own = drawn_noise(generators, (1, 1, roll_outs, steps, net.noise))
    x = ((1 - g) * shared + g * own).expand(-1, zones, -1, -1, -1, -1)
    start = states[:, :, None, None].expand(-1, -1, len(fresh), roll_outs, -1)
    h = net.states(x.reshape(members, -1, steps, net.noise), start.reshape(members, -1, units))
    h = h.view(members, zones, len(fresh), roll_outs, steps, units)
    away = h - h.mean(3, keepdim=True)
    trace = away.square().sum(-1).mean(3)
    return Sensitivity(tuple(fresh), trace, away.norm(dim=-1).mean(3))


def representatives(states: Tensor, zones: Tensor, steps: Tensor, count: int) -> Tensor:
    """Return the state of each zone whose stay is the zone's median, (member, zone, unit).

    NaN where a zone is empty.
    """
    found = states.new_full((len(states), count, states.shape[-1]), torch.nan)
    for m in range(len(states)):
        for z in range(count):
            inside = torch.nonzero(zones[m] == z)[:, 0]
            if len(inside):
                order = steps[m, inside].argsort(stable=True)
                found[m, z] = states[m, inside[order[(len(order) - 1) // 2]]]
    return found

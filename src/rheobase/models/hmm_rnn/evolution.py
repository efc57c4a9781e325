"""How a network's dynamics change while it is trained: switching, eigenvalues, response to noise.

The response is the recursion of Torre et al. (2025) along a path without noise,

    d1[k] = Wh D[k-1] d1[k-1] + Win w[k],   d2[k] = Wh D[k] d2[k-1] + Wh (D[k] d1[k]^2) / 2

with D the open gates. The onset is the first checkpoint at which the share of steps with a critical
pair has moved by more than 0.02 since the start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rheobase.models.hmm_rnn.activity import simulate, visited
from rheobase.models.hmm_rnn.linearised import eigenvalues
from rheobase.models.hmm_rnn.network import Emulator, drawn_noise, of

MOVED = 0.02
STEPS, TRIALS = 10, 20


@dataclass(frozen=True)
class Evolution:
    """Numbers at checkpoints, (checkpoint, member) unless said otherwise."""

    steps: tuple[int, ...]
    transitions: np.ndarray
    """Share of steps at which the arg-max class changes."""
    unstable: np.ndarray
    """Share of steps with an unstable eigenvalue."""
    critical: np.ndarray
    """Share of steps with a critical pair."""
    response: np.ndarray
    """(checkpoint, member, unit) mean second-order response after ten steps."""

    @property
    def onset(self) -> list[int | None]:
        """Return the step at which each member's critical share has moved; None: never."""
        moved = np.abs(self.critical - self.critical[:1]) > MOVED
        return [self.steps[int(row.argmax())] if row.any() else None for row in moved.T]


def evolution(
    snapshots: Mapping[int, Mapping[str, Tensor]],
    seeds: Sequence[int],
    *,
    trajectories: int = 8,
    steps: int = 250,
) -> Evolution:
    """Return the numbers of weights kept in training; all checkpoints meet the same noise."""
    if not snapshots:
        raise ValueError("no weights were kept; give train(..., keep=[0, 25, ...])")
    order = sorted(snapshots)
    names = snapshots[order[0]]
    net = of({name: torch.cat([snapshots[step][name] for step in order]) for name in names})
    device = net.Wh.device
    generators = [torch.Generator(device).manual_seed(s) for _ in order for s in seeds]
    seen = simulate(net, generators, trajectories=trajectories, steps=steps)
    kinds = eigenvalues(net.Wh, visited(seen.states, min(200, steps)) > 0)
    path = seen.classes
    shape = (len(order), len(seeds))
    shares = [(path[..., 1:] != path[..., :-1]).double().mean((1, 2)),
              (kinds.unstable > 0).double().mean(1),
              (kinds.critical_pairs > 0).double().mean(1)]  # fmt: skip
    transitions, unstable, critical = (share.view(shape).cpu().numpy() for share in shares)
    answer = response(net, visited(seen.states, TRIALS), generators)
    return Evolution(tuple(order), transitions, unstable, critical,
                     answer.view(*shape, -1).cpu().numpy())  # fmt: skip


@torch.no_grad()
def response(net: Emulator, states: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Return the mean second-order response from states (member, trial, unit), (member, unit)."""
    Wh, Win = net.Wh.mT, net.Win.mT
    h, first, second = states, torch.zeros_like(states), torch.zeros_like(states)
    for _ in range(STEPS):
        w = drawn_noise(generators, (states.shape[1], net.noise))
        first = torch.bmm((h > 0) * first, Wh) + torch.bmm(w, Win)
        h = torch.bmm(h, Wh).relu()
        second = torch.bmm((h > 0) * (second + first**2 / 2), Wh)
    return second.mean(1)

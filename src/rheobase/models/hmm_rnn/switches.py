"""How often a network goes from one class to another, with and without changes to its units."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rheobase.models.hmm_rnn.activity import WARM_UP, Change, classes, walk
from rheobase.models.hmm_rnn.network import Emulator

FEWEST = 200
"""Switches in a direction below which nothing is said of it."""


@dataclass(frozen=True)
class Switches:
    """Steps from class to class, counted."""

    counts: Tensor
    """(member, variant, from, to), float64"""

    @property
    def rates(self) -> Tensor:
        """Return switches a step in the class that is left, (member, variant, from, to).

        NaN where a class is never visited, and from a class to itself.
        """
        found = self.counts / self.counts.sum(-1, keepdim=True)
        size = found.shape[-1]
        itself = torch.eye(size, dtype=torch.bool, device=found.device)
        return found.masked_fill(itself, torch.nan)

    @property
    def occupancy(self) -> Tensor:
        """Return the share of steps in each class, (member, variant, class)."""
        held = self.counts.sum(-1)
        return held / held.sum(-1, keepdim=True)

    def ratio(self, reference: int = 0) -> Tensor:
        """Return rates over those of a variant, half a switch and a step added to every count.

        NaN where a class that is left was visited in fewer than 20 steps.
        """
        steps = self.counts.sum(-1, keepdim=True)
        rates = (self.counts + 0.5) / (steps + 1)
        found = rates / rates[:, reference : reference + 1]
        return found.masked_fill(steps < 20, torch.nan)


def counted(path: Tensor, symbols: int) -> Switches:
    """Return the switches of paths of classes (member, trajectory, time)."""
    members = len(path)
    pairs = (path[:, :, :-1] * symbols + path[:, :, 1:]).flatten(1)
    return Switches(_bins(pairs, symbols).view(members, 1, symbols, symbols))


def simulated(
    net: Emulator,
    generators: Sequence[torch.Generator],
    change: Change,
    *,
    trajectories: int = 64,
    steps: int = 150,
    warm_up: int = WARM_UP,
) -> Switches:
    """Return the switches of each variant; all start alike and see the same noise.

    The warm-up is left alone: what is done to units begins with the steps that are counted, so that
    a class that a change drives activity out of for good has a rate.
    """
    members, size = net.members, net.symbols
    alone = walk(net, generators, trajectories=trajectories, steps=warm_up + 1)
    (start,) = deque(alone, maxlen=1)
    start = start.expand(-1, change.variants, -1, -1)
    total = torch.zeros((members * change.variants, size * size), dtype=torch.float64,
                        device=net.Wh.device)  # fmt: skip
    before = classes(net, start)
    for now in walk(net, generators, trajectories=trajectories, steps=steps, change=change,
                    start=start):  # fmt: skip
        held = classes(net, now)
        total += _bins((before * size + held).flatten(0, 1), size)
        before = held
    return Switches(total.view(members, change.variants, size, size))


def _bins(pairs: Tensor, symbols: int) -> Tensor:
    """Return how often each pair occurs in each row, (row, pair)."""
    rows, kinds = len(pairs), symbols * symbols
    moved = pairs + kinds * torch.arange(rows, device=pairs.device)[:, None]
    return torch.bincount(moved.flatten(), minlength=rows * kinds).view(rows, kinds).double()

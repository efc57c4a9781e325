"""How long a network stays in the class of a state, and which zone that state lies in.

From each state run roll-outs with fresh noise until the class changes. Zones are those of Torre et
al. (2025): transition (left in under 2 steps), kick (2 to 8), cluster (more than 8, and the readout
is sure); and once more with limits that scale with the median stay, 0.1 and 0.4 of it, since chains
differ in how long they stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rheobase.models.hmm_rnn.activity import classes, logits
from rheobase.models.hmm_rnn.network import Emulator, drawn_noise

CAP, ROLL_OUTS = 60, 20
LIMITS, SCALED = (2.0, 8.0), (0.1, 0.4)
SURE = 0.8
"""Probability of the likeliest symbol in a cluster."""
ZONES = ("transition", "kick", "cluster")
NOWHERE = -1
"""Number of states in no zone: long stays of which the readout is not sure."""


@dataclass(frozen=True)
class Residency:
    """Of each state, (member, state)."""

    classes: Tensor
    steps: Tensor
    """Mean first step in another class; the cap where a roll-out never leaves."""
    sign_changes: Tensor
    """Mean number of times that the class's logit turns round before it is left."""
    surety: Tensor
    """Probability of the likeliest symbol in the state."""
    cap: int

    def zones(self, *, scaled: bool = False) -> Tensor:
        """Return the zone of each state, a number of ``ZONES``; -1: in none."""
        low, high = torch.tensor(LIMITS).to(self.steps)[:, None, None]
        if scaled:
            middle = self.steps.median(-1, keepdim=True).values
            low, high = SCALED[0] * middle, SCALED[1] * middle
        found = torch.full_like(self.classes, NOWHERE)
        found[(self.steps > high) & (self.surety > SURE)] = ZONES.index("cluster")
        found[(self.steps >= low) & (self.steps <= high)] = ZONES.index("kick")
        found[self.steps < low] = ZONES.index("transition")
        return found

    def histogram(self) -> np.ndarray:
        """Return how many states stay 1 to 2, 2 to 3, ... steps, (member, bin)."""
        edges = np.arange(1, self.cap + 2)
        return np.stack([np.histogram(row, edges)[0] for row in self.steps.cpu().numpy()])


@torch.no_grad()
def residency(
    net: Emulator,
    states: Tensor,
    generators: Sequence[torch.Generator],
    *,
    roll_outs: int = ROLL_OUTS,
    cap: int = CAP,
) -> Residency:
    """Return how long each of the states (member, state, unit) stays in its class."""
    began = classes(net, states)
    course = _RollOuts(net, states.repeat_interleave(roll_outs, 1), cap)
    for t in range(1, cap + 1):
        if not course.going:
            break
        course.advance(t, generators)
    steps, turns = (
        kept.view(*began.shape, roll_outs).mean(-1) for kept in (course.left, course.turns)
    )
    surety = logits(net, states).softmax(-1).amax(-1)
    return Residency(began, steps, turns, surety, cap)


class _RollOuts:
    """Roll-outs of all members; those that have left their class are no longer run.

    Every array is (member, row). Members keep as many rows as the one that has most still going.
    """

    def __init__(self, net: Emulator, states: Tensor, cap: int) -> None:
        self.net, self.h = net, states
        members, rows = states.shape[:2]
        self.left = torch.full((members, rows), float(cap), device=states.device)
        self.turns = torch.zeros_like(self.left)
        self.rows = torch.arange(rows, device=states.device).expand(members, rows)
        found = logits(net, states)
        self.own = found.argmax(-1)
        self.before = found.gather(-1, self.own[..., None])[..., 0]
        self.slope = torch.zeros_like(self.before)
        self.alive = torch.ones_like(self.own, dtype=torch.bool)

    @property
    def going(self) -> bool:
        return bool(self.alive.any())

    def advance(self, t: int, generators: Sequence[torch.Generator]) -> None:
        self._drop()
        x = drawn_noise(generators, (self.h.shape[1], self.net.noise))
        drive = torch.bmm(x, self.net.Win.mT)
        self.h = torch.baddbmm(drive, self.h, self.net.Wh.mT).relu_()
        found = logits(self.net, self.h)
        here = found.gather(-1, self.own[..., None])[..., 0]
        slope = (here - self.before).sign()
        inside = self.alive & (found.argmax(-1) == self.own)
        turned = inside & (slope * self.slope < 0)
        self.turns.scatter_add_(1, self.rows, turned.to(self.turns))
        gone = self.alive & ~inside
        times = torch.where(gone, float(t), self.left.gather(1, self.rows))
        self.left.scatter_(1, self.rows, times)
        self.before, self.alive = here, inside
        self.slope = torch.where(slope == 0, self.slope, slope)

    def _drop(self) -> None:
        """Leave out rows that are done, once they are half of all."""
        most = int(self.alive.sum(1).max())
        if 2 * most > self.alive.shape[1]:
            return
        at = self.alive.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :most]
        self.h = self.h.gather(1, at[..., None].expand(-1, -1, self.net.units))
        for name in ("rows", "own", "before", "slope", "alive"):
            setattr(self, name, getattr(self, name).gather(1, at))

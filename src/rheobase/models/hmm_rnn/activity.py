"""Activity of emulators under noise, left alone or with inputs scaled, units held, states shaken.

    h[t] = relu(r * Wh (h[t-1] + s e[t]) + n * Win x[t])

r and n are gains of single units' recurrent and noise input (1 where nothing is done), s e[t] is a
shake of fixed size; a held unit keeps its value. Changes are run as variants beside each other on
the same noise: states are (member, variant, trajectory, unit). The class of a state is the symbol
with the largest logit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rheobase.models.hmm_rnn.network import Emulator, drawn_noise

WARM_UP = 50
"""Steps after the start from 0 that are left out."""


@dataclass(frozen=True)
class Change:
    """What is done to each variant, (member, variant, unit); None: nothing."""

    recurrent: Tensor | None = None
    """Gain of the recurrent input."""
    noise: Tensor | None = None
    """Gain of the noise input."""
    held: Tensor | None = None
    """Value that a unit is held at; NaN where it is free."""
    shake: Tensor | None = None
    """(member, variant) deviation of what is added to every unit before it is fed back."""

    @property
    def variants(self) -> int:
        """Return how many networks run beside each other."""
        given = (self.recurrent, self.noise, self.held, self.shake)
        return next((part.shape[1] for part in given if part is not None), 1)


@dataclass(frozen=True)
class Activity:
    """What a simulation visits."""

    states: Tensor
    """(member, trajectory, time, unit)"""
    classes: Tensor
    """(member, trajectory, time)"""


@torch.no_grad()
def walk(
    net: Emulator,
    generators: Sequence[torch.Generator],
    *,
    trajectories: int,
    steps: int,
    change: Change | None = None,
    start: Tensor | None = None,
) -> Iterator[Tensor]:
    """Yield the states (member, variant, trajectory, unit) after each step.

    All variants see the same noise, drawn by each member's own generator; ``start`` has the shape
    of what is yielded, and is 0 where it is not given.
    """
    done = change or Change()
    shape = (net.members, done.variants, trajectories, net.units)
    now = net.Wh.new_zeros(shape) if start is None else start
    Wh, Win = net.Wh.mT, net.Win.mT
    for _ in range(steps):
        drive = torch.bmm(drawn_noise(generators, (trajectories, net.noise)), Win)[:, None]
        if done.noise is not None:
            drive = drive * done.noise[:, :, None]
        if done.shake is not None:
            e = drawn_noise(generators, (trajectories, net.units))[:, None]
            now = now + done.shake[..., None, None] * e
        recurrent = torch.bmm(now.reshape(net.members, -1, net.units), Wh).view(shape)
        if done.recurrent is not None:
            recurrent.mul_(done.recurrent[:, :, None])
        now = recurrent.add_(drive).relu_()
        if done.held is not None:
            held = done.held[:, :, None]
            now = torch.where(held.isnan(), now, held)
        yield now


@torch.no_grad()
def simulate(
    net: Emulator,
    generators: Sequence[torch.Generator],
    *,
    trajectories: int = 16,
    steps: int = 5000,
    warm_up: int = WARM_UP,
) -> Activity:
    """Return the states that a network visits under noise of deviation 1, and their classes."""
    kept = net.Wh.new_empty((net.members, trajectories, steps, net.units))
    going = walk(net, generators, trajectories=trajectories, steps=warm_up + steps)
    for t, now in enumerate(going):
        if t >= warm_up:
            kept[:, :, t - warm_up] = now[:, 0]
    return Activity(kept, classes(net, kept))


@torch.no_grad()
def classes(net: Emulator, states: Tensor) -> Tensor:
    """Return the symbol with the largest logit of states (member, ..., unit)."""
    return logits(net, states).argmax(-1)


@torch.no_grad()
def logits(net: Emulator, states: Tensor) -> Tensor:
    """Return the logits of states (member, ..., unit), (member, ..., symbol)."""
    flat = torch.bmm(states.flatten(1, -2), net.Wout.mT)
    return flat.view(*states.shape[:-1], net.symbols)


def visited(states: Tensor, count: int) -> Tensor:
    """Return so many of the states (member, trajectory, time, unit), evenly spread over time.

    (member, state, unit). Raises ``ValueError`` where there are fewer.
    """
    flat = states.flatten(1, 2)
    if count > flat.shape[1]:
        raise ValueError(f"{count} states are asked for, and {flat.shape[1]} were visited; "
                         "simulate longer, or ask for fewer")  # fmt: skip
    at = torch.linspace(0, flat.shape[1] - 1, count, device=flat.device).round().long()
    return flat[:, at]

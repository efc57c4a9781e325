"""Extrapolation of the factors with restarts, which keeps the accepted loss from rising.

HER of Ang, Cohen, Gillis and Hien (Numerical Linear Algebra with Applications 28, 2021): after the
update of a factor it is moved on by ``beta (F - F_old)``. Where the loss has risen, the factors
accepted last are taken again, beta falls, and the next iteration is a plain one, which cannot rise.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from rheobase.models.connectome.starts import Start
from rheobase.models.connectome.step import Leap, Stepped

BETA, GROWTH, CEILING_GROWTH, FALL = 0.5, 1.05, 1.01, 1.5
"""First beta, and the factors by which it and its ceiling grow, and it falls (the paper's)."""

PARTS = ("columns", "pair_gram", "loss", "squared_error", "silent")


class Momentum:
    """Accepted factors, factors before extrapolation, and beta of every restart."""

    def __init__(self, start: Start) -> None:
        k, device = len(start), start.patterns.device
        self.plain = start
        self.made: Stepped | None = None
        self.beta = torch.full((k,), BETA, device=device)
        self.ceiling = torch.ones(k, device=device)
        self.moves = torch.zeros(k, dtype=torch.bool, device=device)

    def leap(self) -> Leap:
        """Return how far the next iteration extrapolates: not at all after a rejection."""
        beta = torch.where(self.moves, self.beta, 0.0)
        return Leap(self.plain.patterns, self.plain.times, beta)

    def accept(self, made: Stepped, plain: Start) -> Stepped:
        """Return what was made where the loss did not rise, and the last accepted elsewhere."""
        if self.made is None:
            self.made, self.plain = made, plain
            self.moves[:] = True
            return made
        rose = (made.loss > self.made.loss) & self.moves
        self.ceiling = torch.where(rose, self.beta, (self.ceiling * CEILING_GROWTH).clamp_max(1.0))
        grown = torch.minimum(self.ceiling, self.beta * GROWTH)
        self.beta = torch.where(rose, self.beta / FALL, grown)
        self.moves = ~rose
        if bool(rose.any()):
            made = _mixed(rose, self.made, made)
            plain = _mixed_start(rose, self.made.state, plain)
        self.made, self.plain = made, plain
        return made

    def restart(self, made: Stepped) -> None:
        """Forget the past after factors were changed from outside."""
        self.plain, self.made = made.state, None
        self.moves[:] = False

    def keep(self, rows: Tensor) -> None:
        """Go on with some of the restarts."""
        self.plain = self.plain.take(rows)
        self.beta, self.ceiling, self.moves = (
            x[rows] for x in (self.beta, self.ceiling, self.moves)
        )
        if self.made is not None:
            tensors = {name: getattr(self.made, name)[rows] for name in PARTS}
            self.made = replace(self.made, state=self.made.state.take(rows), **tensors)


def _mixed_start(old: Tensor, before: Start, after: Start) -> Start:
    at = old[:, None, None]
    names = ("patterns", "times", "animals")
    return Start(*(torch.where(at, getattr(before, n), getattr(after, n)) for n in names))


def _mixed(old: Tensor, before: Stepped, after: Stepped) -> Stepped:
    tensors = {
        name: torch.where(
            old.view(-1, *[1] * (getattr(after, name).ndim - 1)),
            getattr(before, name),
            getattr(after, name),
        )
        for name in PARTS
    }
    return Stepped(_mixed_start(old, before.state, after.state), **tensors)

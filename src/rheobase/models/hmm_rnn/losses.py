"""How far drawn sequences are from a chain: exact moments, rare symbols, Sinkhorn divergence."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rheobase.models.hmm_rnn.sinkhorn import one_hot_diameter, sinkhorn_divergence
from rheobase.models.hmm_rnn.targets import Target

LAGS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
MOMENT_WEIGHT = 30.0
"""Of moments beside the divergence, which alone loses rare symbols."""

GROWS = 1.1
"""How many times larger activity may be in the last third of a sequence than in the second."""


@dataclass(frozen=True)
class Moments:
    """What sequences of one length must have: shares of symbols, and of pairs at lags."""

    frequencies: Tensor
    """(symbol,)"""
    lags: tuple[int, ...]
    joint: Tensor
    """(lag, symbol, symbol)"""

    @classmethod
    def of(cls, target: Target, length: int, device: str = "cpu") -> Moments:
        """Return those of a chain, exactly, for sequences that begin as its own do."""
        lags = tuple(lag for lag in LAGS if lag < length)
        held = torch.stack([torch.as_tensor(target.lag(n, length=length)) for n in lags])
        shares = torch.as_tensor(target.frequencies(length=length))
        return cls(shares.float().to(device), lags, held.float().to(device))

    def loss(self, symbols: Tensor) -> Tensor:
        """Return ``|f - f*|^2 + sum_lag |J - J*|^2`` of (member, sequence, time, symbol)."""
        found = symbols.mean((1, 2))
        total = ((found - self.frequencies) ** 2).sum(-1)
        for lag, expected in zip(self.lags, self.joint, strict=True):
            total = total + ((joint(symbols, lag) - expected) ** 2).sum((-1, -2))
        return total

    def rare(self, logits: Tensor) -> Tensor:
        """Return ``sum_j (p_j - f*_j)^2 / f*_j`` with p the mean softmax, (member,)."""
        held = logits.softmax(-1).mean((1, 2))
        return ((held - self.frequencies) ** 2 / self.frequencies).sum(-1)


def joint(symbols: Tensor, lag: int) -> Tensor:
    """Return how often symbol j follows i after a lag, (member, symbol, symbol)."""
    before, after = symbols[:, :, :-lag].flatten(1, 2), symbols[:, :, lag:].flatten(1, 2)
    return before.mT @ after / before.shape[1]


def growth(states: Tensor) -> Tensor:
    """Return how much activity grows in sequences (member, sequence, time, unit), (member,).

    The squared logarithm of its mean in the last third of the steps over that in the second third,
    beyond 10 %; 0 where it does not grow. Noise of another size leaves it as it is.
    """
    third = states.shape[2] // 3
    late, middle = (part.mean((1, 2, 3)).clamp(min=1e-12)
                    for part in (states[:, :, -third:], states[:, :, third:-third]))  # fmt: skip
    return (late / middle / GROWS).log().relu().square()


def divergence(symbols: Tensor, wanted: Tensor, *, need_yy: bool = False) -> Tensor:
    """Return the Sinkhorn divergence of sequences (member, sequence, time, symbol), (member,).

    ``wanted`` are one-hot sequences of the chain, of the same shape but for the sequences.
    """
    diameter = one_hot_diameter(symbols.shape[2])
    x, y = symbols.flatten(2), wanted.flatten(2)
    return sinkhorn_divergence(x, y, diam=diameter, need_yy=need_yy)

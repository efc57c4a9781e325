"""Distance of sequences to those of a chain that an entropic plan matches them with.

The score of Torre et al. (2025): every sequence of the emulator is matched with the sequence of
the chain that has most of it in a transport plan (Cuturi 2013), and the Euclidean distances of
one-hot sequences are averaged. Many may be matched with one, so an emulator that repeats itself
scores well: it is told for comparison with the paper, and decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rheobase.models.hmm_rnn.targets import Target

EPS, ITERATIONS, STILL = 0.1, 1000, 0.1
"""Entropy, most iterations, and the mean change of the potentials at which they end."""


@dataclass(frozen=True)
class Matched:
    """Mean and deviation of distances, of the emulator and of other sequences of the chain."""

    mean: float
    deviation: float
    chain_mean: float
    chain_deviation: float


@torch.no_grad()
def matched(symbols: Tensor, target: Target, *, generator: torch.Generator) -> Matched:
    """Return the distances of sequences (sequence, time), beside as many of the chain."""
    count, length = symbols.shape
    drawn = [target.sample(count, length, generator=generator)[0] for _ in range(2)]
    found = distances(symbols, drawn[0], target.symbols)
    own = distances(drawn[1], drawn[0], target.symbols)
    return Matched(float(found.mean()), float(found.std()), float(own.mean()), float(own.std()))


def distances(symbols: Tensor, reference: Tensor, count: int) -> Tensor:
    """Return the distance of each sequence to the one in ``reference`` that it is matched with."""
    x, y = (torch.nn.functional.one_hot(s, count).float().flatten(1) for s in (symbols, reference))
    cost = (x.shape[1] / count - x @ y.T).mul_(2).clamp_(min=0).sqrt_()
    f, g = potentials(cost)
    most = (f[:, None] + g - cost).argmax(1)
    return cost.gather(1, most[:, None])[:, 0]


def potentials(cost: Tensor) -> tuple[Tensor, Tensor]:
    """Return the potentials of the plan between uniform weights for a cost (n, m).

    The plan is ``exp((f_i + g_j - cost_ij) / eps)``.
    """
    n, m = cost.shape
    f, g = cost.new_zeros(n), cost.new_zeros(m)
    log_n, log_m = -torch.tensor(float(n)).log(), -torch.tensor(float(m)).log()
    for _ in range(ITERATIONS):
        before = f
        f = EPS * (log_n - torch.logsumexp((g - cost) / EPS, 1))
        g = EPS * (log_m - torch.logsumexp((f[:, None] - cost) / EPS, 0))
        if float((f - before).abs().mean()) < STILL:
            break
    return f, g

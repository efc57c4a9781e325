"""Weights between the kick neurons of two opposite directions and the units that drive them.

For directions a -> b and b -> a, ``g`` is the mean of a set's rows of Wh: what its neurons receive
from each unit. Integrating units are those that push one set and hold back the other most, the most
negative ``g_ab g_ba``, in two populations by the sign of ``g_ab``. Every number stands beside 1,000
matrices with rows and columns permuted, in which the populations are chosen anew: they are chosen
by the weights that are then told.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SHARE = 70 / 150
"""Integrating units, of all; the paper's 70 of 150."""
PERMUTATIONS, BLOCK = 1000, 100
BLOCKS = ("kick to kick", "integrating to kick", "integrating to integrating")


@dataclass(frozen=True)
class Blocks:
    """Mean weights between two sets, and between their populations, of one pair of directions."""

    means: Tensor
    """(block, to, from): the sets or populations of a -> b and of b -> a."""
    z: Tensor
    """(block, to, from) deviations from permuted matrices."""
    contrast: Tensor
    """(block,) mean weight within a side less that between sides."""
    ratio: Tensor
    """(block,) mean weight within a side over that between sides."""
    contrast_z: Tensor
    """(block,) deviations of the contrast from permuted matrices."""
    p: Tensor
    """(block,) share of permuted matrices whose contrast is as far from their mean."""
    populations: Tensor
    """(unit,) 0 and 1: integrating, driving the set of a -> b or of b -> a; -1: neither."""
    shared: int
    """Units in both sets."""


def blocks(
    Wh: Tensor,
    first: Tensor,
    second: Tensor,
    generator: torch.Generator,
    *,
    permutations: int = PERMUTATIONS,
    share: float = SHARE,
) -> Blocks:
    """Return the blocks of Wh (unit, unit) for the sets (unit numbers) of two directions."""
    W = Wh.detach().double()
    count = round(share * len(W))
    found, populations = _blocks(W[None], first, second, count)
    drawn = []
    for begin in range(0, permutations, BLOCK):
        size = (2, min(BLOCK, permutations - begin), len(W))
        rows, columns = torch.rand(size, generator=generator, device=W.device).argsort(-1)
        shuffled = W[rows[:, :, None], columns[:, None, :]]
        drawn.append(_blocks(shuffled, first, second, count)[0])
    null, own = torch.cat(drawn), _contrast(found[0])
    other = _contrast(null)
    far = (other - other.mean(0)).abs() >= (own - other.mean(0)).abs()
    within, between = _sides(found[0])
    return Blocks(
        found[0], (found[0] - null.mean(0)) / null.std(0).clamp(min=1e-300), own,
        within / between, (own - other.mean(0)) / other.std(0).clamp(min=1e-300),
        (1 + far.sum(0)) / (1 + len(null)), populations[0],
        int(torch.isin(first, second).sum()),
    )  # fmt: skip


def _blocks(W: Tensor, first: Tensor, second: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return means (matrix, block, to, from) and populations (matrix, unit)."""
    received = torch.stack([W[:, one].mean(1) for one in (first, second)], 1)
    product = received.prod(1)
    opposed = product.argsort(-1)[:, :count]
    chosen = torch.zeros_like(product, dtype=torch.bool).scatter_(1, opposed, True)
    chosen &= product < 0
    driving = torch.stack([chosen & (received[:, k] > 0) for k in (0, 1)], 1).double()
    sets = torch.zeros((2, W.shape[-1]), dtype=W.dtype, device=W.device)
    sets[0, first], sets[1, second] = 1, 1
    sets = sets.expand(len(W), -1, -1)
    means = [_means(W, to, of) for to, of in ((sets, sets), (sets, driving), (driving, driving))]
    populations = torch.where(driving[:, 0] > 0, 0, torch.where(driving[:, 1] > 0, 1, -1))
    return torch.stack(means, 1), populations


def _means(W: Tensor, to: Tensor, of: Tensor) -> Tensor:
    """Return mean weights, (matrix, to, from), from groups ``of`` (matrix, group, unit)."""
    pairs = to.sum(-1)[:, :, None] * of.sum(-1)[:, None]
    return to @ W @ of.mT / pairs


def _sides(means: Tensor) -> tuple[Tensor, Tensor]:
    within = (means[..., 0, 0] + means[..., 1, 1]) / 2
    return within, (means[..., 0, 1] + means[..., 1, 0]) / 2


def _contrast(means: Tensor) -> Tensor:
    within, between = _sides(means)
    return within - between

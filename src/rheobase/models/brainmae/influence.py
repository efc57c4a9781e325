"""Which regions the network relies on to fill in which: an experiment on the trained network."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rheobase.models.brainmae.network import BrainMAENetwork
from rheobase.models.brainmae.reconstruct import MASK_SEED, NOISE
from rheobase.models.brainmae.segments import Batch, Deck, windows

WINDOWS, SEGMENTS = 4, 10
"""Windows of the test part, evenly spread, and their segments (chosen here)"""
TOKENS = 16_000
"""Regions times segments that pass through the network at once"""


@torch.no_grad()
def influence(network: BrainMAENetwork, deck: Deck) -> np.ndarray:
    """Return how much hiding one region changes what the network makes of another, (unit, other).

    Half of the regions of each segment are hidden, in the next segment the other half. Hiding the
    column's region too changes the reconstruction of the row's, a hidden one, by
    ``sqrt(mean (made - made before)^2)`` in standard deviations of a region's signal; the mean is
    over all frames in which the row's region is hidden and the column's was visible. NaN on the
    diagonal.
    """
    batch = deck.deal(_places(deck), SEGMENTS)
    base = _halves(batch)
    before = _made(network, batch, base[None])[0]
    n, frames = base.shape[2], batch.weight.sum(dim=2)[..., None]
    squares, counts = torch.zeros(2, n, n, dtype=torch.float64)
    step = max(1, TOKENS // base.numel())
    for some in torch.arange(n).split(step):
        away = base.repeat(len(some), 1, 1, 1)
        away[torch.arange(len(some)), :, :, some] = True
        change = (_made(network, batch, away) - before) ** 2
        change = (change * batch.weight[:, :, None]).sum(dim=-1)
        counted = base & ~base[:, :, some].permute(2, 0, 1)[..., None]
        squares[:, some] = (change * counted).sum(dim=(1, 2)).T.double().cpu()
        counts[:, some] = (frames * counted).sum(dim=(1, 2)).T.double().cpu()
    made = torch.where(counts > 0, squares / counts.clamp(min=1), torch.nan).sqrt().numpy()
    np.fill_diagonal(made, np.nan)
    return made


def _places(deck: Deck) -> list[tuple[int, int]]:
    there = [(number, start) for number, run in enumerate(deck.runs)
             for start in windows(run, deck.samples, SEGMENTS, SEGMENTS)]  # fmt: skip
    chosen = np.linspace(0, len(there) - 1, min(WINDOWS, len(there))).round().astype(int)
    return [there[i] for i in chosen]


def _halves(batch: Batch) -> Tensor:
    """Return a random half of the regions in every second segment, and its rest in the next."""
    runs, segments, n, _ = batch.signal.shape
    rng = torch.Generator().manual_seed(MASK_SEED)
    order = torch.rand((runs, -(-segments // 2), n), generator=rng).argsort(dim=-1).argsort(dim=-1)
    hidden = order < n // 2
    both = torch.stack([hidden, ~hidden], dim=2).flatten(1, 2)[:, :segments]
    return both.to(batch.signal.device)


def _made(network: BrainMAENetwork, batch: Batch, hidden: Tensor) -> Tensor:
    """Return reconstructions (set, run, segment, region, sample) of ``hidden`` (set, run, segment,
    region).
    """
    sets, runs = hidden.shape[:2]

    def again(x: Tensor) -> Tensor:
        return x.repeat(sets, *[1] * (x.ndim - 1))

    away = (hidden | batch.lost[None, ..., None]).flatten(0, 1)[..., None]
    present = again(batch.present) if batch.padded else None
    made = network(again(batch.signal), away, again(batch.middle_s), present)
    return made.view(sets, runs, *made.shape[1:])


def partial_correlation(covariance: np.ndarray) -> np.ndarray:
    """Return the correlation of each two regions given all others, of a (region, region)
    covariance with the conditional Gaussian's noise on its diagonal.
    """
    inverse = np.linalg.inv(covariance + NOISE * np.eye(len(covariance)))
    scale = np.sqrt(np.diag(inverse))
    made = -inverse / np.outer(scale, scale)
    np.fill_diagonal(made, 1.0)
    return made


def given_and_taken(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how much each region moves the others, and is moved by them, on average."""
    return np.nanmean(matrix, axis=0), np.nanmean(matrix, axis=1)


def strongest(matrix: np.ndarray, names: list[str], count: int = 3) -> list[str]:
    """Return the regions that move the others most."""
    given, _ = given_and_taken(matrix)
    return [names[int(i)] for i in np.argsort(given)[::-1][:count]]

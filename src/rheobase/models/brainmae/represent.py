"""One vector a run from a trained encoder, for linear probes and for telling people apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rheobase.models.brainmae.network import BrainMAENetwork
from rheobase.models.brainmae.segments import Batch, Deck, windows

STRIDE = 10
"""Segments between the windows of a run."""


def pooled(run: Tensor, segments: Tensor, present: Tensor) -> Tensor:
    """Return run vector, mean and deviation over segments, (run, 3 width).

    The deviation matters: signals are standardised, so what sets runs apart is second-order.
    """
    weight = present[..., None].to(segments.dtype)
    count = weight.sum(dim=1).clamp(min=1)
    mean = (segments * weight).sum(dim=1) / count
    spread = (((segments - mean[:, None]) ** 2) * weight).sum(dim=1) / count
    return torch.cat([run, mean, (spread + 1e-6).sqrt()], dim=-1)


def read(network: BrainMAENetwork, batch: Batch) -> Tensor:
    """Return the pooled vectors of whole, unhidden windows, (run, 3 width)."""
    hidden = batch.lost[:, :, None, None]
    present = batch.present if batch.padded else None
    embedded = network.embed(batch.signal, hidden)
    run, segments = network.encode(embedded, batch.middle_s, present)
    return pooled(run, segments, batch.present & ~batch.lost)


def all_windows(deck: Deck, segments: int) -> list[tuple[int, int]]:
    """Return run and first sample of every window of every run."""
    return [
        (number, start)
        for number, run in enumerate(deck.runs)
        for start in windows(run, deck.samples, segments, STRIDE)
    ]


@torch.no_grad()
def features(
    network: BrainMAENetwork, deck: Deck, names: Sequence[str], *, segments: int, batch: int
) -> np.ndarray:
    """Return one vector a recording, averaged over its windows, (recording, 3 width) float64."""
    chosen = all_windows(deck, segments)
    parts = [
        read(network, deck.deal(chosen[first : first + batch], segments)).double()
        for first in range(0, len(chosen), batch)
    ]
    vectors = torch.cat(parts).cpu().numpy()
    owner = np.array([deck.runs[run].name for run, _ in chosen])
    return np.stack([vectors[owner == name].mean(axis=0) for name in names])

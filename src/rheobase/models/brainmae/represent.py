"""One vector a recording: what the encoder says, how it would change the embeddings, its states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rheobase.models.brainmae import switching
from rheobase.models.brainmae.network import BrainMAENetwork
from rheobase.models.brainmae.segments import Batch, Deck, even_windows, usable, windows
from rheobase.models.brainmae.switching import Switching

ENCODER = "encoder"


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
    """Return run and first sample of every window of every run; windows overlap by half.

    Windows without any usable segment are left out.
    """
    return [
        (number, start)
        for number, run in enumerate(deck.runs)
        for start in windows(run, deck.samples, segments, max(1, segments // 2))
        if usable(run.valid[start : start + segments * deck.samples], deck.samples).any()
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


def embedding_gradient(network: BrainMAENetwork, deck: Deck, *, segments: int) -> np.ndarray:
    """Return the gradient of the reconstruction's error by the embeddings, (region, width) float64.

    Nothing is hidden; the squared error is averaged over all valid entries of the deck's runs. It
    says how these runs would change the embeddings that everybody shares: what in them is not
    everybody's. The Fisher score of a generative model (Jaakkola and Haussler 1998) where the
    network stands for the model and its embeddings for the parameters. Memory is that of one window
    of ``segments`` segments.
    """
    embedding, learned = network.embedding, network.embedding.requires_grad
    embedding.requires_grad_(True)
    total = torch.zeros_like(embedding, dtype=torch.float64)
    entries = torch.zeros((), dtype=torch.float64, device=embedding.device)
    for number, run in enumerate(deck.runs):
        for first, count in even_windows(len(run.signal) // deck.samples, segments):
            batch = deck.deal([(number, first * deck.samples)], count)
            made = network(batch.signal, batch.lost[..., None, None], batch.middle_s)
            weight = batch.weight[:, :, None]
            error = (((made - batch.signal) ** 2) * weight).sum()
            total += torch.autograd.grad(error, embedding)[0]
            entries += weight.sum() * made.shape[2]
    embedding.requires_grad_(learned)
    return (total / entries.clamp(min=1)).cpu().numpy()


@dataclass(frozen=True)
class Reader:
    """What a recording's vector is made of: an encoder, or none, and states of components."""

    network: BrainMAENetwork | None
    states: Switching

    def besides(self, deck: Deck, names: Sequence[str]) -> np.ndarray:
        """Return the part that no encoder makes, (recording, feature) float64."""
        return switching.features(self.states, deck.runs, names, period_s=deck.period_s)

    def vectors(self, deck: Deck, names: Sequence[str], *, segments: int, batch: int) -> np.ndarray:
        """Return the encoder's part and then the other, (recording, feature) float64."""
        besides = self.besides(deck, names)
        if self.network is None:
            return besides
        pooled = features(self.network, deck, names, segments=segments, batch=batch)
        return np.concatenate([pooled, besides], axis=1)

    def groups(self) -> dict[str, int]:
        """Return names and lengths of the groups of features, in their order."""
        own = {} if self.network is None else {ENCODER: 3 * self.network.sizes.segment_width}
        return own | switching.groups(self.states.maps.shape[1])

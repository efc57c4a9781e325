"""Which segments the run's own vector looks at, and how much of that is mere position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rheobase.models.brainmae.network import BrainMAENetwork
from rheobase.models.brainmae.reconstruct import MASK_SEED
from rheobase.models.brainmae.segments import Deck, Run, windows
from rheobase.recording import Recording

SHUFFLES = 20
MOST_SEGMENTS = 2000


@dataclass(frozen=True)
class Importance:
    """Attention of the run's vector to segments, times their number: 1 is an even share.

    Arrays are (window, segment), NaN where a window is shorter.
    """

    places: list[tuple[int, int]]
    """Run and first sample of each window"""
    attention: np.ndarray
    at_place: np.ndarray
    """Mean over time-shuffled segments of what the same place gets: position alone"""
    of_segment: np.ndarray
    """Mean over the same shuffles of what the same segment gets, wherever it stands: content"""

    def correlation(self, other: np.ndarray) -> float:
        """Return the correlation of attention with ``at_place`` or ``of_segment``."""
        known = np.isfinite(self.attention)
        one, two = self.attention[known], other[known]
        if len(one) < 3 or np.ptp(one) == 0 or np.ptp(two) == 0:
            return float("nan")
        return float(np.corrcoef(one, two)[0, 1])


@torch.no_grad()
def importance(network: BrainMAENetwork, deck: Deck, segments: int) -> Importance:
    """Return the attention of the last encoder block from the run's vector to each segment.

    Mean over heads, without what the vector gives itself, in all windows of up to ``segments``
    segments, overlapping by half, of as many runs as hold about 2000 segments. The control puts the
    segment vectors of a window in random order, 20 times, while places keep their position code.
    """
    rng = torch.Generator().manual_seed(MASK_SEED)
    rows, places = [], []
    for number in _chosen(deck):
        run = deck.runs[number]
        batch = deck.deal([(number, 0)], len(run.signal) // deck.samples)
        vectors = network.embed(batch.signal, batch.lost[:, :, None, None])[0]
        for start in windows(run, deck.samples, segments, max(1, segments // 2)):
            first = start // deck.samples
            places.append((number, start))
            rows.append(_window(network, vectors[first : first + segments], deck, rng))
    longest = max(len(row[0]) for row in rows)
    padded = [np.stack([np.pad(one, (0, longest - len(one)), constant_values=np.nan)
                        for one in column]) for column in zip(*rows, strict=True)]  # fmt: skip
    return Importance(places, *padded)


def _chosen(deck: Deck) -> list[int]:
    """Return the numbers of runs, evenly spread, that together have not too many segments."""
    typical = np.mean([len(run.signal) // deck.samples for run in deck.runs])
    count = int(np.clip(MOST_SEGMENTS / typical, 1, len(deck)))
    return np.linspace(0, len(deck) - 1, count).round().astype(int).tolist()


def _window(
    network: BrainMAENetwork, vectors: Tensor, deck: Deck, rng: torch.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return attention to the segments (segment, width) of a window, and both of its controls."""
    count = len(vectors)
    orders = torch.rand((SHUFFLES, count), generator=rng).argsort(dim=1).to(vectors.device)
    whole = torch.cat([torch.arange(count, device=vectors.device)[None], orders])
    middle = (torch.arange(count, device=vectors.device) + 0.5) * deck.samples * deck.period_s
    found = looks(network, vectors[whole], middle.expand(len(whole), -1)).double()
    back = torch.zeros_like(found[1:]).scatter(1, orders, found[1:])
    numbers = (found[0], found[1:].mean(dim=0), back.mean(dim=0))
    return tuple(one.cpu().numpy() for one in numbers)  # type: ignore[return-value]


def looks(network: BrainMAENetwork, segments: Tensor, middle_s: Tensor) -> Tensor:
    """Return the run vector's attention to segments (run, segment, width), times their number."""
    x = segments + network._positions(middle_s)
    x = torch.cat([network.cls.expand(len(x), 1, -1), x], dim=1)
    *before, last = network.encoder
    for block in before:
        x = block(x)
    weights = last.weights(x)[:, :, 0, 1:].mean(dim=1)  # type: ignore[operator]
    return weights * (weights.shape[1] / weights.sum(dim=1, keepdim=True))


def labels_of(recordings: Sequence[Recording], run: Run, samples: int) -> np.ndarray | None:
    """Return the label over time of each of a run's segments; None where it has none.

    The most frequent class of a segment, or its mean value.
    """
    here = [r for r in recordings if r.name == run.name
            and r.time[0] <= run.start_s <= r.time[-1]]  # fmt: skip
    if not here or not isinstance(here[0].label, np.ndarray):
        return None
    first = int(np.argmin(np.abs(here[0].time - run.start_s)))
    count = len(run.signal) // samples
    values = here[0].label[first : first + count * samples].reshape(count, samples)
    if here[0].label_kind == "value":
        return values.astype(np.float64).mean(axis=1)
    return np.array([_most_frequent(row) for row in values.astype(str)])


def _most_frequent(row: np.ndarray) -> str:
    names, counts = np.unique(row, return_counts=True)
    return str(names[np.argmax(counts)])

"""Blocks of a label that changes over time, and how an encoder reads them.

A block is an unbroken stretch of one label within one unbroken stretch of a recording, moved later
by the delay of the response. The encoder reads it as the mean over all segments that lie inside it,
one volume apart; a block shorter than a segment as the one segment that is centred on it. Beside
that stands how active each map of its embeddings is over the block. Rivals see the mean of the same
volumes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rheobase.models.brainmae import switching
from rheobase.models.brainmae.network import BrainMAENetwork
from rheobase.models.brainmae.represent import ENCODER
from rheobase.models.brainmae.segments import MOST_FLAGGED, Deck, Run
from rheobase.models.decoding import examples
from rheobase.models.decoding.examples import Examples, NotDecodableError
from rheobase.models.inputs import inner_groups
from rheobase.recording import Recording

AT_ONCE = 256
"""Segments read at once without training: bounds memory."""


@dataclass(frozen=True)
class Blocks:
    """Blocks of a label, and where each is found."""

    known: Examples
    """Mean activity, (block, region), with label, person and recording"""
    run: np.ndarray
    """Place of the block's stretch in the deck, (block,)"""
    starts: tuple[np.ndarray, ...]
    """First samples of the segments of each block"""
    volumes: tuple[np.ndarray, ...]
    """Samples of each block within its stretch, those that are not flagged"""

    def take(self, chosen: np.ndarray) -> Blocks:
        """Return the blocks of these numbers."""
        return Blocks(self.known.take(chosen), self.run[chosen],
                      tuple(self.starts[i] for i in chosen),
                      tuple(self.volumes[i] for i in chosen))  # fmt: skip

    def some(self, count: int, rng: np.random.Generator) -> Blocks:
        """Return the blocks with up to ``count`` of their segments, drawn at random."""
        drawn = tuple(rng.permutation(starts)[:count] for starts in self.starts)
        return Blocks(self.known, self.run, drawn, self.volumes)

    def frames(self, deck: Deck) -> list[Tensor]:
        """Return the volumes of each block that are not flagged, (time, region)."""
        return [deck.signals[run][torch.from_numpy(kept)]
                for run, kept in zip(self.run, self.volumes, strict=True)]  # fmt: skip

    def groups(self) -> np.ndarray:
        """Return what stays together in inner folds: people, recordings or unbroken stretches."""
        found = inner_groups(self.known.subject.tolist(), self.known.recording.tolist())
        return np.array(found) if found else np.char.add("stretch ", self.run.astype(str))


def find(
    recordings: Sequence[Recording], stretches: Sequence[Run], samples: int, *, delay: int,
    ignore: Sequence[str],
) -> Blocks:  # fmt: skip
    """Return the labelled blocks, ``delay`` samples after the label.

    A segment with more than 20 % flagged volumes is not read, and a block without any is left out.
    Raises ``NotDecodableError`` where none is left.
    """
    rows = []
    for place, run in enumerate(stretches):
        part = _part(run, recordings)
        own = run.subject, run.name
        rows += [(*own, place, *row) for row in _of_run(run, part, samples, delay)]
    rows = [row for row in rows if row[5] not in ("", *ignore)]
    if not rows:
        raise NotDecodableError(
            f"{recordings[0].name}: no block of the label {recordings[0].label_name!r} is left "
            f"(ignored: {', '.join(ignore) or 'none'})"
        )
    subject, recording, place, unit, order, y, x, starts, volumes = zip(*rows, strict=True)
    before = np.cumsum([0, *(len(run.signal) for run in stretches)])[list(place)]
    known = Examples(np.stack(x), np.array(y), np.array(subject), np.array(recording),
                     np.array(unit), True, np.array(order) + before)  # fmt: skip
    return Blocks(examples.exchangeable(known), np.array(place), starts, volumes)


def _part(run: Run, recordings: Sequence[Recording]) -> Recording:
    """Return the samples of a stretch with their label."""
    for one in recordings:
        at = round((run.start_s - float(one.time[0])) * one.rate)
        if one.name == run.name and 0 <= at < len(one.valid):
            return one.segment(at, at + len(run.signal))
    raise ValueError(f"{run.name} has no samples at {run.start_s:g}")


def _of_run(run: Run, part: Recording, samples: int, delay: int) -> Iterator[tuple[Any, ...]]:
    """Yield name, first sample, label, mean activity, first samples of segments, and volumes."""
    label, number, _ = examples.label_runs(part)
    cuts = (np.flatnonzero(np.diff(number)) + 1).tolist()
    for start, stop in itertools.pairwise([0, *cuts, len(number)]):
        first, last = start + delay, min(stop + delay, len(number))
        good = run.valid[first:last]
        inside = _segments(first, last, samples, run.valid)
        if good.any() and len(inside):
            name = f"{run.name} {run.start_s:g} {number[start]}"
            mean = run.signal[first:last][good].mean(axis=0, dtype=np.float64)
            kept = first + np.flatnonzero(good)
            yield name, first, str(label[start]), mean, inside, kept


def _segments(first: int, last: int, samples: int, valid: np.ndarray) -> np.ndarray:
    """Return the first samples of the usable segments of a block."""
    if last - first >= samples:
        starts = np.arange(first, last - samples + 1)
    else:
        centred = (first + last - samples) // 2
        starts = np.array([min(max(centred, 0), len(valid) - samples)])
    flagged = np.array([1 - valid[start : start + samples].mean() for start in starts])
    return starts[flagged <= MOST_FLAGGED]


def read(network: BrainMAENetwork, deck: Deck, blocks: Blocks) -> Tensor:
    """Return the mean segment vector of each block, (block, segment width)."""
    parts = [
        deck.signals[run].unfold(0, deck.samples, 1)[torch.from_numpy(starts)]
        for run, starts in zip(blocks.run, blocks.starts, strict=True)
    ]
    shown = torch.zeros(1, 1, 1, 1, dtype=torch.bool, device=parts[0].device)
    read = network.embed(torch.cat(parts)[None], shown)[0]
    return torch.stack([one.mean(dim=0) for one in read.split([len(part) for part in parts])])


@dataclass(frozen=True)
class Reader:
    """What a block's vector is made of: an encoder, and the maps of its first embeddings."""

    network: BrainMAENetwork
    maps: np.ndarray
    """(region, map)"""

    @classmethod
    def of(cls, network: BrainMAENetwork) -> Reader:
        """Return the reader of a network, its maps those of its embeddings."""
        return cls(network, switching.embedding_maps(network.regions(), None).numpy())

    def besides(self, blocks: Blocks) -> np.ndarray:
        """Return the mean course of every map over each block, (block, map) float64."""
        return blocks.known.x @ self.maps

    def vectors(self, deck: Deck, blocks: Blocks) -> np.ndarray:
        """Return the encoder's part and then the other, (block, feature) float64."""
        told = all_read(self.network, deck, blocks).double().cpu().numpy()
        return np.concatenate([told, self.besides(blocks)], axis=1)

    def groups(self) -> dict[str, int]:
        """Return names and lengths of the groups of features, in their order."""
        return {ENCODER: self.network.sizes.segment_width, "courses of maps": self.maps.shape[1]}


@torch.no_grad()
def all_read(network: BrainMAENetwork, deck: Deck, blocks: Blocks) -> Tensor:
    """Return the same for many blocks, without a gradient."""
    pieces = math.ceil(sum(map(len, blocks.starts)) / AT_ONCE)
    order = np.arange(len(blocks.run))
    return torch.cat([read(network, deck, blocks.take(part))
                      for part in np.array_split(order, pieces) if len(part)])  # fmt: skip

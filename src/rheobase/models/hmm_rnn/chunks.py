"""Segments of a series, cut into chunks of equal length that run side by side.

A quantity on chunks is (step, ..., chunk): one step of all chunks lies together in memory, so that
a recursion over time is a loop over few steps of long rows. Chunks of one segment follow each
other; the last one of a segment is padded at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

CHUNK = 128
"""Most steps of a chunk."""
WIDTH = 4096
"""Rows, of all models together, that keep a GPU busy; chunks there are shortened to have them."""


@dataclass(frozen=True)
class Chunks:
    """Which sample stands where."""

    rows: Tensor
    """(step, chunk) number of the sample; 0 where there is none."""
    valid: Tensor
    """(step, chunk), False at pads."""
    position: Tensor
    """(chunk,) which chunk of its segment it is, from 0."""
    segment: Tensor
    """(chunk,)"""
    samples: int
    segments: int
    padded: Tensor
    """Numbers of the chunks that hold pads."""

    @property
    def first(self) -> Tensor:
        """Return which chunks begin a segment, (chunk,)."""
        return self.position == 0

    @property
    def last(self) -> Tensor:
        """Return which chunks end a segment, (chunk,)."""
        return torch.cat([self.first[1:], torch.ones_like(self.first[:1])])

    @property
    def steps(self) -> int:
        return self.rows.shape[0]

    @property
    def count(self) -> int:
        return self.rows.shape[1]

    def lay(self, series: Tensor) -> Tensor:
        """Return a series (time, column) as (step, column, chunk), 0 at pads."""
        laid = series[self.rows].permute(0, 2, 1).contiguous()
        if len(self.padded):
            laid[:, :, self.padded] *= self.valid[:, None, self.padded].to(laid.dtype)
        return laid

    def along(self, laid: Tensor) -> Tensor:
        """Return what is (step, ..., chunk) as (time, ...)."""
        moved = laid.movedim(-1, 1)
        out = moved.new_empty((self.samples, *moved.shape[2:]))
        out[self.rows[self.valid]] = moved[self.valid]
        return out

    def follow(self, values: Tensor, start: Tensor) -> Tensor:
        """Return (..., chunk) moved on by one chunk, ``start`` (..., 1) where a segment begins."""
        return torch.where(self.first, start, values.roll(1, -1))


def cut(lengths: Sequence[int], *, chunk: int | Literal["auto"] = "auto", models: int = 1,
        device: str = "cpu") -> Chunks:  # fmt: skip
    """Return the chunks of segments of these lengths, samples.

    Raises ``ValueError`` for a segment without samples and for a chunk shorter than one step.
    """
    if not len(lengths) or min(lengths) < 1:
        raise ValueError(f"segment lengths are {list(lengths)}; give one or more, each at least 1")
    if chunk != "auto" and chunk < 1:
        raise ValueError(f"chunk is {chunk}; it must be 1 or more steps, or auto")
    longest = max(lengths)
    most = _automatic(sum(lengths) * models, device) if chunk == "auto" else chunk
    steps = -(-longest // -(-longest // most)) if chunk == "auto" else min(most, longest)
    pieces = [-(-length // steps) for length in lengths]
    position = np.concatenate([np.arange(n) for n in pieces])
    segment = np.repeat(np.arange(len(lengths)), pieces)
    begins = np.cumsum([0, *lengths[:-1]])[segment] + position * steps
    ends = np.cumsum(lengths)[segment]
    rows = begins + np.arange(steps)[:, None]
    valid = rows < ends
    numbers = (np.where(valid, rows, 0), valid, position, segment)
    padded = np.flatnonzero(~valid.all(axis=0))
    on = [torch.as_tensor(array, device=device) for array in (*numbers, padded)]
    return Chunks(on[0], on[1], on[2], on[3], sum(lengths), len(lengths), on[4])


def _automatic(rows: int, device: str) -> int:
    if device == "cpu":
        return CHUNK
    return int(np.clip(rows // WIDTH, 16, CHUNK))

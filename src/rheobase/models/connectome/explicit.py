"""Products with an affinity tensor whose packed upper triangle is built, whole or in parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import psutil
import torch
from torch import Tensor

from rheobase.models.connectome.layout import Layout, Mask

STREAM_BYTES = 32 * 2**20
"""Bytes of one part where the whole does not fit."""


class Source(Protocol):
    """What affinities are made from, a few columns or pairs at a time."""

    @property
    def layout(self) -> Layout: ...
    @property
    def mask(self) -> Mask: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def dtype(self) -> torch.dtype: ...
    def block(self, columns: slice) -> Tensor: ...
    def values(self, first: Tensor, second: Tensor, columns: slice = ...) -> Tensor: ...
    def select(self, *, neurons: Tensor | None = None, columns: Tensor | None = None) -> Source: ...
    def hide(self, presence: Tensor) -> Source: ...


def free_bytes(device: torch.device) -> int:
    """Return the free memory of a device, bytes."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


@dataclass(frozen=True)
class ExplicitAffinities:
    """The tensor as (pair, column), kept up to ``max_bytes``; see ``affinities.Affinities``."""

    source: Source
    max_bytes: int
    stream_bytes: int = STREAM_BYTES

    @property
    def layout(self) -> Layout:
        return self.source.layout

    @property
    def mask(self) -> Mask:
        return self.source.mask

    @property
    def device(self) -> torch.device:
        return self.source.device

    @property
    def dtype(self) -> torch.dtype:
        return self.source.dtype

    @property
    def kept(self) -> bool:
        """Whether the whole tensor stays in memory."""
        return self.layout.pairs * self.layout.columns * self.dtype.itemsize <= self.max_bytes

    @cached_property
    def packed(self) -> Tensor:
        """The whole tensor, (pair, column)."""
        made = torch.empty(
            self.layout.pairs, self.layout.columns, dtype=self.dtype, device=self.device
        )
        for columns in self._column_blocks():
            made[:, columns] = self.source.block(columns)
        return made

    def _column_blocks(self) -> list[slice]:
        width = max(1, self.stream_bytes // (self.layout.pairs * self.dtype.itemsize))
        total = self.layout.columns
        return [slice(a, min(a + width, total)) for a in range(0, total, width)]

    def _parts(self) -> Iterator[tuple[slice, Tensor]]:
        if self.kept:
            yield slice(0, self.layout.columns), self.packed
            return
        for columns in self._column_blocks():
            yield columns, self.source.block(columns)

    def pair_products(self, weights: Tensor) -> Tensor:
        """Return ``weights X^T``, (k, pair), for weights (k, column)."""
        made = weights.new_zeros(len(weights), self.layout.pairs)
        for columns, part in self._parts():
            made.addmm_(weights[:, columns], part.T)
        return made

    def column_products(self, patterns: Tensor) -> Tensor:
        """Return ``patterns X``, (k, column), for patterns (k, pair)."""
        made = patterns.new_empty(len(patterns), self.layout.columns)
        for columns, part in self._parts():
            made[:, columns] = patterns @ part
        return made

    def column_norms(self) -> Tensor:
        """Return the squared norm of every column, (column,) float64."""
        made = torch.empty(self.layout.columns, dtype=torch.float64, device=self.device)
        for columns in self._column_blocks():
            part = self.packed[:, columns] if self.kept else self.source.block(columns)
            made[columns] = part.double().square().sum(0)
        return made

    def values(self, first: Tensor, second: Tensor, columns: slice) -> Tensor:
        """Return X at pairs of neurons first < second, (pair, column)."""
        return self.source.values(first, second, columns)

    def select(
        self, *, neurons: Tensor | None = None, columns: Tensor | None = None
    ) -> ExplicitAffinities:
        """Return the tensor of some neurons and, for one animal, of some columns."""
        chosen = self.source.select(neurons=neurons, columns=columns)
        return ExplicitAffinities(chosen, self.max_bytes, self.stream_bytes)

    def hide(self, presence: Tensor) -> ExplicitAffinities:
        """Return the tensor with only these (neuron, animal) observed."""
        return ExplicitAffinities(self.source.hide(presence), self.max_bytes, self.stream_bytes)

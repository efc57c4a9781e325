"""Products with an affinity tensor that is never built.

With ``X[ij, c] = d sum_q h_qic h_qjc`` for i < j, weights w and patterns A_r with strictly upper
triangular matrices U_r:

    (w X^T)_r = upper triangle of  d sum_q (H_q * w_r) H_q^T
    (A X)_rc  = d sum_q sum_i ((U_r H_q) * H_q)_ic
    ||X_c||^2 = d^2 sum_qq' [(h_q . h_q')^2 - sum_i h_qi^2 h_q'i^2] / 2

Both products run over blocks of rows i and only over j from the first row of the block on, which
spares nearly half of the operations, and over blocks of columns, which bounds the memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from rheobase.models.connectome.kernels import DriveSource
from rheobase.models.connectome.layout import Layout, Mask, pair_indices

ROWS = 64
BLOCK_ELEMENTS = {"cpu": 200_000, "cuda": 64_000_000}
"""Elements of the largest temporary: on a CPU it must stay in the second-level cache."""


@dataclass(frozen=True)
class ImplicitAffinities:
    """The tensor of a kernel with a rank form; see ``affinities.Affinities``."""

    source: DriveSource
    block_elements: int | None = None

    @property
    def layout(self) -> Layout:
        return self.source.layout

    @property
    def mask(self) -> Mask:
        return self.source.mask

    @property
    def device(self) -> torch.device:
        return self.source.drive.device

    @property
    def dtype(self) -> torch.dtype:
        return self.source.drive.dtype

    @cached_property
    def row_blocks(self) -> list[slice]:
        """Blocks of rows: at least three where there are enough, of at most 64."""
        neurons = self.layout.neurons
        rows = max(8, min(ROWS, -(-neurons // 3)))
        return [slice(a, min(a + rows, neurons)) for a in range(0, neurons, rows)]

    @cached_property
    def upper(self) -> list[tuple[Tensor, Tensor]]:
        """For each row block, where its pairs lie in its (row, neuron - start) rectangle.

        Indices into the flattened rectangle; pairs of a block are consecutive.
        """
        found = []
        for rows in self.row_blocks:
            height, width = rows.stop - rows.start, self.layout.neurons - rows.start
            i, j = pair_indices(width, self.device)
            kept = i < height
            found.append((i[kept] * width + j[kept], torch.tensor(height * width)))
        return found

    @cached_property
    def pair_blocks(self) -> list[slice]:
        """The pairs of each row block."""
        ends = torch.tensor([0] + [len(at) for at, _ in self.upper]).cumsum(0).tolist()
        return [slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]

    def pair_products(self, weights: Tensor) -> Tensor:
        """Return ``weights X^T``, (k, pair), for weights (k, column)."""
        made = weights.new_empty(len(weights), self.layout.pairs)
        for rows, pairs, (at, _) in zip(self.row_blocks, self.pair_blocks, self.upper, strict=True):
            full = self._rectangle(weights, rows)
            made[:, pairs] = full.view(len(weights), -1).index_select(1, at)
        return made if self.source.weight == 1 else made.mul_(self.source.weight)

    def _rectangle(self, weights: Tensor, rows: slice) -> Tensor:
        """Return ``sum_q (H_q[rows] * w_r) H_q[rows.start:]^T``, (k rows, neurons from start)."""
        height, k = rows.stop - rows.start, len(weights)
        full = weights.new_zeros(k * height, self.layout.neurons - rows.start)
        for columns in self._column_blocks(k * height):
            w = weights[:, None, columns]
            for q in range(self.source.terms):
                h = self.source.term(q, columns)[rows.start :]
                full.addmm_((h[:height] * w).view(k * height, -1), h.T)
        return full

    def column_products(self, patterns: Tensor) -> Tensor:
        """Return ``patterns X``, (k, column), for patterns (k, pair)."""
        k = len(patterns)
        made = patterns.new_zeros(k, self.layout.columns)
        for rows, pairs, (at, size) in zip(
            self.row_blocks, self.pair_blocks, self.upper, strict=True
        ):
            height = rows.stop - rows.start
            full = patterns.new_zeros(k, int(size))
            full.scatter_(1, at.expand(k, -1), patterns[:, pairs])
            full = full.view(k * height, -1)
            for columns in self._column_blocks(k * height):
                for q in range(self.source.terms):
                    h = self.source.term(q, columns)[rows.start :]
                    part = torch.mm(full, h).view(k, height, -1)
                    made[:, columns] += part.mul_(h[:height]).sum(1)
        return made if self.source.weight == 1 else made.mul_(self.source.weight)

    def column_norms(self) -> Tensor:
        """Return the squared norm of every column, (column,) float64."""
        made = torch.zeros(self.layout.columns, dtype=torch.float64, device=self.device)
        terms = range(self.source.terms)
        for columns in self._column_blocks(self.layout.neurons):
            for q in terms:
                h = self.source.term(q, columns).double()
                for p in range(q + 1):
                    product = h * self.source.term(p, columns)
                    norm = product.sum(0).square_() - product.square_().sum(0)
                    made[columns] += norm if p < q else norm / 2
        return made.clamp_min_(0) * self.source.weight**2

    def values(self, first: Tensor, second: Tensor, columns: slice) -> Tensor:
        """Return X at pairs of neurons first < second, (pair, column)."""
        return self.source.values(first, second, columns)

    def select(
        self, *, neurons: Tensor | None = None, columns: Tensor | None = None
    ) -> ImplicitAffinities:
        """Return the tensor of some neurons and, for one animal, of some columns."""
        return ImplicitAffinities(
            self.source.select(neurons=neurons, columns=columns), self.block_elements
        )

    def hide(self, presence: Tensor) -> ImplicitAffinities:
        """Return the tensor with only these (neuron, animal) observed."""
        return ImplicitAffinities(self.source.hide(presence), self.block_elements)

    def _column_blocks(self, rows: int) -> list[slice]:
        limit = self.block_elements or BLOCK_ELEMENTS.get(self.device.type, 64_000_000)
        width = max(1, min(self.layout.columns, max(limit // rows, min(64, limit))))
        return [
            slice(a, min(a + width, self.layout.columns))
            for a in range(0, self.layout.columns, width)
        ]

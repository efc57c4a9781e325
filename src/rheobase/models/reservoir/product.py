"""One product a step: the matrices of all seeds, block-diagonal, times all columns.

What limits it is reading the rows of the state, one row of columns for every synapse, from the
processor's cache. Of what torch offers on x86, summing embeddings (FBGEMM) reads them fastest once
there are 16 columns or more; with fewer, and elsewhere, its CSR product is faster. On a GPU small
matrices are multiplied as dense ones. docs/reservoir.md has the measurements.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from scipy.sparse import block_diag, csr_array
from torch import Tensor

Kind = Literal["bag", "csr", "dense"]
KINDS: tuple[Kind, ...] = ("bag", "csr", "dense")
BAG_COLUMNS = 16
DENSE_UNITS = 2000


def kind_for(units: int, columns: int, device: str, dtype: torch.dtype) -> Kind:
    """Return the fastest way to multiply by matrices of so many units."""
    if torch.device(device).type == "cuda":
        return "dense" if units <= DENSE_UNITS else "csr"
    fast = dtype == torch.float32 and "fbgemm" in torch.backends.quantized.supported_engines
    return "bag" if fast and columns >= BAG_COLUMNS else "csr"


class SparseProduct:
    """``block_diag(matrices) @ state`` for a state (seed * unit, column)."""

    def __init__(
        self, matrices: Sequence[csr_array], *, columns: int, device: str, dtype: torch.dtype,
        kind: Kind | None = None,
    ) -> None:  # fmt: skip
        rows, units = size(matrices[0])
        self.kind = kind or kind_for(units, columns, device, dtype)
        self.seeds, self.rows, self.units = len(matrices), rows, units
        if self.kind == "dense":
            stacked = np.stack([one.toarray() for one in matrices])
            self.dense = torch.as_tensor(stacked, dtype=dtype, device=device)
            return
        whole = csr_array(block_diag(matrices, format="csr"))
        self.index = torch.as_tensor(whole.indices.astype(np.int32), device=device)
        self.starts = torch.as_tensor(whole.indptr.astype(np.int32), device=device)
        self.values = torch.as_tensor(whole.data, dtype=dtype, device=device)
        if self.kind == "csr":
            self.matrix = csr_tensor(self.starts, self.index, self.values, size(whole))

    def __call__(self, state: Tensor) -> Tensor:
        """Return the product, (seed * row, column); ``state`` is contiguous."""
        if self.kind == "bag":
            return torch.nn.functional.embedding_bag(
                self.index, state, self.starts, mode="sum", per_sample_weights=self.values,
                include_last_offset=True,
            )  # fmt: skip
        if self.kind == "csr":
            return torch.mm(self.matrix, state)
        return (self.dense @ state.view(self.seeds, self.units, -1)).flatten(0, 1)


def size(matrix: csr_array) -> tuple[int, int]:
    """Return rows and columns."""
    rows, columns = matrix.shape  # pyright: ignore[reportGeneralTypeIssues]
    return rows, columns


def csr_tensor(starts: Tensor, index: Tensor, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return torch's CSR matrix of these arrays, without its warning that it is in beta."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.sparse_csr_tensor(starts, index, values, shape)

"""The product of a layer's inputs with its weights, for many steps at once.

``exact`` is one float32 (or float64) matrix product. ``fast`` takes, where few inputs are not zero,
a sum over the rows of those alone, which is the same numbers added in another order; elsewhere, and
only where the device multiplies bfloat16 faster, a bfloat16 product, which rounds weights and
results to 8 bits: an entry errs by at most 2^-7 of the sum of its absolute terms.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Precision = Literal["exact", "fast"]
PRECISIONS = ("exact", "fast")
FORWARD_SPARSE, GRADIENT_SPARSE = 0.08, 0.04
"""Below these shares of inputs that are not zero a sum over rows beats a product, measured on CPU
with 1024 x 1024 weights; chosen here."""
WIDE = 1 << 16
"""Smaller matrices of weights are multiplied as they are: counting would cost more"""


def quick_bfloat16(device: torch.device) -> bool:
    """Return whether the device has instructions for bfloat16 products."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def project(given: Tensor, weight: Tensor, bias: Tensor | None, out: Tensor, way: Way) -> None:
    """Write ``given W' + b`` into ``out``; (row, input), (unit, input), (row, unit)."""
    if way.sparse(given, weight, FORWARD_SPARSE):
        out.copy_(_rows(given, way.transposed(weight)))
    elif way.bfloat16:
        out.copy_(given.bfloat16() @ way.rounded(weight).T)
    elif bias is not None:
        torch.addmm(bias, given, weight.T, out=out)
        return
    else:
        torch.mm(given, weight.T, out=out)
    if bias is not None:
        out.add_(bias)


def add_weight_gradient(grad: Tensor, given: Tensor, total: Tensor, way: Way) -> None:
    """Add ``grad' given`` to ``total``: (row, unit), (row, input), (unit, input)."""
    if way.sparse(given, total, GRADIENT_SPARSE):
        total.add_(_rows(given.T.contiguous(), grad).T)
    elif way.bfloat16:
        total.add_(grad.bfloat16().T @ given.bfloat16())
    else:
        total.addmm_(grad.T, given)


def back(grad: Tensor, weight: Tensor, out: Tensor, way: Way) -> None:
    """Write ``grad W`` into ``out``: (row, unit), (unit, input), (row, input)."""
    if way.bfloat16:
        out.copy_(grad.bfloat16() @ way.rounded(weight))
    else:
        torch.mm(grad, weight, out=out)


class Way:
    """How the products of one pass are taken, with what they share."""

    def __init__(self, precision: Precision, device: torch.device) -> None:
        self.fast = precision == "fast"
        self.on_cpu = device.type == "cpu"
        self.bfloat16 = self.fast and quick_bfloat16(device)
        self._transposed: Tensor | None = None
        self._rounded: Tensor | None = None

    def sparse(self, given: Tensor, weight: Tensor, below: float) -> bool:
        """Return whether so few inputs are not zero; never asked of a GPU, which would wait."""
        if not (self.fast and self.on_cpu and given.dtype == torch.float32):
            return False
        if weight.numel() < WIDE:
            return False
        return int(torch.count_nonzero(given)) < below * given.numel()

    def transposed(self, weight: Tensor) -> Tensor:
        if self._transposed is None:
            self._transposed = weight.T.contiguous()
        return self._transposed

    def rounded(self, weight: Tensor) -> Tensor:
        if self._rounded is None:
            self._rounded = weight.bfloat16()
        return self._rounded


def _rows(given: Tensor, table: Tensor) -> Tensor:
    """Return ``given table`` as sums of the rows of ``table`` that are not multiplied by 0."""
    row, column = given.nonzero(as_tuple=True)
    starts = torch.zeros(len(given), dtype=torch.int64)
    torch.cumsum(torch.bincount(row, minlength=len(given))[:-1], 0, out=starts[1:])
    values = given[row, column]
    return functional.embedding_bag(column, table, starts, mode="sum", per_sample_weights=values)

"""Quadratic forms as products with the pairs of columns.

Pairs come in the order of the upper triangle, row by row, diagonal included.
"""

from __future__ import annotations

import torch
from torch import Tensor


def pairs(x: Tensor, out: Tensor) -> None:
    """Write the products of all pairs of columns, (step, pair, chunk), of (step, column, chunk)."""
    n, at = x.shape[1], 0
    for i in range(n):
        torch.mul(x[:, i : i + 1], x[:, i:], out=out[:, at : at + n - i])
        at += n - i


def form(matrices: Tensor) -> Tensor:
    """Return the weights of ``pairs`` that give ``x' M x``, (..., pair)."""
    n = matrices.shape[-1]
    i, j = torch.triu_indices(n, n, device=matrices.device)
    return matrices[..., i, j] * torch.where(i == j, 1.0, 2.0).to(matrices.dtype)


def matrix(sums: Tensor, n: int) -> Tensor:
    """Return sums of ``pairs`` as symmetric matrices, (..., n, n)."""
    i, j = torch.triu_indices(n, n, device=sums.device)
    out = sums.new_zeros((*sums.shape[:-1], n, n))
    out[..., i, j] = sums
    out[..., j, i] = sums
    return out


def outer(x: Tensor) -> Tensor:
    return x[..., :, None] * x[..., None, :]


def inverse(covs: Tensor) -> tuple[Tensor, Tensor]:
    """Return precision and log-determinant; raises ``ValueError`` where a matrix has none."""
    root, failed = torch.linalg.cholesky_ex(covs)
    if bool(failed.any()):
        model, state = (int(n) for n in failed.nonzero()[0][:2])
        raise ValueError(
            f"the covariance of state {state} (model {model}) is singular; give the covariance "
            "prior a weight above 0, fewer states, or fewer dimensions"
        )
    logdet = 2 * root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return torch.cholesky_inverse(root), logdet

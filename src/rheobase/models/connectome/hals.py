"""Hierarchical alternating least squares for one factor, with given products and Gram matrix.

``F_r <- clip(F_r + (M_r - sum_q G_rq F_q) / G_rr, floor, cap)`` for r in turn, several sweeps
(accelerated HALS: Gillis and Glineur, Neural Computation 24, 2012). Factors are (k, R, column):
k restarts at once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from rheobase.models.connectome.grams import PAIR_CHUNK, Gram

TINY = 1e-16
"""Smallest entry of a factor: zeros could never leave an extrapolated or scaled step."""

CHUNK = {"cpu": PAIR_CHUNK, "cuda": 2**18}
"""Columns of a factor at a time: few enough for the cache, or for a Gram matrix of each."""


def hals(
    factor: Tensor,
    products: Tensor,
    gram: Gram,
    *,
    sweeps: int = 5,
    inner_tol: float = 0.0,
    cap: float | None = None,
    smoothness: Tensor | None = None,
) -> None:
    """Update a factor (k, R, column) in place so that the loss does not rise.

    ``products`` are M, (k, R, column). Sweeps end early for a restart whose change (2-norm) falls
    below ``inner_tol`` of that of the first sweep; 0: never. ``cap`` bounds entries from above.
    ``smoothness`` (column - 1,) adds ``sum_c smoothness_c (F_c+1 - F_c)^2``. Columns are taken in
    chunks that stay in cache, all of them at once where sweeps may end early or are coupled.
    """
    columns = factor.shape[2]
    whole = inner_tol > 0 or smoothness is not None
    width = columns if whole else CHUNK.get(factor.device.type, CHUNK["cuda"])
    for start in range(0, columns, width):
        part = slice(start, min(start + width, columns))
        own = gram if isinstance(gram, Tensor) else gram(part)
        own = own[..., part] if isinstance(gram, Tensor) and own.ndim == 4 else own
        step = _Step(products[:, :, part], own, cap, smoothness)
        _sweeps(factor[:, :, part], step, sweeps, inner_tol)


def _sweeps(factor: Tensor, step: _Step, sweeps: int, inner_tol: float) -> None:
    """Sweep until the change is small; restarts that are done keep still."""
    sweep = step.sweeper(factor)
    if not inner_tol:
        for _ in range(sweeps):
            sweep()
        return
    done = torch.zeros(len(factor), dtype=torch.bool, device=factor.device)
    first = None
    for _ in range(sweeps):
        before = factor.clone()
        sweep()
        if len(factor) > 1:
            factor.copy_(torch.where(done[:, None, None], before, factor))
        change = (factor - before).square_().sum((1, 2))
        first = change if first is None else first
        done |= change < inner_tol**2 * first
        if factor.device.type == "cpu" and bool(done.all()):
            return


class _Step:
    """One sweep over r with everything divided by the diagonal of the Gram matrix once."""

    def __init__(
        self, products: Tensor, gram: Tensor, cap: float | None, smoothness: Tensor | None
    ) -> None:
        diagonal = gram.diagonal(dim1=1, dim2=2)
        diagonal = diagonal.movedim(-1, 1) if gram.ndim == 4 else diagonal
        inverse = torch.where(diagonal > 0, 1 / diagonal, 0.0)
        scale = inverse if gram.ndim == 4 else inverse[:, :, None]
        self.target = products * scale
        self.gram = gram * (scale[:, :, None] if gram.ndim == 4 else scale)
        eye = torch.eye(gram.shape[1], dtype=torch.bool, device=gram.device)
        self.gram.masked_fill_(eye[..., None] if gram.ndim == 4 else eye, 0.0)
        self.cap = cap
        self.links = None
        if smoothness is not None:
            pad = torch.nn.functional.pad
            self.links = pad(smoothness, (1, 0)) * scale, pad(smoothness, (0, 1)) * scale

    def sweeper(self, factor: Tensor) -> Callable[[], None]:
        """Return what makes one sweep over this factor."""
        simple = self.gram.ndim == 3 and self.links is None
        if simple and factor.device.type == "cpu":
            return _HostSweep(self, factor)
        return lambda: self._sweep(factor)

    def _sweep(self, factor: Tensor) -> None:
        for r in range(factor.shape[1]):
            row = factor[:, r : r + 1]
            target = self.target[:, r : r + 1]
            if self.gram.ndim == 3:
                free = torch.baddbmm(target, self.gram[:, r : r + 1], factor, alpha=-1)
            else:
                free = target - (self.gram[:, r] * factor).sum(1, keepdim=True)
            if self.links is None:
                row.copy_(free.clamp_(TINY, self.cap))
            else:
                self._smooth(row[:, 0], free[:, 0], r)

    def _smooth(self, row: Tensor, free: Tensor, r: int) -> None:
        """Minimise over even columns given the odd ones, then over odd ones given the even."""
        assert self.links is not None
        left, right = (links[:, r] for links in self.links)
        for parity in (0, 1):
            at = slice(parity, None, 2)
            before = torch.nn.functional.pad(row, (1, 0))[:, :-1][:, at]
            after = torch.nn.functional.pad(row, (0, 1))[:, 1:][:, at]
            pulled = free[:, at] + left[:, at] * before + right[:, at] * after
            made = pulled / (1 + left[:, at] + right[:, at])
            row[:, at] = made.clamp(TINY, self.cap)


class _HostSweep:
    """The sweep on a CPU: numpy's matrix-vector product starts sooner and runs faster."""

    def __init__(self, step: _Step, factor: Tensor) -> None:
        self.free = factor.new_empty(factor.shape[2])
        self.cap = step.cap
        self.rows = [
            (f.numpy(), f[r], g[r].numpy(), t[r].numpy())
            for f, g, t in zip(factor, step.gram, step.target, strict=True)
            for r in range(len(f))
        ]

    def __call__(self) -> None:
        free = self.free.numpy()
        for factor, row, gram, target in self.rows:
            np.dot(gram, factor, out=free)
            np.subtract(target, free, out=free)
            if self.cap is None:
                torch.clamp_min(self.free, TINY, out=row)
            else:
                torch.clamp(self.free, TINY, self.cap, out=row)

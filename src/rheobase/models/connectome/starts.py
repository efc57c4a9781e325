"""Where factorisations start: uniform random factors, and one from a singular value decomposition.

A start is three tensors with restarts first: A (k, R, pair), B (k, R, bin), C (k, R, animal).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rheobase.models.connectome.affinities import Affinities
from rheobase.models.connectome.grams import for_animals, model_norm, over_pairs
from rheobase.models.connectome.hals import TINY
from rheobase.models.connectome.layout import Layout

OVERSAMPLED = 5
POWER_STEPS = 2
FLOOR = 1e-3
"""Added to zeros of the singular start, as a share of the mean."""


@dataclass(frozen=True)
class Start:
    """Factors of k restarts, of any scale."""

    patterns: Tensor
    times: Tensor
    animals: Tensor

    def __len__(self) -> int:
        return len(self.patterns)

    def take(self, which: slice | Tensor) -> Start:
        """Return some of the restarts, as copies."""
        parts = (self.patterns[which], self.times[which], self.animals[which])
        return Start(*(part.clone() for part in parts))

    @staticmethod
    def joined(starts: list[Start]) -> Start:
        """Return all restarts in one."""
        names = ("patterns", "times", "animals")
        return Start(*(torch.cat([getattr(s, name) for s in starts]) for name in names))


def check_rank(layout: Layout, rank: int) -> None:
    """Raise ``ValueError`` for a rank below 1 or above min(pairs, columns)."""
    most = min(layout.pairs, layout.columns)
    if not 1 <= rank <= most:
        raise ValueError(
            f"rank is {rank}; with {layout.pairs} pairs and {layout.columns} bins of all animals "
            f"it must be from 1 to {most}"
        )


def uniform_starts(tensor: Affinities, *, rank: int, count: int, seed: int) -> Start:
    """Return ``count`` starts uniform in (0, 1), each from its own child of ``seed``."""
    check_rank(tensor.layout, rank)
    size = tensor.layout
    made = []
    for child in np.random.SeedSequence(seed).spawn(count):
        generator = np.random.default_rng(child)
        drawn = (generator.random((1, rank, n)) for n in (size.pairs, size.bins, size.animals))
        made.append(Start(*(torch.from_numpy(d).to(tensor.device, tensor.dtype) for d in drawn)))
    return scaled_start(tensor, Start.joined(made))


def singular_start(tensor: Affinities, *, rank: int, seed: int) -> Start:
    """Return one start from a truncated singular value decomposition of (pair, column).

    As NNDSVD (Boutsidis and Gallopoulos, Pattern Recognition 41, 2008): of each pair of singular
    vectors the larger of the positive and the negative parts; the column part, (animal, bin), is
    split into B and C by its own first singular vectors. The decomposition is by random subspace
    iteration, so the tensor is not built. Chosen here.
    """
    check_rank(tensor.layout, rank)
    left, values, right = _singular(tensor, rank, seed)
    size = tensor.layout
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for u, s, v in zip(left, values, right, strict=True):
        signs = [(u.clamp_min(0), v.clamp_min(0)), ((-u).clamp_min(0), (-v).clamp_min(0))]
        pick = max(signs, key=lambda one: float(one[0].norm() * one[1].norm()))
        grid = pick[1].view(size.animals, size.bins)
        animal, _, time = torch.linalg.svd(grid, full_matrices=False)
        parts.append((pick[0] * s, time[0].abs(), animal[:, 0].abs()))
    a, b, c = (torch.stack(p)[None] for p in zip(*parts, strict=True))
    return scaled_start(
        tensor,
        Start(*(f.clamp_min(0) + FLOOR * f.mean((1, 2), keepdim=True) + TINY for f in (a, b, c))),
    )


def _singular(tensor: Affinities, rank: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the first singular vectors over pairs and columns in rows, and singular values."""
    size = tensor.layout
    width = min(rank + OVERSAMPLED, size.pairs, size.columns)
    drawn = np.random.default_rng(np.random.SeedSequence(seed)).standard_normal(
        (width, size.columns)
    )
    basis = torch.from_numpy(drawn).to(tensor.device, tensor.dtype)
    pairs = tensor.pair_products(basis)
    for _ in range(POWER_STEPS):
        pairs = torch.linalg.qr(pairs.T)[0].T.contiguous()
        basis = torch.linalg.qr(tensor.column_products(pairs).T)[0].T.contiguous()
        pairs = tensor.pair_products(basis)
    pairs = torch.linalg.qr(pairs.T)[0].T.contiguous()
    small = tensor.column_products(pairs)
    inner, values, right = torch.linalg.svd(small, full_matrices=False)
    return (inner.T @ pairs)[:rank], values[:rank], right[:rank]


def scaled_start(tensor: Affinities, start: Start) -> Start:
    """Return the start with A scaled so that the loss is least: by <X, Xhat> / ||Xhat||^2."""
    mask = tensor.mask
    k, rank, _ = start.patterns.shape
    size = tensor.layout
    y = tensor.column_products(start.patterns.reshape(k * rank, -1))
    y = y.view(k, rank, size.animals, size.bins).double()
    inner = torch.einsum("krst,krs,krt->k", y, start.animals.double(), start.times.double())
    gram = for_animals(over_pairs(start.patterns, mask), start.times, mask)
    norm = model_norm(start.animals, gram)
    scale = torch.where(norm > 0, inner / norm.clamp_min(1e-300), 1.0).to(start.patterns.dtype)
    return Start(start.patterns * scale[:, None, None], start.times, start.animals)

"""Gram matrices of the least squares problems of the three modes, exact where parts are missing.

Factors have restarts first: A (k, R, pair), C (k, R, animal), B (k, R, bin). With m_ps = 1 where
pair p was observed in animal s and D_s = diag(m_.s):

    A, pair p:    sum_s m_ps (B^T B) * (C_s C_s^T)
    B:            sum_s (C_s C_s^T) * (A^T D_s A)
    C, animal s:  (A^T D_s A) * (B^T B)

With missing bins B^T B becomes B^T E_s B, E_s = diag(observed bins of s), and the Gram matrix of B
differs from bin to bin.

A pair seen only in animals that lack a component could have any entry there, and would take a huge
one to explain noise. So what was not observed may count as silent, with a small weight ``unseen``:
the Gram matrix is then ``(1 - unseen)`` of the above and ``unseen`` of that with all observed.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rheobase.models.connectome.layout import Mask

Gram = Tensor | Callable[[slice], Tensor]
"""(k, R, R) for all columns of a factor, or (k, R, R, column), or the latter of a slice."""
PAIR_CHUNK = 16384


def over_pairs(patterns: Tensor, mask: Mask) -> Tensor:
    """Return ``A^T D_s A``, (k, animal, R, R); with one row of animals where no neuron is missing.

    In float64: these sums over all pairs also make the loss.
    """
    k, rank, pairs = patterns.shape
    animals = 1 if mask.presence is None else mask.presence.shape[1]
    made = torch.zeros(k, animals, rank, rank, dtype=torch.float64, device=patterns.device)
    for start in range(0, pairs, PAIR_CHUNK):
        part = slice(start, min(start + PAIR_CHUNK, pairs))
        a = patterns[:, :, part].double()
        if mask.presence is None:
            made[:, 0] += a @ a.mT
            continue
        for s, observed in enumerate(mask.pairs(part)):
            made[:, s] += (a * observed) @ a.mT
    return made


def over_bins(times: Tensor, mask: Mask) -> Tensor:
    """Return ``B^T E_s B``, (k, animal, R, R); with one row of animals where no bin is missing."""
    b = times.double()
    if mask.frames is None:
        return (b @ b.mT)[:, None]
    return torch.einsum("krt,kqt,st->ksrq", b, b, mask.frames.double())


def of_animals(animals: Tensor) -> Tensor:
    """Return ``C_s C_s^T``, (k, animal, R, R)."""
    c = animals.double()
    return torch.einsum("krs,kqs->ksrq", c, c)


def weighted(observed: Tensor, whole: Tensor, unseen: float) -> Tensor:
    """Return a Gram matrix in which what was not observed has the weight ``unseen``.

    ``observed`` is (k, R, R) or (k, R, R, column), ``whole``, with all observed, (k, R, R).
    """
    if not unseen or observed is whole:
        return observed
    return (1 - unseen) * observed + unseen * (whole[..., None] if observed.ndim == 4 else whole)


def for_patterns(times: Tensor, animals: Tensor, mask: Mask, unseen: float = 0.0) -> Gram:
    """Return the Gram matrix for A, of each pair where neurons are missing."""
    strength = of_animals(animals)
    made = strength * over_bins(times, mask)
    if mask.complete:
        return made.sum(1).to(times.dtype)
    whole = (strength * over_bins(times, Mask())).sum(1).to(times.dtype)
    if mask.presence is None:
        return weighted(made.sum(1).to(times.dtype), whole, unseen)
    small = made.to(times.dtype)

    def of_pairs(part: slice) -> Tensor:
        seen = torch.einsum("ksrq,sp->krqp", small, mask.pairs(part).to(small.dtype))
        return weighted(seen, whole, unseen)

    return of_pairs


def for_times(pair_gram: Tensor, animals: Tensor, mask: Mask) -> Tensor:
    """Return the Gram matrix for B from ``over_pairs``, of each bin where bins are missing."""
    made = of_animals(animals) * pair_gram
    if mask.frames is None:
        return made.sum(1).to(animals.dtype)
    return torch.einsum("ksrq,st->krqt", made, mask.frames.double()).to(animals.dtype)


def for_animals(pair_gram: Tensor, times: Tensor, mask: Mask) -> Tensor:
    """Return the Gram matrix for C in float64, (k, R, R), or (k, R, R, animal) with a mask."""
    made = pair_gram * over_bins(times, mask)
    return made[:, 0] if mask.complete else made.permute(0, 2, 3, 1)


def model_norm(animals: Tensor, gram: Tensor) -> Tensor:
    """Return the squared norm of the model where observed, (k,) float64, from ``for_animals``."""
    c = animals.double()
    if gram.ndim == 3:
        return (c * (gram @ c)).sum((1, 2))
    return torch.einsum("krs,krqs,kqs->k", c, gram, c)

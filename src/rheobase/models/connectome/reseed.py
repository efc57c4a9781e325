"""Another start for components that died: the largest fibre of the residual."""

from __future__ import annotations

import torch
from torch import Tensor

from rheobase.models.connectome.affinities import Affinities
from rheobase.models.connectome.hals import TINY
from rheobase.models.connectome.layout import pair_indices
from rheobase.models.connectome.starts import Start
from rheobase.models.connectome.step import Stepped, khatri_rao

DEAD = 1e-10


def smallest_norms(state: Start) -> Tensor:
    """Return the smallest norm among the three modes of each component, (k, R)."""
    norms = [f.norm(dim=2) for f in (state.patterns, state.times, state.animals)]
    return torch.stack(norms).amin(0)


def reseed(tensor: Affinities, stepped: Stepped, dead: Tensor, norms: Tensor) -> None:
    """Put the residual's largest columns into dead components, in place; the loss does not rise.

    ``dead`` is (k, R) bool, ``norms`` are the squared norms of the columns of X, (column,).
    """
    state = stepped.state
    for k in torch.nonzero(dead.any(1)).ravel().tolist():
        which = torch.nonzero(dead[k]).ravel().tolist()
        weights = khatri_rao(state.take(slice(k, k + 1)))
        residual = _column_residuals(tensor, stepped, k, weights, norms)
        columns = residual.topk(min(len(which), len(residual))).indices.tolist()
        for r, column in zip(which, columns, strict=False):
            s, t = divmod(column, tensor.layout.bins)
            fibre = _fibre(tensor, state.patterns[k], weights[:, column], column)
            state.patterns[k, r] = fibre.clamp_min(TINY)
            state.times[k, r] = TINY
            state.animals[k, r] = TINY
            state.times[k, r, t] = 1
            state.animals[k, r, s] = 1


def _column_residuals(
    tensor: Affinities, stepped: Stepped, k: int, weights: Tensor, norms: Tensor
) -> Tensor:
    """Return ``||X_c - Xhat_c||^2`` of every column where observed, (column,) float64."""
    size = tensor.layout
    w = weights.double()
    fit = (w * stepped.columns[k].reshape(len(w), -1)).sum(0)
    gram = stepped.pair_gram[k].expand(size.animals, -1, -1)
    grid = w.view(-1, size.animals, size.bins)
    model = torch.einsum("rst,srq,qst->st", grid, gram, grid)
    if tensor.mask.frames is not None:
        model = model * tensor.mask.frames
    return norms - 2 * fit + model.reshape(-1)


def _fibre(tensor: Affinities, patterns: Tensor, weights: Tensor, column: int) -> Tensor:
    """Return ``X_c - Xhat_c`` where observed, (pair,)."""
    first, second = pair_indices(tensor.layout.neurons, tensor.device)
    made = tensor.values(first, second, slice(column, column + 1))[:, 0] - weights @ patterns
    if tensor.mask.presence is not None:
        made = made * tensor.mask.pairs()[column // tensor.layout.bins]
    return made

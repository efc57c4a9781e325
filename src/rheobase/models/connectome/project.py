"""New columns explained by known patterns: non-negative least squares with A fixed."""

from __future__ import annotations

import torch
from torch import Tensor

from rheobase.models.connectome.affinities import Affinities
from rheobase.models.connectome.grams import over_pairs
from rheobase.models.connectome.hals import hals

SWEEPS = 1000
CHECKED_EVERY = 20
TOLERANCE = 1e-9


def project(tensor: Affinities, patterns: Tensor) -> Tensor:
    """Return how strongly each pattern is present in each column, (component, column) float64.

    Minimises ``||M * (X - A W)||`` over W >= 0 for ``patterns`` A (component, pair), with the
    observed pairs of each animal alone. With patterns of norm 1 the rows are
    ``lambda_r B_r`` of a fit to the same columns.
    """
    if patterns.shape[1] != tensor.layout.pairs:
        raise ValueError(
            f"patterns of {patterns.shape[1]} pairs do not fit a tensor of {tensor.layout.pairs}; "
            "bring the neurons into the same order first"
        )
    products = tensor.column_products(patterns.to(tensor.device, tensor.dtype))
    gram = over_pairs(patterns[None].to(tensor.device), tensor.mask)[0]
    size = tensor.layout
    targets = products.double().view(len(patterns), size.animals, size.bins)
    made = [nonnegative(gram[min(s, len(gram) - 1)], targets[:, s]) for s in range(size.animals)]
    return torch.stack(made, dim=1).reshape(len(patterns), -1)


def nonnegative(gram: Tensor, products: Tensor) -> Tensor:
    """Return the W >= 0 that minimises ``tr(W^T G W) / 2 - tr(W^T P)``, (component, column).

    Coordinate descent until no entry moves by more than 1e-9 of the largest. A component of zeros
    gets zeros.
    """
    made = torch.zeros_like(products)[None]
    for _ in range(0, SWEEPS, CHECKED_EVERY):
        before = made.clone()
        hals(made, products[None], gram[None], sweeps=CHECKED_EVERY)
        if float((made - before).abs().max()) <= TOLERANCE * float(made.max()):
            break
    return made[0]


def projection_error(tensor: Affinities, patterns: Tensor, weights: Tensor) -> float:
    """Return ``||M * (X - A W)|| / ||M * X||`` for weights from ``project``; NaN where X is 0."""
    size = tensor.layout
    products = tensor.column_products(patterns.to(tensor.device, tensor.dtype)).double()
    grams = over_pairs(patterns[None].to(tensor.device), tensor.mask)[0]
    w = weights.view(len(patterns), size.animals, size.bins)
    if tensor.mask.frames is not None:
        w = w * tensor.mask.frames
    model = torch.einsum("rst,srq,qst->", w, grams.expand(size.animals, -1, -1), w)
    norm = tensor.column_norms().sum()
    squared = norm - 2 * (products * w.reshape(products.shape)).sum() + model
    return float((squared.clamp_min(0) / norm).sqrt()) if float(norm) > 0 else float("nan")

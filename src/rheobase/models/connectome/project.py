"""New columns explained by known patterns: non-negative least squares with A fixed."""

from __future__ import annotations

import torch
from torch import Tensor

from rheobase.models.connectome.affinities import Affinities
from rheobase.models.connectome.grams import over_pairs
from rheobase.models.connectome.hals import hals

EXCHANGES = 40
"""Guesses at which entries are above 0."""
PATIENCE = 3
"""Guesses without fewer wrong entries, after which one entry is exchanged at a time."""
SLACK = 1e-12
ABSENT = 1e-3
"""Of the largest squared norm; a component below it would be told by what it does not explain."""
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

    Every column by itself, exactly: block principal pivoting (Kim and Park, SIAM J. Sci. Comput.
    33, 2011) guesses which entries are above 0, solves for them and exchanges those that turn out
    wrong. Columns for which that does not end, as with equal components, go on by coordinate
    descent. A component with next to nothing here, as where its neurons are in the other half,
    cannot be told and gets 0.
    """
    strength = gram.diagonal()
    alive = strength > ABSENT * strength.max()
    gram, products = gram * alive * alive[:, None], products * alive[:, None]
    made = torch.zeros_like(products)
    left = torch.arange(products.shape[1], device=products.device)
    above = (products > 0) & alive[:, None]
    least = torch.full_like(left, len(gram) + 1)
    patience = torch.full_like(left, PATIENCE)
    for _ in range(EXCHANGES):
        target = products[:, left]
        made[:, left], wrong = _solved(gram, target, above)
        wrong &= alive[:, None]
        count = wrong.sum(0)
        better = count < least
        patience = torch.where(better, PATIENCE, patience - 1)
        least = torch.minimum(least, count)
        last = torch.cumsum(wrong.flip(0), 0).flip(0) == 1
        above = above ^ torch.where(patience < 0, wrong & last, wrong)
        going = count > 0
        left, above, least, patience = left[going], above[:, going], least[going], patience[going]
        if not len(left):
            return made.clamp_min_(0)
    made[:, left] = _descended(gram, products[:, left])
    return made.clamp_min_(0)


def _solved(gram: Tensor, products: Tensor, above: Tensor) -> tuple[Tensor, Tensor]:
    """Return the minimum over the entries ``above``, 0 elsewhere, and which of all are wrong.

    All (component, column). Wrong is a negative entry, and a 0 that would rather be positive.
    """
    inside = above.T.to(gram.dtype)
    system = gram * inside[:, :, None] * inside[:, None, :] + torch.diag_embed(1 - inside)
    made, _ = torch.linalg.solve_ex(system, (products.T * inside)[:, :, None])
    made = made[:, :, 0].T * above
    slope = gram @ made - products
    largest = made.abs().amax(0)
    wrong = torch.where(above, made < -SLACK * largest, slope < -SLACK * products.abs().amax(0))
    return made, wrong | ~torch.isfinite(made)


def _descended(gram: Tensor, products: Tensor) -> Tensor:
    """Return coordinate descent from 0 until no entry moves by more than 1e-9 of the largest."""
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

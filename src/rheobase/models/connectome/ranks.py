"""How many components: stability over starts, error on hidden entries, and the choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rheobase.models.connectome.affinities import Affinities
from rheobase.models.connectome.grams import over_pairs
from rheobase.models.connectome.holdout import hold_out
from rheobase.models.connectome.restarts import Fit, Restarts, fit
from rheobase.models.connectome.starts import Start
from rheobase.models.connectome.step import Settings

STABLE = 0.9
"""Least median factor match score of a stable rank (chosen here)."""
HOLDOUT = Restarts(starts=2, singular=True, screen=20, keep=1)
"""Starts of a fit with hidden entries (chosen here)."""


@dataclass(frozen=True)
class RankRow:
    """What is known of one rank."""

    rank: int
    error: float
    """e of the best run"""
    spread: float
    """Standard deviation of e over the runs that went to convergence"""
    stability: float
    """Median factor match score to the best run"""
    holdout: tuple[float, ...]
    """Relative error on the entries hidden in each fold"""
    core_consistency: float
    """Percent; NaN for one animal. Reported, not used to choose"""

    @property
    def holdout_mean(self) -> float:
        return float(np.mean(self.holdout)) if self.holdout else float("nan")

    @property
    def holdout_se(self) -> float:
        """Standard error over folds."""
        n = len(self.holdout)
        return float(np.std(self.holdout, ddof=1) / np.sqrt(n)) if n > 1 else 0.0


@dataclass(frozen=True)
class Choice:
    """The rank chosen, and whether any rank was stable."""

    rank: int
    stable: bool


def rank_row(
    tensor: Affinities,
    made: Fit,
    *,
    seed: int,
    folds: int = 5,
    settings: Settings | None = None,
    restarts: Restarts = HOLDOUT,
) -> RankRow:
    """Return the row of one rank: its fit, and fits with hidden entries, ``folds`` of them.

    The same entries are hidden for every rank.
    """
    rank = made.best.factors.rank

    def fitter(part: Affinities) -> Start:
        found = fit(part, rank=rank, seed=seed, restarts=restarts, settings=settings)
        return found.best.end

    errors = [hold_out(tensor, fitter, fold=i, folds=folds, seed=seed) for i in range(folds)]
    return RankRow(
        rank,
        made.best.error,
        made.spread,
        made.stability,
        tuple(errors),
        core_consistency(tensor, made.best.end),
    )


def choose_rank(rows: Sequence[RankRow]) -> Choice:
    """Return the largest stable rank whose hidden error is within one standard error of the least.

    Least among stable ranks, with its own standard error over folds. Where the errors of two ranks
    are the same the smaller one is taken. Where no rank is stable: the most stable, and of equally
    stable ones the smallest.
    """
    if not rows:
        raise ValueError("no ranks to choose from; give at least one")
    rows = sorted(rows, key=lambda row: row.rank)
    stable = [row for row in rows if row.stability >= STABLE]
    if not stable:
        worth = [-np.inf if np.isnan(row.stability) else row.stability for row in rows]
        return Choice(rows[int(np.argmax(worth))].rank, stable=False)
    scored = [row for row in stable if not np.isnan(row.holdout_mean)]
    if not scored:
        return Choice(stable[0].rank, stable=True)
    least = min(scored, key=lambda row: (row.holdout_mean, row.rank))
    limit = least.holdout_mean + least.holdout_se
    near = [row for row in scored if row.holdout_mean <= limit]
    last = near[-1]
    same = [row for row in near if row.holdout_mean == last.holdout_mean]
    return Choice(same[0].rank, stable=True)


def core_consistency(tensor: Affinities, made: Start) -> float:
    """Return how close the least-squares core is to superdiagonal, percent (100 at best).

    Bro and Kiers (Journal of Chemometrics 17, 2003). Entries that were not observed are taken from
    the model. NaN for one animal or where a factor has no full rank.
    """
    size, rank = tensor.layout, made.patterns.shape[1]
    factors = _unit(made)
    grams = [f @ f.T for f in factors]
    if size.animals < rank or any(torch.linalg.matrix_rank(g) < rank for g in grams):
        return float("nan")
    a, b, c = (torch.linalg.solve(g, f) for g, f in zip(grams, factors, strict=True))
    y = tensor.column_products(a.to(tensor.dtype)).double()
    y = y.view(rank, size.animals, size.bins) + _unseen(tensor, a, factors)
    core = torch.einsum("pst,qt,rs->pqr", y, b, c)
    ideal = torch.zeros_like(core)
    diagonal = torch.arange(rank, device=core.device)
    ideal[diagonal, diagonal, diagonal] = 1
    return float(100 * (1 - (core - ideal).square().sum() / rank))


def _unit(made: Start) -> tuple[Tensor, Tensor, Tensor]:
    """Return A with all of the scale, and B and C of norm 1, float64 (component, ...)."""
    b, c = made.times[0].double(), made.animals[0].double()
    norm_b, norm_c = (f.norm(dim=1, keepdim=True).clamp_min(1e-300) for f in (b, c))
    return made.patterns[0].double() * norm_b * norm_c, b / norm_b, c / norm_c


def _unseen(
    tensor: Affinities, inverse: Tensor, factors: tuple[Tensor, Tensor, Tensor]
) -> Tensor | float:
    """Return ``A^+ ((1 - M) * Xhat)``, (component, animal, bin)."""
    if tensor.mask.complete:
        return 0.0
    a, b, c = factors
    size = tensor.layout
    whole = torch.einsum("pi,qi->pq", inverse, a)
    both = torch.stack([torch.cat([inverse, a])])
    seen = over_pairs(both, tensor.mask)[0, :, : len(a), len(a) :].expand(size.animals, -1, -1)
    model = torch.einsum("qs,qt->qst", c, b)
    made = torch.einsum("pq,qst->pst", whole, model)
    observed = torch.einsum("spq,qst->pst", seen, model)
    if tensor.mask.frames is not None:
        observed = observed * tensor.mask.frames
    return made - observed

"""One outer iteration of the factorisation: two passes over the tensor for three modes.

With W = B kr C as rows over columns: ``M_A = W X^T`` (first pass), A by HALS; ``Y = A X`` (second
pass), ``M_B = sum_s Y C``, B by HALS, ``M_C = sum_t Y B``, C by HALS. The loss follows without
another pass: ``<X, Xhat> = sum M_C C``, summed in float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rheobase.models.connectome import grams
from rheobase.models.connectome.affinities import Affinities
from rheobase.models.connectome.hals import TINY, hals
from rheobase.models.connectome.layout import Mask
from rheobase.models.connectome.starts import Start


@dataclass(frozen=True)
class Settings:
    """How a factorisation runs. Defaults are chosen here."""

    max_iter: int = 500
    tol: float = 1e-6
    """Relative decrease of e that counts as none"""
    patience: int = 3
    """Iterations in a row without decrease before a stop"""
    sweeps: int = 5
    """Inner sweeps of HALS; for B and C the most"""
    inner_tol: float = 0.1
    """B and C: sweeps end where the change is below this share of the first sweep's; 0: never"""
    extrapolate: bool = False
    """Extrapolation with restarts (Ang, Cohen, Gillis, Hien 2021)"""
    sparsity: float = 0.0
    """lambda_A of the penalty lambda_A sum A"""
    smoothness: float = 0.0
    """lambda_B of the penalty lambda_B sum_t (B_t - B_t-1)^2"""
    reseeds: int = 3
    """How often a run may give dead components another start"""
    unseen: float = 0.01
    """Weight of entries that were not observed, as if they were 0, beside 1 of the others. With 0
    a pair seen only where a component is absent may take any value in it"""

    def __post_init__(self) -> None:
        counts = dict.fromkeys(("max_iter", "patience", "sweeps"), 1)
        rest = dict.fromkeys(("tol", "inner_tol", "sparsity", "smoothness", "reseeds", "unseen"), 0)
        for name, least in {**counts, **rest}.items():
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be {least} or more")
        if self.unseen >= 1:
            raise ValueError(f"unseen is {self.unseen}; it must be below 1")

    @property
    def caps(self) -> tuple[float | None, float | None, float | None]:
        """Upper bounds of A, B and C that give the penalties a meaning.

        Without them a penalised factor would shrink as another grows. One factor that no penalty
        binds, or that the other penalty binds, stays free and carries the scale; so nothing is
        lost.
        """
        if not self.sparsity and not self.smoothness:
            return None, None, None
        a = None if self.sparsity else 1.0
        b = None if self.smoothness else 1.0
        return a, b, 1.0


@dataclass(frozen=True)
class Stepped:
    """What one iteration leaves."""

    state: Start
    columns: Tensor
    """Y = A X, (k, R, animal, bin)"""
    pair_gram: Tensor
    """A^T D_s A, (k, animal or 1, R, R) float64"""
    loss: Tensor
    """Objective, penalties included, (k,) float64"""
    squared_error: Tensor
    """``||M * (X - Xhat)||^2``, (k,) float64"""
    silent: Tensor
    """``unseen ||(1 - M) * Xhat||^2``, (k,) float64"""


@dataclass(frozen=True)
class Leap:
    """Extrapolation of A and B: ``F + beta (F - F_old)``."""

    patterns: Tensor
    times: Tensor
    beta: Tensor
    """(k,)"""


def khatri_rao(start: Start) -> Tensor:
    """Return W over columns, (k R, animal bin)."""
    k, rank, _ = start.times.shape
    made = start.animals[:, :, :, None] * start.times[:, :, None, :]
    return made.reshape(k * rank, -1)


def step(
    tensor: Affinities,
    state: Start,
    settings: Settings,
    *,
    norm: float,
    joints: Tensor | None = None,
    leap: Leap | None = None,
) -> tuple[Stepped, Start]:
    """Return the factors after one iteration, and A, B, C as they were before extrapolation.

    ``norm`` is ||X||^2. ``joints`` (bin - 1,) is 0 where ``smoothness`` must not reach across, else
    1. ``state`` stays as it is.
    """
    k, rank, _ = state.patterns.shape
    size, mask = tensor.layout, tensor.mask
    cap_a, cap_b, cap_c = settings.caps
    a, b, c = (f.clone() for f in (state.patterns, state.times, state.animals))
    products = tensor.pair_products(khatri_rao(state)).view(k, rank, -1)
    if settings.sparsity:
        products = products - settings.sparsity / 2
    gram = grams.for_patterns(b, c, mask, settings.unseen)
    hals(a, products, gram, sweeps=settings.sweeps, cap=cap_a)
    plain_a = a
    a = a if leap is None else _leapt(a, leap.patterns, leap.beta, cap_a)
    y = tensor.column_products(a.view(k * rank, -1)).view(k, rank, size.animals, size.bins)
    pair_gram = grams.over_pairs(a, mask)
    whole_gram = pair_gram if mask.presence is None else grams.over_pairs(a, Mask())
    inner = {"sweeps": settings.sweeps, "inner_tol": settings.inner_tol}
    gram = grams.for_times(pair_gram, c, mask)
    if not mask.complete:
        gram = grams.weighted(gram, grams.for_times(whole_gram, c, Mask()), settings.unseen)
    hals(b, torch.einsum("krst,krs->krt", y, c), gram, cap=cap_b,
         smoothness=_links(b, settings, joints), **inner)  # fmt: skip
    plain_b = b
    b = b if leap is None else _leapt(b, leap.times, leap.beta, cap_b)
    products = torch.einsum("krst,krt->krs", y, b)
    gram = grams.for_animals(pair_gram, b, mask)
    whole = gram if mask.complete else grams.for_animals(whole_gram, b, Mask())
    weighted = grams.weighted(gram, whole, settings.unseen)
    hals(c, products, weighted.to(c.dtype), cap=cap_c, **inner)
    fit = (products.double() * c).sum((1, 2))
    seen = grams.model_norm(c, gram)
    silent = torch.zeros_like(seen)
    if not mask.complete:
        silent = settings.unseen * (grams.model_norm(c, whole) - seen)
    made = Start(a, b, c)
    error = norm - 2 * fit + seen
    loss = error + silent + penalty(made, settings, joints)
    return Stepped(made, y, pair_gram, loss, error, silent), Start(plain_a, plain_b, c)


def penalty(state: Start, settings: Settings, joints: Tensor | None) -> Tensor | float:
    """Return the penalties of A and B, (k,) float64, or 0 without any."""
    made: Tensor | float = 0.0
    if settings.sparsity:
        made = settings.sparsity * state.patterns.sum((1, 2), dtype=torch.float64)
    links = _links(state.times, settings, joints)
    if links is not None:
        made = made + (state.times.double().diff(dim=2).square() * links).sum((1, 2))
    return made


def _leapt(new: Tensor, old: Tensor, beta: Tensor, cap: float | None) -> Tensor:
    return torch.add(new, (new - old) * beta[:, None, None].to(new.dtype)).clamp_(TINY, cap)


def _links(times: Tensor, settings: Settings, joints: Tensor | None) -> Tensor | None:
    if not settings.smoothness:
        return None
    made = times.new_full((times.shape[2] - 1,), settings.smoothness)
    return made if joints is None else made * joints

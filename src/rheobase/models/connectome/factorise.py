"""Non-negative factorisation of an affinity tensor from given starts, to a stop that is named.

Minimises ``||M * (X - [[A, B, C]])||^2`` over A, B, C >= 0 by accelerated HALS, and a hundredth
(``unseen``) of ``||(1 - M) * [[A, B, C]]||^2``, without which entries that nothing tells of would
be arbitrary. Reported is the relative error ``e = ||M * (X - Xhat)|| / ||M * X||``; the explained
share is ``1 - e^2``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rheobase.models.connectome.affinities import Affinities
from rheobase.models.connectome.extrapolation import Momentum
from rheobase.models.connectome.factors import Factors, scaled_factors
from rheobase.models.connectome.layout import pair_indices
from rheobase.models.connectome.reseed import DEAD, reseed, smallest_norms
from rheobase.models.connectome.starts import Start, check_rank
from rheobase.models.connectome.step import Settings, Stepped, penalty, step

TOLERANCE = "tolerance"
MAX_ITER = "max_iter"


@dataclass(frozen=True)
class Run:
    """One start and where it ended."""

    factors: Factors
    errors: tuple[float, ...]
    """e after every iteration"""
    stop: str
    """``tolerance``: e (with what is unobserved, at its weight) fell by less than ``tol`` of
    itself, or e^2 by less than the precision of the numbers, ``patience`` times in a row;
    ``max_iter``: so many iterations were made"""
    reseeded: int
    """How many components died and were given another start"""
    seconds: float
    """Wall seconds of the batch that the run was part of"""
    end: Start
    """The unscaled factors, to go on from, (1, R, ...)"""

    @property
    def error(self) -> float:
        return self.errors[-1]

    @property
    def explained(self) -> float:
        return 1 - self.error**2


def factorise(
    tensor: Affinities, start: Start, settings: Settings, *, joints: Tensor | None = None
) -> list[Run]:
    """Return a run of every restart in ``start``, all of them made at once.

    ``joints`` (bin - 1,): 0 where ``settings.smoothness`` must not reach across, as between
    recordings. Raises ``ValueError`` for an impossible rank and for a tensor of zeros.
    """
    check_rank(tensor.layout, start.patterns.shape[1])
    batch = _Batch(tensor, start, settings, joints)
    while batch.running:
        batch.advance()
    return [batch.runs[i] for i in range(len(start))]


class _Batch:
    """Restarts that run together; those that stop leave the batch."""

    def __init__(
        self, tensor: Affinities, start: Start, settings: Settings, joints: Tensor | None
    ) -> None:
        self.tensor, self.settings, self.joints = tensor, settings, joints
        self.began = time.perf_counter()
        self.norms = tensor.column_norms()
        self.norm = float(self.norms.sum())
        if self.norm <= 0:
            raise ValueError("every affinity is 0: no two neurons ever change together")
        self.resolution = torch.finfo(tensor.dtype).eps if settings.tol else 0.0
        self.state = _capped(start, settings)
        self.names = list(range(len(start)))
        self.errors: dict[int, list[float]] = {i: [] for i in self.names}
        self.reached: dict[int, float] = {}
        self.flat = dict.fromkeys(self.names, 0)
        self.reseeds = dict.fromkeys(self.names, 0)
        self.revived = dict.fromkeys(self.names, 0)
        self.runs: dict[int, Run] = {}
        self.momentum = Momentum(self.state) if settings.extrapolate else None

    @property
    def running(self) -> bool:
        return bool(self.names)

    def advance(self) -> None:
        """Make one iteration; the numbers needed on the host are moved there in one piece."""
        leap = None if self.momentum is None else self.momentum.leap()
        made, plain = step(self.tensor, self.state, self.settings, norm=self.norm,
                           joints=self.joints, leap=leap)  # fmt: skip
        if self.momentum is not None:
            made = self.momentum.accept(made, plain)
        self.state = made.state
        errors = (made.squared_error.clamp_min(0) / self.norm).sqrt()
        reached = ((made.squared_error + made.silent).clamp_min(0) / self.norm).sqrt()
        parts = [torch.stack([errors, reached], 1), smallest_norms(made.state).double()]
        told = torch.cat(parts, 1).cpu().numpy()
        for name, (error, there) in zip(self.names, told[:, :2].tolist(), strict=True):
            self._note(name, error, there)
        self._revive(made, told[:, 2:] < DEAD)
        self._finish()

    def _note(self, name: int, error: float, reached: float) -> None:
        past = self.reached.get(name)
        still = past is not None and (
            past - reached < self.settings.tol * past or past**2 - reached**2 < self.resolution
        )
        rejected = self.momentum is not None and past == reached
        self.flat[name] = self.flat[name] + (not rejected) if still or reached == 0 else 0
        self.reached[name] = reached
        self.errors[name].append(error)

    def _revive(self, made: Stepped, dead: np.ndarray) -> None:
        for row, name in enumerate(self.names):
            if dead[row].any() and self.reseeds[name] < self.settings.reseeds:
                self.reseeds[name] += 1
                self.revived[name] += int(dead[row].sum())
                self.flat[name] = 0
            else:
                dead[row] = False
        if dead.any():
            at = torch.from_numpy(dead).to(self.tensor.device)
            reseed(self.tensor, made, at, self.norms)
            if self.momentum is not None:
                self.momentum.restart(made)

    def _finish(self) -> None:
        kept = []
        for row, name in enumerate(self.names):
            tired = self.flat[name] >= self.settings.patience
            if tired or len(self.errors[name]) >= self.settings.max_iter:
                self.runs[name] = self._run(row, name, TOLERANCE if tired else MAX_ITER)
            else:
                kept.append(row)
        if len(kept) < len(self.names):
            self.names = [self.names[row] for row in kept]
            at = torch.tensor(kept, dtype=torch.long, device=self.tensor.device)
            self.state = self.state.take(at)
            if self.momentum is not None:
                self.momentum.keep(at)

    def _run(self, row: int, name: int, stop: str) -> Run:
        end = self.state.take(slice(row, row + 1))
        parts = (f[0].cpu().numpy() for f in (end.patterns, end.times, end.animals))
        seconds = time.perf_counter() - self.began
        return Run(scaled_factors(*parts), tuple(self.errors[name]), stop, self.revived[name],
                   seconds, end)  # fmt: skip


def _capped(start: Start, settings: Settings) -> Start:
    """Return the start inside the bounds that penalties need, with the same product."""
    factors = {"patterns": start.patterns, "times": start.times, "animals": start.animals}
    free = "times" if settings.smoothness else "patterns"
    for name, cap in zip(factors, settings.caps, strict=True):
        if cap is not None:
            top = factors[name].amax(2, keepdim=True).clamp_min(cap)
            factors[name] = factors[name] / top * cap
            factors[free] = factors[free] * top / cap
    return Start(**factors)


def objective(
    tensor: Affinities, start: Start, settings: Settings, *, joints: Tensor | None = None
) -> Tensor:
    """Return what is minimised, recomputed entry by entry in float64, (k,)."""
    made = squared_error(tensor, start, unseen=settings.unseen)
    return made + penalty(start, settings, joints)


def squared_error(
    tensor: Affinities, start: Start, *, unseen: float = 0.0, elements: int = 4_000_000
) -> Tensor:
    """Return ``||M * (X - Xhat)||^2`` entry by entry in float64, some columns at a time, (k,).

    With ``unseen`` times ``||(1 - M) * Xhat||^2``.
    """
    size, mask = tensor.layout, tensor.mask
    first, second = pair_indices(size.neurons, tensor.device)
    made = torch.zeros(len(start), dtype=torch.float64, device=tensor.device)
    width = max(1, elements // size.pairs)
    for s in range(size.animals):
        present = None if mask.presence is None else mask.pairs()[s]
        for t in range(0, size.bins, width):
            bins = slice(t, min(t + width, size.bins))
            columns = slice(s * size.bins + bins.start, s * size.bins + bins.stop)
            x = tensor.values(first, second, columns).double()
            w = start.times[:, :, bins].double() * start.animals[:, :, s : s + 1].double()
            seen = torch.ones_like(x, dtype=torch.bool)
            if present is not None:
                seen &= present[:, None]
            if mask.frames is not None:
                seen &= mask.frames[s, bins]
            gap = (seen * x - start.patterns.double().mT @ w).square_()
            made += torch.where(seen, gap, unseen * gap).sum((1, 2))
    return made

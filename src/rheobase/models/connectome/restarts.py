"""Several starts of one rank: all are screened, the best go on to convergence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from torch import Tensor

from rheobase.models.connectome.affinities import Affinities
from rheobase.models.connectome.factorise import MAX_ITER, Run, factorise
from rheobase.models.connectome.factors import match_score
from rheobase.models.connectome.peer import factorise_with_tensorly
from rheobase.models.connectome.starts import Start, singular_start, uniform_starts
from rheobase.models.connectome.step import Settings

BACKENDS = ("torch", "tensorly")
BATCH_ELEMENTS = {"cpu": 500_000, "cuda": 200_000_000}
"""Elements of A of all restarts that run together: on a CPU they should stay in cache."""


@dataclass(frozen=True)
class Restarts:
    """How many starts; all numbers are chosen here."""

    starts: int = 10
    """Uniform random starts"""
    singular: bool = True
    """One more start from a singular value decomposition"""
    screen: int = 20
    """Iterations of every start"""
    keep: int = 4
    """How many go on to convergence"""

    def __post_init__(self) -> None:
        for name in ("starts", "screen", "keep"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 1 or more")


@dataclass(frozen=True)
class Fit:
    """The runs of one rank that went to convergence, the best first."""

    runs: tuple[Run, ...]
    screened: tuple[float, ...]
    """e of every start after the screening, in the order of the starts (the singular one last)"""

    @property
    def best(self) -> Run:
        return self.runs[0]

    @property
    def stability(self) -> float:
        """Median factor match score of the other runs to the best; NaN where there is no other."""
        scores = [match_score(self.best.factors, run.factors) for run in self.runs[1:]]
        return float(np.median(scores)) if scores else float("nan")

    @property
    def spread(self) -> float:
        """Standard deviation of e over the runs."""
        return float(np.std([run.error for run in self.runs]))


def fit(
    tensor: Affinities,
    *,
    rank: int,
    seed: int,
    restarts: Restarts | None = None,
    settings: Settings | None = None,
    joints: Tensor | None = None,
    backend: str = "torch",
) -> Fit:
    """Return the runs of one rank.

    Every random start has its own child of ``seed``, so more starts keep the first ones. With
    ``backend="tensorly"`` its HALS does the iterations, on the built tensor. Raises ``ValueError``
    for a rank above min(pairs, columns).
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend is {backend!r}; it must be one of {', '.join(BACKENDS)}")
    restarts, settings = restarts or Restarts(), settings or Settings()
    starts = [uniform_starts(tensor, rank=rank, count=restarts.starts, seed=seed)]
    if restarts.singular:
        starts.append(singular_start(tensor, rank=rank, seed=seed))
    first = replace(settings, max_iter=min(restarts.screen, settings.max_iter))
    run = partial(run_all, tensor, joints=joints, backend=backend)
    screened = run(Start.joined(starts), first)
    errors = tuple(run.error for run in screened)
    kept = [screened[i] for i in np.argsort(errors, kind="stable")[: restarts.keep]]
    rest = settings.max_iter - first.max_iter
    if rest > 0:
        kept = _continued(run, kept, replace(settings, max_iter=rest))
    return Fit(tuple(sorted(kept, key=lambda run: run.error)), errors)


def run_all(
    tensor: Affinities,
    start: Start,
    settings: Settings,
    *,
    joints: Tensor | None = None,
    backend: str = "torch",
) -> list[Run]:
    """Return a run of every restart, as many at once as the device takes well."""
    if backend == "tensorly":
        return factorise_with_tensorly(tensor, start, settings)
    elements = start.patterns[0].numel()
    size = max(1, BATCH_ELEMENTS.get(tensor.device.type, 200_000_000) // elements)
    made: list[Run] = []
    for at in range(0, len(start), size):
        part = start.take(slice(at, at + size))
        made += factorise(tensor, part, settings, joints=joints)
    return made


def _continued(
    run: Callable[[Start, Settings], list[Run]], runs: Sequence[Run], settings: Settings
) -> list[Run]:
    """Return the runs with more iterations; those that had come to a stop stay as they are."""
    going = [i for i, past in enumerate(runs) if past.stop == MAX_ITER]
    made = list(runs)
    if not going:
        return made
    start = Start.joined([runs[i].end for i in going])
    for i, more in zip(going, run(start, settings), strict=True):
        made[i] = replace(
            more,
            errors=runs[i].errors + more.errors,
            reseeded=runs[i].reseeded + more.reseeded,
            seconds=runs[i].seconds + more.seconds,
        )
    return made

"""What components look like where neurons have nothing to do with each other.

Every neuron of every animal is turned round in time by itself (``bins.shifted``), the drive is
binned again, and the tensor factorised with the same rank and as many starts and iterations.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rheobase.models.connectome.affinities import Affinities
from rheobase.models.connectome.restarts import Restarts, fit
from rheobase.models.connectome.step import Settings


def null_weight(
    draw: Callable[[np.random.Generator], Affinities],
    *,
    rank: int,
    index: int,
    seed: int,
    restarts: Restarts,
    settings: Settings,
) -> float:
    """Return the largest lambda of one null tensor.

    ``draw`` makes the tensor of shifted neurons with the generator it is given; ``index`` numbers
    the draws, which do not depend on each other's order.
    """
    child = np.random.SeedSequence(seed, spawn_key=(index,))
    tensor = draw(np.random.default_rng(child))
    start = int(child.generate_state(1)[0])
    found = fit(tensor, rank=rank, seed=start, restarts=restarts, settings=settings)
    return float(found.best.factors.weights[0])


def component_p(weights: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Return p of each component: the rank of its lambda among the null's largest, (component,).

    ``p = (1 + #{null >= lambda_r}) / (1 + n_null)``. ``weights`` must come from a fit with the
    starts and iterations of the null's.
    """
    above = (null[None, :] >= weights[:, None]).sum(axis=1)
    return (1 + above) / (1 + len(null))

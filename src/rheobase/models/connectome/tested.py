"""Which components mean anything: against shifted neurons, and against the course of events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from rheobase.models.connectome import align, arrange
from rheobase.models.connectome.affinities import Affinities
from rheobase.models.connectome.factors import Factors, matched
from rheobase.models.connectome.frames import Frames
from rheobase.models.connectome.locking import Locking, epoch_locking
from rheobase.models.connectome.memory import Memory
from rheobase.models.connectome.null import component_p, null_weight
from rheobase.models.connectome.restarts import fit

if TYPE_CHECKING:
    from rheobase.models.connectome import Connectome


def significance(
    model: Connectome, tensor: Affinities, factors: Factors, frames: Sequence[Frames],
    made: arrange.Arrangement, *, memory: Memory, seed: int, device: str,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Return the tested weight and p of each component, and the null's largest weights.

    Weights are compared as they come out of the null's own budget of starts and iterations: the
    tensor is fitted once more with it, and its components matched to ours.
    """
    how = model.null
    budget = {
        "restarts": how.restarts(), "settings": replace(model.ntf.steps(), max_iter=how.max_iter),
    }  # fmt: skip
    again = fit(tensor, rank=factors.rank, seed=seed, **budget).best.factors
    columns, _ = matched(factors, again)
    weights = again.weights[columns].astype(np.float64)

    def draw(generator: np.random.Generator) -> Affinities:
        moved = arrange.shifted_frames(frames, generator=generator, least_s=how.shift_s)
        other = arrange.arranged(moved, made.plan, bin_s=made.bin_s, units=made.units)
        return arrange.tensor_of(model, other, device)

    def weight(index: int) -> float:
        return null_weight(draw, rank=factors.rank, index=index, seed=seed, **budget)

    null = np.array([
        memory.number(f"null/{factors.rank}/{i}", partial(weight, i)) for i in range(how.n)
    ])  # fmt: skip
    return weights, component_p(weights, null), null


def locked(times: np.ndarray, plan: align.Plan, *, seed: int) -> tuple[list[str], Locking | None]:
    """Return the names of events, and whether components follow them; None without events.

    Shifts turn each recording by itself, and all windows of an event-locked tensor together.
    """
    names = sorted(set(plan.events.tolist()) - {""})
    if not names:
        return [], None
    inside = np.stack([plan.events == name for name in names])
    blocks = plan.blocks
    if plan.alignment == "concatenated":
        blocks = tuple(
            slice(int(at[0]), int(at[-1]) + 1)
            for number in np.unique(plan.owner) for at in [np.flatnonzero(plan.owner == number)]
        )  # fmt: skip
    elif plan.alignment == "event_locked":
        blocks = (slice(0, times.shape[1]),)
    return names, epoch_locking(times, inside, seed=seed, blocks=blocks)

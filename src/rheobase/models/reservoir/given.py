"""The training part of a fit, cut, standardised, and with the seeds of its reservoirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rheobase.models.inputs import long_enough
from rheobase.models.reservoir import tune
from rheobase.models.reservoir.stretches import Front, Stretch, cut, front_of

if TYPE_CHECKING:
    from rheobase.models.reservoir import Reservoir
    from rheobase.recording import Recording


@dataclass(frozen=True, eq=False)
class Given:
    """The training part, ready to run."""

    stretches: list[Stretch]
    front: Front
    standard: list[np.ndarray]
    """(time, unit) each"""
    inputs: list[np.ndarray]
    """(time, channel) each"""
    washout: int
    members: list[int]
    """Seeds of the reservoirs"""
    seed: int
    alphas: tuple[float, ...]
    device: str


def prepared(
    model: Reservoir, recordings: Sequence[Recording], *, seed: int, device: str
) -> tuple[Given, list[str]]:
    """Return the training part ready to run, and what was left out of it."""
    washout = tune.washout_of(model)
    least = washout + reach_of(model) + 2
    kept, left_out = long_enough(
        recordings, part="training", reach=least,
        needs=f"a washout of {washout} samples and the longest horizon",
    )  # fmt: skip
    stretches = cut(kept, least=least)
    signals = [one.signal for one in stretches]
    front = front_of(signals, components=model.components)
    standard = [front.standard(signal) for signal in signals]
    spawned = np.random.SeedSequence(seed).spawn(model.members)
    members = [int(one.generate_state(1)[0]) for one in spawned]
    given = Given(
        stretches, front, standard, [front.inputs(z) for z in standard], washout, members, seed,
        tune.alphas_of(model, recordings[0].modality), device,
    )  # fmt: skip
    return given, list(left_out)


def reach_of(model: Reservoir) -> int:
    """Return how far from its own sample a target can lie."""
    reaches = [max(model.horizons) if "forecast" in model.tasks else 1]
    return max([*reaches, *([model.delays] if "memory" in model.tasks else [])])

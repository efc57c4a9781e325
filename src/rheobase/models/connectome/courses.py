"""The time courses of known components in any recording: non-negative least squares, A fixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from rheobase.models.connectome import align, arrange
from rheobase.models.connectome.affinities import Affinities
from rheobase.models.connectome.frames import Frames
from rheobase.models.connectome.holdout import restricted
from rheobase.models.connectome.project import project
from rheobase.models.inputs import by_name
from rheobase.recording import Recording

if TYPE_CHECKING:
    from rheobase.models.connectome import Connectome

SIGNAL_UNITS = "affinity"


@dataclass(frozen=True, eq=False)
class Placed:
    """One recording as a tensor of the neurons that the training part knew."""

    frames: Frames
    arrangement: arrange.Arrangement
    """Only of bins that were observed"""
    tensor: Affinities
    chosen: Tensor
    """Places of its neurons among the training part's, rising, (neuron,)"""


def placed(model: Connectome, frames: Sequence[Frames], units: Sequence[str]) -> list[Placed]:
    """Return every recording by itself, its bins in order, on the CPU."""
    return [_place(model, one, list(units)) for one in frames]


def _place(model: Connectome, one: Frames, units: list[str]) -> Placed:
    chosen = [i for i, name in enumerate(units) if name in set(one.units)]
    names = [units[i] for i in chosen]
    whole = arrange.arranged(
        [one], arrange.plan_of(model, [one], "concatenated"),
        bin_s=arrange.settings_of(model, one.drive.rate).dt_s, units=names,
    )  # fmt: skip
    made = arrange.without_empty(whole)
    if not made.signed.shape[2]:
        raise ValueError(f"{one.name}: no bin of it may be used; leave the recording out")
    tensor = arrange.tensor_of(model, made, "cpu")
    return Placed(one, made, tensor, torch.tensor(chosen))


def courses(one: Placed, patterns: Tensor, neurons: int) -> np.ndarray:
    """Return how strongly each pattern is present in each observed bin, (component, bin)."""
    own = restricted(patterns, one.chosen, neurons)
    return project(one.tensor, own).numpy()


def whole_courses(one: Placed, made: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return courses of all bins, 0 where nothing was observed, and where something was.

    (component, bin) and (bin,); the bins of the recording's segments one after another.
    """
    plan = one.arrangement.plan
    width = plan.frames.shape[2]
    counts = [(s.stop - s.start) // width for s in one.frames.segments]
    starts = np.cumsum([0, *counts])
    first = np.array([s.start for s in one.frames.segments])
    at = plan.frames[0, :, 0]
    segment = np.searchsorted(first, at, side="right") - 1
    place = starts[segment] + (at - first[segment]) // width
    whole = np.zeros((len(made), int(starts[-1])))
    known = np.zeros(int(starts[-1]), bool)
    whole[:, place], known[place] = made, True
    return whole, known


def as_recordings(
    recordings: Sequence[Recording], found: dict[str, tuple[np.ndarray, np.ndarray]], *,
    names: Sequence[str], bin_s: float, step: dict,
) -> list[Recording]:  # fmt: skip
    """Return one recording for each given, in the given order, on the clock of the bins.

    ``found`` holds for every name what ``whole_courses`` returned.
    """
    made: dict[int, Recording] = {}
    for name, parts in by_name(recordings).items():
        whole, known = found[name]
        start = 0
        for part in parts:
            bins = len(part.valid) // round(bin_s * part.rate)
            if not bins:
                raise ValueError(
                    f"{name}: a segment of {len(part.valid)} samples holds no bin of {bin_s:g} s; "
                    "lower affinity.dt_s or leave the recording out"
                )
            here = slice(start, start + bins)
            start += bins
            one = part.with_signal(
                whole[:, here].T, unit_names=names, step=step, rate=1 / bin_s, units=SIGNAL_UNITS
            )
            made[id(part)] = Recording(one.data.assign(valid=("time", known[here])))
    return [made[id(r)] for r in recordings]


def bins_of(frames: Frames, width: int) -> align.Plan:
    """Return the plan of one recording, bin by bin."""
    return align.plan("concatenated", [frames], bin_frames=width, before=0, after=0)

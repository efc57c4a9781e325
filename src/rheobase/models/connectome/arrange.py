"""From recordings to the affinity tensor: aligned, binned, with masks for what was not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from rheobase.models.connectome import align
from rheobase.models.connectome.affinities import Affinities, affinities
from rheobase.models.connectome.bins import binned, shifted
from rheobase.models.connectome.drive import DriveSettings, FrameDrive
from rheobase.models.connectome.frames import Frames, frames_of, turned
from rheobase.models.connectome.kernels import drive_source
from rheobase.models.connectome.windows import Windows, window_source, window_starts

if TYPE_CHECKING:
    from rheobase.models.connectome import Connectome
    from rheobase.recording import Recording

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True, eq=False)
class Arrangement:
    """Drives of all recordings side by side."""

    units: tuple[str, ...]
    """All neurons, of any animal"""
    signed: np.ndarray
    """Drive in [-1, 1], negative where the signal falls, 0 where not observed,
    (neuron, animal, bin) float32"""
    presence: np.ndarray
    """(neuron, animal) bool"""
    observed: np.ndarray
    """(animal, bin) bool"""
    plan: align.Plan
    bin_s: float
    windows: Windows | None = None
    """The signals, where windows of them are correlated"""

    @property
    def joints(self) -> np.ndarray:
        """0 where a bin does not follow the one before, else 1, (bin - 1,)."""
        made = np.ones(self.signed.shape[2] - 1, np.float32)
        made[[b.start - 1 for b in self.plan.blocks if b.start]] = 0
        return made


def settings_of(model: Connectome, rate: float) -> DriveSettings:
    """Return the drive's settings for recordings of this rate: nothing finer than the samples."""
    return model.affinity.of_drive().for_slow_recording(rate)


def frames_for(model: Connectome, recordings: Sequence[Recording]) -> list[Frames]:
    """Return the drives of recordings, frame by frame."""
    return frames_of(
        recordings, settings_of(model, recordings[0].rate), events=model.events,
        ignore=model.ignore_labels,
    )  # fmt: skip


def plan_of(model: Connectome, frames: Sequence[Frames], alignment: str) -> align.Plan:
    """Return which frames stand beside each other."""
    rate = frames[0].drive.rate
    bin_s = settings_of(model, rate).dt_s
    before, after = (round(s / bin_s) for s in (model.before_s, model.after_s))
    if alignment == "event_locked" and after < 1:
        raise ValueError(
            f"connectome: after_s {model.after_s} holds no bin of {bin_s:g} s; make it longer"
        )
    return align.plan(alignment, frames, bin_frames=round(bin_s * rate), before=before, after=after)


def arranged(
    frames: Sequence[Frames], plan: align.Plan, *, bin_s: float, units: Sequence[str] | None = None
) -> Arrangement:
    """Return the drives of recordings by a plan; ``units`` fixes the neurons and their order."""
    names = tuple(units) if units is not None else _all_units(frames)
    value, slope, usable, present = _joined(frames, names)
    animals = len(plan.animals)
    if animals == 1:
        present = present.max(axis=1, keepdims=True)
    signed = np.zeros((len(names), animals, plan.frames.shape[1]), np.float32)
    observed = np.zeros(signed.shape[1:], bool)
    for animal, index in enumerate(plan.frames):
        at, there = np.maximum(index.ravel(), 0), index.ravel() >= 0
        valid = there & usable[at]
        here = FrameDrive(
            value[at] * valid[:, None], slope[at] * valid[:, None], valid, frames[0].drive.rate
        )
        made = binned(here, dt_s=bin_s)
        observed[animal] = made.valid
        signed[:, animal] = (made.signed * made.valid[:, None]).T
    windows = _windows(frames, plan, names)
    if windows is not None:
        observed &= windows.starts >= 0
        signed *= observed
    return Arrangement(names, signed, present, observed, plan, bin_s, windows)


def _all_units(frames: Sequence[Frames]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for one in frames for name in one.units))


def _windows(frames: Sequence[Frames], plan: align.Plan, names: Sequence[str]) -> Windows | None:
    """Return the windows around the middle frame of every bin; None where none are asked for."""
    width = frames[0].drive.window
    if not width:
        return None
    signals, starts, total = [], [], 0
    for one in frames:
        assert one.drive.signal is not None
        place = {name: i for i, name in enumerate(one.units)}
        made = np.zeros((len(one.clock), len(names)), np.float32)
        for column, name in enumerate(names):
            if name in place:
                made[:, column] = one.drive.signal[:, place[name]]
        own = window_starts(one.pieces, len(made), width)
        signals.append(made)
        starts.append(np.where(own >= 0, own + total, -1))
        total += len(made)
    middle = plan.frames[:, :, plan.frames.shape[2] // 2]
    found = np.concatenate(starts)[np.maximum(middle, 0)]
    return Windows(np.concatenate(signals), np.where(middle >= 0, found, -1), width)


def _joined(frames: Sequence[Frames], names: Sequence[str]) -> tuple[np.ndarray, ...]:
    """Return drive and slope (frame, neuron), usable frames, and presence (neuron, recording)."""
    place = {name: i for i, name in enumerate(names)}
    total = sum(len(f.clock) for f in frames)
    value, slope = (np.zeros((total, len(names)), np.float32) for _ in range(2))
    present = np.zeros((len(names), len(frames)), bool)
    start = 0
    for number, one in enumerate(frames):
        kept = [(place[n], i) for i, n in enumerate(one.units) if n in place]
        to, source = (list(x) for x in zip(*kept, strict=True)) if kept else ([], [])
        part = slice(start, start + len(one.clock))
        value[part, to], slope[part, to] = one.drive.value[:, source], one.drive.slope[:, source]
        present[to, number] = True
        start = part.stop
    return value, slope, np.concatenate([f.drive.valid for f in frames]), present


def tensor_of(model: Connectome, made: Arrangement, device: str) -> Affinities:
    """Return the affinity tensor of an arrangement."""
    _check_shared(made)
    dtype, several = DTYPES[model.ntf.dtype], len(made.plan.animals) > 1
    presence = torch.from_numpy(made.presence).to(device) if several else None
    seen = torch.from_numpy(made.observed).to(device) if several else None
    if made.windows is not None:
        source = window_source(
            made.windows, device=device, dtype=dtype, presence=presence, frames=seen
        )
    else:
        signed = torch.from_numpy(made.signed).to(device, dtype)
        kernel = model.affinity.kernel
        source = drive_source(signed, kernel=kernel, presence=presence, frames=seen)
    return affinities(source, path=model.ntf.path)


def _check_shared(made: Arrangement) -> None:
    if len(made.units) < 2:
        raise ValueError(f"{made.plan.animals[0]}: one neuron has no pairs; give 2 or more")
    if len(made.plan.animals) < 2:
        return
    shared = made.presence.T.astype(int) @ made.presence.astype(int)
    np.fill_diagonal(shared, 0)
    alone = np.flatnonzero(shared.max(axis=1) < 2)
    if len(alone):
        raise ValueError(
            f"{made.plan.animals[alone[0]]} shares fewer than two neurons with any other animal, "
            "so its pairs say nothing of theirs; leave it out or name its neurons as the others'"
        )


def shifted_frames(
    frames: Sequence[Frames], *, generator: np.random.Generator, least_s: float
) -> list[Frames]:
    """Return the recordings with every neuron turned round by a time of its own."""
    return [turned(f, shifted(f.drive, generator=generator, least_s=least_s)) for f in frames]


def without_empty(made: Arrangement) -> Arrangement:
    """Return the arrangement without the bins in which no animal was observed."""
    kept = made.observed.any(axis=0)
    if kept.all():
        return made
    edges = np.concatenate([[0], np.cumsum(kept)])
    blocks = tuple(slice(int(edges[b.start]), int(edges[b.stop])) for b in made.plan.blocks)
    plan = replace(
        made.plan, frames=made.plan.frames[:, kept], owner=made.plan.owner[kept],
        clock=made.plan.clock[kept], events=made.plan.events[kept],
        blocks=tuple(b for b in blocks if b.stop > b.start),
    )  # fmt: skip
    windows = made.windows
    if windows is not None:
        windows = replace(windows, starts=windows.starts[:, kept])
    return replace(
        made, signed=made.signed[:, :, kept], observed=made.observed[:, kept], plan=plan,
        windows=windows,
    )  # fmt: skip

"""Which frames of which recording stand beside each other: the columns of the tensor.

``concatenated``: the bins of all recordings one after another, one "animal". ``absolute``: a
recording is an animal, bins of the same time since its start stand beside each other.
``event_locked``: windows around the events of each name, names sorted, the k-th of one recording
beside the k-th of another, so that the order of stimuli does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rheobase.models.connectome.frames import Frames


@dataclass(frozen=True, eq=False)
class Plan:
    """Where each bin of each animal comes from; the same plan serves shifted drives."""

    alignment: str
    animals: tuple[str, ...]
    """Recordings, or one name where they are concatenated"""
    frames: np.ndarray
    """Frames of all recordings, one after another, that make each bin; -1 where there is none,
    (animal, bin, frame)"""
    owner: np.ndarray
    """Recording of each bin where they are concatenated, else -1, (bin,)"""
    clock: np.ndarray
    """Frame number at which each bin begins: in its recording, or from the event, (bin,)"""
    events: np.ndarray
    """Name of the event that each bin lies in, empty outside, (bin,)"""
    blocks: tuple[slice, ...]
    """Bins that follow each other in time"""


def chosen(alignment: str, frames: Sequence[Frames], *, allow_misaligned: bool) -> str:
    """Return how these recordings are aligned; ``auto`` picks what makes sense.

    One recording, or several of the same units without events: ``concatenated``. With events:
    ``absolute`` where they come in the same order at the same time, else ``event_locked``. Raises
    ``ValueError`` where what is asked for makes no sense.
    """
    several, differ = len(frames) > 1, len({f.units for f in frames}) > 1
    eventful = all(bool((f.events != "").any()) for f in frames)
    same = same_events(frames)
    if alignment == "auto":
        if several and eventful:
            return "absolute" if same else "event_locked"
        if differ:
            raise ValueError(
                f"{frames[0].name} and {frames[-1].name} hold different neurons and no events that "
                "could align them; set alignment: absolute if all began with the same stimulus, "
                "or make a dataset of each"
            )
        return "concatenated"
    if alignment == "concatenated" and differ:
        raise ValueError(
            "alignment concatenated needs the same neurons in all recordings, and "
            f"{frames[0].name} and {_other(frames).name} differ; take absolute or event_locked"
        )
    if alignment == "event_locked" and not all(f.onsets() for f in frames):
        bare = next(f.name for f in frames if not f.onsets())
        raise ValueError(
            f"alignment event_locked needs events, and none begins in {bare}; name the array that "
            "holds them with events, or take absolute or concatenated"
        )
    if alignment == "absolute" and several and not same and not allow_misaligned:
        raise ValueError(
            f"alignment absolute, but the events of {frames[0].name} and "
            f"{_misplaced(frames).name} come at different times; take event_locked, or set "
            "allow_misaligned: true"
        )
    return alignment


def _other(frames: Sequence[Frames]) -> Frames:
    return next(f for f in frames if f.units != frames[0].units)


def _misplaced(frames: Sequence[Frames]) -> Frames:
    return next((f for f in frames[1:] if not same_events([frames[0], f])), frames[-1])


def same_events(frames: Sequence[Frames]) -> bool:
    """Return whether all recordings are in the same event at every frame that they share."""
    length = max(int(f.clock.max()) for f in frames) + 1
    kind = np.result_type(*(f.events.dtype for f in frames))
    known, names = np.zeros(length, bool), np.full(length, "", dtype=kind)
    for one in frames:
        met = known[one.clock]
        if (names[one.clock][met] != one.events[met]).any():
            return False
        names[one.clock], known[one.clock] = one.events, True
    return True


def plan(
    alignment: str, frames: Sequence[Frames], *, bin_frames: int, before: int, after: int
) -> Plan:
    """Return the plan; ``before`` and ``after`` an event are bins of ``bin_frames`` frames."""
    if alignment == "concatenated":
        return _concatenated(frames, bin_frames)
    if alignment == "absolute":
        return _absolute(frames, bin_frames)
    return _event_locked(frames, bin_frames, before, after)


def _offsets(frames: Sequence[Frames]) -> np.ndarray:
    return np.cumsum([0, *(len(f.clock) for f in frames)])


def _concatenated(frames: Sequence[Frames], width: int) -> Plan:
    rows, owner, clock, blocks, made = [], [], [], [], 0
    for number, (one, offset) in enumerate(zip(frames, _offsets(frames), strict=False)):
        for part in one.segments:
            bins = (part.stop - part.start) // width
            if not bins:
                continue
            at = part.start + np.arange(bins * width).reshape(bins, width)
            rows.append(offset + at)
            owner.append(np.full(bins, number))
            clock.append(one.clock[at[:, 0]])
            blocks.append(slice(made, made + bins))
            made += bins
    if not rows:
        raise ValueError(
            f"{frames[0].name}: every stretch is shorter than one bin of {width} samples; give "
            "longer recordings or a smaller affinity.dt_s"
        )
    index = np.concatenate(rows)[None]
    return Plan("concatenated", ("all",), index, np.concatenate(owner), np.concatenate(clock),
                _named(index, frames), tuple(blocks))  # fmt: skip


def _absolute(frames: Sequence[Frames], width: int) -> Plan:
    last = max(int(f.clock.max()) for f in frames) + 1
    table = np.full((len(frames), -(-last // width) * width), -1)
    for row, one, offset in zip(table, frames, _offsets(frames), strict=False):
        row[one.clock] = offset + np.arange(len(one.clock))
    index = table.reshape(len(frames), -1, width)
    seen = (index >= 0).all(axis=2).any(axis=0)
    index, numbers = index[:, seen], np.flatnonzero(seen)
    if not len(numbers):
        raise ValueError(
            f"{frames[0].name}: no whole bin of {width} samples in it; give a longer recording"
        )
    cuts = np.flatnonzero(np.diff(numbers) > 1) + 1
    edges = [0, *cuts.tolist(), len(numbers)]
    blocks = tuple(slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True))
    return Plan("absolute", tuple(f.name for f in frames), index, np.full(len(numbers), -1),
                numbers * width, _named(index, frames), blocks)  # fmt: skip


def _event_locked(frames: Sequence[Frames], width: int, before: int, after: int) -> Plan:
    slots: dict[tuple[str, int], dict[int, int]] = {}
    for animal, one in enumerate(frames):
        counts: dict[str, int] = {}
        for name, onset in one.onsets():
            number = counts[name] = counts.get(name, -1) + 1
            slots.setdefault((name, number), {})[animal] = onset
    relative = np.arange(-before * width, after * width)
    size = before + after
    index = np.full((len(frames), len(slots) * size, width), -1)
    offsets = _offsets(frames)
    for slot, key in enumerate(sorted(slots)):
        for animal, onset in slots[key].items():
            at = _positions(frames[animal].clock, onset + relative)
            found = np.where(at >= 0, offsets[animal] + at, -1)
            index[animal, slot * size : (slot + 1) * size] = found.reshape(size, width)
    clock = np.tile(relative[::width], len(slots))
    blocks = [slice(s * size, (s + 1) * size) for s in range(len(slots))]
    seen = (index >= 0).all(axis=2).any(axis=0)
    edges = np.concatenate([[0], np.cumsum(seen)])
    blocks = [slice(int(edges[b.start]), int(edges[b.stop])) for b in blocks]
    index, clock = index[:, seen], clock[seen]
    return Plan("event_locked", tuple(f.name for f in frames), index, np.full(len(clock), -1),
                clock, _named(index, frames),
                tuple(b for b in blocks if b.stop > b.start))  # fmt: skip


def _positions(clock: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return where frame numbers stand in a recording's frames, -1 where they are not there."""
    order = np.argsort(clock, kind="stable")
    at = np.clip(np.searchsorted(clock[order], wanted), 0, len(clock) - 1)
    found = order[at]
    return np.where(clock[found] == wanted, found, -1)


def _named(index: np.ndarray, frames: Sequence[Frames]) -> np.ndarray:
    """Return the event of each bin by its middle frame, of the first animal that has it, (bin,)."""
    names = np.concatenate([f.events for f in frames])
    middle = index[:, :, index.shape[2] // 2]
    found = np.full(index.shape[1], "", dtype=names.dtype)
    for row in middle:
        here = np.where(row >= 0, names[np.maximum(row, 0)], "")
        found = np.where(found == "", here, found)
    return found

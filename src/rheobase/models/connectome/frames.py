"""The drive of recordings frame by frame, their segments joined, and where events begin.

A recording of a fold may come in several segments (``split: {by: time}``). They are scaled
together, by themselves alone: nothing of another recording or of the other part enters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rheobase.models.connectome.drive import DriveSettings, FrameDrive, frame_drive
from rheobase.models.decoding.labels import label_of
from rheobase.models.inputs import by_name
from rheobase.recording import Recording


@dataclass(frozen=True, eq=False)
class Frames:
    """All segments of one recording."""

    name: str
    subject: str
    units: tuple[str, ...]
    drive: FrameDrive
    """Of the segments one after another"""
    segments: tuple[slice, ...]
    """Frames of each segment"""
    pieces: tuple[slice, ...]
    """Frames of each unbroken stretch"""
    clock: np.ndarray
    """Number of each frame, counted from the start of the file, (frame,)"""
    events: np.ndarray
    """Name of the event that each frame lies in, empty outside, (frame,)"""

    def onsets(self) -> list[tuple[str, int]]:
        """Return name and frame number of every event that begins inside, in order of time."""
        found = []
        for part in self.segments:
            names, clock = self.events[part], self.clock[part]
            for at in np.flatnonzero(names != ""):
                begins = names[at - 1] != names[at] if at else clock[0] == 0
                if begins:
                    found.append((str(names[at]), int(clock[at])))
        return found


def frames_of(
    recordings: Sequence[Recording], settings: DriveSettings, *, events: str | None,
    ignore: Sequence[str],
) -> list[Frames]:  # fmt: skip
    """Return every recording once, names sorted.

    ``events`` names the per-sample array that holds events; None takes the label where it is a
    class that changes over time. ``ignore`` are names that are no events.
    """
    return [_joined(parts, settings, events, ignore) for parts in by_name(recordings).values()]


def _joined(
    parts: Sequence[Recording], settings: DriveSettings, events: str | None, ignore: Sequence[str]
) -> Frames:
    first = parts[0]
    if settings.kind == "deconvolved":
        _refuse_undeconvolved(first)
    edges = np.cumsum([0, *(len(r.valid) for r in parts)])
    pieces = [
        slice(int(start) + p.start, int(start) + p.stop)
        for start, r in zip(edges[:-1], parts, strict=True) for p in r.pieces()
    ]  # fmt: skip
    if not pieces:
        raise ValueError(f"{first.name}: no sample of it may be used; leave the recording out")
    drive = frame_drive(
        np.concatenate([r.signal for r in parts]), valid=np.concatenate([r.valid for r in parts]),
        pieces=pieces, rate=first.rate, settings=settings,
    )  # fmt: skip
    return Frames(
        first.name, first.subject, tuple(first.unit_names), drive,
        tuple(slice(int(a), int(b)) for a, b in zip(edges[:-1], edges[1:], strict=True)),
        tuple(pieces),
        np.concatenate([np.rint(r.time * r.rate).astype(np.int64) for r in parts]),
        np.concatenate([_events(r, events, ignore) for r in parts]),
    )  # fmt: skip


def _events(recording: Recording, name: str | None, ignore: Sequence[str]) -> np.ndarray:
    none = np.full(len(recording.valid), "", dtype=object)
    if name is not None:
        if name not in recording.data.data_vars:
            known = [str(k) for k, v in recording.data.data_vars.items() if v.dims == ("time",)]
            raise ValueError(
                f"{recording.name} has no per-sample array {name!r} (events); it has "
                f"{', '.join(known)}"
            )
        values = recording.data[name].values
        found = np.where(
            np.isin(values.astype(str), ["nan", "None", "n/a"]), "", values.astype(str)
        )
    elif recording.label_kind == "class" and isinstance(made := label_of(recording), np.ndarray):
        found = made
    else:
        return none.astype(str)
    return np.where(np.isin(found, list(ignore)), "", found).astype(str)


def _refuse_undeconvolved(recording: Recording) -> None:
    steps = {str(step.get("step", "")) for step in recording.steps}
    known = {"deconvolve", "events"}
    if recording.modality == "calcium" and not steps & known and recording.units != "spikes":
        raise ValueError(
            f"{recording.name}: affinity.drive deconvolved needs events; set the dataset's "
            "preprocess.deconvolve to oasis, or view events, or take drive derivative"
        )


def turned(frames: Frames, drive: FrameDrive) -> Frames:
    """Return the same recording with another drive, as the null needs."""
    return replace(frames, drive=drive)

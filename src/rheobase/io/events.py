"""The label of every volume from a BIDS table of events.

A volume takes the event that holds the middle of its acquisition: volume ``i`` is taken from ``i``
to ``i + 1`` repetition times, so that an event which begins or ends inside a volume has it where it
covers more than half of it. Onsets count from the first volume of the file, as BIDS says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rheobase.io.raw import Raw
from rheobase.io.readers import RESERVED
from rheobase.io.sides import merged, read_table
from rheobase.io.values import listing, parsed

TAKEN = {*RESERVED, "block", "trial"}
UNTOLD = ("n/a", "")
ROUNDING_S = 1e-3
"""Overlaps up to this are the rounding of written decimals; chosen here."""


@dataclass(frozen=True)
class Event:
    """One row of a table of events; ``stop`` is its end, in seconds like ``onset``."""

    row: int
    """Counted from 1, the header not counted."""
    onset: float
    stop: float
    value: str

    def __str__(self) -> str:
        return f"row {self.row} ({self.value}, {self.onset:g} to {self.stop:g} s)"


def with_events(raw: Raw, path: Path, options: Mapping[str, str], *, rate: float) -> Raw:
    """Return a run with the events' ``column`` as a label of its volumes, ``between`` elsewhere.

    ``rate`` is in volumes per second. Events without a value (``n/a``) are passed over. Raises
    ``ValueError`` for missing columns, times that are no numbers, negative durations, an onset
    after the run's end, events of different values that overlap, and where no event holds a volume;
    some that hold none are a note.
    """
    column, count = options["column"], len(raw.signal)
    if column in TAKEN:
        raise ValueError(f"{path}: a label cannot be called {column!r}; rename the column")
    events = _events(path, column)
    _check_end(path, events, count / rate)
    _check_overlap(path, events)
    middle = (np.arange(count) + 0.5) / rate
    values = [options["between"]] * count
    idle = []
    for event in events:
        first, last = np.searchsorted(middle, (event.onset - 1e-6, event.stop - 1e-6))
        values[first:last] = [event.value] * (last - first)
        idle += [event] if first == last else []
    if len(idle) == len(events):
        raise ValueError(
            f"{path}: none of its {len(events)} events with a {column} holds the middle of a "
            f"volume of {1 / rate:g} s; give them durations, or take reader.events out"
        )
    told = {str(column): parsed(values)}
    step = {"step": "label volumes by events", "column": column, "events": len(events) - len(idle)}
    return replace(
        raw,
        times=merged(raw.times, told, path),
        steps=(*raw.steps, step),
        notes=(*raw.notes, *_notes(path, idle)),
    )


def _notes(path: Path, idle: Sequence[Event]) -> tuple[str, ...]:
    if not idle:
        return ()
    return (
        f"{len(idle)} events of {path.name} hold the middle of no volume, so no volume has their "
        f"label: {listing(idle[:3])}{' and others' if len(idle) > 3 else ''}",
    )


def _events(path: Path, column: str) -> list[Event]:
    """Return the rows that have a value, by onset."""
    table = read_table(path, each="an event")
    if missing := [name for name in ("onset", "duration", column) if name not in table]:
        raise ValueError(
            f"{path} has no column {listing(missing)}; events need onset, duration and "
            f"reader.events.column, and it has {listing(table)}"
        )
    onset, duration = (_seconds(path, table, name) for name in ("onset", "duration"))
    if (duration < 0).any():
        row = int((duration < 0).argmax())
        raise ValueError(
            f"{path}: the duration in row {row + 1} is {duration[row]:g} s; it must be 0 or more, "
            "so correct it"
        )
    rows = enumerate(zip(onset, onset + duration, table[column].tolist(), strict=True), start=1)
    made = [Event(row, *told) for row, told in rows if told[2] not in UNTOLD]
    if not made:
        raise ValueError(f"{path}: no event has a {column}; fill it in or name another column")
    return sorted(made, key=lambda event: (event.onset, event.stop))


def _seconds(path: Path, table: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    made: list[Any] = []
    for row, text in enumerate(table[name].tolist(), start=1):
        try:
            made.append(float(text))
        except ValueError:
            made.append(np.nan)
        if not np.isfinite(made[-1]):
            raise ValueError(
                f"{path}: the {name} in row {row} is {text!r}; it must be seconds, so complete it "
                "or take the row out"
            )
    return np.asarray(made)


def _check_end(path: Path, events: Sequence[Event], length: float) -> None:
    if late := [event for event in events if event.onset >= length]:
        raise ValueError(
            f"{path}: {late[0]} begins after the end of the run, {length:g} s; take the events of "
            "this run, in seconds from its first volume"
        )


def _check_overlap(path: Path, events: Sequence[Event]) -> None:
    last = events[0]
    for event in events[1:]:
        if event.onset < last.stop - ROUNDING_S and event.value != last.value:
            raise ValueError(
                f"{path}: {last} and {event} overlap, and a volume has one label; cut one of them, "
                "or name a column under reader.events that leaves one empty (n/a)"
            )
        last = max(last, event, key=lambda one: one.stop)

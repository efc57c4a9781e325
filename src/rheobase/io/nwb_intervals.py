"""Trials and other intervals of an NWB file as arrays over the samples of a series."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rheobase.io.arrays import label_name
from rheobase.io.values import listing, one_each, reading

TRIALS = "trials"


def over_time(
    path: Path, file: Any, reader: Mapping[str, Any], time: np.ndarray
) -> dict[str, np.ndarray]:
    """Return ``trial`` and the label at each of ``time`` (seconds of the session), (time,).

    ``trial_key`` names a table of intervals, numbered from 1 in its order; 0 is between them.
    ``label_key`` is a column of that table (or of ``table/column``); between intervals it is empty
    text, or NaN where it holds numbers.
    """
    made: dict[str, np.ndarray] = {}
    label, trial = reader.get("label_key"), reader.get("trial_key")
    if trial:
        made["trial"] = _inside(path, _table(path, file, trial), trial, time)
    if label:
        name, _, column = label.rpartition("/")
        name = name or trial or TRIALS
        table = _table(path, file, name)
        values = _column(path, table, name, column)
        number = _inside(path, table, name, time)
        made[str(label_name(reader, column))] = _spread(values, number)
    return made


def _tables(file: Any) -> dict[str, Any]:
    from pynwb.epoch import TimeIntervals

    found = {TRIALS: file.trials} if file.trials is not None else {}
    held = [one for one in file.objects.values() if isinstance(one, TimeIntervals)]
    return {**found, **{one.name: one for one in held}}


def _table(path: Path, file: Any, name: str) -> Any:
    known = _tables(file)
    if name not in known:
        raise ValueError(f"{path} has no table of intervals {name!r}; it has {listing(known)}")
    return known[name]


def _column(path: Path, table: Any, name: str, column: str) -> np.ndarray:
    if column not in table.colnames:
        raise ValueError(
            f"{path}: the intervals {name!r} have no column {column!r}; they have "
            f"{listing(table.colnames)}"
        )
    with reading(path, "nwb"):
        values = np.asarray(table[column].data[()])
    return one_each(values, len(table), path, f"{name}/{column}", "intervals")


def _inside(path: Path, table: Any, name: str, time: np.ndarray) -> np.ndarray:
    """Return the number of the interval, from 1, at each time; 0 where there is none."""
    with reading(path, "nwb"):
        starts = np.asarray(table["start_time"].data[()], float)
        stops = np.asarray(table["stop_time"].data[()], float)
    if wrong := np.flatnonzero(~(stops >= starts)).tolist():
        raise ValueError(
            f"{path}: interval {wrong[0] + 1} of {name!r} stops at {stops[wrong[0]]:g} s, before "
            f"it starts at {starts[wrong[0]]:g} s; correct the file"
        )
    made = np.zeros(len(time), np.int64)
    for number, (start, stop) in enumerate(zip(starts, stops, strict=True), start=1):
        at = slice(*np.searchsorted(time, (start, stop)))
        if made[at].any():
            raise ValueError(
                f"{path}: intervals {int(made[at].max())} and {number} of {name!r} overlap at "
                f"{start:g} s; name a table whose intervals follow each other"
            )
        made[at] = number
    return made


def _spread(values: np.ndarray, number: np.ndarray) -> np.ndarray:
    nothing: Any = "" if values.dtype.kind == "U" else np.nan
    known = values if values.dtype.kind == "U" else values.astype(float)
    return np.concatenate([np.asarray([nothing], known.dtype), known])[number]

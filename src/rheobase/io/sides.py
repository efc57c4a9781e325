"""Files beside a recording: one label a sample (text), one row a unit (TSV)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rheobase.io.arrays import label_name
from rheobase.io.raw import Raw
from rheobase.io.values import blocks, listing, parsed, reading


def with_labels(raw: Raw, path: Path, reader: Mapping[str, Any]) -> Raw:
    """Return the signal with the columns of a whitespace-separated file, a line a sample.

    ``labels_column`` becomes the label, ``block_column`` cuts the recording; both count from 0.
    """
    with reading(path, "UTF-8 text"):
        lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    rows = [line.split() for line in lines]
    if len(rows) != len(raw.signal):
        raise ValueError(
            f"{path} has {len(rows)} lines but the signal has {len(raw.signal)} samples; it needs "
            "one line a sample"
        )

    def column(index: int) -> np.ndarray:
        short = [number for number, row in enumerate(rows, start=1) if len(row) <= index]
        if short:
            raise ValueError(f"{path}: line {short[0]} has no column {index} (counted from 0)")
        return parsed([row[index] for row in rows])

    times = {str(label_name(reader, "label")): column(reader.get("labels_column") or 0)}
    if reader.get("block_column") is not None:
        times["block"] = blocks(column(reader["block_column"]), path, "the block column")
    return replace(raw, times=merged(raw.times, times, path))


def read_blocks(path: Path, reader: Mapping[str, Any], samples: int) -> np.ndarray:
    """Return the integers of ``block_column`` of a file with one line a sample, (time,)."""
    empty = Raw(np.zeros((samples, 1)), ("",))
    return with_labels(empty, path, reader).times["block"]


def with_units(raw: Raw, path: Path, *, own_names: bool) -> Raw:
    """Return the signal with the columns of a TSV, a row a unit, as labels of units.

    Rows follow the units' order. A column ``name`` names the units, or, where the recording has
    names of its own (``own_names``), finds each unit's row.
    """
    table = read_table(path)
    if "name" in table and own_names:
        table = _by_name(table, raw.names, path)
    count = len(next(iter(table.values())))
    if count != len(raw.names):
        raise ValueError(
            f"{path} has {count} rows but the signal has {len(raw.names)} units; it needs one "
            "row a unit (check reader.orientation)"
        )
    names = raw.names
    if "name" in table:
        column = table.pop("name").tolist()
        names = names if own_names else tuple(column)
    unit_labels = {key: parsed(column.tolist()) for key, column in table.items()}
    return replace(raw, names=names, unit_labels=merged(raw.unit_labels, unit_labels, path))


def read_table(path: Path, *, each: str = "a unit") -> dict[str, np.ndarray]:
    """Return the columns of a TSV as text; lines must have as many cells as the header.

    ``each`` is what an error says that a row stands for.
    """
    with reading(path, "UTF-8 text"):
        lines = path.read_text(encoding="utf-8-sig").rstrip("\n").splitlines()
    rows = [[cell.strip() for cell in line.split("\t")] for line in lines]
    if len(rows) < 2:
        raise ValueError(f"{path} has {len(rows)} lines; it needs a line of names and a row {each}")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise ValueError(
                f"{path}: line {number} has {len(row)} cells, the first line has {len(rows[0])}; "
                "separate cells by one tab"
            )
    if "" in rows[0] or len(set(rows[0])) < len(rows[0]):
        raise ValueError(
            f"{path}: column names must be unique and not empty; they are {listing(rows[0])}"
        )
    columns = zip(*rows[1:], strict=True)
    return {name: np.asarray(column) for name, column in zip(rows[0], columns, strict=True)}


def merged(
    have: Mapping[str, np.ndarray], new: Mapping[str, np.ndarray], path: Path
) -> dict[str, np.ndarray]:
    """Return both mappings as one; a name in both is an error."""
    if twice := sorted(set(have) & set(new)):
        raise ValueError(
            f"{path}: {listing(twice)} is already given by the recording; drop one of them"
        )
    return {**have, **new}


def _by_name(
    table: Mapping[str, np.ndarray], names: tuple[str, ...], path: Path
) -> dict[str, np.ndarray]:
    row = {name: i for i, name in enumerate(table["name"].tolist())}
    if len(row) < len(table["name"]):
        raise ValueError(f"{path}: names must be unique in column 'name'")
    if missing := [name for name in names if name not in row]:
        raise ValueError(f"{path} has no row named {listing(missing)}, which the recording has")
    order = [row[name] for name in names]
    return {key: column[order] for key, column in table.items()}

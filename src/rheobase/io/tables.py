"""Signals from csv and tsv: a row is a sample, a column a unit, a label or time in seconds."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rheobase.io.arrays import positions
from rheobase.io.clock import rate_of
from rheobase.io.raw import Raw
from rheobase.io.values import blocks, check_range, listing, parsed, reading, time_first

if TYPE_CHECKING:
    import pandas as pd

MISSING = ["", "nan", "NaN", "NAN", "NA", "N/A", "n/a", "null", "NULL"]
COMMAS = "export it with commas and decimal points"


@dataclass(frozen=True)
class Table:
    """The shape of a text table: where it is, its column names and how its lines are cut."""

    path: Path
    delimiter: str
    header: bool
    columns: list[str]
    nameless: frozenset[str]
    rows: int

    def line(self, row: int) -> str:
        """Return how an error names a row (from 0): its number and its line in the file."""
        return f"row {row + 1} (line {row + 1 + self.header})"


def read_csv(
    path: Path, reader: Mapping[str, Any], files: Mapping[str, Path], preprocess: Mapping[str, Any]
) -> Raw:
    """Return the signals of a comma-separated file."""
    return _read(path, reader, ",")


def read_tsv(
    path: Path, reader: Mapping[str, Any], files: Mapping[str, Path], preprocess: Mapping[str, Any]
) -> Raw:
    """Return the signals of a tab-separated file."""
    return _read(path, reader, "\t")


def _read(path: Path, reader: Mapping[str, Any], delimiter: str) -> Raw:
    table = survey(path, delimiter, header=reader.get("header", True) is not False)
    special = _special(reader)
    signals = _signals(table, reader, set(special.values()) | set(_label_keys(reader)))
    frame = _frame(table, signals, special, _label_keys(reader))
    signal = np.column_stack([_numbers(table, frame, name) for name in signals])
    if reader.get("orientation") == "time_last":
        if table.header or len(signals) < len(table.columns):
            raise ValueError(
                f"{path}: orientation: time_last needs header: false and no named columns"
            )
        signal = time_first(signal, "time_last")
        return Raw(signal, positions(signal))
    times = {name: _labels(table, frame, name) for name in _label_keys(reader)}
    for option, name in (("block_key", "block"), ("trial_key", "trial")):
        if option in special:
            values = _labels(table, frame, special[option])
            times[name] = blocks(values, path, special[option]) if name == "block" else values
    rate = None
    if "time_column" in special:
        name = special["time_column"]
        time, told = _numbers(table, frame, name), f"time in column {name!r}"
        rate = rate_of(time, told, lambda row: f"{path}: {table.line(row)}")
    return Raw(signal, tuple(signals), rate_hz=rate, times=times)


def survey(path: Path, delimiter: str, *, header: bool) -> Table:
    """Return the shape of a text table.

    Raises ``ValueError`` for text that is not UTF-8, an empty file, a line with another number of
    cells than the first (a cut file ends so), and column names that occur twice.
    """
    width, rows, first, blank = 0, 0, [], 0
    for number, cells in _cells(path, delimiter):
        if not any(cell.strip() for cell in cells) and len(cells) < 2:
            blank = blank or number
            continue
        if blank:
            raise ValueError(f"{path}: line {blank} is blank; remove it or write nan")
        if not rows:
            width, first = len(cells), [cell.strip() for cell in cells]
            _check_delimiter(path, first, delimiter)
        semicolons = any(";" in cell for cell in (*first, *cells))
        if len(cells) != width:
            raise ValueError(
                f"{path}: line {number} has {len(cells)} cells, the first line has {width}; "
                + (
                    "it is cut by ';': " + COMMAS
                    if semicolons
                    else "the file is cut off or damaged"
                )
            )
        rows += 1
    if rows <= header:
        raise ValueError(f"{path} has {rows} lines and no row of numbers; fetch or export it again")
    columns = [name if header and name else str(i) for i, name in enumerate(first)]
    nameless = frozenset(columns[i] for i, name in enumerate(first) if header and not name)
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise ValueError(
            f"{path}: columns {listing(twice)} occur twice; rename them, or say header: false "
            "where the first line holds data"
        )
    return Table(path, delimiter, header, columns, nameless, rows - header)


def _check_delimiter(path: Path, first: list[str], delimiter: str) -> None:
    """Refuse a first line of one cell that another delimiter would cut."""
    for other, remedy in ((";", COMMAS), ("\t", "is it a tsv?")):
        if len(first) == 1 and other in first[0]:
            raise ValueError(
                f"{path}: the first line holds {other!r} and no {delimiter!r}, which cuts the "
                f"cells; {remedy}"
            )


def _cells(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    with reading(path, "UTF-8 text"), path.open(encoding="utf-8-sig", newline=None) as lines:
        for number, line in enumerate(lines, start=1):
            line = line.rstrip("\n")
            quoted = '"' in line
            yield (
                number,
                next(csv.reader([line], delimiter=delimiter), [""])
                if quoted
                else line.split(delimiter),
            )


def _label_keys(reader: Mapping[str, Any]) -> list[str]:
    return [str(name) for name in reader.get("label_keys") or ()]


def _special(reader: Mapping[str, Any]) -> dict[str, str]:
    options = ("block_key", "trial_key", "time_column")
    return {option: str(reader[option]) for option in options if reader.get(option) is not None}


def _signals(table: Table, reader: Mapping[str, Any], taken: set[str]) -> list[str]:
    """Return the signal columns: those included, or all not excluded and not otherwise used."""
    choice = reader.get("columns") or {}
    include = [str(name) for name in choice.get("include") or ()]
    exclude = {str(name) for name in choice.get("exclude") or ()}
    if unknown := sorted((set(include) | exclude | taken) - set(table.columns)):
        raise ValueError(
            f"{table.path} has no column {listing(unknown)}; it has {listing(table.columns)}"
        )
    signals = include or [name for name in table.columns if name not in taken]
    signals = [name for name in signals if name not in exclude]
    if not signals:
        raise ValueError(f"{table.path}: no column is left for signals; check reader.columns")
    if bare := sorted(table.nameless.intersection(signals) - set(include)):
        raise ValueError(
            f"{table.path}: column {bare[0]} (from 0) has no name; name it, or list it under "
            "columns.exclude where it is an index"
        )
    if table.header and not include and _data_like(table.columns):
        raise ValueError(
            f"{table.path}: the first line holds only numbers; say header: false if it is data, "
            "else list the names under columns.include"
        )
    return signals


def _data_like(names: list[str]) -> bool:
    """Whether a line of names looks like data: numbers, but not increasing whole ones."""
    try:
        numbers = np.asarray([float(name) for name in names])
    except ValueError:
        return False
    identities = all(name.isdigit() for name in names) and bool((np.diff(numbers) > 0).all())
    return not identities


def _frame(
    table: Table, signals: list[str], special: Mapping[str, str], labels: list[str]
) -> pd.DataFrame:
    import pandas as pd

    numeric = {*signals, *([special["time_column"]] if "time_column" in special else [])}
    texts = {*labels, *(special[o] for o in ("block_key", "trial_key") if o in special)} - numeric
    kept = [name for name in table.columns if name in numeric | texts]
    with reading(table.path, "text table"):
        return pd.read_csv(
            table.path,
            sep=table.delimiter,
            header=None,
            names=table.columns,
            usecols=kept,
            skiprows=int(table.header),
            nrows=table.rows,
            encoding="utf-8-sig",
            index_col=False,
            skip_blank_lines=False,
            skipinitialspace=True,
            low_memory=False,
            keep_default_na=False,
            na_values={name: MISSING for name in numeric},
            dtype={name: str for name in texts},
        )


def _numbers(table: Table, frame: pd.DataFrame, name: str) -> np.ndarray:
    column = frame[name]
    bad = np.zeros(len(column), bool)
    if column.dtype.kind not in "fiub":
        bad = np.asarray([not _number(cell) for cell in column.tolist()])
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"{table.path}: {table.line(row)}, column {name!r} holds "
            f"{str(column.iloc[row])[:40]!r}, not a number; correct it or choose the columns with "
            "reader.columns"
        )
    values = column.to_numpy(dtype=np.float64)
    check_range(values, table.path, f"column {name!r}")
    return values


def _number(cell: Any) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _labels(table: Table, frame: pd.DataFrame, name: str) -> np.ndarray:
    texts = ["" if text != text else str(text).strip() for text in frame[name].tolist()]
    values = parsed(texts)
    if values.dtype.kind == "U" and "" in texts:
        raise ValueError(
            f"{table.path}: {table.line(texts.index(''))}, column {name!r} holds no label"
        )
    return values

"""Recordings of a dataset side by side: one row each, outliers named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rheobase.report.figures import measure
from rheobase.report.inputs import ReportInput

FENCE = 1.5
MIN_RECORDINGS = 5


@dataclass(frozen=True)
class Cell:
    """One number of the table; ``outlier`` is "high", "low" or empty."""

    value: float | None
    outlier: str


@dataclass(frozen=True)
class Row:
    """One recording: its measures in the order of the columns and what stands out."""

    name: str
    fold: str
    cells: tuple[Cell, ...]
    flags: int
    words: str


@dataclass(frozen=True)
class GroupTable:
    """All recordings; ``outliers`` maps a measure to its outlying recordings and why."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    outliers: Mapping[str, Mapping[str, str]]

    def values(self, column: str) -> dict[str, float]:
        """Return one measure by recording, where it is known."""
        at = self.columns.index(column)
        return {r.name: v for r in self.rows if (v := r.cells[at].value) is not None}


def fences(values: list[float]) -> tuple[float, float] | None:
    """Return the limits 1.5 interquartile ranges outside the quartiles; None below five values."""
    if len(values) < MIN_RECORDINGS:
        return None
    low, high = np.percentile(values, [25, 75])
    return float(low - FENCE * (high - low)), float(high + FENCE * (high - low))


def group_table(report: ReportInput) -> GroupTable:
    """Return the comparison of all recordings over sizes and quality measures."""
    measures = {str(r["name"]): _measures(r, report.qc) for r in report.recordings}
    columns = tuple(dict.fromkeys(key for found in measures.values() for key in found))
    limits = {
        c: fences([v for m in measures.values() if (v := m.get(c)) is not None]) for c in columns
    }
    folds = _test_folds(report.splits)
    outliers: dict[str, dict[str, str]] = {}
    rows = []
    for name, found in measures.items():
        cells = []
        for column in columns:
            value = found.get(column)
            side = _side(value, limits[column])
            if side:
                outliers.setdefault(column, {})[name] = side
            cells.append(Cell(value, side))
        flags = len(report.qc.get(name, {}).get("flags", [])) + len(
            report.group_flags.get(name, [])
        )
        words = [
            f"{cell.outlier} {measure(column)}"
            for column, cell in zip(columns, cells, strict=True)
            if cell.outlier
        ]
        rows.append(
            Row(name, ", ".join(folds.get(name, [])), tuple(cells), flags, "; ".join(words))
        )
    return GroupTable(columns, tuple(rows), outliers)


def _measures(
    recording: Mapping[str, Any], qc: Mapping[str, Mapping[str, Any]]
) -> dict[str, float | None]:
    sizes = {
        f"duration_{recording.get('time_unit', 's')}": recording.get("duration"),
        "units_kept": recording.get("n_units"),
        "valid_percent": None
        if recording.get("valid_fraction") is None
        else 100 * recording["valid_fraction"],
    }
    metrics = qc.get(str(recording["name"]), {}).get("metrics", {})
    for size, measured in (("units_kept", "n_kept"), ("valid_percent", "invalid_percent")):
        if measured in metrics:
            del sizes[size]
    return {
        **sizes,
        **{k: v for k, v in metrics.items() if v is None or isinstance(v, int | float)},
    }


def _side(value: float | None, limits: tuple[float, float] | None) -> str:
    if value is None or limits is None:
        return ""
    return "low" if value < limits[0] else "high" if value > limits[1] else ""


def _test_folds(splits: Mapping[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for fold in splits.get("folds", []):
        for name in dict.fromkeys(part["recording"] for part in fold["test"]):
            found.setdefault(name, []).append(str(fold["fold"]))
    return found

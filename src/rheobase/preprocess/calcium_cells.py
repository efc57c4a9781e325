"""Which regions are taken for cells, and why others are not; signals are (time, cell)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rheobase.io.raw import Raw
from rheobase.preprocess import quality
from rheobase.preprocess.clean import Order

LEAST_CELLS = 3
MOST_MISSING = 0.2
CLOCKS = {"t", "time", "times", "timestamp", "timestamps"}


def unusable(raw: Raw, signal: np.ndarray, order: Order) -> dict[str, str]:
    """Return why regions are left out, by name: by what they hold, what the file says of them and
    what ``cells`` names.

    Raises ``ValueError`` for names that there are not, and for a clock that was read as a cell.
    """
    include, exclude = _named(raw, order)
    missing = (~np.isfinite(signal)).mean(axis=0)
    with np.errstate(invalid="ignore"):
        constant = np.fmax.reduce(signal, axis=0) == np.fmin.reduce(signal, axis=0)
    everyone = np.ones(len(raw.names))
    cell = np.asarray(raw.extras.get("is_cell", everyone), bool)
    least = order.options["cell_probability"]
    sure = np.asarray(raw.extras.get("cell_probability", everyone), float)
    if order.options["cells"] == "all" or include is not None:
        cell, sure = everyone.astype(bool), np.full(len(everyone), np.inf)
    excluded = {}
    for i, name in enumerate(raw.names):
        _check_clock(name, signal[:, i], order)
        if name in exclude or (include is not None and name not in include):
            excluded[name] = "left out by preprocess.cells"
        elif constant[i]:
            excluded[name] = "constant"
        elif missing[i] > MOST_MISSING:
            excluded[name] = f"{100 * missing[i]:.0f} % missing, above {100 * MOST_MISSING:.0f} %"
        elif not cell[i]:
            excluded[name] = "not a cell"
        elif sure[i] < least:
            excluded[name] = f"cell probability {sure[i]:.2f}, below {least:g}"
    return excluded


def kept(names: Sequence[str], excluded: dict[str, str], order: Order) -> np.ndarray:
    """Return (cell,) True where a cell is not excluded; raises ``ValueError`` below 3 cells."""
    keep = np.array([name not in excluded for name in names])
    if keep.sum() < LEAST_CELLS:
        reasons = quality.listed(sorted({reason.partition(",")[0] for reason in excluded.values()}))
        raise ValueError(
            f"{order.name}: {int(keep.sum())} of {len(keep)} cells are left, and {LEAST_CELLS} are "
            f"needed (left out: {reasons or 'none'}); lower preprocess.snr or cell_probability"
        )
    return keep


def selection_step(raw: Raw, order: Order) -> dict[str, Any]:
    """Return the step that says by what cells were chosen."""
    step: dict[str, Any] = {"step": "choose cells", "cells": len(raw.names)}
    chosen = order.options["cells"]
    if chosen == "all":
        return {**step, "taken": "all"}
    for key in ("include", "exclude"):
        if key in chosen:
            step[f"{key}d_by_name"] = len(chosen[key])
    if "cell_probability" in raw.extras and "include" not in chosen:
        step["cell_probability"] = order.options["cell_probability"]
    return step


def _named(raw: Raw, order: Order) -> tuple[set[str] | None, set[str]]:
    chosen = order.options["cells"]
    if chosen == "all":
        return None, set()
    include = {str(name) for name in chosen["include"]} if "include" in chosen else None
    exclude = {str(name) for name in chosen.get("exclude", ())}
    for key, named in (("include", include or set()), ("exclude", exclude)):
        if unknown := sorted(named - set(raw.names)):
            raise ValueError(
                f"{order.name}: preprocess.cells.{key} names {unknown[0]!r}, and no cell is called "
                f"so; there are {quality.listed(list(raw.names))}"
            )
    return include, exclude


def _check_clock(name: str, trace: np.ndarray, order: Order) -> None:
    if name.strip().lower() in CLOCKS and (np.diff(trace) > 0).all():
        raise ValueError(
            f"{order.name}: the cell {name!r} rises in every frame, so it is a clock; name it as "
            "reader.time_column, or leave it out with reader.columns.exclude"
        )

"""Calcium traces from NWB files."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rheobase.io.clock import rate_of
from rheobase.io.nwb_intervals import over_time
from rheobase.io.raw import Raw
from rheobase.io.uneven import evened
from rheobase.io.values import floats, listing, one_each, reading


def read_nwb(
    path: Path, reader: Mapping[str, Any], files: Mapping[str, Path], preprocess: Mapping[str, Any]
) -> Raw:
    """Return one RoiResponseSeries of an NWB file, (time, cell), found anywhere in it.

    ``key`` names it where there are several, as ``series`` or ``container/series``; ``names_key``
    and ``unit_keys`` are columns of its table of regions, ``trial_key`` a table of intervals and
    ``label_key`` a column of it. Uneven timestamps are brought onto an even clock, with a note.
    """
    import h5py
    from pynwb import NWBHDF5IO
    from pynwb.ophys import RoiResponseSeries

    with reading(path, "nwb"), h5py.File(path):
        pass
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with reading(path, "nwb"):
            source = NWBHDF5IO(path=path, mode="r")
        with source:
            with reading(path, "nwb"):
                file: Any = source.read()
                held = [o for o in file.objects.values() if isinstance(o, RoiResponseSeries)]
            return _series(path, file, _chosen(path, held, reader.get("key")), reader)


def _chosen(path: Path, held: list[Any], key: str | None) -> Any:
    names = [f"{series.parent.name}/{series.name}" for series in held]
    fits = [i for i, series in enumerate(held) if key in (None, series.name, names[i])]
    if len(fits) == 1:
        return held[fits[0]]
    if not held:
        raise ValueError(f"{path} holds no RoiResponseSeries; format nwb reads those only")
    wanted = (
        "reader.key must name one"
        if key is None
        else f"reader.key {key!r} fits {len(fits)} of them"
    )
    raise ValueError(f"{path}: {wanted}; there are {listing(names)}")


def _series(path: Path, file: Any, series: Any, reader: Mapping[str, Any]) -> Raw:
    with reading(path, "nwb"):
        stamps = None if series.timestamps is None else np.asarray(series.timestamps[()], float)
        values = np.asarray(series.data[()])
        rows = np.asarray(series.rois.data[()], dtype=int)
    signal, steps, notes = _time_first(path, series.name, values, rows, stamps)
    if (series.conversion, series.offset) != (1.0, 0.0):
        signal = signal * signal.dtype.type(series.conversion) + signal.dtype.type(series.offset)
    if stamps is None:
        rate, start = float(series.rate), float(series.starting_time or 0)
        if not rate > 0:
            raise ValueError(
                f"{path}: {series.name} has a rate of {rate:g} Hz; it must be above 0, correct the "
                "file or give its timestamps"
            )
    else:
        signal, rate, evening, said = _clocked(path, series.name, signal, stamps)
        start, steps, notes = float(stamps[0]), (*steps, *evening), (*notes, *said)
    names, unit_labels = _regions(path, series.rois.table, rows, reader)
    return Raw(
        signal,
        names,
        rate_hz=rate,
        times=over_time(path, file, reader, start + np.arange(len(signal)) / rate),
        unit_labels=unit_labels,
        extras=_known(series.rois.table, rows),
        steps=steps,
        notes=notes,
    )


def _time_first(
    path: Path, name: str, values: np.ndarray, rows: np.ndarray, stamps: np.ndarray | None
) -> tuple[np.ndarray, tuple[dict[str, Any], ...], tuple[str, ...]]:
    """Return the series as (time, cell), turned with a step and a note where the file holds it
    region by time.
    """
    signal = floats(values, path, name)
    steps: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    if signal.shape[1] != len(rows):
        if signal.shape[0] != len(rows) or (stamps is not None and len(stamps) != signal.shape[1]):
            raise ValueError(
                f"{path}: {name} has shape {signal.shape} but names {len(rows)} regions; "
                "it should be time by region"
            )
        signal = np.ascontiguousarray(signal.T)
        steps = ({"step": "transpose", "reason": "the file holds region by time"},)
        notes = (
            f"{name} is stored region by time, against the NWB standard; it was turned around",
        )
    if stamps is not None and len(stamps) != len(signal):
        raise ValueError(f"{path}: {name} has {len(signal)} samples but {len(stamps)} timestamps")
    return signal, steps, notes


def _clocked(
    path: Path, name: str, signal: np.ndarray, stamps: np.ndarray
) -> tuple[np.ndarray, float, tuple[dict[str, Any], ...], tuple[str, ...]]:
    """Return signal and rate of an even clock, with the step and the note where it was not."""
    try:
        rate = rate_of(stamps, f"time of {name}", lambda sample: f"{path}: sample {sample}")
    except ValueError:
        steps = np.diff(stamps)
        if not np.isfinite(stamps).all() or len(stamps) < 2 or steps.min() <= 0:
            raise
        made, rate = evened(signal, stamps)
        usual = float(np.median(steps))
        most = float(np.abs(steps - usual).max() / usual)
        step = {"step": "even clock", "rate_hz": rate, "uneven_percent": 100 * most,
                "samples_before": len(signal), "acausal": True}  # fmt: skip
        lost = int(np.isnan(made).any(axis=1).sum() - np.isnan(signal).any(axis=1).sum())
        note = (
            f"the timestamps of {name} are uneven, by up to {100 * most:.0f} % of the median step "
            f"(limit 10 %); the traces were brought onto an even clock of {rate:.4g} Hz, and "
            f"{max(lost, 0)} frames inside gaps count as bad"
        )
        return made, rate, (step,), (note,)
    return signal, rate, (), ()


def _known(table: Any, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return what a table of regions says of cells: flag, probability, middle in pixels."""
    made: dict[str, np.ndarray] = {}
    if "iscell" in table.colnames:
        cells = np.atleast_2d(np.asarray(table["iscell"].data[()], float).T)[:, rows]
        made["is_cell"] = cells[0] > 0
        if len(cells) > 1:
            made["cell_probability"] = cells[1]
    mask = next((name for name in ("pixel_mask", "image_mask") if name in table.colnames), None)
    if mask is not None:
        places = [_middle(np.asarray(table[mask][int(row)]), mask) for row in rows]
        if np.isfinite(places).all():
            made["position_px"] = np.asarray(places)
    return made


def _middle(mask: np.ndarray, kind: str) -> tuple[float, float]:
    """Return the weighted middle of a cell in pixels, y and x; NaN where it has no weight."""
    if kind == "pixel_mask":
        told = np.asarray([tuple(pixel) for pixel in mask], float).reshape(-1, 3)
        x, y, weight = told.T
    elif mask.ndim == 2:
        y, x = np.nonzero(mask)
        weight = mask[y, x].astype(float)
    else:
        return float("nan"), float("nan")
    total = weight.sum()
    if not total > 0:
        return float("nan"), float("nan")
    return float(y @ weight / total), float(x @ weight / total)


def _regions(
    path: Path, table: Any, rows: np.ndarray, reader: Mapping[str, Any]
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    def column(name: str) -> np.ndarray:
        if name not in table.colnames:
            raise ValueError(
                f"{path} has no region column {name!r}; it has {listing(table.colnames)}"
            )
        values = np.asarray(table[name].data[()])
        return one_each(values[rows], len(rows), path, name, "units")

    labels = {key: column(name) for key, name in (reader.get("unit_keys") or {}).items()}
    if reader.get("names_key"):
        return tuple(str(name) for name in column(reader["names_key"])), labels
    identities = np.asarray(table.id.data[()])[rows]
    return tuple(f"roi{identity}" for identity in identities), labels

"""Calcium traces from suite2p folders and NWB files."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rheobase.io.clock import rate_of
from rheobase.io.raw import Raw
from rheobase.io.values import floats, listing, one_each, reading


def read_suite2p(
    path: Path, reader: Mapping[str, Any], files: Mapping[str, Path], preprocess: Mapping[str, Any]
) -> Raw:
    """Return the fluorescence of a suite2p folder, all planes side by side.

    ``extras`` holds the neuropil, ``is_cell`` and ``cell_probability``. The frame rate is in
    ops.npy, a pickle, which is never loaded: the config gives it.
    """
    parts = {name: _plane(folder) for name, folder in _planes(path).items()}
    lengths = {name: len(part["signal"]) for name, part in parts.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in lengths.items())
        raise ValueError(
            f"{path}: planes have different numbers of frames ({told}); cut them to the same"
        )
    kinds = {frozenset(part) for part in parts.values()}
    if len(kinds) > 1:
        raise ValueError(
            f"{path}: some planes lack Fneu.npy or iscell.npy that others have; complete them"
        )
    joined = {
        key: np.concatenate([part[key] for part in parts.values()], axis=-1)
        for key in next(iter(kinds))
    }
    counts = [part["signal"].shape[1] for part in parts.values()]
    prefixes = [f"{name}_" if len(parts) > 1 else "" for name in parts]
    names = [f"{p}roi{i}" for p, n in zip(prefixes, counts, strict=True) for i in range(n)]
    plane = np.repeat([int(name[5:] or 0) for name in parts], counts)
    return Raw(
        joined.pop("signal"),
        tuple(names),
        extras=joined,
        unit_labels={"plane": plane} if len(parts) > 1 else {},
    )


def _planes(path: Path) -> dict[str, Path]:
    """Return the plane folders by name, in the order of their numbers."""
    if (path / "F.npy").is_file():
        planes = {"": path}
    else:
        found = [p for p in path.glob("plane*") if re.fullmatch(r"plane\d+", p.name)]
        planes = {p.name: p for p in sorted(found, key=lambda p: int(p.name[5:]))}
    if not planes:
        raise ValueError(
            f"{path} holds neither F.npy nor plane folders; give the suite2p output folder"
        )
    return planes


def _plane(folder: Path) -> dict[str, np.ndarray]:
    """Return signal and neuropil (time, unit), is_cell and cell_probability (unit,)."""
    if not (folder / "F.npy").is_file():
        raise FileNotFoundError(f"{folder / 'F.npy'} does not exist; every plane folder needs it")
    signal = _load(folder / "F.npy")
    part = {"signal": signal.T}
    if (folder / "Fneu.npy").is_file():
        neuropil = _load(folder / "Fneu.npy")
        if neuropil.shape != signal.shape:
            raise ValueError(
                f"{folder / 'Fneu.npy'} has shape {neuropil.shape}, F.npy {signal.shape}; "
                "they come from different runs of suite2p"
            )
        part["neuropil"] = neuropil.T
    if (folder / "iscell.npy").is_file():
        cells = _load(folder / "iscell.npy")
        if len(cells) != len(signal) or cells.shape[1] not in (1, 2):
            raise ValueError(
                f"{folder / 'iscell.npy'} has shape {cells.shape}, but F.npy has {len(signal)} "
                "rows; it needs flag and probability of each"
            )
        part["is_cell"] = cells[:, 0] > 0
        part["cell_probability"] = cells[:, -1]
    return part


def _load(path: Path) -> np.ndarray:
    with reading(path, "npy"):
        values = np.load(path, allow_pickle=False)
    return floats(values, path, "the array")


def read_nwb(
    path: Path, reader: Mapping[str, Any], files: Mapping[str, Path], preprocess: Mapping[str, Any]
) -> Raw:
    """Return one RoiResponseSeries of an NWB file, found anywhere in it.

    ``key`` names it where there are several, as ``series`` or ``container/series``; ``names_key``
    and ``unit_keys`` are columns of its table of regions.
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
            return _series(path, _chosen(path, held, reader.get("key")), reader)


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


def _series(path: Path, series: Any, reader: Mapping[str, Any]) -> Raw:
    with reading(path, "nwb"):
        stamps = None if series.timestamps is None else np.asarray(series.timestamps[()], float)
        values = np.asarray(series.data[()])
        rows = np.asarray(series.rois.data[()], dtype=int)
    signal = floats(values, path, series.name)
    steps: tuple[dict[str, Any], ...] = ()
    if signal.shape[1] != len(rows):
        if signal.shape[0] != len(rows) or (stamps is not None and len(stamps) != signal.shape[1]):
            raise ValueError(
                f"{path}: {series.name} has shape {signal.shape} but names {len(rows)} regions; "
                "it should be time by region"
            )
        signal = np.ascontiguousarray(signal.T)
        steps = ({"step": "transpose", "reason": "the file holds region by time"},)
    if stamps is not None and len(stamps) != len(signal):
        raise ValueError(
            f"{path}: {series.name} has {len(signal)} samples but {len(stamps)} timestamps"
        )
    if (series.conversion, series.offset) != (1.0, 0.0):
        signal = signal * signal.dtype.type(series.conversion) + signal.dtype.type(series.offset)
    if stamps is None:
        rate = float(series.rate)
    else:
        told = f"time of {series.name}"
        rate = rate_of(stamps, told, lambda sample: f"{path}: sample {sample}")
    names, unit_labels = _regions(path, series.rois.table, rows, reader)
    extras = {}
    if "iscell" in series.rois.table.colnames:
        cells = np.atleast_2d(np.asarray(series.rois.table["iscell"].data[()], float).T)[:, rows]
        extras = {"is_cell": cells[0] > 0}
        extras |= {"cell_probability": cells[1]} if len(cells) > 1 else {}
    return Raw(signal, names, rate_hz=rate, unit_labels=unit_labels, extras=extras, steps=steps)


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

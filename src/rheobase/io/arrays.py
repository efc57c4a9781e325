"""Matrices and their companions from npy, npz and mat files.

A matrix does not tell which axis is time, so ``reader.orientation`` is required and never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rheobase.io.raw import Raw
from rheobase.io.values import blocks, floats, listing, one_each, reading, time_first

Files = Mapping[str, Path]


def read_npy(
    path: Path, reader: Mapping[str, Any], files: Files, preprocess: Mapping[str, Any]
) -> Raw:
    """Return the matrix of an npy file; pickled objects are never loaded."""
    orientation = _orientation(path, reader)
    with reading(path, "npy"):
        values = np.load(path, allow_pickle=False)
    if not isinstance(values, np.ndarray):
        raise ValueError(f"{path} is an npz archive, not an npy file; use format: npz")
    signal = time_first(floats(values, path, "the array"), orientation)
    return Raw(signal, positions(signal))


def read_npz(
    path: Path, reader: Mapping[str, Any], files: Files, preprocess: Mapping[str, Any]
) -> Raw:
    """Return the signal of an npz archive with the variables that the reader block names."""
    _orientation(path, reader)
    with path.open("rb") as source:
        with reading(path, "npz"):
            archive = np.load(source, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise ValueError(f"{path} is an npy file, not an npz archive; use format: npy")

        def load(key: str) -> np.ndarray:
            with reading(path, "npz"):
                return archive[key]

        return assemble(path, reader, archive.files, load)


def read_mat(
    path: Path, reader: Mapping[str, Any], files: Files, preprocess: Mapping[str, Any]
) -> Raw:
    """Return the signal of a MATLAB file, version 4 to 7.2 or 7.3 (HDF5)."""
    import h5py

    _orientation(path, reader)
    if h5py.is_hdf5(path):
        with reading(path, "mat"), h5py.File(path) as file:
            known = [str(key) for key in file if isinstance(file[key], h5py.Dataset)]
            wanted = {
                key: _matlab(file, file[key]) for key in _named(reader, known) if key in known
            }
        return assemble(path, reader, known, wanted.__getitem__)
    return _read_mat_5(path, reader)


def _read_mat_5(path: Path, reader: Mapping[str, Any]) -> Raw:
    from scipy.io import loadmat, whosmat

    with reading(path, "mat"):
        known = [name for name, _, _ in whosmat(path)]

    def load(key: str) -> np.ndarray:
        with reading(path, "mat"):
            return loadmat(path, variable_names=[key])[key]

    return assemble(path, reader, known, load)


def _matlab(file: Any, item: Any) -> np.ndarray:
    """Return a variable as MATLAB shows it: HDF5 holds its axes in reverse, its text as numbers."""
    import h5py

    values = item[()]
    if item.attrs.get("MATLAB_empty", 0):
        return np.empty(0)
    if isinstance(values, np.ndarray) and values.dtype == h5py.ref_dtype:
        cells = [_matlab(file, file[reference]) for reference in values.T.ravel()]
        filled = np.empty(len(cells), dtype=object)
        filled[:] = cells
        return filled
    if item.attrs.get("MATLAB_class") == b"char":
        rows = np.atleast_2d(np.asarray(values).T)
        return np.asarray(["".join(map(chr, row)) for row in rows])
    return np.asarray(values).T


def assemble(
    path: Path, reader: Mapping[str, Any], known: Iterable[str], load: Callable[[str], np.ndarray]
) -> Raw:
    """Return the named variables of a file as one signal with its labels.

    ``known`` are the names in the file, ``load`` returns one of them. Raises ``ValueError`` for an
    absent name and for an array whose length does not fit the signal's.
    """
    known = list(known)

    def named(option: str, key: str) -> np.ndarray:
        if key not in known:
            raise ValueError(f"{path} has no variable {key!r} ({option}); it has {listing(known)}")
        return load(key)

    key = _signal_key(path, reader, known)
    signal = time_first(floats(named("reader.key", key), path, key), reader["orientation"])
    n_time, n_units = signal.shape
    times = {}
    for option, name in _per_time(reader).items():
        values = one_each(
            named(f"reader.{option}", reader[option]), n_time, path, reader[option], "samples"
        )
        times[name] = blocks(values, path, reader[option]) if name == "block" else values
    unit_labels = {
        label: one_each(
            named(f"reader.unit_keys.{label}", variable), n_units, path, variable, "units"
        )
        for label, variable in (reader.get("unit_keys") or {}).items()
    }
    if places_key := reader.get("positions_key"):
        places = named("reader.positions_key", places_key)
        unit_labels |= _places(places, n_units, path, places_key)
    names = positions(signal)
    if names_key := reader.get("names_key"):
        texts = one_each(named("reader.names_key", names_key), n_units, path, names_key, "units")
        names = tuple(str(text) for text in texts)
    return Raw(signal, names, times=times, unit_labels=unit_labels)


def _places(values: np.ndarray, units: int, path: Path, key: str) -> dict[str, np.ndarray]:
    """Return x, y and, where there is a third, z of every unit."""
    shape = np.shape(values)
    if len(shape) == 2 and shape[0] in (2, 3) and shape[1] == units:
        values = np.asarray(values).T
    elif len(shape) != 2 or shape[0] != units or shape[1] not in (2, 3):
        raise ValueError(
            f"{path}: {key} (reader.positions_key) has shape {shape}; it needs x and y, or x, y "
            f"and z, of each of {units} units"
        )
    made = floats(values, path, key)
    if not np.isfinite(made).all():
        raise ValueError(
            f"{path}: {key} (reader.positions_key) holds NaN or infinity; leave the key out or "
            "complete it"
        )
    return dict(zip("xyz", made.T, strict=False))


def positions(signal: np.ndarray) -> tuple[str, ...]:
    """Return the names of nameless units: their position from 0."""
    return tuple(str(i) for i in range(signal.shape[1]))


def _per_time(reader: Mapping[str, Any]) -> dict[str, str]:
    names = {
        "label_key": label_name(reader, reader.get("label_key")),
        "block_key": "block",
        "trial_key": "trial",
    }
    return {option: str(name) for option, name in names.items() if reader.get(option)}


def label_name(reader: Mapping[str, Any], otherwise: str | None) -> str | None:
    """Return the name under which the reader's per-time label is kept."""
    return reader.get("label_name") or otherwise


def _named(reader: Mapping[str, Any], known: list[str]) -> set[str]:
    options = ("key", "names_key", "positions_key", "label_key", "block_key", "trial_key")
    named = {reader[option] for option in options if reader.get(option)}
    named |= set((reader.get("unit_keys") or {}).values())
    return named if reader.get("key") else named | set(known[:1])


def _signal_key(path: Path, reader: Mapping[str, Any], known: list[str]) -> str:
    if reader.get("key"):
        return reader["key"]
    if len(known) != 1:
        raise ValueError(
            f"{path}: reader.key must name the signal's variable; there are {listing(known)}"
        )
    return known[0]


def _orientation(path: Path, reader: Mapping[str, Any]) -> str:
    given = reader.get("orientation")
    if given not in ("time_first", "time_last"):
        raise ValueError(
            f"{path}: reader.orientation is {given!r}; say time_first or time_last, "
            "because a matrix does not tell which axis is time"
        )
    return given

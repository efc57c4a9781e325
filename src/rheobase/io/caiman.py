"""Calcium traces from the HDF5 files that CaImAn saves.

CaImAn writes what is missing as the text ``NoneType``. Its ``C`` is denoised and without neuropil;
``C + YrA`` has its noise back.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rheobase.io.raw import Raw
from rheobase.io.values import floats, listing, reading

TRACES = {"C+YrA": ("C", "YrA"), "C": ("C",), "F_dff": ("F_dff",), "S": ("S",)}
NOTHING = "NoneType"


def read_caiman(
    path: Path, reader: Mapping[str, Any], files: Mapping[str, Path], preprocess: Mapping[str, Any]
) -> Raw:
    """Return the traces of all components, (time, cell), with the rate of ``params``.

    ``key`` is ``C+YrA`` (the default), ``C``, ``F_dff`` or ``S``. ``extras`` holds ``is_cell`` (the
    accepted components; all where none were chosen), ``component_snr``, ``decay_s`` and
    ``position_px``, as far as the file has them.
    """
    import h5py

    key = reader.get("key") or "C+YrA"
    if key not in TRACES:
        raise ValueError(f"{path}: reader.key {key!r} is not one of {', '.join(TRACES)}")
    with reading(path, "CaImAn HDF5"):
        file = h5py.File(path)
    with file:
        if "estimates" not in file:
            raise ValueError(
                f"{path} has no group 'estimates'; it has {listing(file)}; give the file that "
                "CaImAn's save wrote"
            )
        signal = sum(_trace(path, file, name) for name in TRACES[key])
        signal = np.ascontiguousarray(np.asarray(signal).T)
        rate = _parameter(path, file, "fr")
        return Raw(
            signal,
            tuple(f"roi{i}" for i in range(signal.shape[1])),
            rate_hz=rate,
            extras=_known(path, file, signal.shape[1]),
        )


def _value(path: Path, file: Any, name: str) -> Any:
    """Return a value of the file; None where it is absent or was saved as nothing."""
    if name not in file:
        return None
    with reading(path, "CaImAn HDF5"):
        item = file[name]
        if not hasattr(item, "dtype"):
            return {key: np.asarray(item[key][()]) for key in item}
        value = item[()]
    text = value.decode() if isinstance(value, bytes) else value
    return None if isinstance(text, str) and text == NOTHING else value


def _trace(path: Path, file: Any, name: str) -> np.ndarray:
    """Return (component, time) floats."""
    values = _value(path, file, f"estimates/{name}")
    if values is None or np.asarray(values).dtype.kind in "SO":
        held = {n: _value(path, file, f"estimates/{n}") for n in ("C", "YrA", "F_dff", "S")}
        there = [known for known, value in held.items() if value is not None]
        raise ValueError(
            f"{path} holds no estimates/{name}, which reader.key needs; it has {listing(there)}; "
            f"{'run detrend_df_f and save again' if name == 'F_dff' else 'choose another key'}"
        )
    made = floats(values, path, f"estimates/{name}")
    shape = file["estimates/C"].shape if "estimates/C" in file else made.shape
    if made.shape != shape:
        raise ValueError(
            f"{path}: estimates/{name} has shape {made.shape}, estimates/C {shape}; they come from "
            "different runs of CaImAn"
        )
    return made


def _parameter(path: Path, file: Any, name: str) -> float | None:
    """Return a number of ``params/data``; None where it is not told."""
    value = _value(path, file, f"params/data/{name}")
    if value is None:
        return None
    try:
        number = float(np.asarray(value).reshape(()))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: params/data/{name} is {value!r}, which is no number") from error
    if not (np.isfinite(number) and number > 0):
        raise ValueError(
            f"{path}: params/data/{name} is {number:g}; it must be above 0, so correct it in CaImAn"
        )
    return number


def _known(path: Path, file: Any, count: int) -> dict[str, np.ndarray]:
    made: dict[str, np.ndarray] = {}
    chosen = _value(path, file, "estimates/idx_components")
    if chosen is not None:
        at = np.atleast_1d(np.asarray(chosen))
        if at.size and (at.dtype.kind not in "iuf" or at.min() < 0 or at.max() >= count):
            raise ValueError(
                f"{path}: estimates/idx_components names components outside 0 to {count - 1}; the "
                "traces come from another run of CaImAn"
            )
        made["is_cell"] = np.isin(np.arange(count), at.astype(int))
    quality = _value(path, file, "estimates/SNR_comp")
    if quality is not None and np.shape(quality) == (count,):
        made["component_snr"] = np.asarray(quality, float)
    decay = _parameter(path, file, "decay_time")
    if decay is not None:
        made["decay_s"] = np.array(decay)
    places = _places(path, file, count)
    return made if places is None else {**made, "position_px": places}


def _places(path: Path, file: Any, count: int) -> np.ndarray | None:
    """Return the middle of each footprint in pixels, (cell, 2) as y and x; None where not told.

    Footprints are a sparse matrix of (pixel, component); pixels are numbered down the columns.
    """
    import scipy.sparse

    held, dims = _value(path, file, "estimates/A"), _value(path, file, "estimates/dims")
    if not isinstance(held, dict) or dims is None or np.size(dims) != 2:
        return None
    if not {"data", "indices", "indptr", "shape"} <= set(held):
        return None
    rows, columns = (int(n) for n in np.ravel(dims))
    if tuple(held["shape"]) != (rows * columns, count):
        return None
    with reading(path, "CaImAn HDF5"):
        parts = (held["data"], held["indices"], held["indptr"])
        weight = scipy.sparse.csc_matrix(parts, shape=(rows * columns, count))
    pixel = np.arange(rows * columns)
    total = np.asarray(weight.sum(axis=0)).ravel()
    middle = np.stack([weight.T @ (pixel % rows), weight.T @ (pixel // rows)], axis=1)
    return middle / total[:, None] if (total > 0).all() else None

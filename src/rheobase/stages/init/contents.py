"""What the files themselves say: their format, the largest matrix, arrays along time, columns."""

from __future__ import annotations

import csv
import itertools
import re
from dataclasses import dataclass
from pathlib import Path

from rheobase.io.values import reading

FORMATS = {
    ".npy": "npy",
    ".npz": "npz",
    ".csv": "csv",
    ".tsv": "tsv",
    ".mat": "mat",
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".edf": "edf",
    ".bdf": "bdf",
    ".vhdr": "brainvision",
    ".fif": "fif",
    ".nwb": "nwb",
    ".hdf5": "caiman",
    ".h5": "caiman",
}
TIME = re.compile(
    r"(?:t|times?|timestamps?)(?:[ _]*(?:[ _]|[\[(])(?P<unit>[mnuµμ]?s|m?secs?|(?:milli)?seconds?)"
    r"[\])]?)?|seconds",
    re.IGNORECASE,
)
SECONDS = {"s", "sec", "secs", "second", "seconds"}
KEYS = {"block": "block_key", "run": "block_key", "session": "block_key", "trial": "trial_key"}


@dataclass(frozen=True)
class Arrays:
    """The largest matrix of a file, and the arrays with one value for each of its times."""

    key: str | None
    shape: tuple[int, ...] = ()
    per_time: tuple[tuple[str, str], ...] = ()
    """(key of the reader, name of the array)."""


def format_of(path: Path) -> str | None:
    """Return the reader's format for a file's ending; None where there is none."""
    return FORMATS.get(".nii.gz" if path.name.endswith(".nii.gz") else path.suffix.lower())


def has_time(path: Path, form: str) -> bool:
    """Return whether a file can hold a recording: of images, only those with a fourth dimension,
    of HDF5 files, only what CaImAn saved.

    Raises ``ValueError`` with the name of a file that cannot be read.
    """
    if form == "caiman":
        import h5py

        with reading(path, "HDF5"), h5py.File(path) as file:
            return "estimates" in file
    if form != "nifti":
        return True
    import nibabel

    with reading(path, "NIfTI"):
        return len(nibabel.load(path).shape) == 4  # pyright: ignore[reportAttributeAccessIssue]


def npy_shape(path: Path) -> tuple[int, ...]:
    """Return the shape of the array in an npy file."""
    import numpy as np

    with reading(path, "npy"):
        return np.load(path, mmap_mode="r", allow_pickle=False).shape


def arrays(path: Path) -> Arrays:
    """Return what an npz or mat file holds; raises ``ValueError`` with the name of a broken one."""
    with reading(path, path.suffix.lower()[1:]):
        held = _npz(path) if path.suffix.lower() == ".npz" else _mat(path)
    matrices = {name: shape for name, (shape, _) in held.items() if len(shape) == 2}
    if not matrices:
        return Arrays(None)
    key = max(matrices, key=lambda name: matrices[name][0] * matrices[name][1])
    time = max(matrices[key])
    per_time = tuple(
        (_reader_key(name), name)
        for name, (shape, kind) in held.items()
        if shape == (time,) and kind in "iubSU" and matrices[key] != (time, time)
    )
    return Arrays(key, matrices[key], per_time)


def _npz(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    import numpy as np

    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        held = {name: file[name] for name in file.files}
    return {name: (array.shape, array.dtype.kind) for name, array in held.items()}


def _mat(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return shapes as MATLAB shows them: HDF5 (version 7.3) holds the axes in reverse."""
    import h5py
    from scipy.io import whosmat

    if not h5py.is_hdf5(path):
        return {name: (shape, "f") for name, shape, _ in whosmat(path)}
    with h5py.File(path) as file:
        held = {str(n): d.shape[::-1] for n, d in file.items() if isinstance(d, h5py.Dataset)}
    return {name: (shape, "f") for name, shape in held.items()}


def _reader_key(name: str) -> str:
    return next((key for word, key in KEYS.items() if word in name.lower()), "label_key")


def has_header(path: Path) -> bool:
    """Return whether the first line of a table is more than numbers."""
    head = _head(path)
    return not head or not all(re.fullmatch(r"[-+0-9.eE ]+", cell) for cell in head)


def time_column(path: Path) -> tuple[str, bool | None] | None:
    """Return the column of a table that holds the time, and whether its name says seconds.

    Whether is None where the name tells no unit; nothing is returned where no column is a time.
    """
    for cell in _head(path):
        if found := TIME.fullmatch(cell.strip()):
            unit = "s" if cell.strip().lower() == "seconds" else found["unit"]
            return cell, None if unit is None else unit.lower() in SECONDS
    return None


def _head(path: Path) -> list[str]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    with reading(path, "UTF-8 text"), path.open(encoding="utf-8-sig", newline="") as file:
        return next(csv.reader(itertools.islice(file, 1), delimiter=delimiter), [])

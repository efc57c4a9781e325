"""The table of file formats, and ``read``: any of them as one ``Raw``, checked."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rheobase.io.motion import read_motion
from rheobase.io.raw import Raw
from rheobase.io.sides import with_labels, with_units
from rheobase.io.values import listing

READERS = {
    "npy": "rheobase.io.arrays:read_npy",
    "npz": "rheobase.io.arrays:read_npz",
    "mat": "rheobase.io.arrays:read_mat",
    "csv": "rheobase.io.tables:read_csv",
    "tsv": "rheobase.io.tables:read_tsv",
    "nifti": "rheobase.io.nifti:read_nifti",
    "fmriprep": "rheobase.io.fmriprep:read_fmriprep",
    "cifti": "rheobase.io.cifti:read_cifti",
    "edf": "rheobase.io.biosignal:read_edf",
    "bdf": "rheobase.io.biosignal:read_bdf",
    "brainvision": "rheobase.io.biosignal:read_brainvision",
    "fif": "rheobase.io.biosignal:read_fif",
    "wfdb": "rheobase.io.biosignal:read_wfdb",
    "nwb": "rheobase.io.nwb:read_nwb",
    "suite2p": "rheobase.io.suite2p:read_suite2p",
    "caiman": "rheobase.io.caiman:read_caiman",
    "movie": "rheobase.io.movie:read_movie",
}

_ALWAYS = {"format", "labels_file", "labels_column", "block_column", "units_file", "label_name"}
_NAMED = {
    "orientation",
    "key",
    "names_key",
    "positions_key",
    "label_key",
    "block_key",
    "trial_key",
    "unit_keys",
    "motion",
}
_COLUMNS = {
    "orientation",
    "motion",
    "label_keys",
    "block_key",
    "trial_key",
    "columns",
    "header",
    "time_column",
}
OPTIONS = {
    "npy": {"orientation", "motion"},
    "npz": _NAMED,
    "mat": _NAMED,
    "csv": _COLUMNS,
    "tsv": _COLUMNS,
    "nifti": {"mask", "motion", "events"},
    "fmriprep": {"space", "res", "events"},
    "cifti": {"motion", "events"},
    "nwb": {"key", "names_key", "unit_keys", "label_key", "trial_key"},
    "suite2p": {"key", "trust_pickle"},
    "caiman": {"key"},
    "movie": set(),
    **dict.fromkeys(("edf", "bdf", "brainvision", "fif", "wfdb"), {"channels"}),
}
DEFAULTS = {"header": True, "labels_column": 0, "trust_pickle": False}
SIDE_FILES = ("labels_file", "units_file", "mask", "motion")
RESERVED = {"time", "signal", "valid", "roi", "neuron", "channel"}


def read(
    path: Path,
    *,
    reader: Mapping[str, Any],
    files: Mapping[str, Path],
    preprocess: Mapping[str, Any],
) -> Raw:
    """Return a recording as its file holds it, time first, NaN in place.

    ``reader`` is the config's block of that name, ``files`` the side files that it names
    (``labels_file``, ``units_file``, ``mask``, ``motion``), ``preprocess`` the config's block (an
    image needs its ``atlas``). Raises ``ValueError`` with one sentence naming the file for anything
    unreadable or contradictory, ``FileNotFoundError`` for an absent file.
    """
    path, form = Path(path), reader["format"]
    files = {option: Path(file) for option, file in files.items()}
    _check_options(path, reader)
    _check_files(path, reader, files)
    module, _, function = READERS[form].partition(":")
    raw: Raw = getattr(importlib.import_module(module), function)(path, reader, files, preprocess)
    if "motion" in files:
        n_dummy = preprocess.get("n_dummy") or 0
        motion = read_motion(
            files["motion"],
            reader["motion"]["format"],
            volumes=len(raw.signal),
            n_dummy=n_dummy if n_dummy != "auto" else 0,
        )
        raw = replace(raw, extras={**raw.extras, "motion": motion})
    if "labels_file" in files:
        raw = with_labels(raw, files["labels_file"], reader)
    if "units_file" in files:
        raw = with_units(raw, files["units_file"], own_names=_own_names(reader))
    _check_raw(path, raw)
    _check_orientation(path, raw, reader, files)
    return raw


def _check_options(path: Path, reader: Mapping[str, Any]) -> None:
    form = reader["format"]
    if form not in READERS:
        raise ValueError(f"{path}: reader.format {form!r} is not one of {', '.join(READERS)}")
    given = {
        key for key, value in reader.items() if value is not None and value != DEFAULTS.get(key)
    }
    if unused := sorted(given - OPTIONS[form] - _ALWAYS):
        raise ValueError(
            f"{path}: reader.{unused[0]} has no meaning for format {form}, which takes "
            f"{', '.join(sorted(OPTIONS[form] | _ALWAYS - {'label_name'}))}"
        )
    if not reader.get("labels_file") and given & {"labels_column", "block_column"}:
        raise ValueError(f"{path}: reader.labels_column and block_column need reader.labels_file")


def _check_files(path: Path, reader: Mapping[str, Any], files: Mapping[str, Path]) -> None:
    form = reader["format"]
    for option in SIDE_FILES:
        if bool(reader.get(option)) != (option in files):
            raise ValueError(f"{path}: reader.{option} and the side files given do not agree")
    if form == "wfdb":
        path = Path(f"{path.with_suffix('') if path.suffix in ('.hea', '.dat') else path}.hea")
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if form == "suite2p" and not path.is_dir():
        raise ValueError(f"{path} is a file; format suite2p takes the folder that holds F.npy")
    if (
        form not in ("suite2p", "movie")
        and path.is_dir()
        and not (form == "nwb" and path.suffix == ".zarr")
    ):
        raise ValueError(f"{path} is a folder; format {form} takes a file")
    for option, file in files.items():
        if not file.is_file():
            raise FileNotFoundError(
                f"{file} does not exist; correct reader.{option} or put the file there"
            )


def _own_names(reader: Mapping[str, Any]) -> bool:
    """Whether the units' names come from the recording itself and not from their position."""
    form = reader["format"]
    if form in ("csv", "tsv"):
        return reader.get("header", True) is not False
    return form not in ("npy", "npz", "mat") or bool(reader.get("names_key"))


def _check_raw(path: Path, raw: Raw) -> None:
    n_time, n_units = raw.signal.shape
    if n_time < 2 or n_units < 1:
        raise ValueError(
            f"{path} holds {n_time} samples of {n_units} units; a recording needs 2 of 1"
        )
    if len(set(raw.names)) < n_units:
        twice = sorted({name for name in raw.names if raw.names.count(name) > 1})
        raise ValueError(f"{path}: unit names must be unique; {listing(twice)} occur twice")
    labels = {*raw.times, *raw.unit_labels}
    if taken := sorted(labels & RESERVED):
        raise ValueError(f"{path}: a label cannot be called {taken[0]!r}; rename it")
    if both := sorted(set(raw.times) & set(raw.unit_labels)):
        raise ValueError(f"{path}: {both[0]!r} is a label of samples and of units; rename one")
    for kept, count in ((raw.times, n_time), (raw.unit_labels, n_units)):
        for name, values in kept.items():
            if np.shape(values) != (count,):
                raise ValueError(
                    f"{path}: {name} has shape {np.shape(values)}; it needs {count} values"
                )


def _check_orientation(
    path: Path, raw: Raw, reader: Mapping[str, Any], files: Mapping[str, Path]
) -> None:
    """Refuse more units than samples unless some array with one value each agrees with the axes."""
    n_time, n_units = raw.signal.shape
    if n_time >= n_units or _own_names(reader):
        return
    agree = ("unit_keys", "positions_key", "label_key", "block_key", "trial_key")
    if any(reader.get(option) for option in agree) or {"units_file", "labels_file"} & set(files):
        return
    raise ValueError(
        f"{path} has {n_time} samples of {n_units} units: transposed? Correct reader.orientation, "
        "or name a units_file with one row a unit to confirm it"
    )

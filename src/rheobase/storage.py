"""Files that appear whole or not at all, and that know their own checksum.

NetCDF4 through h5netcdf. ``content_sha256`` covers the names, dimensions, types and raw bytes of
every variable and every attribute; it is checked on each read.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import xarray as xr

CHECKSUM = "content_sha256"
PART = ".part"


class CorruptFile(ValueError):
    """A file of ours whose content no longer matches its own checksum."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} is corrupt ({why}); delete it and run again")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; rename it there when the block ends
    well.

    What a killed process left half-written beside ``path`` is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    begin = f".{path.name}.{platform.node()}."
    _remove_orphans(path.parent, begin)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{begin}{os.getpid()}.", suffix=PART)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_orphans(folder: Path, begin: str) -> None:
    """Remove the temporary files of this machine's processes that are no more."""
    for name in os.listdir(folder):
        if name.startswith(begin) and name.endswith(PART):
            writer = name[len(begin) :].partition(".")[0]
            if writer.isdigit() and not psutil.pid_exists(int(writer)):
                (folder / name).unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(text: str, path: Path) -> None:
    """Write UTF-8 text atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(content: Any, path: Path) -> None:
    """Write JSON atomically with sorted keys; NaN and infinity are refused."""
    write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n", path)


def read_json(path: Path) -> Any:
    """Return the content of one of our JSON files."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CorruptFile(path, f"not valid JSON: {error}") from error


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, reading 1 MiB at a time."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as source:
        while chunk := source.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def content_sha256(dataset: xr.Dataset) -> str:
    """Return the SHA-256 over names, dimensions, types, bytes and attributes of a dataset."""
    digest = hashlib.sha256()
    attributes = {key: value for key, value in dataset.attrs.items() if key != CHECKSUM}
    digest.update(json.dumps(attributes, sort_keys=True, default=_plain).encode())
    for name in sorted(map(str, dataset.variables)):
        variable = dataset.variables[name]
        values = np.ascontiguousarray(variable.values)
        if values.dtype.kind in "OUST":
            values = np.char.encode(values.astype(str), "utf-8")
            head = [name, variable.dims, "text", values.shape]
            digest.update(json.dumps(head).encode() + b"\0".join(values.ravel().tolist()))
        else:
            digest.update(
                json.dumps([name, variable.dims, values.dtype.str, values.shape]).encode()
            )
            digest.update(values.view(np.uint8).data if values.size else b"")
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else np.asarray(value).tolist()


def write_dataset(dataset: xr.Dataset, path: Path) -> None:
    """Write a dataset with its checksum; variables named ``group/name`` go to an HDF5 group."""
    dataset = dataset.assign_attrs({CHECKSUM: content_sha256(dataset)})
    groups: dict[str, list[str]] = {}
    for name in map(str, dataset.data_vars):
        groups.setdefault(name.rpartition("/")[0], []).append(name)
    root = dataset.drop_vars([name for group, names in groups.items() if group for name in names])
    with atomic(path) as temporary:
        root.to_netcdf(temporary, engine="h5netcdf", encoding=_encoding(root))
        for group in sorted(filter(None, groups)):
            short = {name: name.rpartition("/")[2] for name in groups[group]}
            part = xr.Dataset({short[n]: dataset.variables[n] for n in groups[group]})
            part.to_netcdf(
                temporary, mode="a", group=group, engine="h5netcdf", encoding=_encoding(part)
            )


def _encoding(dataset: xr.Dataset) -> dict[Any, dict[str, Any]]:
    packed = {"zlib": True, "complevel": 1, "shuffle": True}
    return {
        name: packed
        for name, variable in dataset.data_vars.items()
        if variable.dtype.kind in "fiub" and variable.ndim and variable.size
    }


def read_dataset(path: Path) -> xr.Dataset:
    """Return a dataset written by ``write_dataset`` after checking it against its checksum.

    Raises ``FileNotFoundError`` when absent and ``CorruptFile`` when unreadable or changed.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        dataset = xr.load_dataset(path, engine="h5netcdf")
        for group in _groups(path):
            part = xr.load_dataset(path, engine="h5netcdf", group=group)
            dataset = dataset.assign({f"{group}/{name}": var for name, var in part.items()})
    except Exception as error:
        raise CorruptFile(path, f"unreadable: {type(error).__name__}") from error
    if dataset.attrs.get(CHECKSUM) != content_sha256(dataset):
        raise CorruptFile(path, "its content does not match its checksum")
    return dataset


def _groups(path: Path) -> list[str]:
    import h5py

    found: list[str] = []
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: found.append(name) if isinstance(item, h5py.Group) else None
        )
    return sorted(found)

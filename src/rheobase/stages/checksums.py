"""Checksums of what results were made from: in the provenance, and against what lies there now."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rheobase import layout
from rheobase.config import Dataset, Entry
from rheobase.io.side_files import side_files
from rheobase.io.sources import recording_file
from rheobase.storage import file_sha256


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and bytes of all files of a folder.

    A file that many recordings share is read once in a process, as long as it does not change.
    """
    if not path.is_file():
        digest = hashlib.sha256()
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            digest.update(f"{file.relative_to(path)}={file_sha256(file)}\n".encode())
        return digest.hexdigest()
    now = path.stat()
    return _file(path.absolute(), now.st_size, now.st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _file(path: Path, size: int, changed: int) -> str:
    return file_sha256(path)


def of_inputs(dataset: Dataset, data_dir: Path) -> dict[str, dict[str, Any]]:
    """Return the ``file``, ``path`` and ``sha256`` behind every recording, as it was when read.

    ``side_files`` tells ``path`` and ``sha256`` of every file that it was read with besides, by its
    use.
    """
    return {entry.name: _of_recording(dataset, entry, data_dir) for entry in dataset.recordings}


def _of_recording(dataset: Dataset, entry: Entry, data_dir: Path) -> dict[str, Any]:
    import h5py

    with h5py.File(layout.recording_path(dataset.name, entry.name)) as file:
        source, digest = (str(file.attrs[key]) for key in ("source", "source_sha256"))
        beside = json.loads(str(file.attrs.get("side_files", "{}")))
    paths = side_files(dataset, entry, data_dir)
    return {
        "file": source,
        "path": str(recording_file(dataset, entry, data_dir)),
        "sha256": digest,
        "side_files": {
            key: {"path": str(paths.get(key, told["file"])), "sha256": told["sha256"]}
            for key, told in beside.items()
        },
    }


def inputs_told(content: Mapping[str, Any], base: Path) -> Iterator[tuple[Path, str]]:
    """Yield every file that a ``provenance.json`` names as read and its checksum, each once.

    ``base`` is the folder in which the workflow ran, from which relative paths count.
    """
    seen = set()
    inputs = content.get("inputs")
    for entry in inputs.values() if isinstance(inputs, dict) else ():
        beside = entry.get("side_files", {}) if isinstance(entry, dict) else {}
        for told in (entry, *(beside.values() if isinstance(beside, dict) else ())):
            if not isinstance(told, dict) or not {"path", "sha256"} <= set(told):
                continue  # of a provenance written before paths were
            pair = base / str(told["path"]), str(told["sha256"])
            if pair not in seen:
                seen.add(pair)
                yield pair


def changed(content: Mapping[str, Any], base: Path, checked: set[Path]) -> Iterator[str]:
    """Yield a sentence for every file that is no longer what the results were made from.

    Those that are not there (any more) are passed over; the others are added to ``checked``.
    """
    for path, expected in inputs_told(content, base):
        if not path.exists():
            continue
        checked.add(path)
        if checksum(path) != expected:
            yield (
                f"{path} has changed since {content['dataset']} was made from it; run the workflow "
                "again, or put the old file back"
            )

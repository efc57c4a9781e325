"""Where the files of a dataset come from, and how they are brought to their place.

``recording_file`` is called while Snakemake plans, once a recording: nothing heavy is imported
here, and each kind of source is imported only by the job that fetches from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from rheobase.config.entries import Entry
from rheobase.io.sources.places import local_path, recording_file

__all__ = ["fetch", "local_path", "recording_file"]


def fetch(
    source: Mapping[str, Any],
    *,
    dataset: str,
    entries: Sequence[Entry],
    data_dir: Path,
    download_dir: Path,
) -> list[Path]:
    """Bring the file of every entry to its ``local_path`` and return the paths, in order.

    Each file appears whole or not at all. What a later run can use again (archives) is kept in
    ``download_dir``. Raises ``ValueError`` or ``FileNotFoundError`` with one sentence that names
    the file and the remedy.
    """
    paths = [
        local_path(source, dataset=dataset, entry=entry, data_dir=data_dir) for entry in entries
    ]
    if source["kind"] == "path":
        _check_there(paths)
    else:
        _module(source["kind"]).bring(source, entries, paths, download_dir=download_dir)
    return paths


def _module(kind: str) -> ModuleType:
    match kind:
        case "package":
            from rheobase.io.sources import package as module
        case "url":
            from rheobase.io.sources import url as module
        case "nilearn":
            from rheobase.io.sources import brain_images as module
        case "openneuro" | "dandi":
            from rheobase.io.sources import programs as module
        case "wfdb":
            from rheobase.io.sources import physionet as module
        case "synthetic":
            from rheobase.io.sources import planted as module
        case _:
            raise ValueError(f"source.kind {kind!r} is unknown")
    return module


def _check_there(paths: Sequence[Path]) -> None:
    missing = [path for path in paths if not path.exists()]
    if missing:
        more = f" ({len(missing)} files are missing)" if len(missing) > 1 else ""
        raise FileNotFoundError(
            f"{missing[0]} does not exist{more}; correct source.path or put the file there"
        )

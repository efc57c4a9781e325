"""Where each recording's file lies, told from the configuration alone. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from rheobase import layout
from rheobase.config.entries import Entry, fill
from rheobase.io.derivatives import image_path

if TYPE_CHECKING:
    from rheobase.config import Dataset


def local_path(source: Mapping[str, Any], *, dataset: str, entry: Entry, data_dir: Path) -> Path:
    """Return the path of a recording's file (or folder); it need not exist yet.

    The user's own file for kind ``path``, else a file in ``layout.source_dir(dataset)``. A WFDB
    record is told by its header, ``.hea``. Raises ``ValueError`` naming an unknown placeholder, or
    a path that leads out of the folder.
    """
    folder = layout.source_dir(dataset)
    match source["kind"]:
        case "path":
            return Path(fill(source["path"], entry, data_dir))
        case "url" if "path" not in source:
            return folder / inside(name_of_url(source["url"], entry))
        case "nilearn":
            suffix = ".npy" if source.get("field", "func").startswith("rois") else ".nii.gz"
            return folder / f"{entry.name}{suffix}"
        case "synthetic":
            return folder / f"{entry.name}.npz"
        case "wfdb":
            record = inside(fill(source["path"], entry, data_dir))
            return folder / f"{record.removesuffix('.hea')}.hea"
        case _:
            return folder / inside(fill(source["path"], entry, data_dir))


def recording_file(dataset: Dataset, entry: Entry, data_dir: Path) -> Path:
    """Return the file of a recording; with format ``fmriprep`` the image inside ``local_path``."""
    path = local_path(dataset.source, dataset=dataset.name, entry=entry, data_dir=data_dir)
    if dataset.reader.get("format") != "fmriprep":
        return path
    return image_path(path, entry.entities, dataset.reader, dataset.preprocess.get("denoise"))


def name_of_url(url: str, entry: Entry) -> str:
    """Return the file name of an address, with the folders that tell recordings apart.

    From the first part of the path that has a placeholder; the last part where none has one, and
    the recording's name where only the query tells the recordings apart.
    """
    fill(url, entry)
    split = urlsplit(url)
    parts = [part for part in split.path.split("/") if part]
    varying = [number for number, part in enumerate(parts) if "{" in part]
    if not varying and "{" in url:
        return f"{entry.name}{''.join(PurePosixPath(split.path).suffixes)}"
    tail = "/".join(parts[varying[0] :] if varying else parts[-1:])
    return unquote(fill(tail, entry)) or entry.name


def inside(path: str) -> str:
    """Return a relative path unchanged; raises ``ValueError`` where it leads out of its folder."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith(("/", "\\")) or ".." in parts or re.match("[A-Za-z]:", path):
        raise ValueError(
            f"the path {path!r} leads out of its folder; write it relative, without '..'"
        )
    return path

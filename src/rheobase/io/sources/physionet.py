"""Kind ``wfdb``: records of PhysioNet, header and signal files, checked against its checksums."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rheobase.config.entries import Entry, fill
from rheobase.io.sources.places import inside
from rheobase.io.sources.transfer import download
from rheobase.storage import file_sha256

ADDRESS = "https://physionet.org/files"
CHECKSUMS = "SHA256SUMS.txt"


def bring(
    source: Mapping[str, Any],
    entries: Sequence[Entry],
    paths: Sequence[Path],
    *,
    download_dir: Path,
) -> None:
    """Download each record's header to its path, and the signal files that it names beside it.

    The pinned version's own list of SHA-256 checks every file, where the database has one.
    """
    base = f"{ADDRESS}/{source['dataset']}/{source['version']}"
    kept = download_dir / "physionet" / f"{source['dataset']}-{source['version']}"
    known = _checksums(base, kept / CHECKSUMS)
    for entry, path in zip(entries, paths, strict=True):
        header = f"{fill(source['path'], entry).removesuffix('.hea')}.hea"
        _get(base, header, path, known, kept)
        for name in signal_files(path):
            file = posixpath.join(posixpath.dirname(header), name)
            _get(base, file, path.parent / name, known, kept)


def _checksums(base: str, path: Path) -> dict[str, str]:
    """Return the checksum of each file of the database, by its name."""
    if not path.is_file():
        there = download(f"{base}/{CHECKSUMS}", path, sha256=None, by_hand=path, optional=True)
        if not there:
            return {}
    lines = [line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines()]
    return {
        line[1].lstrip("*").removeprefix("./"): line[0].lower() for line in lines if len(line) == 2
    }


def _get(base: str, name: str, path: Path, known: Mapping[str, str], kept: Path) -> None:
    sha256 = known.get(name)
    if sha256 and path.is_file() and file_sha256(path) == sha256:
        return
    download(f"{base}/{quote(name)}", path, sha256=sha256, by_hand=path)


def signal_files(header: Path) -> list[str]:
    """Return the signal files that a record's header names, each once, in order.

    Raises ``ValueError`` where the header is none, or the record has several segments.
    """
    text = header.read_text(encoding="utf-8", errors="replace").splitlines()
    lines = [line.split() for line in text if line.strip() and not line.lstrip().startswith("#")]
    try:
        record, count = lines[0][0], int(lines[0][1])
        names = [line[0] for line in lines[1 : count + 1]]
    except (IndexError, ValueError) as error:
        raise ValueError(f"{header} is no WFDB header; correct source.path") from error
    if "/" in record:
        raise ValueError(
            f"{header} is a record of several segments; name one segment in source.path"
        )
    return [inside(name) for name in dict.fromkeys(names) if name != "~"]

"""Bring bytes to their place: whole, checked, or not at all."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from rheobase.storage import atomic, file_sha256


class WrongChecksum(ValueError):
    """A file that is not the one that the configuration names."""


def check_sha256(path: Path, expected: str, *, name: str, remedy: str) -> None:
    """Raise ``WrongChecksum`` naming the file, both checksums and the remedy where they differ."""
    found = file_sha256(path)
    if found != expected:
        raise wrong_sha256(name, found, expected, remedy)


def wrong_sha256(name: str, found: str, expected: str, remedy: str) -> WrongChecksum:
    """Return the error about a file that is not the one that the configuration names."""
    return WrongChecksum(
        f"{name} has the SHA-256 {found}, expected {expected}; nothing was kept: {remedy}"
    )


def check_kept(path: Path, expected: str) -> None:
    """Raise ``WrongChecksum`` for a file in the folder of downloads that is not the wanted one."""
    found = file_sha256(path)
    if found != expected:
        raise WrongChecksum(
            f"{path} has the SHA-256 {found}, expected {expected}; it is neither used nor replaced:"
            " delete it to download it again, put the right file there, or correct sha256"
        )


def copy(path: Path, to: Path) -> None:
    """Copy a file atomically."""
    with path.open("rb") as stream:
        write_stream(stream, to)


def write_stream(stream: IO[bytes], to: Path) -> None:
    """Write all that a stream holds, atomically."""
    with atomic(to) as temporary, temporary.open("wb") as out:
        shutil.copyfileobj(stream, out, 1 << 20)


def close_names(name: str, there: Iterable[str]) -> str:
    """Return `` (close: a, b, c)`` for up to three names like ``name``, or nothing."""
    names: Sequence[str] = sorted(set(there))
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f" (close: {', '.join(close)})" if close else ""

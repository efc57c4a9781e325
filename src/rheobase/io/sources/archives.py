"""Members of zip and tar archives, read one by one: never imported, never extracted whole."""

from __future__ import annotations

import posixpath
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from rheobase.io.sources.keeping import close_names, write_stream
from rheobase.io.sources.places import inside


def take_members(archive: Path, wanted: Mapping[str, Path]) -> None:
    """Write the members ``wanted`` (name in the archive to path), each atomically.

    Raises ``ValueError`` naming archive and member where one is missing, is no plain file, or would
    lead out of its folder, and where the archive cannot be read.
    """
    for name in wanted:
        inside(name)
    wanted = {posixpath.normpath(name): path for name, path in wanted.items()}
    try:
        there = (
            _from_zip(archive, wanted)
            if zipfile.is_zipfile(archive)
            else _from_tar(archive, wanted)
        )
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error) as error:
        raise ValueError(f"{archive} cannot be read ({error}); delete it and run again") from error
    missing = [name for name in wanted if name not in there]
    if missing:
        raise ValueError(
            f"{archive.name} has no file {missing[0]}{close_names(missing[0], there)}; "
            "correct source.path"
        )


def _from_zip(archive: Path, wanted: Mapping[str, Path]) -> set[str]:
    with zipfile.ZipFile(archive) as file:
        there = {posixpath.normpath(i.filename): i for i in file.infolist() if not i.is_dir()}
        for name, path in wanted.items():
            if name in there:
                with file.open(there[name]) as stream:
                    write_stream(stream, path)
    return set(there)


def _from_tar(archive: Path, wanted: Mapping[str, Path]) -> set[str]:
    there = set()
    with tarfile.open(archive) as file:
        for member in file:
            name = posixpath.normpath(member.name)
            if not member.isreg():
                continue
            there.add(name)
            stream = file.extractfile(member) if name in wanted else None
            if stream is not None:
                with stream:
                    write_stream(stream, wanted[name])
    return there

"""Kind ``url``: files at an address, alone or inside an archive, always with a checksum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rheobase.config.entries import Entry, fill
from rheobase.io.sources.archives import take_members
from rheobase.io.sources.keeping import check_kept, copy
from rheobase.io.sources.places import name_of_url
from rheobase.io.sources.transfer import download
from rheobase.storage import file_sha256


def bring(
    source: Mapping[str, Any],
    entries: Sequence[Entry],
    paths: Sequence[Path],
    *,
    download_dir: Path,
) -> None:
    """Download the entries' files; an archive is kept in ``download_dir`` and used again."""
    if source.get("archive") and "path" not in source:
        raise ValueError(f"{source['url']} is an archive; name the file inside it in source.path")
    members: dict[Path, dict[str, Path]] = {}
    for entry, path in zip(entries, paths, strict=True):
        url, name = fill(source["url"], entry), name_of_url(source["url"], entry)
        sha256 = _checksum(source, entry, url)
        archived = "path" in source
        at = download_dir / name
        if at in members:
            members[at][fill(source["path"], entry)] = path
            continue
        there = at.is_file()
        if there:
            check_kept(at, sha256)
        if archived:
            if not there:
                download(url, at, sha256=sha256, by_hand=at)
            members[at] = {fill(source["path"], entry): path}
        elif there:
            copy(at, path)
        elif not path.is_file() or file_sha256(path) != sha256:
            download(url, path, sha256=sha256, by_hand=at)
    for archive, wanted in members.items():
        take_members(archive, wanted)


def _checksum(source: Mapping[str, Any], entry: Entry, url: str) -> str:
    if entry.sha256:
        return entry.sha256.lower()
    if "sha256" not in source:
        raise ValueError(
            f"{url} has no checksum; give source.sha256, or a column sha256 in the table for "
            "several files"
        )
    return source["sha256"]

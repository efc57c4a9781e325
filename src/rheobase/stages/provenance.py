"""What was run, with which versions, on which files, at what cost."""

from __future__ import annotations

import csv
import json
import os
import platform
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rheobase import layout
from rheobase.config import Dataset
from rheobase.stages.checksums import of_inputs
from rheobase.stages.prepare import load_spec
from rheobase.stages.versions import versions
from rheobase.storage import file_sha256, read_json, write_json

COMMAND = "RHEOBASE_COMMAND"
RULES = (
    *("fetch", "preprocess", "split"),
    *("fit", "evaluate", "aggregate"),
    *("provenance", "report", "index"),
)


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
        "device_used": devices(dataset, told),
        "rule_graph": rule_graph(dataset, told),
        "seeds": {name: entry["seeds"] for name, entry in told["models"].items()},
        "inputs": of_inputs(dataset, Path(rest["data_dir"])),
        "outputs": {str(p): file_sha256(p) for p in outputs(dataset, told)},
        "cost": (cost := costs(dataset.name)),
        "cost_by_rule": by_rule(cost),
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


def outputs(dataset: Dataset, told: dict[str, Any]) -> Iterator[Path]:
    """Yield every file that the report rests on."""
    for entry in dataset.recordings:
        yield layout.recording_path(dataset.name, entry.name)
        yield from layout.quality_paths(dataset.name, dataset.modality, entry.name)
    yield layout.splits_path(dataset.name)
    for model, entry in told["models"].items():
        yield layout.model_dir(dataset.name, model) / "metrics.json"
        yield from sorted(p for p in layout.across_dir(dataset.name, model).glob("[!.]*"))
        for folder in _fit_folders(dataset, model, entry):
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


def by_rule(cost: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the jobs of each rule together: times added up, and the largest memory of one job."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in cost:
        found.setdefault(re.split(r"[-_]", Path(row["job"]).name)[0], []).append(row)
    order = {rule: number for number, rule in enumerate(RULES)}
    return [
        {
            "rule": rule,
            "jobs": len(rows),
            "seconds": _together(sum, rows, "seconds"),
            "cpu_seconds": _together(sum, rows, "cpu_seconds"),
            "max_rss_mb": _together(max, rows, "max_rss_mb"),
        }
        for rule, rows in sorted(found.items(), key=lambda item: order.get(item[0], len(order)))
    ]


def _together(
    how: Callable[[list[float]], float], rows: Iterable[Mapping[str, Any]], key: str
) -> float | None:
    """Return the sum or the largest of what was measured, None where nothing was."""
    known = [row[key] for row in rows if row[key] is not None]
    return how(known) if known else None


def devices(dataset: Dataset, told: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return which models were fitted on which device, as their fits wrote it down."""
    found: dict[str, set[str]] = {}
    for model, entry in told["models"].items():
        for folder in _fit_folders(dataset, model, entry):
            if (folder / "run.json").is_file():
                found.setdefault(read_json(folder / "run.json")["device"], set()).add(model)
    return {device: sorted(models) for device, models in sorted(found.items())}


def _fit_folders(dataset: Dataset, model: str, entry: Mapping[str, Any]) -> Iterator[Path]:
    for fold in range(dataset.n_folds):
        for seed in entry["seeds"]:
            yield layout.fit_dir(dataset.name, model, fold, seed)


def rule_graph(dataset: Dataset, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rules before and after the models, and each model with what it runs on.

    A model comes after the one that it runs on.
    """
    waiting = {name: entry.get("on") for name, entry in told["models"].items()}
    models: list[dict[str, Any]] = []
    while waiting:
        ready = [name for name, on in waiting.items() if on not in waiting]
        for name in ready or list(waiting):
            fits = dataset.n_folds * len(told["models"][name]["seeds"])
            models.append({"name": name, "on": waiting.pop(name), "fits": fits})
    fetched = dataset.source["kind"] != "path"
    return {
        "before": list(RULES[:3] if fetched else RULES[1:3]),
        "models": models,
        "each": list(RULES[3:6]),
        "after": list(RULES[6:]),
    }


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

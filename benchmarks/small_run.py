"""A small run with planted truth: what it costs as a whole, and each of its stages alone."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.harness import Case, Row, empty_row, measure
from benchmarks.processes import Command
from rheobase import config as settings
from rheobase import layout
from rheobase.recording import Recording
from rheobase.stages import plan
from rheobase.storage import read_json, write_text

RHEOBASE = (sys.executable, "-m", "rheobase")
DATASET, MODEL = "gestures", "baseline"
REPETITIONS = {"short": 8, "4 x longer": 32}
GENERATOR = {"gestures": 3, "channels": 16, "units": 20}
STARTS = {
    "Python alone": "pass",
    "Python with the imports of a fit": "import rheobase.stages.learn, rheobase.models.linear",
    "Python with torch": "import torch",
}


@dataclass(frozen=True)
class Stage:
    """One sub-command of ``rheobase``, with the number of jobs that call it in a whole run."""

    name: str
    jobs: int
    arguments: tuple[str, ...]


def rows(folder: Path) -> Iterator[Row]:
    """Yield the cost of starting Python, then of whole runs on short and on longer recordings."""
    for label, code in STARTS.items():
        yield measure(Case(f"start, {label}", Command((sys.executable, "-c", code), folder)))
    for label, repetitions in REPETITIONS.items():
        here = folder / label.replace(" ", "-")
        here.mkdir()
        yield from run_rows(label, here, repetitions)


def run_rows(label: str, folder: Path, repetitions: int) -> Iterator[Row]:
    """Yield a whole run, each of its stages, and what is left for the workflow around them."""
    path = write_config(folder, repetitions)
    stages = stages_of(settings.parse(settings.read(path), [path]))
    jobs = sum(stage.jobs for stage in stages)
    command = Command((*RHEOBASE, "run", path.name, "--cores", "1"), folder)
    whole = measure(Case(f"small run, {label}, {jobs} jobs", command, repeats=1))
    if "failed" not in whole:
        whole.update(recording_size(folder))
    yield whole
    cost_files = _from_cost_files(folder)
    spent = 0.0
    for stage in stages:
        command = Command((*RHEOBASE, stage.name, *stage.arguments), folder)
        row = measure(Case(f"{stage.name}, {label}", command))
        if stage.name == "fit" and "failed" not in row:
            row["own_cpu_s"] = _from_runs(folder)
        yield row
        spent += stage.jobs * (row["ours_cpu_s"] or 0)
    yield around(whole, label, jobs=jobs, spent=spent, cost_files=cost_files)


def around(whole: Row, label: str, *, jobs: int, spent: float, cost_files: float) -> Row:
    """Return what a run cost beyond its stages: checking the config, planning, starting jobs."""
    row = empty_row(f"workflow around the stages, {label}")
    if whole["ours_cpu_s"] is None:
        return {**row, "skipped": "the whole run failed"}
    rest = whole["ours_cpu_s"] - spent
    row["ours_cpu_s"] = round(rest, 4)
    told = {
        "stages_cpu_s": spent,
        "stages_cpu_s_by_cost_files": cost_files,
        "per_job_cpu_s": rest / jobs,
    }
    return {**row, **{key: round(value, 3) for key, value in told.items()}}


def write_config(folder: Path, repetitions: int) -> Path:
    """Write the config of two subjects' gestures; each repetition is about 9 seconds at 1000 Hz."""
    params = {**GENERATOR, "repetitions": repetitions}
    dataset = {
        "modality": "emg",
        "source": {"kind": "synthetic", "generator": "emg", "seed": 3, "params": params},
        "entities": {"subject": ["a", "b"]},
        "units": "uV",
        "label": {"name": "gesture", "kind": "class"},
        "split": {"by": "trial", "folds": 2},
        "models": [MODEL],
    }
    models = {MODEL: {"family": "linear", "preset": "demo"}}
    config = {"seeds": [0], "device": "cpu", "datasets": {DATASET: dataset}, "models": models}
    path = folder / "config.yaml"
    write_text(yaml.safe_dump(config, sort_keys=False), path)
    return path


def stages_of(config: settings.Config) -> list[Stage]:
    """Return the stages as the rules call them; fits and evaluations stand for all by fold 0."""
    dataset = config.datasets[DATASET]
    spec = ("--spec", plan.dataset_spec(config, dataset))
    told = {
        stage: ("--spec", plan.stage_spec(config, dataset, stage))
        for stage in ("fetch", "preprocess", "split")
    }
    fit_spec = ("--spec", plan.stage_spec(config, dataset, "fit", MODEL))
    fit = (*fit_spec, "--model", plan.model_spec(config, MODEL, 0), "--fold", "0", "--seed", "0")
    models = ("--models", plan.report_spec(config, dataset))
    fits = list(plan.fits(config, dataset, MODEL))
    pairs = [f"{fold}-{seed}" for fold, seed in fits]
    names = [entry.name for entry in dataset.recordings]
    return [
        Stage("fetch", 1, told["fetch"]),
        Stage(
            "preprocess",
            len(plan.batches(dataset, config.recordings_per_job)),
            (*told["preprocess"], "--recordings", *names),
        ),
        Stage("split", 1, told["split"]),
        Stage("fit", len(fits), (*fit, "--device", "cpu")),
        Stage("evaluate", len(fits), fit),
        Stage("aggregate", 1, ("--dataset", DATASET, "--model", MODEL, "--fits", *pairs)),
        Stage("provenance", 1, (*spec, *models)),
        Stage("report", 1, (*spec, *models)),
        Stage("index", 1, ("--specs", plan.index_spec(config))),
    ]


def recording_size(folder: Path) -> dict[str, float]:
    """Return how long a recording is and how much memory its samples take."""
    path = next((folder / layout.recording_path(DATASET, "x").parent).glob("*.nc"))
    made = Recording.load(path)
    return {
        "recording_s": len(made.valid) / made.rate,
        "recording_mb": round(made.signal.nbytes / 2**20, 1),
    }


def _from_cost_files(folder: Path) -> float:
    """Return the CPU seconds that Snakemake's own samples of its jobs add up to."""
    total = 0.0
    for path in (folder / "logs" / "cost").rglob("*.tsv"):
        with path.open(newline="") as file:
            for line in csv.DictReader(file, delimiter="\t"):
                total += float(line["cpu_time"]) if line["cpu_time"] not in ("NA", "-") else 0.0
    return total


def _from_runs(folder: Path) -> float:
    """Return the CPU seconds that the fit of fold 0 spent fitting, by its own account."""
    return float(
        read_json(folder / layout.fit_dir(DATASET, MODEL, 0, 0) / "run.json")["cpu_seconds"]
    )

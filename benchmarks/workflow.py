"""What the workflow itself costs: starting, planning, storing, its stages and the demonstration."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from benchmarks import small_run, storing
from benchmarks.harness import Case, Row, empty_row, interleave, measure
from benchmarks.processes import ROOT, Command, Failed
from rheobase import config as settings
from rheobase.models.base import FAMILIES
from rheobase.storage import file_sha256, write_text

HELP_LIMIT_CPU_S = 0.5
DRY_RUN_LIMIT_CPU_S = 15.0
DEMO_LIMIT_WALL_S = 180.0
DEMO_CORES = 2
RECORDINGS, MODELS, FOLDS = 1000, 6, 5


def rows() -> Iterator[Row]:
    """Yield all rows, the cheap ones first."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield measure(
            Case("rheobase --help", Command((*small_run.RHEOBASE, "--help"), folder), repeats=5,
                 limit_cpu_s=HELP_LIMIT_CPU_S)
        )  # fmt: skip
        for part, script in (
            ("planning", planning),
            ("storing", storing.rows),
            ("small", small_run.rows),
        ):
            (folder / part).mkdir()
            yield from script(folder / part)
        (folder / "demo").mkdir()
        yield demonstration(folder / "demo")


def planning(folder: Path) -> Iterator[Row]:
    """Yield dry runs of a thousand recordings: one seed, three seeds, a job for every recording."""
    subjects = [f"s{number:04d}" for number in range(RECORDINGS)]
    for subject in subjects:
        (folder / f"{subject}.npy").touch()
    for label, seeds, per_job in (
        ("1 seed", 1, 16),
        ("3 seeds", 3, 16),
        ("1 seed, a job a recording", 1, 1),
    ):
        path = folder / f"config-{seeds}-{per_job}.yaml"
        write_text(yaml.safe_dump(many(subjects, seeds=seeds, per_job=per_job)), path)
        dry = ("snakemake", "--snakefile", str(ROOT / "Snakefile"), "--configfile", path.name)
        options = ("--cores", "1", "--dry-run", "--quiet", "all")
        yield measure(
            Case(
                f"dry run, {RECORDINGS} recordings x {MODELS} models x {FOLDS} folds, {label}",
                Command((sys.executable, "-m", *dry, *options), folder),
                limit_cpu_s=DRY_RUN_LIMIT_CPU_S,
            )
        )


def many(subjects: list[str], *, seeds: int, per_job: int) -> dict[str, Any]:
    """Return a config of many recordings.

    While no family is random, which alone is fitted once a seed, more models stand for more seeds.
    """
    random = [name for name, family in FAMILIES.items() if family.random]
    count = MODELS if random or seeds == 1 else MODELS * seeds
    models = {f"m{number:02d}": {"family": (random or ["linear"])[0]} for number in range(count)}
    dataset = {
        "modality": "fmri",
        "source": {"kind": "path", "path": "{subject}.npy"},
        "entities": {"subject": subjects},
        "reader": {"format": "npy", "orientation": "time_first"},
        "repetition_time_s": 1,
        "split": {"by": "subject", "folds": FOLDS},
        "models": list(models),
    }
    return {
        "seeds": list(range(seeds)),
        "recordings_per_job": per_job,
        "datasets": {"many": dataset},
        "models": models,
    }


def demonstration(folder: Path) -> Row:
    """Return the wall seconds of the demonstration, without its downloads."""
    row = empty_row("demo, wall seconds")
    config = ROOT / "config" / "config.yaml"
    downloads = Path(os.environ.get("RHEOBASE_DOWNLOADS") or ROOT / "downloads")
    if missing := absent(config, downloads):
        lacking = ", ".join(missing)
        reason = f"downloads/ does not hold the archives of {lacking}; run make demo first"
        return {**row, "skipped": reason}
    argv = (*small_run.RHEOBASE, "run", str(config), "--cores", str(DEMO_CORES))
    command = Command(argv, folder, {"RHEOBASE_DOWNLOADS": str(downloads.resolve())})
    try:
        (run,) = interleave([command], 1)
    except Failed as error:
        return {**row, "failed": str(error)}
    return {
        **row,
        "ours_cpu_s": round(run.cpu_s, 4),
        "ours_peak_mb": round(run.peak_mb, 1),
        "wall_s": round(run.wall_s, 1),
        "limit_wall_s": DEMO_LIMIT_WALL_S,
        "within_limit": run.wall_s <= DEMO_LIMIT_WALL_S,
        "load_1_min": round(os.getloadavg()[0], 2),
    }


def absent(config: Path, downloads: Path) -> list[str]:
    """Return the data sets of a config whose archive is not in ``downloads``, by checksum."""
    there = {file_sha256(path) for path in downloads.glob("*") if path.is_file()}
    wanted = {
        name: entry["source"].get("sha256")
        for name, entry in settings.read(config)["datasets"].items()
    }
    return [name for name, checksum in wanted.items() if checksum and checksum not in there]

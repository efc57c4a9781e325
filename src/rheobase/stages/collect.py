"""Gather what is known of a dataset for its report: only what belongs to the present run.

A file that is damaged becomes an error of the report, and scores whose fit is missing or older than
the folds are left out: after a failed run, results of the run before lie beside them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rheobase import layout
from rheobase.config import Dataset
from rheobase.recording import Recording
from rheobase.report.inputs import ReportInput
from rheobase.stages import provenance
from rheobase.stages.versions import versions
from rheobase.storage import read_dataset, read_json

if TYPE_CHECKING:
    import xarray as xr

    from rheobase.preprocess.fmri_group import MotionRelation

TAIL = 30
NOT_SHOWN = ("config", "outputs", "dataset")
Error = dict[str, str]


def collect(
    dataset: Dataset, told: Mapping[str, Any], config_text: str, *, drawn: bool = True
) -> ReportInput:
    """Return everything that is known of a dataset; what is missing is left out, with its error.

    Pictures are read only where they are ``drawn``.
    """
    from rheobase.evaluate.truth import compare_with_truth
    from rheobase.preprocess.quality import compare

    problems: list[Error] = []
    names = [entry.name for entry in dataset.recordings]
    about = _each(names, lambda name: _about(dataset, name), problems)
    qc = _each(names, lambda name: read_json(layout.qc_path(dataset.name, name)), problems)
    pictures, motion = _pictures(dataset, qc, problems) if drawn else ({}, None)
    splits = _each(["splits"], lambda _: read_json(layout.splits_path(dataset.name)), problems)
    fits = {model: list(_current(dataset, model, told)) for model in told["models"]}
    scores = {model: made for model, found in fits.items() if (made := _scores(found, problems))}
    runs = {model: [run for _, run in found] for model, found in fits.items()}
    said = [*problems, *errors(dataset, told)]
    paths = [layout.recording_path(dataset.name, name) for name in about]
    return ReportInput(
        dataset=dataset.name,
        modality=dataset.modality,
        config=dataset.raw,
        models=told["models"],
        recordings=list(about.values()),
        qc=qc,
        pictures=pictures,
        motion=motion,
        group_flags=compare(qc),
        splits=splits.get("splits", {}),
        scores=scores,
        runs=runs,
        drawings={model: _drawings(found) for model, found in fits.items()},
        across={model: _across(dataset, model, told) for model in fits},
        truth=compare_with_truth(dataset.source, paths, layout.source_dir(dataset.name)),
        provenance={**_provenance(dataset, told), "config_text": config_text},
        errors=said,
        excluded=dataset.exclude,
        missing={name: _reason(name, said) for name in names if name not in about},
        licence=dataset.licence,
        citation=dataset.citation,
        folder=layout.dataset_dir(dataset.name),
    )


def _provenance(dataset: Dataset, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the provenance of this run; after a failure, as much of it as is known."""
    path = layout.dataset_dir(dataset.name) / "provenance.json"
    needed = [layout.splits_path(dataset.name)]
    needed += [layout.model_dir(dataset.name, model) / "metrics.json" for model in told["models"]]
    if path.is_file() and all(n.is_file() and _age(n) <= _age(path) for n in needed):
        return {k: v for k, v in read_json(path).items() if k not in NOT_SHOWN}
    return {
        "versions": versions(),
        **provenance.git_state(),
        "command": os.environ.get(provenance.COMMAND, ""),
        "device": told["device"],
        "seeds": {name: entry["seeds"] for name, entry in told["models"].items()},
        "cost": provenance.costs(dataset.name),
    }


def _each(names: list[str], load: Callable[[str], Any], problems: list[Error]) -> dict[str, Any]:
    """Return what can be loaded; what is damaged becomes a problem, what is absent does not."""
    made = {}
    for name in names:
        try:
            made[name] = load(name)
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, OSError) as error:
            problems.append({"job": f"reading {name}", "message": str(error), "log_tail": ""})
    return made


def _pictures(
    dataset: Dataset, qc: Mapping[str, Any], problems: list[Error]
) -> tuple[dict[str, xr.Dataset], MotionRelation | None]:
    """Return what figures need besides, and how connectivity goes with motion (fMRI).

    Pairs of regions are added up and dropped at once: they would fill the memory.
    """
    if dataset.modality != "fmri":
        return {}, None
    from rheobase.preprocess.fmri_group import PAIRS, MotionGathering

    gathering = MotionGathering(qc)

    def load(name: str) -> xr.Dataset:
        found = read_dataset(layout.pictures_path(dataset.name, name))
        gathering.add(name, found)
        return found.drop_vars(PAIRS, errors="ignore")

    return _each(list(qc), load, problems), gathering.relation()


def _about(dataset: Dataset, name: str) -> dict[str, Any]:
    recording = Recording.load(layout.recording_path(dataset.name, name))
    return {
        "name": recording.name,
        "entities": recording.entities,
        "labels": recording.labels,
        "n_samples": recording.signal.shape[0],
        "n_units": recording.signal.shape[1],
        "duration": recording.signal.shape[0] / recording.rate,
        "time_unit": recording.time_unit,
        "rate": recording.rate,
        "units": recording.units,
        "valid_fraction": float(recording.valid.mean()),
        "steps": recording.steps,
    }


def _reason(name: str, said: list[Error]) -> str:
    lines = [line for error in said for line in error["message"].splitlines()]
    return next((line for line in lines if name in line), "its job failed; see the errors below")


def _fits(dataset: Dataset, model: str, told: Mapping[str, Any]) -> Iterator[tuple[int, int, Path]]:
    for fold in range(dataset.n_folds):
        for seed in told["models"][model]["seeds"]:
            yield fold, seed, layout.fit_dir(dataset.name, model, fold, seed)


def _current(
    dataset: Dataset, model: str, told: Mapping[str, Any]
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield folder and ``run.json`` of the fits that were made on the present folds."""
    splits = layout.splits_path(dataset.name)
    for _, _, folder in _fits(dataset, model, told):
        run = folder / "run.json"
        if splits.is_file() and run.is_file() and _age(run) >= _age(splits):
            yield folder, read_json(run)


def _age(path: Path) -> int:
    return path.stat().st_mtime_ns


def _scores(
    fits: list[tuple[Path, dict[str, Any]]], problems: list[Error]
) -> dict[str, Any] | None:
    from rheobase.evaluate.gather import gather

    paths = {
        str(folder): folder / "metrics.json"
        for folder, _ in fits
        if (folder / "metrics.json").is_file()
        and _age(folder / "metrics.json") >= _age(folder / "run.json")
    }
    found = _each(list(paths), lambda name: read_json(paths[name]), problems)
    return gather(list(found.values())) if found else None


def _drawings(fits: list[tuple[Path, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the figures of fold 0 with the first seed, or of the first fit that has any."""
    for folder, run in fits:
        if found := stored_drawings(folder / "figures"):
            return [{**one, "fold": run["fold"], "seed": run["seed"]} for one in found]
    return []


def stored_drawings(folder: Path) -> list[dict[str, Any]]:
    """Return words of the drawings in a folder, and where picture and numbers are, in order."""
    found = [
        {
            **read_json(path),
            "name": path.stem,
            "image_path": path.with_suffix(".webp"),
            "csv_path": table if (table := path.with_suffix(".csv")).is_file() else None,
        }
        for path in sorted(folder.glob("[!.]*.json"))
    ]
    return sorted(found, key=lambda one: one.get("place", 0))


def _across(dataset: Dataset, model: str, told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the figures of all fits together, where none of the fits is newer or missing."""
    made = layout.model_dir(dataset.name, model) / "metrics.json"
    fits = [folder / "metrics.json" for _, _, folder in _fits(dataset, model, told)]
    current = made.is_file() and all(p.is_file() and _age(p) <= _age(made) for p in fits)
    return stored_drawings(layout.across_dir(dataset.name, model)) if current else []


def errors(dataset: Dataset, told: Mapping[str, Any]) -> Iterator[Error]:
    """Yield the last words of every job whose output is missing."""
    logs = layout.log_path(dataset.name, "x").parent
    here = [
        layout.recording_path(dataset.name, entry.name).is_file() for entry in dataset.recordings
    ]
    if not all(here):
        for path in [logs / "fetch.log", *sorted(logs.glob("preprocess-*.log"))]:
            yield from _last_words(path, path.stem.replace("-", " "))
    elif not layout.splits_path(dataset.name).is_file():
        yield from _last_words(logs / "split.log", "split")
    for model in told["models"]:
        for fold, seed, folder in _fits(dataset, model, told):
            for stage, made in (("fit", "run.json"), ("evaluate", "metrics.json")):
                if not (folder / made).is_file():
                    log = logs / model / f"{stage}-{fold}-{seed}.log"
                    yield from _last_words(log, f"{stage} {model}, fold {fold}, seed {seed}")


def _last_words(path: Path, job: str) -> Iterator[Error]:
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if said:
        yield {"job": job, "message": "\n".join(said), "log_tail": "\n".join(lines[-TAIL:])}

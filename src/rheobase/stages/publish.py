"""Collect a dataset's results and write its report; a report is owed even when something failed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rheobase import layout
from rheobase.config import Dataset
from rheobase.recording import Recording
from rheobase.report.inputs import ReportInput, index_entry
from rheobase.stages import provenance
from rheobase.stages.prepare import load_spec
from rheobase.storage import read_json, write_text

TAIL = 30


def report(spec: str, models: str) -> None:
    """Write ``report.html``, ``qc.tsv`` and ``config.effective.yaml`` of a dataset."""
    import yaml

    from rheobase.report.page import render

    dataset, rest = load_spec(spec)
    told = json.loads(models)
    config = yaml.safe_dump(provenance.effective_config(dataset, rest, told), sort_keys=False)
    content = collect(dataset, told, config)
    folder = layout.dataset_dir(dataset.name)
    write_text(config, folder / "config.effective.yaml")
    write_text(quality_table(content), folder / "qc.tsv")
    write_text(render(content), folder / "report.html")


def index(specs: str) -> None:
    """Write ``results/index.html``; ``specs`` is JSON: a list of dataset and models specs."""
    from rheobase.report.index import render_index

    entries = []
    for told in json.loads(specs):
        dataset, _ = load_spec(json.dumps(told["spec"]))
        entries.append(index_entry(collect(dataset, told["models"], "")))
    write_text(render_index(entries), layout.RESULTS / "index.html")


def collect(dataset: Dataset, told: Mapping[str, Any], config_text: str) -> ReportInput:
    """Return everything that is known of a dataset; what is missing is left out, with its error."""
    from rheobase.evaluate.truth import compare_with_truth
    from rheobase.preprocess.quality import compare

    names = [e.name for e in dataset.recordings]
    paths = [p for n in names if (p := layout.recording_path(dataset.name, n)).is_file()]
    qc = {n: read_json(p) for n in names if (p := layout.qc_path(dataset.name, n)).is_file()}
    splits = layout.splits_path(dataset.name)
    metrics = {m: layout.model_dir(dataset.name, m) / "metrics.json" for m in told["models"]}
    known = provenance.load(dataset.name)
    return ReportInput(
        dataset=dataset.name,
        modality=dataset.modality,
        config=dataset.raw,
        models=told["models"],
        recordings=[_about(Recording.load(p)) for p in paths],
        qc=qc,
        group_flags=compare(qc),
        splits=read_json(splits) if splits.is_file() else {},
        scores={model: read_json(path) for model, path in metrics.items() if path.is_file()},
        runs={model: list(_runs(dataset, model, told)) for model in told["models"]},
        drawings={model: _drawings(dataset, model, told) for model in told["models"]},
        truth=compare_with_truth(dataset.source, paths, layout.source_dir(dataset.name)),
        provenance={
            **{k: v for k, v in known.items() if k not in ("config", "outputs", "dataset")},
            "config_text": config_text,
        },
        errors=list(errors(dataset, told)),
        excluded=dataset.exclude,
        licence=dataset.licence,
        citation=dataset.citation,
        folder=layout.dataset_dir(dataset.name),
    )


def _about(recording: Recording) -> dict[str, Any]:
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


def _fits(dataset: Dataset, model: str, told: Mapping[str, Any]) -> Iterator[tuple[int, int, Path]]:
    for fold in range(dataset.n_folds):
        for seed in told["models"][model]["seeds"]:
            yield fold, seed, layout.fit_dir(dataset.name, model, fold, seed)


def _runs(dataset: Dataset, model: str, told: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for _, _, folder in _fits(dataset, model, told):
        if (folder / "run.json").is_file():
            yield read_json(folder / "run.json")


def _drawings(dataset: Dataset, model: str, told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the figures of fold 0 with the first seed, or of the first fit that has any."""
    for _, _, folder in _fits(dataset, model, told):
        found = sorted((folder / "figures").glob("*.json"))
        if found:
            return [
                {
                    **read_json(path),
                    "name": path.stem,
                    "image_path": path.with_suffix(".webp"),
                    "csv_path": csv_path
                    if (csv_path := path.with_suffix(".csv")).is_file()
                    else None,
                }
                for path in found
            ]
    return []


def errors(dataset: Dataset, told: Mapping[str, Any]) -> Iterator[dict[str, str]]:
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


def _last_words(path: Path, job: str) -> Iterator[dict[str, str]]:
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if said:
        yield {"job": job, "message": "\n".join(said), "log_tail": "\n".join(lines[-TAIL:])}


def quality_table(content: ReportInput) -> str:
    """Return quality metrics and flags as TSV, a row a recording."""
    columns = sorted({key for one in content.qc.values() for key in one["metrics"]})
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t", lineterminator="\n")
    writer.writerow(["recording", *columns, "units_excluded", "flags"])
    for name, one in content.qc.items():
        flags = [*one["flags"], *content.group_flags.get(name, [])]
        excluded = sum(1 for unit in one["units"] if unit.get("excluded"))
        values = [
            "n/a" if one["metrics"].get(key) is None else one["metrics"][key] for key in columns
        ]
        writer.writerow(
            [name, *values, excluded, "; ".join(f"{f['level']}: {f['text']}" for f in flags)]
        )
    return out.getvalue()

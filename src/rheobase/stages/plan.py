"""What a configuration means as jobs: recordings per job, fits, and what each job is told.

Snakemake reads this while it plans, and again in every job on a cluster: standard library only.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rheobase import layout
from rheobase.config import Config, ConfigError, Dataset, Entry, ModelEntry
from rheobase.config.schema import line, suggest
from rheobase.io.sources import recording_file
from rheobase.models.base import FAMILIES

PACKAGE = Path(__file__).resolve().parents[1]
WHICH = ("entities", "table", "exclude")
READING = (
    *("source", "reader", "sampling_rate_hz", "repetition_time_s"),
    *("time_unit", "units", "label"),
)
NEEDS = {
    "fetch": ("source", *WHICH),
    "preprocess": ("modality", "preprocess", *READING, *WHICH),
    "split": ("modality", "split", *WHICH),
    "fit": ("modality", "preprocess", "split", *READING, *WHICH),
}
"""The keys of a dataset that change what a stage makes; an edit elsewhere runs nothing again."""
NEUTRAL = {
    "modality": "series",
    "source": {"kind": "path", "path": ""},
    "time_unit": "s",
    "preprocess": {},
    "split": {"by": "time"},
}
"""What stands in a stage's spec for keys that it does not need and that must be there."""


def check_families(config: Config, files: Sequence[Path] = ()) -> None:
    """Raise ``ConfigError`` naming models of unknown families, or that start from nothing."""
    problems = [
        line(
            ["models", model.name, "family"],
            f"no family is called {model.family!r}{suggest(model.family, list(FAMILIES))}; "
            f"there are {', '.join(FAMILIES)}",
            files,
        )
        for model in config.models.values()
        if model.family not in FAMILIES
    ]
    problems += [
        line(["models", name, "params", "init_from"], problem, files)
        for name in config.models
        if (problem := _start_problem(config, name))
    ]
    if problems:
        raise ConfigError(problems)


def batches(dataset: Dataset, size: int) -> list[list[Entry]]:
    """Return the dataset's recordings in lots of ``size``."""
    entries = list(dataset.recordings)
    return [entries[i : i + size] for i in range(0, len(entries), size)]


def source_files(config: Config, dataset: Dataset) -> dict[str, Path]:
    """Return the file of every recording, fetched or the user's own."""
    return {
        entry.name: recording_file(dataset, entry, config.data_dir) for entry in dataset.recordings
    }


def seeds(config: Config, model: str) -> tuple[int, ...]:
    """Return the seeds that a model is fitted with: the first alone where seeds change nothing."""
    wanted = config.model_seeds(model)
    return wanted if is_random(config, model) else wanted[:1]


def is_random(config: Config, model: str) -> bool:
    """Return whether another seed gives another fit, of a model or of one that it runs on."""
    entry = config.models[model]
    family = FAMILIES.get(entry.family)
    own = family is None or family.random
    return own or bool(entry.on and is_random(config, entry.on))


def fits(config: Config, dataset: Dataset, model: str) -> Iterator[tuple[int, int]]:
    """Yield (fold, seed) of every fit of a model."""
    for fold in range(dataset.n_folds):
        for seed in seeds(config, model):
            yield fold, seed


def upstream(config: Config, model: str, seed: int) -> list[tuple[ModelEntry, int]]:
    """Return the models that ``model`` runs on, nearest first, each with the seed to use."""
    chain = []
    entry = config.models[model]
    while entry.on:
        entry = config.models[entry.on]
        there = seeds(config, entry.name)
        chain.append((entry, seed if seed in there else there[0]))
    return chain


def _start_problem(config: Config, model: str) -> str | None:
    named = config.models[model].params.get("init_from")
    if not named:
        return None
    dataset, _, other = str(named).partition("/")
    known = [f"{d.name}/{m}" for d in config.datasets.values() for m in d.models if m != model]
    if dataset not in config.datasets or other not in config.datasets[dataset].models:
        return f"no fit is called {named!r}{suggest(str(named), known)}; write dataset/model"
    if other == model or config.models[other].params.get("init_from"):
        return f"{other!r} does not pretrain, so nothing can start from it"
    if model in config.datasets[dataset].models:
        return f"{model!r} is scored on people of {dataset!r}; name a fit of another dataset"
    if config.models[other].family != config.models[model].family:
        return f"{other!r} is of family {config.models[other].family}; name a model of the same"
    return None


def initial(config: Config, model: str) -> dict[str, Any] | None:
    """Return the fit that a model starts from, ``init_from: dataset/model``: fold 0, first seed."""
    named = config.models[model].params.get("init_from")
    if not named:
        return None
    dataset, _, other = str(named).partition("/")
    return {"dataset": dataset, "model": other, "fold": 0, "seed": seeds(config, other)[0]}


def stage_spec(config: Config, dataset: Dataset, stage: str, model: str | None = None) -> str:
    """Return what a job of one stage must know of a dataset, as JSON, and nothing else.

    Snakemake compares it with that of the last run, so a key too many runs jobs again for nothing.
    """
    known = {key: dataset.raw[key] for key in NEEDS[stage] if key in dataset.raw}
    if "exclude" in known:
        known["exclude"] = dict.fromkeys(known["exclude"], "")
    told = {"name": dataset.name, "data_dir": str(config.data_dir)}
    if stage == "fetch":
        told["download_dir"] = str(config.download_dir)
    models = [entry.name for entry, _ in upstream(config, model, 0)][::-1] if model else []
    models += [model] if model else []
    return json.dumps({**told, "dataset": {**NEUTRAL, **known, "models": models}}, sort_keys=True)


def dataset_spec(config: Config, dataset: Dataset) -> str:
    """Return all that is known of a dataset, as JSON: for the stages that print it."""
    return json.dumps(
        {
            "name": dataset.name,
            "dataset": dataset.raw,
            "data_dir": str(config.data_dir),
            "download_dir": str(config.download_dir),
        },
        sort_keys=True,
    )


def model_spec(config: Config, model: str, seed: int | None = None) -> str:
    """Return what a job must know of a model and of those that it runs on, as JSON."""
    chain = [] if seed is None else upstream(config, model, seed)
    return json.dumps(
        {
            "model": _with_seed(config.models[model], seed),
            "upstream": [{"model": _with_seed(entry, s), "seed": s} for entry, s in chain],
            "initial": initial(config, model),
        },
        sort_keys=True,
    )


def _with_seed(model: ModelEntry, seed: int | None) -> dict[str, Any]:
    """Return a model with the one seed of a job: a further seed fits nothing again."""
    return {**asdict(model), "seeds": [] if seed is None else [seed]}


def report_spec(config: Config, dataset: Dataset) -> str:
    """Return the models and seeds of a dataset, as JSON."""
    models = {
        name: {
            **asdict(config.models[name]),
            "seeds": list(seeds(config, name)),
            "random": is_random(config, name),
        }
        for name in dataset.models
    }
    return json.dumps({"models": models, "device": config.device}, sort_keys=True)


def index_spec(config: Config) -> str:
    """Return the specs of all datasets with their models, as JSON."""
    told = [
        {"spec": json.loads(dataset_spec(config, d)), "models": json.loads(report_spec(config, d))}
        for d in config.datasets.values()
    ]
    return json.dumps(told, sort_keys=True)


def family_module(family: str) -> str:
    return FAMILIES[family].target.partition(":")[0]


@functools.cache
def code_hash(*modules: str) -> str:
    """Return a hash of the code of modules and of all that they import from this package.

    Comments and layout do not count, so that only a change of meaning runs a job again.
    """
    seen: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = _module_path(name)
        if name in seen or path is None:
            continue
        seen[name], imported = _read_module(path)
        waiting += imported
    return hashlib.sha256(json.dumps(sorted(seen.items())).encode()).hexdigest()[:16]


@functools.cache
def _module_path(name: str) -> Path | None:
    parts = name.split(".")[1:]
    for path in (
        PACKAGE.joinpath(*parts).with_suffix(".py"),
        PACKAGE.joinpath(*parts, "__init__.py"),
    ):
        if parts and path.is_file():
            return path
    return None


@functools.cache
def _read_module(path: Path) -> tuple[str, list[str]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rheobase"):
            imported += [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names if alias.name.startswith("rheobase")]
    siblings = [p for p in path.parent.rglob("*") if p.suffix in (".html", ".css", ".js", ".bib")]
    text = ast.dump(tree) + "".join(p.read_text(encoding="utf-8") for p in sorted(siblings))
    return hashlib.sha256(text.encode()).hexdigest(), imported


def targets(config: Config) -> list[Path]:
    """Return everything that a whole run leaves behind for people."""
    reports = [layout.dataset_dir(name) / "report.html" for name in config.datasets]
    return [*reports, layout.RESULTS / "index.html"]


def kept_files(config: Config) -> list[Path]:
    """Return everything that a whole run leaves behind, so that what was deleted is made again."""
    return [
        *targets(config),
        *(path for dataset in config.datasets.values() for path in _kept(config, dataset)),
    ]


def _kept(config: Config, dataset: Dataset) -> Iterator[Path]:
    for entry in dataset.recordings:
        yield layout.recording_path(dataset.name, entry.name)
        yield from layout.quality_paths(dataset.name, dataset.modality, entry.name)
    yield layout.splits_path(dataset.name)
    yield layout.dataset_dir(dataset.name) / "provenance.json"
    for model in dataset.models:
        yield layout.model_dir(dataset.name, model) / "metrics.json"
        yield layout.across_dir(dataset.name, model)
        for fold, seed in fits(config, dataset, model):
            folder = layout.fit_dir(dataset.name, model, fold, seed)
            yield from (folder / name for name in layout.FIT_FILES)


def reading_modules(dataset: Dataset) -> list[str]:
    """Return the modules that read and clean a dataset's recordings, named by lazy tables."""
    folders = [PACKAGE / "preprocess"] + (
        [PACKAGE / "io"] if dataset.source["kind"] != "synthetic" else []
    )
    shared = {"clean", "filters", "preview", dataset.modality}
    found = [f"rheobase.preprocess.{p.stem}" for p in folders[0].glob("*.py") if p.stem in shared]
    found += [f"rheobase.io.{p.stem}" for f in folders[1:] for p in f.glob("*.py")]
    return sorted(found)


def incomplete(config: Config) -> list[Dataset]:
    """Return the datasets of which a job failed or was not run: some kept file is missing."""
    return [
        dataset
        for dataset in config.datasets.values()
        if not all(path.exists() for path in _kept(config, dataset))
    ]

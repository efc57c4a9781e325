"""Fit one model on one fold with one seed, and score it on the fold's test part."""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rheobase import layout
from rheobase.config import Dataset, ModelEntry
from rheobase.device import choose
from rheobase.models.base import FAMILIES, Drawing, Fitted, Score, build, family
from rheobase.recording import Recording
from rheobase.stages import together
from rheobase.stages.cut import load_parts
from rheobase.stages.prepare import load_spec
from rheobase.stages.versions import versions
from rheobase.storage import (
    CorruptFile,
    atomic,
    file_sha256,
    read_dataset,
    read_json,
    write_dataset,
    write_json,
    write_text,
)

HISTORY = "history"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One fold and seed of one model of one dataset."""

    dataset: Dataset
    model: ModelEntry
    upstream: tuple[tuple[ModelEntry, int], ...]
    """The models that this one runs on, nearest first, with their seeds."""
    fold: int
    seed: int
    initial: Path | None = None
    """The fit that this one starts from (``init_from``)"""

    @classmethod
    def read(cls, spec: str, model: str, fold: int, seed: int) -> Job:
        """Return the job that the command line describes."""
        dataset, _ = load_spec(spec)
        told = json.loads(model)
        chain = tuple((_entry(step["model"]), int(step["seed"])) for step in told["upstream"])
        start = told.get("initial")
        initial = layout.fit_dir(**start) if start else None
        return cls(dataset, _entry(told["model"]), chain, fold, seed, initial)

    @property
    def folder(self) -> Path:
        return layout.fit_dir(self.dataset.name, self.model.name, self.fold, self.seed)

    def built(self) -> Any:
        """Return the model with its hyperparameters; refuses a modality it cannot take."""
        model = build(self.model.family, preset=self.model.preset, params=self.model.params)
        if self.dataset.modality not in model.modalities:
            able = ", ".join(sorted(model.modalities))
            raise ValueError(
                f"{self.dataset.name}: {self.model.family} does not take "
                f"{self.dataset.modality} recordings, "
                f"only {able}; remove {self.model.name!r} from the dataset's models"
            )
        return model


def _entry(values: Mapping[str, Any]) -> ModelEntry:
    return ModelEntry(**{**values, "seeds": tuple(values["seeds"])})


def load(job: Job, side: str) -> list[Recording]:
    """Return the recordings that a model is given: cut, viewed, passed through the models it
    runs on.
    """
    from rheobase.preprocess.views import view

    content = read_json(layout.splits_path(job.dataset.name))
    root = job.upstream[-1][0] if job.upstream else job.model
    asks = build(root.family, preset=root.preset, params=root.params)
    own = job.dataset.modality == "calcium" and getattr(asks, "own_cells", False)
    recordings = load_parts(job.dataset, content, job.fold, side, own_units=own)
    wanted = root.view or _family_view(root, job.dataset.modality)
    recordings = [view(r, wanted, job.dataset.preprocess) for r in recordings]
    for entry, seed in reversed(job.upstream):
        model = build(entry.family, preset=entry.preset, params=entry.params)
        if not hasattr(model, "transform"):
            raise ValueError(
                f"{job.model.name} runs on {entry.name}, but {entry.family} has no output to run on"
            )
        fitted = load_fitted(layout.fit_dir(job.dataset.name, entry.name, job.fold, seed))
        recordings = model.transform(fitted, recordings)
    return recordings


def _family_view(entry: ModelEntry, modality: str) -> str:
    return family(entry.family).views.get(modality, "signal")


def fit(job: Job, *, device: str) -> None:
    """Fit and write ``arrays.nc``, ``weights.safetensors`` and ``run.json``.

    Of several processes that train together only the first writes.
    """
    from safetensors.numpy import save_file

    model = job.built()
    chosen = choose(device, gpu=FAMILIES[job.model.family].gpu)
    train = load(job, "train")
    _seed_everything(job.seed)
    more = {} if job.initial is None else {"initial": load_fitted(job.initial)}
    start, cpu = time.perf_counter(), time.process_time()
    if hasattr(model, "resume"):
        checkpoint = _checkpoint(job, model, chosen)
        fitted = model.fit(train, seed=job.seed, device=chosen, checkpoint=checkpoint, **more)
        if not together.leads():
            return
        checkpoint.unlink(missing_ok=True)
        checkpoint.with_suffix(".json").unlink(missing_ok=True)
    else:
        fitted = model.fit(train, seed=job.seed, device=chosen, **more)
    cost = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
    history = {f"{HISTORY}/{k}": ((f"step_{k}",), np.asarray(v)) for k, v in fitted.history.items()}
    write_dataset(fitted.arrays.assign(history), job.folder / "arrays.nc")
    with atomic(job.folder / "weights.safetensors") as temporary:
        save_file({k: np.asarray(v, order="C") for k, v in fitted.weights.items()}, temporary)
    write_json(_run(job, model, chosen, fitted, cost), job.folder / "run.json")


def _checkpoint(job: Job, model: Any, device: str) -> Path:
    """Return where a fit may leave its state; the state of a fit of anything else is deleted."""
    checkpoint = job.folder / "checkpoint.safetensors"
    if not together.leads():
        return checkpoint
    belongs = checkpoint.with_suffix(".json")
    rests_on = _rests_on(job, model, device)
    job.folder.mkdir(parents=True, exist_ok=True)
    try:
        same = belongs.is_file() and read_json(belongs) == rests_on
    except CorruptFile:
        same = False
    if not same:
        checkpoint.unlink(missing_ok=True)
        write_json(rests_on, belongs)
    return checkpoint


def _rests_on(job: Job, model: Any, device: str) -> dict[str, str]:
    """Return a hash of each thing that a fit depends on."""
    content = read_json(layout.splits_path(job.dataset.name))
    fold = content["folds"][job.fold]
    used = sorted({part["recording"] for part in fold["train"]})
    chain = [layout.fit_dir(job.dataset.name, entry.name, job.fold, s) for entry, s in job.upstream]
    chain += [] if job.initial is None else [job.initial]
    families = {job.model.family, *(entry.family for entry, _ in job.upstream)}
    things = {
        "model": [job.model.family, job.model.view, asdict(model), job.seed, device],
        "dataset": {key: value for key, value in job.dataset.raw.items() if key != "models"},
        "training part": [content["units"], fold["train"]],
        "recordings": [content["recordings"][name] for name in used],
        "upstream": [file_sha256(f / n) for f in chain for n in ("arrays.nc", "run.json")],
        "code": [file_sha256(path) for name in sorted(families) for path in _sources(name)],
        "versions": versions(),
    }
    return {
        name: hashlib.sha256(json.dumps(thing, sort_keys=True).encode()).hexdigest()
        for name, thing in things.items()
    }


def _sources(name: str) -> list[Path]:
    """Return the files of a family's code."""
    path = Path(inspect.getfile(family(name)))
    return sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]


def _seed_everything(seed: int) -> None:
    import random

    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        import torch

        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True, warn_only=True)


def _run(
    job: Job, model: Any, device: str, fitted: Fitted, cost: Mapping[str, float]
) -> dict[str, Any]:
    config = {
        "model": asdict(job.model),
        "hyperparameters": asdict(model),
        "dataset": job.dataset.raw,
    }
    return {
        "dataset": job.dataset.name,
        "model": job.model.name,
        "family": job.model.family,
        "fold": job.fold,
        "seed": job.seed,
        "device": device,
        "processes": together.count(),
        "versions": versions(),
        **{key: round(value, 3) for key, value in cost.items()},
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "config": config,
        "config_sha256": hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest(),
        "metrics": {k: float(v) for k, v in fitted.metrics.items() if np.isfinite(v)},
        "notices": list(fitted.notices),
    }


def load_fitted(folder: Path) -> Fitted:
    """Return what a fit left behind; raises where a file is absent or corrupt."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    stored = read_dataset(folder / "arrays.nc")
    history = {n: v for n, v in stored.data_vars.items() if str(n).startswith(f"{HISTORY}/")}
    weights = folder / "weights.safetensors"
    try:
        tensors = load_file(weights)
    except SafetensorError as error:
        raise CorruptFile(weights, str(error)) from error
    run = read_json(folder / "run.json")
    return Fitted(
        arrays=stored.drop_vars(list(history)),
        weights=tensors,
        metrics=run["metrics"],
        history={str(n).partition("/")[2]: v.values.tolist() for n, v in history.items()},
        notices=tuple(run["notices"]),
    )


def evaluate(job: Job) -> None:
    """Score a fit on its test part and draw it: ``metrics.json`` and ``figures/``."""
    model, fitted, test = job.built(), load_fitted(job.folder), load(job, "test")
    scores = []
    for score in model.evaluate(fitted, test):
        if not score.rivals:
            raise ValueError(f"{job.model.family}: the score {score.name} has no rival beside it")
        scores.append({**_defined(score), "fold": job.fold, "seed": job.seed})
    save_drawings(model.figures(fitted, test), job.folder / "figures")
    content = {"dataset": job.dataset.name, "model": job.model.name, "family": job.model.family}
    write_json({**content, "scores": scores}, job.folder / "metrics.json")


def _defined(score: Score) -> dict[str, Any]:
    """Return a score as plain values, None where a number is undefined."""
    row = asdict(score)
    for key in ("value", "chance", "p_value"):
        row[key] = _finite(row[key])
    row["rivals"] = {name: _finite(value) for name, value in score.rivals.items()}
    lacking = [name for name, value in row["rivals"].items() if value is None]
    lacking += ["value"] * (row["value"] is None)
    if lacking and not score.note:
        row["note"] = f"undefined in some fits: {', '.join(lacking)}"
    return row


def _finite(number: float | None) -> float | None:
    return None if number is None or not np.isfinite(number) else number


def save_drawings(drawings: Mapping[str, Drawing], folder: Path) -> None:
    """Write picture (webp), words (json) and numbers (csv) of each, with their order."""
    for place, (name, drawing) in enumerate(drawings.items()):
        stem = folder / name
        with atomic(stem.with_suffix(".webp")) as temporary:
            drawing.figure.savefig(temporary, format="webp", dpi=144)
        words = {"title": drawing.title, "caption": drawing.caption, "alt": drawing.alt}
        write_json({**words, "place": place}, stem.with_suffix(".json"))
        if drawing.data is not None:
            table = drawing.data.to_csv(index=False, lineterminator="\n")
            write_text(table, stem.with_suffix(".csv"))

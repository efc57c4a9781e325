"""The configuration as dataclasses."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rheobase.config.calcium_checks import usual_input
from rheobase.config.checks import check_dataset, check_models
from rheobase.config.entries import Entry, find_table, from_entities, from_table
from rheobase.config.fmri_checks import IMAGES
from rheobase.config.read import ConfigError
from rheobase.config.schema import in_order, line, suggest, violations, without_broken

IN_TIME = ("time", "trial")
STD_DVARS = 1.5
"""Limit of the standardised DVARS of an image's voxels, as nilearn's scrubbing has it."""


@dataclass(frozen=True)
class Split:
    """How folds are cut."""

    by: str
    folds: int | None = None
    gap_s: float = 0.0
    together: str | None = None
    """A column of the table whose people stay on one side, such as ``family_id``."""

    @property
    def group(self) -> str:
        """The entity or column of which no value is ever on both sides of a fold."""
        return self.together or self.by


@dataclass(frozen=True)
class ModelEntry:
    """One entry under ``models``."""

    name: str
    family: str
    preset: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    on: str | None = None
    view: str | None = None
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """One entry under ``datasets``, with its recordings spelt out."""

    name: str
    modality: str
    source: dict[str, Any]
    reader: dict[str, Any]
    recordings: tuple[Entry, ...]
    split: Split
    models: tuple[str, ...]
    sampling_rate_hz: float | None
    time_unit: str
    units: str | None
    label: dict[str, str] | None
    preprocess: dict[str, Any]
    exclude: dict[str, str]
    licence: str | None
    citation: tuple[str, ...]
    raw: dict[str, Any]
    """The effective configuration of the dataset, as plain values."""

    @property
    def n_folds(self) -> int:
        """Number of folds, known before any recording is read."""
        if self.split.by in IN_TIME:
            return self.split.folds or 5
        return self.split.folds or min(5, len(self.groups))

    @property
    def groups(self) -> list[str]:
        """What a fold can leave out, for a split by subject, session or run."""
        known = ({**entry.labels, **entry.entities} for entry in self.recordings)
        return sorted({values.get(self.split.group, "") for values in known})


@dataclass(frozen=True)
class Config:
    """A whole configuration."""

    seeds: tuple[int, ...]
    device: str
    processes: int
    data_dir: Path
    download_dir: Path
    recordings_per_job: int
    datasets: dict[str, Dataset]
    models: dict[str, ModelEntry]

    def model_seeds(self, model: str) -> tuple[int, ...]:
        """Return a model's own seeds, or the common ones."""
        return self.models[model].seeds or self.seeds


def group_of(entry: Entry, by: str) -> str:
    """Return the subject, session, run or family that an entry belongs to when folds are cut."""
    return {**entry.labels, **entry.entities}[by]


def parse(config: Mapping[str, Any], files: Sequence[Path] = ()) -> Config:
    """Return the validated configuration; raises ``ConfigError`` listing every problem at once."""
    parsed, problems = survey(config, files)
    if problems:
        raise ConfigError(in_order(problems))
    return parsed


def survey(config: Mapping[str, Any], files: Sequence[Path] = ()) -> tuple[Config, list[str]]:
    """Return what of a configuration can be read, and every problem.

    Datasets and models with an error of their own against the schema are left out.
    """
    values = copy.deepcopy(dict(config))
    _name_on(values)
    wrong = violations(values, files)
    broken = without_broken(values, wrong)
    data_dir = Path(os.environ.get("RHEOBASE_DATA") or values["data_dir"])
    everything = {**broken["models"], **values["models"]}
    models = {name: _model(name, entry) for name, entry in values["models"].items()}
    wrong += [found for found in check_models(everything) if found[0][1] in models]
    datasets = {}
    for name, raw in values["datasets"].items():
        try:
            dataset = parse_dataset(name, raw, data_dir=data_dir, files=files)
        except ConfigError as error:
            wrong += [(["datasets", name], text) for text in error.problems]
            continue
        found = check_dataset(dataset, everything, data_dir)
        wrong += [(["datasets", name, *keys], text) for keys, text in found]
        datasets[name] = dataset
    parsed = Config(
        seeds=tuple(values["seeds"]),
        device=values["device"],
        processes=values["processes"],
        data_dir=data_dir,
        download_dir=Path(os.environ.get("RHEOBASE_DOWNLOADS") or values["download_dir"]),
        recordings_per_job=values["recordings_per_job"],
        datasets=datasets,
        models=models,
    )
    return parsed, [line(keys, text, files) for keys, text in wrong]


def _name_on(values: dict[str, Any]) -> None:
    """Give the key ``on`` its name back: YAML 1.1 reads the bare word as true."""
    models = values.get("models")
    for entry in models.values() if isinstance(models, dict) else ():
        if isinstance(entry, dict) and True in entry:
            entry["on"] = entry.pop(True)


def _model(name: str, entry: Mapping[str, Any]) -> ModelEntry:
    return ModelEntry(
        name=name,
        family=entry["family"],
        preset=entry.get("preset"),
        params=dict(entry.get("params", {})),
        on=entry.get("on"),
        view=entry.get("view"),
        seeds=tuple(entry.get("seeds", ())),
    )


def parse_dataset(
    name: str, raw: Mapping[str, Any], *, data_dir: Path, files: Sequence[Path] = ()
) -> Dataset:
    """Return one dataset from its validated entry; reads its ``table`` if it has one.

    ``files`` are the config's, beside which a table may lie.
    """
    try:
        raw = _with_table(raw, data_dir, files)
        entries = _entries(raw, data_dir)
    except ValueError as error:
        raise ConfigError([str(error)]) from error
    excluded, names = raw.get("exclude", {}), [entry.name for entry in entries]
    if unknown := sorted(set(excluded) - set(names)):
        raise ConfigError(
            [f"exclude: no recording is called {unknown[0]!r}{suggest(unknown[0], names)}"]
        )
    split = raw["split"]
    tr = raw.get("repetition_time_s")
    preprocess = _preprocess(raw)
    return Dataset(
        name=name,
        modality=raw["modality"],
        source=dict(raw["source"]),
        reader=dict(
            raw.get("reader") or {"format": "npz", "key": "signal", "orientation": "time_first"}
        ),
        recordings=tuple(entry for entry in entries if entry.name not in excluded),
        split=Split(
            split["by"], split.get("folds"), float(split.get("gap_s", 0)), split.get("together")
        ),
        models=tuple(raw["models"]),
        sampling_rate_hz=raw.get("sampling_rate_hz") or (1 / tr if tr else None),
        time_unit=raw["time_unit"],
        units=raw.get("units"),
        label=raw.get("label"),
        preprocess=preprocess,
        exclude=dict(excluded),
        licence=raw.get("licence"),
        citation=tuple(raw.get("citation", ())),
        raw={**raw, "preprocess": preprocess},
    )


def _preprocess(raw: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(raw["preprocess"])
    if raw["modality"] != "series":
        whole = raw["modality"] == "fmri" and raw["split"]["by"] not in IN_TIME
        made.setdefault("standardise", "zscore" if whole else "none")
    form = (raw.get("reader") or {}).get("format")
    if raw["modality"] == "calcium":
        made.setdefault("input", usual_input(raw.get("reader") or {}))
    if raw["modality"] == "fmri":
        made.setdefault("denoise", "simple" if form == "fmriprep" else "none")
        made.setdefault("std_dvars", STD_DVARS if form in IMAGES else None)
    return made


def _with_table(raw: Mapping[str, Any], data_dir: Path, files: Sequence[Path]) -> Mapping[str, Any]:
    """Return the entry with the path at which its table was found, which jobs are told.

    A table of the working folder keeps its name, so that nothing made from it is made again.
    """
    if "table" not in raw:
        return raw
    name = raw["table"].format_map({"data_dir": data_dir})
    try:
        found = find_table(name, files)
    except ValueError as error:
        if raw["source"]["kind"] != "nilearn":
            raise
        raise ValueError(f"{error}; `rheobase table` with this file writes it") from error
    if found == Path(name):
        return raw
    return {**raw, "table": str(found).replace("{", "{{").replace("}", "}}")}


def _entries(raw: Mapping[str, Any], data_dir: Path) -> list[Entry]:
    if ("table" in raw) == ("entities" in raw):
        raise ValueError(
            "give either `entities` or `table`, and not both, to say which recordings there are"
        )
    if "entities" in raw:
        return from_entities(raw["entities"])
    return from_table(Path(raw["table"].format_map({"data_dir": data_dir})))

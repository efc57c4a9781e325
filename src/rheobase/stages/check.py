"""``rheobase check`` and ``rheobase models``: all errors of a config at once, and what can be
named in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rheobase.config import Config, ConfigError, Dataset, read
from rheobase.config.parse import survey
from rheobase.config.schema import in_order, line
from rheobase.models.base import FAMILIES, build, family
from rheobase.stages import plan

NAMED = 3


def checked(path: Path, *, every_file: bool = False) -> Config:
    """Return a config after every check, those of the model families included.

    Missing files are an error with ``every_file``, else only where no dataset has a file: a run
    does what it can, and the jobs that miss one say so. Raises ``ConfigError`` listing every
    problem with file and line.
    """
    config, problems = survey(read(path), [path])
    problems += [*_families(config, path), *_generators(config, path)]
    missing = list(_missing_files(config, path))
    hopeless = sum(not some for some, _ in missing) == len(config.datasets)
    if every_file or hopeless:
        problems += [problem for _, problem in missing]
    if problems:
        raise ConfigError(in_order(problems))
    return config


def _families(config: Config, path: Path) -> Iterator[str]:
    try:
        plan.check_families(config, [path])
    except ConfigError as error:
        yield from error.problems
    for model in config.models.values():
        if model.family not in FAMILIES:
            continue
        try:
            built = build(model.family, preset=model.preset, params=model.params)
        except (ValueError, TypeError) as error:
            yield line(["models", model.name], str(error), [path])
            continue
        for dataset in config.datasets.values():
            if model.name in dataset.models and dataset.modality not in built.modalities:
                text = (
                    f"{model.name!r} ({model.family}) does not take {dataset.modality} recordings"
                )
                yield line(["datasets", dataset.name, "models"], text, [path])
            if model.name in dataset.models and _lacks_label(built, dataset):
                text = (
                    f"{model.name!r} ({model.family}) tells a label, and this dataset has none; "
                    "give it a label or take the model out"
                )
                yield line(["datasets", dataset.name, "models"], text, [path])


def _lacks_label(built: Any, dataset: Dataset) -> bool:
    return getattr(built, "needs_label", False) and not dataset.raw.get("label")


def _missing_files(config: Config, path: Path) -> Iterator[tuple[bool, str]]:
    """Yield whether only some files of a dataset are missing, and the sentence."""
    for dataset in config.datasets.values():
        if dataset.source["kind"] != "path":
            continue
        try:
            files = plan.source_files(config, dataset).values()
        except ValueError:  # a wrong placeholder, which is among the problems already
            continue
        missing = [str(file) for file in files if not file.exists()]
        if missing:
            some = len(missing) < len(dataset.recordings)
            text = f"{len(missing)} of the {len(dataset.recordings)} files do not exist"
            if not some:
                text = f"none of the {len(missing)} files exists"
            more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
            text += f" ({', '.join(missing[:NAMED])}{more}); put them there, correct path"
            keys = ["datasets", dataset.name, "source", "path"]
            yield some, line(keys, f"{text} or name them under exclude", [path])


def _generators(config: Config, path: Path) -> list[str]:
    from rheobase.io.synthetic import rate

    problems = []
    for dataset in config.datasets.values():
        if dataset.source["kind"] == "synthetic":
            try:
                rate(dataset.source)
            except ValueError as error:
                problems.append(
                    line(["datasets", dataset.name, "source", "params"], str(error), [path])
                )
    return problems


def check(path: Path) -> str:
    """Return one line on a config that is right; raises ``ConfigError`` otherwise."""
    config = checked(path, every_file=True)
    recordings = sum(len(dataset.recordings) for dataset in config.datasets.values())
    fits = sum(
        1
        for d in config.datasets.values()
        for model in d.models
        for _ in plan.fits(config, d, model)
    )
    return f"{path}: fine ({len(config.datasets)} datasets, {recordings} recordings, {fits} fits)"


def table() -> str:
    """Return the family table as text: name, modalities, presets, what it does."""
    rows = []
    for name in FAMILIES:
        cls = family(name)
        first = (cls.__doc__ or "").strip().splitlines()[0]
        able, presets = ", ".join(sorted(cls.modalities)), ", ".join(cls.presets)
        rows.append(f"{name:<12} {first}\n{'':<12} recordings: {able}; presets: {presets}")
    return "\n".join(rows)

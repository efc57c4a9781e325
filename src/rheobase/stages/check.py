"""``rheobase check`` and ``rheobase models``: all errors of a config at once, and what can be
named in it.
"""

from __future__ import annotations

from pathlib import Path

from rheobase.config import Config, ConfigError, parse, read
from rheobase.config.schema import line
from rheobase.models.base import FAMILIES, build, family
from rheobase.stages import plan


def checked(path: Path) -> Config:
    """Return a config after every check, those of the model families included.

    Raises ``ConfigError`` listing every problem with file and line.
    """
    config = parse(read(path), [path])
    plan.check_families(config, [path])
    problems = []
    for model in config.models.values():
        try:
            built = build(model.family, preset=model.preset, params=model.params)
        except (ValueError, TypeError) as error:
            problems.append(line(["models", model.name], str(error), [path]))
            continue
        for dataset in config.datasets.values():
            if model.name in dataset.models and dataset.modality not in built.modalities:
                text = (
                    f"{model.name!r} ({model.family}) does not take {dataset.modality} recordings"
                )
                problems.append(line(["datasets", dataset.name, "models"], text, [path]))
    problems += [*_missing_files(config, path), *_generators(config, path)]
    if problems:
        raise ConfigError(problems)
    return config


def _missing_files(config: Config, path: Path) -> list[str]:
    problems = []
    for dataset in config.datasets.values():
        if dataset.source["kind"] != "path":
            continue
        missing = [
            file for file in plan.source_files(config, dataset).values() if not file.exists()
        ]
        if missing and len(missing) == len(dataset.recordings):
            text = f"none of the {len(missing)} files exists; the first is {missing[0]}"
            problems.append(line(["datasets", dataset.name, "source", "path"], text, [path]))
    return problems


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
    config = checked(path)
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

"""Fetch the files of a dataset and turn them into recordings with their quality control."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rheobase import layout
from rheobase.config import Dataset, Entry, parse_dataset
from rheobase.config.entries import fill
from rheobase.io import sources
from rheobase.io.side_files import reader_files, side_files
from rheobase.recording import Recording
from rheobase.stages.checksums import checksum
from rheobase.storage import write_dataset, write_json

CARRIED = ("fd_mean_mm",)
"""Quality measures that models are given with the recording."""
STEP_TOLERANCE_S = 1e-3
HERTZ, SECONDS = "sampling_rate_hz", "repetition_time_s"
log = logging.getLogger(__name__)


def load_spec(text: str) -> tuple[Dataset, dict[str, Any]]:
    """Return the dataset that a job was told about, and the rest of what it was told."""
    spec = json.loads(text)
    dataset = parse_dataset(spec["name"], spec["dataset"], data_dir=Path(spec["data_dir"]))
    return dataset, spec


def fetch(spec: str) -> None:
    """Bring every file of a dataset to its place."""
    dataset, rest = load_spec(spec)
    paths = sources.fetch(
        dataset.source,
        dataset=dataset.name,
        entries=dataset.recordings,
        data_dir=Path(rest["data_dir"]),
        download_dir=Path(rest["download_dir"]),
    )
    log.info("%s: %d files are here", dataset.name, len(paths))


def preprocess(spec: str, names: Sequence[str]) -> None:
    """Write the recordings ``names`` of a dataset and their quality control.

    Every recording is tried; raises ``ValueError`` with one sentence for each that failed.
    """
    dataset, rest = load_spec(spec)
    entries = {entry.name: entry for entry in dataset.recordings}
    problems = []
    for name in names:
        try:
            _one(dataset, entries[name], Path(rest["data_dir"]))
        except (ValueError, OSError) as error:
            log.exception("%s failed", name)
            path = sources.recording_file(dataset, entries[name], Path(rest["data_dir"]))
            problems.append(_with_file(str(error), name, path))
    if problems:
        raise ValueError("\n".join(problems))


def _with_file(problem: str, name: str, path: Path) -> str:
    """Return a sentence that names a recording and its file, whatever it named before."""
    if str(path) in problem:
        return problem if name in problem else f"{name}: {problem}"
    return f"{name}: {problem.removeprefix(f'{name}: ')} (read from {path})"


def _one(dataset: Dataset, entry: Entry, data_dir: Path) -> None:
    from rheobase.io.events import with_events
    from rheobase.io.readers import read
    from rheobase.preprocess.clean import clean

    path = sources.recording_file(dataset, entry, data_dir)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; correct source.path or put the file there")
    reader = _reader(dataset, path)
    files = _existing(reader_files(dataset, entry, data_dir))
    raw = read(
        path,
        reader=reader,
        files=files,
        preprocess=_with_atlas(dataset.preprocess, entry, data_dir),
    )
    rate = agreed_rate(raw.rate_hz, _configured_rate(dataset), path, key=_rate_key(dataset))
    if why := placeholder_rate(raw.rate_hz, dataset):
        raw = replace(raw, notes=(*raw.notes, why))
    if "events" in files:
        raw = with_events(raw, files["events"], dataset.reader["events"], rate=rate)
    cleaned = clean(
        raw,
        modality=dataset.modality,
        rate=rate,
        time_unit=dataset.time_unit,
        units=dataset.units,
        options=dataset.preprocess,
        name=entry.name,
    )
    measured = cleaned.qc["metrics"]
    recording = Recording.build(
        cleaned.signal,
        name=entry.name,
        modality=dataset.modality,
        sampling_rate_hz=cleaned.rate or rate,
        units=cleaned.units,
        unit_names=cleaned.names,
        valid=cleaned.valid,
        times=cleaned.times,
        unit_labels=cleaned.unit_labels,
        entities=entry.entities,
        labels=_labels(dataset, entry),
        label=dataset.label,
        quality={k: float(v) for k in CARRIED if (v := measured.get(k)) is not None},
        time_unit=dataset.time_unit,
        source=path.name,
        source_sha256=checksum(path),
        steps=[*raw.steps, *cleaned.steps],
    )
    _check_label(recording)
    recording = _with_checksums(recording, side_files(dataset, entry, data_dir))
    recording.save(layout.recording_path(dataset.name, entry.name))
    write_json(_jsonable(cleaned.qc), layout.qc_path(dataset.name, entry.name))
    if cleaned.pictures is not None:
        write_dataset(cleaned.pictures, layout.pictures_path(dataset.name, entry.name))
    freedom = cleaned.qc["metrics"].get("degrees_of_freedom")
    left = "" if freedom is None else f", {freedom} degrees of freedom"
    log.info("%s: %s samples x units%s", entry.name, recording.signal.shape, left)


def _reader(dataset: Dataset, path: Path) -> dict[str, Any]:
    reader = dict(dataset.reader)
    if dataset.source["kind"] == "synthetic":
        with np.load(path, allow_pickle=False) as file:
            there = set(file.files)
        keys = {
            "names_key": "names",
            "label_key": "label",
            "block_key": "block",
            "trial_key": "trial",
        }
        reader.update({key: name for key, name in keys.items() if name in there})
        reader.update({"unit_keys": {"network": "network"}} if "network" in there else {})
    if dataset.label:
        reader["label_name"] = dataset.label["name"]
    return reader


def _configured_rate(dataset: Dataset) -> float | None:
    if dataset.source["kind"] == "synthetic" and dataset.sampling_rate_hz is None:
        from rheobase.io.synthetic import rate

        return rate(dataset.source)
    return dataset.sampling_rate_hz


def _existing(files: dict[str, Path]) -> dict[str, Path]:
    for key, path in files.items():
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} does not exist; correct reader.{key} or put the file there"
            )
    return files


def _with_atlas(options: Mapping[str, Any], entry: Entry, data_dir: Path) -> dict[str, Any]:
    atlas = options.get("atlas")
    if not isinstance(atlas, Mapping):
        return dict(options)
    filled = {k: fill(v, entry, data_dir) if isinstance(v, str) else v for k, v in atlas.items()}
    return {**options, "atlas": filled}


def _rate_key(dataset: Dataset) -> str:
    """Return the config key in which the rate of a dataset is, or is best, said."""
    known = [key for key in (HERTZ, SECONDS) if key in dataset.raw]
    return known[0] if known else SECONDS if dataset.modality == "fmri" else HERTZ


def placeholder_rate(carried: float | None, dataset: Dataset) -> str | None:
    """Return a caution for a NIfTI header of exactly 1 s a volume that the config does not confirm.

    Programs that lose the repetition time write 1 there.
    """
    if dataset.reader.get("format") != "nifti" or dataset.sampling_rate_hz or carried != 1.0:
        return None
    return (
        "the header says exactly 1 s a volume, which programs write that do not know it; give "
        f"{SECONDS}, to confirm or correct it"
    )


def agreed_rate(
    carried: float | None, configured: float | None, path: Path, *, key: str = HERTZ
) -> float:
    """Return the sampling rate in hertz; raises ``ValueError`` where file and config disagree.

    An error speaks in the words of ``key``, sampling_rate_hz or repetition_time_s.
    """
    if carried is None and configured is None:
        raise ValueError(f"{path} carries no sampling rate; give {key} in the config")
    if carried and configured:
        apart = abs(1 / carried - 1 / configured)
        if apart > min(STEP_TOLERANCE_S, 0.01 / configured):
            raise ValueError(
                f"{path} says {_rate_text(carried, key)} and the config says "
                f"{_rate_text(configured, key)}; correct or remove {key}"
            )
    return float(configured or carried or 0)


def _rate_text(rate: float, key: str) -> str:
    return f"{1 / rate:.6g} s a volume" if key == SECONDS else f"{rate:g} Hz"


def _labels(dataset: Dataset, entry: Entry) -> dict[str, str | float]:
    labels: dict[str, str | float] = dict(entry.labels)
    name = (dataset.label or {}).get("name")
    if (
        dataset.label
        and dataset.label["kind"] == "value"
        and name in {**entry.labels, **entry.entities}
    ):
        text = {**entry.labels, **entry.entities}[name]
        try:
            labels[name] = float(text)
        except ValueError as error:
            raise ValueError(
                f"{entry.name}: label {name} is {text!r}, which is no number (kind: value)"
            ) from error
    return labels


def _check_label(recording: Recording) -> None:
    name = recording.label_name
    known = {*map(str, recording.data.data_vars), *recording.entities, *recording.labels}
    if name is not None and name not in known:
        there = sorted(known - {"signal", "valid"})
        raise ValueError(
            f"{recording.name}: there is no label {name!r}; there are {', '.join(there) or 'none'}"
        )


def _with_checksums(recording: Recording, files: Mapping[str, Path]) -> Recording:
    """Return a recording that names the files it was read with besides its own, with SHA-256."""
    told = {key: {"file": p.name, "sha256": checksum(p)} for key, p in files.items()}
    return Recording(recording.data.assign_attrs(side_files=json.dumps(told, sort_keys=True)))


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(v) for v in value]
    if isinstance(value, np.ndarray):
        return _jsonable(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value

"""Make the folds of a dataset once, and load the parts of a fold for everyone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rheobase import layout, splits
from rheobase.config import Dataset
from rheobase.config.parse import group_of
from rheobase.recording import Recording
from rheobase.splits import Fold
from rheobase.stages.prepare import load_spec
from rheobase.storage import read_json, write_json

STRETCH_S = 1.0
LEAST_STRETCHES = 20


def split(spec: str) -> None:
    """Write ``splits.json``: the folds, and the units that all recordings share."""
    dataset, _ = load_spec(spec)
    units, dropped = common_units(dataset)
    recordings = {e.name: Recording.load(layout.recording_path(dataset.name, e.name)) for e in dataset.recordings}
    folds = make_folds(dataset, recordings)
    amplitude = {name: _amplitude(r.select(units) if units else r) for name, r in recordings.items()}
    shifted = [_with_shift(fold, recordings, amplitude) for fold in folds]
    content = splits.to_json(dataset.split.by, dataset.split.gap_s, shifted)
    write_json({**content, "units": units, "units_dropped": dropped}, layout.splits_path(dataset.name))


def common_units(dataset: Dataset) -> tuple[list[str] | None, dict[str, str]]:
    """Return the units kept in every recording, and those dropped with the reason.

    None where recordings hold different cells (calcium of several animals). Raises ``ValueError`` naming
    two recordings that were measured with different regions or channels.
    """
    first, everything, reasons = "", [], {}
    for entry in dataset.recordings:
        rows = read_json(layout.qc_path(dataset.name, entry.name))["units"]
        names = [row["name"] for row in rows]
        if not first:
            first, everything = entry.name, names
        elif names != everything:
            if dataset.modality == "calcium":
                return None, {}
            odd = next((a, b) for a, b in _longest(everything, names) if a != b)
            raise ValueError(
                f"{first} and {entry.name} were measured with different units ({len(everything)} and {len(names)}; "
                f"the first difference is {odd[0]!r} against {odd[1]!r}); give them to separate datasets"
            )
        for row in rows:
            if row.get("excluded"):
                reasons.setdefault(row["name"], f"{entry.name}: {row['excluded']}")
    kept = [name for name in everything if name not in reasons]
    if len(kept) < 2:
        raise ValueError(f"{dataset.name}: only {len(kept)} units are good in every recording; see qc/*.json")
    return kept, reasons


def _longest(a: Sequence[str], b: Sequence[str]) -> list[tuple[str, str]]:
    n = max(len(a), len(b))
    return list(zip([*a, *[""] * (n - len(a))], [*b, *[""] * (n - len(b))], strict=True))


def make_folds(dataset: Dataset, recordings: Mapping[str, Recording]) -> list[Fold]:
    """Return the dataset's folds."""
    by, n_folds = dataset.split.by, dataset.n_folds
    if by == "time":
        rate = next(iter(recordings.values())).rate
        lengths = {name: r.signal.shape[0] for name, r in recordings.items()}
        return splits.by_time(lengths, n_folds, round(dataset.split.gap_s * rate))
    if by == "trial":
        return splits.by_trial({name: _trials(r) for name, r in recordings.items()}, n_folds)
    groups = {entry.name: group_of(entry, by) for entry in dataset.recordings}
    return splits.by_group(groups, n_folds, _strata(recordings))


def _trials(recording: Recording) -> np.ndarray:
    for key in ("trial", "block"):
        if key in recording.data:
            return recording.data[key].values
    raise ValueError(f"{recording.name} has no trial numbers; set reader.trial_key or split by something else")


def _strata(recordings: Mapping[str, Recording]) -> dict[str, str] | None:
    labels = {name: r.label for name, r in recordings.items() if r.label_kind == "class"}
    return {n: str(v) for n, v in labels.items() if np.ndim(v) == 0} if labels else None  # type: ignore[arg-type]


def _amplitude(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Return (start samples, log RMS) of stretches of about a second, (stretch, unit)."""
    n = len(recording.valid)
    width = max(1, min(round(STRETCH_S * recording.rate), n // LEAST_STRETCHES))
    starts = np.arange(0, n - width + 1, width)
    blocks = recording.signal[: len(starts) * width].reshape(len(starts), width, -1)
    return starts, np.log(np.sqrt((blocks.astype(np.float64) ** 2).mean(axis=1)) + 1e-12)


def _with_shift(fold: Fold, recordings: Mapping[str, Recording], amplitude: Mapping[str, Any]) -> Fold:
    """Add how far the fold's test part lies from its training part, within each class of the label."""
    sides: dict[str, dict[str, list[np.ndarray]]] = {"train": {}, "test": {}}
    for side, wanted in (("train", fold.train), ("test", fold.test)):
        for part in wanted:
            starts, rows = amplitude[part.recording]
            inside = (starts >= (part.start or 0)) & (starts < (part.stop or np.inf))
            label = recordings[part.recording].label
            key = str(label) if isinstance(label, str) else ""
            sides[side].setdefault(key, []).append(rows[inside])
    both = sorted(set(sides["train"]) & set(sides["test"]))
    found = [
        splits.shift(np.concatenate(sides["train"][key]), np.concatenate(sides["test"][key])) for key in both
    ]
    if not found:
        return fold
    value = float(np.median([one["value"] for one in found]))
    limit = splits.SHIFT_LIMIT
    text = (
        f"the amplitudes of the test part lie {value:.1f} training spreads away (limit {limit:g}): "
        "the test part was recorded under other conditions"
    )
    flag = value > limit
    shift = {"value": value, "limit": limit, "flag": flag, "text": text if flag else ""}
    return Fold(fold.fold, fold.train, fold.test, shift)


def load_parts(dataset: Dataset, content: Mapping[str, Any], fold: int, side: str) -> list[Recording]:
    """Return the ``train`` or ``test`` recordings of a fold, cut and with the shared units only."""
    units = content["units"]
    loaded: dict[str, Recording] = {}
    made = []
    for part in splits.parts(content, fold, side):
        if part.recording not in loaded:
            whole = Recording.load(layout.recording_path(dataset.name, part.recording))
            loaded = {part.recording: whole.select(units) if units else whole}
        recording = loaded[part.recording]
        made.append(recording if part.start is None else recording.segment(part.start, part.stop))
    return made

"""Make the folds of a dataset once, and load the parts of a fold for everyone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rheobase import layout, splits
from rheobase.config import Dataset
from rheobase.config.parse import IN_TIME, group_of
from rheobase.recording import Recording
from rheobase.splits import Fold
from rheobase.stages.prepare import load_spec
from rheobase.stages.runs import check_coverage, check_twins
from rheobase.storage import CHECKSUM, read_json, write_json

STRETCH_S = 1.0
LEAST_STRETCHES = 20
LEAST_UNITS = 2


@dataclass(frozen=True)
class Facts:
    """What cutting folds needs of a recording, so that one recording at a time is in memory."""

    length: int
    rate: float
    label: str | None
    """The class of the whole recording; None where it has none or it changes over time."""
    trials: np.ndarray | None
    classes: dict[int, frozenset[str]]
    """The classes of each trial; empty where no class is to be decoded."""
    checksum: str
    source: str
    """SHA-256 of the file that it was read from."""
    starts: np.ndarray
    log_rms: np.ndarray
    """Log amplitude of stretches of about a second, (stretch, unit), from ``starts``."""


def split(spec: str) -> None:
    """Write ``splits.json``: the folds, the units that all recordings share, their checksums."""
    dataset, _ = load_spec(spec)
    units, dropped = common_units(dataset)
    facts = {entry.name: _facts(dataset, entry.name, units) for entry in dataset.recordings}
    if dataset.modality == "fmri":
        check_twins(dataset.name, {name: fact.source for name, fact in facts.items()})
    folds = [_with_shift(fold, facts) for fold in make_folds(dataset, facts)]
    content = splits.to_json(dataset.split.by, dataset.split.gap_s, folds)
    checksums = {name: fact.checksum for name, fact in facts.items()}
    extra: dict[str, Any] = {"units": units, "units_dropped": dropped, "recordings": checksums}
    if dataset.split.together:
        extra["together"] = dataset.split.together
    write_json({**content, **extra}, layout.splits_path(dataset.name))


def _facts(dataset: Dataset, name: str, units: list[str] | None) -> Facts:
    recording = Recording.load(layout.recording_path(dataset.name, name))
    label = recording.label if recording.label_kind == "class" else None
    starts, log_rms = _amplitude(recording.select(units) if units else recording)
    trials = recording.data["trial"].values if "trial" in recording.data else None
    if trials is None and "block" in recording.data:
        trials = recording.data["block"].values + 1  # every block counts; trial 0 means none
    return Facts(
        length=len(recording.valid),
        rate=recording.rate,
        label=str(label) if isinstance(label, str | float) else None,
        trials=trials,
        classes={} if trials is None else _classes(recording, trials),
        checksum=recording.data.attrs[CHECKSUM],
        source=str(recording.data.attrs["source_sha256"]),
        starts=starts,
        log_rms=log_rms,
    )


def _classes(recording: Recording, trials: np.ndarray) -> dict[int, frozenset[str]]:
    """Return the classes of each trial: its most frequent label, and every other that covers at
    least half of an even share of it (a repetition of many gestures has many).
    """
    if recording.label_kind != "class":
        return {}
    labels = np.asarray(recording.label)
    found = {}
    for number in np.unique(trials[trials != 0]):
        inside = recording.valid & (trials == number)
        own = labels[inside] if labels.ndim else labels.reshape(1)
        names, counts = np.unique(own.astype(str), return_counts=True)
        main = counts * len(names) * 2 >= counts.sum()
        found[int(number)] = frozenset(names[main].tolist()) - {"", "nan"}
    return found


def common_units(dataset: Dataset) -> tuple[list[str] | None, dict[str, str]]:
    """Return the units kept in every recording, and those dropped with the reason.

    None where recordings hold different cells (calcium of several animals). Raises ``ValueError``
    naming two recordings that were measured with different regions or channels.
    """
    first, everything, reasons = "", [], {}
    lost: dict[str, list[str]] = {}
    for entry in dataset.recordings:
        rows = read_json(layout.qc_path(dataset.name, entry.name))["units"]
        names = [row["name"] for row in rows]
        if not first:
            first, everything = entry.name, names
        elif names != everything:
            if dataset.modality == "calcium":
                return None, {}
            raise ValueError(f"{dataset.name}: {_different(first, everything, entry.name, names)}")
        for row in rows:
            if row.get("excluded"):
                reasons.setdefault(row["name"], f"{entry.name}: {row['excluded']}")
                lost.setdefault(entry.name, []).append(f"{row['name']}: {row['excluded']}")
    if dataset.modality == "fmri":
        regions = {name: {row.partition(": ")[0] for row in rows} for name, rows in lost.items()}
        check_coverage(dataset.name, regions, len(dataset.recordings))
    kept = [name for name in everything if name not in reasons]
    if len(kept) < LEAST_UNITS:
        raise ValueError(_too_few(dataset.name, len(kept), len(everything), lost))
    return kept, reasons


def _too_few(dataset: str, kept: int, count: int, lost: Mapping[str, Sequence[str]]) -> str:
    """Return which recording loses most units, why, and what to do."""
    said = (
        f"{dataset}: {kept} of {count} units can be used in every recording, and {LEAST_UNITS} "
        "are needed; "
    )
    if not lost:
        return f"{said}record more, or choose more in the reader"
    worst = max(lost, key=lambda name: len(lost[name]))
    return (
        f"{said}{worst} alone loses {len(lost[worst])} ({lost[worst][0]}); leave recordings out "
        f"with exclude or loosen preprocess; {layout.qc_path(dataset, worst)} lists them all"
    )


def _different(first: str, ours: Sequence[str], second: str, theirs: Sequence[str]) -> str:
    """Return how the units of two recordings differ, and what to do."""
    said = f"{first} and {second} were measured with different units ({len(ours)} and "
    said += f"{len(theirs)}; "
    odd = [(a, b) for a, b in zip(ours, theirs, strict=False) if a != b]
    if odd:
        said += f"the first difference is {odd[0][0]!r} against {odd[0][1]!r}"
    else:
        more = first if len(ours) > len(theirs) else second
        last = max(ours, theirs, key=len)[min(len(ours), len(theirs))]
        said += f"{more} has {last!r} and more besides"
    return f"{said}); give them to separate datasets, or choose the same units in the reader"


def make_folds(dataset: Dataset, facts: Mapping[str, Facts]) -> list[Fold]:
    """Return the dataset's folds."""
    by, n_folds = dataset.split.by, dataset.n_folds
    if by == "time":
        rate = next(iter(facts.values())).rate
        lengths = {name: fact.length for name, fact in facts.items()}
        return splits.by_time(lengths, n_folds, round(dataset.split.gap_s * rate))
    if by == "trial":
        trials = {name: _trials(name, fact) for name, fact in facts.items()}
        classes = {name: fact.classes for name, fact in facts.items()}
        return splits.by_trial(trials, n_folds, classes)
    groups = {entry.name: group_of(entry, dataset.split.group) for entry in dataset.recordings}
    return splits.by_group(
        groups, n_folds, {name: fact.label or "" for name, fact in facts.items()}
    )


def _trials(name: str, fact: Facts) -> np.ndarray:
    if fact.trials is None:
        raise ValueError(
            f"{name} has no trial numbers; set reader.trial_key or split by something else"
        )
    return fact.trials


def _amplitude(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Return (start samples, log RMS) of stretches of about a second, (stretch, unit)."""
    n = len(recording.valid)
    width = max(1, min(round(STRETCH_S * recording.rate), n // LEAST_STRETCHES))
    starts = np.arange(0, n - width + 1, width)
    blocks = recording.signal[: len(starts) * width].reshape(len(starts), width, -1)
    return starts, np.log(np.sqrt((blocks.astype(np.float64) ** 2).mean(axis=1)) + 1e-12)


def _with_shift(fold: Fold, facts: Mapping[str, Facts]) -> Fold:
    """Add how far the fold's test part lies from its training part, within each class of the
    label.
    """
    sides: dict[str, dict[str, list[np.ndarray]]] = {"train": {}, "test": {}}
    for side, wanted in (("train", fold.train), ("test", fold.test)):
        for part in wanted:
            fact = facts[part.recording]
            inside = (fact.starts >= (part.start or 0)) & (fact.starts < (part.stop or np.inf))
            sides[side].setdefault(fact.label or "", []).append(fact.log_rms[inside])
    both = sorted(set(sides["train"]) & set(sides["test"]))
    rows = [
        (np.concatenate(sides["train"][key]), np.concatenate(sides["test"][key])) for key in both
    ]
    found = [splits.shift(train, test)["value"] for train, test in rows if len(train) and len(test)]
    if not found:
        return fold
    value, limit = float(np.median(found)), splits.SHIFT_LIMIT
    text = (
        f"the amplitudes of the test part lie {value:.1f} training spreads away (limit {limit:g}): "
        "the test part was recorded under other conditions"
    )
    flag = value > limit
    return replace(
        fold, shift={"value": value, "limit": limit, "flag": flag, "text": text if flag else ""}
    )


def load_parts(
    dataset: Dataset,
    content: Mapping[str, Any],
    fold: int,
    side: str,
    *,
    own_units: bool = False,
) -> list[Recording]:
    """Return the ``train`` or ``test`` recordings of a fold, cut and with the shared units only.

    With ``own_units`` each keeps all the units that are good in itself.
    Raises ``ValueError`` where the fold would be tested on what it learns from.
    """
    by = dataset.split.group if dataset.split.by == content["by"] else content["by"]
    groups = {} if by in IN_TIME else {e.name: group_of(e, by) for e in dataset.recordings}
    splits.refuse_leak({**content, "by": by}, fold, groups)
    units = None if own_units else content["units"]
    loaded: dict[str, Recording] = {}
    made = []
    for part in splits.parts(content, fold, side):
        if part.recording not in loaded:
            whole = Recording.load(layout.recording_path(dataset.name, part.recording))
            loaded = {part.recording: whole.select(units) if units else whole}
        recording = loaded[part.recording]
        made.append(recording if part.start is None else recording.segment(part.start, part.stop))
    return made

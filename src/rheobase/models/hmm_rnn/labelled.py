"""States beside a label: the adjusted Rand index, its chance by exchanging whole stretches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rheobase.models.decoding.examples import (
    Examples,
    NotDecodableError,
    exchangeable,
    label_runs,
    strata,
)

if TYPE_CHECKING:
    from rheobase.models.hmm_rnn import HMMRNN
    from rheobase.models.hmm_rnn.output import Seen


@dataclass(frozen=True, eq=False)
class Labelled:
    """The labelled samples of a series."""

    at: np.ndarray
    """Which samples of the states' series, (example,)"""
    examples: Examples
    """Without features"""

    @property
    def classes(self) -> np.ndarray:
        return np.unique(self.examples.y)


def labelled(model: HMMRNN, seen: Seen) -> Labelled:
    """Return the samples with a label; raises ``NotDecodableError`` saying why there are none.

    The label of a sample is that of ``label_delay_s`` earlier. After a switch of a label over time
    ``trim_s`` are left out (EMG).
    """
    first = seen.series.segments[0]
    if first.label_kind == "value":
        raise NotDecodableError(f"the label {first.label_name!r} is a value, not a class")
    delay = round(model.label_delay_s * first.rate)
    parts = []
    for one, piece in zip(seen.series.segments, seen.series.pieces, strict=True):
        label, run, within = label_runs(one)
        length = piece.stop - piece.start
        at = piece.start + np.maximum(np.arange(length) - delay, 0)
        usable = (label[at] != "") & ~np.isin(label[at], model.ignore_labels)
        usable &= np.arange(length) >= delay
        if within and first.modality == "emg":
            usable &= since(run[piece]) >= round(model.trim_s * first.rate)
        unit = f"{one.name} {float(one.time[0]):g}"
        parts.append((label[at], usable, np.full(length, one.subject), np.full(length, one.name),
                      np.array([f"{unit} {r}" for r in run[at]]),
                      np.full(length, within)))  # fmt: skip
    label, usable, subject, name, unit, within = (
        np.concatenate(column)[seen.inside] for column in zip(*parts, strict=True)
    )
    at = np.flatnonzero(usable)
    if not len(at) or len(np.unique(label[at])) < 2:
        raise NotDecodableError(f"the test part holds no two classes of {first.label_name!r}")
    examples = Examples(np.zeros((len(at), 0)), label[at], subject[at], name[at], unit[at],
                        bool(within.any()), at)  # fmt: skip
    return Labelled(at, exchangeable(examples))


def since(run: np.ndarray) -> np.ndarray:
    """Return the samples since the last switch within a piece; large before the first, (time,)."""
    switches = np.flatnonzero(np.diff(run)) + 1
    last = np.searchsorted(switches, np.arange(len(run)), side="right")
    before = np.concatenate([[-(10**9)], switches])
    return np.arange(len(run)) - before[last]


def rand(counts: np.ndarray) -> float:
    """Return the adjusted Rand index of a table of counts (class, state) (Hubert and Arabie)."""

    def pairs(n: np.ndarray) -> float:
        return float((n * (n - 1) / 2).sum())

    total = float(counts.sum())
    rows, columns = pairs(counts.sum(axis=1)), pairs(counts.sum(axis=0))
    expected = rows * columns / max(total * (total - 1) / 2, 1)
    most = (rows + columns) / 2
    return (pairs(counts) - expected) / (most - expected) if most > expected else 0.0


def table(found: Labelled, groups: np.ndarray, count: int) -> np.ndarray:
    """Return how often each class meets each group, (class, group), of groups (sample,)."""
    _, code = np.unique(found.examples.y, return_inverse=True)
    width = len(found.classes)
    flat = np.bincount(code * count + groups[found.at], minlength=width * count)
    return flat.reshape(width, count).astype(float)


def null(
    found: Labelled, groups: np.ndarray, count: int, *, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the index with labels exchanged between whole stretches, (draw,).

    Stretches are people, recordings or runs of one label, exchanged within ``strata``. Empty where
    no exchange changes anything.
    """
    one = found.examples
    names, first, code = np.unique(one.unit, return_index=True, return_inverse=True)
    _, label = np.unique(one.y[first], return_inverse=True)
    held = np.zeros((len(names), count))
    np.add.at(held, (code, groups[found.at]), 1)
    stratum = strata(one)[first]
    members = [np.flatnonzero(stratum == name) for name in np.unique(stratum)]
    if all(len(np.unique(label[own])) < 2 for own in members):
        return np.zeros(0)
    values = np.empty(draws)
    for draw in range(draws):
        drawn = label.copy()
        for own in members:
            drawn[own] = rng.permutation(label[own])
        counts = np.zeros((int(label.max()) + 1, count))
        np.add.at(counts, drawn, held)
        values[draw] = rand(counts)
    return values

"""Whether the component that followed an event in the training part does so in the test part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rheobase.models.base import Score
from rheobase.models.connectome.artefacts import Learnt
from rheobase.models.connectome.courses import Placed
from rheobase.models.connectome.locking import area_under_curve, epoch_locking

if TYPE_CHECKING:
    from rheobase.recording import Recording


def best_components(learnt: Learnt) -> dict[str, int]:
    """Return the component with the largest training AUC of every event; empty without events."""
    if "locking_auc" not in learnt.arrays:
        return {}
    auc = learnt.arrays["locking_auc"].values
    names = learnt.arrays["event"].values.astype(str)
    return {
        name: int(np.nanargmax(column)) for name, column in zip(names, auc.T, strict=True)
        if np.isfinite(column).any()
    }  # fmt: skip


def best_units(learnt: Learnt) -> dict[str, int]:
    """Return the neuron whose drive told each event best in the training part."""
    drive = np.abs(learnt.arrays["drive"].values)
    events = learnt.arrays["bin_event"].values.astype(str)
    seen = learnt.arrays["observed"].values
    presence = learnt.arrays["presence"].values
    found = {}
    for name in best_components(learnt):
        scores = [
            _over_animals(one, present, seen, events == name)
            for one, present in zip(drive, presence, strict=True)
        ]
        found[name] = int(np.nanargmax(np.nan_to_num(scores, nan=-1)))
    return found


def _over_animals(
    drive: np.ndarray, present: np.ndarray, seen: np.ndarray, inside: np.ndarray
) -> float:
    values = [
        area_under_curve(course[bins], inside[bins])
        for course, here, bins in zip(drive, present, seen, strict=True) if here
    ]  # fmt: skip
    values = [v for v in values if np.isfinite(v)]
    return float(np.mean(values)) if values else float("nan")


def score(
    learnt: Learnt, test: Sequence[Recording], there: Sequence[Placed], own: dict[str, np.ndarray]
) -> Score | None:
    """Return how well components tell events from the rest, mean over events and recordings.

    Component and neuron of each event are those of the training part. None where no event of the
    training part occurs in the test part.
    """
    ours, theirs = best_components(learnt), best_units(learnt)
    rows: list[tuple[float, float, float]] = []
    tested = []
    for one in there:
        events = one.arrangement.plan.events
        drive = np.abs(one.arrangement.signed[:, 0])
        names = [n for n in ours if (events == n).any() and (events != n).any()]
        for name in names:
            inside = events == name
            unit = np.flatnonzero(one.chosen.numpy() == theirs[name])
            single = area_under_curve(drive[unit[0]], inside) if len(unit) else 0.5
            rows.append((
                area_under_curve(own[one.frames.name][ours[name]], inside), single,
                area_under_curve(drive.mean(axis=0), inside),
            ))  # fmt: skip
        if names:
            tested.append(_locked(learnt, one, own, names, ours))
    if not rows:
        return None
    mean = np.mean(rows, axis=0)
    held, asked = sum(a for a, _ in tested), sum(b for _, b in tested)
    note = (
        f"{len(ours)} events; on the test part {held} of {asked} pairs of event and recording are "
        "locked (q < 0.05 after circular shifts)"
    )
    return Score("event_auc", float(mean[0]), {"best_neuron": float(mean[1]),
                 "mean_drive": float(mean[2])}, chance=0.5, note=note,
                 title="AUC of events by their component", question="events")  # fmt: skip


def _locked(
    learnt: Learnt, one: Placed, own: dict[str, np.ndarray], names: Sequence[str],
    ours: dict[str, int],
) -> tuple[int, int]:  # fmt: skip
    """Return how many of these events are locked to their component here, and of how many."""
    events = one.arrangement.plan.events
    inside = np.stack([events == name for name in names])
    made = epoch_locking(own[one.frames.name], inside, seed=learnt.seed)
    q = [made.q[ours[name], i] for i, name in enumerate(names)]
    return int(np.sum(np.array(q) < 0.05)), len(names)

"""One fit: drive, tensor, factorisations of every rank, choice, null, communities, rivals."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rheobase.models import units
from rheobase.models.base import Fitted
from rheobase.models.connectome import align, arrange, artefacts, labels, rivals, tested
from rheobase.models.connectome.affinities import Affinities
from rheobase.models.connectome.check import check, constant
from rheobase.models.connectome.courses import courses, placed, whole_courses
from rheobase.models.connectome.factors import participation_ratio
from rheobase.models.connectome.groups import groups_of
from rheobase.models.connectome.memory import Memory
from rheobase.models.connectome.ranks import HOLDOUT, Choice, RankRow, choose_rank, rank_row
from rheobase.models.connectome.restarts import Fit, fit
from rheobase.models.connectome.sbm_backends import require

if TYPE_CHECKING:
    from rheobase.models.connectome import Connectome
    from rheobase.recording import Recording

NOT_DECODED = "the label is not decoded: "
FEW_UNITS = 20
"""Units below which scores on hidden pairs are said to be rough; chosen here."""


def fit_training(
    model: Connectome, train: Sequence[Recording], *, seed: int, device: str, keep: Path | None
) -> Fitted:  # fmt: skip
    """Return everything that is learnt from the training part; ``keep`` is the checkpoint."""
    memory = Memory(keep, device)
    require(model.communities.backend)
    check(train, part="training", same_cells=model.same_cells)
    frames = arrange.frames_for(model, train)
    how = align.chosen(model.alignment, frames, allow_misaligned=model.allow_misaligned)
    bin_s = arrange.settings_of(model, train[0].rate).dt_s
    made = arrange.without_empty(
        arrange.arranged(frames, arrange.plan_of(model, frames, how), bin_s=bin_s)
    )
    tensor = arrange.tensor_of(model, made, device)
    notices = _first_notices(train, made)
    fits, rows, skipped = all_ranks(model, tensor, made, memory, seed=seed)
    choice = choose_rank(rows)
    best = fits[choice.rank].best
    notices += _choice_notices(rows, choice, skipped)
    weights, p, null = tested.significance(
        model, tensor, best.factors, frames, made, memory=memory, seed=seed, device=device
    )
    names, locking = tested.locked(best.factors.times, made.plan, seed=seed)
    groups = groups_of(model, best.factors.patterns, seed=seed)
    variables, coordinates = artefacts.of_fit(
        made, [f.name for f in frames], fits, rows, choice, seed=seed
    )
    variables |= artefacts.of_tests(weights, p, null, names, locking)
    variables |= artefacts.of_groups(groups)
    variables["participation"] = "component", participation_ratio(best.factors.animals)
    more = _rivals(model, train, tensor, made, choice.rank, seed=seed)
    more |= _labels(model, train, frames, best.factors.patterns, made, notices)
    variables |= {k: v for k, v in more.items() if k != "coordinates"}
    coordinates |= {**more["coordinates"], **units.of_units(train, made.units)}
    if names:
        coordinates["event"] = np.array(names, str)
    scalars = {"rank": float(choice.rank), "explained": best.explained,
               "significant": float((p < 0.05).sum()) if len(null) else float("nan")}  # fmt: skip
    history = {f"error_rank_{r}": list(one.best.errors) for r, one in fits.items()}
    return Fitted(
        artefacts.dataset(variables, coordinates), metrics=scalars, history=history,
        notices=tuple(notices),
    )  # fmt: skip


def all_ranks(
    model: Connectome, tensor: Affinities, made: arrange.Arrangement, memory: Memory, *, seed: int
) -> tuple[dict[int, Fit], list[RankRow], list[int]]:
    """Return fit and row of every rank, and the ranks that are too many for this tensor."""
    most = min(tensor.layout.pairs, tensor.layout.columns)
    able = [r for r in sorted(model.ntf.ranks) if r <= most]
    if not able:
        raise ValueError(
            f"connectome: ntf.ranks begins at {min(model.ntf.ranks)}, but {tensor.layout.pairs} "
            f"pairs and {tensor.layout.columns} bins allow at most {most}"
        )
    joints = torch.from_numpy(made.joints).to(tensor.device, tensor.dtype)
    settings, folds = model.ntf.steps(), model.ntf.holdout_folds

    def one(rank: int) -> tuple[Fit, RankRow]:
        found = fit(tensor, rank=rank, seed=seed, restarts=model.ntf.starts(), settings=settings,
                    joints=joints, backend=model.ntf.backend)  # fmt: skip
        row = rank_row(tensor, found, seed=seed, folds=folds, settings=settings, restarts=HOLDOUT)
        return found, row

    both = {r: memory.rank(r, partial(one, r)) for r in able}
    fits, rows = {r: found for r, (found, _) in both.items()}, [row for _, row in both.values()]
    return fits, rows, [r for r in model.ntf.ranks if r > most]


def _first_notices(train: Sequence[Recording], made: arrange.Arrangement) -> list[str]:
    said = ["a component is co-variation: what changes together need not be connected, and neither "
            "pairs nor their order say what causes what"]  # fmt: skip
    if still := constant(train):
        said.append(f"never move in the training part: {', '.join(still[:5])}")
    if len(made.units) < FEW_UNITS:
        said.append(
            f"{len(made.units)} units are few: their pairs inside half of them say little of how "
            f"strong a component is there, so scores on hidden pairs are rough (fewer than "
            f"{FEW_UNITS})"
        )
    if len(made.plan.animals) > 1:
        absent = int((~made.presence).sum())
        total = made.presence.size
        if absent:
            said.append(
                f"{absent} of {total} neurons of animals were not recorded; they are left out of "
                "the sums, not filled in"
            )
        both = made.presence.astype(int) @ made.presence.T.astype(int)
        if apart := int((np.triu(both == 0, 1)).sum()):
            said.append(
                f"{apart} pairs are together in no animal; their affinity is unknown and stands as "
                "0"
            )
    if len({r.name for r in train}) > 1:
        words = {"concatenated": "one after another, so there is no loading of animals",
                 "absolute": "by the time since each began",
                 "event_locked": "by their events"}  # fmt: skip
        said.append(f"recordings were aligned {words[made.plan.alignment]}")
    return said


def _choice_notices(rows: Sequence[RankRow], choice: Choice, skipped: Sequence[int]) -> list[str]:
    row = next(r for r in rows if r.rank == choice.rank)
    said = [
        f"{choice.rank} components were chosen: stability {row.stability:.2f}, error on hidden "
        f"entries {row.holdout_mean:.3f}"
    ]
    if not choice.stable:
        said.append(
            "no number of components was found again by other starts (stability 0.9 or more), so "
            "the most stable was taken: read single components with care"
        )
    if row.holdout_mean >= 1:
        said.append(
            f"hidden entries are told worse than by nothing at all (error {row.holdout_mean:.2f}, "
            "limit 1): recordings, bins or shared neurons are too few for these components; read "
            "none of them as found, give more recordings or fewer ntf.ranks"
        )
    if skipped:
        said.append(f"more components than the tensor allows: {', '.join(map(str, skipped))}")
    return said


def _rivals(
    model: Connectome, train: Sequence[Recording], tensor: Affinities, made: arrange.Arrangement,
    rank: int, *, seed: int,
) -> dict[str, Any]:  # fmt: skip
    one = fit(tensor, rank=1, seed=seed, restarts=model.null.restarts(),
              settings=model.ntf.steps()).best.factors.patterns[0]  # fmt: skip
    mean = rivals.mean_pattern(tensor)
    edges = rivals.principal_edges(tensor, mean, count=rank, seed=seed)
    found = rivals.correlations(train, made.units)
    upper = np.triu_indices(len(made.units), 1)
    partitions = {"rival/kmeans": rivals.kmeans(found, blocks=rank, seed=seed),
                  "rival/leiden": rivals.leiden(found, seed=seed)}  # fmt: skip
    axes = labels.axes_of(train, made.units, count=rank)
    return {
        "rival/mean_pattern": ("pair", mean.cpu().numpy()),
        "rival/one_component": ("pair", one),
        "rival/static_connectivity": ("pair", np.abs(found)[upper]),
        "rival/edge_components": (("principal", "pair"), edges.cpu().numpy()),
        "rival/signal_axes": (("unit", "axis"), axes),
        **{k: ("unit", v.astype(np.int32)) for k, v in partitions.items() if v is not None},
    }


def _labels(
    model: Connectome, train: Sequence[Recording], frames, patterns: np.ndarray,
    made: arrange.Arrangement, notices: list[str],
) -> dict[str, Any]:  # fmt: skip
    """Return how much of each component every recording holds, and the decoders of the label."""
    units = len(made.units)
    there = placed(model, frames, made.units)
    known = torch.from_numpy(patterns.astype(np.float64))
    own = {one.frames.name: courses(one, known, units) for one in there}
    shares = np.stack([c.mean(axis=1) for c in own.values()], axis=1)
    found: dict[str, Any] = {"share": (("component", "recording"), shares.astype(np.float32)),
                             "coordinates": {}}  # fmt: skip
    if not model.label or train[0].label_name is None:
        return found
    whole = {one.frames.name: whole_courses(one, own[one.frames.name]) for one in there}
    axes = labels.axes_of(train, made.units, count=len(patterns))
    given = labels.inputs_of(train, there, whole, axes, made.units)
    learnt = labels.fit(given, ignore=model.ignore_labels)
    if learnt.why:
        notices.append(f"{NOT_DECODED}{learnt.why}")
    packed, coordinates = artefacts.of_decoders(learnt.decoders)
    return {**found, **packed, "coordinates": coordinates}

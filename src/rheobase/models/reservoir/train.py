"""Every kind of network and the lagged regression, trained for one task on the training part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from rheobase.models.reservoir import diagnose, folds, kept, lags, readout, tune
from rheobase.models.reservoir.adaptation import AdaptReport, adapt
from rheobase.models.reservoir.aims import Aim, lengths_of
from rheobase.models.reservoir.batched import BatchedReservoir
from rheobase.models.reservoir.choose import Judge, chosen, fitted, summed
from rheobase.models.reservoir.echo import BatchedEcho
from rheobase.models.reservoir.given import Given
from rheobase.models.reservoir.kept import Learned
from rheobase.models.reservoir.search import Found, Trial, engine_of
from rheobase.models.reservoir.stretches import groups_of
from rheobase.models.reservoir.wiring import balanced_rows
from rheobase.rivals import Gram

if TYPE_CHECKING:
    from rheobase.models.reservoir import Reservoir

CHOOSERS = 3
"""Members whose sums choose the penalty that all use (chosen here)"""
WATCHED = 5000
"""Samples that a diagnosis looks at, at most"""


@dataclass(eq=False)
class Made:
    """What a task leaves behind."""

    variables: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, np.ndarray] = field(default_factory=dict)
    scalars: dict[str, float] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)

    def add(self, learned: Learned, task: str, own: kept.Kind, alphas: Sequence[float]) -> None:
        """Keep a trained kind, and what its penalties say."""
        variables, tensors = kept.pack(learned, task, own)
        self.variables |= variables
        self.tensors |= tensors
        if learned.kind == own:
            self.scalars[f"{task}_penalty"] = float(learned.alphas[0])
            self.notices += [said for alpha in np.unique(learned.alphas)
                             if (said := readout.at_edge(float(alpha), alphas))]  # fmt: skip


def task(
    model: Reservoir, given: Given, name: str, aim: Aim, blocks: Sequence[slice], judge: Judge
) -> Made:  # fmt: skip
    """Return all networks and the lagged regression with readouts of every sample.

    ``blocks`` are groups of targets that get a penalty of their own.
    """
    made, kinds = Made(), tune.kinds(model)
    given_parts = zip(given.stretches, given.standard, given.inputs, strict=True)
    targets = [aim.targets(*part) for part in given_parts]
    labels, count = inner_labels(model, given, aim.reach)
    used = [np.where(np.isfinite(y).all(axis=1), label, -1)
            for y, label in zip(targets, labels, strict=True)]  # fmt: skip
    searched = search(model, given, aim, name, made)
    for kind in kinds:
        engine, report = engine_for(given, searched[kind].trial)
        sums = readout.GramAccumulator(
            [np.nan_to_num(y) for y in targets], labels=used, memory_limit_gb=8.0,
            squares="squares" in model.readout.features,
            inputs=given.inputs if "inputs" in model.readout.features else None,
        )  # fmt: skip
        engine.run(given.inputs, sink=sums, washout=given.washout)
        present = range(len(sums.n))
        members = range(len(given.members))
        grams = [[sums.gram(m, 0, label) for label in present] for m in members]
        learned = learned_from(kind, searched[kind].trial, engine, grams, count, given.alphas,
                               blocks, judge)  # fmt: skip
        made.add(learned, name, kinds[0], given.alphas)
        if kind == "adapted" and report is not None:
            diagnosed(made, name, given, engine, report)
    tried = lags.orders(model.lags, channels=given.front.channels, washout=given.washout)
    found = lags.fit(given.inputs, targets, labels, folds=count, tried=tried, alphas=given.alphas,
                     blocks=blocks, washout=given.washout, judge=judge)  # fmt: skip
    keep_lagged(made, name, found)
    return made


def inner_labels(model: Reservoir, given: Given, reach: int) -> tuple[list[np.ndarray], int]:
    """Return the inner fold of every sample that penalties are chosen on, and how many."""
    return folds.labels(lengths_of(given.stretches), groups_of(given.stretches),
                        folds=model.search.inner_folds, gap=given.washout + reach)  # fmt: skip


def search(
    model: Reservoir, given: Given, aim: Aim, name: str, made: Made
) -> dict[kept.Kind, Found]:  # fmt: skip
    """Return the best setting of every kind; keeps how all trials did."""
    kinds = tune.kinds(model)
    parts = []
    if model.search.n_trials > 1:
        parts = tune.inner(model, given.stretches, aim, washout=given.washout)
    found: dict[kept.Kind, Found] = {
        kind: tune.tuned(model, parts, kind, seed=given.seed, alphas=given.alphas,
                         device=given.device) for kind in kinds
    }  # fmt: skip
    errors = np.stack([found[kind].errors for kind in kinds])
    made.variables |= {
        f"{name}_search_error": (("kind", "trial"), np.where(np.isfinite(errors), errors, np.nan)),
        f"{name}_chosen": ("kind", np.array([tune.told(found[kind].trial) for kind in kinds], str)),
        f"{name}_runs": ("kind", np.array([found[kind].runs for kind in kinds])),
        "kinds": ("kind", np.array([kept.NAMES[kind] for kind in kinds], str)),
    }
    return found


def engine_for(
    given: Given, trial: Trial
) -> tuple[BatchedReservoir | BatchedEcho, AdaptReport | None]:
    """Return all members of a setting, adapted to the training part where the setting adapts."""
    engine = engine_of([trial], given.members, channels=given.front.channels, device=given.device)
    if isinstance(engine, BatchedReservoir) and trial.adapt is not None:
        return engine, adapt(engine, given.inputs, [trial.adapt])
    return engine, None


def learned_from(
    kind: kept.Kind, trial: Trial, engine: BatchedReservoir | BatchedEcho,
    grams: Sequence[Sequence[Gram]], folds: int, alphas: Sequence[float], blocks: Sequence[slice],
    judge: Judge,
) -> Learned:  # fmt: skip
    """Return the kind with its readouts; ``grams`` are (member, inner fold), the last in none."""
    picked = penalties([member[:folds] for member in grams], alphas, blocks, judge)
    fits = [fitted(summed(member), picked, blocks) for member in grams]
    weights, bias = (np.stack([fit[i] for fit in fits]) for i in (0, 1))
    return Learned(kind, trial, engine, weights, bias, picked)


def penalties(
    grams: Sequence[Sequence[Gram]], alphas: Sequence[float], blocks: Sequence[slice],
    judge: Judge,
) -> np.ndarray:  # fmt: skip
    """Return the penalty of each block, (block,): the median over the first members' choices."""
    held = [[one for one in member if one.n > 1] for member in grams[:CHOOSERS]]
    if len(held[0]) < 2:
        raise ValueError(
            f"{len(held[0])} inner folds of the training part hold samples after the washout and 2 "
            "are needed to choose a penalty; give longer recordings, or lower washout"
        )
    each = [chosen(member, alphas, blocks, judge)[1] for member in held]
    return np.sort(each, axis=0)[len(each) // 2]


def keep_lagged(made: Made, name: str, found: lags.Lagged) -> None:
    """Keep the regression on lags under ``rival/``."""
    made.variables |= {
        f"rival/linear_on_lags_{name}_weights": (
            (f"{name}_lag", "input", f"{name}_target"), found.weights),
        f"rival/linear_on_lags_{name}_bias": (f"{name}_target", found.bias),
        f"rival/linear_on_lags_{name}_order": (f"{name}_group", found.order),
    }  # fmt: skip


def diagnosed(
    made: Made, name: str, given: Given, engine: BatchedReservoir | BatchedEcho,
    report: AdaptReport,
) -> None:  # fmt: skip
    """Keep rates before and after adaptation, and warn where reservoirs oscillate or miss."""
    assert isinstance(engine, BatchedReservoir)
    watched = _watched(given)
    if not watched:
        return
    after = diagnose.diagnose(engine, watched, targets=report.targets, washout=given.washout,
                              radius=engine.units <= 300)  # fmt: skip
    held, engine.inhibition = engine.inhibition, engine.unadapted()
    before = diagnose.diagnose(engine, watched, washout=given.washout)
    rows = [balanced_rows(w, engine.inhibitory(s, 0)) for s, w in enumerate(engine.weights)]
    engine.inhibition = held
    now = [balanced_rows(w, engine.inhibitory(s, 0)) for s, w in enumerate(engine.weights)]
    by_unit: dict[str, np.ndarray] = {
        "rate_before": before.rates[:, :, 0], "rate": after.rates[:, :, 0],
        "target_rate": report.targets[:, :, 0], "omega": report.scale[:, :, 0],
        "balance_before": np.array(rows), "balance": np.array(now),
    }  # fmt: skip
    numbers: dict[str, Callable[[diagnose.Diagnosis], np.ndarray]] = {
        "mean_rate": lambda d: d.mean_rate, "oscillation": lambda d: d.oscillation,
        "saturated": lambda d: d.saturated, "entropy": lambda d: d.entropy,
        "correlation": lambda d: d.correlation, "slope": lambda d: d.slope,
        "missed": lambda d: d.missed, "radius": lambda d: d.radius,
    }  # fmt: skip
    made.variables |= {f"{name}_{k}": (("member", "neuron"), v) for k, v in by_unit.items()}
    made.variables |= {f"{name}_{k}": ("member", read(after)[:, 0]) for k, read in numbers.items()}
    made.scalars |= {f"{name}_mean_rate": float(after.mean_rate.mean()),
                     f"{name}_oscillation": float(after.oscillation.max())}  # fmt: skip
    made.notices += after.warnings([f"the adapted reservoirs ({name})"])


def _watched(given: Given) -> list[np.ndarray]:
    """Return stretches that are long enough to look at, up to a number of samples."""
    long = [x for x in given.inputs if len(x) >= given.washout + diagnose.WINDOW]
    kept_ones, seen = [], 0
    for x in long:
        if seen < WATCHED:
            kept_ones.append(x[: WATCHED + given.washout])
            seen += len(x)
    return kept_ones

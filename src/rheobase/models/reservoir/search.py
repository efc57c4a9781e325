"""Hyperparameters chosen in inner folds, with the same effort for every kind of network.

Trials that share their wiring run as columns of one engine. With ``halving`` all trials run with
one seed, the best third goes on with three seeds (Jamieson and Talwalkar 2016); every kind gets the
same number of trials, drawn from the same random numbers, so that adaptation meets a balance that
was tuned as hard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from rheobase.models.reservoir import readout, scores
from rheobase.models.reservoir.adaptation import adapt
from rheobase.models.reservoir.batched import BatchedReservoir
from rheobase.models.reservoir.echo import BatchedEcho, EchoNetwork
from rheobase.models.reservoir.folds import Fold
from rheobase.models.reservoir.settings import Adapt, Network, Target, check_space

Kind = Literal["adapted", "global", "tanh", "uncoupled"]
"""``uncoupled``: tanh units without coupling; each remembers by its leak alone"""
KINDS: tuple[Kind, ...] = ("adapted", "global", "tanh", "uncoupled")
LAWS = (Target("homogeneous", 0.3), Target("homogeneous", 0.5), Target("beta", a=2, b=2), Target())
BALANCES = (0.25, 0.0, -0.1, -0.25, -0.5, -1.0, -1.5)
SPACE: dict[str, Any] = {
    "input_scale": {"log": (0.01, 3.0)},
    "gain": {"uniform": (4.0, 16.0)},
    "leak": (0.0, 0.3, 0.6, 0.9),
    "frac_input": (0.3, 1.0),
    "degree": (10, 50, 100),
}
ECHO_RADII, ECHO_LEAKS, ECHO_BIASES = (0.5, 0.8, 0.95, 1.1), (0.1, 0.3, 1.0), (0.0, 0.5)
KEPT = 3
"""One trial of so many goes on in the halving."""


@dataclass(frozen=True)
class Trial:
    """One setting that is tried."""

    network: Network | EchoNetwork
    adapt: Adapt | None = None


@dataclass(frozen=True, eq=False)
class Found:
    """The best setting of a kind, and how all others did."""

    trial: Trial
    alpha: float
    error: float
    """Median over seeds and inner folds of the error on held-out samples"""
    errors: np.ndarray
    """The same of every trial, its best penalty taken, (trial,)"""
    runs: int
    """How many reservoirs were run, the effort"""


def draw(
    kind: Kind, count: int, *, base: Network, seed: int, space: Mapping[str, Any] | None = None,
    way: Adapt | None = None,
) -> list[Trial]:  # fmt: skip
    """Return random trials of a kind around ``base``; the same numbers for every kind.

    ``space`` maps a field of the network to its values, or to ``{"log": [low, high]}`` or
    ``{"uniform": [low, high]}``; empty is the default. Raises ``ValueError`` for unknown fields.
    """
    wanted = dict(space or SPACE)
    check_space(wanted)
    laws, balances = wanted.pop("target", LAWS), wanted.pop("balance", BALANCES)
    generator = np.random.default_rng([seed, 91])
    trials = []
    for _ in range(count):
        levels = generator.random(len(wanted) + 3)
        own = {name: _at(levels[i], values) for i, (name, values) in enumerate(wanted.items())}
        own["degree"] = min(own.get("degree", base.degree), base.n_units)
        if kind in ("tanh", "uncoupled"):
            radius = _at(levels[-2], ECHO_RADII) if kind == "tanh" else 0.0
            leak = _at(levels[-1], ECHO_LEAKS)
            scale = own.get("input_scale", base.input_scale)
            bias = _at(levels[-3], ECHO_BIASES)
            echo = EchoNetwork(base.n_units, own["degree"], radius, leak, scale, bias)
            trials.append(Trial(echo))
        elif kind == "global":
            trials.append(Trial(replace(base, **own, balance=_at(levels[-3], balances))))
        else:
            target = _at(levels[-3], laws)
            target = Target(**target) if isinstance(target, Mapping) else target
            trials.append(Trial(replace(base, **own), replace(way or Adapt(), target=target)))
    return trials


def errors_of(
    trials: Sequence[Trial], folds: Sequence[Fold], *, seeds: Sequence[int],
    alphas: Sequence[float], device: str = "cpu", memory_limit_gb: float = 2.0,
) -> np.ndarray:  # fmt: skip
    """Return the held-out NRMSE pooled over targets of every trial, (trial, seed, fold, alpha).

    Adaptation, means and readout see the training part of each fold alone.
    """
    found = np.full((len(trials), len(seeds), len(folds), len(alphas)), np.nan)
    for members in _batches(trials, memory_limit_gb):
        chosen = [trials[i] for i in members.tolist()]
        for s, seed in enumerate(seeds):
            for f, fold in enumerate(folds):
                found[members, s, f] = _one_run(chosen, fold, seed, alphas, device, memory_limit_gb)
    return found


def search(
    trials: Sequence[Trial], folds: Sequence[Fold], *, seeds: Sequence[int],
    alphas: Sequence[float], halving: bool = True, device: str = "cpu",
) -> Found:  # fmt: skip
    """Return the trial and penalty with the least median error on held-out samples.

    Ties go to the earlier trial and the larger penalty.
    """
    if not trials or not seeds or not folds:
        raise ValueError("search: there is no trial, seed or fold; give at least one of each")
    rungs = [seeds[:1], seeds[1:]] if halving and len(seeds) > 1 else [seeds]
    alive = np.arange(len(trials))
    errors = np.full((len(trials), len(seeds), len(folds), len(alphas)), np.nan)
    runs, done = 0, 0
    for rung in rungs:
        if done:
            level = _medians(errors[alive]).min(axis=1)
            alive = alive[np.argsort(level, kind="stable")[: -(-len(alive) // KEPT)]]
        made = errors_of([trials[i] for i in alive.tolist()], folds, seeds=rung, alphas=alphas,
                         device=device)  # fmt: skip
        errors[alive, done : done + len(rung)] = made
        runs += made[..., 0].size
        done += len(rung)
    medians = _medians(errors)
    own = np.full(len(trials), np.inf)
    own[alive] = medians[alive].min(axis=1)
    best = int(np.argmin(own))
    ranked = medians[best][::-1]
    alpha = float(alphas[len(alphas) - 1 - int(np.argmin(ranked))])
    return Found(trials[best], alpha, float(own[best]), medians.min(axis=1), runs)


def compare(
    folds: Sequence[Fold], *, base: Network, count: int, seeds: Sequence[int],
    alphas: Sequence[float], seed: int, kinds: Sequence[Kind] = KINDS,
    space: Mapping[str, Any] | None = None, way: Adapt | None = None, halving: bool = True,
    device: str = "cpu",
) -> dict[Kind, Found]:  # fmt: skip
    """Return the best of each kind after the same number of trials on the same folds and seeds."""
    return {
        kind: search(
            draw(kind, count, base=base, seed=seed, space=space, way=way), folds, seeds=seeds,
            alphas=alphas, halving=halving, device=device,
        )
        for kind in kinds
    }  # fmt: skip


def engine_of(
    trials: Sequence[Trial], seeds: Sequence[int], *, channels: int, device: str = "cpu"
) -> BatchedReservoir | BatchedEcho:
    """Return one engine for trials that share their wiring."""
    networks = [trial.network for trial in trials]
    if isinstance(networks[0], EchoNetwork):
        echoes = [one for one in networks if isinstance(one, EchoNetwork)]
        return BatchedEcho(echoes, seeds, channels=channels, device=device)
    plain = [one for one in networks if isinstance(one, Network)]
    return BatchedReservoir(plain, seeds, channels=channels, device=device)


def _one_run(
    trials: Sequence[Trial], fold: Fold, seed: int, alphas: Sequence[float], device: str,
    memory_limit_gb: float,
) -> np.ndarray:  # fmt: skip
    """Return errors (trial, alpha) of trials that share their wiring."""
    engine = engine_of(trials, [seed], channels=fold.inputs[0].shape[1], device=device)
    if isinstance(engine, BatchedReservoir):
        adapt(engine, fold.inputs[: fold.training], [trial.adapt for trial in trials])
    known = [np.nan_to_num(target) for target in fold.targets]
    sums = readout.GramAccumulator(known, labels=fold.labels(), memory_limit_gb=memory_limit_gb)
    engine.run(fold.inputs, sink=sums, washout=fold.washout)
    return np.array([
        scores.pooled_nrmse(sums.gram(0, m, 1), list(readout.readouts(sums.gram(0, m), alphas)))
        for m in range(len(trials))
    ])  # fmt: skip


def _batches(trials: Sequence[Trial], memory_limit_gb: float) -> list[np.ndarray]:
    """Return trials by wiring, as many at once as leave room for two sums each."""
    by_wiring: dict[tuple[object, ...], list[int]] = {}
    for number, trial in enumerate(trials):
        by_wiring.setdefault(trial.network.structure, []).append(number)
    units = max(trial.network.n_units for trial in trials)
    most = max(1, int(0.8 * memory_limit_gb * readout.GB / (16 * units**2)))
    return [np.array(members[i : i + most]) for members in by_wiring.values()
            for i in range(0, len(members), most)]  # fmt: skip


def _medians(errors: np.ndarray) -> np.ndarray:
    """Return the median over the seeds that were run and folds, (trial, alpha)."""
    flat = errors.reshape(len(errors), -1, errors.shape[-1])
    seen = np.isfinite(flat).any(axis=(0, 2))
    found = np.full((len(errors), errors.shape[-1]), np.inf)
    for number, own in enumerate(flat[:, seen]):
        rows = own[np.isfinite(own).all(axis=1)]
        if len(rows):
            found[number] = np.median(rows, axis=0)
    return found


def _at(level: float, values: Any) -> Any:
    """Return the value that a uniform number in [0, 1) stands for."""
    if isinstance(values, Mapping):
        (law, (low, high)), = values.items()  # fmt: skip
        if law == "log":
            return float(np.exp(np.log(low) + level * (np.log(high) - np.log(low))))
        return float(low + level * (high - low))
    return values[int(level * len(values))]

"""The benchmark protocol: adaptation, washout, training, validation and test, one after another.

Penalties, orders and settings are chosen on the validation samples; the test samples are scored
once. A readout is not fitted again on training and validation together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from rheobase import rivals
from rheobase.models.reservoir import readout, scores
from rheobase.models.reservoir.adaptation import adapt
from rheobase.models.reservoir.batched import BatchedReservoir
from rheobase.models.reservoir.engine import Engine
from rheobase.models.reservoir.scores import Judge
from rheobase.models.reservoir.settings import Adapt, Network
from rheobase.models.reservoir.tasks import Task
from rheobase.rivals import Gram

ADAPTATION, WASHOUT, TRAIN, VALIDATION, TEST = 1500, 200, 2000, 500, 1000
ALPHAS = (1e-9, 1e-7, 1e-5, 1e-3)


@dataclass(frozen=True, eq=False)
class Result:
    """What the settings reached on the test samples, by seed and setting."""

    scores: np.ndarray
    """(seed, setting, target)"""
    chosen: np.ndarray
    """Score on validation that the penalty was chosen by, (seed, setting)"""
    alphas: np.ndarray
    """(seed, setting)"""
    edges: list[str] = field(default_factory=list)

    @property
    def total(self) -> np.ndarray:
        """Return the sum over targets, (seed, setting): memory capacity, for squared correlations.

        For errors of one target it is that error.
        """
        return self.scores.sum(axis=2)


def training() -> slice:
    """Return the samples that inputs are standardised by: all before validation."""
    return slice(0, ADAPTATION + WASHOUT + TRAIN)


def labels() -> np.ndarray:
    """Return 0 for training, 1 for validation, 2 for test, of the samples after the washout."""
    return np.repeat([0, 1, 2], [TRAIN, VALIDATION, TEST])


def reservoirs(
    networks: Sequence[Network], adapts: Sequence[Adapt | None], make: Callable[..., Task], *,
    seeds: Sequence[int], judge: Judge, alphas: Sequence[float] = ALPHAS, device: str = "cpu",
) -> Result:  # fmt: skip
    """Return the test scores of networks that share their wiring, each with its own adaptation.

    ``make(seed=...)`` gives the data of a seed; ``judge`` is ``scores.determination`` or
    ``scores.nrmse_of``.
    """
    parts = []
    for seed in seeds:
        task = make(seed=seed)
        engine = BatchedReservoir(networks, [seed], channels=task.inputs.shape[1], device=device)
        adapt(engine, task.inputs[:ADAPTATION], adapts)
        parts.append(_scored(engine, task, judge, alphas))
    return _gathered(parts, alphas)


def others(
    build: Callable[..., Engine], make: Callable[..., Task], *, seeds: Sequence[int], judge: Judge,
    alphas: Sequence[float] = ALPHAS,
) -> Result:  # fmt: skip
    """Return the same of engines that do not adapt: ``build(seed, channels=...)``."""
    parts = []
    for seed in seeds:
        task = make(seed=seed)
        parts.append(
            _scored(build(seed, channels=task.inputs.shape[1]), task, judge, alphas)
        )  # fmt: skip
    return _gathered(parts, alphas)


def tapped_delay(
    make: Callable[..., Task], orders: Sequence[int], *, seeds: Sequence[int], judge: Judge,
    alphas: Sequence[float] = ALPHAS,
) -> Result:  # fmt: skip
    """Return the same of ridge regressions on the last samples of the input, one setting an order.

    With all channels as targets this is the vector autoregression of that order.
    """
    parts = []
    for seed in seeds:
        task = make(seed=seed)
        found = []
        for order in orders:
            first = ADAPTATION + WASHOUT
            x = rivals.lagged(task.inputs[first - order + 1 :], order)
            y, own = task.targets[first:], labels()
            grams = [Gram.of(x[: len(own)][own == k], y[: len(own)][own == k]) for k in range(3)]
            found.append(select(grams, alphas, judge))
        parts.append(_stack(found))
    return _gathered(parts, alphas)


def best(result: Result, judge: Judge) -> np.ndarray:
    """Return, for each seed, the test scores of the setting that was best on validation.

    (seed, target); ties go to the first setting.
    """
    order = np.argmax(result.chosen * _sign(judge), axis=1)
    return result.scores[np.arange(len(order)), order]


def select(
    grams: Sequence[Gram], alphas: Sequence[float], judge: Judge
) -> tuple[np.ndarray, float, float]:
    """Return test scores (target,), the validation score and the penalty that it chose."""
    train, validation, test = grams
    fits = list(readout.readouts(train, alphas))
    held = scores.along(judge, validation, fits).sum(axis=1)
    at = int(np.argmax(held * _sign(judge)))
    return judge(test, *fits[at]), float(held[at]), float(alphas[at])


def _sign(judge: Judge) -> int:
    return 1 if judge is scores.determination else -1


def _scored(engine: Engine, task: Task, judge: Judge, alphas: Sequence[float]) -> tuple:
    inputs = task.inputs[ADAPTATION:]
    own = np.concatenate([np.full(WASHOUT, -1), labels()])
    sums = readout.GramAccumulator([task.targets[ADAPTATION:][: len(own)]], labels=[own])
    engine.run(inputs[: len(own)], sink=sums, start=engine.state, washout=WASHOUT)
    return _stack([
        select([sums.gram(0, m, label) for label in range(3)], alphas, judge)
        for m in range(engine.settings)
    ])  # fmt: skip


def _stack(found: list[tuple[np.ndarray, float, float]]) -> tuple:
    return tuple(np.stack([np.asarray(one[i]) for one in found]) for i in range(3))


def _gathered(parts: list[tuple], alphas: Sequence[float]) -> Result:
    tests, held, chosen = (np.stack([part[i] for part in parts]) for i in range(3))
    edges = [said for alpha in np.unique(chosen) if (said := readout.at_edge(alpha, alphas))]
    return Result(tests, held, chosen, edges)

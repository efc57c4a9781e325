"""Benchmark signals, exact: memory capacity, NARMA-10, Mackey-Glass, Lorenz-63.

A task pairs the input at each sample with what the state of that sample must tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rheobase.io.synthetic.dynamics import (
    lorenz_series,
    lorenz_start,
    mackey_glass_series,
    narma_input,
    narma_series,
)

__all__ = [
    "LENGTH", "Task", "lorenz", "lorenz_series", "mackey_glass", "mackey_glass_series",
    "memory_capacity", "narma10", "narma_series", "standardised",
]  # fmt: skip
LENGTH = 5200
"""1500 adaptation, 200 washout, 2000 training, 500 validation, 1000 test."""


@dataclass(frozen=True, eq=False)
class Task:
    """An input and its targets, sample by sample."""

    name: str
    inputs: np.ndarray
    """(time, channel)"""
    targets: np.ndarray
    """(time, target)"""
    names: tuple[str, ...]
    """One a target"""
    seed: int
    """The seed it was made from; another than asked for where a NARMA series diverged."""


def memory_capacity(*, seed: int, length: int = LENGTH, delays: int = 60) -> Task:
    """Return the recall of ``u[t - k]``, k = 1..delays, from independent uniform u on (-1, 1)."""
    u = np.random.default_rng(1000 + seed).uniform(-1, 1, length + delays)
    targets = np.stack([u[delays - k : delays - k + length] for k in range(1, delays + 1)], axis=1)
    names = tuple(f"delay {k}" for k in range(1, delays + 1))
    return Task("memory_capacity", u[delays:, None], targets, names, seed)


def narma10(*, seed: int, length: int = LENGTH) -> Task:
    """Return NARMA-10 one step ahead: input ``4 (u[t] - 0.25)``, target ``y[t+1]``.

    The first 20 samples are left out; a series that passes 1.5 is drawn again from another seed.
    """
    u, y, own = narma_input(seed, length)
    return Task("narma10", 4 * (u[20:, None] - 0.25), y[21:, None], ("y",), own)


def mackey_glass(
    *, seed: int, length: int = LENGTH, horizons: Sequence[int] = (1, 10, 84)
) -> Task:  # fmt: skip
    """Return forecasts of Mackey-Glass (delay 17); not standardised."""
    start = 1.2 + 0.05 * np.random.default_rng(1000 + seed).normal()
    x = mackey_glass_series(length + max(horizons), start=start)
    return _ahead("mackey_glass", x[:, None], x[:, None], length, horizons, seed)


def lorenz(
    *, seed: int, length: int = LENGTH, horizons: Sequence[int] = (1, 10), channels: int = 1
) -> Task:
    """Return forecasts of the first ``channels`` coordinates from themselves; not standardised."""
    x = lorenz_series(length + max(horizons), start=lorenz_start(seed))[:, :channels]
    return _ahead("lorenz", x, x, length, horizons, seed)


def standardised(task: Task, train: slice) -> Task:
    """Return the task with inputs and targets z-scored by the training samples of the input."""
    mean, deviation = task.inputs[train].mean(axis=0), task.inputs[train].std(axis=0)
    each = task.targets.reshape(len(task.targets), -1, task.inputs.shape[1])
    targets = ((each - mean) / deviation).reshape(task.targets.shape)
    return Task(task.name, (task.inputs - mean) / deviation, targets, task.names, task.seed)


def _ahead(
    name: str, inputs: np.ndarray, series: np.ndarray, length: int, horizons: Sequence[int],
    seed: int,
) -> Task:  # fmt: skip
    targets = np.concatenate([series[h : h + length] for h in horizons], axis=1)
    names = tuple(f"{h} ahead" for h in horizons for _ in range(series.shape[1]))
    return Task(name, inputs[:length], targets, names, seed)

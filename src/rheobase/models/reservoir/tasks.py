"""Benchmark signals, exact: memory capacity, NARMA-10, Mackey-Glass, Lorenz-63.

A task pairs the input at each sample with what the state of that sample must tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LENGTH = 5200
"""1500 adaptation, 200 washout, 2000 training, 500 validation, 1000 test."""
DIVERGED = 1.5
OTHER_SEED = 10**6


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


def narma_series(u: np.ndarray) -> np.ndarray:
    """Return y of NARMA-10, (time + 1,), from u (time,) on (0, 0.5); y[0..9] = 0.

    ``y[t+1] = 0.3 y[t] + 0.05 y[t] sum(y[t-i], i = 0..9) + 1.5 u[t-9] u[t] + 0.1``: ten terms in
    the sum, y[t] and y[t-9] included (Atiya and Parlos 2000).
    """
    y = np.zeros(len(u) + 1)
    for t in range(9, len(u)):
        y[t + 1] = 0.3 * y[t] + 0.05 * y[t] * y[t - 9 : t + 1].sum() + 1.5 * u[t - 9] * u[t] + 0.1
    return y


def narma10(*, seed: int, length: int = LENGTH) -> Task:
    """Return NARMA-10 one step ahead: input ``4 (u[t] - 0.25)``, target ``y[t+1]``.

    The first 20 samples are left out; a series that passes 1.5 is drawn again from another seed.
    """
    own = seed
    while True:
        u = np.random.default_rng(1000 + own).uniform(0, 0.5, length + 20)
        with np.errstate(over="ignore", invalid="ignore"):
            y = narma_series(u)
        if np.abs(y).max() <= DIVERGED:
            break
        own += OTHER_SEED
    return Task("narma10", 4 * (u[20:, None] - 0.25), y[21:, None], ("y",), own)


def mackey_glass_series(
    samples: int, *, start: float, delay: float = 17.0, step: float = 0.1, burn_in: int = 1000
) -> np.ndarray:
    """Return x, one sample a unit of time, (samples,), with the constant history ``start``.

    ``dx/dt = 0.2 x(t - delay) / (1 + x(t - delay)^10) - 0.1 x``, Runge-Kutta of fourth order; the
    delayed value at half a step is interpolated linearly (Mackey and Glass 1977).
    """
    behind, a_sample = round(delay / step), round(1 / step)
    x = [start] * (behind + 1)

    def growth(past: float) -> float:
        return 0.2 * past / (1 + past**10)

    for t in range((samples + burn_in - 1) * a_sample):
        now, first, last = x[-1], growth(x[t]), growth(x[t + 1])
        middle = growth((x[t] + x[t + 1]) / 2)
        k1 = first - 0.1 * now
        k2 = middle - 0.1 * (now + step / 2 * k1)
        k3 = middle - 0.1 * (now + step / 2 * k2)
        k4 = last - 0.1 * (now + step * k3)
        x.append(now + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
    return np.array(x[behind::a_sample][burn_in:])


def mackey_glass(
    *, seed: int, length: int = LENGTH, horizons: Sequence[int] = (1, 10, 84)
) -> Task:  # fmt: skip
    """Return forecasts of Mackey-Glass (delay 17); not standardised."""
    start = 1.2 + 0.05 * np.random.default_rng(1000 + seed).normal()
    x = mackey_glass_series(length + max(horizons), start=start)
    return _ahead("mackey_glass", x[:, None], x[:, None], length, horizons, seed)


def lorenz_series(samples: int, *, start: np.ndarray, burn_in: int = 1000) -> np.ndarray:
    """Return x, y, z every 0.02 units of time, (samples, 3), by Runge-Kutta (Lorenz 1963)."""
    sigma, rho, beta, step = 10.0, 28.0, 8 / 3, 0.02

    def flow(s: tuple[float, ...]) -> tuple[float, ...]:
        x, y, z = s
        return sigma * (y - x), x * (rho - z) - y, x * y - beta * z

    def moved(s: tuple[float, ...], by: tuple[float, ...], share: float) -> tuple[float, ...]:
        return tuple(a + share * step * b for a, b in zip(s, by, strict=True))

    state = tuple(float(value) for value in start)
    course = []
    for _ in range(samples + burn_in):
        k1 = flow(state)
        k2 = flow(moved(state, k1, 0.5))
        k3 = flow(moved(state, k2, 0.5))
        k4 = flow(moved(state, k3, 1.0))
        slope = tuple(
            (a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(k1, k2, k3, k4, strict=True)
        )
        state = moved(state, slope, 1.0)
        course.append(state)
    return np.array(course[burn_in:])


def lorenz(
    *, seed: int, length: int = LENGTH, horizons: Sequence[int] = (1, 10), channels: int = 1
) -> Task:
    """Return forecasts of the first ``channels`` coordinates from themselves; not standardised."""
    start = np.random.default_rng(1000 + seed).normal(size=3) + (1.0, 1.0, 20.0)
    x = lorenz_series(length + max(horizons), start=start)[:, :channels]
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

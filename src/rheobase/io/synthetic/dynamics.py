"""Benchmark signals of reservoir computing: random input, NARMA-10, Mackey-Glass, Lorenz-63.

All have one sample a unit of time. A recording is a series of its own, from ``seed`` plus its
number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

DIVERGED = 1.5
"""A NARMA series that passes this is drawn again."""
OTHER_SEED = 10**6


@dataclass(frozen=True, eq=False)
class Series:
    """One simulated series."""

    signal: np.ndarray
    """(time, channel)"""
    names: tuple[str, ...]
    label: np.ndarray | None = None
    """A value for each sample, (time,)"""


@dataclass(frozen=True)
class Generator:
    """A generator as ``synthetic`` calls it."""

    simulate: Callable[..., Series]
    SET: ClassVar[set[str]] = {"seed"}
    OWN: ClassVar[list[str]] = []

    def rate(self, params: dict[str, Any]) -> float:
        """Return samples per unit of time."""
        return 1.0

    def recording(
        self, run: Callable[..., Series], params: dict[str, Any], *, seed: int, index: int,
        total: int, entry: Any,
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:  # fmt: skip
        """Return the arrays of one series; nothing is hidden in it."""
        made = run(self.simulate, seed=seed + index, **params)
        signals = {"signal": made.signal.astype(np.float32), "names": np.array(made.names)}
        if made.label is not None:
            signals["label"] = made.label
        return signals, {"seed": np.array(seed + index)}


def random_input(*, seed: int, samples: int = 3700) -> Series:
    """Return independent samples, uniform on (-1, 1)."""
    _check(samples)
    u = np.random.default_rng(1000 + seed).uniform(-1, 1, samples)
    return Series(u[:, None], ("u",))


def narma10(*, seed: int, samples: int = 3700) -> Series:
    """Return the input ``4 (u[t] - 0.25)`` of NARMA-10 with ``y[t+1]`` as its label."""
    _check(samples)
    u, y, _ = narma_input(seed, samples)
    return Series(4 * (u[20:, None] - 0.25), ("u",), y[21:])


def mackey_glass(*, seed: int, samples: int = 3700, delay: float = 17.0) -> Series:
    """Return Mackey-Glass, one sample a unit of time."""
    _check(samples)
    start = 1.2 + 0.05 * np.random.default_rng(1000 + seed).normal()
    return Series(mackey_glass_series(samples, start=start, delay=delay)[:, None], ("x",))


def lorenz(*, seed: int, samples: int = 3700) -> Series:
    """Return x, y, z of Lorenz-63 every 0.02 units of its time."""
    _check(samples)
    return Series(lorenz_series(samples, start=lorenz_start(seed)), ("x", "y", "z"))


GENERATORS = {
    "memory_capacity": Generator(random_input),
    "narma10": Generator(narma10),
    "mackey_glass": Generator(mackey_glass),
    "lorenz": Generator(lorenz),
}


def lorenz_start(seed: int) -> np.ndarray:
    """Return where a Lorenz series begins, (3,)."""
    return np.random.default_rng(1000 + seed).normal(size=3) + (1.0, 1.0, 20.0)


def narma_input(seed: int, length: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Return u (length + 20,) and y (length + 21,) of NARMA-10, and the seed they are from.

    A series that passes 1.5 is drawn again from another seed.
    """
    own = seed
    while True:
        u = np.random.default_rng(1000 + own).uniform(0, 0.5, length + 20)
        with np.errstate(over="ignore", invalid="ignore"):
            y = narma_series(u)
        if np.abs(y).max() <= DIVERGED:
            return u, y, own
        own += OTHER_SEED


def _check(samples: int) -> None:
    if samples < 100:
        raise ValueError(f"samples is {samples}; a series needs 100 or more")


def narma_series(u: np.ndarray) -> np.ndarray:
    """Return y of NARMA-10, (time + 1,), from u (time,) on (0, 0.5); y[0..9] = 0.

    ``y[t+1] = 0.3 y[t] + 0.05 y[t] sum(y[t-i], i = 0..9) + 1.5 u[t-9] u[t] + 0.1``: ten terms in
    the sum, y[t] and y[t-9] included (Atiya and Parlos 2000).
    """
    y = np.zeros(len(u) + 1)
    for t in range(9, len(u)):
        y[t + 1] = 0.3 * y[t] + 0.05 * y[t] * y[t - 9 : t + 1].sum() + 1.5 * u[t - 9] * u[t] + 0.1
    return y


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

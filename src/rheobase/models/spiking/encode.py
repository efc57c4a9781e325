"""Windows of a signal as events: what a spiking network is given.

Windows are (example, sample, channel), normalised; results (step, example, feature) float32, a step
being ``bin`` samples. No encoder looks ahead. Quantiles, levels and sizes of a step come from
training windows alone (``fitted``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

KINDS = ("delta", "direct", "both", "current", "crossing", "rate", "latency")
REAL = frozenset({"direct", "both", "current"})
"""Those whose first layer multiplies: its inputs are no events"""
QUANTILES = (0.5, 0.8, 0.95)
FULL = 0.995
"""Quantile of |x| at which ``rate`` fires at its highest"""


@dataclass(frozen=True)
class Encoder:
    """What makes events of windows."""

    kind: str = "delta"
    bin: int = 4
    """Samples a step"""
    delta: float = 0.7
    """Send-on-delta: how far a signal moves for an event, in units of the signal"""
    levels: tuple[tuple[float, ...], ...] = ()
    """crossing: (level, channel), from training"""
    full: tuple[float, ...] = ()
    """rate: |x| of a full rate, (channel,), from training"""
    most: float = 0.5
    """rate: highest probability of an event a step; latency: spiking threshold of |x|"""
    tau: float = 10.0
    """latency: time constant, steps"""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"encoder is {self.kind!r}; it must be one of {', '.join(KINDS)}")
        if self.bin < 1 or self.delta <= 0:
            raise ValueError(f"bin {self.bin} must be 1 or more and delta {self.delta} above 0")

    def fitted(self, windows: np.ndarray) -> Encoder:
        """Return the encoder with what it needs to know of the training windows."""
        size = np.abs(windows).reshape(-1, windows.shape[2])
        if self.kind == "crossing":
            return replace(self, levels=tuple(map(tuple, np.quantile(size, QUANTILES, axis=0))))
        if self.kind == "rate":
            return replace(self, full=tuple(np.quantile(size, FULL, axis=0)))
        return self

    def features(self, units: int) -> int:
        """Return how many features a step has."""
        many = {"delta": 2, "both": 3, "crossing": len(QUANTILES)}
        return units * many.get(self.kind, 1)

    def encode(self, windows: np.ndarray, *, rng: np.random.Generator | None = None) -> np.ndarray:
        """Return events of windows; ``rate`` alone draws, from ``rng``."""
        steps = windows.shape[1] // self.bin
        if steps < 5:
            raise ValueError(
                f"windows of {windows.shape[1]} samples hold {steps} steps of {self.bin} samples; "
                "make them longer or the bin smaller: 5 steps at least"
            )
        x = np.ascontiguousarray(windows[:, : steps * self.bin].transpose(1, 0, 2), np.float64)
        made = {
            "delta": lambda: self._binned(send_on_delta(x, self.delta)[0]),
            "direct": lambda: self._mean(x),
            "current": lambda: self._binned(x) / self.bin,
            "both": lambda: np.concatenate(
                [self._binned(send_on_delta(x, self.delta)[0]), self._mean(x)], axis=2
            ),
            "crossing": lambda: self._binned(crossings(x, np.array(self.levels))),
            "rate": lambda: self._drawn(x, rng),
            "latency": lambda: self._latencies(x),
        }[self.kind]()
        return made.astype(np.float32)

    def _binned(self, events: np.ndarray) -> np.ndarray:
        return events.reshape(-1, self.bin, *events.shape[1:]).sum(1)

    def _mean(self, x: np.ndarray) -> np.ndarray:
        return self._binned(np.abs(x)) / self.bin

    def _drawn(self, x: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        if rng is None or not self.full:
            raise ValueError("encoder 'rate' needs rng and full; call fitted(windows) and give rng")
        chance = np.clip(self._mean(x) / np.array(self.full), 0, 1) * self.most
        return rng.random(chance.shape) < chance

    def _latencies(self, x: np.ndarray) -> np.ndarray:
        """Return one event a channel, ``tau ln(a / (a - most))`` steps in, a = |x| at first."""
        size = self._mean(x)
        first = size[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            at = np.where(first > self.most, self.tau * np.log(first / (first - self.most)), np.inf)
        return np.arange(len(size))[:, None, None] == np.floor(at)


def send_on_delta(x: np.ndarray, delta: float) -> tuple[np.ndarray, np.ndarray]:
    """Return event counts up and down, (sample, example, 2 channels), and the references.

    ``n = trunc((x_t - r) / delta)``, then ``r += n delta``, from r = x_0: what is followed stays
    within delta of the signal.
    """
    followed = x[0].copy()
    count, kept = np.zeros(x.shape), np.empty(x.shape)
    for n, now, reference in zip(count, x, kept, strict=True):
        np.trunc((now - followed) / delta, out=n)
        followed += n * delta
        reference[...] = followed
    return np.concatenate([np.maximum(count, 0), np.maximum(-count, 0)], axis=-1), kept


def crossings(x: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return where |x| rises through each level, (sample, example, level x channel)."""
    if not levels.size:
        raise ValueError("encoder 'crossing' has no levels; call fitted(windows) first")
    above = np.abs(x)[:, :, None, :] >= levels
    risen = above.copy()
    risen[1:] &= ~above[:-1]
    risen[0] = False
    return risen.reshape(*x.shape[:2], -1)


def calibrated(windows: np.ndarray, *, target: float = 0.1) -> float:
    """Return the delta at which training windows give ``target`` events a sample and channel."""
    x = windows.transpose(1, 0, 2).astype(np.float64)

    def excess(delta: float) -> float:
        events, _ = send_on_delta(x, delta)
        return events.sum() / x.size - target

    return bisected(excess, 1e-3 * x.std(), 10 * np.abs(x).max())


def bisected(excess: Callable[[float], float], low: float, high: float) -> float:
    """Return where a falling function of a positive number crosses 0, by bisection."""
    if not excess(low) > 0 > excess(high):
        raise ValueError(f"no event rate as wanted for a delta between {low:.3g} and {high:.3g}")
    for _ in range(40):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return float(np.sqrt(low * high))

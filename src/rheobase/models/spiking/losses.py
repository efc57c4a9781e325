"""What training makes small: wrong classes at any time, and needless spikes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss, one_hot, relu

from rheobase.models.spiking.network import Output
from rheobase.models.spiking.readout import running_mean

EARLY = 0.2
"""Share of a window whose verdicts do not count in ``anytime``"""
TARGET_COUNTS = (0.8, 0.2)
"""``rate_mse``: share of steps at which the right class and the others should spike"""
HIGH, LOW = 0.25, 0.01
"""Rates above and below which single units are held back and pushed; chosen here"""


@dataclass(frozen=True)
class Weights:
    """Strength of the penalties on spikes; chosen here."""

    rate: float = 0.5
    up: float = 0.1
    low: float = 0.1


def spike_penalty(rates: list[Tensor], weights: Weights) -> Tensor:
    """Return the penalty on mean rates, and on units that fire much or hardly ever.

    ``rate mean(r) + up mean(relu(r - 0.25)^2) + low mean(relu(0.01 - r)^2)`` over all units.
    """
    r = torch.cat(rates)
    high, low = relu(r - HIGH).square().mean(), relu(LOW - r).square().mean()
    return weights.rate * r.mean() + weights.up * high + weights.low * low


def anytime(output: Output, target: Tensor) -> Tensor:
    """Return ``0.5 CE(m_T) + 0.5 mean_{t > T/5} CE(m_t)``, m_t the mean readout up to step t."""
    means = running_mean(output.steps)
    later = means[int(EARLY * len(means)) :]
    spread = cross_entropy(later.flatten(0, 1), target.repeat(len(later)))
    return 0.5 * cross_entropy(means[-1], target) + 0.5 * spread


def max_membrane(output: Output, target: Tensor) -> Tensor:
    """Return the cross-entropy of the largest readout over steps."""
    return cross_entropy(output.steps.amax(0), target)


def counts(output: Output, target: Tensor) -> Tensor:
    """Return the cross-entropy of spike counts of the classes."""
    return cross_entropy(output.steps.sum(0), target)


def count_error(output: Output, target: Tensor) -> Tensor:
    """Return the squared error of the shares of steps at which classes spike."""
    right = one_hot(target, output.steps.shape[2]).to(output.steps.dtype)
    wanted = TARGET_COUNTS[1] + (TARGET_COUNTS[0] - TARGET_COUNTS[1]) * right
    return mse_loss(output.steps.mean(0), wanted)


def latency(output: Output, target: Tensor) -> Tensor:
    """Return the cross-entropy of minus the steps before the first spike, T where there is none."""
    silent = torch.cumprod(1 - output.steps, 0)
    return cross_entropy(-silent.sum(0), target)


def value(output: Output, target: Tensor) -> Tensor:
    """Return the squared error of the last readout, for targets (example, output)."""
    return mse_loss(output.steps[-1], target)


LOSSES: dict[str, Callable[[Output, Tensor], Tensor]] = {
    "anytime": anytime, "max_membrane": max_membrane, "rate": counts, "rate_mse": count_error,
    "latency": latency, "value": value,
}  # fmt: skip
ON_SPIKES = frozenset({"rate", "rate_mse", "latency"})
"""Losses that need classes which spike"""

"""What a neuron does in one step: leaky, adaptive, recurrent and synaptic integrate-and-fire.

With ``I[t] = W x[t] + b`` and everything at rest before the first step::

    i[t] = synapse i[t-1] + I[t] + R s[t-1]           (synapse 0: i = I + R s)
    h[t] = carry(h[t-1], s[t-1]) + i[t]
    s[t] = [h[t] > theta + kappa a[t]],   a[t] = rho a[t-1] + s[t-1]

    reset     carry(h, s)                        spikes where
    delayed   beta h - theta s                   h >  threshold    (snnTorch Leaky, "subtract")
    subtract  beta (h - theta s)                 h >= threshold    (SpikingJelly, soft reset)
    zero      beta (h (1 - s) + rest s)          h >= threshold    (SpikingJelly, hard reset)
    none      beta h                             h >  threshold

Weights learnt with one reset mean something else with another: a delayed reset does not decay.
Adaptation after Bellec et al. 2018.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rheobase.models.spiking.surrogate import SURROGATES

Reset = Literal["delayed", "subtract", "zero", "none"]
RESETS = ("delayed", "subtract", "zero", "none")
LEAKS = (0.01, 0.999)
"""Where a learnt decay is kept."""


def decay(tau_s: float, step_s: float) -> float:
    """Return what is left after one step, ``exp(-step / tau)``; both in seconds."""
    if tau_s <= 0 or step_s <= 0:
        raise ValueError(f"tau {tau_s} s and step {step_s} s must both be above 0")
    return math.exp(-step_s / tau_s)


@dataclass(frozen=True)
class Cell:
    """One kind of neuron, without its weights and its decay."""

    theta: float = 1.0
    reset: Reset = "delayed"
    rest: float = 0.0
    """Where ``zero`` resets to"""
    kappa: float = 0.0
    """How much a spike raises the threshold; 0: no adaptation"""
    rho: float = 0.9
    """What is left of the adaptation after a step"""
    synapse: float = 0.0
    """What is left of the current after a step"""
    surrogate: str = "atan"
    width: float | None = None
    """Constant of the surrogate; None: its default"""
    detach_reset: bool = True
    """Whether the backward pass ignores that a spike resets, as snnTorch does"""

    def __post_init__(self) -> None:
        if self.theta <= 0:
            raise ValueError(f"theta is {self.theta}; a threshold must be above 0")
        if self.reset not in RESETS:
            raise ValueError(f"reset is {self.reset!r}; it must be one of {', '.join(RESETS)}")
        if self.surrogate not in SURROGATES:
            known = ", ".join(SURROGATES)
            raise ValueError(f"surrogate is {self.surrogate!r}; it must be one of {known}")
        if self.width is not None and self.width <= 0:
            raise ValueError(f"width is {self.width}; a surrogate's width must be above 0")
        for name in ("rho", "synapse"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie in [0, 1)")
        if self.kappa < 0:
            raise ValueError(f"kappa is {self.kappa}; adaptation must be 0 or more")

    @property
    def inclusive(self) -> bool:
        """Return whether a membrane that just reaches the threshold spikes."""
        return self.reset in ("subtract", "zero")

    @property
    def linear_backward(self) -> bool:
        """Return whether gradients of the membrane follow a linear recursion."""
        return self.kappa == 0 and (self.detach_reset or self.reset == "none")

    def fire(self, h: Tensor, threshold: Tensor | float, out: Tensor | None = None) -> Tensor:
        """Return spikes, 0 or 1, in the type of ``h``; ``out`` may be given."""
        out = torch.empty_like(h) if out is None else out
        return (torch.ge if self.inclusive else torch.gt)(h, threshold, out=out)

    def slope(self, h: Tensor, threshold: Tensor | float) -> Tensor:
        """Return the surrogate derivative of spikes by the membrane."""
        function, usual = SURROGATES[self.surrogate]
        return function(h - threshold, usual if self.width is None else self.width)


def checked_decay(beta: float) -> float:
    """Return a decay after checking that it lies in (0, 1]; 1 is a neuron that never forgets."""
    if not 0 < beta <= 1:
        raise ValueError(f"beta is {beta}; the decay of a step must lie above 0, at most 1")
    return beta

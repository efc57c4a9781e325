"""How states are fitted: what is believed before the data, and when to stop."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Prior:
    """What is believed before the data; 0 everywhere is plain maximum likelihood."""

    covariance: float | None = None
    """nu, samples of the pooled diagonal covariance in each state; None: D + 2."""
    transitions: float | None = None
    """Transitions of each kind, and beginnings in each state; None: 1/K."""
    sticky: float = 10.0
    """Further transitions from each state to itself."""
    symbols: float = 0.5
    """Symbols of each kind in each state."""
    ridge: float = 1e-3
    """Penalty of autoregressions over the mean variance of a regressor."""


@dataclass(frozen=True)
class Stop:
    """When EM ends."""

    iterations: int = 200
    tolerance: float = 1e-5
    """Relative change of the objective, ``patience`` times in a row."""
    patience: int = 3

"""How states are fitted: what is believed before the data, when to stop; how they are emulated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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


SIZES = ("units", "noise", "batch", "moment_steps", "steps")
"""What may be given instead of what the schedule says."""


@dataclass(frozen=True)
class Emulators:
    """How networks that emulate the chain of states are made, and how they are judged."""

    members: int = 3
    """Networks, drawn from the fit's seed."""
    schedule: Literal["tiny", "demo", "fast", "standard", "paper"] = "fast"
    """Sizes and steps of training: docs/hmm_rnn.md."""
    units: int | None = None
    noise: int | None = None
    """Noise inputs"""
    batch: int | None = None
    """Sequences a step of training"""
    moment_steps: int | None = None
    """Steps of training on moments alone; None, here and above: as the schedule says."""
    steps: int | None = None
    """Steps of training with the divergence too"""
    symbols: Literal["state", "codebook"] = "state"
    """``state``: which state it is; ``codebook``: which centre of k-means is nearest."""
    codes: int | None = None
    """Symbols of the codebook; None: as many as states."""
    stay_steps: float = 15.0
    """Paths are thinned so that a stay lasts so many steps, on average."""
    length: int | None = None
    """Steps of a sequence; None: five mean stays, 30 to 150 (demo: to 60)."""
    sequences: int = 1024
    """Sequences that networks are judged by."""
    repeats: int = 20
    """Times that the chain's own sequences are judged in the same way."""
    analysis: Literal["tiny", "demo", "standard", "none"] = "standard"
    """How much is simulated to see what networks do inside."""

    def __post_init__(self) -> None:
        least = {"members": 1, "sequences": 32, "repeats": 2}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ValueError(f"hmm_rnn: emulator.{name} is {getattr(self, name)}; give {low} "
                                 "or more")  # fmt: skip
        own = {name: getattr(self, name) for name in SIZES}
        for name, value in own.items():
            if value is not None and value < 1:
                raise ValueError(f"hmm_rnn: emulator.{name} is {value}; give 1 or more, or null")
        if self.stay_steps < 2:
            raise ValueError(f"hmm_rnn: emulator.stay_steps is {self.stay_steps}; give 2 or more")
        if self.length is not None and not 20 <= self.length <= 1000:
            raise ValueError(f"hmm_rnn: emulator.length is {self.length}; give 20 to 1000 steps, "
                             "or null")  # fmt: skip
        if self.codes is not None and (self.symbols == "state" or not 2 <= self.codes <= 12):
            raise ValueError(f"hmm_rnn: emulator.codes is {self.codes}; give 2 to 12, with symbols "
                             "codebook, or null")  # fmt: skip

"""Hyperparameters that belong together, and what they mean for recordings of one rate."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rheobase.models.spiking import Spiking
    from rheobase.models.spiking.cells import Cell
    from rheobase.models.spiking.train import Schedule
    from rheobase.recording import Recording

EMG_WINDOW_S, EMG_HOP_S, EMG_TRIM_S, EMG_BIN_S = 0.2, 0.05, 0.5, 0.004
FMRI_WINDOW_S, OTHER_WINDOW = 15.0, 50
HOPS = 10
"""Windows that are not EMG begin every tenth of a window"""
TAU_STEPS = 10
LEAST_STEPS = 5


@dataclass(frozen=True)
class Neuron:
    """What the hidden units are; equations in ``cells``."""

    tau_s: float | None = None
    """Time constant of membranes; None: ten steps"""
    theta: float = 1.0
    reset: Literal["delayed", "subtract", "zero", "none"] = "delayed"
    adaptation: float = 0.0
    """How much a spike raises the threshold (kappa)"""
    adaptation_keep: float = 0.9
    """What is left of that after a step (rho)"""
    synapse: float = 0.0
    """What is left of an input current after a step"""
    surrogate: str = "atan"
    detach_reset: bool = True
    recurrent: bool = False
    learn_decay: bool = False

    def __post_init__(self) -> None:
        if self.tau_s is not None and self.tau_s <= 0:
            raise ValueError(f"spiking: neuron.tau_s is {self.tau_s}; give a time above 0, or null")
        if self.theta <= 0:
            raise ValueError(f"spiking: neuron.theta is {self.theta}; it must be above 0")
        if self.adaptation < 0 or not 0 <= self.adaptation_keep < 1 or not 0 <= self.synapse < 1:
            raise ValueError(
                "spiking: neuron.adaptation must be 0 or more, adaptation_keep and synapse in "
                f"[0, 1); they are {self.adaptation}, {self.adaptation_keep} and {self.synapse}"
            )

    def cell(self) -> Cell:
        """Return the unit as the layers know it; refuses a surrogate that they do not know."""
        from rheobase.models.spiking.cells import Cell

        return Cell(
            theta=self.theta, reset=self.reset, kappa=self.adaptation, rho=self.adaptation_keep,
            synapse=self.synapse, surrogate=self.surrogate, detach_reset=self.detach_reset,
        )  # fmt: skip


@dataclass(frozen=True)
class Training:
    """How long and how fast; chosen here."""

    epochs: int = 12
    """Of the spiking, the convolutional and the recurrent network alike"""
    updates: int = 600
    """At least so many batches: few windows are gone through more often"""
    batch: int = 64
    rate: float = 2e-3
    decay: float = 1e-3
    patience: int = 5
    loss: Literal["anytime", "max_membrane", "rate", "rate_mse"] = "anytime"
    spikes: float = 0.5
    """Penalty on the mean rate"""

    def __post_init__(self) -> None:
        if min(self.epochs, self.updates, self.batch, self.patience) < 1 or not self.rate > 0:
            raise ValueError(
                "spiking: training.epochs, updates, batch and patience must each be 1 or more and "
                "rate above 0"
            )

    def for_windows(self, count: int) -> Training:
        """Return the epochs, and the patience in proportion, that ``count`` windows need."""
        batches = math.ceil(count / self.batch)
        epochs = max(self.epochs, math.ceil(self.updates / batches))
        patience = max(self.patience, round(self.patience * epochs / self.epochs))
        return replace(self, epochs=epochs, patience=patience)

    def schedule(self, loss: str | None = None) -> Schedule:
        """Return what training is told; ``loss`` instead of the one that is set."""
        from rheobase.models.spiking.losses import Weights
        from rheobase.models.spiking.train import Schedule

        return Schedule(
            epochs=self.epochs, batch=self.batch, rate=self.rate, decay=self.decay,
            patience=self.patience, loss=loss or self.loss, weights=Weights(rate=self.spikes),
        )  # fmt: skip


@dataclass(frozen=True)
class Stopping:
    """When an answer may be given before the window is over."""

    loss: float = 0.005
    """Accuracy that it may cost on the validation part"""
    bounded: bool = True
    """Whether the upper bound of that cost over trials counts instead"""
    rule: Literal["probability", "margin", "entropy"] = "probability"
    patience: int = 1
    """Steps in a row that must be sure"""

    def __post_init__(self) -> None:
        if not 0 <= self.loss < 1 or self.patience < 1:
            raise ValueError(
                f"spiking: stopping.loss is {self.loss} and patience {self.patience}; give a share "
                "of 0 or more, and 1 or more"
            )


@dataclass(frozen=True)
class Scale:
    """The model's times for one kind of recording."""

    rate: float
    width: int
    """Samples of a window"""
    window_s: float
    hop_s: float
    trim_s: float
    delay: int
    """Samples that the signal lags behind the label"""
    bin: int
    """Samples of a step"""
    encoder: str
    time_unit: str
    emg: bool

    @property
    def features(self) -> int:
        """Return how many features a channel has for the rivals that read some."""
        return 5 if self.emg else 3

    @property
    def steps(self) -> int:
        return self.width // self.bin

    @property
    def step_s(self) -> float:
        return self.bin / self.rate

    @property
    def step(self) -> tuple[float, str]:
        """Return the time of a step and its unit, as readers are told."""
        if self.time_unit == "s" and self.step_s < 0.1:
            return 1000 * self.step_s, "ms"
        return self.step_s, self.time_unit


def scale_of(model: Spiking, recording: Recording) -> Scale:
    """Return windows, steps and encoder for recordings like this one.

    Raises ``ValueError`` where a window holds fewer than five steps.
    """
    emg, rate = recording.modality == "emg", recording.rate
    usual = OTHER_WINDOW / rate
    if recording.modality in ("emg", "fmri"):
        usual = EMG_WINDOW_S if emg else FMRI_WINDOW_S
    window = usual if model.window_s is None else model.window_s
    width = max(round(window * rate), 1)
    if model.hop_s is not None:
        hop = model.hop_s
    else:
        hop = EMG_HOP_S if emg else max(width // HOPS, 1) / rate
    trim = model.trim_s if model.trim_s is not None else (EMG_TRIM_S if emg else 0.0)
    wanted = model.bin_s if model.bin_s is not None else (EMG_BIN_S if emg else 0.0)
    size = max(math.floor(wanted * rate + 1e-9), 1)
    encoder = model.encoder
    if encoder == "auto":
        encoder = "delta" if emg else "current"
    if width // size < LEAST_STEPS:
        raise ValueError(
            f"{recording.name}: a window of {window:g} {recording.time_unit} holds {width // size} "
            f"steps of {size / rate:g} {recording.time_unit}; give {LEAST_STEPS} or more by a "
            "longer window_s or a shorter bin_s"
        )
    return Scale(rate, width, window, hop, trim, round(model.delay_s * rate), size, encoder,
                 recording.time_unit, emg)  # fmt: skip

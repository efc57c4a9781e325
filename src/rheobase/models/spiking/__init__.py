"""Spiking networks that tell the label of a window, and may answer before the window is over.

Arrays of simulations are (step, example, feature) throughout. ``cells``, ``layer``, ``network``,
``losses`` and ``train`` are the network, ``encode`` makes events, ``confidence`` stops early,
``cost`` counts operations, ``rivals`` stand beside it.

The family is ``Spiking``: ``learn`` fits it on windows that ``taken`` cuts, ``hold`` sets a
validation part aside, ``kept`` stores and restores a fit, ``probe`` runs it on the test part,
``score`` and ``figures`` tell what came out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from rheobase.models.base import Drawing, Fitted, Placed, Score
from rheobase.models.spiking.settings import Neuron, Stopping, Training
from rheobase.recording import Recording


@dataclass(frozen=True)
class Spiking:
    """Networks of spiking units that tell a label from events, and stop as soon as they are sure.

    Trained with surrogate gradients (Neftci et al. 2019), stopped by confidence (Li et al. 2023);
    defaults and where they come from: docs/spiking.md.
    """

    hidden: tuple[int, ...] = (128, 128)
    """Units of each layer"""
    encoder: Literal[
        "auto", "delta", "direct", "both", "current", "crossing", "rate", "latency"
    ] = "auto"
    """What the network is given; auto: ``delta`` for EMG, else ``current``"""
    delta: float | None = 0.7
    """Send-on-delta: how far a channel moves for an event, in its standard deviations; None: as far
    as gives ``event_rate`` on training windows"""
    event_rate: float = 0.1
    """Events a sample and channel, where ``delta`` is None"""
    bin_s: float | None = None
    """Time of a step; None: 4 ms for EMG, at least a sample, else a sample"""
    window_s: float | None = None
    """None: 0.2 s for EMG, 15 s for fMRI, else 50 samples"""
    hop_s: float | None = None
    """From window to window; None: 50 ms for EMG, else a tenth of a window"""
    trim_s: float | None = None
    """Left out after each switch of a label over time; None: 0.5 s for EMG, else 0"""
    delay_s: float = 0.0
    """How far the signal lags behind the label; 5 s or so for fMRI"""
    ignore_labels: tuple[str, ...] = ()
    windows: int = 16_000
    """At most so many training windows, classes alike, evenly over time"""
    neuron: Neuron = field(default_factory=Neuron)
    training: Training = field(default_factory=Training)
    stopping: Stopping = field(default_factory=Stopping)
    gain_over_time: bool = False
    """One learned gain a step and layer"""
    permutations: int = 1000
    """Draws of the null of decoding"""

    modalities: ClassVar[frozenset[str]] = frozenset({"fmri", "calcium", "emg", "series"})
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "demo": {
            "hidden": (64, 64), "windows": 4000, "permutations": 100,
            "training": {"epochs": 8, "updates": 300},
        },
        "small": {"hidden": (64, 64), "windows": 8000, "permutations": 200},
        "standard": {},
    }  # fmt: skip
    views: ClassVar[dict[str, str]] = {}
    resume: ClassVar[bool] = True
    needs_label: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"spiking: hidden is {list(self.hidden)}; give sizes of 1 or more")
        for name in ("delta", "bin_s", "window_s", "hop_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"spiking: {name} is {value}; give a number above 0, or null")
        if self.trim_s is not None and self.trim_s < 0:
            raise ValueError(f"spiking: trim_s is {self.trim_s}; give 0 or more, or null")
        if self.delay_s < 0 or not self.event_rate > 0:
            raise ValueError(
                f"spiking: delay_s is {self.delay_s} and event_rate {self.event_rate}; give 0 or "
                "more, and a number above 0"
            )
        for name in ("windows", "permutations"):
            if getattr(self, name) < 1:
                raise ValueError(f"spiking: {name} is {getattr(self, name)}; give 1 or more")

    def fit(
        self, train: Sequence[Recording], *, seed: int, device: str = "cpu",
        checkpoint: Path | None = None,
    ) -> Fitted:  # fmt: skip
        """Return the network, when it may stop, and all rivals, trained on the same windows."""
        from rheobase.models.spiking import learn

        return learn.fit_training(self, train, seed=seed, device=device, checkpoint=checkpoint)

    def evaluate(self, fitted: Fitted, test: Sequence[Recording]) -> list[Score]:
        """Return decoding, early answers, and what they cost."""
        from rheobase.models.spiking import score

        return score.scores(self, fitted, test)

    def figures(self, fitted: Fitted, test: Sequence[Recording]) -> dict[str, Drawing]:
        """Return drawings of the answers, of their times, of spikes and of operations."""
        from rheobase.models.spiking import figures

        return figures.draw(self, fitted, test)

    @staticmethod
    def across(fits: Sequence[Placed]) -> dict[str, Drawing]:
        """Return what early answers were promised to cost in each fit."""
        from rheobase.models.spiking import figures

        return figures.across(fits)

    @staticmethod
    def methods(settings: Mapping[str, Any], cite: Any, **told: Any) -> list[str]:
        """Return sentences for the methods text of a report."""
        from rheobase.models.spiking.methods import sentences

        return sentences(settings, cite, **told)

"""Hidden Markov models, and networks that emulate them.

The engine: ``hmm`` (models), ``em``, ``scan``, ``emissions``, ``select`` (how many states),
``stats``, ``rates`` and ``jump_checks`` (rates of switching). The family ``HMMRNN``: ``front``
makes what states see, ``learn`` fits, ``memoryless`` and ``surrogates`` are the rivals, ``score``
the test part. Networks that emulate the chain (``emulate``): ``symbols`` and ``targets`` make the
chain, ``network``, ``losses`` and ``train`` the networks, ``emulation`` and ``gate`` judge them,
``reverse`` takes them apart; ``emulators`` and ``emulated`` bring them into a fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from rheobase.models.base import Drawing, Fitted, Placed, Score
from rheobase.models.hmm_rnn.settings import Emulators, Prior, Stop
from rheobase.recording import Recording

COUNTS = ("restarts", "order", "half")


@dataclass(frozen=True)
class HMMRNN:
    """States that a recording visits, how long it stays and how often it switches.

    Equations and where defaults come from: docs/hmm_rnn.md.
    """

    emission: Literal["auto", "gaussian", "ar", "tde"] = "auto"
    """``auto``: Gaussian; ``ar``: each state its own dynamics; ``tde``: covariance over lags"""
    cov: Literal["auto", "full", "diag", "tied", "spherical", "zero-mean-full"] = "auto"
    """Of Gaussian states; ``auto``: zero-mean-full (states of connectivity) for fMRI, else full"""
    order: int = 1
    """Lags of ``ar``"""
    half: int = 7
    """Lags of ``tde``, to both sides"""
    embedded: int | None = None
    """Components of ``tde``; None: up to min(80, 2D) for 95 % of the variance"""
    states: int | Literal["auto"] = "auto"
    grid: tuple[int, ...] = (2, 3, 4, 6, 8, 10, 12)
    """Numbers of states that ``auto`` chooses from"""
    folds: int = 5
    """Inner folds of the training part for that choice"""
    restarts: int = 10
    dwell_s: float | None = None
    """Expected stay at the start of EM; None: 10 samples"""
    prior: Prior = field(default_factory=Prior)
    stop: Stop = field(default_factory=Stop)
    precision: Literal["exact", "fast"] = "exact"
    components: int | None = None
    """Most principal components of the channels; None: 50 (fMRI), 30 (calcium, series), 16 (EMG),
    and none up to 16 channels"""
    variance: float = 0.9
    """Share that components hold, if fewer do"""
    transform_of: Literal["auto", "none", "sqrt"] = "auto"
    """``auto``: root of EMG envelopes and of deconvolved calcium"""
    drop_constant: bool = False
    surrogates: int = 20
    """Phase-randomised copies of the training part that the same model is fitted to"""
    rate_samples: int = 20_000
    """Samples that rates of switching are fitted to, at most; 0: no rates"""
    label: bool = True
    """Whether states are compared with a label of classes"""
    ignore_labels: tuple[str, ...] = ()
    label_delay_s: float = 0.0
    """How far the signal lags behind the label"""
    trim_s: float = 0.5
    """Left out after each switch of a label over time (EMG)"""
    permutations: int = 1000
    emulate: bool = False
    """Whether networks are trained to emulate the chain of states, and taken apart"""
    emulator: Emulators = field(default_factory=Emulators)

    resume: ClassVar[bool] = True
    modalities: ClassVar[frozenset[str]] = frozenset({"fmri", "calcium", "emg", "series"})
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "demo": {"grid": (2, 3, 4, 6), "folds": 3, "restarts": 3, "components": 10,
                 "surrogates": 5, "rate_samples": 5000, "permutations": 200,
                 "emulator": {"members": 1, "schedule": "demo", "sequences": 512, "repeats": 5,
                              "analysis": "demo"}},
        "tiny": {"grid": (2, 3, 4), "folds": 3, "restarts": 2, "components": 6,
                 "surrogates": 3, "rate_samples": 2000, "permutations": 100,
                 "stop": {"iterations": 60},
                 "emulator": {"members": 1, "schedule": "tiny", "sequences": 128, "repeats": 3,
                              "analysis": "tiny"}},
        "small": {"grid": (2, 3, 4, 6, 8), "restarts": 5, "components": 20,
                  "rate_samples": 10_000},
        "standard": {},
    }  # fmt: skip
    views: ClassVar[dict[str, str]] = {"emg": "envelope"}

    def __post_init__(self) -> None:
        for name in COUNTS:
            if getattr(self, name) < 1:
                raise ValueError(f"hmm_rnn: {name} is {getattr(self, name)}; give 1 or more")
        for name in ("surrogates", "rate_samples", "permutations", "label_delay_s", "trim_s"):
            if getattr(self, name) < 0:
                raise ValueError(f"hmm_rnn: {name} is {getattr(self, name)}; give 0 or more")
        tried = self.grid if self.states == "auto" else (self.states,)
        if not tried or min(tried) < 2 or max(tried) > 50 or len(set(tried)) < len(tried):
            name = "grid" if self.states == "auto" else "states"
            said = list(tried) if self.states == "auto" else self.states
            raise ValueError(f"hmm_rnn: {name} is {said}; give different numbers from 2 to 50"
                             if name == "grid" else
                             f"hmm_rnn: {name} is {said}; give 2 to 50 states")  # fmt: skip
        if self.folds < 2:
            raise ValueError(f"hmm_rnn: folds is {self.folds}; give 2 or more")
        if not 0 < self.variance <= 1:
            raise ValueError(f"hmm_rnn: variance is {self.variance}; it must be above 0, at most 1")
        if self.components is not None and self.components < 1:
            raise ValueError(f"hmm_rnn: components is {self.components}; give 1 or more, or null")

    @property
    def tried(self) -> tuple[int, ...]:
        """Return the numbers of states that are tried, rising."""
        return tuple(sorted(self.grid)) if self.states == "auto" else (int(self.states),)

    def fit(
        self, train: Sequence[Recording], *, seed: int, device: str = "cpu",
        checkpoint: Path | None = None,
    ) -> Fitted:  # fmt: skip
        """Return states with their number chosen in inner folds, rates, rivals, and emulators.

        ``checkpoint``: where the training of emulators is kept, and goes on after a stop.
        """
        from rheobase.models.hmm_rnn import learn

        return learn.fit_training(self, train, seed=seed, device=device, checkpoint=checkpoint)

    def evaluate(self, fitted: Fitted, test: Sequence[Recording]) -> list[Score]:
        """Return the log-likelihood of held-out samples, what switching adds to it, how alike two
        halves of the training part see the test part, and states beside a label.
        """
        from rheobase.models.hmm_rnn import score

        return score.scores(self, fitted, test)

    def figures(self, fitted: Fitted, test: Sequence[Recording]) -> dict[str, Drawing]:
        """Return drawings of the states, when they are visited, and how they switch."""
        from rheobase.models.hmm_rnn import figures

        return figures.draw(self, fitted, test)

    def transform(self, fitted: Fitted, recordings: Sequence[Recording]) -> list[Recording]:
        """Return the probability of each state over time, one recording for each.

        With the most likely path as ``state``, 1 to K. Samples that states cannot be told of are 0
        and not valid.
        """
        from rheobase.models.hmm_rnn import output

        return output.recordings(self, fitted, recordings)

    @staticmethod
    def across(fits: Sequence[Placed]) -> dict[str, Drawing]:
        """Return how alike the states of several fits are."""
        from rheobase.models.hmm_rnn import agreement

        return agreement.across(fits)

    @staticmethod
    def methods(settings: Mapping[str, Any], cite: Any, **told: Any) -> list[str]:
        """Return sentences for the methods text of a report."""
        from rheobase.models.hmm_rnn.methods import sentences

        return sentences(settings, cite, **told)

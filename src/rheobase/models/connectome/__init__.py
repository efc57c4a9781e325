"""Dynamic functional connectomes: tensor factorisation of pairwise affinities over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from rheobase.models.base import Drawing, Fitted, Placed, Score
from rheobase.models.connectome.kernels import RANK_FORMS
from rheobase.models.connectome.settings import (
    ALIGNMENTS,
    AffinitySettings,
    CommunitySettings,
    Factorisation,
    NullSettings,
    choose,
    least,
)
from rheobase.recording import Recording


@dataclass(frozen=True)
class Connectome:
    """Who moves together, when, and in whom: ``X[ij, s, t] ~ sum_r A_r,ij B_rt C_rs``, all >= 0.

    Inspired by Dyballa et al. (ICLR 2024, arXiv 2402.14102), which gives no formula for its
    affinity: definitions and defaults are chosen here. See docs/connectome.md.
    """

    affinity: AffinitySettings = AffinitySettings()
    alignment: str = "auto"
    """Of recordings in time: ``auto``, ``absolute``, ``event_locked`` or ``concatenated``"""
    events: str | None = None
    """Per-sample array that names events; None takes a class label that changes over time"""
    before_s: float = 5.0
    """Of an event-locked window"""
    after_s: float = 20.0
    allow_misaligned: bool = False
    """Whether ``absolute`` may stand although events come at different times"""
    same_cells: bool = False
    """Whether cells that have numbers instead of names are the same in all animals"""
    ntf: Factorisation = Factorisation()
    communities: CommunitySettings = CommunitySettings()
    null: NullSettings = NullSettings()
    permutations: int = 20
    """Draws of shifted neurons for the chance of what is explained"""
    label: bool = True
    """Whether a label is decoded from the components"""
    label_permutations: int = 1000
    ignore_labels: tuple[str, ...] = ()
    """Classes of a label that are no events and are not decoded, such as rest"""

    modalities: ClassVar[frozenset[str]] = frozenset({"fmri", "calcium", "emg", "series"})
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "demo": {
            "ntf": {"ranks": (2, 4, 6), "restarts": 4, "keep": 2, "max_iter": 60,
                    "holdout_folds": 2},
            "null": {"n": 20, "starts": 1, "max_iter": 30},
            "communities": {"mcmc": 50}, "permutations": 20, "label_permutations": 100,
        },
        "standard": {},
    }  # fmt: skip
    views: ClassVar[dict[str, str]] = {"emg": "envelope"}
    resume: ClassVar[bool] = True

    def __post_init__(self) -> None:
        choose("alignment", self.alignment, ALIGNMENTS)
        for name in ("before_s", "after_s", "permutations", "label_permutations"):
            least(name, getattr(self, name), 0)
        if not self.before_s + self.after_s > 0:
            raise ValueError("connectome: before_s and after_s are both 0; give a window")
        if self.ntf.path == "implicit" and self.affinity.kernel not in RANK_FORMS:
            raise ValueError(
                f"connectome: affinity.kernel {self.affinity.kernel} has no rank form, which "
                "ntf.path implicit needs; take path auto"
            )

    @property
    def own_cells(self) -> bool:
        """Whether animals may lack cells: where the alignment sets them beside each other."""
        return self.alignment in ("absolute", "event_locked")

    def fit(
        self,
        train: Sequence[Recording],
        *,
        seed: int,
        device: str = "cpu",
        checkpoint: Path | None = None,
    ) -> Fitted:
        """Return components, their tests and communities, and the rivals.

        ``checkpoint`` is where finished ranks and null draws are kept.
        """
        from rheobase.models.connectome import learn

        return learn.fit_training(self, train, seed=seed, device=device, keep=checkpoint)

    def evaluate(self, fitted: Fitted, test: Sequence[Recording]) -> list[Score]:
        """Return decoding (first where there is a label), what is explained, events, communities.

        All with the patterns held fixed.
        """
        from rheobase.models.connectome import score

        return score.scores(self, fitted, test)

    def figures(self, fitted: Fitted, test: Sequence[Recording]) -> dict[str, Drawing]:
        """Return drawings of an example pair, the ranks, every component and the null."""
        from rheobase.models.connectome import figures

        return figures.draw(self, fitted, test)

    def transform(self, fitted: Fitted, recordings: Sequence[Recording]) -> list[Recording]:
        """Return the course of every component, one recording for each, at one sample a bin.

        By non-negative least squares with the patterns held fixed, for recordings of the training
        part and others alike. Bins that nothing was observed in are 0 and not valid.
        """
        from rheobase.models.connectome import output

        return output.recordings(self, fitted, recordings)

    @staticmethod
    def across(fits: Sequence[Placed]) -> dict[str, Drawing]:
        """Return how alike the components of several fits are."""
        from rheobase.models.connectome import agreement

        return agreement.across(fits)

    @staticmethod
    def methods(settings: Mapping[str, Any], cite: Any, **told: Any) -> list[str]:
        """Return sentences for the methods text of a report."""
        from rheobase.models.connectome.methods import sentences

        return sentences(settings, cite, **told)

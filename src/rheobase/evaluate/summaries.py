"""What is known of one score of one model over all folds and seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rheobase.evaluate.statistics import Interval
from rheobase.evaluate.words import spoken

Place = Literal["first", "question", "further"]


@dataclass(frozen=True)
class Comparison:
    """A model's score minus the same score of one rival, paired over folds."""

    rival: str
    rival_mean: float
    rival_folds: tuple[float | None, ...]
    """Per fold of the model, seeds averaged; None where the rival has no value."""
    difference: float
    """Mean over folds, turned so that a positive number means the model is better."""
    interval: Interval | None
    """None below three folds."""
    p_value: float | None
    """Two-sided, uncorrected."""
    p_holm: float | None
    headline: bool
    """First score of the model against its best rival."""
    fold_differences: tuple[float, ...] = ()
    """The differences behind the mean, of the folds where the rival has a value."""

    @property
    def label(self) -> str:
        """Return the rival's name as it is written in a sentence."""
        return spoken(self.rival)

    @property
    def ahead(self) -> int:
        """Return in how many folds the model is ahead of the rival."""
        return sum(gap > 0 for gap in self.fold_differences)

    @property
    def behind(self) -> int:
        """Return in how many folds the model is behind the rival."""
        return sum(gap < 0 for gap in self.fold_differences)


@dataclass(frozen=True)
class Chance:
    """A model's score against chance."""

    level: float
    p_value: float | None
    p_holm: float | None
    rule: str
    """``permutation`` (folds averaged draw by draw), ``combined`` (twice the median p of fits that
    kept no draws), ``t`` (folds against chance) or ``none``."""
    least_p: float | None = None
    """The smallest p that these draws and units allow; None where no draws were kept."""
    testable: bool = True
    """Whether that smallest p, corrected, is below 0.05: else no result could be above chance."""


@dataclass(frozen=True)
class ScoreSummary:
    """One score of one model over all folds and seeds."""

    model: str
    name: str
    unit: str
    higher_is_better: bool
    folds: tuple[int, ...]
    fold_values: tuple[float, ...]
    mean: float
    interval: Interval | None
    seeds: int
    seed_spread: float | None
    """Standard deviation over seeds, averaged over folds; None with one seed."""
    chance: Chance | None
    comparisons: tuple[Comparison, ...]
    """Best rival (by its mean over folds) first."""
    missing: int
    """Fits whose value is undefined and therefore left out."""
    notes: tuple[str, ...]
    cautions: tuple[str, ...] = ()
    """What speaks against believing the score; among the notes too."""
    title: str = ""
    """The name that the family gives to readers; empty where it gives none."""
    question: str = ""
    """What is asked: the family's word, or the first word of the name."""
    place: Place = "further"
    """``first`` of the model, first of a further ``question``, or ``further``."""

    @property
    def label(self) -> str:
        """Return the score's name as it is written in a sentence."""
        return self.title or spoken(self.name)

"""Models of one dataset side by side, on the scores that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rheobase.evaluate.statistics import Interval, corrected_t, holm
from rheobase.evaluate.summaries import ScoreSummary


@dataclass(frozen=True)
class Duel:
    """The best model of a shared score against the next one, paired over the folds of both."""

    better: str
    other: str
    difference: float
    """Mean over shared folds; positive."""
    interval: Interval | None
    p_value: float | None
    p_holm: float | None
    """Corrected over the shared scores of the dataset."""


@dataclass(frozen=True)
class SharedScore:
    """One score that at least two models report."""

    name: str
    unit: str
    higher_is_better: bool
    models: tuple[ScoreSummary, ...]
    """Best mean first."""
    duel: Duel | None
    """None where the two best share no fold."""

    @property
    def label(self) -> str:
        """Return the score's name as it is written in a sentence."""
        return self.models[0].label


def side_by_side(
    summaries: Mapping[str, Sequence[ScoreSummary]], *, ratio: float | None = None
) -> tuple[SharedScore, ...]:
    """Return the scores that several models report in the same unit, models ordered by their mean.

    ``ratio`` is n_test / n_train of the splits.
    """
    groups: dict[tuple[str, str, bool], list[ScoreSummary]] = {}
    for scores in summaries.values():
        for score in scores:
            groups.setdefault((score.name, score.unit, score.higher_is_better), []).append(score)
    shared = []
    for (name, unit, higher), members in groups.items():
        if len(members) > 1:
            ranked = sorted(
                members, key=lambda s: (-s.mean if s.higher_is_better else s.mean, s.model)
            )
            shared.append(
                SharedScore(name, unit, higher, tuple(ranked), _duel(ranked[0], ranked[1], ratio))
            )
    return _correct(shared)


def _duel(first: ScoreSummary, second: ScoreSummary, ratio: float | None) -> Duel | None:
    a, b = (dict(zip(s.folds, s.fold_values, strict=True)) for s in (first, second))
    sign = 1.0 if first.higher_is_better else -1.0
    gaps = [sign * (a[fold] - b[fold]) for fold in sorted(a.keys() & b.keys())]
    if not gaps:
        return None
    interval, p_value = corrected_t(gaps, ratio)
    return Duel(first.model, second.model, float(np.mean(gaps)), interval, p_value, None)


def _correct(shared: Sequence[SharedScore]) -> tuple[SharedScore, ...]:
    tested = [s.duel for s in shared if s.duel is not None and s.duel.p_value is not None]
    corrected = iter(holm([duel.p_value for duel in tested if duel.p_value is not None]))
    result = []
    for score in shared:
        duel = score.duel
        if duel is not None and duel.p_value is not None:
            duel = replace(duel, p_holm=next(corrected))
        result.append(replace(score, duel=duel))
    return tuple(result)

"""The verdict on a dataset: is the data good, which model says something, can it be believed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rheobase.evaluate.lights import Light, belief_light, data_light, model_light
from rheobase.evaluate.statements import Statement, state
from rheobase.evaluate.summaries import ScoreSummary


@dataclass(frozen=True)
class Verdict:
    """The first thing a reader of the report sees."""

    paragraphs: tuple[str, ...]
    """On the data, on each model, and on what speaks against believing it."""
    lights: tuple[Light, Light, Light]
    statements: tuple[Statement, ...]

    @property
    def paragraph(self) -> str:
        """Return the whole verdict in one."""
        return " ".join(self.paragraphs)


def judge(
    *,
    summaries: Mapping[str, Sequence[ScoreSummary]],
    qc: Mapping[str, Mapping[str, Any]],
    group_flags: Mapping[str, Sequence[Mapping[str, str]]],
    excluded: Mapping[str, str],
    shifts: Mapping[int, Mapping[str, Any]],
    folds: int,
    n_recordings: int,
    errors: int = 0,
    seedless: Collection[str] = (),
    subjects: int | None = None,
    by: str = "",
) -> Verdict:
    """Return the verdict on a dataset.

    ``summaries`` has an entry, perhaps empty, for every model asked for; ``qc`` and ``group_flags``
    hold the quality flags by recording, ``shifts`` the distribution shift by fold, ``folds`` the
    number of folds in the splits, ``errors`` the number of jobs that failed, ``seedless`` the
    models that another seed would not change, ``subjects`` how many were recorded (None:
    unknown), ``by`` what a fold leaves out.
    """
    statements = tuple(state(model, scores) for model, scores in summaries.items())
    lights = (
        data_light(qc, group_flags, excluded, n_recordings),
        model_light(statements),
        belief_light(summaries, statements, shifts, folds, errors, seedless, subjects, by),
    )
    models = [s.short for s in statements] or ["No model was run."]
    doubts = [] if lights[2].level == "good" else lights[2].reasons
    paragraphs = (" ".join(lights[0].reasons), *models, " ".join(doubts))
    return Verdict(tuple(filter(None, paragraphs)), lights, statements)

"""Holm's correction within the families of tests of a dataset.

There are five: first scores against their best rival (one a model), the first score of each further
question, all further scores, all comparisons with rivals that are not the best, and all tests
against chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rheobase.evaluate.statistics import LEVEL, holm
from rheobase.evaluate.summaries import ScoreSummary

Key = tuple[str, str, str]
"""Model, score and rival; no rival for chance"""


def corrected(
    summaries: Mapping[str, tuple[ScoreSummary, ...]],
) -> dict[str, tuple[ScoreSummary, ...]]:
    """Return the summaries with corrected p-values, and a note where chance cannot be tested."""
    tests: dict[str, list[tuple[Key, float]]] = {}
    for model, scores in summaries.items():
        for score in scores:
            for i, c in enumerate(score.comparisons):
                if c.p_value is not None:
                    family, p_value = ("rival", c.p_value) if i else (score.place, _chosen_p(score))
                    tests.setdefault(family, []).append(((model, score.name, c.rival), p_value))
            if score.chance is not None and score.chance.p_value is not None:
                tests.setdefault("chance", []).append(
                    ((model, score.name, ""), score.chance.p_value)
                )
    found: dict[Key, float] = {}
    for asked in tests.values():
        found |= dict(zip([k for k, _ in asked], holm([p for _, p in asked]), strict=True))
    return {
        model: tuple(_say(_put(score, found), tests.get("chance", [])) for score in scores)
        for model, scores in summaries.items()
    }


def _chosen_p(score: ScoreSummary) -> float:
    """Return p against the best rival, which was chosen after seeing the scores.

    To be better than all rivals is to be better than the best, so that p stands as it is. Some
    rival is ahead by luck the more often, the more there are: a p of losing is multiplied by their
    number (Bonferroni).
    """
    best = score.comparisons[0]
    assert best.p_value is not None
    tested = sum(c.p_value is not None for c in score.comparisons)
    return best.p_value if best.difference >= 0 else min(1.0, tested * best.p_value)


def _put(score: ScoreSummary, corrected: Mapping[Key, float]) -> ScoreSummary:
    key = (score.model, score.name)
    compared = tuple(replace(c, p_holm=corrected.get((*key, c.rival))) for c in score.comparisons)
    chance = score.chance and replace(score.chance, p_holm=corrected.get((*key, "")))
    return replace(score, comparisons=compared, chance=chance)


def _say(score: ScoreSummary, tests: Sequence[tuple[Key, float]]) -> ScoreSummary:
    """Return the score with a note where even its smallest p, corrected, is not below 0.05."""
    chance = score.chance
    if chance is None or chance.least_p is None or (chance.p_holm or 0) < 1 - LEVEL:
        return score
    at = [key for key, _ in tests].index((score.model, score.name, ""))
    best = holm([chance.least_p if i == at else p for i, (_, p) in enumerate(tests)])[at]
    if best < 1 - LEVEL:
        return score
    note = (
        "chance cannot be tested: with these draws and exchangeable units no corrected p could be "
        f"below {best:.2g}, so give more people, recordings or permutations"
    )
    return replace(score, chance=replace(chance, testable=False), notes=(*score.notes, note))

"""What each model's numbers say, in words chosen by fixed rules.

A model is *better* or *worse* than a rival where the corrected p-value is below 0.05, otherwise
*not distinguishable*; below three folds nothing is tested and the words say so. The headline of a
model is its first score against its best rival (by the mean over folds): the hardest rival to beat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rheobase.evaluate.aggregate import Comparison, ScoreSummary
from rheobase.evaluate.words import interval_text, number, p_text, score_text

ALPHA = 0.05
Outcome = Literal["better", "indistinct", "worse", "untested", "alone"]
WORDS: dict[Outcome, str] = {
    "better": "better than",
    "indistinct": "not distinguishable from",
    "worse": "worse than",
    "untested": "not tested against",
    "alone": "without a rival",
}


@dataclass(frozen=True)
class Statement:
    """What one model's headline says."""

    model: str
    outcome: Outcome | Literal["failed"]
    above_chance: bool | None
    """None where chance is unknown or was not tested."""
    short: str
    """The headline in few numbers, for the first paragraph."""
    headline: str
    """The first score against its best rival, with its interval."""
    details: str = ""
    """Chance and the further scores."""


def outcome(comparison: Comparison | None) -> Outcome:
    """Return which of the words holds for a comparison with a rival."""
    if comparison is None:
        return "alone"
    if comparison.p_holm is None:
        return "untested"
    if comparison.p_holm >= ALPHA:
        return "indistinct"
    return "better" if comparison.difference > 0 else "worse"


def above_chance(score: ScoreSummary) -> bool | None:
    """Return whether a score is above chance (corrected p below 0.05); None where untested."""
    if score.chance is None or score.chance.p_holm is None or not score.chance.testable:
        return None
    ahead = (score.mean > score.chance.level) == score.higher_is_better
    return ahead and score.chance.p_holm < ALPHA


def state(model: str, scores: Sequence[ScoreSummary]) -> Statement:
    """Return the sentences about one model; ``failed`` where it has no score."""
    if not scores:
        text = f"{model} has no result: a job failed or was not run."
        return Statement(model, "failed", None, text, text)
    head = scores[0]
    best = head.comparisons[0] if head.comparisons else None
    result, beats_chance = outcome(best), above_chance(head)
    chance = _chance(head, beats_chance)
    short = _headline(head, best, result, full=False)
    if chance:
        short = f"{short} {chance}"
    details = f"{chance} {_others(scores[1:])}".strip()
    return Statement(
        model, result, beats_chance, short, _headline(head, best, result, full=True), details
    )


def _headline(score: ScoreSummary, best: Comparison | None, result: Outcome, *, full: bool) -> str:
    unit = f" {score.unit}" if score.unit else ""
    value = f"{score.label} {score_text(score.mean)}{unit}"
    if best is None:
        return f"{score.model} reaches {value}, with no rival beside it."
    against = f"{value} against {score_text(best.rival_mean)}{unit}"
    if result == "untested":
        side = (
            "ahead of" if best.difference > 0 else "behind" if best.difference < 0 else "level with"
        )
        few = f"{len(score.folds)} fold{'s' * (len(score.folds) != 1)}"
        return (
            f"{score.model} is on average {side} its best rival, {best.label}: {against}; "
            f"{few} allow no interval and no test."
        )
    verb = {
        "better": "is better than",
        "indistinct": "is not distinguishable from",
        "worse": "loses to",
    }
    numbers = (
        f"advantage {score_text(best.difference)}, 95 % interval {interval_text(best.interval)}; "
    )
    p_value = f"corrected {p_text(best.p_holm)}"
    brackets = f"({numbers if full else ''}{p_value})"
    return f"{score.model} {verb[result]} its best rival, {best.label}: {against} {brackets}."


def _chance(score: ScoreSummary, beats: bool | None) -> str:
    if score.chance is None:
        return ""
    level = number(score.chance.level)
    if beats is None:
        tested = "was not tested" if score.chance.testable else "cannot be tested with so little"
        return f"Chance is {level}; it {tested}."
    if beats:
        return f"It is above chance ({level}; corrected {p_text(score.chance.p_holm)})."
    return (
        f"It is not distinguishable from chance ({level}; corrected {p_text(score.chance.p_holm)})."
    )


def _others(scores: Sequence[ScoreSummary]) -> str:
    results = [outcome(score.comparisons[0]) for score in scores if score.comparisons]
    if not results:
        return ""
    counts = [
        f"{word} the best rival on {n}" for key, word in WORDS.items() if (n := results.count(key))
    ]
    scores_text = f"{len(results)} further score{'s' * (len(results) != 1)}"
    return f"On its {scores_text} it is {', '.join(counts)}."

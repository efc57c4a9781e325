"""What each model's numbers say, in words chosen by fixed rules.

A model is *better* or *worse* than a rival where the corrected p-value is below 0.05. Where it is
not, what was measured is said all the same: *ahead* or *behind* in every fold, else *not
distinguishable*. Below three folds nothing is tested and the words say so. A headline is the first
score of a question against its best rival (by the mean over folds): the hardest rival to beat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rheobase.evaluate.summaries import Comparison, ScoreSummary
from rheobase.evaluate.words import interval_text, number, p_text, score_text

ALPHA = 0.05
Outcome = Literal["better", "ahead", "indistinct", "behind", "worse", "untested", "alone"]
VERBS = {
    "better": "is better than {}",
    "ahead": "is ahead of {} in all {folds} folds",
    "indistinct": "is not distinguishable from {}",
    "behind": "is behind {} in all {folds} folds",
    "worse": "loses to {}",
}
"""What a tested comparison says; ``{}`` is the rival"""


@dataclass(frozen=True)
class Statement:
    """What one model's headlines say."""

    model: str
    outcome: Outcome | Literal["failed"]
    """Of the first score."""
    above_chance: bool | None
    """None where chance is unknown or was not tested."""
    short: str
    """The headline of each question in few numbers, for the first paragraph."""
    headline: str
    """The first score against its best rival, with its interval."""
    details: str = ""
    """Chance, the headlines of further questions, and the further scores counted."""


def outcome(comparison: Comparison | None) -> Outcome:
    """Return which of the words holds for a comparison with a rival."""
    if comparison is None:
        return "alone"
    if comparison.p_holm is None:
        return "untested"
    if comparison.p_holm < ALPHA:
        return "better" if comparison.difference > 0 else "worse"
    folds = len(comparison.fold_differences)
    if folds and folds in (comparison.ahead, comparison.behind):
        return "ahead" if comparison.ahead else "behind"
    return "indistinct"


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
    beats_chance = above_chance(head)
    chance = _chance(head, beats_chance)

    def sentences(*, full: bool) -> tuple[str, str]:
        further = [_question(s, full=full) for s in scores[1:] if s.place == "question"]
        return _headline(head, full=full), " ".join(filter(None, [chance, *further]))

    headline, details = sentences(full=True)
    return Statement(
        model,
        outcome(best),
        beats_chance,
        " ".join(sentences(full=False)).strip(),
        headline,
        f"{details} {_others(scores[1:])}".strip(),
    )


def _headline(score: ScoreSummary, *, full: bool) -> str:
    if not score.comparisons:
        unit = f" {score.unit}" if score.unit else ""
        value = f"{score.label} {score_text(score.mean)}{unit}"
        return f"{score.model} reaches {value}, with no rival beside it."
    return f"{score.model} {_against_best(score, f'{score.label} ', full=full)}"


def _question(score: ScoreSummary, *, full: bool) -> str:
    """Return the headline of a further question; empty without a rival."""
    if not score.comparisons:
        return ""
    return f"On {score.label} it {_against_best(score, '', full=full)}"


def _against_best(score: ScoreSummary, name: str, *, full: bool) -> str:
    """Return what follows the model: how it stands against the best rival, with the numbers."""
    best = score.comparisons[0]
    result = outcome(best)
    unit = f" {score.unit}" if score.unit else ""
    against = f"{name}{score_text(score.mean)}{unit} against {score_text(best.rival_mean)}{unit}"
    if result == "untested":
        many = len(best.fold_differences)
        few = f"{many} fold{'s' * (many != 1)}"
        return (
            f"is {_side(best)}, {best.label}: {against}; {few} allow{'s' * (many == 1)} no "
            "interval and no test."
        )
    verb = (
        VERBS[result]
        .format(f"its best rival, {best.label},", folds=len(best.fold_differences))
        .rstrip(",")
    )
    steady = result in ("ahead", "behind")
    advantage = f"advantage {score_text(best.difference)}"
    shown = [f"{advantage}, 95 % interval {interval_text(best.interval)}"] if full else []
    shown += [] if steady else [_folds(best)]
    brackets = "; ".join([*shown, f"corrected {p_text(best.p_holm)}"])
    return f"{verb}: {against} ({brackets}){', which the test does not settle' if steady else ''}."


def _side(best: Comparison) -> str:
    ahead, behind = best.difference > 0, best.difference < 0
    side = "ahead of" if ahead else "behind" if behind else "level with"
    return f"on average {side} its best rival"


def _folds(comparison: Comparison) -> str:
    """Return in how many folds the side that leads on average leads."""
    many = len(comparison.fold_differences)
    leads = ("ahead", comparison.ahead), ("behind", comparison.behind)
    word, count = leads[comparison.difference < 0]
    return f"{word} in {'all' if count == many else f'{count} of'} {many} folds"


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
    """Return the further scores counted: what was measured, then what the test says."""
    best = [score.comparisons[0] for score in scores if score.comparisons]
    if not best:
        return ""
    tested = [c for c in best if c.p_holm is not None]
    few = [_side(c) for c in best if c.p_holm is None]
    found = _counted([_place(c) for c in tested])
    found += [f"{text} (too few folds to test)" for text in _counted(few)]
    scores_text = f"{len(best)} further score{'s' * (len(best) != 1)}"
    said = f"On its {scores_text} it is {_listed(found)}"
    if not tested:
        return f"{said}."
    results = [outcome(c) for c in tested]
    settled = [
        f"{words} on {n}"
        for key, words in (("worse", "loses"), ("better", "is better"))
        if (n := results.count(key))
    ]
    by_test = f"it {_listed(settled)}" if settled else "none is settled"
    return f"{said}; by the test {by_test}."


def _counted(places: Sequence[str]) -> list[str]:
    return [f"{place} on {places.count(place)}" for place in sorted(set(places), key=_order)]


def _order(place: str) -> tuple[bool, bool]:
    return not place.startswith("behind"), not place.startswith("ahead")


def _place(comparison: Comparison) -> str:
    """Return where the model stands in every fold, or that folds differ."""
    folds = len(comparison.fold_differences)
    if folds == comparison.behind:
        return "behind the best rival in every fold"
    return "ahead of the best rival in every fold" if folds == comparison.ahead else "mixed"


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))

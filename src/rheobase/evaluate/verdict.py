"""What the numbers of a dataset say, in words chosen by fixed rules.

A model is *better* or *worse* than a rival where the corrected p-value is below 0.05, otherwise
*not distinguishable*; below three folds nothing is tested and the words say so. The headline of a
model is its first score against its best rival (by the mean over folds): the hardest rival to beat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rheobase.evaluate.aggregate import Comparison, ScoreSummary
from rheobase.evaluate.statistics import MIN_FOLDS
from rheobase.evaluate.words import interval_text, number, p_text, score_text

ALPHA = 0.05
Outcome = Literal["better", "indistinct", "worse", "untested", "alone"]
Level = Literal["good", "caution", "bad", "unknown"]
WORDS: dict[Outcome, str] = {
    "better": "better than",
    "indistinct": "not distinguishable from",
    "worse": "worse than",
    "untested": "not tested against",
    "alone": "without a rival",
}


@dataclass(frozen=True)
class Light:
    """One of three questions, with its answer in a word and the reasons."""

    question: str
    level: Level
    word: str
    reasons: tuple[str, ...]


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


@dataclass(frozen=True)
class Verdict:
    """The first thing a reader of the report sees."""

    sentences: tuple[str, ...]
    lights: tuple[Light, Light, Light]
    statements: tuple[Statement, ...]

    @property
    def paragraph(self) -> str:
        return " ".join(self.sentences)


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
    if score.chance is None or score.chance.p_holm is None:
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
    if beats_chance is False:
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
    return f"{score.model} {verb[result]} its best rival, {best.label}: {against} ({numbers if full else ''}{p_value})."


def _chance(score: ScoreSummary, beats: bool | None) -> str:
    if score.chance is None:
        return ""
    level = number(score.chance.level)
    if beats is None:
        return f"Chance is {level}; it was not tested."
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
) -> Verdict:
    """Return the verdict on a dataset.

    ``summaries`` has an entry, perhaps empty, for every model asked for; ``qc`` and ``group_flags``
    hold the quality flags by recording, ``shifts`` the distribution shift by fold, ``folds`` the
    number of folds in the splits, ``errors`` the number of jobs that failed.
    """
    statements = tuple(state(model, scores) for model, scores in summaries.items())
    lights = (
        _data_light(qc, group_flags, excluded, n_recordings),
        _model_light(statements),
        _belief_light(summaries, statements, shifts, folds, errors),
    )
    models = [s.short for s in statements] or ["No model was run."]
    doubts = [] if lights[2].level == "good" else lights[2].reasons
    sentences = (*lights[0].reasons, *models, *doubts)
    return Verdict(sentences, lights, statements)


def _data_light(
    qc: Mapping[str, Mapping[str, Any]],
    group_flags: Mapping[str, Sequence[Mapping[str, str]]],
    excluded: Mapping[str, str],
    n_recordings: int,
) -> Light:
    levels = {
        name: {
            flag["level"]
            for flag in [*qc.get(name, {}).get("flags", []), *group_flags.get(name, [])]
        }
        for name in sorted({*qc, *group_flags})
    }
    bad = [name for name, found in levels.items() if "bad" in found]
    warned = [name for name, found in levels.items() if found and "bad" not in found]
    reasons = [f"{n_recordings} recording{'s were' if n_recordings != 1 else ' was'} analysed."]
    for found, words in (
        (bad, ("is of bad quality", "are of bad quality")),
        (warned, ("carries a quality warning", "carry a quality warning")),
        (sorted(excluded), ("was left out", "were left out")),
    ):
        if found:
            reasons.append(f"{len(found)} {words[len(found) > 1]}: {_some(found)}.")
    question = "Is my data good?"
    if not n_recordings:
        return Light(question, "bad", "No data", tuple(reasons))
    if not qc:
        return Light(question, "unknown", "Not checked", (*reasons, "No quality check is there."))
    if 2 * len(bad) >= n_recordings:
        return Light(question, "bad", "Poor", tuple(reasons))
    if bad or warned or excluded:
        return Light(question, "caution", "Look first", tuple(reasons))
    return Light(question, "good", "Good", (*reasons, "No quality flag was raised."))


def _model_light(statements: Sequence[Statement]) -> Light:
    question = "Which model says something?"
    winners = [s.model for s in statements if s.outcome == "better" and s.above_chance is not False]
    scored = [s for s in statements if s.outcome != "failed"]
    found = {
        "Better than its best rival": winners,
        "Better than its best rival, but not than chance": [
            s.model for s in statements if s.outcome == "better" and s.above_chance is False
        ],
        "Not distinguishable from its best rival": [
            s.model for s in scored if s.outcome == "indistinct"
        ],
        "Loses to its best rival": [s.model for s in scored if s.outcome == "worse"],
        "Not tested": [s.model for s in scored if s.outcome in ("untested", "alone")],
        "No result": [s.model for s in statements if s.outcome == "failed"],
    }
    reasons = tuple(f"{words}: {_some(names)}." for words, names in found.items() if names)
    if winners:
        return Light(question, "good", _some(winners, 3), reasons)
    if not scored:
        return Light(question, "unknown", "No results", reasons or ("No model was run.",))
    if all(s.outcome == "worse" for s in scored):
        return Light(question, "bad", "None", reasons)
    untested = any(s.outcome in ("untested", "alone") for s in scored)
    return Light(
        question, "caution", "Cannot be tested" if untested else "None beyond its rivals", reasons
    )


def _belief_light(
    summaries: Mapping[str, Sequence[ScoreSummary]],
    statements: Sequence[Statement],
    shifts: Mapping[int, Mapping[str, Any]],
    folds: int,
    errors: int,
) -> Light:
    question = "Can I believe it?"
    scored = {model: scores[0] for model, scores in summaries.items() if scores}
    bad, doubts = [], []
    if not scored:
        bad.append("No model has a score.")
    elif max(len(head.folds) for head in scored.values()) < MIN_FOLDS:
        bad.append(
            f"With {folds} fold{'s' * (folds != 1)} no interval is given and nothing is tested."
        )
    partial = [m for m, head in scored.items() if len(head.folds) < folds]
    if partial:
        doubts.append(f"Folds are missing for {_some(partial)}.")
    failed = [s.model for s in statements if s.outcome == "failed"]
    if failed:
        doubts.append(f"The comparison is incomplete without {_some(failed)}.")
    elif errors:
        doubts.append(f"{errors} job{'s' * (errors != 1)} failed.")
    single = [model for model, head in scored.items() if head.seeds == 1]
    if single:
        which = "every model" if len(single) == len(scored) else _some(single)
        doubts.append(f"One seed was run for {which}: luck of the start is not measured.")
    shifted = {k: shift for k, shift in sorted(shifts.items()) if shift.get("flag")}
    doubts += [f"Fold {k} is shifted: {_lower(shift['text'])}." for k, shift in shifted.items()]
    missing = sum(score.missing for scores in summaries.values() for score in scores)
    if missing:
        doubts.append(
            f"{missing} value{'s are' if missing != 1 else ' is'} undefined and left out."
        )
    if bad:
        return Light(question, "bad", "No", (*bad, *doubts))
    if doubts:
        return Light(question, "caution", "With care", tuple(doubts))
    return Light(
        question,
        "good",
        "Yes",
        (f"{folds} folds, several seeds, no shift between training and test.",),
    )


def _lower(sentence: str) -> str:
    text = sentence.rstrip(".")
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def _some(names: Sequence[str], limit: int = 4) -> str:
    if len(names) <= limit:
        return ", ".join(names)
    return f"{', '.join(names[:limit])} and {len(names) - limit} more"

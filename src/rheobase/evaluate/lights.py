"""Three questions about a dataset, each answered in a word with its reasons."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rheobase.evaluate.statements import Statement
from rheobase.evaluate.statistics import MIN_FOLDS
from rheobase.evaluate.summaries import ScoreSummary

FEW_SUBJECTS = 5
"""Below, a result over subjects is to be taken with care (chosen here)."""
Level = Literal["good", "caution", "bad", "unknown"]


@dataclass(frozen=True)
class Light:
    """One of three questions, with its answer in a word and the reasons."""

    question: str
    level: Level
    word: str
    reasons: tuple[str, ...]


def data_light(
    qc: Mapping[str, Mapping[str, Any]],
    group_flags: Mapping[str, Sequence[Mapping[str, str]]],
    excluded: Mapping[str, str],
    n_recordings: int,
) -> Light:
    """Return whether the signals can be used, from quality flags and what was left out."""
    levels = {
        name: {
            flag["level"]
            for flag in [*qc.get(name, {}).get("flags", []), *group_flags.get(name, [])]
        }
        for name in sorted({*qc, *group_flags})
    }
    bad = [name for name, found in levels.items() if "bad" in found]
    warned = [name for name, found in levels.items() if found and "bad" not in found]
    many = f"{n_recordings} recordings were" if n_recordings > 1 else "One recording was"
    reasons = [f"{many if n_recordings else 'No recording could be'} analysed."]
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


def model_light(statements: Sequence[Statement]) -> Light:
    """Return which models beat their best rival, and chance where it was tested."""
    question = "Which model says something?"
    winners = [s.model for s in statements if s.outcome == "better" and s.above_chance is not False]
    scored = [s for s in statements if s.outcome != "failed"]
    found = {
        "Better than its best rival": winners,
        "Better than its best rival, but not than chance": [
            s.model for s in statements if s.outcome == "better" and s.above_chance is False
        ],
        "Ahead of its best rival in every fold, which the test does not settle": [
            s.model for s in scored if s.outcome == "ahead"
        ],
        "Above chance, but not distinguishable from its best rival": [
            s.model for s in scored if s.outcome == "indistinct" and s.above_chance
        ],
        "Not distinguishable from its best rival": [
            s.model for s in scored if s.outcome == "indistinct" and not s.above_chance
        ],
        "Behind its best rival in every fold, which the test does not settle": [
            s.model for s in scored if s.outcome == "behind"
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


def belief_light(
    summaries: Mapping[str, Sequence[ScoreSummary]],
    statements: Sequence[Statement],
    shifts: Mapping[int, Mapping[str, Any]],
    folds: int,
    errors: int,
    seedless: Collection[str] = (),
    subjects: int | None = None,
    by: str = "",
) -> Light:
    """Return what stands between the numbers and a conclusion."""
    question = "Can I believe it?"
    scored = {model: scores[0] for model, scores in summaries.items() if scores}
    bad = [] if folds else ["No folds were made, so nothing was tested."]
    if not scored:
        bad.append("No model has a score.")
    elif max(len(head.folds) for head in scored.values()) < MIN_FOLDS:
        few = f"{folds} fold{'s' * (folds != 1)}"
        bad.append(f"With {few} no interval is given and no rival is tested.")
    failed = [s.model for s in statements if s.outcome == "failed"]
    doubts = _incomplete(scored, failed, folds, errors)
    single = [model for model, head in scored.items() if head.seeds == 1 and model not in seedless]
    if single:
        which = "every model" if len(single) == len(scored) else _some(single)
        doubts.append(f"One seed was run for {which}: luck of the start is not measured.")
    doubts += [f"{_capital(text)}." for text in _cautions(scored.values())]
    doubts += _untestable(scored)
    doubts += _about_others(subjects, by)
    shifted = {k: shift for k, shift in sorted(shifts.items()) if shift.get("flag")}
    doubts += [f"Fold {k} is shifted: {_lower(shift['text'])}." for k, shift in shifted.items()]
    missing = sum(score.missing for scores in summaries.values() for score in scores)
    if missing:
        doubts.append(f"{missing} value{'s are' if missing > 1 else ' is'} undefined and left out.")
    if bad:
        return Light(question, "bad", "No", (*bad, *doubts))
    if doubts:
        return Light(question, "caution", "With care", tuple(doubts))
    calm = ", no shift between training and test" if shifts else ""
    drawn = ", several seeds" if set(scored) - set(seedless) else ""
    return Light(question, "good", "Yes", (f"{folds} folds{drawn}{calm}.",))


def _cautions(heads: Iterable[ScoreSummary]) -> list[str]:
    """Return what speaks against the first scores, the first caution of each."""
    return list(dict.fromkeys(head.cautions[0] for head in heads if head.cautions))


def _untestable(scored: Mapping[str, ScoreSummary]) -> list[str]:
    """Return the models whose first score has a chance level that nothing could exceed."""
    found = [name for name, head in scored.items() if head.chance and not head.chance.testable]
    return [f"The first score of {_some(found)} cannot be tested against chance."] if found else []


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _about_others(subjects: int | None, by: str) -> list[str]:
    """Return what the folds leave unknown about subjects that were not recorded."""
    if not subjects:
        return []
    if subjects == 1:
        return ["All recordings are of one subject: nothing is known about others."]
    if not by:
        return []
    if by != "subject":
        what = "stretches of time" if by == "time" else f"{by}s"
        return [f"Folds leave out {what}, not subjects: nothing is known about new subjects."]
    if subjects < FEW_SUBJECTS:
        return [f"There are {subjects} subjects only, fewer than {FEW_SUBJECTS}."]
    return []


def _incomplete(
    scored: Mapping[str, ScoreSummary], failed: Sequence[str], folds: int, errors: int
) -> list[str]:
    found = []
    partial = [model for model, head in scored.items() if len(head.folds) < folds]
    if partial:
        found.append(f"Folds are missing for {_some(partial)}.")
    if failed and scored:
        found.append(f"The comparison is incomplete without {_some(failed)}.")
    elif errors:
        found.append(f"{errors} job{'s' * (errors != 1)} failed.")
    return found


def _lower(sentence: str) -> str:
    text = sentence.rstrip(".")
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def _some(names: Sequence[str], limit: int = 4) -> str:
    if len(names) <= limit:
        return ", ".join(names)
    return f"{', '.join(names[:limit])} and {len(names) - limit} more"

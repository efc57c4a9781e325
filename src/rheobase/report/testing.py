"""How models were tested, in the words of a methods text: only what was in fact done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rheobase.evaluate.summaries import ScoreSummary
from rheobase.evaluate.words import number
from rheobase.report.inputs import (
    ReportInput,
    counts_frames,
    is_synthetic,
    ratio_of,
    summaries_of,
)

UNITS_OUT = {
    "subject": "whole subjects",
    "session": "whole sessions",
    "run": "whole runs",
    "trial": "whole trials",
    "time": "contiguous blocks of time",
}
FAMILIES = (
    ("first", "each model's first score against its best rival"),
    ("question", "the first score of each further question against its best rival"),
    ("further", "all further scores against their best rival"),
)


def describe_testing(report: ReportInput, cite: Any) -> str:
    """Return how models were tested; what no fold gave is not told."""
    planned = len(report.splits.get("folds", []))
    if not planned:
        return ""
    scores = [score for scores in summaries_of(report).values() for score in scores]
    apart = _left_out(report)
    if not scores:
        return f"{_folds(planned)} on {apart} were planned, but no model gave a score to test."
    done = {fold for score in scores for fold in score.folds}
    few = f" of {planned} planned" if len(done) < planned else ""
    seeds = sorted({run["seed"] for runs in report.runs.values() for run in runs})
    many = f"{len(seeds)} seeds" if len(seeds) > 1 else "one seed"
    return " ".join(
        filter(
            None,
            [
                f"Models were tested in {_folds(len(done))}{few} on {apart}, with {many} per fold; "
                "every choice of a setting was made within the training part. Rivals were trained "
                "and tested on the same folds. Scores were averaged over seeds, then over folds.",
                _intervals(report, scores, cite),
                _chance(report, scores, cite),
                _corrected(scores, cite),
            ],
        )
    )


def _folds(many: int) -> str:
    return f"{many} fold{'s' * (many != 1)}"


def _left_out(report: ReportInput) -> str:
    by = str(report.splits.get("by", ""))
    out = UNITS_OUT.get(by, by)
    out = out.replace("subjects", "simulated subjects") if is_synthetic(report) else out
    if column := (report.config.get("split") or {}).get("together"):
        out += f" (those who share a value of {column} always together)"
    gap, unit = report.splits.get("gap_s"), "frames" if counts_frames(report) else "s"
    apart = f", {gap:g} {unit} apart from the training part" if gap and by == "time" else ""
    return f"{out} that were left out of training{apart}"


def _intervals(report: ReportInput, scores: Sequence[ScoreSummary], cite: Any) -> str:
    compared = any(c.p_value is not None for score in scores for c in score.comparisons)
    if not compared and not any(score.interval for score in scores):
        return "So few folds allow no 95 % intervals and no tests over folds."
    tests = " and paired two-sided tests over folds" if compared else ""
    return (
        f"95 % intervals{tests} use a t distribution with a variance corrected for overlapping "
        f"training parts {cite('nadeau2003')} (test to training size {number(ratio_of(report))})."
    )


def _chance(report: ReportInput, scores: Sequence[ScoreSummary], cite: Any) -> str:
    """Return how scores were tested against chance; nothing where they were not."""
    rules = {score.chance.rule for score in scores if score.chance and score.chance.p_value}
    said = []
    if "permutation" in rules:
        labels = [decoded_label(report, model) for model in report.scores]
        shifted = any(x and x["kind"] == "value" and x["over_time"] and x["tested"] != "none"
                      for x in labels)  # fmt: skip
        how = " (values over time by circular shifts)" if shifted else ""
        said.append(
            f"Scores were tested against chance by permutation of what is exchangeable{how}; "
            "permuted scores were averaged over folds, draw by draw, and p is the share of "
            "averaged draws at or above the averaged score."
        )
    if "combined" in rules:
        said.append(
            "Permutation p-values against chance were combined over fits as twice their median "
            f"{cite('meinshausen2009')}."
        )
    if "t" in rules:
        said.append(
            "Where nothing was permuted, scores of the folds were tested against the chance level "
            f"by a one-sided t test with the corrected variance {cite('nadeau2003')}."
        )
    return " ".join(said)


def _corrected(scores: Sequence[ScoreSummary], cite: Any) -> str:
    """Return which families of p-values were corrected, of those that there are."""
    best = [s for s in scores if s.comparisons and s.comparisons[0].p_value is not None]
    others = any(c.p_value is not None for score in scores for c in score.comparisons[1:])
    chance = any(score.chance and score.chance.p_value is not None for score in scores)
    held = [
        *((words, any(score.place == place for score in best)) for place, words in FAMILIES),
        ("all comparisons with rivals that are not the best", others),
        ("all tests against chance", chance),
    ]
    families = [words for words, there in held if there]
    if not families:
        return ""
    chosen = (
        " Before that, p of losing to the best of several rivals was multiplied by their number."
        if others
        else ""
    )
    if len(families) == 1:
        return f"p-values were corrected {cite('holm1979')} over {families[0]}.{chosen}"
    count = {2: "two", 3: "three", 4: "four", 5: "five"}[len(families)]
    listed = ", ".join(families[:-1])
    return (
        f"p-values were corrected {cite('holm1979')} within {count} families: {listed}, and "
        f"{families[-1]}.{chosen}"
    )


def decoded_label(report: ReportInput, model: str) -> dict[str, Any] | None:
    """Return the label that a model decoded, as its scores and the recordings tell of it.

    ``tested`` says in how many folds chance was: ``every``, ``some`` or ``none``.
    """
    scores: Sequence[Mapping[str, Any]] = (report.scores.get(model) or {}).get("scores", [])
    decoded = [s for s in scores if s["name"] in ("decode_r2", "decode_balanced_accuracy")]
    if not decoded:
        return None
    tested = [s.get("p_value") is not None for s in decoded]
    name = (report.config.get("label") or {}).get("name")
    whole = any(name in {**(r.get("labels") or {}), **(r.get("entities") or {})}
                for r in report.recordings)  # fmt: skip
    return {
        "name": name or "of the recordings",
        "kind": "value" if decoded[0]["name"] == "decode_r2" else "class",
        "modality": report.modality,
        "over_time": not whole,
        "tested": "every" if all(tested) else "some" if any(tested) else "none",
    }

"""What the models section shows: scores, plots over folds, drawings and costs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from rheobase.evaluate.statements import Statement
from rheobase.evaluate.summaries import ScoreSummary
from rheobase.evaluate.words import score_text
from rheobase.report.embed import CSV_LIMIT, IMAGE_LIMIT, Budget, Figure, file_address
from rheobase.report.inputs import ReportInput
from rheobase.report.notices import gathered_notices
from rheobase.report.plots import Counter, dot_plot


@dataclass(frozen=True)
class Cost:
    """What a model's fits took, over all folds and seeds."""

    fits: int
    seconds: float
    cpu_seconds: float
    peak_memory_mb: float
    devices: str
    parameters: int | None = None
    """Of one fit, where the family counts them."""


@dataclass(frozen=True)
class ModelView:
    """One model as the report shows it."""

    name: str
    anchor: str
    entry: Mapping[str, Any]
    statement: Statement
    scores: tuple[ScoreSummary, ...]
    plots: tuple[Figure, ...]
    drawings: tuple[Figure, ...]
    drawn: str
    """Which fit the drawings show, and how it compares with the others."""
    across: tuple[Figure, ...]
    """What all fits have in common."""
    notices: tuple[str, ...]
    notes: tuple[tuple[str, str], ...]
    errors: tuple[Mapping[str, Any], ...]
    cost: Cost | None


def models_section(
    report: ReportInput,
    summaries: Mapping[str, tuple[ScoreSummary, ...]],
    statements: Sequence[Statement],
    budget: Budget,
) -> tuple[ModelView, ...]:
    """Return the content of the models section, in the order of the config."""
    counter = Counter()
    errors = grouped_errors(report.errors)
    views = []
    for number, statement in enumerate(statements, start=1):
        name = statement.model
        scores = summaries.get(name, ())
        runs = report.runs.get(name, [])
        views.append(
            ModelView(
                name=name,
                anchor=f"model-{number}",
                entry=report.models.get(name, {}),
                statement=statement,
                scores=scores,
                plots=tuple(dot_plot(score, counter) for score in scores),
                drawings=drawn_figures(report.drawings.get(name, []), report.folder, budget),
                drawn=_drawn(report.drawings.get(name, []), scores, report.scores.get(name, {})),
                across=drawn_figures(report.across.get(name, []), report.folder, budget),
                notices=gathered_notices(runs),
                notes=_notes(scores),
                errors=tuple(e for e in errors if name in re.findall(r"\w+", str(e["job"]))),
                cost=_cost(runs),
            )
        )
    return tuple(views)


def _drawn(
    drawings: Sequence[Mapping[str, Any]],
    scores: Sequence[ScoreSummary],
    gathered: Mapping[str, Any],
) -> str:
    """Return which fold and seed is drawn, its first score, and the mean over folds."""
    folder = Path(drawings[0].get("image_path") or "").parent.parent.name if drawings else ""
    fit = re.fullmatch(r"fold-(\d+)_seed-(\d+)", folder)
    if fit is None:
        return "One fit is drawn, the first that has figures."
    fold, seed = int(fit[1]), int(fit[2])
    said = f"One fit is drawn: fold {fold}, seed {seed}."
    if not scores:
        return said
    first = scores[0]
    drawn = [s for s in gathered.get("scores", []) if (s["fold"], s["seed"]) == (fold, seed)]
    value = next((s.get("value") for s in drawn if s["name"] == first.name), None)
    mean = f"the mean over {len(first.folds)} folds is {score_text(first.mean)}"
    return f"{said} Its {first.label} is {score_text(value)}; {mean}."


def _notes(scores: Sequence[ScoreSummary]) -> tuple[tuple[str, str], ...]:
    """Return every note once, after the names of the scores that it is about."""
    about: dict[str, list[str]] = {}
    for score in scores:
        for note in score.notes:
            about.setdefault(note, []).append(score.label)
    return tuple(("; ".join(labels), note) for note, labels in about.items())


def grouped_errors(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the errors with each message once, naming all jobs that ended with it."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for error in errors:
        groups.setdefault(str(error.get("message", "")), []).append(error)
    return [
        {
            "job": "; ".join(str(e.get("job", "unknown job")) for e in same),
            "message": message,
            "log_tail": str(same[0].get("log_tail") or ""),
        }
        for message, same in groups.items()
    ]


def _cost(runs: Sequence[Mapping[str, Any]]) -> Cost | None:
    if not runs:
        return None
    return Cost(
        fits=len(runs),
        seconds=sum(float(run.get("seconds") or 0) for run in runs),
        cpu_seconds=sum(float(run.get("cpu_seconds") or 0) for run in runs),
        peak_memory_mb=max(float(run.get("peak_memory_mb") or 0) for run in runs),
        devices=", ".join(sorted({str(run.get("device", "unknown")) for run in runs})),
        parameters=_parameters(runs),
    )


def _parameters(runs: Sequence[Mapping[str, Any]]) -> int | None:
    """Return how many parameters a fit has, the most of any."""
    found = [(run.get("metrics") or {}).get("parameters") for run in runs]
    return max((int(count) for count in found if count), default=None)


def drawn_figures(
    drawings: Sequence[Mapping[str, Any]], folder: Path, budget: Budget
) -> tuple[Figure, ...]:
    """Return drawings as the page shows them."""
    return tuple(_drawing(drawing, folder, budget) for drawing in drawings)


def _drawing(drawing: Mapping[str, Any], folder: Path, budget: Budget) -> Figure:
    path = drawing.get("image_path")
    image = None if path is None else Path(path)
    address, embedded = file_address(image, folder, limit=IMAGE_LIMIT, budget=budget)
    title = str(drawing.get("title") or drawing.get("name", ""))
    note = ""
    if embedded:
        body = Markup(
            f'<img src="{address}" alt="{escape(drawing.get("alt") or title)}" loading="lazy">'
        )
    else:
        body = Markup("")
        note = (
            f"The image {Path(path).name if path else ''} is missing."
            if address is None
            else f"Too large to keep inside this page; it lies beside it as {address}."
        )
    table = drawing.get("csv_path")
    csv, _ = file_address(Path(table) if table else None, folder, limit=CSV_LIMIT, budget=budget)
    return Figure(
        title,
        body,
        str(drawing.get("caption", "")),
        csv,
        f"{drawing.get('name', 'figure')}.csv",
        note,
    )

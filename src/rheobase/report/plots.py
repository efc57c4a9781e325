"""Dot plots of scores over folds: interactive up to a number, static above it."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, replace
from html import unescape
from typing import Any

from markupsafe import Markup, escape

from rheobase.evaluate.summaries import ScoreSummary
from rheobase.evaluate.words import interval_text, number, within_bounds
from rheobase.report.embed import Figure, csv_address, script_json
from rheobase.report.interactive import Column, plotly_spec
from rheobase.report.svg import HEIGHT, Axis, Canvas, picture, text_at

MAX_INTERACTIVE = 24
MAX_RIVALS = 6
COLUMN_WIDTH, NARROW_WIDTH, MANY = 16, 13, 5
TITLE_WIDTH = 28
"""Letters of an upright title that fit beside a plot"""
LETTER, LINE = 6.2, 13
"""Width and height of a letter of a static plot, in its units"""


@dataclass
class Counter:
    """Interactive figures drawn so far on one page."""

    drawn: int = 0


def dot_plot(score: ScoreSummary, counter: Counter) -> Figure:
    """Draw one score of a model and its rivals, a point a fold."""
    counter.drawn += 1
    if score.interval:
        score = replace(score, interval=within_bounds(score.interval, score.name))
    interactive = counter.drawn <= MAX_INTERACTIVE
    alt = _alt(score)
    rivals = score.comparisons[:MAX_RIVALS]
    name = re.sub(r"[^A-Za-z0-9]+", "-", f"{score.model}-{score.name}").strip("-").lower()
    if interactive:
        spec = script_json(_wrapped(plotly_spec(score, _columns(score)), score))
        key = f"plot-{counter.drawn}"
        body = Markup(
            f'<div class="plot" id="{key}" role="img" aria-label="{escape(alt)}"></div>'
            f'<script type="application/json" data-plot="{key}">{spec}</script>'
        )
    else:
        body = static(score, alt)
    rows = [
        [fold, value, *(c.rival_folds[i] for c in rivals)]
        for i, (fold, value) in enumerate(zip(score.folds, score.fold_values, strict=True))
    ]
    return Figure(
        score.label,
        body,
        _caption(score, interactive),
        csv_address(["fold", score.model, *(c.rival for c in rivals)], rows),
        f"{name}.csv",
    )


def _caption(score: ScoreSummary, interactive: bool) -> str:
    parts = ["One point a fold; thin lines join the same fold."]
    parts.append("Higher is better." if score.higher_is_better else "Lower is better.")
    parts.append(
        "The diamond is the mean"
        + (" with its 95 % interval." if score.interval else "; too few folds for an interval.")
    )
    if score.chance is not None:
        parts.append("The dashed line is chance.")
    if len(score.comparisons) > MAX_RIVALS:
        parts.append(f"Of {len(score.comparisons)} rivals the best {MAX_RIVALS} are drawn.")
    if not interactive:
        parts.append(
            f"Drawn as an image: only the first {MAX_INTERACTIVE} plots of a page are interactive."
        )
    return " ".join(parts)


def _alt(score: ScoreSummary) -> str:
    rivals = ", ".join(f"{c.label} {number(c.rival_mean)}" for c in score.comparisons[:MAX_RIVALS])
    spread = f" (95 % interval {interval_text(score.interval)})" if score.interval else ""
    ours = f"{score.model} {number(score.mean)}{spread}"
    return f"{score.label} over {len(score.folds)} folds: {ours}; {rivals or 'no rival'}"


def _columns(score: ScoreSummary) -> list[Column]:
    return [
        (score.model, score.fold_values),
        *((c.label, c.rival_folds) for c in score.comparisons[:MAX_RIVALS]),
    ]


def _wrapped(spec: dict[str, Any], score: ScoreSummary) -> dict[str, Any]:
    """Return the plot with all its names whole, over as many lines as they need."""
    columns = _columns(score)
    width = NARROW_WIDTH if len(columns) >= MANY else COLUMN_WIDTH
    lines = [lines_of(name, width) for name, _ in columns]
    layout = spec["layout"]
    layout["xaxis"]["ticktext"] = ["<br>".join(map(escape, name)) for name in lines]
    title = lines_of(unescape(layout["yaxis"]["title"]["text"]), TITLE_WIDTH)
    layout["yaxis"]["title"]["text"] = "<br>".join(map(escape, title))
    layout["margin"]["b"] = 28 + 16 * max(map(len, lines))
    layout["margin"]["l"] += 16 * (len(title) - 1)
    return spec


def lines_of(name: str, width: int = COLUMN_WIDTH) -> list[str]:
    """Return a name broken between words; a single longer word is broken within."""
    return textwrap.wrap(name, width) or [""]


def static(score: ScoreSummary, alt: str) -> Markup:
    """Draw the same plot as SVG, without interaction."""
    columns = _columns(score)
    values = [v for _, column in columns for v in column if v is not None]
    ends = [score.interval.low, score.interval.high] if score.interval else []
    level = [score.chance.level] if score.chance else []
    y = Axis.over([*values, *ends, *level], score.label)
    canvas = Canvas(Axis(-0.5, len(columns) - 0.5, ""), y)
    room = int((canvas.at_x(1) - canvas.at_x(0)) / LETTER) if len(columns) > 1 else 2 * COLUMN_WIDTH
    lines = [lines_of(name, room) for name, _ in columns]
    names = [
        text_at(canvas.at_x(i), 202 + LINE * n, line)
        for i, name in enumerate(lines)
        for n, line in enumerate(name)
    ]
    ticks = [text_at(44, canvas.at_y(v) + 4, f"{v:g}", anchor="end") for v in y.ticks(4)]
    drawn = [*names, *ticks, *(canvas.level(v, "limit") for v in level)]
    for i, fold in enumerate(score.folds):
        column = [values[i] for _, values in columns]
        drawn.append(canvas.line(range(len(columns)), column, "pair"))
        drawn += [
            canvas.dot(
                x, value, "rival" if x else "model", title=f"{name}, fold {fold}: {value:.4g}"
            )
            for x, ((name, _), value) in enumerate(zip(columns, column, strict=True))
            if value is not None
        ]
    return picture("".join(drawn), alt=alt, height=HEIGHT + LINE * max(0, max(map(len, lines)) - 2))

"""Dot plots of scores over folds: interactive up to a number, static above it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from rheobase.evaluate.aggregate import ScoreSummary
from rheobase.evaluate.words import interval_text, number
from rheobase.report.embed import Figure, csv_address, script_json
from rheobase.report.svg import Axis, Canvas, picture

MAX_INTERACTIVE = 24
MAX_RIVALS = 6


@dataclass
class Counter:
    """Interactive figures drawn so far on one page."""

    drawn: int = 0


def dot_plot(score: ScoreSummary, counter: Counter) -> Figure:
    """Draw one score of a model and its rivals, a point a fold."""
    counter.drawn += 1
    interactive = counter.drawn <= MAX_INTERACTIVE
    alt = _alt(score)
    rivals = score.comparisons[:MAX_RIVALS]
    name = re.sub(r"[^A-Za-z0-9]+", "-", f"{score.model}-{score.name}").strip("-").lower()
    if interactive:
        spec = script_json(plotly_spec(score))
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
        parts.append(
            f"The best {MAX_RIVALS} of {len(score.comparisons)} rivals are drawn; the table has all."
        )
    if not interactive:
        parts.append(
            f"Drawn as an image: only the first {MAX_INTERACTIVE} plots of a page are interactive."
        )
    return " ".join(parts)


def _alt(score: ScoreSummary) -> str:
    rivals = ", ".join(f"{c.label} {number(c.rival_mean)}" for c in score.comparisons[:MAX_RIVALS])
    spread = f" (95 % interval {interval_text(score.interval)})" if score.interval else ""
    return f"{score.label} over {len(score.folds)} folds: {score.model} {number(score.mean)}{spread}; {rivals or 'no rival'}"


def _columns(score: ScoreSummary) -> list[tuple[str, Sequence[float | None]]]:
    return [
        (score.model, score.fold_values),
        *((c.label, c.rival_folds) for c in score.comparisons[:MAX_RIVALS]),
    ]


def plotly_spec(score: ScoreSummary) -> dict[str, Any]:
    """Return data and layout for plotly; colours are names of the palette, filled in by the page."""
    columns = _columns(score)
    names = [_short(name) for name, _ in columns]
    positions = list(range(len(columns)))
    data: list[dict[str, Any]] = []
    for i, fold in enumerate(score.folds):
        data.append({
            "type": "scatter", "mode": "lines+markers", "x": positions, "y": [values[i] for _, values in columns],
            "name": f"fold {fold}", "text": [_plain(f"{name}, fold {fold}") for name, _ in columns],
            "hovertemplate": "%{text}: %{y:.4g}<extra></extra>",
            "line": {"width": 1, "color": "rule"},
            "marker": {"size": 8, "color": ["accent", *["rival"] * (len(columns) - 1)],
                       "symbol": ["circle", *["circle-open"] * (len(columns) - 1)]},
        })  # fmt: skip
    mean: dict[str, Any] = {
        "type": "scatter", "mode": "markers", "x": [0.16], "y": [score.mean], "name": "mean",
        "hovertemplate": "mean: %{y:.4g}<extra></extra>",
        "marker": {"size": 11, "symbol": "diamond", "color": "ink"},
    }  # fmt: skip
    if score.interval:
        mean["error_y"] = {
            "type": "data", "symmetric": False, "color": "ink", "thickness": 1.5, "width": 5,
            "array": [score.interval.high - score.mean], "arrayminus": [score.mean - score.interval.low],
        }  # fmt: skip
    shapes = []
    if score.chance is not None:
        level = score.chance.level
        shapes.append({"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": level, "y1": level,
                       "line": {"dash": "dash", "width": 1.5, "color": "limit"}})  # fmt: skip
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [0],
                "y": [level],
                "hoverinfo": "skip",
                "opacity": 0,
            }
        )
    title = f"{score.label} ({score.unit})" if score.unit else score.label
    layout = {
        "height": 300, "margin": {"l": 62, "r": 12, "t": 12, "b": 44}, "showlegend": False, "shapes": shapes,
        "xaxis": {"tickvals": positions, "ticktext": names, "range": [-0.5, len(columns) - 0.5], "fixedrange": True, "zeroline": False},
        "yaxis": {"title": {"text": _plain(title)}, "zeroline": False, "fixedrange": True},
    }  # fmt: skip
    return {"data": [*data, mean], "layout": layout}


def _plain(text: str) -> str:
    """Return text that plotly, which reads a subset of HTML in labels, shows as it is."""
    return str(escape(text))


def _short(name: str, limit: int = 18) -> str:
    return _plain(name if len(name) <= limit else f"{name[: limit - 1]}…")


def static(score: ScoreSummary, alt: str) -> Markup:
    """Draw the same plot as SVG, without interaction."""
    columns = _columns(score)
    values = [v for _, column in columns for v in column if v is not None]
    ends = [score.interval.low, score.interval.high] if score.interval else []
    level = [score.chance.level] if score.chance else []
    y = Axis.over([*values, *ends, *level], score.label)
    canvas = Canvas(Axis(-0.5, len(columns) - 0.5, ""), y)
    drawn = [f'<text x="{canvas.at_x(i)}" y="{canvas.height - 24}" text-anchor="middle">{escape(name[:14])}</text>'
             for i, (name, _) in enumerate(columns)]  # fmt: skip
    drawn += [canvas.level(v, "limit") for v in level]
    for tick in y.ticks(4):
        drawn.append(
            f'<text x="{canvas.left - 6}" y="{canvas.at_y(tick) + 4}" text-anchor="end">{tick:g}</text>'
        )
    for i, fold in enumerate(score.folds):
        drawn.append(canvas.line(range(len(columns)), [column[i] for _, column in columns], "pair"))
        for x, (name, column) in enumerate(columns):
            value = column[i]
            if value is not None:
                style = "rival" if x else "model"
                drawn.append(canvas.dot(x, value, style, title=f"{name}, fold {fold}: {value:.4g}"))
    return picture("".join(drawn), alt=alt)

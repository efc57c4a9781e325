"""A dot plot of one score as plotly reads it; the page puts the palette's colours in by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import escape

from rheobase.evaluate.summaries import ScoreSummary

Column = tuple[str, Sequence[float | None]]
MOST_LEVEL = 4
"""Names below a plot that fit without being turned."""


def plotly_spec(score: ScoreSummary, columns: Sequence[Column]) -> dict[str, Any]:
    """Return data and layout.

    ``columns`` are the model and its rivals with their values by fold.
    """
    level = score.chance.level if score.chance else None
    data = [_fold(i, fold, columns) for i, fold in enumerate(score.folds)]
    shapes = []
    if level is not None:
        data.append({**_points([0], [level]), "hoverinfo": "skip", "opacity": 0})
        shapes.append(_across(level))
    return {"data": [*data, _mean(score)], "layout": _layout(score, columns, shapes)}


def _points(x: Sequence[float], y: Sequence[float | None], **more: Any) -> dict[str, Any]:
    return {"type": "scatter", "mode": "markers", "x": list(x), "y": list(y), **more}


def _fold(i: int, fold: int, columns: Sequence[Column]) -> dict[str, Any]:
    rivals = len(columns) - 1
    return {
        **_points(range(len(columns)), [values[i] for _, values in columns]),
        "mode": "lines+markers",
        "text": [_plain(f"{name}, fold {fold}") for name, _ in columns],
        "hovertemplate": "%{text}: %{y:.4g}<extra></extra>",
        "line": {"width": 1, "color": "rule"},
        "marker": {
            "size": 8,
            "color": ["accent", *["rival"] * rivals],
            "symbol": ["circle", *["circle-open"] * rivals],
        },
    }


def _mean(score: ScoreSummary) -> dict[str, Any]:
    marker = {"size": 11, "symbol": "diamond", "color": "ink"}
    mean = _points([0.16], [score.mean], marker=marker)
    mean["hovertemplate"] = "mean: %{y:.4g}<extra></extra>"
    if score.interval:
        mean["error_y"] = {
            "type": "data",
            "symmetric": False,
            "color": "ink",
            "thickness": 1.5,
            "width": 5,
            "array": [score.interval.high - score.mean],
            "arrayminus": [score.mean - score.interval.low],
        }
    return mean


def _across(level: float) -> dict[str, Any]:
    line = {"dash": "dash", "width": 1.5, "color": "limit"}
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": level,
        "y1": level,
        "line": line,
    }


def _layout(
    score: ScoreSummary, columns: Sequence[Column], shapes: list[dict[str, Any]]
) -> dict[str, Any]:
    brief = score.label.partition(" (")[0]
    title = f"{brief} ({score.unit})" if score.unit else brief
    fixed = {"fixedrange": True, "zeroline": False}
    names = [_plain(_short(name)) for name, _ in columns]
    turned = {"tickangle": -30, "automargin": True} if len(columns) > MOST_LEVEL else {}
    return {
        "height": 300,
        "margin": {"l": 62, "r": 12, "t": 12, "b": 44},
        "showlegend": False,
        "shapes": shapes,
        "xaxis": {
            "tickvals": list(range(len(columns))),
            "ticktext": names,
            "range": [-0.5, len(columns) - 0.5],
            **turned,
            **fixed,
        },
        "yaxis": {"title": {"text": _plain(title), "font": {"size": 12}}, **fixed},
    }


def _plain(text: str) -> str:
    """Return text that plotly, which reads a subset of HTML in labels, shows as it is."""
    return str(escape(text))


def _short(name: str, limit: int = 18) -> str:
    return name if len(name) <= limit else f"{name[: limit - 1]}…"

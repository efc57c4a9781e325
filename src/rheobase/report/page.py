"""One dataset, one self-contained HTML page."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from rheobase import __version__
from rheobase.evaluate.compare import side_by_side
from rheobase.evaluate.statements import above_chance, outcome
from rheobase.evaluate.words import interval_text, number, p_text, score_text
from rheobase.report import palette
from rheobase.report.embed import Budget, Figure, address, script_json
from rheobase.report.figures import measure, strip
from rheobase.report.group import GroupTable, group_table
from rheobase.report.inputs import ReportInput, is_synthetic, ratio_of, summaries_of, verdict_of
from rheobase.report.methods import describe_step, write_methods
from rheobase.report.modelling import grouped_errors, models_section
from rheobase.report.quality import quality_section

TEMPLATES = Path(__file__).parent / "templates"
QUALITY_BYTES = 2_200_000
DRAWING_BYTES = 2_200_000
SECTIONS = (
    ("verdict", "Verdict"),
    ("data", "Data"),
    ("quality", "Quality"),
    ("models", "Models"),
    ("group", "Comparison over subjects"),
    ("truth", "Planted against recovered"),
    ("methods", "Methods"),
    ("provenance", "Provenance"),
    ("errors", "Warnings and errors"),
)
SHOWN_PROVENANCE = {
    "versions",
    "inputs",
    "cost",
    "cost_by_rule",
    "rule_graph",
    "config_text",
    "git_commit",
    "git_dirty",
    "command",
    "seeds",
}


@functools.cache
def environment() -> Environment:
    """Return the template environment: everything is escaped, an unknown name is an error."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"number": number, "interval": interval_text, "p": p_value, "measure": measure}
    made.filters |= {
        "score": score_text,
        "step": describe_step,
        "plain": plain,
        "duration": duration,
    }
    made.globals |= {
        "outcome": outcome,
        "above_chance": above_chance,
        "version": __version__,
    }
    return made


def assets() -> dict[str, Markup]:
    """Return style sheet, script and colours, for a page's head and foot."""
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    return {
        "style": Markup(palette.css() + style),
        "script": Markup((TEMPLATES / "page.js").read_text(encoding="utf-8")),
        "themes": script_json({"light": palette.LIGHT, "dark": palette.DARK}),
    }


def render(report: ReportInput) -> str:
    """Return the whole page; the same input gives the same bytes."""
    summaries = summaries_of(report)
    verdict = verdict_of(report, summaries)
    models = models_section(report, summaries, verdict.statements, Budget(DRAWING_BYTES))
    group = group_table(report)
    methods = write_methods(report, __version__)
    synthetic = is_synthetic(report) or bool(report.truth)
    interactive = any('class="plot"' in plot.body for view in models for plot in view.plots)
    return environment().get_template("report.html").render(
        **assets(),
        report=report,
        synthetic=synthetic,
        sections=[s for s in SECTIONS if s[0] != "truth" or synthetic],
        verdict=verdict,
        summaries=summaries,
        quality=quality_section(report, Budget(QUALITY_BYTES)),
        models=models,
        shared=side_by_side(summaries, ratio=ratio_of(report)),
        group=group,
        strips=_strips(group),
        methods=methods,
        errors=grouped_errors(report.errors),
        bibtex=address(methods.bibtex.encode(), "application/x-bibtex"),
        facts={k: v for k, v in report.provenance.items() if k not in SHOWN_PROVENANCE},
        plotly=plotly_script() if interactive else "",
    )  # fmt: skip


def _strips(group: GroupTable) -> list[Figure]:
    found = {column: group.values(column) for column in group.columns}
    return [
        strip(column, values, group.outliers.get(column, {}))
        for column, values in found.items()
        if len(set(values.values())) > 1
    ]


@functools.cache
def plotly_script() -> Markup:
    """Return plotly.js from the installed package."""
    from plotly.offline import get_plotlyjs

    return Markup(get_plotlyjs().replace("</script", "<\\/script"))


def plain(value: Any) -> str:
    """Return a value of a config or a provenance in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == "":
        return "not recorded"
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "; ".join(f"{k}: {plain(v)}" for k, v in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(plain(v) for v in value) or "none"
    return json.dumps(value)


def p_value(p: float | None) -> str:
    """Return a p-value for a column headed p, like "0.012" or "< 0.001"."""
    return p_text(p).removeprefix("p = ").removeprefix("p ")


def duration(seconds: float | None) -> str:
    """Return seconds as "3 min 20 s" or "4.2 s"."""
    if seconds is None:
        return "not recorded"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"

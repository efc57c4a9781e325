"""The page that links all reports and compares models across datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rheobase.report.embed import Figure
from rheobase.report.inputs import IndexEntry
from rheobase.report.page import assets, environment


def render_index(
    entries: Sequence[IndexEntry], across: Mapping[str, Sequence[Figure]] | None = None
) -> str:
    """Return the index page; datasets keep their order, models are sorted by first appearance.

    ``across`` holds, by model, what its fits on several datasets have in common.
    """
    models: dict[str, str] = {}
    for entry in entries:
        for model in entry.headlines:
            models.setdefault(model, entry.families.get(model, ""))
    statements = {(e.dataset, s.model): s for e in entries for s in e.verdict.statements}
    return environment().get_template("index.html").render(
        **assets(), entries=entries, models=models, statements=statements, across=across or {}
    )  # fmt: skip

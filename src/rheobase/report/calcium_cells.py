"""The cells of a calcium recording as a table: what was measured, what is wrong, why left out."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from rheobase.evaluate.words import number
from rheobase.report.embed import Figure, csv_address
from rheobase.report.figures import measure

MOST_ROWS = 200
WORDS = ("name", "excluded", "flags")
Unit = Mapping[str, Any]


def table(name: str, units: Sequence[Unit]) -> Figure | None:
    """Return the table of a recording's cells, the excluded and the flagged first.

    At most 200 rows are shown; the file below holds all of them as long as it is small enough.
    """
    if not units:
        return None
    columns = measured(units)
    ordered = sorted(units, key=lambda u: (not u.get("excluded"), not u.get("flags")))
    shown = ordered[:MOST_ROWS]
    head = ["Cell", "Left out because", "Noticed"]
    cells = [_heading(words) for words in head] + [_heading(measure(c), "num") for c in columns]
    rows = [
        Markup("<tr>") + _named(u) + Markup("").join(_number(u.get(c)) for c in columns)
        + Markup("</tr>")
        for u in shown
    ]  # fmt: skip
    body = Markup(
        '<div class="scroll tall" tabindex="0" role="group" aria-label="{label}">'
        '<table class="sortable"><caption><span>{caption}</span></caption><thead><tr>{head}</tr>'
        "</thead><tbody>{rows}</tbody></table></div>"
    ).format(
        label=f"Cells of {name}",
        caption=f"Every cell of {name}",
        head=Markup("").join(cells),
        rows=Markup("").join(rows),
    )
    hidden = len(units) - len(shown)
    return Figure(
        "Cells",
        body,
        "One row a cell that the file holds, those that were left out and those with a finding "
        "first; select a heading to sort. Cells that were left out are in no model.",
        csv_address([*WORDS, *columns], [_plain(u, columns) for u in units]),
        f"{name}_cells.csv",
        note=f"{hidden} more cells are in qc_cells.tsv beside this page." if hidden else "",
        wide=True,
    )


def measured(units: Sequence[Unit]) -> list[str]:
    """Return the measures that some cell has, in the order in which they were taken."""
    keys = dict.fromkeys(key for unit in units for key in unit if key not in WORDS)
    return [key for key in keys if any(unit.get(key) is not None for unit in units)]


def cells_tsv(qc: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the cells of all recordings as TSV, a row a cell; ``n/a`` where there is nothing."""
    units = [(name, unit) for name, one in qc.items() for unit in one.get("units") or []]
    columns = measured([unit for _, unit in units])
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t", lineterminator="\n")
    writer.writerow(["recording", *WORDS, *columns])
    for name, unit in units:
        told = ["n/a" if value in (None, "") else value for value in _plain(unit, columns)]
        writer.writerow([name, *told])
    return out.getvalue()


def _plain(unit: Unit, columns: Sequence[str]) -> list[Any]:
    return [*(unit.get(key) for key in WORDS), *(unit.get(key) for key in columns)]


def _heading(words: str, kind: str = "") -> Markup:
    if kind:
        return Markup('<th scope="col" class="{}"><button type="button">{}</button></th>').format(
            kind, words
        )
    return Markup('<th scope="col"><button type="button">{}</button></th>').format(words)


def _named(unit: Unit) -> Markup:
    return Markup('<th scope="row">{}</th><td>{}</td><td>{}</td>').format(
        str(unit.get("name")), str(unit.get("excluded") or ""), str(unit.get("flags") or "")
    )


def _number(value: float | None) -> Markup:
    return Markup('<td class="num" data-value="{}">{}</td>').format(
        "" if value is None else value, escape(number(value))
    )

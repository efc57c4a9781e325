"""What the names of files say: entities, and labels from a ``participants.tsv``."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rheobase.config.entries import NOT_LABELS, ORDER
from rheobase.io.values import reading

ENTITY = {"sub": "subject", "ses": "session", "task": "task", "acq": "acquisition", "run": "run"}
EXPRESSION = re.compile(rf"(?<![A-Za-z0-9])({'|'.join(ENTITY)})-([A-Za-z0-9]+)")
MISSING = {"", "n/a"}
Rows = tuple[dict[str, str], ...]


@dataclass(frozen=True)
class Named:
    """What the names of files of one format have in common."""

    pattern: str
    """Path with placeholders."""
    rows: Rows
    """The entities of every file kept."""
    kept: tuple[Path, ...]
    aside: tuple[str, ...] = ()
    """Names that do not follow the pattern."""
    guessed: bool = False
    """Whether ``subject`` is only the part of the names that differs."""


def name_pattern(folder: Path, paths: Sequence[Path]) -> Named:
    """Return the pattern of files and their entities.

    BIDS entities of the largest group of at least two names (or half of all) that have the same
    ones; else ``{subject}`` for the part that differs, and every file is kept.
    """
    names = [path.relative_to(folder).as_posix() for path in paths]
    prefix = _literal(f"{folder.as_posix()}/")
    made = _by_entities(names)
    if made is not None:
        pattern, rows = made
        inside = [_pattern(name) == pattern for name in names]
        kept = tuple(path for path, there in zip(paths, inside, strict=True) if there)
        aside = tuple(name for name, there in zip(names, inside, strict=True) if not there)
        return Named(prefix + pattern, rows, kept, aside)
    pattern, rows = _by_difference(names)
    return Named(prefix + pattern, rows, tuple(paths), guessed=len(names) > 1)


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _pattern(name: str) -> str:
    return EXPRESSION.sub(lambda m: f"{m[1]}-{{{ENTITY[m[1]]}}}", _literal(name))


def _by_entities(names: Sequence[str]) -> tuple[str, Rows] | None:
    """Return the pattern of the largest group of names; None where it is one of many names."""
    patterns = Counter(_pattern(name) for name in names if EXPRESSION.search(name))
    most = patterns.most_common(1)
    if not most or (most[0][1] < 2 and 2 * most[0][1] < len(names)):
        return None
    rows = tuple(
        {ENTITY[key]: value for key, value in EXPRESSION.findall(name)}
        for name in names
        if _pattern(name) == most[0][0]
    )
    distinct = len({tuple(sorted(row.items())) for row in rows}) == len(rows)
    return (most[0][0], rows) if distinct else None


def _by_difference(names: Sequence[str]) -> tuple[str, Rows]:
    if len(names) == 1:
        return _literal(names[0]), ({"subject": "01"},)
    start = _common(names)
    end = _common([name[len(start) :][::-1] for name in names])[::-1]
    middle = [name[len(start) : len(name) - len(end)] for name in names]
    if any(not re.sub("[^A-Za-z0-9]", "", part) or "/" in part for part in middle):
        return "{file}", tuple(
            {"subject": f"{n:03d}", "file": name} for n, name in enumerate(names, 1)
        )
    return f"{_literal(start)}{{subject}}{_literal(end)}", tuple(
        {"subject": part} for part in middle
    )


def _common(names: Sequence[str]) -> str:
    """Return how all names begin, cut where letters or digits end or begin in every one."""
    start = os.path.commonprefix(names)
    while start and any(
        start[-1].isalnum() and name[len(start) : len(start) + 1].isalnum() for name in names
    ):
        start = start[:-1]
    return start


def participants(path: Path, rows: Rows) -> tuple[Rows, tuple[str, ...], str]:
    """Return rows with the columns of a BIDS ``participants.tsv``, their names, and what to say.

    What the table does not tell of a subject is ``?``.
    """
    if not path.is_file() or "subject" not in rows[0]:
        return rows, (), ""
    with reading(path, "UTF-8 text"), path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t")
        columns = [c for c in reader.fieldnames or () if c not in {*NOT_LABELS, *ORDER, *rows[0]}]
        known = {
            (row.get("participant_id") or "").removeprefix("sub-"): {
                key: value if (value := (row[key] or "").strip()) not in MISSING else "?"
                for key in columns
            }
            for row in reader
        }
    absent = sorted({row["subject"] for row in rows} - set(known))
    if not columns or len(absent) == len({row["subject"] for row in rows}):
        return rows, (), f"{path}: nothing in it belongs to these recordings"
    nothing = dict.fromkeys(columns, "?")
    made = tuple({**row, **known.get(row["subject"], nothing)} for row in rows)
    unknown = sum(row[key] == "?" for row in made for key in columns)
    said = f"{path}: its columns {', '.join(columns)} are labels in the table"
    if unknown:
        said += f"; {unknown} of their values are unknown and stay ?"
    return made, tuple(columns), said

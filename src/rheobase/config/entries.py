"""Recordings of a dataset: from entities or a table to names on disk."""

from __future__ import annotations

import csv
import itertools
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SHORT = {"subject": "sub", "session": "ses", "acquisition": "acq"}
ORDER = ("subject", "session", "task", "acquisition", "run")
BIDS = {
    "subject": "sub",
    "session": "ses",
    "task": "task",
    "acquisition": "acq",
    "ceagent": "ce",
    "reconstruction": "rec",
    "direction": "dir",
    "run": "run",
    "echo": "echo",
}
"""Entities of a functional image in the order of BIDS, with their short names."""
NOT_LABELS = {"sha256", "participant_id"}


@dataclass(frozen=True)
class Entry:
    """One recording as the configuration names it."""

    name: str
    entities: dict[str, str]
    labels: dict[str, str] = field(default_factory=dict)
    sha256: str | None = None


def from_entities(entities: Mapping[str, Sequence[str]]) -> list[Entry]:
    """Return one entry for every combination of the entities' values."""
    keys = list(entities)
    return [
        _entry(dict(zip(keys, map(str, values), strict=True)), {}, None)
        for values in itertools.product(*entities.values())
    ]


def find_table(name: str, files: Sequence[Path] = ()) -> Path:
    """Return where a table is: in the working folder or beside one of the config's ``files``.

    Raises ``ValueError`` where it is nowhere, and where two different files could be meant.
    """
    folders = [Path.cwd(), *(Path(file).absolute().parent for file in files)]
    looked = list(dict.fromkeys(folder / name for folder in folders))
    found = list({path.resolve(): path for path in reversed(looked) if path.is_file()}.values())
    if not found:
        raise ValueError(
            f"table: {name!r} was not found; looked for {' and '.join(map(str, looked))}"
        )
    if len(found) > 1:
        raise ValueError(
            f"table: {name!r} could be {' or '.join(map(str, looked))}; write the full path of one"
        )
    if found[0] == folders[0] / name:
        return Path(name)
    return found[0].relative_to(folders[0]) if found[0].is_relative_to(folders[0]) else found[0]


def from_table(path: Path) -> list[Entry]:
    """Return one entry for every row of a TSV; columns that are no entity become labels.

    Raises ``ValueError`` naming the file where it is missing, empty or ragged.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", restkey="", strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as a TSV table ({error})") from error
    if not rows:
        raise ValueError(f"{path} holds no row; it needs a header and a row a recording")
    made = []
    for number, row in enumerate(rows, start=2):
        if "" in row or None in row.values():
            raise ValueError(
                f"{path}:{number}: the row has another number of columns than the header"
            )
        if "participant_id" in row:
            row.setdefault("subject", row["participant_id"])
        entities = {key: row[key] for key in ORDER if key in row}
        if not entities:
            header = "".join(row)
            split = next((repr(mark) for mark in ",;" if mark in header), None)
            remedy = f"; its columns are set apart by {split}, save it with tabs" if split else ""
            raise ValueError(
                f"{path}: no column is called {', '.join(ORDER)}; one of them must name the rows"
                f"{remedy}"
            )
        labels = {k: v for k, v in row.items() if k not in entities and k not in NOT_LABELS}
        made.append(_entry(entities, labels, row.get("sha256") or None))
    return made


def _entry(entities: dict[str, str], labels: dict[str, str], sha256: str | None) -> Entry:
    cleaned = {
        key: re.sub(rf"^{SHORT[key]}-", "", value) if key in SHORT else value
        for key, value in entities.items()
    }
    return Entry(name=recording_name(cleaned), entities=cleaned, labels=labels, sha256=sha256)


def recording_name(entities: Mapping[str, str]) -> str:
    """Return the BIDS-like name: ``sub-01_ses-1_task-rest_run-2``; letters and digits only."""
    known = [key for key in ORDER if key in entities]
    keys = known + sorted(set(entities) - set(known))
    return "_".join(f"{SHORT.get(k, k)}-{re.sub('[^A-Za-z0-9]', '', entities[k])}" for k in keys)


def placeholders(pattern: str) -> list[str]:
    """Return the names in braces of a pattern; raises ``ValueError`` on a stray brace."""
    return [name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None]


def fill(pattern: str, entry: Entry, data_dir: Path | str = "") -> str:
    """Return a pattern with ``{data_dir}`` and the entry's entities and labels filled in.

    Raises ``ValueError`` naming an unknown placeholder and the known ones.
    """
    known = {"data_dir": str(data_dir), **entry.labels, **entry.entities}
    try:
        unknown = [name for name in placeholders(pattern) if name not in known]
    except ValueError as error:
        raise ValueError(
            f"{pattern!r} has a stray brace; write {{{{ or }}}} for a literal one"
        ) from error
    if unknown:
        raise ValueError(
            f"{pattern!r} names {{{unknown[0]}}}, which is none of {', '.join(sorted(known))}"
        )
    return pattern.format_map(known)

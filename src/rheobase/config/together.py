"""People who must stay on one side of a split: siblings, by a column of the table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rheobase.config.label_checks import MISSING
from rheobase.config.schema import suggest

if TYPE_CHECKING:
    from rheobase.config.parse import Dataset

Problem = tuple[list[str | int], str]


def check_together(dataset: Dataset) -> Iterator[Problem]:
    """Yield why a column cannot keep people together: absent, empty somewhere, or not one a person.

    Nobody without a family is guessed to be alone in it: that is said by a value of one's own.
    """
    column = dataset.split.together
    where: list[str | int] = ["split", "together"]
    if column is None:
        return
    family: dict[str, str] = {}
    for entry in dataset.recordings:
        known = {**entry.labels, **entry.entities}
        if column not in known:
            text = f"{column!r} is no column of the table{suggest(column, list(known))}; add it"
            yield where, text
            return
        if known[column] in MISSING:
            yield (
                where,
                f"{entry.name} has no {column}; fill it in (a value of its own for somebody "
                "without siblings), or name the recording under exclude",
            )
            return
        person = known["subject"]
        if family.setdefault(person, known[column]) != known[column]:
            yield (
                where,
                f"subject {person} has the {column} {family[person]!r} and {known[column]!r}; one "
                "person belongs to one, so correct the table",
            )
            return

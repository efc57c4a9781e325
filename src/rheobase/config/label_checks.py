"""What can be known of a label before any recording is read, and places left open in a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rheobase.config.schema import UNKNOWN, suggest

if TYPE_CHECKING:
    from rheobase.config.parse import Dataset

Problem = tuple[list[str | int], str]

OVER_TIME = {"label_key", "labels_file"}
MISSING = {"", "nan", "None", "n/a", UNKNOWN}
NAMED = 3


def check_label(dataset: Dataset) -> Iterator[Problem]:
    """Yield every ``?`` of the table, and why a label can be decoded in no fold."""
    yield from _unknown(dataset)
    if dataset.label is None or dataset.source["kind"] == "synthetic":
        return
    name, reader = dataset.label["name"], dataset.reader
    if OVER_TIME & set(reader) or name == "annotation" or not dataset.recordings:
        return
    first = {**dataset.recordings[0].labels, **dataset.recordings[0].entities}
    over_time = {*map(str, reader.get("label_keys", []))}
    over_time |= {reader["events"]["column"]} if "events" in reader else set()
    if name in over_time:
        return
    if name not in first:
        known = sorted({*over_time, *first})
        yield (
            ["label", "name"],
            f"{name!r} is no entity, column of the table or label of the "
            f"reader{suggest(name, known)}",
        )
        return
    values = {e.name: {**e.labels, **e.entities}.get(name, "") for e in dataset.recordings}
    numbers = dataset.label["kind"] == "value"
    yield from _numbers(name, values) if numbers else _classes(dataset, name, values)


def _unknown(dataset: Dataset) -> Iterator[Problem]:
    places: dict[str, list[str]] = defaultdict(list)
    for entry in dataset.recordings if "table" in dataset.raw else ():
        for column, value in {**entry.labels, **entry.entities}.items():
            if value == UNKNOWN:
                places[column].append(entry.name)
    for column, names in places.items():
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        yield (
            ["table"],
            f"column {column!r} still holds ? for {', '.join(names[:NAMED])}{more}; write the "
            "value, take the column out, or name the recordings under exclude",
        )


def _numbers(label: str, values: Mapping[str, str]) -> Iterator[Problem]:
    wrong = [name for name, value in values.items() if value != UNKNOWN and not _number(value)]
    if wrong:
        yield (
            ["label", "kind"],
            f"{label} of {wrong[0]} is {values[wrong[0]]!r}, which is no number "
            f"({len(wrong)} of {len(values)} recordings); write numbers, nan where one is "
            "unknown, or use kind: class",
        )
    elif len(set(values.values())) == 1 and UNKNOWN not in values.values():
        yield ["label", "name"], _one(f"value {next(iter(values.values()))!r}", label)


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _one(what: str, label: str) -> str:
    return (
        f"all recordings have the one {what} of {label}, so there is nothing to decode; choose "
        "another label or take it out"
    )


def _classes(dataset: Dataset, label: str, values: Mapping[str, str]) -> Iterator[Problem]:
    by, groups = dataset.split.group, defaultdict(set)
    for entry in dataset.recordings:
        if values[entry.name] not in MISSING:
            group = {**entry.labels, **entry.entities}.get(by, entry.name)
            groups[values[entry.name]].add(group)
    open_still = UNKNOWN in values.values()
    if not groups and not open_still:
        yield ["label", "name"], f"no recording has a {label}; fill it in or take the label out"
    elif len(groups) == 1 and not open_still:
        yield ["label", "name"], _one(f"class {next(iter(groups))!r}", label)
    elif len(groups) > 1 and by not in ("time", "trial") and max(map(len, groups.values())) == 1:
        yield (
            ["label", "name"],
            f"each of the {len(groups)} classes of {label} belongs to one {by} only, so a fold by "
            f"{by} can learn none that it tests; choose another label or split, or kind: value "
            "for numbers",
        )

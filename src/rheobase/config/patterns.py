"""The files that a dataset names beside its recordings, as the patterns that the config gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rheobase.config.entries import fill

if TYPE_CHECKING:
    from rheobase.config.parse import Dataset

Problem = tuple[list[str | int], str]

PLAIN = ("labels_file", "units_file", "mask")
NESTED = ("motion", "events")
ATLAS = ("image", "labels", "coordinates")


def reader_patterns(reader: Mapping[str, Any]) -> dict[str, str]:
    """Return the path pattern of each side file that a ``reader`` block names, by its option."""
    found = {key: str(reader[key]) for key in PLAIN if reader.get(key)}
    inside = {key: reader.get(key) for key in NESTED}
    return found | {
        key: str(block["path"])
        for key, block in inside.items()
        if isinstance(block, Mapping) and block.get("path")
    }


def atlas_patterns(preprocess: Mapping[str, Any]) -> dict[str, str]:
    """Return the path pattern of each file of ``preprocess.atlas``, by its option."""
    atlas = preprocess.get("atlas")
    if not isinstance(atlas, Mapping):
        return {}
    return {key: str(atlas[key]) for key in ATLAS if atlas.get(key)}


def check_patterns(dataset: Dataset) -> Iterator[Problem]:
    """Yield the patterns with a placeholder that some recording does not fill."""
    places: list[tuple[list[str | int], str]] = []
    for key, pattern in reader_patterns(dataset.reader).items():
        places.append((["reader", key, "path"] if key in NESTED else ["reader", key], pattern))
    for key, pattern in atlas_patterns(dataset.preprocess).items():
        places.append((["preprocess", "atlas", key], pattern))
    for keys, pattern in places:
        for entry in dataset.recordings:
            try:
                fill(pattern, entry)
            except ValueError as error:
                yield keys, str(error)
                break

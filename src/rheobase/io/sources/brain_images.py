"""Kind ``nilearn``: data sets that nilearn knows how to download."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rheobase.config.entries import Entry
from rheobase.io.sources.keeping import copy
from rheobase.storage import atomic

BESIDE = {"confounds": "confounds", "session_target": "labels"}
PERSON = {"abide_pcp": "SUB_ID", "development_fmri": "participant_id", "adhd": "Subject"}
"""The column of nilearn's phenotypes that names a person."""
KEPT = {
    "abide_pcp": ("SITE_ID", "DX_GROUP", "AGE_AT_SCAN", "SEX"),
    "development_fmri": ("Child_Adult", "Age", "AgeGroup", "Gender"),
    "adhd": ("site", "adhd", "age", "sex"),
}
WORDS = {
    "DX_GROUP": {"1": "autism", "2": "control"},
    "SEX": {"1": "male", "2": "female"},
}
"""What numbers of a column mean, as nilearn's documentation says."""
UNKNOWN = {"nan", "-9999", "-9999.0", ""}


def bring(
    source: Mapping[str, Any],
    entries: Sequence[Entry],
    paths: Sequence[Path],
    *,
    download_dir: Path,
) -> None:
    """Fetch the data set and put the elements of its list ``field`` where recordings belong.

    An element belongs to the recording of the same person, or, where no recording is called like a
    person of nilearn's, element i to recording i. Confounds and labels go beside, as
    ``<recording>_confounds`` and ``<recording>_labels``. Raises ``ValueError`` for people whom
    nilearn does not give, numbers of files and recordings that differ, or an unknown field.
    """
    result = _fetched(source, download_dir / "nilearn")
    found = _listed(source, result)
    numbers = _numbers(source, result, entries)
    for number, entry, path in zip(numbers, entries, paths, strict=True):
        for key, ending in BESIDE.items():
            extra = result.get(key)
            if isinstance(extra, list | tuple) and len(extra) == len(found) and extra[number]:
                file = Path(extra[number])
                copy(file, path.with_name(f"{entry.name}_{ending}{file.suffix}"))
        _keep(found[number], path)


def people(source: Mapping[str, Any], *, download_dir: Path) -> list[dict[str, str]]:
    """Return a row a recording for a table: ``subject`` and what nilearn tells of the person.

    What is unknown is ``nan``. Raises ``ValueError`` for a data set without phenotypes.
    """
    name = source["dataset"]
    if name not in PERSON:
        raise ValueError(
            f"nilearn tells nothing of the people of {name}; write its table, or use entities"
        )
    result = _fetched(source, download_dir / "nilearn")
    frame = result["phenotypic"]
    columns = [column for column in KEPT[name] if column in frame]
    told = {_plain(row[PERSON[name]]): row for _, row in frame.iterrows()}
    subjects = _people(name, result) or []
    return [
        {"subject": subject, **{column: _word(column, told[subject]) for column in columns}}
        for subject in subjects
    ]


def _word(column: str, row: Mapping[str, Any]) -> str:
    text = _plain(row[column])
    return "nan" if text in UNKNOWN else WORDS.get(column, {}).get(text, text)


def _plain(value: Any) -> str:
    """Return a name without BIDS prefix, and a whole number without a point."""
    text = str(value).strip()
    return text.removesuffix(".0").removeprefix("sub-")


def _people(name: str, result: Mapping[str, Any]) -> list[str] | None:
    """Return who each element of nilearn's lists is of; None where that is not told."""
    if name == "adhd" and "func" in result:  # its phenotypes have another order than its files
        folders = [Path(file).parent.name for file in result["func"]]
        return [str(int(f)) for f in folders] if all(f.isdigit() for f in folders) else None
    frame = result.get("phenotypic")
    if name not in PERSON or frame is None:
        return None
    return [_plain(value) for value in frame[PERSON[name]]]


def _numbers(
    source: Mapping[str, Any], result: Mapping[str, Any], entries: Sequence[Entry]
) -> list[int]:
    """Return which element of nilearn's list each recording is."""
    name, field = source["dataset"], source.get("field", "func")
    there = {who: number for number, who in enumerate(_people(name, result) or [])}
    wanted = [entry.entities.get("subject", "") for entry in entries]
    absent = [who for who in wanted if who not in there]
    if len(absent) < len(wanted):
        if absent:
            raise ValueError(
                f"nilearn's {name} gave {len(there)} people, and {absent[0]} is not among them; "
                "make source.arguments and the table agree (`rheobase table` writes it)"
            )
        return [there[who] for who in wanted]
    found = _listed(source, result)
    if len(found) != len(entries):
        raise ValueError(
            f"nilearn's {name} gave {len(found)} of {field!r} for {len(entries)} recordings; make "
            "source.arguments and the recordings agree"
        )
    return list(range(len(found)))


def _listed(source: Mapping[str, Any], result: Mapping[str, Any]) -> Sequence[Any]:
    """Return the list that holds the recordings."""
    name, field = source["dataset"], source.get("field", "func")
    if not isinstance(result.get(field), list | tuple):
        lists = [key for key, value in result.items() if isinstance(value, list | tuple)]
        raise ValueError(
            f"nilearn's {name} has no list {field!r}; set source.field to one of "
            f"{', '.join(sorted(lists))}"
        )
    return result[field]


def _fetched(source: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    from nilearn import datasets

    fetcher = getattr(datasets, f"fetch_{source['dataset']}")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return fetcher(data_dir=str(folder), **source.get("arguments", {}))
    except TypeError as error:
        raise ValueError(f"source.arguments does not suit nilearn: {error}") from error
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"nilearn could not fetch {source['dataset']} ({reason}); check the network, or put "
            f"its files into {folder} by hand"
        ) from error


def _keep(item: Any, path: Path) -> None:
    if not isinstance(item, np.ndarray):
        file = Path(item)
        if not file.name.endswith("".join(path.suffixes[-2:])):
            raise ValueError(f"{file} does not end in {''.join(path.suffixes)}; set source.field")
        copy(file, path)
        return
    with atomic(path) as temporary, temporary.open("wb") as out:
        np.save(out, item, allow_pickle=False)

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


def bring(
    source: Mapping[str, Any],
    entries: Sequence[Entry],
    paths: Sequence[Path],
    *,
    download_dir: Path,
) -> None:
    """Fetch the data set and put element i of its list ``field`` where recording i belongs.

    Confounds and labels go beside, as ``<recording>_confounds`` and ``<recording>_labels``.
    Raises ``ValueError`` where the numbers of files and recordings differ, or the field is unknown.
    """
    name, field = source["dataset"], source.get("field", "func")
    result = _fetched(source, download_dir / "nilearn")
    if not isinstance(result.get(field), list | tuple):
        lists = [key for key, value in result.items() if isinstance(value, list | tuple)]
        raise ValueError(
            f"nilearn's {name} has no list {field!r}; set source.field to one of "
            f"{', '.join(sorted(lists))}"
        )
    found = result[field]
    if len(found) != len(entries):
        raise ValueError(
            f"nilearn's {name} gave {len(found)} of {field!r} for {len(entries)} recordings; make "
            "source.arguments and the recordings agree"
        )
    for number, (entry, path) in enumerate(zip(entries, paths, strict=True)):
        for key, ending in BESIDE.items():
            extra = result.get(key)
            if isinstance(extra, list | tuple) and len(extra) == len(found) and extra[number]:
                file = Path(extra[number])
                copy(file, path.with_name(f"{entry.name}_{ending}{file.suffix}"))
        _keep(found[number], path)


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

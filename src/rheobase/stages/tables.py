"""``rheobase table``: who is in a data set that nilearn downloads, as the table that it needs.

A configuration lists its recordings before anything is fetched; for these data sets nilearn alone
knows them.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rheobase import config as settings
from rheobase.storage import write_text

DOWNLOADS = "downloads"


def write_tables(path: Path) -> str:
    """Write the tables that datasets of kind ``nilearn`` name, beside the config; returns what was.

    The data are downloaded for it, and kept for the workflow. A table that is there is left alone.
    Raises ``ValueError`` where no dataset needs one.
    """
    content = settings.read(path)
    folder = Path(os.environ.get("RHEOBASE_DOWNLOADS") or content.get("download_dir", DOWNLOADS))
    wanted = _wanted(content)
    if not wanted:
        raise ValueError(
            f"{path}: no dataset of kind nilearn has a table, so there is none to write"
        )
    said = []
    for name, source in wanted.items():
        target = path.parent / name
        if target.exists() or Path(name).exists():
            said.append(f"{name} is there already")
            continue
        rows = _people(source, folder)
        write_text(_tsv(rows), target)
        labels = ", ".join(key for key in rows[0] if key != "subject")
        said.append(f"{target}: {len(rows)} recordings; columns: {labels}")
    return "\n".join([*said, f"now: rheobase check {path}"])


def _wanted(content: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the source behind each table; two datasets may share one."""
    datasets = content.get("datasets")
    found = {}
    for raw in datasets.values() if isinstance(datasets, Mapping) else ():
        source = raw.get("source") if isinstance(raw, Mapping) else None
        if isinstance(source, Mapping) and source.get("kind") == "nilearn" and "table" in raw:
            found.setdefault(str(raw["table"]), source)
    return found


def _people(source: Mapping[str, Any], folder: Path) -> list[dict[str, str]]:
    from rheobase.io.sources.brain_images import people

    rows = people(source, download_dir=folder)
    if not rows:
        raise ValueError(f"nilearn gave nobody for {source['dataset']}; correct source.arguments")
    return rows


def _tsv(rows: Sequence[Mapping[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()

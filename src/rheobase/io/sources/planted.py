"""Kind ``synthetic``: recordings with planted truth, written as ``.npz`` with the truth beside."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rheobase.config.entries import Entry
from rheobase.io.synthetic import generate
from rheobase.storage import atomic

EPOCH = (1980, 1, 1, 0, 0, 0)


def bring(
    source: Mapping[str, Any],
    entries: Sequence[Entry],
    paths: Sequence[Path],
    *,
    download_dir: Path,
) -> None:
    """Generate every recording; the truth goes to ``<recording>.truth.npz`` beside it."""
    for index, (entry, path) in enumerate(zip(entries, paths, strict=True)):
        signals, truth = generate(source, index=index, entry=entry, total=len(entries))
        write_npz(truth, path.with_name(f"{entry.name}.truth.npz"))
        write_npz(signals, path)


def write_npz(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Write arrays atomically as ``.npz``; the same arrays give the same bytes."""
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as file:
        for name in sorted(arrays):
            member = zipfile.ZipInfo(f"{name}.npy", date_time=EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            with file.open(member, "w", force_zip64=True) as out:
                np.lib.format.write_array(out, np.asarray(arrays[name]), allow_pickle=False)

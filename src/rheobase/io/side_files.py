"""Which files a recording is read with besides its own, told from the configuration alone.

Standard library only, because it is used while Snakemake plans; nothing is opened.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rheobase.config.entries import Entry, fill
from rheobase.config.patterns import atlas_patterns, reader_patterns
from rheobase.io.derivatives import beside, events_path
from rheobase.io.sources.places import recording_file

if TYPE_CHECKING:
    from rheobase.config import Dataset

COMPANIONS = {"brainvision": (".eeg", ".vmrk"), "wfdb": (".dat",)}
"""Endings of the files that belong to a recording's header, under its own name."""


def reader_files(dataset: Dataset, entry: Entry, data_dir: Path) -> dict[str, Path]:
    """Return the side files that a dataset's ``reader`` block names, by option.

    ``events`` of format fmriprep without a path are those of the raw BIDS data set around it.
    """
    patterns = reader_patterns(dataset.reader)
    found = {key: Path(fill(pattern, entry, data_dir)) for key, pattern in patterns.items()}
    if "events" in dataset.reader and "events" not in found:
        folder = Path(fill(dataset.source["path"], entry, data_dir))
        if path := events_path(folder, entry.entities):
            found["events"] = path
    return found


def side_files(dataset: Dataset, entry: Entry, data_dir: Path) -> dict[str, Path]:
    """Return every file beside a recording's own that its cleaned signal depends on, by its use.

    Those that the config names (``reader.mask``, ``preprocess.atlas.labels``, ...) whether they
    exist or not, those that fMRIPrep writes beside an image, and, where they exist, a confounds
    table's JSON and the files that a header's data lie in.
    """
    found = {f"reader.{k}": p for k, p in reader_files(dataset, entry, data_dir).items()}
    for key, pattern in atlas_patterns(dataset.preprocess).items():
        found[f"preprocess.atlas.{key}"] = Path(fill(pattern, entry, data_dir))
    return found | _companions(dataset, entry, data_dir)


def _companions(dataset: Dataset, entry: Entry, data_dir: Path) -> dict[str, Path]:
    form = dataset.reader.get("format")
    if form != "fmriprep" and form not in COMPANIONS:
        return {}
    path = recording_file(dataset, entry, data_dir)
    if form == "fmriprep":
        near = beside(path)
        optional = {"confounds JSON": near["confounds"].with_suffix(".json")}
    else:
        near, optional = {}, {end: path.with_suffix(end) for end in COMPANIONS[form]}
    return near | {key: file for key, file in optional.items() if file.is_file()}

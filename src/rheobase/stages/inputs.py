"""Which files the jobs of a dataset read: told while Snakemake plans, so nothing is hashed here."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path

from rheobase import layout
from rheobase.config import Config, Dataset, Entry
from rheobase.io.side_files import side_files
from rheobase.io.sources import recording_file


def fetched(config: Config) -> dict[str, list[Path]]:
    """Return what the fetching job of each dataset brings, for sources that are not the user's own.

    These are its recordings, and the side files of any dataset that lie in its source folder (the
    confounds that nilearn gives with an image).
    """
    places = {
        layout.source_dir(d.name): d for d in config.datasets.values() if d.source["kind"] != "path"
    }
    made = {d.name: dict.fromkeys(_recordings(config, d)) for d in places.values()}
    for dataset in config.datasets.values():
        for entry in dataset.recordings if places else ():
            for path in side_files(dataset, entry, config.data_dir).values():
                if owner := next((places[p] for p in path.parents if p in places), None):
                    made[owner.name][path] = None
    return {name: list(files) for name, files in made.items()}


def read(
    config: Config, dataset: Dataset, entries: Sequence[Entry], brought: Collection[Path]
) -> list[str]:
    """Return the files that preparing some recordings of a dataset reads, each once.

    A missing file of the user's is left out, so that the job that needs it fails with its name, and
    no other dataset's. ``brought`` are the files that some job of the workflow fetches.
    """
    found: dict[Path, None] = {}
    for entry in entries:
        found[recording_file(dataset, entry, config.data_dir)] = None
        found |= dict.fromkeys(side_files(dataset, entry, config.data_dir).values())
    return [str(path) for path in found if path in brought or path.exists()]


def told(entries: Sequence[Entry]) -> str:
    """Return the entities and labels of recordings as JSON: an edited row of a table counts."""
    return json.dumps([asdict(entry) for entry in entries], sort_keys=True)


def _recordings(config: Config, dataset: Dataset) -> list[Path]:
    return [recording_file(dataset, entry, config.data_dir) for entry in dataset.recordings]

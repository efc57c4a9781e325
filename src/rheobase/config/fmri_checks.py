"""What the keys of an fMRI dataset must agree on: format, atlas, confounds and censoring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING

from rheobase.config.entries import BIDS

if TYPE_CHECKING:
    from rheobase.config.parse import Dataset

Problem = tuple[list[str | int], str]

IMAGES = {"nifti", "fmriprep"}
HOLDS_EVENTS = {*IMAGES, "cifti"}
FROM_MOTION = {"6p", "24p"}
WITHOUT_GLOBAL_SIGNAL = {"none", "highvar", "aroma", "36p"}
SAFE_SHARE = 0.4


def check_fmri(dataset: Dataset) -> Iterator[Problem]:
    """Yield (key path, sentence) for everything that does not fit together."""
    if dataset.modality != "fmri":
        return
    yield from _image(dataset)
    yield from _events(dataset)
    yield from _confounds(dataset)
    yield from _censoring(dataset)
    yield from _classes(dataset)


def _image(dataset: Dataset) -> Iterator[Problem]:
    form, options = dataset.reader.get("format"), dataset.preprocess
    if form in IMAGES and "atlas" not in options:
        yield (
            ["preprocess"],
            f"format {form} needs `atlas` (voxels, seitzman300, a label image or coordinates)",
        )
    if form == "nifti" and options.get("atlas") == "voxels" and "mask" not in dataset.reader:
        yield ["reader"], "`atlas: voxels` needs `mask`, the image that says which voxels to keep"
    for key in () if form in IMAGES else ("atlas", "smoothing_mm", "std_dvars"):
        if options.get(key) is not None:
            yield (
                ["preprocess", key],
                f"{key} belongs to images (nifti, fmriprep); format {form or 'npz'} holds series "
                "that are ready, so remove it",
            )
    if form == "fmriprep":
        yield from _derivatives(dataset)
    elif options["n_dummy"] == "auto":
        yield ["preprocess", "n_dummy"], "`auto` needs format fmriprep; give a number of volumes"


def _derivatives(dataset: Dataset) -> Iterator[Problem]:
    if dataset.source["kind"] != "path":
        yield (
            ["source", "kind"],
            "format fmriprep reads a folder of derivatives: use kind path, and the folder that "
            "holds sub-<subject> as path",
        )
    known = {key for entry in dataset.recordings for key in entry.entities}
    where = "table" if "table" in dataset.raw else "entities"
    if "subject" not in known:
        yield [where], "format fmriprep names files by subject; add it"
    if "task" not in known:
        yield [where], "format fmriprep names files by task; add it"
    if unknown := sorted(known - set(BIDS)):
        yield [where], f"{unknown[0]!r} is no entity of fMRIPrep; known: {', '.join(BIDS)}"


def _events(dataset: Dataset) -> Iterator[Problem]:
    if "events" not in dataset.reader:
        return
    form, source = dataset.reader.get("format"), str(dataset.source.get("path", ""))
    if form not in HOLDS_EVENTS:
        yield (
            ["reader", "events"],
            f"events belong to {', '.join(sorted(HOLDS_EVENTS))}; format {form} takes labels_file",
        )
    elif "path" not in dataset.reader["events"] and not (
        form == "fmriprep" and PurePath(source).parent.name == "derivatives"
    ):
        yield (
            ["reader", "events"],
            "events need `path`; only format fmriprep whose folder lies in `derivatives` of a BIDS "
            "data set finds those of the data set",
        )
    if dataset.time_unit == "frame":
        yield ["reader", "events"], "onsets are seconds, and time_unit is frame; use labels_file"


def _confounds(dataset: Dataset) -> Iterator[Problem]:
    form, options = dataset.reader.get("format"), dataset.preprocess
    denoise = options["denoise"]
    where: list[str | int] = ["preprocess", "denoise"]
    allowed = {"none", *FROM_MOTION} | ({"highvar"} if form == "nifti" else set())
    if form != "fmriprep" and denoise not in allowed:
        yield (
            where,
            f"{denoise} needs the confounds of fMRIPrep (format fmriprep); format {form or 'npz'} "
            f"takes {', '.join(sorted(allowed))}",
        )
    elif form != "fmriprep" and denoise in FROM_MOTION and "motion" not in dataset.reader:
        yield where, f"{denoise} needs reader.motion, the head motion of every volume"
    if denoise == "scrubbing" and not (options["fd_mm"] and options["std_dvars"]):
        yield where, "scrubbing needs fd_mm and std_dvars; null keeps every frame"
    if options["global_signal"] != "none" and (
        form != "fmriprep" or denoise in WITHOUT_GLOBAL_SIGNAL
    ):
        yield (
            ["preprocess", "global_signal"],
            "the global signal is added to 6p, 24p, simple, compcor or scrubbing of format "
            "fmriprep (36p holds it already); remove it",
        )


def _censoring(dataset: Dataset) -> Iterator[Problem]:
    options = dataset.preprocess
    wanted = options["resample_s"]
    if wanted is None:
        return
    _, high = options["band_hz"] or (None, None)
    if dataset.time_unit == "frame":
        yield ["preprocess", "resample_s"], "seconds need the sampling rate, and time_unit is frame"
    elif high is None or high >= SAFE_SHARE / wanted:
        yield (
            ["preprocess", "resample_s"],
            f"{wanted:g} s needs band_hz with an upper edge below {SAFE_SHARE / wanted:.3g} Hz "
            "(0.4 of the new rate)",
        )


def _classes(dataset: Dataset) -> Iterator[Problem]:
    """Yield the classes with fewer people (or families) than folds, which some fold lacks."""
    label = dataset.label
    if label is None or label["kind"] != "class" or dataset.split.by != "subject":
        return
    by = dataset.split.group
    kinds = {
        ({**entry.labels, **entry.entities}.get(by), entry.labels[label["name"]])
        for entry in dataset.recordings
        if label["name"] in entry.labels
    }
    for name, count in sorted(Counter(kind for _, kind in kinds).items()):
        if name and count < dataset.n_folds:
            yield (
                ["label", "name"],
                f"class {name!r} of {label['name']} has {count} {by}s for {dataset.n_folds} "
                "folds; set split.folds to that or fewer, or leave the class out",
            )

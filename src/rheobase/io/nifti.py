"""Region or voxel time series from 4-D NIfTI images, with the quality of their voxels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rheobase.io import confounds, maps, tissues, voxel_quality
from rheobase.io.atlases import find_regions
from rheobase.io.raw import Raw
from rheobase.io.regions import Regions
from rheobase.io.sides import read_blocks
from rheobase.io.spaces import in_mni, known_space, space_notes
from rheobase.io.volumes import Volumes, open_volumes, read_mask
from rheobase.io.voxel_gaps import gap_notes, voxels_with_gaps


def read_nifti(
    path: Path, reader: Mapping[str, Any], files: Mapping[str, Path], preprocess: Mapping[str, Any]
) -> Raw:
    """Return the mean series of the regions of ``preprocess.atlas``, or every voxel of the mask.

    A region's mean takes the voxels of the mask that vary over time; one without any is NaN and
    named in ``steps``. ``extras["coverage"]`` is the share of a region that was usable. The label
    of units ``space`` says in which space their ``x``, ``y``, ``z`` lie, where that is known.
    """
    _need_atlas(path, preprocess)
    volumes = open_volumes(path)
    mask = read_mask(files["mask"], volumes) if "mask" in files else None
    runs = None
    if "labels_file" in files and reader.get("block_column") is not None:
        runs = read_blocks(files["labels_file"], reader, volumes.count)
    return read_run(volumes, mask, preprocess, rate=volumes.rate_hz, extras={}, steps=(), runs=runs)


def read_run(
    volumes: Volumes,
    mask: np.ndarray | None,
    preprocess: Mapping[str, Any],
    *,
    rate: float | None,
    extras: Mapping[str, np.ndarray],
    steps: Sequence[Mapping[str, Any]],
    runs: np.ndarray | None = None,
) -> Raw:
    """Return the series of a run's regions or voxels, and the quality of its voxels in ``extras``.

    ``runs`` numbers stretches recorded in one go, (time,). What ``extras`` holds already (of a
    confounds table) stands.
    """
    _need_atlas(volumes.path, preprocess)
    atlas, fwhm = preprocess["atlas"], preprocess.get("smoothing_mm")
    runs = np.zeros(volumes.count, int) if runs is None else runs
    usable = volumes.varying if mask is None else volumes.varying & mask
    if atlas == "voxels":
        raw, found = _voxels(volumes, mask, rate, fwhm), None
        usable = usable if mask is None else mask
    else:
        notes = space_notes(volumes.path, atlas)
        found = _regions(atlas, volumes, usable)
        holes = voxels_with_gaps(volumes, mask, usable, atlas, found)
        notes = (*notes, *gap_notes(found.names, holes))
        raw = Raw(
            _means(volumes, usable, found, fwhm),
            found.names,
            rate_hz=rate,
            unit_labels=found.labels,
            steps=(found.step,),
            notes=notes,
        )
    inside = _of_regions(usable, found) if mask is None else volumes.varying & mask
    if not inside.any():
        raise ValueError(
            f"{volumes.path}: no voxel inside the mask varies over time; is the image empty?"
        )
    measured = _quality(volumes, inside, usable, found, runs)
    if volumes.placed and in_mni(volumes.path, atlas):
        measured |= _carpet(volumes, volumes.varying if mask is None else inside)
    made, done = {**raw.extras, **measured, **extras}, [*raw.steps, *steps]
    if preprocess.get("denoise") == "highvar":
        noise = confounds.high_variance(volumes, inside)
        made |= confounds.as_extras(noise)
        done.append(confounds.step("highvar", noise))
    if fwhm:
        done.insert(0, {"step": "smooth", "fwhm_mm": fwhm})
    return Raw(
        raw.signal,
        raw.names,
        rate_hz=raw.rate_hz,
        unit_labels={**raw.unit_labels, **_space(volumes, atlas, len(raw.names))},
        extras=made,
        steps=tuple(dict(step) for step in done),
        notes=raw.notes,
    )


def _need_atlas(path: Path, preprocess: Mapping[str, Any]) -> None:
    if preprocess.get("atlas") is None:
        raise ValueError(
            f"{path}: preprocess.atlas is missing; a NIfTI image needs a label image, coordinates, "
            "voxels or the name of an atlas that needs no file"
        )


def _space(volumes: Volumes, atlas: Any, count: int) -> dict[str, np.ndarray]:
    """Return the space of the coordinates, once a unit; empty where nothing tells it."""
    space = known_space(volumes.path, atlas) if volumes.placed else None
    return {} if space is None else {"space": np.full(count, space)}


def _voxels(
    volumes: Volumes, mask: np.ndarray | None, rate: float | None, fwhm: float | None
) -> Raw:
    if mask is None:
        raise ValueError(f"{volumes.path}: preprocess.atlas: voxels needs reader.mask")
    count = int(mask.sum())
    signal = np.empty((volumes.count, count), np.float32)
    for at, part in volumes.chunks(fwhm_mm=fwhm):
        signal[at] = part[mask].T
    place = np.argwhere(mask) @ volumes.affine[:3, :3].T + volumes.affine[:3, 3]
    width = max(4, len(str(count)))
    names = tuple(f"v{i:0{width}d}" for i in range(1, count + 1))
    labels = dict(zip("xyz", place.T, strict=True))
    step = {"step": "parcellate", "atlas": "voxels", "regions": count, "lost": []}
    return Raw(signal, names, rate_hz=rate, unit_labels=labels, steps=(step,))


def _regions(atlas: Any, volumes: Volumes, usable: np.ndarray) -> Regions:
    if not volumes.placed:
        raise ValueError(
            f"{volumes.path}: its header has neither sform nor qform, so an atlas cannot be laid "
            "over it; repair the header or use atlas: voxels"
        )
    return find_regions(atlas, volumes.path, usable, volumes.affine)


def _means(volumes: Volumes, usable: np.ndarray, found: Regions, fwhm: float | None) -> np.ndarray:
    """Return the mean over each region's voxels, (time, region); NaN for a region without any."""
    signal = np.empty((volumes.count, len(found.names)))
    for at, part in volumes.chunks(fwhm_mm=fwhm):
        signal[at] = (found.weights @ part[usable]).T
    signal[:, np.diff(found.weights.indptr) == 0] = np.nan
    return signal


def _of_regions(usable: np.ndarray, found: Regions | None) -> np.ndarray:
    """Return the voxels that belong to some region, (x, y, z) bool."""
    inside = np.zeros(usable.shape, bool)
    if found is not None:
        inside[usable] = found.weights.sum(axis=0) > 0
    return inside


def _quality(
    volumes: Volumes,
    inside: np.ndarray,
    usable: np.ndarray,
    found: Regions | None,
    runs: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return ``extras``: courses over time, tSNR of the voxels (median) and of each region."""
    told = voxel_quality.measure(volumes, inside, runs)
    made = {"dvars": told.dvars, "std_dvars": told.std_dvars, "global_signal": told.global_signal}
    shown = {"mean": told.mean, "sd": told.sd}
    shown |= {} if told.tsnr is None else {"tsnr": told.tsnr}
    made |= maps.mosaic(inside, usable, found, **shown)
    if found is not None and found.coverage is not None:
        made["coverage"] = found.coverage
    if told.tsnr is None:
        return made
    made["voxel_tsnr_median"] = np.asarray(np.median(told.tsnr))
    everywhere = np.zeros(usable.shape)
    everywhere[inside] = told.tsnr
    if found is None:
        made["tsnr"] = everywhere[usable]
        return made
    values = found.weights @ everywhere[usable]
    values[np.diff(found.weights.indptr) == 0] = np.nan
    made["tsnr"] = values
    return made


def _carpet(volumes: Volumes, candidates: np.ndarray) -> dict[str, np.ndarray]:
    """Return ``extras``: the courses of a few voxels of each tissue, as stored."""
    found = tissues.sample(candidates, volumes.affine)
    if found is None:
        return {}
    chosen, kinds = found
    mask = np.zeros(volumes.shape, bool)
    mask[tuple(chosen.T)] = True
    stored = np.concatenate([part for _, part in volumes.voxels(mask)])
    order = np.lexsort(chosen.T[::-1])  # voxels come in the order of np.argwhere
    courses = np.empty_like(stored)
    courses[order] = stored
    return {"carpet": courses.T, "carpet_tissue": kinds}

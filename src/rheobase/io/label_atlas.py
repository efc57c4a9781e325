"""Regions of a 3-D label image, such as the Schaefer parcels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rheobase.io.regions import (
    Regions,
    check_lost,
    columns_of,
    equal_weights,
    existing,
    numbers,
    pooling_step,
)
from rheobase.io.values import listing, reading


@dataclass(frozen=True)
class Labels:
    """A label image with the names of its regions."""

    atlas: str
    values: np.ndarray
    """(x, y, z) int32, 0 outside every region."""
    affine: np.ndarray
    names: Mapping[int, str]
    networks: Mapping[int, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the step should tell besides."""


def label_regions(
    atlas: Mapping[str, Any], path: Path, usable: np.ndarray, affine: np.ndarray
) -> Regions:
    """Return the labels of ``atlas["image"]`` as regions of the usable voxels, (x, y, z) bool."""
    file = Path(atlas["image"])
    values, atlas_affine = _label_image(file)
    present = np.unique(values[values > 0])
    names, networks = _label_names(file, atlas.get("labels"), present)
    return regions_of(
        Labels(file.name, values, atlas_affine, names, networks), path, usable, affine
    )


def regions_of(labels: Labels, path: Path, usable: np.ndarray, affine: np.ndarray) -> Regions:
    """Return labels as regions of an image's usable voxels.

    They are brought onto the image's grid by nearest neighbour, never the image onto theirs.
    """
    place = np.argwhere(usable) @ affine[:3, :3].T + affine[:3, 3]
    grid = _labels_at(place, labels.values, labels.affine)
    order = np.asarray(sorted(labels.names))
    told = [labels.names[i] for i in order.tolist()]
    row = np.searchsorted(order, grid)
    inside = np.flatnonzero((grid > 0) & (row < len(order)))
    inside = inside[order[row[inside]] == grid[inside]]
    weights, counts = equal_weights(row[inside], inside, (len(order), len(grid)))
    check_lost(path, counts, told, labels.atlas)
    whole = np.maximum(_voxels_of(labels, affine, int(order[-1]) + 1)[order], 1)
    coverage, centre = counts / whole, np.full((len(order), 3), np.nan)
    centre[counts > 0] = (weights @ place)[counts > 0]
    found = dict(zip("xyz", centre.T, strict=True))
    found |= schaefer_labels(told)
    if labels.networks:
        found["network"] = np.asarray([labels.networks[i] for i in order.tolist()])
    step = pooling_step(labels.atlas, told, counts, coverage)
    return Regions(weights, tuple(told), found, coverage, {**step, **labels.facts})


def _voxels_of(labels: Labels, affine: np.ndarray, count: int) -> np.ndarray:
    """Return how many voxels of an endless grid the labels below ``count`` would take."""
    box = np.argwhere(labels.values > 0)
    ends = np.stack([box.min(axis=0) - 1, box.max(axis=0) + 1])
    corners = np.stack(np.meshgrid(*ends.T, indexing="ij"), -1).reshape(-1, 3)
    place = corners @ labels.affine[:3, :3].T + labels.affine[:3, 3]
    voxel = (place - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    low, high = np.floor(voxel.min(axis=0)), np.ceil(voxel.max(axis=0))
    y, z = (np.arange(low[i], high[i] + 1) for i in (1, 2))
    counts = np.zeros(max(count, int(labels.values.max()) + 1), int)
    for x in np.arange(low[0], high[0] + 1):
        plane = np.stack(np.meshgrid([x], y, z, indexing="ij"), -1).reshape(-1, 3)
        found = _labels_at(plane @ affine[:3, :3].T + affine[:3, 3], labels.values, labels.affine)
        counts += np.bincount(found, minlength=len(counts))
    return counts


def _label_image(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return an atlas as int32 (x, y, z) and its affine."""
    import nibabel

    existing(file, "preprocess.atlas.image")
    with reading(file, "nifti"):
        image: Any = nibabel.load(file)
        values = np.asanyarray(image.dataobj)
        affine = np.asarray(image.affine, dtype=float)
    if not abs(np.linalg.det(affine[:3, :3])) > 1e-6:
        raise ValueError(
            f"{file}: its affine is singular, so labels have no place; repair the header"
        )
    if values.ndim != 3:
        raise ValueError(f"{file} has shape {values.shape}; an atlas is a 3-D label image")
    if not (np.isfinite(values).all() and (values == np.rint(values)).all()):
        raise ValueError(
            f"{file} holds values that are no whole numbers; an atlas is a label image"
        )
    if values.min() < 0 or values.max() > np.iinfo(np.int32).max:
        raise ValueError(
            f"{file} holds labels from {values.min()} to {values.max()}; they must be positive"
        )
    if len(np.unique(values[values > 0])) < 2:
        raise ValueError(f"{file} holds fewer than two labels; is it a mask?")
    return values.astype(np.int32), affine


def _label_names(
    file: Path, table: str | None, present: np.ndarray
) -> tuple[dict[int, str], dict[int, str]]:
    """Return names and networks by label; networks are empty where unknown."""
    if table is None:
        return {int(i): f"region{i:03d}" for i in present}, {}
    path = existing(Path(table), "preprocess.atlas.labels")
    columns = columns_of(path, "index", "name")
    listed = numbers(path, columns, "index")
    index = np.rint(listed).astype(int)
    if (index != listed).any():
        wrong = listed[(index != listed).argmax()]
        raise ValueError(f"{path}: index {wrong:g} is no whole number; labels of images are")
    names = dict(zip(index.tolist(), columns["name"].tolist(), strict=True))
    if len(names) < len(index) or len(set(names.values())) < len(index):
        raise ValueError(f"{path}: every index and every name must occur once")
    networks = dict(
        zip(index.tolist(), columns.get("network", np.asarray([])).tolist(), strict=False)
    )
    names.pop(0, None)
    if unnamed := sorted(set(present.tolist()) - set(names)):
        raise ValueError(
            f"{path} has no row for the labels {listing(unnamed)} of {file.name}; add them"
        )
    return names, networks


def schaefer_labels(names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return network and hemisphere of names like 7Networks_LH_Vis_1; empty where one differs."""
    fields = [name.split("_") for name in names]
    if not all(len(f) >= 4 and f[0].endswith("Networks") and f[1] in ("LH", "RH") for f in fields):
        return {}
    return {"network": np.array([f[2] for f in fields]),
            "hemisphere": np.array([f[1] for f in fields])}  # fmt: skip


def _labels_at(place: np.ndarray, values: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return the label of the atlas voxel that holds each place in mm, 0 outside."""
    voxel = (place - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    voxel = np.floor(voxel + 0.5).astype(int)
    inside = ((voxel >= 0) & (voxel < values.shape)).all(axis=1)
    found = np.zeros(len(place), values.dtype)
    found[inside] = values[tuple(voxel[inside].T)]
    return found

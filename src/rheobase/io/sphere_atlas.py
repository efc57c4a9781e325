"""Regions that are spheres around coordinates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rheobase.io.regions import (
    Regions,
    columns_of,
    equal_weights,
    existing,
    kept_regions,
    numbers,
    pooling_step,
)


def sphere_regions(
    atlas: Mapping[str, Any], path: Path, usable: np.ndarray, affine: np.ndarray
) -> Regions:
    """Return spheres of ``atlas["radius_mm"]`` around the rows of ``atlas["coordinates"]``."""
    file = existing(Path(atlas["coordinates"]), "preprocess.atlas.coordinates")
    columns = columns_of(file, "name", "x", "y", "z")
    if len(set(columns["name"].tolist())) < len(columns["name"]):
        raise ValueError(f"{file}: every name must occur once")
    centres = np.column_stack([numbers(file, columns, axis) for axis in "xyz"])
    radii = np.full(len(centres), float(atlas["radius_mm"]))
    return _spheres(
        path,
        file.name,
        columns["name"].tolist(),
        centres,
        radii,
        columns.get("network"),
        usable,
        affine,
    )


def seitzman_regions(path: Path, usable: np.ndarray, affine: np.ndarray) -> Regions:
    """Return the 300 spheres of Seitzman et al. 2020 as shipped inside nilearn."""
    from nilearn.datasets import fetch_coords_seitzman_2018

    atlas = fetch_coords_seitzman_2018()
    centres = np.asarray(atlas.rois[["x", "y", "z"]], dtype=float)
    names = [f"Seitzman{i:03d}" for i in range(1, len(centres) + 1)]
    return _spheres(
        path,
        "seitzman300",
        names,
        centres,
        np.asarray(atlas.radius, float),
        np.asarray(atlas.networks).astype(str),
        usable,
        affine,
    )


def _spheres(
    path: Path,
    atlas: str,
    names: list[str],
    centres: np.ndarray,
    radii: np.ndarray,
    networks: np.ndarray | None,
    usable: np.ndarray,
    affine: np.ndarray,
) -> Regions:
    """Return spheres as regions; like nilearn's they take in the voxel that holds the centre."""
    from scipy.spatial import KDTree

    place = np.argwhere(usable) @ affine[:3, :3].T + affine[:3, 3]
    if not len(place):
        raise ValueError(f"{path}: no voxel inside the mask varies over time; is the image empty?")
    within = KDTree(place).query_ball_point(centres, radii + 1e-6)
    number = np.full(usable.shape, -1)
    number[usable] = np.arange(len(place))
    holding = np.rint((centres - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T).astype(int)
    for members, voxel in zip(within, holding, strict=True):
        if ((voxel >= 0) & (voxel < usable.shape)).all() and number[tuple(voxel)] >= 0:
            members.append(int(number[tuple(voxel)]))
    members = [sorted(set(found)) for found in within]
    row = np.repeat(np.arange(len(names)), [len(found) for found in members])
    column = np.asarray([i for found in members for i in found], dtype=int)
    weights, counts = equal_weights(row, column, (len(names), len(place)))
    kept = kept_regions(path, counts, names, atlas)
    labels = dict(zip("xyz", centres[kept].T, strict=True))
    if networks is not None:
        labels["network"] = networks[kept]
    return Regions(
        weights[kept],
        tuple(names[i] for i in kept),
        labels,
        None,
        pooling_step(atlas, names, kept, counts),
    )

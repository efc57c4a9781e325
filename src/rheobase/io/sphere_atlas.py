"""Regions that are spheres around coordinates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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

EDGE_MM = 1e-6


@dataclass(frozen=True)
class Centres:
    """Centres in mm, (region, 3), with radii in mm, (region,)."""

    atlas: str
    names: tuple[str, ...]
    centres: np.ndarray
    radii: np.ndarray
    networks: np.ndarray | None = None


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
    names = tuple(columns["name"].tolist())
    return spheres(
        Centres(file.name, names, centres, radii, columns.get("network")), path, usable, affine
    )


def spheres(found: Centres, path: Path, usable: np.ndarray, affine: np.ndarray) -> Regions:
    """Return spheres as regions; like nilearn's they take in the voxel that holds the centre."""
    from scipy.spatial import KDTree

    place = np.argwhere(usable) @ affine[:3, :3].T + affine[:3, 3]
    if not len(place):
        raise ValueError(f"{path}: no voxel inside the mask varies over time; is the image empty?")
    within = KDTree(place).query_ball_point(found.centres, found.radii + EDGE_MM)
    number = np.full(usable.shape, -1)
    number[usable] = np.arange(len(place))
    to_grid = np.linalg.inv(affine[:3, :3]).T
    holding = np.rint((found.centres - affine[:3, 3]) @ to_grid).astype(int)
    for members, voxel in zip(within, holding, strict=True):
        if ((voxel >= 0) & (voxel < usable.shape)).all() and number[tuple(voxel)] >= 0:
            members.append(int(number[tuple(voxel)]))
    members = [sorted(set(inside)) for inside in within]
    row = np.repeat(np.arange(len(found.names)), [len(inside) for inside in members])
    column = np.asarray([i for inside in members for i in inside], dtype=int)
    weights, counts = equal_weights(row, column, (len(found.names), len(place)))
    names = list(found.names)
    check_lost(path, counts, names, found.atlas)
    coverage = np.minimum(counts / _voxels_inside(found, holding, affine), 1.0)
    labels = dict(zip("xyz", found.centres.T, strict=True))
    if found.networks is not None:
        labels["network"] = found.networks
    step = pooling_step(found.atlas, names, counts, coverage)
    return Regions(weights, found.names, labels, coverage, step)


def _voxels_inside(found: Centres, holding: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Return how many voxels of an endless grid each sphere would take, (region,)."""
    reach = np.ceil(found.radii.max() * np.linalg.norm(np.linalg.inv(affine[:3, :3]), axis=1))
    axes = [np.arange(-r, r + 1) for r in reach.astype(int) + 1]
    steps = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    offset = steps @ affine[:3, :3].T
    near = holding @ affine[:3, :3].T + affine[:3, 3] - found.centres
    made = np.empty(len(holding))
    for i, start in enumerate(near):
        inside = ((start + offset) ** 2).sum(axis=1) <= (found.radii[i] + EDGE_MM) ** 2
        made[i] = (inside | ~steps.any(axis=1)).sum()
    return made

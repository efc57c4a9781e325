"""Every way to say how an image becomes regions, and the atlases that need no file.

Coordinates come from nilearn, which ships them: Seitzman et al. 2020 (300 spheres of 4 or 5 mm),
Power et al. 2011 (264) and Dosenbach et al. 2010 (160), both drawn as spheres of 5 mm.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rheobase.io.label_atlas import Labels, label_regions, regions_of
from rheobase.io.regions import Regions
from rheobase.io.sphere_atlas import Centres, sphere_regions, spheres

RADIUS_MM = 5.0
GREY_SHARE, FARTHEST_MM, GRID_MM = 0.3, 12.0, 2
UNASSIGNED = "unassigned"


def find_regions(atlas: Any, path: Path, usable: np.ndarray, affine: np.ndarray) -> Regions:
    """Return the regions that ``preprocess.atlas`` makes of an image's usable voxels."""
    if isinstance(atlas, Mapping) and "image" in atlas:
        return label_regions(atlas, path, usable, affine)
    if isinstance(atlas, Mapping) and "coordinates" in atlas:
        return sphere_regions(atlas, path, usable, affine)
    if atlas == "seitzman300_voronoi":
        return regions_of(voronoi(GRID_MM), path, usable, affine)
    if isinstance(atlas, str) and atlas in CENTRES:
        return spheres(CENTRES[atlas](), path, usable, affine)
    known = ", ".join([*CENTRES, "seitzman300_voronoi"])
    raise ValueError(
        f"{path}: preprocess.atlas {atlas!r} is not voxels, {known}, an image or coordinates"
    )


def seitzman300() -> Centres:
    """Return the 300 spheres of Seitzman et al. 2020 with their networks."""
    from nilearn.datasets import fetch_coords_seitzman_2018

    atlas = fetch_coords_seitzman_2018()
    centres = np.asarray(atlas.rois[["x", "y", "z"]], dtype=float)
    names = tuple(f"Seitzman{i:03d}" for i in range(1, len(centres) + 1))
    networks = np.asarray(atlas.networks).astype(str)
    return Centres("seitzman300", names, centres, np.asarray(atlas.radius, float), networks)


def power264() -> Centres:
    """Return the 264 coordinates of Power et al. 2011; their networks are not shipped."""
    from nilearn.datasets import fetch_coords_power_2011

    rois = fetch_coords_power_2011().rois
    centres = np.asarray(rois[["x", "y", "z"]], dtype=float)
    names = tuple(f"Power{int(i):03d}" for i in rois["roi"])
    return Centres("power264", names, centres, np.full(len(names), RADIUS_MM))


def dosenbach160() -> Centres:
    """Return the 160 coordinates of Dosenbach et al. 2010 in their six networks."""
    from nilearn.datasets import fetch_coords_dosenbach_2010

    atlas = fetch_coords_dosenbach_2010()
    centres = np.asarray(atlas.rois[["x", "y", "z"]], dtype=float)
    names = tuple(str(name).replace(" ", "_") for name in atlas.labels)
    networks = np.asarray(atlas.networks).astype(str)
    return Centres("dosenbach160", names, centres, np.full(len(names), RADIUS_MM), networks)


CENTRES: dict[str, Callable[[], Centres]] = {
    "seitzman300": seitzman300,
    "power264": power264,
    "dosenbach160": dosenbach160,
}


@functools.lru_cache(maxsize=2)
def voronoi(grid_mm: int) -> Labels:
    """Return grey matter cut into the cells of Seitzman's assigned centres.

    Every voxel of the MNI152 grey-matter template above 0.3 of its maximum takes the nearest
    centre of a named network within 12 mm. ``facts`` holds the SHA-256 of the labels.
    """
    from nilearn.datasets import load_mni152_gm_template
    from scipy.spatial import KDTree

    centres = seitzman300()
    networks = np.asarray(centres.networks)
    assigned = np.flatnonzero(networks != UNASSIGNED)
    template: Any = load_mni152_gm_template(resolution=grid_mm)
    grey = np.asarray(template.dataobj, float)
    affine = np.asarray(template.affine, float)
    voxel = np.argwhere(grey > GREY_SHARE * grey.max())
    place = voxel @ affine[:3, :3].T + affine[:3, 3]
    tree = KDTree(centres.centres[assigned])
    away, nearest = map(np.asarray, tree.query(place, distance_upper_bound=FARTHEST_MM))
    values = np.zeros(grey.shape, np.int32)
    inside = np.isfinite(away)
    values[tuple(voxel[inside].T)] = assigned[nearest[inside]] + 1
    present = np.unique(values[values > 0]).tolist()
    return Labels(
        "seitzman300_voronoi",
        values,
        affine,
        {i: centres.names[i - 1] for i in present},
        {i: str(networks[i - 1]) for i in present},
        {"grid_mm": grid_mm, "labels_sha256": hashlib.sha256(values.tobytes()).hexdigest()},
    )

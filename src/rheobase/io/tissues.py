"""Which tissue a voxel in MNI space is, and voxels that show a run tissue by tissue."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

GREY, WHITE, CSF = "grey matter", "white matter", "CSF"
ROWS = {GREY: 60, WHITE: 36, CSF: 24}
"""Voxels of each tissue in a carpet (chosen here)."""


@functools.lru_cache(maxsize=1)
def _templates() -> tuple[np.ndarray, np.ndarray]:
    """Return the tissue of every template voxel, (x, y, z) 1 to 3 in the order of ``ROWS``, and the
    affine; 0 outside the brain.

    It is the likeliest of grey matter, white matter and neither in the MNI152 templates that
    nilearn ships.
    """
    from nilearn import datasets

    grey: Any = datasets.load_mni152_gm_template(resolution=1)
    white: Any = datasets.load_mni152_wm_template(resolution=1)
    brain: Any = datasets.load_mni152_brain_mask(resolution=1)
    first, second = (np.asarray(image.dataobj, np.float32) for image in (grey, white))
    kinds = np.argmax(np.stack([first, second, 1 - first - second]), axis=0) + 1
    kinds[np.asarray(brain.dataobj) == 0] = 0
    return kinds.astype(np.uint8), np.asarray(grey.affine, float)


def tissue_at(place: np.ndarray) -> np.ndarray:
    """Return the tissue at each (place, 3) in mm of MNI152 space, 1 to 3 in the order of ``ROWS``.

    It is 0 outside the brain.
    """
    kinds, affine = _templates()
    voxel = (place - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    voxel = np.floor(voxel + 0.5).astype(int)
    inside = ((voxel >= 0) & (voxel < kinds.shape)).all(axis=1)
    found = np.zeros(len(place), np.uint8)
    found[inside] = kinds[tuple(voxel[inside].T)]
    return found


def sample(candidates: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return up to 120 voxels evenly taken from the tissues, (row, 3), and their tissues, (row,).

    ``candidates`` (x, y, z) bool lie in MNI152 space by ``affine``. Rows are ordered by tissue.
    None where fewer voxels than rows are grey or white matter.
    """
    voxels = np.argwhere(candidates)
    kinds = tissue_at(voxels @ affine[:3, :3].T + affine[:3, 3])
    chosen, names = [], []
    for number, (name, most) in enumerate(ROWS.items(), 1):
        there = np.flatnonzero(kinds == number)
        if len(there) < most and name != CSF:
            return None
        kept = there[np.linspace(0, len(there), min(len(there), most), endpoint=False).astype(int)]
        chosen.append(kept)
        names += [name] * len(kept)
    return voxels[np.concatenate(chosen)], np.asarray(names)

"""Which voxels make which region, as one sparse matrix of weights.

The means equal those of nilearn's ``NiftiLabelsMasker`` and ``NiftiSpheresMasker``, without their
copies of the 4-D image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rheobase.io.sides import read_table
from rheobase.io.values import listing

if TYPE_CHECKING:
    from scipy.sparse import csr_array

MOST_LOST = 0.1
LOW_COVERAGE = 0.5


@dataclass(frozen=True)
class Regions:
    """The regions found in an image."""

    weights: csr_array
    """(region, usable voxel), rows sum to 1, or to 0 for a region without a voxel."""
    names: tuple[str, ...]
    labels: dict[str, np.ndarray]
    """(region,): ``network`` where known; ``x``, ``y``, ``z`` of the centre in mm."""
    coverage: np.ndarray
    """(region,): share of the region's volume that is usable."""
    step: dict[str, Any]


def equal_weights(
    row: np.ndarray, column: np.ndarray, shape: tuple[int, int]
) -> tuple[csr_array, np.ndarray]:
    """Return rows of equal weights that sum to 1, and how many voxels each row has."""
    from scipy.sparse import csr_array

    counts = np.bincount(row, minlength=shape[0])
    return csr_array((1.0 / counts[row], (row, column)), shape=shape), counts


def check_lost(path: Path, counts: np.ndarray, names: list[str], atlas: str) -> None:
    """Raise ``ValueError`` naming the regions without a voxel where they are above a tenth."""
    lost = [names[i] for i in np.flatnonzero(counts == 0)]
    if len(lost) > MOST_LOST * len(names):
        raise ValueError(
            f"{path}: {len(lost)} of {len(names)} regions of {atlas} have no voxel that varies "
            f"({listing(lost)}), above {MOST_LOST:.0%}: they hold NaN, are constant or lie "
            "outside; mend the image, or bring image and atlas into the same space"
        )


def pooling_step(
    atlas: str, names: list[str], counts: np.ndarray, coverage: np.ndarray
) -> dict[str, Any]:
    """Return what pooling did; regions without a voxel and poorly covered ones by name."""
    voxels = counts[counts > 0]
    told = list(zip(names, counts, coverage, strict=True))
    return {
        "step": "parcellate",
        "atlas": atlas,
        "regions": len(voxels),
        "lost": [name for name, count, _ in told if not count],
        "low_coverage": [name for name, count, share in told if count and share < LOW_COVERAGE],
        "voxels_min": int(voxels.min()),
        "voxels_median": float(np.median(voxels)),
    }


def existing(path: Path, option: str) -> Path:
    """Return the path of a file that must exist; ``option`` is the config key that names it."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; correct {option} or put the file there")
    return path


def columns_of(path: Path, *required: str) -> dict[str, np.ndarray]:
    """Return the columns of a TSV as text; an absent required one is an error."""
    columns = read_table(path)
    if missing := [name for name in required if name not in columns]:
        raise ValueError(f"{path} has no column {listing(missing)}; it has {listing(columns)}")
    return columns


def numbers(path: Path, columns: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Return a column as finite floats."""
    try:
        values = columns[name].astype(float)
    except ValueError as error:
        raise ValueError(f"{path}: column {name!r} must hold numbers ({error})") from error
    if not np.isfinite(values).all():
        row = int((~np.isfinite(values)).argmax()) + 1
        raise ValueError(f"{path}: column {name!r} holds no number in row {row}; complete it")
    return values

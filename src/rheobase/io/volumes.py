"""A 4-D image in memory as it is stored on disk (often 16-bit), scaled a few volumes at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rheobase.io.values import reading

CHUNK_VALUES = 8_000_000
SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}
LONGEST_TR_S = 10.0
APART = 1e-3
"""Largest difference between two affines of one grid, in mm."""


@dataclass(frozen=True)
class Volumes:
    """A run: ``value = stored * slope + intercept``; an uncompressed file stays on disk."""

    path: Path
    stored: np.ndarray
    slope: float
    intercept: float
    affine: np.ndarray
    placed: bool
    """Whether the header says where in space the image lies."""
    rate_hz: float | None
    """Volumes per second, where the header says so."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along x, y and z."""
        return self.stored.shape[:3]

    @property
    def count(self) -> int:
        """Number of volumes."""
        return self.stored.shape[3]

    def chunks(self, *, fwhm_mm: float | None = None) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield volume numbers and their scaled values, (x, y, z, volume) float32.

        With ``fwhm_mm`` they are smoothed by a Gaussian of that full width at half maximum.
        """
        step = max(1, CHUNK_VALUES // max(1, int(np.prod(self.shape))))
        for start in range(0, self.count, step):
            part = self._scaled(self.stored[..., start : start + step])
            made = part if fwhm_mm is None else self._smoothed(part, fwhm_mm)
            yield slice(start, start + part.shape[3]), made

    def voxels(self, mask: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the whole course of the mask's voxels, slab by slab: numbers and (voxel, time).

        Voxels are numbered in the order of ``np.argwhere(mask)``.
        """
        done, step = 0, max(1, CHUNK_VALUES // max(1, int(np.prod(self.stored.shape[1:]))))
        for start in range(0, self.shape[0], step):
            inside = mask[start : start + step]
            if inside.any():
                part = self._scaled(self.stored[start : start + step][inside])
                yield slice(done, done + len(part)), part
                done += len(part)

    def _scaled(self, stored: np.ndarray) -> np.ndarray:
        part = stored.astype(np.float32)
        if (self.slope, self.intercept) != (1.0, 0.0):
            part = part * np.float32(self.slope) + np.float32(self.intercept)
        return part

    def _smoothed(self, part: np.ndarray, fwhm_mm: float) -> np.ndarray:
        from nibabel import Nifti1Image
        from nilearn.image import smooth_img

        made: Any = smooth_img(Nifti1Image(part, self.affine), fwhm_mm)
        return np.asarray(made.dataobj, np.float32)

    @property
    def varying(self) -> np.ndarray:
        """Voxels that change over time and hold finite values alone, (x, y, z) bool."""
        low, high = self._ends
        return (low < high) & ~self.gaps

    @property
    def gaps(self) -> np.ndarray:
        """Voxels that hold NaN or infinity in some volume, (x, y, z) bool."""
        low, high = self._ends
        return ~(np.isfinite(low) & np.isfinite(high))

    @cached_property
    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        """The least and the greatest value of every voxel, NaN where it holds one, (x, y, z)."""
        low = np.full(self.shape, np.inf, np.float32)
        high = -low
        for _, part in self.chunks():
            np.minimum(low, part.min(axis=3), out=low)
            np.maximum(high, part.max(axis=3), out=high)
        return low, high


def open_volumes(path: Path) -> Volumes:
    """Return a 4-D image; raises ``ValueError`` for anything else, naming the file."""
    import nibabel

    with reading(path, "nifti"):
        image = nibabel.load(path)
    if not isinstance(image, nibabel.Nifti1Pair):
        raise ValueError(f"{path} holds {type(image).__name__}, not a NIfTI volume image")
    if len(image.shape) != 4 or image.shape[3] < 2:
        raise ValueError(
            f"{path} has shape {image.shape}; a run is a 4-D image of 2 volumes or more"
        )
    with reading(path, "nifti"):
        proxy: Any = image.dataobj
        stored = np.asanyarray(proxy.get_unscaled())
    if stored.dtype.kind not in "fiu" or stored.size == 0:
        raise ValueError(
            f"{path} holds {stored.size} values of type {stored.dtype}; it needs real numbers"
        )
    affine = checked_affine(path, image.affine)
    placed = bool(image.header["sform_code"] or image.header["qform_code"])
    rate = _rate(path, image.header)
    return Volumes(path, stored, float(proxy.slope), float(proxy.inter), affine, placed, rate)


def checked_affine(path: Path, affine: Any) -> np.ndarray:
    """Return an image's affine; one that maps voxels onto a plane or a point is refused.

    A negative determinant is a mirrored storage order (as FSL writes), not an error.
    """
    affine = np.asarray(affine, dtype=float)
    volume = float(np.linalg.det(affine[:3, :3])) if np.isfinite(affine).all() else np.nan
    if not abs(volume) > 1e-6:
        raise ValueError(
            f"{path}: its affine has determinant {volume:g} mm3, so voxels have no place in space; "
            "repair the header"
        )
    return affine


def _rate(path: Path, header: Any) -> float | None:
    step, unit = float(header.get_zooms()[3]), header.get_xyzt_units()[1]
    if unit not in SECONDS or not step > 0:
        return None
    seconds = step * SECONDS[unit]
    if seconds > LONGEST_TR_S:
        raise ValueError(
            f"{path}: its header says {step:g} {unit} a volume, above {LONGEST_TR_S:g} s; correct "
            "pixdim[4] or xyzt_units"
        )
    return 1 / seconds


def read_mask(path: Path, volumes: Volumes) -> np.ndarray:
    """Return which voxels a mask image keeps, (x, y, z) bool, on the run's own grid."""
    import nibabel

    with reading(path, "nifti"):
        image: Any = nibabel.load(path)
        values = np.asanyarray(image.dataobj)
    if values.shape != volumes.shape:
        raise ValueError(
            f"{path} has shape {values.shape}, {volumes.path.name} {volumes.shape}; "
            "resample the mask"
        )
    if not np.allclose(image.affine, volumes.affine, atol=APART):
        apart = float(np.abs(image.affine - volumes.affine).max())
        raise ValueError(
            f"{path}: its affine differs from that of {volumes.path.name} by {apart:g}, "
            f"above {APART:g}; resample the mask"
        )
    mask = values > 0
    if not mask.any():
        raise ValueError(f"{path} keeps no voxel; a mask is above 0 inside the brain")
    return mask

"""Region or voxel time series from 4-D NIfTI images.

The image is held once, as it is stored on disk (often 16-bit), and scaled a few volumes at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rheobase.io.label_atlas import label_regions
from rheobase.io.motion import read_motion
from rheobase.io.raw import Raw
from rheobase.io.regions import Regions
from rheobase.io.sphere_atlas import seitzman_regions, sphere_regions
from rheobase.io.values import reading

CHUNK_VALUES = 8_000_000
SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}
LONGEST_TR_S = 10.0


@dataclass(frozen=True)
class Volumes:
    """A 4-D image in memory as stored: ``value = stored * slope + intercept``."""

    path: Path
    stored: np.ndarray
    slope: float
    intercept: float
    affine: np.ndarray
    placed: bool
    """Whether the header says where in space the image lies."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of voxels along x, y and z."""
        return self.stored.shape[:3]

    def chunks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield volume numbers and their scaled values, (x, y, z, volume) float32."""
        step = max(1, CHUNK_VALUES // max(1, int(np.prod(self.shape))))
        for start in range(0, self.stored.shape[3], step):
            part = self.stored[..., start : start + step].astype(np.float32)
            if (self.slope, self.intercept) != (1.0, 0.0):
                part = part * np.float32(self.slope) + np.float32(self.intercept)
            yield slice(start, start + part.shape[3]), part

    @cached_property
    def varying(self) -> np.ndarray:
        """Voxels that change over time and hold no NaN, (x, y, z) bool."""
        low = np.full(self.shape, np.inf, np.float32)
        high = -low
        for _, part in self.chunks():
            np.minimum(low, part.min(axis=3), out=low)
            np.maximum(high, part.max(axis=3), out=high)
        return low < high


def read_nifti(
    path: Path, reader: Mapping[str, Any], files: Mapping[str, Path], preprocess: Mapping[str, Any]
) -> Raw:
    """Return the mean series of the regions of ``preprocess.atlas``, or every voxel of the mask.

    A region's mean takes the voxels of the mask that vary over time. Regions without any are left
    out and named in ``steps``; ``extras["coverage"]`` is the share of a region that was usable.
    """
    atlas = preprocess.get("atlas")
    if atlas is None:
        raise ValueError(
            f"{path}: preprocess.atlas is missing; a NIfTI image needs a label image, coordinates, "
            "seitzman300 or voxels"
        )
    volumes, rate = open_volumes(path)
    mask = read_mask(files["mask"], volumes) if "mask" in files else None
    extras = {}
    if "motion" in files:
        extras["motion"] = read_motion(
            files["motion"], reader["motion"]["format"], volumes=volumes.stored.shape[3]
        )
    if atlas == "voxels":
        return _voxels(volumes, mask, rate, extras)
    usable = volumes.varying if mask is None else volumes.varying & mask
    found = _regions(atlas, volumes, usable)
    if found.coverage is not None:
        extras["coverage"] = found.coverage
    return Raw(
        _means(volumes, usable, found),
        found.names,
        rate_hz=rate,
        unit_labels=found.labels,
        extras=extras,
        steps=(found.step,),
    )


def open_volumes(path: Path) -> tuple[Volumes, float | None]:
    """Return a 4-D image and its volumes per second (None where the header does not say)."""
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
    volumes = Volumes(path, stored, float(proxy.slope), float(proxy.inter), affine, placed)
    return volumes, _rate(path, image.header)


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
    if not np.allclose(image.affine, volumes.affine, atol=1e-3):
        apart = float(np.abs(image.affine - volumes.affine).max())
        raise ValueError(
            f"{path}: its affine differs from that of {volumes.path.name} by {apart:g}, "
            "above 0.001; resample the mask"
        )
    mask = values > 0
    if not mask.any():
        raise ValueError(f"{path} keeps no voxel; a mask is above 0 inside the brain")
    return mask


def _voxels(
    volumes: Volumes, mask: np.ndarray | None, rate: float | None, extras: dict[str, np.ndarray]
) -> Raw:
    if mask is None:
        raise ValueError(f"{volumes.path}: preprocess.atlas: voxels needs reader.mask")
    count = int(mask.sum())
    signal = np.empty((volumes.stored.shape[3], count), np.float32)
    for at, part in volumes.chunks():
        signal[at] = part[mask].T
    place = np.argwhere(mask) @ volumes.affine[:3, :3].T + volumes.affine[:3, 3]
    width = max(4, len(str(count)))
    names = tuple(f"v{i:0{width}d}" for i in range(1, count + 1))
    labels = dict(zip("xyz", place.T, strict=True))
    step = {"step": "parcellate", "atlas": "voxels", "regions": count, "lost": []}
    return Raw(signal, names, rate_hz=rate, unit_labels=labels, extras=extras, steps=(step,))


def _regions(atlas: Any, volumes: Volumes, usable: np.ndarray) -> Regions:
    path, affine = volumes.path, volumes.affine
    if not volumes.placed:
        raise ValueError(
            f"{path}: its header has neither sform nor qform, so an atlas cannot be laid over it; "
            "repair the header or use atlas: voxels"
        )
    if atlas == "seitzman300":
        return seitzman_regions(path, usable, affine)
    if isinstance(atlas, Mapping) and "image" in atlas:
        return label_regions(atlas, path, usable, affine)
    if isinstance(atlas, Mapping) and "coordinates" in atlas:
        return sphere_regions(atlas, path, usable, affine)
    raise ValueError(
        f"{path}: preprocess.atlas {atlas!r} is not voxels, seitzman300, an image or coordinates"
    )


def _means(volumes: Volumes, usable: np.ndarray, found: Regions) -> np.ndarray:
    """Return the mean over each region's voxels, (time, region)."""
    signal = np.empty((volumes.stored.shape[3], len(found.names)))
    for at, part in volumes.chunks():
        signal[at] = (found.weights @ part[usable]).T
    return signal

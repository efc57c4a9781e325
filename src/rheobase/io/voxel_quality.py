"""Quality of an image voxel by voxel, measured while only a slab of voxels is in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rheobase.io.volumes import Volumes

GRAND_MEDIAN = 1000.0
NORMAL_IQR = 1.349


@dataclass(frozen=True)
class VoxelQuality:
    """Courses over (time,) and maps over (voxel,) of the voxels inside a mask."""

    dvars: np.ndarray
    """Root mean square over voxels of the change from the volume before, on a scale where the grand
    median is 1000 (as stored where the mean was taken out); NaN at the start of a run."""
    std_dvars: np.ndarray
    """The same over what an AR(1) process of the voxels' robust spread would give (Nichols 2013),
    ``mean_v(IQR / 1.349 sqrt(2 (1 - ac1)))``."""
    global_signal: np.ndarray
    """Mean over voxels."""
    mean: np.ndarray
    sd: np.ndarray
    """Standard deviation without a second-order trend of each run."""
    tsnr: np.ndarray | None
    """Mean over ``sd``; None where the mean was taken out before."""


def measure(volumes: Volumes, mask: np.ndarray, runs: np.ndarray) -> VoxelQuality:
    """Return the quality of a mask's voxels, (x, y, z) bool; ``runs`` numbers stretches in time."""
    count = int(mask.sum())
    mean, middle, spread, sd = (np.empty(count) for _ in range(4))
    ac1, change, total = np.empty(count), np.zeros(volumes.count), np.zeros(volumes.count)
    parts = _parts(runs)
    trend = _trend(runs, parts)
    for at, stored in volumes.voxels(mask):
        part = stored.astype(np.float64)
        total += part.sum(axis=0)
        mean[at], middle[at] = part.mean(axis=1), np.median(part, axis=1)
        change[1:] += (np.diff(part, axis=1) ** 2).sum(axis=0)
        for run in parts:
            part[:, run] -= np.median(part[:, run], axis=1, keepdims=True)
        low, high = np.percentile(part, [25, 75], axis=1)
        spread[at] = (high - low) / NORMAL_IQR
        ac1[at] = _autocorrelation(part, parts)
        rest = part - (part @ trend) @ trend.T
        sd[at] = rest.std(axis=1)
    change = np.sqrt(change / count)
    for run in parts:
        change[run.start] = np.nan
    tsnr = mean / np.maximum(sd, np.finfo(float).tiny)
    expected = float((spread * np.sqrt(2 * (1 - ac1))).mean())
    centred = float(np.median(np.abs(tsnr))) < 1
    scale = 1.0 if centred else GRAND_MEDIAN / max(float(np.median(middle)), 1e-9)
    return VoxelQuality(
        change * scale,
        change / expected if expected > 0 else np.full(len(change), np.nan),
        total / count,
        mean,
        sd,
        None if centred else tsnr,
    )


def _parts(runs: np.ndarray) -> list[slice]:
    edges = [0, *(np.flatnonzero(np.diff(runs)) + 1).tolist(), len(runs)]
    return [slice(a, b) for a, b in zip(edges, edges[1:], strict=False)]


def _trend(runs: np.ndarray, parts: list[slice]) -> np.ndarray:
    """Return an orthonormal base of the second-order trends of all runs, (time, 3 x run)."""
    made = np.zeros((len(runs), 3 * len(parts)))
    for number, run in enumerate(parts):
        time = np.linspace(-1, 1, run.stop - run.start)
        base, _ = np.linalg.qr(np.polynomial.legendre.legvander(time, 2))
        made[run, 3 * number : 3 * number + base.shape[1]] = base
    return made


def _autocorrelation(part: np.ndarray, parts: list[slice]) -> np.ndarray:
    """Return the lag-1 autocorrelation within runs of (voxel, time)."""
    product, power = np.zeros(len(part)), np.zeros(len(part))
    for run in parts:
        centred = part[:, run] - part[:, run].mean(axis=1, keepdims=True)
        product += (centred[:, 1:] * centred[:, :-1]).sum(axis=1)
        power += (centred**2).sum(axis=1)
    return product / np.where(power > 0, power, 1)

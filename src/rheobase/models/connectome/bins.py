"""Drives in time bins, and the circular shifts of the null."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rheobase.models.connectome.drive import FrameDrive


@dataclass(frozen=True)
class Drive:
    """The drive of one recording in bins of ``dt_s`` seconds."""

    value: np.ndarray
    """In [0, 1], (bin, unit) float32"""
    sign: np.ndarray
    """Sign of the mean slope: -1, 0 or 1, (bin, unit) int8"""
    valid: np.ndarray
    """Bins of which at least half the frames may be used, (bin,) bool"""
    dt_s: float

    @property
    def signed(self) -> np.ndarray:
        """The value, negative where the signal falls, (bin, unit) float32."""
        return np.where(self.sign < 0, -self.value, self.value)


def binned(drive: FrameDrive, *, dt_s: float) -> Drive:
    """Return the mean drive and the sign of the mean slope in bins of ``dt_s`` seconds.

    ``floor(duration / dt_s)`` bins; frames after the last whole bin are left out, frames that may
    not be used count as 0.
    """
    frames, units = drive.value.shape
    if dt_s * drive.rate < 1 - 1e-9:
        raise ValueError(
            f"dt_s={dt_s} is shorter than a frame of {1 / drive.rate:g} s; give at least that"
        )
    bins = int(frames / (drive.rate * dt_s) + 1e-9)
    if bins < 1:
        raise ValueError(
            f"the recording lasts {frames / drive.rate:g} s, less than one bin of dt_s={dt_s} s"
        )
    at = np.floor(np.arange(frames) / (drive.rate * dt_s) + 1e-9).astype(np.int64)
    kept = at < bins
    count = np.bincount(at[kept], minlength=bins)
    starts = np.concatenate([[0], np.cumsum(count)[:-1]])
    last = int(count.sum())
    value = np.add.reduceat(drive.value[:last].astype(np.float64), starts, axis=0)
    slope = np.add.reduceat(drive.slope[:last].astype(np.float64), starts, axis=0)
    usable = np.add.reduceat(drive.valid[:last].astype(np.int64), starts)
    return Drive(
        (value / count[:, None]).astype(np.float32),
        np.sign(slope).astype(np.int8),
        usable * 2 >= count,
        dt_s,
    )


def shifted(
    drive: FrameDrive, *, generator: np.random.Generator, least_s: float = 10.0
) -> FrameDrive:
    """Return the drive with every unit turned round by a random time of its own, for the null.

    Frames that may be used form a circle; each unit moves along it by at least ``least_s`` seconds
    either way. The drive is shifted and not the signal: the result is the same, save that no slope
    is taken over the seam of the circle.
    """
    at = np.flatnonzero(drive.valid)
    least = max(1, int(np.ceil(least_s * drive.rate)))
    if len(at) < 2 * least + 1:
        raise ValueError(
            f"shifts of {least_s} s need more than {2 * least} usable frames; there are {len(at)}"
        )
    offsets = generator.integers(least, len(at) - least + 1, size=drive.value.shape[1])
    source = at[(np.arange(len(at))[:, None] - offsets) % len(at)]
    value, slope = drive.value.copy(), drive.slope.copy()
    value[at] = np.take_along_axis(drive.value, source, axis=0)
    slope[at] = np.take_along_axis(drive.slope, source, axis=0)
    signal = drive.signal
    if signal is not None:
        signal = signal.copy()
        signal[at] = np.take_along_axis(drive.signal, source, axis=0)
    return replace(drive, value=value, slope=slope, signal=signal)

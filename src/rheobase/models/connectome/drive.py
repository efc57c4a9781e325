"""The drive of a recording: how strongly each neuron changes at each moment, in [0, 1].

Signals are (time, unit). Definitions of our own in the spirit of Dyballa et al. (ICLR 2024,
arXiv 2402.14102), whose text gives no formula: affinity between smoothed derivatives that keep
their sign. Neighbouring samples are compared inside unbroken stretches only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

KINDS = ("derivative", "deconvolved", "zpos")
SILENT = 1e-9
DECONVOLVED_SIGMA_S = 0.5


@dataclass(frozen=True)
class DriveSettings:
    """How signals become drives; every default is chosen here."""

    kind: str = "derivative"
    """``derivative``, ``deconvolved`` (events are given) or ``zpos`` (positive z-score)."""
    sigma_s: float = 1.0
    """Width of the smoothing Gaussian, seconds."""
    theta: float = 1.0
    """Noise gate, in median absolute deviations of the slope."""
    min_run_s: float = 0.5
    """Shortest stretch of one direction that counts, seconds."""
    dt_s: float = 1.0
    """Width of a bin, seconds."""
    window_s: float | None = None
    """Width of the windows in which the signals themselves are correlated, seconds; None: not."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"drive: kind is {self.kind!r}; it must be one of {', '.join(KINDS)}")
        for name, least in (("sigma_s", 0.0), ("dt_s", 0.0)):
            if not getattr(self, name) > least:
                raise ValueError(f"drive: {name} is {getattr(self, name)}; it must be above 0")
        for name in ("theta", "min_run_s"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"drive: {name} is {getattr(self, name)}; it must be 0 or more")

    def for_slow_recording(self, rate: float) -> DriveSettings:
        """Return the settings for fMRI sampled at ``rate`` Hz: nothing finer than the samples.

        Smoothing of at least 1.5 samples, runs of at least 2, bins of at least 2 and of whole
        samples, windows of correlation of at least 10. Chosen here.
        """
        return replace(
            self,
            sigma_s=max(self.sigma_s, 1.5 / rate),
            min_run_s=max(self.min_run_s, 2 / rate),
            dt_s=round(max(self.dt_s * rate, 2)) / rate,
            window_s=None if self.window_s is None else max(self.window_s, 10 / rate),
        )


@dataclass(frozen=True)
class FrameDrive:
    """The drive at every frame of one recording."""

    value: np.ndarray
    """In [0, 1], 0 at frames that may not be used, (time, unit) float32"""
    slope: np.ndarray
    """Smoothed derivative in units per second, 0 at frames not to be used, (time, unit) float32;
    for drives without a direction 1 everywhere"""
    valid: np.ndarray
    """Which frames may be used, (time,) bool"""
    rate: float
    """Frames per second"""
    signal: np.ndarray | None = None
    """The z-scored signal, where windows of it are correlated, (time, unit) float32"""
    window: int = 0
    """Frames of such a window"""


def frame_drive(
    signal: np.ndarray,
    *,
    valid: np.ndarray,
    pieces: Sequence[slice],
    rate: float,
    settings: DriveSettings,
) -> FrameDrive:
    """Return the drive of a recording, frame by frame.

    ``signal`` is (time, unit), dF/F or another signal; with ``kind="deconvolved"`` the events.
    ``valid`` (time,) and ``pieces`` (``Recording.pieces()``) say what may be used and where it is
    unbroken, ``rate`` is in hertz.

    For ``derivative``, with g the slope of the smoothed signal and mad its median absolute
    deviation: ``u = max(|g| - theta mad, 0)``, divided by its 99th percentile over valid frames and
    clipped to [0, 1]; 0 where g keeps its sign for less than ``min_run_s``.
    """
    _check(signal, valid, pieces, rate)
    signal = signal.astype(np.float64)
    if settings.kind == "derivative":
        slope = derivative(signal, pieces, sigma=settings.sigma_s * rate) * rate
        value = scaled(gated(slope, valid, theta=settings.theta), valid, quantile=0.99)
        value[~steady(slope, pieces, least=settings.min_run_s * rate)] = 0
    elif settings.kind == "deconvolved":
        slope = np.ones_like(signal)
        value = scaled(
            smooth(signal, pieces, sigma=DECONVOLVED_SIGMA_S * rate), valid, quantile=0.995
        )
    else:
        slope = np.ones_like(signal)
        value = scaled(positive_z(signal, valid), valid, quantile=0.99)
    value[~valid], slope[~valid] = 0, 0
    made = FrameDrive(value.astype(np.float32), slope.astype(np.float32), valid, rate)
    if settings.window_s is None:
        return made
    z = z_scored(signal, valid) * valid[:, None]
    window = round(settings.window_s * rate)
    return replace(made, signal=z.astype(np.float32), window=window)


def derivative(signal: np.ndarray, pieces: Sequence[slice], *, sigma: float) -> np.ndarray:
    """Return the slope per sample after Gaussian smoothing of ``sigma`` samples, (time, unit).

    Every piece by itself, mirrored at its edges; 0 outside pieces. Edges continued by their last
    value would weigh that one sample so much that all units seem to change there together: of
    white noise the first component was then always heavier than any shifted one.
    """
    return _by_piece(signal, pieces, sigma=sigma, order=1)


def smooth(signal: np.ndarray, pieces: Sequence[slice], *, sigma: float) -> np.ndarray:
    """Return the signal under a Gaussian of ``sigma`` samples, piece by piece, (time, unit)."""
    return _by_piece(signal, pieces, sigma=sigma, order=0)


def gated(slope: np.ndarray, valid: np.ndarray, *, theta: float) -> np.ndarray:
    """Return ``max(|g| - theta mad, 0)`` with mad = 1.4826 median|g - median g|, (time, unit)."""
    used = slope[valid]
    mad = 1.4826 * np.median(np.abs(used - np.median(used, axis=0)), axis=0)
    return np.maximum(np.abs(slope) - theta * mad, 0)


def scaled(value: np.ndarray, valid: np.ndarray, *, quantile: float) -> np.ndarray:
    """Return values over their quantile among valid frames, clipped to [0, 1], (time, unit).

    A unit whose quantile is below 1e-9 is silent: 0 throughout.
    """
    top = np.quantile(value[valid], quantile, axis=0)
    silent = top < SILENT
    made = np.clip(value / np.where(silent, 1.0, top), 0, 1)
    made[:, silent] = 0
    return made


def positive_z(signal: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return the positive part of the z-score over valid frames, (time, unit)."""
    return np.maximum(z_scored(signal, valid), 0)


def z_scored(signal: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return the z-score over valid frames, 0 of units that never move, (time, unit)."""
    used = signal[valid]
    spread = used.std(axis=0)
    return (signal - used.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def steady(slope: np.ndarray, pieces: Sequence[slice], *, least: float) -> np.ndarray:
    """Return where the slope keeps its sign for at least ``least`` samples, (time, unit) bool.

    Runs end at the ends of pieces; a slope of exactly 0 is a direction of its own.
    """
    made = np.zeros(slope.shape, bool)
    for piece in pieces:
        sign = np.sign(slope[piece])
        turns = np.ones(sign.shape, np.int64)
        turns[1:] = sign[1:] != sign[:-1]
        run = np.cumsum(turns.T.ravel()).reshape(turns.T.shape).T - 1
        made[piece] = np.bincount(run.ravel())[run] >= least - 1e-9
    return made


def _by_piece(
    signal: np.ndarray, pieces: Sequence[slice], *, sigma: float, order: int
) -> np.ndarray:
    made = np.zeros_like(signal)
    for piece in pieces:
        made[piece] = gaussian_filter1d(signal[piece], sigma, axis=0, order=order, mode="reflect")
    return made


def _check(signal: np.ndarray, valid: np.ndarray, pieces: Sequence[slice], rate: float) -> None:
    if signal.ndim != 2:
        raise ValueError(f"a signal is (time, unit); this one has shape {signal.shape}")
    if valid.shape != signal.shape[:1] or valid.dtype != bool:
        raise ValueError(
            f"valid must be bool of shape {signal.shape[:1]}; it is {valid.dtype} {valid.shape}"
        )
    if not rate > 0:
        raise ValueError(f"rate is {rate} Hz; it must be above 0")
    if not pieces or not valid.any():
        raise ValueError("no frame of the recording may be used; leave it out")
    covered = np.zeros(len(valid), np.int64)
    for piece in pieces:
        covered[piece] += 1
    if not np.array_equal(covered, valid.astype(np.int64)):
        raise ValueError("pieces must cover every valid frame once and no other frame")

"""Filters that stop at cuts, spectra and scaling; arrays are (time, unit).

A piece is a stretch of samples without a gap or a cut: nothing is filtered across its edges.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
import scipy

CHUNK_BYTES = 1 << 26


def stretches(mask: np.ndarray) -> list[slice]:
    """Return the runs of True of a (time,) mask."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def run_numbers(block: np.ndarray | None, n_time: int) -> np.ndarray:
    """Return (time,) integers that grow by one at each change of ``block``."""
    if block is None:
        return np.zeros(n_time, int)
    block = np.asarray(block)
    return np.concatenate([[0], np.cumsum(block[1:] != block[:-1])])


def pieces(runs: np.ndarray, usable: np.ndarray | None = None) -> list[slice]:
    """Return the stretches of usable samples that cross no change of ``runs``."""
    usable = np.ones(len(runs), bool) if usable is None else usable
    found = []
    for part in stretches(usable):
        cuts = np.flatnonzero(np.diff(runs[part])) + 1 + part.start
        edges = [part.start, *cuts.tolist(), part.stop]
        found += [slice(a, b) for a, b in zip(edges, edges[1:], strict=False)]
    return found


def unit_chunks(n_time: int, n_units: int, *, copies: int = 1) -> Iterator[slice]:
    """Yield slices of units whose float64 samples, ``copies`` times over, fit in 64 MiB."""
    width = max(1, CHUNK_BYTES // (8 * n_time * copies))
    yield from (slice(a, min(a + width, n_units)) for a in range(0, n_units, width))


def checked_band(
    band: Sequence[float | None], *, rate: float, time_unit: str, name: str
) -> tuple[float | None, float | None]:
    """Return the edges in hertz; raises ``ValueError`` for edges that the rate cannot carry."""
    low, high = band
    if time_unit == "frame":
        raise ValueError(
            f"{name}: a filter in hertz needs the sampling rate, and time counts frames here; "
            "set band_hz: null or give sampling_rate_hz"
        )
    for edge in (low, high):
        if edge is not None and edge >= rate / 2:
            raise ValueError(
                f"{name}: the filter edge {edge:g} Hz must lie below half the sampling rate, "
                f"{rate / 2:g} Hz; lower it in band_hz"
            )
    if low is not None and high is not None and low >= high:
        raise ValueError(
            f"{name}: the lower edge {low:g} Hz must lie below the upper edge {high:g} Hz; "
            "correct band_hz"
        )
    return low, high


def butterworth(
    low: float | None, high: float | None, *, rate: float, order: int = 4
) -> np.ndarray:
    """Return second-order sections of a Butterworth filter; an edge in hertz may be None."""
    if low is None and high is None:
        return np.zeros((0, 6))
    kind = "highpass" if high is None else "lowpass" if low is None else "bandpass"
    edges = [edge for edge in (low, high) if edge is not None]
    cut = edges[0] if len(edges) == 1 else edges
    return np.asarray(scipy.signal.butter(order, cut, kind, fs=rate, output="sos"))


def notch(frequencies: Sequence[float], *, rate: float, width_hz: float = 2) -> np.ndarray:
    """Return second-order sections that take out lines, each ``width_hz`` wide at -3 dB."""
    sections = [
        scipy.signal.tf2sos(*scipy.signal.iirnotch(frequency, frequency / width_hz, fs=rate))
        for frequency in frequencies
    ]
    return np.concatenate(sections) if sections else np.zeros((0, 6))


def filter_pieces(
    signal: np.ndarray,
    parts: Sequence[slice],
    sections: np.ndarray,
    *,
    causal: bool,
    pad: int,
    lines: Sequence[float] = (),
) -> np.ndarray:
    """Return a float32 copy whose ``parts`` are filtered one by one; other samples are 0.

    Zero-phase, continued by up to ``pad`` samples at both ends, or forward only, starting in the
    steady state of the first sample. ``lines`` are tones, in cycles per sample, that go on beyond
    the ends. Filtering itself is float64.
    """
    made = np.zeros(signal.shape, np.float32)
    for part in parts:
        length = part.stop - part.start
        width = min(pad, length - 1)
        for units in unit_chunks(length + 2 * width, signal.shape[1], copies=4):
            x = signal[part, units].astype(np.float64)
            if len(sections) and causal:
                start = scipy.signal.sosfilt_zi(sections)[:, :, None] * x[0]
                x = scipy.signal.sosfilt(sections, x, axis=0, zi=start)[0]
            elif len(sections):
                longer = _continued(x, width, lines)
                x = scipy.signal.sosfiltfilt(sections, longer, axis=0, padlen=0)[
                    width : width + length
                ]
            made[part, units] = x
    return made


def _continued(signal: np.ndarray, width: int, lines: Sequence[float]) -> np.ndarray:
    """Return the signal with ``width`` samples more at both ends.

    By odd reflection; tones are fitted near each end, go on in phase and are left out of the
    reflection, or a notch would ring where the reflection breaks their phase.
    """
    longer = np.pad(signal, ((width, width), (0, 0)), mode="reflect", reflect_type="odd")
    if not len(lines) or not width:
        return longer
    angle = 2 * np.pi * np.arange(-width, width + 1)[:, None] * np.asarray(lines)
    waves = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    for backwards in (1, -1):
        end = signal[::backwards][: width + 1]
        tones = waves @ np.linalg.lstsq(waves[width:], end, rcond=None)[0]
        rest = end - tones[width:]
        outside = 2 * rest[0] - rest[:0:-1] + tones[:width]
        longer[::backwards][:width] = outside
    return longer


def spectrum(
    signal: np.ndarray, parts: Sequence[slice], *, rate: float, samples: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return frequencies in hertz, power (frequency, unit) and the number of averaged windows.

    Welch's method, half-overlapping Hann windows of ``samples`` within the pieces; where no piece
    is that long, the longest piece gives the window.
    """
    longest = max(part.stop - part.start for part in parts)
    samples = min(samples, longest)
    used = [part for part in parts if part.stop - part.start >= samples]
    counts = [1 + (part.stop - part.start - samples) // (samples - samples // 2) for part in used]
    total = np.zeros((samples // 2 + 1, signal.shape[1]))
    for part, count in zip(used, counts, strict=True):
        for units in unit_chunks(part.stop - part.start, signal.shape[1], copies=4):
            _, power = scipy.signal.welch(signal[part, units], fs=rate, nperseg=samples, axis=0)
            total[:, units] += count * power
    return np.fft.rfftfreq(samples, 1 / rate), total / sum(counts), sum(counts)


def line_ratio(frequencies: np.ndarray, power: np.ndarray, line_hz: float) -> np.ndarray:
    """Return (unit,) peak of a line over its neighbourhood in decibels.

    ``10 log10(max P(|f - line| <= 1 Hz) / median P(2 Hz < |f - line| <= 6 Hz))``.
    """
    away = np.abs(frequencies - line_hz)
    near, around = away <= 1, (away > 2) & (away <= 6)
    if not near.any() or not around.any():
        return np.zeros(power.shape[1])
    floor = np.maximum(np.median(power[around], axis=0), np.finfo(float).tiny)
    return 10 * np.log10(np.maximum(power[near].max(axis=0) / floor, 1e-10))


def zscore(signal: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return each unit in sample standard deviations from its mean over the valid samples."""
    used = signal[valid]
    spread = used.std(axis=0, ddof=1, dtype=np.float64)
    scaled = (signal - used.mean(axis=0, dtype=np.float64)) / np.where(spread > 0, spread, 1)
    return scaled.astype(np.float32)


def fill_short_gaps(
    signal: np.ndarray, runs: np.ndarray, *, longest: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return a copy with gaps of up to ``longest`` samples filled, and where it was filled.

    Shape-preserving cubic (pchip) per unit within its run; gaps at the ends of a run stay.
    """
    missing = ~np.isfinite(signal)
    made, filled = signal.copy(), np.zeros(signal.shape, bool)
    for unit in np.flatnonzero(missing.any(axis=0)):
        for run in pieces(runs):
            gap, x = missing[run, unit], made[run, unit]
            good = np.flatnonzero(~gap)
            short = [g for g in stretches(gap) if g.stop - g.start <= longest]
            short = [g for g in short if g.start > 0 and g.stop < len(gap)]
            if len(good) < 2 or not short:
                continue
            at = np.concatenate([np.arange(g.start, g.stop) for g in short])
            x[at] = scipy.interpolate.PchipInterpolator(good, x[good])(at)
            filled[run.start + at, unit] = True
    return made, filled


def rate_ratio(rate: float, wanted: float) -> Fraction:
    """Return ``wanted / rate`` as a ratio of small integers, for polyphase resampling."""
    return Fraction(wanted / rate).limit_denominator(10_000)

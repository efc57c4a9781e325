"""From motor-unit spikes to skin electrodes, with contamination and faults; microvolts.

Signals are (time, channel). Muscles and electrodes stand on a ring around the limb.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rheobase.io.synthetic.muscles import Pool

FAULTS = ("pops", "dead", "clipped", "detached", "gap")
FARTHEST = 2
HARMONICS = ((1, 1.0), (3, 0.3), (5, 0.1))


def gains(channels: int, muscles: int, difficulty: float, shift: float) -> np.ndarray:
    """Return how strongly each electrode sees each muscle, (muscle, channel).

    ``shift`` turns the electrodes, in radians; crosstalk grows with ``difficulty`` up to 1.6.
    """
    kappa = 0.45 * min(difficulty, 1.6)
    apart = 2 * np.pi * (np.arange(muscles)[:, None] / muscles - np.arange(channels) / channels)
    apart = (apart - shift + np.pi) % (2 * np.pi) - np.pi
    return np.exp(-(apart**2) / (2 * kappa**2))


def action_potentials(
    rng: np.random.Generator,
    spikes: Sequence[np.ndarray],
    units: Pool,
    *,
    before: np.ndarray,
    after: np.ndarray,
    change: int,
    length: int,
    rate: float,
) -> np.ndarray:
    """Return what a muscle's motor units give at the electrodes, (time, channel).

    ``before`` and ``after`` are the muscle's gains (channel,) for spikes up to and from sample
    ``change``.
    """
    channels, reach = len(before), int(round(0.012 * rate))
    margin = reach + FARTHEST
    time = np.arange(-reach, reach + 1) / rate
    out = np.zeros((length + 2 * margin, channels))
    for samples, twitch in zip(spikes, units.twitch, strict=True):
        width = rng.uniform(1.4e-3, 2.6e-3)
        depth = rng.uniform(0, 1.5)
        height = 40 * np.sqrt(twitch) * rng.lognormal(0, 0.3) / (1 + depth**2)
        spread = rng.lognormal(0, 0.15, channels)
        delays = rng.integers(-FARTHEST, FARTHEST + 1, channels)
        wave = height * (1 - (time / width) ** 2) * np.exp(-(time**2) / (2 * width**2))
        kernel = np.zeros((2 * margin + 1, channels))
        for channel, start in enumerate(FARTHEST + delays):
            kernel[start : start + len(wave), channel] = spread[channel] * wave
        early = np.searchsorted(samples, change)
        # A unit never fires twice in one sample, so that each row occurs once and += is a sum.
        for tap, values in enumerate(kernel):
            out[samples[:early] + tap] += values * before
            out[samples[early:] + tap] += values * after
    return out[margin : margin + length]


def mains(
    rng: np.random.Generator, length: int, channels: int, *, line_hz: float, rate: float
) -> np.ndarray:
    """Return mains interference of 20 uV RMS times U(0.5, 1.5) a channel, with two harmonics."""
    time = np.arange(length)[:, None] / rate
    level = 20 * np.sqrt(2) * rng.uniform(0.5, 1.5, channels)
    hum = np.zeros((length, channels))
    for multiple, share in HARMONICS:
        phase = rng.uniform(0, 2 * np.pi, channels)
        if multiple * line_hz < rate / 2:
            hum += share * np.sin(2 * np.pi * multiple * line_hz * time + phase)
    return level * hum


def motion(rng: np.random.Generator, length: int, channels: int, *, rate: float) -> np.ndarray:
    """Return noise below 15 Hz of 30 uV RMS."""
    from scipy.signal import butter, sosfilt

    sos = butter(2, 15, fs=rate, output="sos")
    noise = np.asarray(sosfilt(sos, rng.normal(size=(length, channels)), axis=0))
    return 30 * noise / noise.std(axis=0)


def spoil(
    rng: np.random.Generator,
    signal: np.ndarray,
    faults: Sequence[str],
    *,
    line_hz: float,
    rate: float,
) -> list[tuple[str, int, int, int]]:
    """Plant faults in ``signal`` in place; return (fault, channel, start, stop) in samples.

    Each fault of one channel gets a channel of its own; ``pops`` hit any channel.
    """
    length, channels = signal.shape
    free = list(rng.permutation(channels))
    planted: list[tuple[str, int, int, int]] = []
    if "pops" in faults:
        planted += _pops(rng, signal, rate)
    for fault in [name for name in FAULTS[1:] if name in faults]:
        channel = int(free.pop())
        start, stop = 0, length
        if fault == "dead":
            signal[:, channel] = rng.normal(0, 0.05, length)
        elif fault == "clipped":
            limit = _peak_height(signal[:, channel])
            signal[:, channel] = np.clip(signal[:, channel], -limit, limit)
        elif fault == "detached":
            hum = 200 * np.sqrt(2) * np.sin(2 * np.pi * line_hz * np.arange(length) / rate)
            signal[:, channel] = rng.normal(0, 60, length) + hum
        else:
            start = int(rng.integers(length - int(0.3 * rate)))
            stop = start + int(0.3 * rate)
            signal[start:stop, channel] = np.nan
        planted.append((fault, channel, start, stop))
    return planted


def _pops(
    rng: np.random.Generator, signal: np.ndarray, rate: float
) -> list[tuple[str, int, int, int]]:
    length, channels = signal.shape
    planted = []
    for channel in range(channels):
        for start in np.sort(rng.integers(length, size=rng.poisson(0.02 * length / rate))):
            time = np.arange(min(int(rate), length - int(start))) / rate
            signal[start : start + len(time), channel] += 500 * np.exp(-time / 0.15)
            planted.append(("pop", channel, int(start), int(start) + len(time)))
    return planted


def _peak_height(values: np.ndarray) -> float:
    """Return the 60th percentile of the heights of the local peaks of ``|values|``."""
    size = np.abs(values)
    peaks = size[1:-1][(size[1:-1] > size[:-2]) & (size[1:-1] >= size[2:])]
    return float(np.percentile(peaks, 60))

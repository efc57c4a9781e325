"""From gestures to motor-unit spikes: synergies, timeline and motor-unit pools.

Excitation is (time, muscle), 0 to 1. The pool follows Fuglevand, Winter and Patla (1993).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GESTURE_SEED = 1234
RAMP_S = 0.25
SLOWEST_HZ = 8.0


@dataclass(frozen=True)
class Timeline:
    """When each gesture was asked for, when it was made, and how strongly."""

    excitation: np.ndarray
    """(time, muscle)."""
    stimulus: np.ndarray
    """(time,) gesture asked for, 0 at rest."""
    restimulus: np.ndarray
    """(time,) gesture made, 0 at rest."""
    repetition: np.ndarray
    """(time,) from 1."""


def synergies(count: int, muscles: int) -> np.ndarray:
    """Return bumps 0.9 muscles wide on a ring of muscles, (synergy, muscle)."""
    centres = np.arange(count) * muscles / count
    apart = np.abs(np.arange(muscles) - centres[:, None])
    apart = np.minimum(apart, muscles - apart)
    return np.exp(-(apart**2) / (2 * 0.9**2))


def gesture_coefficients(gestures: int, count: int) -> np.ndarray:
    """Return each gesture's share of the synergies, (gesture, synergy); the same for every seed."""
    return np.random.default_rng(GESTURE_SEED).dirichlet(np.full(count, 0.7), gestures)


def timeline(
    rng: np.random.Generator,
    mixing: np.ndarray,
    coefficients: np.ndarray,
    *,
    rate: float,
    repetitions: int,
    hold_s: float,
    rest_s: float,
    difficulty: float,
) -> Timeline:
    """Return every gesture in turn, ``repetitions`` times, half a rest on both sides of each.

    ``mixing`` is (synergy, muscle), ``coefficients`` (gesture, synergy).
    """
    gestures, muscles = len(coefficients), mixing.shape[1]
    trials = gestures * repetitions
    length = int(round((trials * (hold_s + rest_s) + rest_s) * rate))
    time = np.arange(length) / rate
    excitation = np.zeros((length, muscles))
    stimulus, restimulus = np.zeros(length, np.int64), np.zeros(length, np.int64)
    largest = (coefficients @ mixing).max()
    for trial in range(trials):
        gesture = trial % gestures
        asked = rest_s + trial * (hold_s + rest_s)
        start = asked + rng.uniform(0.15, 0.45)
        stop = asked + hold_s + rng.uniform(0, 0.25)
        drive = _drive(rng, coefficients[gesture], mixing, difficulty) / largest
        shape = np.clip(np.minimum((time - start) / RAMP_S, (stop - time) / RAMP_S), 0, 1)
        excitation += shape[:, None] * drive
        stimulus[(time >= asked) & (time < asked + hold_s)] = gesture + 1
        restimulus[(time >= start) & (time < stop)] = gesture + 1
    tremor = _slow_noise(rng, length, muscles, 2.0, rate)
    per_repetition = gestures * (hold_s + rest_s)
    repetition = np.clip((time - rest_s / 2) // per_repetition, 0, repetitions - 1) + 1
    excitation = np.clip(excitation * (1 + 0.08 * tremor), 0, 1)
    return Timeline(excitation, stimulus, restimulus, repetition.astype(np.int64))


def _drive(
    rng: np.random.Generator, share: np.ndarray, mixing: np.ndarray, difficulty: float
) -> np.ndarray:
    """Return how strongly each muscle is driven in one contraction, (muscle,)."""
    level = rng.uniform(0.2, 0.5)
    skill = rng.normal(size=len(share))
    drive = level * ((share * np.exp(0.15 * difficulty * skill)) @ mixing)
    return drive * np.exp(0.2 * difficulty * rng.normal(size=mixing.shape[1]))


def _slow_noise(
    rng: np.random.Generator, length: int, width: int, edge_hz: float, rate: float
) -> np.ndarray:
    """Return low-passed noise of unit standard deviation, (time, series)."""
    from scipy.signal import butter, sosfilt

    sos = butter(2, edge_hz, fs=rate, output="sos")
    noise = np.asarray(sosfilt(sos, rng.normal(size=(length, width)), axis=0))
    return noise / noise.std(axis=0)


@dataclass(frozen=True)
class Pool:
    """A muscle's motor units, from the smallest to the largest."""

    threshold: np.ndarray
    """(unit,) excitation at recruitment."""
    twitch: np.ndarray
    """(unit,) twitch force, smallest unit near 1."""
    peak_hz: np.ndarray
    """(unit,) highest firing rate."""


def pool(units: int) -> Pool:
    """Return thresholds over a factor 30, twitches over 100, peak rates from 35 down to 25 Hz."""
    number = np.arange(1, units + 1)
    threshold = np.exp(np.log(30) * number / units)
    span = (threshold - threshold[0]) / max(threshold[-1] - threshold[0], 1e-12)
    return Pool(threshold, np.exp(np.log(100) * number / units), 35 - 10 * span)


def fire(
    rng: np.random.Generator, excitation: np.ndarray, units: Pool, *, rate: float
) -> list[np.ndarray]:
    """Return the spike samples of each unit of one muscle; ``excitation`` is (time,)."""
    largest = units.threshold[-1] + (units.peak_hz[-1] - SLOWEST_HZ)
    drive = excitation * largest
    spikes = []
    for threshold, peak in zip(units.threshold, units.peak_hz, strict=True):
        awake = np.flatnonzero(drive >= threshold)
        speed = np.minimum(peak, SLOWEST_HZ + drive[awake] - threshold)
        passed = np.cumsum(speed) / rate
        wanted = int(1.25 * (passed[-1] if len(passed) else 0)) + 20
        intervals = np.clip(rng.normal(1, 0.2, wanted), 0.4, 1.6)
        at = np.searchsorted(passed, np.cumsum(intervals))
        spikes.append(awake[at[at < len(passed)]])
    return spikes

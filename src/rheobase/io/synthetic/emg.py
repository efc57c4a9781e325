"""Surface EMG of repeated gestures, with planted synergies, motor-unit spikes and faults.

Signals are (time, channel) in microvolts. One ``numpy.random.Generator`` draws, in this order: the
timeline trial by trial; tremor; then for each muscle its spikes and its action potentials; mains,
white noise, motion; faults. The gestures themselves are the same for every seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rheobase.io.synthetic import electrodes, muscles

SET = {"seed"}
OWN: list[str] = []


@dataclass(frozen=True)
class EmgSession:
    """A simulated session and everything that was planted in it."""

    signal: np.ndarray
    """(time, channel) uV, as the electrodes give it."""
    clean: np.ndarray
    """(time, channel) uV, without contamination and faults."""
    stimulus: np.ndarray
    """(time,) gesture asked for, 0 at rest."""
    restimulus: np.ndarray
    """(time,) gesture made, 0 at rest."""
    repetition: np.ndarray
    """(time,) from 1."""
    excitation: np.ndarray
    """(time, muscle), 0 to 1."""
    spikes: dict[tuple[int, int], np.ndarray]
    """Samples at which unit (muscle, unit) fired."""
    coefficients: np.ndarray
    """(gesture, synergy)."""
    synergies: np.ndarray
    """(synergy, muscle)."""
    mixing: np.ndarray
    """(muscle, channel) gains before any displacement."""
    faults: tuple[tuple[str, int, int, int], ...]
    """(fault, channel, start, stop) in samples."""


def simulate(
    *,
    seed: int,
    rate_hz: float = 1000.0,
    channels: int = 8,
    muscle_count: int = 8,
    units: int = 60,
    gestures: int = 8,
    repetitions: int = 8,
    hold_s: float = 2.0,
    rest_s: float = 1.0,
    synergies: int = 4,
    difficulty: float = 1.4,
    line_hz: float = 50.0,
    shift_rad: float = 0.0,
    shift_from: int = 1,
    contaminate: bool = True,
    faults: Sequence[str] = (),
) -> EmgSession:
    """Return a session of ``gestures`` times ``repetitions`` contractions.

    Electrodes turn by ``shift_rad`` at repetition ``shift_from``; ``faults`` may name ``FAULTS``.
    """
    _check(rate_hz, channels, faults, rest_s)
    rng = np.random.default_rng(seed)
    patterns = muscles.synergies(synergies, muscle_count)
    coefficients = muscles.gesture_coefficients(gestures, synergies)
    when = muscles.timeline(
        rng, patterns, coefficients, rate=rate_hz, repetitions=repetitions, hold_s=hold_s,
        rest_s=rest_s, difficulty=difficulty,
    )  # fmt: skip
    mixing = electrodes.gains(channels, muscle_count, difficulty, 0.0)
    moved = electrodes.gains(channels, muscle_count, difficulty, shift_rad)
    clean, spikes = _recruit(rng, when, muscles.pool(units), mixing, moved, shift_from, rate_hz)
    signal = clean + contaminate * _noise(rng, clean.shape, difficulty, line_hz, rate_hz)
    planted = electrodes.spoil(rng, signal, faults, line_hz=line_hz, rate=rate_hz)
    return EmgSession(
        signal, clean, when.stimulus, when.restimulus, when.repetition, when.excitation, spikes,
        coefficients, patterns, mixing, tuple(planted),
    )  # fmt: skip


def _recruit(
    rng: np.random.Generator,
    when: muscles.Timeline,
    pool: muscles.Pool,
    mixing: np.ndarray,
    moved: np.ndarray,
    shift_from: int,
    rate_hz: float,
) -> tuple[np.ndarray, dict[tuple[int, int], np.ndarray]]:
    """Return what the electrodes pick up, (time, channel), and the spikes behind it."""
    change = int(np.searchsorted(when.repetition, shift_from))
    clean = np.zeros((len(when.stimulus), mixing.shape[1]))
    spikes: dict[tuple[int, int], np.ndarray] = {}
    for muscle in range(len(mixing)):
        fired = muscles.fire(rng, when.excitation[:, muscle], pool, rate=rate_hz)
        spikes.update({(muscle, unit): samples for unit, samples in enumerate(fired)})
        clean += electrodes.action_potentials(
            rng, fired, pool, before=mixing[muscle], after=moved[muscle], change=change,
            length=len(clean), rate=rate_hz,
        )  # fmt: skip
    return clean, spikes


def _noise(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    difficulty: float,
    line_hz: float,
    rate_hz: float,
) -> np.ndarray:
    hum = electrodes.mains(rng, *shape, line_hz=line_hz, rate=rate_hz)
    white = rng.normal(0, 8 * difficulty, shape)
    return hum + white + electrodes.motion(rng, *shape, rate=rate_hz)


def _check(rate_hz: float, channels: int, faults: Sequence[str], rest_s: float) -> None:
    if rate_hz < 200:
        raise ValueError(f"rate_hz {rate_hz} is too low for action potentials; give 200 or more")
    if rest_s < 0.5:
        raise ValueError(f"rest_s {rest_s} is too short: late movements need 0.5 s or more")
    unknown = [fault for fault in faults if fault not in electrodes.FAULTS]
    if unknown:
        raise ValueError(f"faults has {unknown[0]!r}; it may hold {', '.join(electrodes.FAULTS)}")
    if len(set(faults) - {"pops"}) > channels:
        raise ValueError(f"{len(faults)} faults need as many channels; there are {channels}")


def rate(params: dict[str, Any]) -> float:
    """Return samples per second."""
    return float(params.get("rate_hz", 1000.0))


def recording(
    run: Callable[..., EmgSession],
    params: dict[str, Any],
    *,
    seed: int,
    index: int,
    total: int,
    entry: Any,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the arrays of one session and its truth; ``label`` is the gesture made."""
    made = run(simulate, seed=seed + index, **params)
    signals = {
        "signal": made.signal.astype(np.float32),
        "names": np.array([f"channel{c}" for c in range(made.signal.shape[1])]),
        "label": made.restimulus,
        "trial": made.repetition,
    }
    units = np.array([[m, u] for (m, u), s in made.spikes.items() for _ in s], np.int64)
    truth = {
        "stimulus": made.stimulus,
        "excitation": made.excitation.astype(np.float32),
        "clean": made.clean.astype(np.float32),
        "spike_sample": np.concatenate(list(made.spikes.values())).astype(np.int64),
        "spike_muscle": units.reshape(-1, 2)[:, 0],
        "spike_unit": units.reshape(-1, 2)[:, 1],
        "coefficients": made.coefficients,
        "synergies": made.synergies,
        "mixing": made.mixing,
        "fault": np.array([f[0] for f in made.faults], dtype="U16"),
        "fault_where": np.array([f[1:] for f in made.faults], np.int64).reshape(-1, 3),
    }
    return signals, truth

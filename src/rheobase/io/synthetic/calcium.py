"""Calcium imaging of several animals that share the same planted motifs.

Series are (time, neuron). Raw fluorescence with bleaching and shot-like noise. One
``numpy.random.Generator`` draws, in this order: the permutation of the neurons; the members shared
by motifs; the animals' loadings; amplitudes; then for each animal bursts motif by motif, background
spikes, noise and the shifts of the null.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

LEVELS = {
    "easy": (8.0, 0.15, 0.3),
    "medium": (3.0, 0.4, 0.5),
    "hard": (1.5, 0.5, 1.0),
    "null": (8.0, 0.15, 0.3),
}
SPONTANEOUS_S = (10, 75, 125, 175, 215)
RATE_HZ = 4.0
DECAY_S = 1.5
SET = {"seed", "animals"}
OWN: list[str] = []


@dataclass(frozen=True)
class CalciumAnimals:
    """Simulated animals and everything that was planted in them."""

    fluorescence: np.ndarray
    """(animal, time, neuron), arbitrary units, baseline near 1."""
    spikes: np.ndarray
    """(animal, time, neuron) spikes per frame."""
    members: np.ndarray
    """(motif, neuron) bool."""
    active: np.ndarray
    """(time, motif) bool: when a motif's bursts may occur."""
    loadings: np.ndarray
    """(animal, motif) strength; 0 where the motif is absent."""
    amplitudes: np.ndarray
    """(neuron,) relative rise of fluorescence per spike."""


def simulate(
    *,
    seed: int,
    animals: int = 6,
    level: str = "easy",
    neurons: int = 60,
    motifs: int = 4,
    duration_s: float = 240.0,
    snr: float | None = None,
    overlap: float | None = None,
    jitter_s: float | None = None,
) -> CalciumAnimals:
    """Return animals with ``motifs`` groups of neurons that burst together.

    All motifs but the last are locked to stimuli, in ``[40 + 50 k, 55 + 50 k)`` s; the last is
    spontaneous. Motif 0 is absent in the second half of the animals. ``level`` sets ``snr``,
    ``overlap`` and ``jitter_s``, each of which may be given instead. In ``null`` every neuron is
    shifted in time by its own amount.
    """
    preset = _preset(level, (snr, overlap, jitter_s))
    _check(neurons, motifs, duration_s)
    rng = np.random.default_rng(seed)
    frames = int(round(duration_s * RATE_HZ))
    members = _members(rng, neurons, motifs, preset[1])
    loadings = np.maximum(rng.gamma(4, 0.25, (animals, motifs)), 0.2)
    loadings[(animals + 1) // 2 :, 0] = 0
    amplitudes = rng.lognormal(-1.6, 0.3, neurons)
    active = _active(frames, motifs)
    spikes = np.empty((animals, frames, neurons), np.int64)
    fluorescence = np.empty(spikes.shape)
    for animal in range(animals):
        fired = _bursts(rng, members, active, loadings[animal], preset[2])
        fired += rng.poisson(0.03 / RATE_HZ, fired.shape)
        noise = rng.normal(size=fired.shape)
        shifts = rng.integers(frames, size=neurons)
        if level == "null":
            fired = _shifted(fired, shifts)
        spikes[animal] = fired
        fluorescence[animal] = _fluorescence(fired, amplitudes, noise, preset[0])
    return CalciumAnimals(fluorescence, spikes, members, active, loadings, amplitudes)


def _shifted(fired: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Return every neuron's spikes moved in a circle by its own number of frames."""
    rows = (np.arange(len(fired))[:, None] - shifts) % len(fired)
    return np.take_along_axis(fired, rows, axis=0)


def _preset(level: str, given: tuple[float | None, ...]) -> tuple[float, ...]:
    if level not in LEVELS:
        raise ValueError(f"level is {level!r}; it must be {', '.join(LEVELS)}")
    return tuple(a if b is None else float(b) for a, b in zip(LEVELS[level], given, strict=True))


def _check(neurons: int, motifs: int, duration_s: float) -> None:
    needed = max(5 + 50 * motifs - 45, 18) if motifs > 1 else 18
    if motifs < 1 or int(0.8 * neurons / motifs) < 2:
        raise ValueError(f"{neurons} neurons are too few for {motifs} motifs of 2 or more members")
    if duration_s < needed:
        raise ValueError(f"duration_s {duration_s} is too short for {motifs} motifs: give {needed}")


def _members(rng: np.random.Generator, neurons: int, motifs: int, overlap: float) -> np.ndarray:
    size = int(0.8 * neurons / motifs)
    core = rng.permutation(neurons)[: motifs * size].reshape(motifs, size)
    members = np.zeros((motifs, neurons), bool)
    for motif in range(motifs):
        members[motif, core[motif]] = True
        shared = rng.choice(core[motif], int(overlap * size), replace=False)
        members[(motif + 1) % motifs, shared] = True
    return members


def _active(frames: int, motifs: int) -> np.ndarray:
    time = np.arange(frames) / RATE_HZ
    active = np.zeros((frames, motifs), bool)
    for motif in range(motifs - 1):
        active[:, motif] = (time >= 40 + 50 * motif) & (time < 55 + 50 * motif)
    for start in SPONTANEOUS_S:
        active[:, -1] |= (time >= start) & (time < start + 8)
    return active


def _bursts(
    rng: np.random.Generator,
    members: np.ndarray,
    active: np.ndarray,
    loadings: np.ndarray,
    jitter_s: float,
) -> np.ndarray:
    """Return spikes per frame, (time, neuron)."""
    fired = np.zeros((len(active), members.shape[1]), np.int64)
    for motif, neurons in enumerate(members):
        frames = np.flatnonzero(active[:, motif])
        events = rng.choice(frames, rng.poisson(0.5 * len(frames) / RATE_HZ))
        which = np.flatnonzero(neurons)
        counts = rng.poisson(4 * loadings[motif], (len(events), len(which)))
        event, member = np.nonzero(counts)
        number = counts[event, member]
        at = np.repeat(events[event], number) / RATE_HZ + rng.normal(0, jitter_s, number.sum())
        frame = np.rint(at * RATE_HZ).astype(int)
        inside = (frame >= 0) & (frame < len(active))
        np.add.at(fired, (frame[inside], np.repeat(which[member], number)[inside]), 1)
    return fired


def _fluorescence(
    fired: np.ndarray, amplitudes: np.ndarray, noise: np.ndarray, snr: float
) -> np.ndarray:
    from scipy.signal import lfilter

    calcium = lfilter([1.0], [1.0, -np.exp(-1 / (RATE_HZ * DECAY_S))], fired.astype(float), axis=0)
    time = np.arange(len(fired)) / RATE_HZ
    base = 1 + 0.3 * np.exp(-time / 120)
    clean = base[:, None] * (1 + amplitudes * calcium)
    return clean + 4 * amplitudes / snr * np.sqrt(clean) * noise


def rate(params: dict[str, Any]) -> float:
    """Return samples per second."""
    return RATE_HZ


def recording(
    run: Callable[..., CalciumAnimals],
    params: dict[str, Any],
    *,
    seed: int,
    index: int,
    total: int,
    entry: Any,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the arrays of one animal and its truth."""
    made = run(simulate, seed=seed, animals=total, **params)
    names = np.array([f"neuron{i:03d}" for i in range(made.members.shape[1])])
    signals = {"signal": made.fluorescence[index].astype(np.float32), "names": names}
    truth = {
        "members": made.members,
        "active": made.active,
        "loadings": made.loadings[index],
        "all_loadings": made.loadings,
        "amplitudes": made.amplitudes,
        "spikes": made.spikes[index],
    }
    return signals, truth

"""Whether activity turns round in the plane of its first components, how fast and how far out.

    w[t] = x[t] y[t+1] - y[t] x[t+1]

is twice the signed area that a step sweeps, seen from the mean. Its mean is compared with that of
surrogates whose components keep their spectra but not the phase between them. The mean over all
such surrogates is 0 and their variance is a sum over frequencies, so none is drawn:

    mean w = (4 / T^2) sum_f sin(2 pi f / T) |X_f| |Y_f| sin(d_f),   d_f uniform in surrogates

For this comparison a path is closed, its last step leading back to its first.
An orbit is an outcome: networks that emulate well may have none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rheobase.models.hmm_rnn import plane
from rheobase.models.hmm_rnn.activity import Activity

AGREED, BEYOND = 0.9, 5.0
"""Share of trajectories that turn alike, and deviations from surrogates, that make an orbit."""
PIECE, FEWEST_PIECES = 200, 10
"""Steps within a pair of classes, and pieces of them, that are needed to say anything."""


@dataclass(frozen=True)
class Rotation:
    """How paths turn; the axis of members first, if there is one."""

    area: Tensor
    """(..., trajectory) mean w."""
    mean: Tensor
    deviation: Tensor
    """Over trajectories."""
    agreed: Tensor
    """Share of trajectories that turn the way that most do."""
    velocity: Tensor
    """Mean angle a step, radian; above 0 from the first component to the second."""
    amplitude: Tensor
    """Mean distance from the mean."""
    z: Tensor
    """Mean w over the deviation of phase-shuffled surrogates."""

    @property
    def period(self) -> Tensor:
        """Return steps a turn; infinite without turning."""
        return 2 * math.pi / self.velocity.abs()

    @property
    def turning(self) -> Tensor:
        """Return whether nearly all trajectories turn one way, and faster than surrogates."""
        return (self.agreed >= AGREED) & (self.z.abs() > BEYOND)


def rotation(paths: Tensor) -> Rotation:
    """Return how paths (..., trajectory, time, 2) turn round 0."""
    x, y = paths.double().unbind(-1)
    w = x[..., :-1] * y[..., 1:] - y[..., :-1] * x[..., 1:]
    along = x[..., :-1] * x[..., 1:] + y[..., :-1] * y[..., 1:]
    area = w.mean(-1)
    mean = area.mean(-1)
    positive = (area > 0).double().mean(-1)
    agreed = torch.maximum(positive, (area < 0).double().mean(-1))
    deviation = area.std(-1) if area.shape[-1] > 1 else torch.full_like(mean, torch.nan)
    velocity = torch.atan2(w, along).mean((-1, -2))
    amplitude = torch.hypot(x, y).mean((-1, -2))
    spread = surrogate_deviation(paths)
    closing = x[..., -1] * y[..., 0] - y[..., -1] * x[..., 0]
    closed = ((w.sum(-1) + closing) / x.shape[-1]).mean(-1)
    z = torch.where(spread > 0, closed / spread.clamp(min=1e-300), 0.0)
    return Rotation(area, mean, deviation, agreed, velocity, amplitude, z)


def surrogate_deviation(paths: Tensor) -> Tensor:
    """Return the deviation of mean w over surrogates of paths (..., trajectory, time, 2).

    Surrogates have every component's amplitudes at all frequencies, and phases at random.
    """
    X, Y = (torch.fft.rfft(part, dim=-1).abs() for part in paths.double().unbind(-1))
    T, n = paths.shape[-2], paths.shape[-3]
    f = torch.arange(X.shape[-1], device=X.device)
    each = 4 / T**2 * (2 * math.pi * f / T).sin() * X * Y
    return (each.square() / 2).sum((-1, -2)).sqrt() / n


def orbits(activity: Activity, axes: plane.Plane) -> tuple[Rotation, Tensor]:
    """Return how each member turns in its plane, and the phase of every step.

    (member,) and (member, trajectory, time), radian.
    """
    paths = axes.project(activity.states, count=2)
    return rotation(paths), torch.atan2(paths[..., 1], paths[..., 0])


@dataclass(frozen=True)
class PairOrbit:
    """How one member turns while it stays within two classes."""

    pair: tuple[int, int]
    pieces: int
    """Stretches of 200 steps that never leave the pair."""
    explained: Tensor | None = None
    """(component,)"""
    first_second: Rotation | None = None
    """In the plane of components 1 and 2 of the pieces; None where there are too few."""
    first_third: Rotation | None = None
    """In that of components 1 and 3, which the paper shows."""


def pair_orbits(activity: Activity, symbols: int, *, piece: int = PIECE) -> list[list[PairOrbit]]:
    """Return, for each member, how it turns within each pair of classes."""
    pairs = [(a, b) for a in range(symbols) for b in range(a + 1, symbols)]
    return [
        [_within(states, path, pair, piece) for pair in pairs]
        for states, path in zip(activity.states, activity.classes, strict=True)
    ]


def _within(states: Tensor, path: Tensor, pair: tuple[int, int], piece: int) -> PairOrbit:
    inside = ((path == pair[0]) | (path == pair[1])).cpu().numpy()
    both = [bool((path == one).any()) for one in pair]
    at = pieces(inside, piece)
    if len(at) < FEWEST_PIECES or not all(both):
        return PairOrbit(pair, len(at))
    cut = torch.stack([states[row, begin : begin + piece] for row, begin in at])[None]
    axes = plane.fit(cut, components=3)
    found = axes.project(cut)[0]
    return PairOrbit(pair, len(at), axes.explained[0], rotation(found[..., :2]),
                     rotation(found[..., [0, 2]]))  # fmt: skip


def pieces(inside: np.ndarray, length: int) -> list[tuple[int, int]]:
    """Return rows and beginnings of stretches of a length that never leave (row, time)."""
    found = []
    for row, held in enumerate(inside):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], held.astype(np.int8), [0]])))
        for begin, end in edges.reshape(-1, 2):
            found += [(row, int(at)) for at in range(begin, end - length + 1, length)]
    return found


def data_rotation(
    signal: np.ndarray, path: np.ndarray, lengths: Sequence[int], *, half: int
) -> Rotation | None:
    """Return how a recorded signal (time, channel) turns around switches of its states.

    Windows of ``half`` samples to either side of each switch of ``path`` (time,), in the plane of
    the signal's first two components; windows that overlap the one before or a segment's end are
    left out. None with fewer than ten. It is a test of the recording, not of an emulator.
    """
    ends = np.cumsum(lengths)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    last, at = -1, []
    for t in np.flatnonzero((np.diff(path) != 0) & (np.diff(owner) == 0)) + 1:
        begin, end = t - half, t + half
        if begin >= max(last, ends[owner[t]] - lengths[owner[t]]) and end <= ends[owner[t]]:
            at.append(begin)
            last = end
    if len(at) < FEWEST_PIECES:
        return None
    x = torch.as_tensor(signal, dtype=torch.float64)[None]
    flat = plane.fit(x, components=2).project(x)[0]
    return rotation(torch.stack([flat[begin : begin + 2 * half] for begin in at]))

"""Whether noise of some size makes switching most regular (self-induced stochastic resonance).

Times between successive entries into one class have a coefficient of variation, CV = sd / mean.
Noise on the input alone cannot have a best size: the network is homogeneous, so arg-max classes
are the same at every size. A shake of fixed size, added to the state before it is fed back, does
not scale along; only its size over that of the state matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import t as student
from torch import Tensor

from rheobase.models.hmm_rnn.activity import WARM_UP, Activity, Change, classes, logits, walk
from rheobase.models.hmm_rnn.network import Emulator, gumbel
from rheobase.models.hmm_rnn.noise_sweeps import SIGMAS

SHAKES = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Over the root mean square of the states."""
FEWEST = 20
"""Intervals of a trajectory below which it has no CV."""
ALPHA = 0.05


@dataclass(frozen=True)
class Coherence:
    """Regularity of entries into classes at each size, (member, size, trajectory)."""

    sizes: tuple[float, ...]
    cv: np.ndarray
    """NaN where a trajectory has under 20 intervals."""
    rate: np.ndarray
    """Entries a step, all classes together."""

    @property
    def mean_cv(self) -> np.ndarray:
        """Return the mean over trajectories, (member, size); NaN where under two have one."""
        known = np.isfinite(self.cv)
        total = np.where(known, self.cv, 0).sum(2)
        return np.where(known.sum(2) >= 2, total / np.maximum(known.sum(2), 1), np.nan)

    @property
    def best(self) -> list[float]:
        """Return the size of smallest CV of each member; NaN where there is none."""
        return [
            self.sizes[int(np.nanargmin(row))] if np.isfinite(row).any() else float("nan")
            for row in self.mean_cv
        ]

    @property
    def resonant(self) -> np.ndarray:
        """Return whether an inner size is more regular than both ends, (member,).

        Paired t tests over trajectories, one-sided, corrected for the sizes to choose from.
        """
        return np.array([self._resonant(row) for row in self.cv])

    def _resonant(self, cv: np.ndarray) -> bool:
        """Return it for one member's (size, trajectory)."""
        inner = range(1, len(self.sizes) - 1)
        return any(all(_lower(cv[k] - cv[end], 2 * len(inner)) for end in (0, -1)) for k in inner)


def _lower(difference: np.ndarray, tests: int) -> bool:
    known = difference[np.isfinite(difference)]
    if len(known) < 3 or known.std() == 0:
        return False
    t = known.mean() / (known.std(ddof=1) / np.sqrt(len(known)))
    return bool(student.cdf(t, len(known) - 1) < ALPHA / tests)


def shaken(
    net: Emulator,
    activity: Activity,
    generators: Sequence[torch.Generator],
    *,
    trajectories: int = 16,
    steps: int = 2000,
    sizes: Sequence[float] = SHAKES,
) -> Coherence:
    """Return the regularity of arg-max classes under shakes of each size, on the same noise."""
    rms = activity.states.square().mean((1, 2, 3)).sqrt()
    change = Change(shake=rms[:, None] * torch.tensor(sizes, device=rms.device))
    path = torch.empty((net.members, len(sizes), trajectories, steps), dtype=torch.int64,
                       device=rms.device)  # fmt: skip
    going = walk(net, generators, trajectories=trajectories, steps=WARM_UP + steps, change=change)
    for t, now in enumerate(going):
        if t >= WARM_UP:
            path[..., t - WARM_UP] = classes(net, now)
    return coherence(path, sizes, net.symbols)


def drawn(
    net: Emulator,
    activity: Activity,
    generators: Sequence[torch.Generator],
    *,
    sigmas: Sequence[float] = SIGMAS,
) -> Coherence:
    """Return the regularity of drawn symbols at each deviation of the input noise."""
    held = logits(net, activity.states)
    path = torch.stack([gumbel(s * held, generators).argmax(-1) for s in sigmas], 1)
    return coherence(path, sigmas, net.symbols)


def coherence(path: Tensor, sizes: Sequence[float], symbols: int) -> Coherence:
    """Return the regularity of paths of classes (member, size, trajectory, time).

    The CV of a trajectory is the mean over its classes, weighted by their intervals.
    """
    found = path.cpu().numpy()
    members, count, trajectories, steps = found.shape
    rows = [_intervals(row, symbols) for row in found.reshape(-1, steps)]
    cv, entries = (np.array(part).reshape(members, count, trajectories)
                   for part in zip(*rows, strict=True))  # fmt: skip
    return Coherence(tuple(sizes), cv, entries / steps)


def _intervals(path: np.ndarray, symbols: int) -> tuple[float, int]:
    """Return the CV of times between entries of a path (time,), and how many entries it has."""
    at = 1 + np.flatnonzero(path[1:] != path[:-1])
    entered = path[at]
    times = [np.diff(at[entered == k]) for k in range(symbols)]
    known = [gaps for gaps in times if len(gaps) >= 2]
    weights = np.array([len(gaps) for gaps in known])
    if weights.sum() < FEWEST:
        return float("nan"), len(at)
    cv = np.array([gaps.std(ddof=1) / gaps.mean() for gaps in known])
    return float((cv * weights).sum() / weights.sum()), len(at)

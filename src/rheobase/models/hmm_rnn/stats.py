"""How long, how often and when a path of states is where, per person, with intervals.

Runs that a segment's begin or end cuts count in occupancy, but not in mean lifetimes. Times are in
seconds. Without a number there is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from rheobase.models.hmm_rnn.emissions import spans

STATIC = 0.5
"""Median over people of the largest occupancy above which states tell people apart, not time."""
DRAWS = 200
BLOCK_DWELLS = 10
"""Mean stays in a block of the bootstrap (chosen here)."""


@dataclass(frozen=True)
class Runs:
    """Stretches of one state."""

    state: np.ndarray
    samples: np.ndarray
    segment: np.ndarray
    cut: np.ndarray
    """Whether the segment begins or ends within it."""


@dataclass(frozen=True)
class Statistics:
    """Numbers of one path, (subject, state) unless said otherwise."""

    subjects: tuple[str, ...]
    occupancy: np.ndarray
    """Share of samples."""
    lifetime_s: np.ndarray
    """Mean of whole runs."""
    lifetime_all_s: np.ndarray
    """Mean of all runs, those that are cut included."""
    interval_s: np.ndarray
    """Mean time between visits."""
    entries_hz: np.ndarray
    """Entries a second."""
    switching_hz: np.ndarray
    """(subject,) changes of state a second."""
    largest: np.ndarray
    """(subject,) largest occupancy."""

    @property
    def static(self) -> bool:
        """Return whether states describe people rather than time."""
        return bool(np.median(self.largest) > STATIC)


@dataclass(frozen=True)
class Interval:
    """A number with a 95 % interval."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def runs(path: np.ndarray, lengths: Sequence[int]) -> Runs:
    """Return the runs of a path (time,) in order; none crosses a segment's end."""
    begins, cuts, owners = [], [], []
    for segment, (begin, end) in enumerate(spans(lengths)):
        inner = begin + 1 + np.flatnonzero(np.diff(path[begin:end]))
        own = np.concatenate([[begin], inner])
        cut = np.zeros(len(own), bool)
        cut[[0, -1]] = True
        begins.append(own)
        cuts.append(cut)
        owners.append(np.full(len(own), segment))
    at = np.concatenate(begins)
    return Runs(path[at], np.diff(np.append(at, len(path))), np.concatenate(owners),
                np.concatenate(cuts))  # fmt: skip


def statistics(
    path: np.ndarray, lengths: Sequence[int], *, states: int, rate_hz: float,
    subjects: Sequence[str] | None = None,
) -> Statistics:  # fmt: skip
    """Return the statistics of a path (time,); ``subjects`` names the owner of each segment."""
    _check(path, lengths, states, rate_hz)
    names = [str(n) for n in range(len(lengths))] if subjects is None else list(subjects)
    if len(names) != len(lengths):
        raise ValueError(f"{len(names)} subjects are given for {len(lengths)} segments; name one "
                         "for each")  # fmt: skip
    found = runs(path, lengths)
    order = tuple(dict.fromkeys(names))
    rows = [_of(_part(found, np.flatnonzero([n == one for n in names])), states, rate_hz)
            for one in order]  # fmt: skip
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return Statistics(order, *columns, largest=columns[0].max(axis=1))


def _check(path: np.ndarray, lengths: Sequence[int], states: int, rate_hz: float) -> None:
    if sum(lengths) != len(path):
        raise ValueError(f"lengths sum to {sum(lengths)}, and the path has {len(path)} samples")
    if path.min() < 0 or path.max() >= states:
        raise ValueError(f"the path holds state {int(max(path.max(), -path.min()))}; states go "
                         f"from 0 to {states - 1}")  # fmt: skip
    if rate_hz <= 0:
        raise ValueError(f"rate_hz is {rate_hz}; it must be above 0")


def _part(found: Runs, segments: np.ndarray) -> Runs:
    own = np.isin(found.segment, segments)
    return Runs(found.state[own], found.samples[own], found.segment[own], found.cut[own])


def _of(found: Runs, states: int, rate_hz: float) -> tuple[np.ndarray | float, ...]:
    """Return occupancy, lifetimes, intervals, entries and switching of some runs."""
    whole = ~found.cut
    total = np.bincount(found.state, found.samples, states)
    entered = np.ones(len(found.state), bool)
    entered[np.flatnonzero(np.diff(found.segment, prepend=-1))] = False
    samples = float(found.samples.sum())
    steps = samples - len(np.unique(found.segment))
    return (
        total / samples,
        _mean(found.state[whole], found.samples[whole], states) / rate_hz,
        _mean(found.state, found.samples, states) / rate_hz,
        _mean(*_gaps(found), states) / rate_hz,
        np.bincount(found.state[entered], minlength=states) / samples * rate_hz,
        float(entered.sum()) / steps * rate_hz if steps > 0 else float("nan"),
    )  # fmt: skip


def _gaps(found: Runs) -> tuple[np.ndarray, np.ndarray]:
    """Return the states of visits that follow another in their segment, and the samples between."""
    state, between = [], []
    ends, left = np.cumsum(found.samples), {}
    for number, (k, segment) in enumerate(zip(found.state, found.segment, strict=True)):
        if (k, segment) in left:
            state.append(k)
            between.append(ends[number] - found.samples[number] - left[k, segment])
        left[k, segment] = ends[number]
    return np.array(state, int), np.array(between, float)


def _mean(group: np.ndarray, values: np.ndarray, groups: int) -> np.ndarray:
    count = np.bincount(group, minlength=groups)
    total = np.bincount(group, values, groups)
    return np.divide(total, count, out=np.full(groups, np.nan), where=count > 0)


def over_subjects(values: np.ndarray) -> Interval:
    """Return mean and 95 % t interval over subjects (the first axis), NaN left out."""
    count = np.isfinite(values).sum(axis=0)
    enough = np.maximum(count, 2)
    total = np.nansum(values, axis=0)
    mean = np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)
    spread = np.sqrt(np.nansum((values - mean) ** 2, axis=0) / (enough - 1) / enough)
    half = np.where(count > 1, student.ppf(0.975, enough - 1) * spread, np.nan)
    return Interval(mean, mean - half, mean + half)


def bootstrap(
    path: np.ndarray, lengths: Sequence[int], *, states: int, rate_hz: float, seed: int,
    draws: int = DRAWS,
) -> dict[str, Interval]:  # fmt: skip
    """Return the numbers of one person with intervals from blocks of runs drawn again.

    A block is ten runs that follow each other in one segment; as many runs are drawn as there are.
    """
    _check(path, lengths, states, rate_hz)
    found, rng = runs(path, lengths), np.random.default_rng(seed)
    names = ("occupancy", "lifetime_s", "lifetime_all_s", "interval_s", "entries_hz",
             "switching_hz")  # fmt: skip
    made = _of(found, states, rate_hz)
    drawn = [_of(_redrawn(found, rng), states, rate_hz) for _ in range(draws)]
    out = {}
    for name, value, column in zip(names, made, zip(*drawn, strict=True), strict=True):
        sorted_draws = np.sort(np.array(column, float), axis=0)
        low, high = (_quantile(sorted_draws, q) for q in (0.025, 0.975))
        out[name] = Interval(np.asarray(value), low, high)
    return out


def _redrawn(found: Runs, rng: np.random.Generator) -> Runs:
    """Return blocks of runs; each block is a segment of its own."""
    count, parts = len(found.state), []
    width = min(BLOCK_DWELLS, count)
    for block, begin in enumerate(rng.integers(0, count - width + 1, -(-count // width))):
        at = np.arange(begin, begin + width)
        parts.append((at, np.full(width, block * (found.segment[-1] + 1)) + found.segment[at]))
    at, segment = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Runs(found.state[at], found.samples[at], segment, found.cut[at])


def _quantile(ordered: np.ndarray, share: float) -> np.ndarray:
    """Return the quantile of sorted draws, NaN (last) left out."""
    count = np.isfinite(ordered).sum(axis=0)
    at = np.clip(np.round(share * (count - 1)).astype(int), 0, None)
    return np.take_along_axis(ordered, np.asarray(at)[None], axis=0)[0]


def expected_dwell_s(A: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return the mean stay that a chain expects, ``1 / (1 - A_kk)`` samples, in seconds."""
    return 1 / np.maximum(1 - np.diagonal(A), 1e-300) / rate_hz


def stationary(A: np.ndarray) -> np.ndarray:
    """Return the distribution that a chain's step leaves as it is, (state,)."""
    K = len(A)
    system = np.vstack([A.T - np.eye(K), np.ones(K)])
    found = np.linalg.lstsq(system, np.append(np.zeros(K), 1.0), rcond=None)[0].clip(0)
    return found / found.sum()

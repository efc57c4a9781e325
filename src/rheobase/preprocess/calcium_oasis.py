"""Deconvolution of calcium traces: an AR(1) decay driven by spikes that are never negative.

``c[t] = gamma c[t-1] + s[t]`` with ``s >= 0`` and ``gamma = exp(-1 / (tau rate))``. For a penalty
``lambda`` on the sum of spikes, the ``c`` nearest to a trace is the isotonic regression of
``y[t] / gamma^t``, which pooling adjacent violators solves exactly (Friedrich, Zhou and Paninski
2017, PLoS Comput. Biol. 13:e1005423). The order of pooling does not matter, so violators of all
cells are pooled at once. Traces are (cell, time) inside this module and (time, cell) at its border.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rheobase.preprocess.filters import unit_chunks

MOST_ROUNDS = 60
CLOSE = 1e-9
"""How far the residual may be from what the noise allows, as a share of it."""
FIRST_LEVEL = 15
"""Percentile of a trace at which the fit of its baseline starts."""


@dataclass(frozen=True)
class Deconvolved:
    """What was inferred, in the units of the traces."""

    calcium: np.ndarray
    """(time, cell) float64: the trace without noise and baseline."""
    spikes: np.ndarray
    """(time, cell) float64, never negative; 0 in the first frame, where calcium merely starts."""
    baseline: np.ndarray
    """(cell,) the level that calcium rises from."""
    penalty: np.ndarray
    """(cell,) the weight ``lambda`` of the sum of spikes."""


@dataclass(frozen=True)
class _Pools:
    """Pools of neighbouring frames, of one cell after the other, and what was pooled."""

    pool: np.ndarray
    """(cell, time) number of each sample's pool."""
    power: np.ndarray
    """(cell, time) ``gamma^k`` for the k-th frame of a pool."""

    def fit(self, traces: np.ndarray) -> np.ndarray:
        """Return the decays, one a pool, that are nearest to ``traces``, (cell, time)."""
        flat, power = self.pool.ravel(), self.power.ravel()
        start = np.flatnonzero(np.diff(flat, prepend=-1))
        height = np.add.reduceat(power * traces.ravel(), start)
        height /= np.add.reduceat(power**2, start)
        return (height[flat] * power).reshape(traces.shape)


def decay_factor(tau_s: np.ndarray | float, rate: float) -> np.ndarray:
    """Return ``gamma = exp(-1 / (tau rate))`` for decay times in seconds (or frames, rate 1)."""
    return np.exp(-1 / (np.asarray(tau_s, float) * rate))


def fixed_penalty(
    signal: np.ndarray, gamma: np.ndarray | float, penalty: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """Return calcium and spikes, (time, cell), that minimise ``|y - c|^2 / 2 + lambda sum s``.

    ``gamma`` and ``penalty`` are one number or (cell,); the baseline is taken out before. The
    calcium that is there in the first frame counts as a spike in the sum.
    """
    traces = np.ascontiguousarray(np.asarray(signal, float).T)
    decay = np.broadcast_to(np.asarray(gamma, float), len(traces))
    lambdas = np.broadcast_to(np.asarray(penalty, float), len(traces))
    pushed = traces - lambdas[:, None] * _price(traces.shape, decay)
    calcium = np.maximum(_pooled(pushed, decay).fit(pushed), 0)
    return calcium.T, _spikes(calcium, decay).T


def deconvolve(
    signal: np.ndarray,
    gamma: np.ndarray | float,
    noise: np.ndarray,
    *,
    baseline: np.ndarray | float | None = None,
) -> Deconvolved:
    """Return the sparsest spikes whose residual is noise: ``|y - b - c|^2 = noise^2 frames``.

    ``gamma`` is one number or (cell,), ``noise`` (cell,) standard deviations, ``baseline`` the
    level ``b``, one number or (cell,), or None to fit it. Where even the densest spikes leave more
    than the noise, the penalty is 0.
    """
    n_time, n_cells = signal.shape
    decay = np.broadcast_to(np.asarray(gamma, float), n_cells)
    sigma = np.broadcast_to(np.asarray(noise, float), n_cells)
    given = None if baseline is None else np.broadcast_to(np.asarray(baseline, float), n_cells)
    calcium, spikes = np.empty((n_time, n_cells)), np.empty((n_time, n_cells))
    level, penalty = np.empty(n_cells), np.empty(n_cells)
    for cells in unit_chunks(n_time, n_cells, copies=8):
        traces = np.ascontiguousarray(np.asarray(signal[:, cells], float).T)
        fixed = None if given is None else given[cells]
        found, level[cells], penalty[cells] = _constrained(
            traces, decay[cells], n_time * sigma[cells] ** 2, fixed
        )
        calcium[:, cells] = found.T
        spikes[:, cells] = _spikes(found, decay[cells]).T
    return Deconvolved(calcium, spikes, level, penalty)


def _constrained(
    traces: np.ndarray, decay: np.ndarray, allowed: np.ndarray, given: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return calcium (cell, time), baseline and penalty (cell,).

    With the pools held, calcium is linear in penalty and baseline, so both have a closed form;
    pools are then made anew. The squared residual grows with the penalty, so a step that leaves
    what earlier rounds allow is halved.
    """
    price = _price(traces.shape, decay)
    penalty, calcium = np.zeros(len(traces)), np.zeros(traces.shape)
    level = np.percentile(traces, FIRST_LEVEL, axis=1) if given is None else np.array(given)
    low, high = np.zeros(len(traces)), np.full(len(traces), np.inf)
    at = np.arange(len(traces))
    for turn in range(MOST_ROUNDS):
        pushed = traces[at] - level[at, None] - penalty[at, None] * price[at]
        pools = _pooled(pushed, decay[at])
        calcium[at] = np.maximum(pools.fit(pushed), 0)
        rest = traces[at] - level[at, None] - calcium[at]
        excess = (rest**2).sum(axis=1) - allowed[at]
        active = calcium[at] > 0
        free = given is None and turn > 0
        step, shift = _step(rest, np.where(active, pools.fit(price[at]), 0),
                            np.where(active, pools.fit(np.ones_like(rest)), 0),
                            allowed[at], free=free)  # fmt: skip
        if given is not None:
            low[at] = np.where(excess < 0, np.maximum(low[at], penalty[at]), low[at])
            high[at] = np.where(excess >= 0, np.minimum(high[at], penalty[at]), high[at])
        moved = penalty[at] + step
        outside = (moved < low[at]) | (moved > high[at])
        moved = np.where(outside, (np.maximum(penalty[at], 0) + low[at]) / 2, moved)
        moved = np.maximum(moved, 0)
        scale = np.sqrt(allowed[at] / traces.shape[1])
        still = (np.abs(excess) <= CLOSE * allowed[at]) | (moved == penalty[at])
        going = ~(still & (np.abs(shift) <= CLOSE * scale)) | (given is None and not free)
        penalty[at[going]], level[at[going]] = moved[going], (level[at] + shift)[going]
        at = at[going]
        if not len(at):
            break
    return calcium, level, penalty


def _step(
    rest: np.ndarray, slope: np.ndarray, lift: np.ndarray, allowed: np.ndarray, *, free: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the changes of penalty and baseline, (cell,), that the held pools ask for.

    Calcium falls by ``slope`` a unit of penalty and by ``lift`` a unit of baseline. Wanted are a
    residual of mean 0 (where the baseline is free) and of the allowed square.
    """
    tilt, wish = slope, rest
    around = 1 - lift
    total = around.sum(axis=1)
    usable = free & (total > 0)
    share = np.where(usable, 1 / np.where(total > 0, total, 1), 0)
    wish = rest - (rest.sum(axis=1) * share)[:, None] * around
    tilt = slope - (slope.sum(axis=1) * share)[:, None] * around
    square = (tilt**2).sum(axis=1)
    cross = (wish * tilt).sum(axis=1)
    inside = cross**2 - square * ((wish**2).sum(axis=1) - allowed)
    step = (np.sqrt(np.maximum(inside, 0)) - cross) / np.where(square > 0, square, 1)
    step = np.where(square > 0, step, 0)
    return step, (rest.sum(axis=1) + step * slope.sum(axis=1)) * share


def _price(shape: tuple[int, ...], decay: np.ndarray) -> np.ndarray:
    """Return how much each sample of calcium costs, (cell, time): ``sum s`` in terms of ``c``."""
    made = np.repeat(1 - decay[:, None], shape[1], axis=1)
    made[:, -1] = 1
    return made


def _spikes(calcium: np.ndarray, decay: np.ndarray) -> np.ndarray:
    made = np.zeros_like(calcium)
    made[:, 1:] = np.maximum(calcium[:, 1:] - decay[:, None] * calcium[:, :-1], 0)
    return made


def _pooled(traces: np.ndarray, decay: np.ndarray) -> _Pools:
    """Return the pools after which every pool starts above the decay of the one before."""
    n_cells, n_time = traces.shape
    size = traces.size
    log = np.repeat(np.log(decay), n_time)
    start = np.arange(size)
    height, weight = traces.ravel().copy(), np.ones(size)
    while True:
        length = np.diff(start, append=size)
        fallen = np.exp(log[start] * length) * (height / weight)
        below = (height / weight)[1:] < fallen[:-1]
        below &= start[1:] % n_time != 0
        if not below.any():
            break
        heads = np.flatnonzero(np.concatenate([[True], ~below]))
        first = np.repeat(start[heads], np.diff(heads, append=len(start)))
        power = np.exp(log[start] * (start - first))
        height = np.add.reduceat(power * height, heads)
        weight = np.add.reduceat(power**2 * weight, heads)
        start = start[heads]
    pool = np.repeat(np.arange(len(start)), np.diff(start, append=size))
    power = np.exp(log * (np.arange(size) - start[pool]))
    return _Pools(pool.reshape(traces.shape), power.reshape(traces.shape))

"""BOLD-like region series with planted communities, brain states and class differences.

Series are (time, region). One ``numpy.random.Generator`` draws, in this order: the permutation of
each state; loadings; HRF peaks; then for each run the state path, sources, private noise of the
regions and measurement noise. The number of draws does not depend on the classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

DIFFERENCES = ("static", "dwell", "order", "null")
SET = {"seed", "runs", "classes"}
OWN = ["groups"]
BURN_IN = 20


@dataclass(frozen=True)
class BoldRuns:
    """Simulated runs and everything that was planted in them."""

    series: np.ndarray
    """(run, time, region), z-scored over time."""
    classes: np.ndarray
    """(run,) 0 or 1."""
    communities: np.ndarray
    """(region,) community numbers."""
    states: np.ndarray
    """(run, time) state numbers."""
    covariances: np.ndarray
    """(class, state, community, community), unit diagonal."""
    loadings: np.ndarray
    """(region,) share of the community's signal, 0.6 to 1."""
    peaks: np.ndarray
    """(region,) shape of the response's first gamma density, in seconds."""


def simulate(
    *,
    seed: int,
    runs: int,
    regions: int = 60,
    communities: int = 6,
    samples: int = 300,
    tr_s: float = 1.0,
    states: int = 4,
    difference: str = "static",
    delta: float = 0.5,
    dwell_s: Sequence[float] | None = None,
    snr: float = 1.0,
    classes: Sequence[int] | None = None,
) -> BoldRuns:
    """Return runs whose two classes differ as ``difference`` says.

    ``static``: communities 0 and 1 are ``delta`` more correlated in class 1. ``dwell``: mean state
    durations ``dwell_s`` (seconds) for classes 0 and 1. ``order``: states follow each other upwards
    in class 1 and downwards in class 0. ``null``: no difference. Classes alternate unless given.
    Standard deviation of the measurement noise is ``1 / snr`` of the signal's.
    """
    dwell = _check(regions, communities, difference, tr_s, dwell_s)
    rng = np.random.default_rng(seed)
    covariances = _covariances(rng, states, communities, delta * (difference == "static"))
    roots = np.linalg.cholesky(covariances)
    loadings = rng.uniform(0.6, 1.0, regions)
    peaks = 6 + rng.normal(0, 0.3, regions)
    response = _response(peaks, tr_s)
    kinds = np.arange(runs) % 2 if classes is None else np.asarray(classes, int)
    member = np.repeat(np.arange(communities), regions // communities)
    length, series, paths = samples + len(response) + BURN_IN, [], []
    for kind in kinds.tolist():
        path = _path(rng, length, states, 1 - tr_s / dwell[kind], _step(difference, kind))
        phi = float(np.exp(-tr_s / 3))
        activity = _activity(rng, roots[kind][path], loadings, member, phi)
        noise = rng.normal(0, 1 / snr, (samples, regions))
        series.append(_measure(activity, response, noise))
        paths.append(path[len(response) : len(response) + samples])
    return BoldRuns(np.stack(series), kinds, member, np.stack(paths), covariances, loadings, peaks)


def _activity(
    rng: np.random.Generator,
    roots: np.ndarray,
    loadings: np.ndarray,
    member: np.ndarray,
    phi: float,
) -> np.ndarray:
    """Return neural activity, (time, region); ``roots`` is (time, community, community)."""
    sources = _ar1(rng, len(roots), roots.shape[1], phi)
    network = np.einsum("tij,tj->ti", roots, sources)
    private = _ar1(rng, len(roots), len(member), phi)
    return loadings * network[:, member] + np.sqrt(1 - loadings**2) * private


def _check(
    regions: int, communities: int, difference: str, tr_s: float, dwell_s: Sequence[float] | None
) -> tuple[float, float]:
    if difference not in DIFFERENCES:
        raise ValueError(f"difference is {difference!r}; it must be {', '.join(DIFFERENCES)}")
    if communities < 4 or regions % communities:
        raise ValueError(
            f"{regions} regions in {communities} communities: give 4 or more communities and a "
            "number of regions that they divide"
        )
    default = (8.0, 40.0) if difference == "dwell" else (20.0, 20.0)
    low, high = default if dwell_s is None else map(float, dwell_s)
    if min(low, high) <= tr_s:
        raise ValueError(f"dwell_s {[low, high]} must be longer than one sample, {tr_s} s")
    return low, high


def _covariances(
    rng: np.random.Generator, states: int, communities: int, delta: float
) -> np.ndarray:
    made = np.empty((2, states, communities, communities))
    for state in range(states):
        order = rng.permutation(communities)
        base = np.eye(communities)
        for (i, j), value in (((0, 1), 0.7), ((2, 3), -0.6)):
            base[order[i], order[j]] = base[order[j], order[i]] = value
        for kind in (0, 1):
            planted = base.copy()
            if kind and delta:
                planted[0, 1] = planted[1, 0] = np.clip(base[0, 1] + delta, -0.9, 0.9)
            made[kind, state] = _repair(planted)
    return made


def _repair(matrix: np.ndarray) -> np.ndarray:
    """Return the matrix with eigenvalues of at least 0.001 and a diagonal of ones."""
    values, vectors = np.linalg.eigh(matrix)
    repaired = (vectors * np.maximum(values, 1e-3)) @ vectors.T
    scale = np.sqrt(np.diag(repaired))
    return repaired / np.outer(scale, scale)


def _response(peaks: np.ndarray, tr_s: float) -> np.ndarray:
    """Return haemodynamic responses, (time, region), 0 to 32 s."""
    time = np.arange(0, 32 + 1e-9, tr_s)[:, None]
    shape = _gamma_density(time, peaks) - _gamma_density(time, np.array(16.0)) / 6
    return shape / np.abs(shape).sum(axis=0)


def _gamma_density(time: np.ndarray, shape: np.ndarray) -> np.ndarray:
    from scipy.special import gammaln, xlogy

    return np.exp(xlogy(shape - 1, time) - time - gammaln(shape))


def _step(difference: str, kind: int) -> int | None:
    return None if difference != "order" else (1 if kind else -1)


def _path(
    rng: np.random.Generator, length: int, states: int, stay: float, step: int | None
) -> np.ndarray:
    """Return a path of states; a change goes ``step`` further, or to any other state."""
    first = rng.integers(states)
    moves = rng.random(length) >= stay
    steps = rng.integers(1, states, length) if states > 1 else np.zeros(length, int)
    moves[0] = False
    return (first + np.cumsum(np.where(moves, steps if step is None else step, 0))) % states


def _ar1(rng: np.random.Generator, length: int, width: int, phi: float) -> np.ndarray:
    """Return stationary AR(1) series of unit variance, (time, series)."""
    from scipy.signal import lfilter

    drive = rng.normal(size=(length, width))
    drive[1:] *= np.sqrt(1 - phi**2)
    return np.asarray(lfilter([1.0], [1.0, -phi], drive, axis=0))


def _measure(activity: np.ndarray, response: np.ndarray, noise: np.ndarray) -> np.ndarray:
    from scipy.signal import fftconvolve

    start = len(response)
    bold = fftconvolve(activity, response, axes=0)[start : start + len(noise)]
    measured = bold / bold.std(axis=0) + noise
    return (measured - measured.mean(axis=0)) / measured.std(axis=0)


def rate(params: dict[str, Any]) -> float:
    """Return samples per second."""
    return 1 / float(params.get("tr_s", 1.0))


def recording(
    run: Callable[..., BoldRuns],
    params: dict[str, Any],
    *,
    seed: int,
    index: int,
    total: int,
    entry: Any,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the arrays of one run and its truth.

    The run's class is the place of its entity or label ``group`` among ``params["groups"]``,
    sorted, and ``index % 2`` where it has none.
    """
    kind = _class(params.get("groups"), {**entry.labels, **entry.entities}.get("group"), index)
    params = {key: value for key, value in params.items() if key != "groups"}
    classes = [(number + index + kind) % 2 for number in range(total)]
    made = run(simulate, seed=seed, runs=total, classes=classes, **params)
    names = np.array([f"roi{i:03d}" for i in range(len(made.communities))])
    signals = {
        "signal": made.series[index].astype(np.float32),
        "names": names,
        "network": np.array([f"community{k}" for k in made.communities]),
    }
    truth = {
        "class": made.classes[index],
        "communities": made.communities,
        "states": made.states[index],
        "covariances": made.covariances,
        "loadings": made.loadings,
        "peaks": made.peaks,
    }
    return signals, truth


def _class(groups: Sequence[str] | None, group: str | None, index: int) -> int:
    if groups is None or group is None:
        return index % 2
    ordered = sorted(map(str, groups))
    if len(ordered) != 2 or group not in ordered:
        raise ValueError(
            f"group {group!r} is not among source.params.groups {ordered}, which must name two"
        )
    return ordered.index(group)

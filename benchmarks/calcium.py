"""Calcium preprocessing beside SciPy's exact running percentile and the authors' OASIS.

``FAMILY=calcium make benchmark``. Traces are planted: sparse spikes, a decay of 1 s, noise of 0.3,
at 30 frames a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from benchmarks.harness import Case, Equal, Peer, Row, measure
from benchmarks.processes import Call

RATE, DECAY_S, NOISE = 30.0, 1.0, 0.3
SIZE = {"frames": 10_000, "cells": 20}
WINDOW, PERCENTILE, PENALTY = 1801, 8, 0.5
Arrays = dict[str, np.ndarray]
Held = Mapping[str, np.ndarray]
HERE = "benchmarks.calcium"
OASIS = "oasis-deconv"


def rows() -> Iterator[Row]:
    """Yield the costs of baselines and of deconvolution, each beside its peer."""
    size = f"{SIZE['cells']} x {SIZE['frames']}"
    yield measure(
        Case(
            f"running percentile, window {WINDOW}, {size}",
            Call(f"{HERE}:strided"),
            Peer("scipy percentile_filter", "scipy", Call(f"{HERE}:exact")),
            Equal("F0, in noise deviations", 0.2, _largest_in_noise),
        )
    )
    yield measure(Case(f"maximin, {size}", Call(f"{HERE}:lowest")))
    yield measure(Case(f"bleaching, {size}", Call(f"{HERE}:bleached")))
    yield measure(
        Case(
            f"OASIS, fixed penalty, {size}",
            Call(f"{HERE}:ours_fixed"),
            Peer(f"{OASIS} penalty=None", OASIS, Call(f"{HERE}:theirs_fixed")),
            Equal("calcium and spikes", 1e-6),
        )
    )
    yield measure(
        Case(
            f"OASIS, penalty from the noise, {size}",
            Call(f"{HERE}:ours_free"),
            Peer(OASIS, OASIS, Call(f"{HERE}:theirs_free")),
            Equal("calcium, median over cells of the largest difference", 0.01, _median_largest),
        )
    )


def traces() -> np.ndarray:
    """Return planted traces, (time, cell)."""
    from scipy.signal import lfilter

    rng = np.random.default_rng(0)
    shape = (SIZE["frames"], SIZE["cells"])
    spikes = (rng.random(shape) < 0.5 / RATE).astype(float)
    gamma = np.exp(-1 / (DECAY_S * RATE))
    calcium = np.asarray(lfilter([1], [1, -gamma], spikes, axis=0))
    return 2 + calcium + NOISE * rng.normal(size=shape)


def _largest_in_noise(ours: Held, peer: Held) -> float:
    return float(np.abs(ours["base"] - peer["base"]).max() / NOISE)


def _median_largest(ours: Held, peer: Held) -> float:
    return float(np.median(np.abs(ours["calcium"] - peer["calcium"]).max(axis=0)))


def strided() -> Callable[[], Arrays]:
    """Return a function that takes the percentile at an eighth of the window."""
    from rheobase.preprocess.calcium_baseline import running_percentile

    signal = traces()
    return lambda: {"base": running_percentile(signal, window=WINDOW - 1, percentile=PERCENTILE)}


def exact() -> Callable[[], Arrays]:
    """Return a function that takes the percentile at every frame."""
    from scipy.ndimage import percentile_filter

    signal = traces()
    return lambda: {"base": percentile_filter(signal, PERCENTILE, size=(WINDOW, 1), mode="mirror")}


def lowest() -> Callable[[], Arrays]:
    """Return a function that takes the running maximum of the running minimum."""
    from rheobase.preprocess.calcium_baseline import maximin

    signal = traces()
    return lambda: {"base": maximin(signal, window=WINDOW, sigma=10 * RATE)}


def bleached() -> Callable[[], Arrays]:
    """Return a function that fits a constant and two decays."""
    from rheobase.preprocess.calcium_bleaching import bleaching

    signal = traces()
    valid = np.ones(len(signal), bool)
    return lambda: {"base": bleaching(signal, valid, percentile=PERCENTILE)}


def ours_fixed() -> Callable[[], Arrays]:
    """Return a function that deconvolves with a given penalty."""
    from rheobase.preprocess.calcium_oasis import decay_factor, fixed_penalty

    signal, gamma = traces() - 2, decay_factor(DECAY_S, RATE)

    def run() -> Arrays:
        calcium, spikes = fixed_penalty(signal, gamma, PENALTY)
        return {"calcium": calcium, "spikes": spikes}

    return run


def theirs_fixed() -> Callable[[], Arrays]:
    """Return a function that does the same, cell by cell, with the authors' program."""
    from oasis.functions import deconvolve  # type: ignore[import-not-found]

    signal = np.ascontiguousarray((traces() - 2).T)

    def run() -> Arrays:
        found = [
            deconvolve(y, tau_d=DECAY_S, framerate=RATE, penalty=None, lam=PENALTY) for y in signal
        ]
        return {
            "calcium": np.stack([one.c for one in found], axis=1),
            "spikes": np.stack([one.s for one in found], axis=1),
        }

    return run


def ours_free() -> Callable[[], Arrays]:
    """Return a function that finds penalty and baseline too."""
    from rheobase.preprocess.calcium_oasis import decay_factor, deconvolve

    signal, gamma = traces(), decay_factor(DECAY_S, RATE)
    sigma = np.full(signal.shape[1], NOISE)
    return lambda: {"calcium": deconvolve(signal, gamma, sigma).calcium}


def theirs_free() -> Callable[[], Arrays]:
    """Return a function that does the same, cell by cell, with the authors' program."""
    from oasis.functions import deconvolve  # type: ignore[import-not-found]

    signal = np.ascontiguousarray(traces().T)

    def run() -> Arrays:
        found = [deconvolve(y, tau_d=DECAY_S, framerate=RATE, sn=NOISE) for y in signal]
        return {"calcium": np.stack([one.c for one in found], axis=1)}

    return run

"""Copies of a series without states: phases drawn anew, all linear structure as it was.

Every segment keeps its mean, and its spectra and cross-spectra exactly (Prichard and Theiler,
Physical Review Letters 73, 1994): one random phase a frequency, the same for all channels. What is
left is a stationary linear Gaussian process, in which states are cuts through slow fluctuations.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rheobase.models.hmm_rnn.batch import Chain, join
from rheobase.models.hmm_rnn.embed import Embedding
from rheobase.models.hmm_rnn.emissions import spans
from rheobase.models.hmm_rnn.hmm import HMM
from rheobase.models.hmm_rnn.select import Parts, sweep


def randomised(x: np.ndarray, lengths: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Return a series (time, channel) with its phases drawn anew, segment by segment."""
    out = np.empty_like(x)
    for begin, end in spans(lengths):
        spectrum = np.fft.rfft(x[begin:end], axis=0)
        turns = np.exp(2j * np.pi * rng.random(len(spectrum)))
        turns[0] = 1
        if (end - begin) % 2 == 0:
            turns[-1] = 1
        out[begin:end] = np.fft.irfft(spectrum * turns[:, None], end - begin, axis=0)
    return out


def generator(seed: int, number: int) -> np.random.Generator:
    """Return the random numbers of one copy."""
    return np.random.default_rng([seed, 11, number])


def fits(
    engine: HMM, x: np.ndarray, lengths: Sequence[int], split: Parts,
    embedding: Embedding | None, *, count: int, seed: int, device: str,
) -> tuple[Chain, Chain] | None:  # fmt: skip
    """Return the same model fitted to each copy, whole, and to both halves of it.

    (copy,) and (2 copy,) models; ``split`` cuts the series as the states were fitted to it.
    """
    whole, halves = [], []
    none = np.zeros((0, len(split.lengths)))
    for number in range(count):
        copy = randomised(x, lengths, generator(seed, number))
        seen = copy if embedding is None else embedding.apply(copy, lengths)[0]
        parts = Parts(split.lengths, none, split.halves)
        _, found = sweep(engine, seen, parts, seed=seed, device=device)
        objective = found.objective.cpu().numpy().reshape(3, engine.restarts)
        best = objective.argmax(axis=1) + engine.restarts * np.arange(3)
        halves.append(found.chain.take(best[:2].tolist()))
        whole.append(found.chain.take(best[2:].tolist()))
    return (join(whole), join(halves)) if whole else None

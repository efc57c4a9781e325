"""What a fit gives to others: probabilities of states over time, as recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rheobase.models.base import Fitted
from rheobase.models.hmm_rnn import fitting, front, kept
from rheobase.models.hmm_rnn.front import Series
from rheobase.models.inputs import check
from rheobase.recording import Recording

if TYPE_CHECKING:
    from rheobase.models.hmm_rnn import HMMRNN


@dataclass(frozen=True, eq=False)
class Seen:
    """Recordings as the states of a fit see them, and what they say of each sample."""

    series: Series
    x: np.ndarray
    """(sample, component), embedded where there is an embedding"""
    lengths: tuple[int, ...]
    inside: np.ndarray
    """Which samples of the series these are, (time,) bool"""
    gamma: np.ndarray
    """(sample, state)"""
    path: np.ndarray
    """(sample,) from 0"""
    loglik: np.ndarray
    """(segment,)"""


def see(model: HMMRNN, fitted: Fitted, given: Sequence[Recording]) -> Seen:
    """Return what the fit says of recordings; raises where their units are others."""
    arrays = fitted.arrays
    series = front.unpack(arrays).series(given, shortest=fitting.shortest(model))
    x, lengths, inside = embedded(fitted, series.x, series.lengths)
    decoder = kept.decoder(arrays)
    gamma, loglik = decoder.posterior(x, lengths)
    return Seen(series, x, lengths, inside, gamma, decoder.viterbi(x, lengths), loglik)


def embedded(
    fitted: Fitted, x: np.ndarray, lengths: Sequence[int]
) -> tuple[np.ndarray, tuple[int, ...], np.ndarray]:
    """Return a series as the states see it, its lengths, and which samples are left."""
    lags = kept.embedding(fitted.arrays)
    if lags is None:
        return x, tuple(lengths), np.ones(len(x), bool)
    return *lags.apply(x, lengths), lags.inside(lengths)


def recordings(
    model: HMMRNN, fitted: Fitted, given: Sequence[Recording]
) -> list[Recording]:  # fmt: skip
    """Return the probabilities of the states in these recordings, in their order."""
    names = fitted.arrays["unit"].values.astype(str).tolist()
    check(given, part="given", units=names)
    states = fitted.arrays.sizes["state"]
    step = {"step": "probabilities of states", "family": "hmm_rnn", "states": states,
            "acausal": True}  # fmt: skip
    return [_one(model, fitted, one, states, step) for one in given]


def _one(model: HMMRNN, fitted: Fitted, one: Recording, states: int, step: dict) -> Recording:
    gamma = np.zeros((len(one.valid), states), np.float32)
    path, known = np.zeros(len(one.valid), np.int16), np.zeros(len(one.valid), bool)
    shortest = fitting.shortest(model)
    if any(piece.stop - piece.start >= shortest for piece in one.pieces()):
        seen = see(model, fitted, [one])
        places = np.concatenate([np.arange(p.start, p.stop) for p in seen.series.pieces])
        at = places[seen.inside]
        gamma[at], path[at], known[at] = seen.gamma, seen.path + 1, True
    names = [f"state {k + 1}" for k in range(states)]
    made = one.with_signal(gamma, unit_names=names, step=step, units="probability").data
    free = "state" if "state" not in made else "hmm_state"
    return Recording(made.assign(valid=("time", known)).assign({free: ("time", path)}))

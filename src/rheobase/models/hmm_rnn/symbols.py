"""From states over time to a chain of symbols that a network can learn: stride, symbols, refit.

A path of states is thinned so that a stay lasts about as many steps as networks learn well. States
that hardly occur go to the one that they are most often confused with. A chain is then fitted to
the thinned symbols; it begins in its long-run shares, since windows of a recording begin anywhere.
Everything is that of the training part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rheobase.models.hmm_rnn import em, memoryless, stats
from rheobase.models.hmm_rnn.batch import Chain, lay_out
from rheobase.models.hmm_rnn.emissions import Categorical, spans
from rheobase.models.hmm_rnn.settings import Prior, Stop
from rheobase.models.hmm_rnn.targets import Target

if TYPE_CHECKING:
    import xarray as xr

RARE = 0.01
"""Share of the path below which a state is merged with another."""
SMALLEST = 1e-3
"""Least probability of a symbol in a state."""
NEVER = 1e-6
"""Least probability of a transition at the start of the refit."""
REFIT = Stop(iterations=20)


class NotEmulated(ValueError):
    """Why no network can be trained on a chain; the states stand as they are."""


@dataclass(frozen=True, eq=False)
class Alphabet:
    """How a path becomes symbols."""

    stride: int
    """Samples a step."""
    groups: np.ndarray
    """(state,) the state of the chain that each state of the recording belongs to."""
    centres: np.ndarray | None
    """(symbol, component) of a codebook; None where symbols are states."""

    @property
    def count(self) -> int:
        """Return the number of symbols."""
        return int(self.groups.max()) + 1 if self.centres is None else len(self.centres)

    @property
    def names(self) -> tuple[str, ...]:
        """Return what each symbol is called."""
        if self.centres is not None:
            return tuple(f"symbol {k + 1}" for k in range(self.count))
        members = [np.flatnonzero(self.groups == g) + 1 for g in range(self.count)]
        return tuple(f"state {' and '.join(map(str, own))}" for own in members)

    def read(
        self, path: np.ndarray, x: np.ndarray, lengths: Sequence[int]
    ) -> tuple[np.ndarray, tuple[int, ...]]:
        """Return the symbols (step,) of a path, and the steps of its segments of two or more."""
        every = (self.groups[path] if self.centres is None
                 else memoryless.nearest(x, self.centres))  # fmt: skip
        parts = [every[begin : end : self.stride] for begin, end in spans(lengths)]
        parts = [part for part in parts if len(part) > 1]
        if not parts:
            return np.zeros(0, int), ()
        return np.concatenate(parts).astype(int), tuple(len(part) for part in parts)

    def pack(self) -> dict[str, Any]:
        """Return it as named arrays."""
        made: dict[str, Any] = {"emulator/stride": ((), np.int64(self.stride)),
                                "emulator/groups": ("state", self.groups)}  # fmt: skip
        if self.centres is not None:
            made["emulator/centres"] = ("emulator_symbol", "component"), self.centres
        return made


def alphabet(arrays: xr.Dataset) -> Alphabet:
    """Return what ``Alphabet.pack`` stored."""
    held = arrays["emulator/centres"].values if "emulator/centres" in arrays else None
    return Alphabet(int(arrays["emulator/stride"]), arrays["emulator/groups"].values, held)


def mean_stay(path: np.ndarray, lengths: Sequence[int]) -> float:
    """Return the mean length of runs of a path, samples; those that an end cuts included."""
    changes = sum(int((np.diff(path[begin:end]) != 0).sum()) for begin, end in spans(lengths))
    return len(path) / (changes + len(lengths))


def merged(path: np.ndarray, gamma: np.ndarray, *, least: float = RARE) -> np.ndarray:
    """Return which group each state belongs to, (state,) from 0; rare ones join a neighbour.

    The neighbour is the state, or group, that is most probable where the rare one is probable.
    """
    count = gamma.shape[1]
    groups = np.arange(count)
    overlap = gamma.T.astype(float) @ gamma
    while True:
        share = np.bincount(groups[path], minlength=count) / len(path)
        left = np.unique(groups)
        rarest = left[share[left].argmin()]
        if len(left) < 2 or share[rarest] >= least:
            return np.searchsorted(left, groups)
        own = groups == rarest
        others = [g for g in left if g != rarest]
        shared = [overlap[np.ix_(own, groups == g)].sum() for g in others]
        groups[own] = others[int(np.argmax(shared))]


def chain(
    path: np.ndarray, gamma: np.ndarray, x: np.ndarray, lengths: Sequence[int], A: np.ndarray, *,
    stay_steps: float, codes: int | None = None, seed: int,
) -> tuple[Alphabet, Target]:  # fmt: skip
    """Return how symbols are read from a path (sample,), and the chain fitted to them.

    ``gamma`` (sample, state), ``x`` (sample, component), ``A`` (state, state); ``codes``: symbols
    of a codebook of ``x``, None where symbols are states. Raises ``NotEmulated`` where one state
    holds nearly everything, or too few steps are left.
    """
    groups = merged(path, gamma)
    states = int(groups.max()) + 1
    if states < 2:
        raise NotEmulated(f"one state holds more than {1 - RARE:.0%} of the samples")
    stride = max(1, round(mean_stay(groups[path], lengths) / stay_steps))
    centres = None if codes is None else memoryless.kmeans(x, states=codes, starts=3, seed=seed)
    made = Alphabet(stride, groups, centres)
    symbols, steps = made.read(path, x, lengths)
    occurring = np.bincount(symbols, minlength=made.count) if len(symbols) else np.zeros(1)
    if (occurring == 0).any() or len(symbols) < 10 * states * made.count:
        raise NotEmulated(
            f"{len(symbols)} steps of {stride} samples are too few for a chain of {states} states "
            f"and {made.count} symbols"
        )
    weight = np.eye(states)[groups]
    at = _thinned(stride, lengths)
    grouped = (gamma[at] @ weight).astype(float)
    E = grouped.T @ np.eye(made.count)[symbols]
    share = gamma.mean(axis=0)[:, None] * weight
    moved = np.linalg.matrix_power(A, stride)
    lumped = ((share / share.sum(axis=0)).T @ moved @ weight).clip(NEVER)
    lumped /= lumped.sum(axis=1, keepdims=True)
    return made, fitted(symbols, steps, lumped, E / E.sum(axis=1, keepdims=True))


def _thinned(stride: int, lengths: Sequence[int]) -> np.ndarray:
    """Return the samples that are steps, as ``Alphabet.read`` takes them."""
    parts = [np.arange(begin, end, stride) for begin, end in spans(lengths)]
    return np.concatenate([part for part in parts if len(part) > 1])


def fitted(
    symbols: np.ndarray, lengths: Sequence[int], A: np.ndarray, E: np.ndarray
) -> Target:  # fmt: skip
    """Return the chain that 20 iterations of EM reach from A and E, in its long-run shares."""
    count = E.shape[1]
    series = torch.as_tensor(symbols, dtype=torch.float64)[:, None]
    data = lay_out(series, lengths, Categorical(count, Prior().symbols))
    start = Chain(torch.as_tensor(stats.stationary(A))[None], torch.as_tensor(A)[None],
                  {"probs": torch.as_tensor(E)[None]})  # fmt: skip
    found = em.fit(data, start, prior=Prior(sticky=0.0), stop=REFIT, reseed=False).chain
    made = found.emission["probs"][0].numpy().clip(SMALLEST)
    moves = found.A[0].numpy()
    return Target(moves, made / made.sum(axis=1, keepdims=True), stats.stationary(moves))

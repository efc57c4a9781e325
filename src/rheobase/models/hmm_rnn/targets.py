"""Chains that emit symbols: the families of Torre et al. (2025), drawn sequences, exact statistics.

The families are those of "Mechanistic Interpretability of RNNs emulating Hidden Markov Models",
arXiv 2510.25674: three symbols, uniform beginnings. What a chain says of pairs of symbols is exact;
nothing is estimated by drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from rheobase.models.hmm_rnn import checks, paths, stats

SWEEP = 0.05
"""Probability that a linear chain goes from end to end without a step back."""
SYMBOLS = 3
LENGTHS = {("linear", 2): 100, ("linear", 3): 30, ("linear", 4): 30, ("linear", 5): 40,
           ("full", 3): 30, ("cyclic", 4): 40}  # fmt: skip
"""Steps of a sequence in the paper, by family and K."""


@dataclass(frozen=True)
class Target:
    """A hidden Markov chain over symbols."""

    A: np.ndarray
    """(state, state)"""
    E: np.ndarray
    """(state, symbol)"""
    pi: np.ndarray
    """(state,)"""

    def __post_init__(self) -> None:
        K = len(self.A)
        if self.A.shape != (K, K) or self.pi.shape != (K,) or self.E.ndim != 2 or len(self.E) != K:
            raise ValueError(f"A is {self.A.shape}, E {self.E.shape}, pi {self.pi.shape}; give "
                             "(K, K), (K, O) and (K,)")  # fmt: skip
        checks.chain(self.A, self.pi)
        rows = np.abs(self.E.sum(axis=1) - 1)
        if self.E.min() < 0 or rows.max() > 1e-6:
            raise ValueError(f"row {int(rows.argmax())} of E is no distribution; normalise it")
        stuck = [k for k in range(K) if self.A[k, k] >= 1 or self.A[:, k].sum() <= self.A[k, k]]
        if stuck:
            raise ValueError(f"state {stuck[0]} is never left or never reached; leave it out")

    @property
    def states(self) -> int:
        return len(self.A)

    @property
    def symbols(self) -> int:
        return self.E.shape[1]

    @cached_property
    def stationary(self) -> np.ndarray:
        """Return the shares of states in the long run, (state,)."""
        return stats.stationary(self.A)

    def lag(self, steps: int, *, length: int | None = None) -> np.ndarray:
        """Return how often symbol j follows symbol i so many steps later, (symbol, symbol).

        ``J = E' diag(p) A^steps E`` with p the stationary shares; or, with the ``length`` of
        sequences that begin with ``pi``, the mean of p over all pairs that fit.
        """
        shares = self.stationary if length is None else self.occupied(length - steps)
        return self.E.T @ (shares[:, None] * np.linalg.matrix_power(self.A, steps)) @ self.E

    def occupied(self, length: int) -> np.ndarray:
        """Return the mean of ``pi A^t`` over the first steps, (state,)."""
        now, total = self.pi, np.zeros_like(self.pi)
        for _ in range(length):
            total = total + now
            now = now @ self.A
        return total / length

    def frequencies(self, *, length: int | None = None) -> np.ndarray:
        """Return the shares of symbols, (symbol,)."""
        return (self.stationary if length is None else self.occupied(length)) @ self.E

    @property
    def bigram(self) -> np.ndarray:
        """Return the probabilities of the next symbol, (symbol, symbol)."""
        joint = self.lag(1)
        return joint / joint.sum(axis=1, keepdims=True)

    @property
    def volatility(self) -> float:
        """Return the share of steps at which the symbol changes, ``1 - trace(J_1)``."""
        return float(1 - np.trace(self.lag(1)))

    def sample(
        self, count: int, length: int, *, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return symbols and states, (sequence, time) each."""
        where = {"dtype": torch.float64, "device": generator.device}
        A, pi, heap = (torch.tensor(a, **where) for a in (self.A, self.pi, self.E.cumsum(axis=1)))
        states = paths.sample(A, pi, length, count, generator=generator)
        uniform = torch.rand((*states.shape, 1), generator=generator, **where)
        symbols = (uniform > heap[states]).sum(-1).clamp(max=self.symbols - 1)
        return symbols, states


def linear(states: int) -> Target:
    """Return a chain whose states, in a row, go to their neighbours; 2 to 5 in the paper."""
    if states < 2:
        raise ValueError(f"a linear chain has 2 or more states, not {states}")
    q = SWEEP ** (1 / (states - 1))
    A = np.zeros((states, states))
    for i in range(states):
        for j in (i - 1, i + 1):
            if 0 <= j < states:
                A[i, j] = q
        A[i, i] = 1 - A[i].sum()
    if A.min() < 0:
        raise ValueError(f"a linear chain of {states} states would stay with probability "
                         f"{A.min():.3f}; take 5 or fewer")  # fmt: skip
    a = np.arange(states) / (states - 1)
    E = np.stack([0.99 * (1 - a), np.full(states, 0.01), 0.99 * a], axis=1)
    return Target(A, E, np.full(states, 1 / states))


def full(states: int = 3) -> Target:
    """Return a chain that goes anywhere (0.025 each), every state with its own symbol."""
    A = np.full((states, states), 0.025)
    np.fill_diagonal(A, 1 - 0.025 * (states - 1))
    E = np.full((states, states), 0.01)
    np.fill_diagonal(E, 1 - 0.01 * (states - 1))
    return Target(A, E, np.full(states, 1 / states))


def cyclic(states: int = 4) -> Target:
    """Return a ring, 0.025 to either neighbour; with four states, the paper's emissions.

    With other numbers (chosen here) state k prefers symbol ``k mod 3``, with 0.9, then the next.
    """
    if states < 3:
        raise ValueError(f"a ring has 3 or more states, not {states}")
    A = 0.95 * np.eye(states)
    E = np.zeros((states, SYMBOLS))
    for i in range(states):
        A[i, (i + 1) % states] = A[i, i - 1] = 0.025
        E[i, i % SYMBOLS], E[i, (i + 1) % SYMBOLS] = 0.9, 0.1
    if states == 4:
        E = np.array([[0.9, 0.1, 0], [0.1, 0.9, 0], [0, 0.1, 0.9], [0, 0.9, 0.1]])
    return Target(A, E, np.full(states, 1 / states))


def length(dwell_steps: float) -> int:
    """Return the length of sequences for states that last so long, 30 to 150 steps."""
    return int(np.clip(round(5 * dwell_steps), 30, 150))


def joint(symbols: Tensor, lags: Sequence[int], count: int) -> Tensor:
    """Return how often symbol j follows i after each lag in sequences, (lag, symbol, symbol)."""
    one = torch.nn.functional.one_hot(symbols, count).double()
    return torch.stack([
        torch.einsum("bti,btj->ij", one[:, :-lag], one[:, lag:]) / one[:, lag:, 0].numel()
        for lag in lags
    ])  # fmt: skip

"""The chain that is fitted to an emulator's symbols, beside the one that it was to emulate."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from rheobase.models.hmm_rnn.emulation import Scored, beside
from rheobase.models.hmm_rnn.hmm import CategoricalHMM
from rheobase.models.hmm_rnn.targets import Target


def refit(
    symbols: Tensor, target: Target, *, seed: int, restarts: int = 10, repeats: int = 3
) -> tuple[dict[str, Scored], np.ndarray, np.ndarray]:
    """Return errors of a chain with as many states fitted to sequences (sequence, time).

    ``transitions``, ``emissions``: the largest error of A and of E, beside fits to as many
    sequences of the chain itself; and A (state, state), E (state, symbol), states in the chain's
    order.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    A, E = fitted(symbols, target, seed=seed, restarts=restarts)
    null = []
    for _ in range(repeats):
        drawn = target.sample(*symbols.shape, generator=generator)[0]
        null.append(_errors(*fitted(drawn, target, seed=seed, restarts=restarts), target))
    return beside(_errors(A, E, target), null), A, E


def fitted(
    symbols: Tensor, target: Target, *, seed: int, restarts: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return A and E fitted to sequences, states in the order whose emissions are nearest."""
    count, length = symbols.shape
    model = CategoricalHMM(n_states=target.states, restarts=restarts, symbols=target.symbols)
    found = model.fit(symbols.reshape(-1, 1).cpu().numpy(), [length] * count, seed=seed)
    A = found.chain.A[0].cpu().numpy()
    E = found.chain.emission["probs"][0].cpu().numpy()
    apart = np.abs(target.E[:, None] - E[None]).sum(2)
    order = linear_sum_assignment(apart)[1]
    return A[np.ix_(order, order)], E[order]


def _errors(A: np.ndarray, E: np.ndarray, target: Target) -> dict[str, float]:
    return {
        "transitions": float(np.abs(A - target.A).max()),
        "emissions": float(np.abs(E - target.E).max()),
    }

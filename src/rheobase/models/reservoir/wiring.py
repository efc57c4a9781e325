"""The drawn weights: excitatory and inhibitory blocks under Dale's law, and the input weights.

All randomness comes from one PCG64 generator, in the order excitatory block, inhibitory block,
input. Each block is scaled so that its rows sum to 1 on average: before ``balance`` takes
inhibition away or adds to it, the network is exactly balanced.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from rheobase.models.reservoir.settings import Network


@dataclass(frozen=True, eq=False)
class Weights:
    """One drawn reservoir, float64; all weights of both blocks are at least 0."""

    exc: csr_array
    """(unit, unit), columns of excitatory units only."""
    inh: csr_array
    """(unit, unit), columns of inhibitory units only, at balance 0."""
    inputs: np.ndarray
    """(unit, channel), of unit width: uniform on (-1/2, 1/2)."""
    n_exc: int

    @property
    def presence(self) -> csr_array:
        """Return 1 where there is an inhibitory synapse, the M of the adaptation."""
        return csr_array(
            (np.ones_like(self.inh.data), self.inh.indices, self.inh.indptr), shape=self.inh.shape
        )


def build(network: Network, *, seed: int, channels: int) -> Weights:
    """Return the weights of a reservoir for inputs of so many channels.

    Mean weights are ``1 / (degree frac_exc)`` and ``1 / (degree (1 - frac_exc))``, normal with
    ``weight_cv`` and taken as absolute values. Raises ``ValueError`` where a block stays empty.
    """
    if channels < 1:
        raise ValueError(f"reservoir: the input has {channels} channels; it needs 1 or more")
    generator = np.random.Generator(np.random.PCG64(seed))
    n, n_exc, k = network.n_units, network.n_exc, network.degree
    means = 1 / (k * network.frac_exc), 1 / (k * (1 - network.frac_exc))
    if network.topology == "er":
        blocks = [
            _by_chance(generator, (n, units), k / n, mean, network.weight_cv)
            for units, mean in zip((n_exc, n - n_exc), means, strict=True)
        ]
    else:
        blocks = _fixed(generator, network, means)
    exc, inh = (_widened(block, first, n) for block, first in zip(blocks, (0, n_exc), strict=True))
    chosen = generator.choice(n, round(network.frac_input * n), replace=False)
    inputs = np.zeros((n, channels))
    inputs[chosen] = generator.uniform(-0.5, 0.5, (len(chosen), channels))
    return Weights(exc, inh, inputs, n_exc)


def balanced_rows(weights: Weights, inhibition: csr_array) -> np.ndarray:
    """Return ``b_i``, excitation less inhibition summed over the inputs of each unit, (unit,)."""
    return np.asarray(weights.exc.sum(axis=1) - inhibition.sum(axis=1)).ravel()


def effective_radius(weights: Weights, inhibition: csr_array, gain: float) -> float:
    """Return ``gain / 4`` times the spectral radius of the random part of the coupling.

    Random part: ``A_E - A_I`` less its mean over excitatory and over inhibitory columns. Above 1
    the reservoir is unstable at the steepest point of the sigmoid.
    """
    matrix = (weights.exc - inhibition).toarray()
    matrix[:, : weights.n_exc] -= matrix[:, : weights.n_exc].mean()
    matrix[:, weights.n_exc :] -= matrix[:, weights.n_exc :].mean()
    return float(gain / 4 * np.abs(np.linalg.eigvals(matrix)).max())


def _by_chance(
    generator: np.random.Generator, shape: tuple[int, int], share: float, mean: float, cv: float
) -> csr_array:
    mask = generator.random(shape) < share
    weights = np.abs(generator.normal(mean, cv * mean, shape))
    return csr_array(mask * weights)


def _fixed(
    generator: np.random.Generator, network: Network, means: tuple[float, float]
) -> list[csr_array]:
    """Return blocks in which every row has the same number of entries."""
    n, units = network.n_units, (network.n_exc, network.n_units - network.n_exc)
    from_exc = round(network.degree * network.frac_exc)
    counts = from_exc, network.degree - from_exc
    columns: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    values: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for _ in range(n):
        for kind, mean in enumerate(means):
            columns[kind].append(generator.choice(units[kind], counts[kind], replace=False))
            drawn = generator.normal(mean, network.weight_cv * mean, counts[kind])
            values[kind].append(np.abs(drawn))
    return [
        csr_array((np.concatenate(values[i]), (np.repeat(np.arange(n), counts[i]),
                   np.concatenate(columns[i]))), shape=(n, units[i]))
        for i in (0, 1)
    ]  # fmt: skip


def _widened(block: csr_array, first: int, n: int) -> csr_array:
    """Return the block in its columns of the whole matrix, its rows summing to 1 on average."""
    total = block.sum() / n
    if total == 0:
        raise ValueError(
            "reservoir: no unit got a synapse from one of the two populations; raise degree or "
            "n_units"
        )
    block.sort_indices()
    columns, rows = (index.astype(np.int32) for index in (block.indices + first, block.indptr))
    return csr_array((block.data / total, columns, rows), shape=(n, n))

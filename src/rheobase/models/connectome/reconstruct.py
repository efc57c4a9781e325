"""How well patterns explain recordings they were not fitted to.

The neurons are cut into random halves. How strongly each pattern is present in a bin is estimated
from the pairs inside one half; scored are the pairs inside the other. Explained is
``1 - ||X - Xhat||^2 / ||X||^2`` over all scored pairs, bins and halves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rheobase.models.connectome.affinities import Affinities
from rheobase.models.connectome.holdout import restricted
from rheobase.models.connectome.project import project, projection_error

LEAST_NEURONS = 4


@dataclass(frozen=True)
class Patterns:
    """Patterns (component, pair) whose weights are estimated anew in every bin."""

    patterns: Tensor
    mean: Tensor | None = None
    """(pair,): then the weights of the patterns may be negative, and the mean has weight 1"""

    def of(self, chosen: Tensor, neurons: int) -> Patterns:
        """Return the patterns of some neurons, given in rising order."""
        mean = None if self.mean is None else restricted(self.mean[None], chosen, neurons)[0]
        return Patterns(restricted(self.patterns, chosen, neurons), mean)

    def weights(self, tensor: Affinities) -> Tensor:
        """Return how strongly each pattern is present in each column, (component, column)."""
        if self.mean is None:
            return project(tensor, self.patterns)
        gram = self.patterns @ self.patterns.T
        wanted = tensor.column_products(self.patterns.to(tensor.dtype)).double()
        wanted = wanted - (self.patterns @ self.mean)[:, None]
        ridge = 1e-9 * gram.trace() * torch.eye(len(gram), dtype=gram.dtype)
        return torch.linalg.solve(gram + ridge, wanted)

    def error(self, tensor: Affinities, weights: Tensor) -> float:
        """Return the relative error with these weights."""
        if self.mean is None:
            return projection_error(tensor, self.patterns, weights)
        whole = torch.cat([self.mean[None], self.patterns])
        ones = torch.ones(1, weights.shape[1], dtype=weights.dtype)
        return projection_error(tensor, whole, torch.cat([ones, weights]))


@dataclass
class Tally:
    """Squares of what is left and of what there was."""

    left: float = 0.0
    whole: float = 0.0

    @property
    def explained(self) -> float:
        return 1 - self.left / self.whole if self.whole > 0 else float("nan")


def tallies(
    tensors: Sequence[tuple[Affinities, Tensor]], methods: Mapping[str, Patterns], *, neurons: int,
    halves: int, generator: np.random.Generator,
) -> dict[str, Tally]:  # fmt: skip
    """Return what each method leaves unexplained of several recordings.

    Each recording is a tensor of one animal and the places of its neurons among all ``neurons``
    of the patterns, rising. All methods see the same halves.
    """
    made = {name: Tally() for name in methods}
    for tensor, chosen in tensors:
        own = {name: one.of(chosen, neurons) for name, one in methods.items()}
        count = tensor.layout.neurons
        for _ in range(halves):
            order = torch.from_numpy(generator.permutation(count))
            for seen, scored in _both(order):
                part = tensor.select(neurons=scored)
                whole = float(part.column_norms().sum())
                for name, one in own.items():
                    weights = one.of(seen, count).weights(tensor.select(neurons=seen))
                    error = one.of(scored, count).error(part, weights) if whole > 0 else 0.0
                    made[name].left += error**2 * whole
                    made[name].whole += whole
    return made


def _both(order: Tensor) -> list[tuple[Tensor, Tensor]]:
    first, second = (x.sort().values for x in order.tensor_split(2))
    return [(first, second), (second, first)]

"""The shape of an affinity tensor, and which of its entries were observed.

Pairs are the upper triangle row by row, as ``numpy.triu_indices(N, 1)``. Columns are the time bins
of all animals, animal by animal: column ``s T + t``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """Numbers of neurons N, animals S and time bins T."""

    neurons: int
    animals: int
    bins: int

    @property
    def pairs(self) -> int:
        return self.neurons * (self.neurons - 1) // 2

    @property
    def columns(self) -> int:
        return self.animals * self.bins


@dataclass(frozen=True)
class Mask:
    """What was observed: neuron i in animal s, and bin t of animal s."""

    presence: Tensor | None = None
    """(neuron, animal) bool; None: all"""
    frames: Tensor | None = None
    """(animal, bin) bool; None: all"""

    @property
    def complete(self) -> bool:
        return self.presence is None and self.frames is None

    @cached_property
    def indices(self) -> Tensor:
        """Neurons of each pair, (2, pair)."""
        assert self.presence is not None
        return pair_indices(len(self.presence), self.presence.device)

    def pairs(self, part: slice = slice(None)) -> Tensor:
        """Return in which animals each of these pairs was observed, (animal, pair) bool."""
        assert self.presence is not None
        first, second = self.indices[:, part]
        return (self.presence[first] & self.presence[second]).T


def pair_indices(neurons: int, device: torch.device | str) -> Tensor:
    """Return the first and second neuron of each pair, (2, pair)."""
    return torch.triu_indices(neurons, neurons, 1, device=device)


def check_mask(layout: Layout, presence: Tensor | None, frames: Tensor | None) -> Mask:
    """Return the mask, None where all was observed.

    Raises ``ValueError`` for wrong shapes and for an animal that shares fewer than two neurons
    with any other one: its pairs say nothing of theirs.
    """
    for name, given, shape in (
        ("presence", presence, (layout.neurons, layout.animals)),
        ("frames", frames, (layout.animals, layout.bins)),
    ):
        if given is not None and (tuple(given.shape) != shape or given.dtype != torch.bool):
            raise ValueError(
                f"{name} must be bool of shape {shape}; it is {given.dtype} {tuple(given.shape)}"
            )
    if presence is not None and layout.animals > 1:
        _check_shared(presence)
    if presence is not None and bool(presence.all()):
        presence = None
    if frames is not None and bool(frames.all()):
        frames = None
    return Mask(presence, frames)


def _check_shared(presence: Tensor) -> None:
    shared = presence.double().T @ presence.double()
    shared.fill_diagonal_(0)
    alone = torch.nonzero(shared.amax(1) < 2).ravel().tolist()
    if alone:
        raise ValueError(
            f"animal {', '.join(map(str, alone))} shares fewer than two neurons with any other; "
            "leave it out or name its neurons as the others'"
        )

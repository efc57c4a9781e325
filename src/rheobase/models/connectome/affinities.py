"""The affinity tensor as the factorisation sees it: two products with it, and its norm.

X is (pair, column); it need not exist anywhere. ``affinities`` chooses how it is kept.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from rheobase.models.connectome.explicit import ExplicitAffinities, Source, free_bytes
from rheobase.models.connectome.implicit import ImplicitAffinities
from rheobase.models.connectome.kernels import DriveSource
from rheobase.models.connectome.layout import Layout, Mask

PATHS = ("auto", "implicit", "explicit")
EXPLICIT_SHARE = 0.25


class Affinities(Protocol):
    """X with zeros where nothing was observed."""

    @property
    def layout(self) -> Layout: ...
    @property
    def mask(self) -> Mask: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def dtype(self) -> torch.dtype: ...

    def pair_products(self, weights: Tensor) -> Tensor:
        """Return ``weights X^T``, (k, pair), for weights (k, column)."""
        ...

    def column_products(self, patterns: Tensor) -> Tensor:
        """Return ``patterns X``, (k, column), for patterns (k, pair)."""
        ...

    def column_norms(self) -> Tensor:
        """Return the squared norm of every column, (column,) float64."""
        ...

    def values(self, first: Tensor, second: Tensor, columns: slice) -> Tensor:
        """Return X at pairs of neurons first < second, (pair, column)."""
        ...

    def select(self, *, neurons: Tensor | None = None, columns: Tensor | None = None) -> Affinities:
        """Return the tensor of some neurons and, for one animal, of some columns."""
        ...

    def hide(self, presence: Tensor) -> Affinities:
        """Return the tensor with only these (neuron, animal) observed."""
        ...


def affinities(source: Source, *, path: str = "auto", max_bytes: int | None = None) -> Affinities:
    """Return the tensor of a source, never built where the kernel has a rank form.

    ``path``: ``auto`` is ``implicit`` where possible, else ``explicit``: the packed upper triangle,
    kept in memory up to ``max_bytes`` (default: a quarter of what is free) and above that made
    anew for every pass, some columns at a time.
    """
    if path not in PATHS:
        raise ValueError(f"path is {path!r}; it must be one of {', '.join(PATHS)}")
    if path != "explicit" and isinstance(source, DriveSource) and source.has_rank_form:
        return ImplicitAffinities(source)
    if path == "implicit":
        raise ValueError("this kernel has no rank form; use path explicit")
    limit = int(EXPLICIT_SHARE * free_bytes(source.device)) if max_bytes is None else max_bytes
    return ExplicitAffinities(source, limit)

"""Many models of one series, side by side: their parameters, the data laid out, one expectation.

Models are restarts, or restarts of folds; all have K states and the same data, and each counts its
own segments (``weights``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from rheobase.models.hmm_rnn.chunks import Chunks, cut
from rheobase.models.hmm_rnn.emissions import Emission, Params
from rheobase.models.hmm_rnn.scan import Smoothed, Workspace, smooth

FEATURE_BYTES = 4 << 30
"""Most memory for features."""


@dataclass(frozen=True)
class Chain:
    """Parameters of models: ``pi`` (model, K), ``A`` (model, K, K), ``emission`` by name."""

    pi: Tensor
    A: Tensor
    emission: Params

    def take(self, models: Tensor | slice | list[int]) -> Chain:
        """Return the models of these numbers."""
        return Chain(
            self.pi[models], self.A[models], {k: v[models] for k, v in self.emission.items()}
        )

    def states(self, order: Sequence[int] | np.ndarray) -> Chain:
        """Return the chain with its states in another order."""
        at = torch.as_tensor(np.asarray(order), device=self.A.device)
        return Chain(
            self.pi[:, at], self.A[:, at][:, :, at], {k: v[:, at] for k, v in self.emission.items()}
        )


def join(chains: Sequence[Chain]) -> Chain:
    """Return the models of all chains, one after the other."""
    names = chains[0].emission
    return Chain(
        torch.cat([c.pi for c in chains]), torch.cat([c.A for c in chains]),
        {name: torch.cat([c.emission[name] for c in chains]) for name in names},
    )  # fmt: skip


@dataclass
class Data:
    """Features of a series, laid out for the scan."""

    emission: Emission
    chunks: Chunks
    phi: Tensor
    """(step, feature, chunk)"""
    lengths: tuple[int, ...]
    workspace: Workspace = field(default_factory=Workspace)

    @property
    def dtype(self) -> torch.dtype:
        return self.phi.dtype


def lay_out(
    x: Tensor, lengths: Sequence[int], emission: Emission, *,
    precision: Literal["exact", "fast"] = "exact", chunk: int | Literal["auto"] = "auto",
    models: int = 1,
) -> Data:  # fmt: skip
    """Return the features of a series (time, channel); ``fast`` keeps them in float32."""
    dtype = torch.float64 if precision == "exact" else torch.float32
    needed = len(x) * emission.columns * (8 if precision == "exact" else 4)
    if needed > FEATURE_BYTES:
        raise ValueError(
            f"{emission.columns} features of {len(x)} samples need {needed / 2**30:.1f} GB, limit "
            f"{FEATURE_BYTES / 2**30:.0f} GB; use fewer channels, or variances only (diag)"
        )
    chunks = cut(lengths, chunk=chunk, models=models, device=x.device.type)
    base = chunks.lay(emission.base(x.double(), lengths).to(dtype))
    return Data(emission, chunks, emission.features(base), tuple(lengths))


def expect(data: Data, chain: Chain, weights: Tensor | None = None) -> tuple[Smoothed, Tensor]:
    """Return smoothed states and log-likelihoods (model, segment) of the series."""
    models, states = chain.pi.shape
    theta = data.emission.theta(chain.emission).flatten(0, 1).to(data.dtype)
    steps, _, count = data.phi.shape
    logb = data.workspace.take("logb", (steps, models * states, count), data.phi)
    for features, out in zip(data.phi.unbind(), logb.unbind(), strict=True):
        torch.mm(theta, features, out=out)
    found = smooth(logb.view(steps, models, states, count), chain.A, chain.pi, data.chunks,
                   weights=weights, workspace=data.workspace)  # fmt: skip
    return found, found.loglik(data.chunks)


def sums(data: Data, gamma: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return weighted sums of the features, (model, state, feature) float64."""
    _, models, states, _ = gamma.shape
    if weights is not None:
        gamma = gamma.mul_(weights[None, :, None].to(gamma.dtype))
    total = data.phi.new_zeros((models * states, data.phi.shape[1]))
    if data.dtype == torch.float64:
        for g, phi in zip(gamma.flatten(1, 2).unbind(), data.phi.mT.unbind(), strict=True):
            total.addmm_(g, phi)
    else:
        total, part = total.double(), torch.empty_like(total)
        for g, phi in zip(gamma.flatten(1, 2).unbind(), data.phi.mT.unbind(), strict=True):
            total += torch.mm(g, phi, out=part)
    return total.view(models, states, -1)

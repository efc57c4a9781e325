"""What states emit, Gaussians or symbols; here as in ``autoregressive`` linear in features.

The log-likelihood of sample t in state k of model r is ``Phi[t] . theta[r, k]``, with features Phi
that are computed once: so all states of all models are one product of matrices, and so are the sums
of an M-step, ``sum_t gamma[t, k] Phi[t]``. Parameters are (model, state, ...), float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from rheobase.models.hmm_rnn.quadratic import form, inverse, matrix, outer, pairs

Cov = Literal["full", "diag", "tied", "spherical", "zero-mean-full"]
COVS = ("full", "diag", "tied", "spherical", "zero-mean-full")
LOG_2PI = float(np.log(2 * np.pi))
EMPTY = 1e-10
"""Weight below which a state has no samples."""
FLOOR = 1e-12
"""Smallest probability of a symbol."""

Params = dict[str, Tensor]


class Emission(Protocol):
    """One family of emissions."""

    @property
    def dimensions(self) -> int:
        """Return the channels of a sample."""
        ...

    @property
    def columns(self) -> int:
        """Return the features of a sample."""
        ...

    @property
    def size(self) -> int:
        """Return the free numbers of a state."""
        ...

    def base(self, x: Tensor, lengths: Sequence[int]) -> Tensor:
        """Return what features are made of, (time, column) float64."""
        ...

    def features(self, base: Tensor) -> Tensor:
        """Return Phi, (step, feature, chunk), of ``base`` laid out, (step, column, chunk)."""
        ...

    def theta(self, params: Params) -> Tensor:
        """Return the weights of the features, (model, state, feature)."""
        ...

    def update(self, sums: Tensor) -> Params:
        """Return the parameters that maximise likelihood and prior, from weighted sums of Phi."""
        ...

    def log_prior(self, params: Params) -> Tensor:
        """Return what the prior adds to the log-likelihood, (model,)."""
        ...

    def sample(self, params: Params, states: Tensor, generator: torch.Generator) -> Tensor:
        """Return one sample a row of ``states`` (sequence, time), of the first model."""
        ...


@dataclass(frozen=True)
class Gaussian:
    """Gaussian states. ``covs`` is (model, state, D, D), or (model, state, D) for variances.

    The prior of a covariance: ``nu`` samples of covariance ``pooled``, (D,) on the diagonal.
    """

    dimensions: int
    cov: Cov
    nu: float
    pooled: Tensor

    @property
    def full(self) -> bool:
        return self.cov in ("full", "tied", "zero-mean-full")

    @property
    def centred(self) -> bool:
        return self.cov == "zero-mean-full"

    @property
    def columns(self) -> int:
        d = self.dimensions
        return (d * (d + 1) // 2 if self.full else d) + (0 if self.centred else d) + 1

    @property
    def size(self) -> int:
        d = self.dimensions
        spread = {"diag": d, "spherical": 1, "tied": 0}.get(self.cov, d * (d + 1) // 2)
        return spread + (0 if self.centred else d)

    def base(self, x: Tensor, lengths: Sequence[int]) -> Tensor:
        return torch.cat([x, torch.ones_like(x[:, :1])], 1)

    def features(self, base: Tensor) -> Tensor:
        x, phi = base[:, :-1], base.new_empty((len(base), self.columns, base.shape[2]))
        kept = 1 if self.centred else base.shape[1]
        phi[:, -kept:] = base[:, -kept:]
        if self.full:
            pairs(x, phi[:, :-kept])
        else:
            torch.mul(x, x, out=phi[:, :-kept])
        return phi

    def theta(self, params: Params) -> Tensor:
        means, covs = params["means"], params["covs"]
        if self.full:
            precision, logdet = inverse(covs)
            quadratic, linear = form(-precision / 2), (precision @ means[..., None]).squeeze(-1)
        else:
            quadratic, linear, logdet = -0.5 / covs, means / covs, covs.log().sum(-1)
        constant = -0.5 * ((linear * means).sum(-1) + logdet + self.dimensions * LOG_2PI)
        parts = [quadratic, *([] if self.centred else [linear]), constant[..., None]]
        return torch.cat(parts, -1)

    def update(self, sums: Tensor) -> Params:
        d, weight = self.dimensions, sums[..., -1]
        at = sums.shape[-1] - 1 - (0 if self.centred else d)
        safe = weight.clamp(min=EMPTY)[..., None]
        first = torch.zeros_like(sums[..., :d]) if self.centred else sums[..., at:-1]
        means = first / safe
        if self.full:
            scatter = matrix(sums[..., :at], d) - weight[..., None, None] * outer(means)
            prior = self.nu * torch.diag(self.pooled.to(sums))
        else:
            scatter = sums[..., :at] - weight[..., None] * means**2
            prior = self.nu * self.pooled.to(sums)
        if self.cov == "tied":
            scatter, weight = (a.sum(1, keepdim=True).expand_as(a) for a in (scatter, weight))
        if self.cov == "spherical":
            scatter, prior = (a.mean(-1, keepdim=True).expand_as(a) for a in (scatter, prior))
        total = (
            (weight + self.nu).clamp(min=EMPTY).reshape(*weight.shape, *[1] * (scatter.ndim - 2))
        )
        return {"means": means, "covs": (scatter + prior) / total}

    def log_prior(self, params: Params) -> Tensor:
        covs = params["covs"][:, :1] if self.cov == "tied" else params["covs"]
        if self.nu == 0:
            return torch.zeros(len(covs), dtype=covs.dtype, device=covs.device)
        if self.full:
            precision, logdet = inverse(covs)
            trace = (precision.diagonal(dim1=-2, dim2=-1) * self.pooled.to(precision)).sum(-1)
        else:
            prior = self.pooled.to(covs)
            if self.cov == "spherical":
                prior = prior.mean().expand_as(prior)
            logdet, trace = covs.log().sum(-1), (prior / covs).sum(-1)
        return -0.5 * self.nu * (logdet + trace).sum(-1)

    def sample(self, params: Params, states: Tensor, generator: torch.Generator) -> Tensor:
        means, roots = params["means"][0], self._roots(params)
        noise = torch.randn((*states.shape, self.dimensions), generator=generator,
                            dtype=means.dtype, device=means.device)  # fmt: skip
        return means[states] + torch.einsum("...ij,...j->...i", roots[states], noise)

    def _roots(self, params: Params) -> Tensor:
        covs = params["covs"][0]
        return torch.linalg.cholesky(covs if self.full else torch.diag_embed(covs))


@dataclass(frozen=True)
class Categorical:
    """States that emit symbols 0..O-1, ``probs`` (model, state, O); x is (time, 1)."""

    symbols: int
    prior: float
    """Symbols of each kind that every state is taken to have emitted before."""

    @property
    def dimensions(self) -> int:
        return 1

    @property
    def columns(self) -> int:
        return self.symbols

    @property
    def size(self) -> int:
        return self.symbols - 1

    def base(self, x: Tensor, lengths: Sequence[int]) -> Tensor:
        return torch.nn.functional.one_hot(x[:, 0].long(), self.symbols).double()

    def features(self, base: Tensor) -> Tensor:
        return base

    def theta(self, params: Params) -> Tensor:
        return params["probs"].clamp(min=FLOOR).log()

    def update(self, sums: Tensor) -> Params:
        counts = (sums + self.prior).clamp(min=EMPTY / self.symbols)
        return {"probs": counts / counts.sum(-1, keepdim=True)}

    def log_prior(self, params: Params) -> Tensor:
        return self.prior * params["probs"].clamp(min=FLOOR).log().sum((-1, -2))

    def sample(self, params: Params, states: Tensor, generator: torch.Generator) -> Tensor:
        rows = params["probs"][0][states.flatten()]
        drawn = torch.multinomial(rows, 1, generator=generator)
        return drawn.view(*states.shape, 1).double()


def spans(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Return where each segment begins and ends."""
    ends = np.cumsum(lengths).tolist()
    return list(zip([0, *ends[:-1]], ends, strict=True))

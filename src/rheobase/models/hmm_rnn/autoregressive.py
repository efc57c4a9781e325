"""States with their own dynamics; quadratic in a sample and those before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rheobase.models.hmm_rnn.emissions import EMPTY, LOG_2PI, Params, spans
from rheobase.models.hmm_rnn.quadratic import form, inverse, matrix, pairs


@dataclass(frozen=True)
class Autoregressive:
    """States with their own dynamics, ``x[t] = W_k [x[t-1], ..., x[t-p], 1] + e``, e ~ N(0, S_k).

    ``coefs`` (model, state, D, p D + 1), ``covs`` (model, state, D, D). The first p samples of a
    segment have no likelihood. The ridge is one fixed number of the data, so that it is a prior and
    the objective never falls.
    """

    dimensions: int
    order: int
    nu: float
    pooled: Tensor
    ridge: float

    @property
    def regressors(self) -> int:
        return self.order * self.dimensions + 1

    @property
    def columns(self) -> int:
        wide = self.dimensions + self.regressors
        return wide * (wide + 1) // 2

    @property
    def size(self) -> int:
        d = self.dimensions
        return d * self.regressors + d * (d + 1) // 2

    def base(self, x: Tensor, lengths: Sequence[int]) -> Tensor:
        wide = torch.zeros((len(x), self.dimensions + self.regressors), dtype=x.dtype,
                           device=x.device)  # fmt: skip
        for begin, end in spans(lengths):
            part = x[begin:end]
            known = len(part) - self.order
            if known > 0:
                lags = [part[self.order - lag :][:known] for lag in range(self.order + 1)]
                wide[begin + self.order : end] = torch.cat(
                    [*lags, torch.ones_like(lags[0][:, :1])], 1
                )
        return wide

    def features(self, base: Tensor) -> Tensor:
        phi = base.new_empty((len(base), self.columns, base.shape[2]))
        pairs(base, phi)
        return phi

    def theta(self, params: Params) -> Tensor:
        coefs, (precision, logdet) = params["coefs"], inverse(params["covs"])
        eye = torch.eye(self.dimensions, dtype=coefs.dtype, device=coefs.device)
        residual = torch.cat([eye.expand_as(params["covs"]), -coefs], -1)
        weights = form(-0.5 * residual.mT @ precision @ residual)
        weights[..., -1] -= 0.5 * (logdet + self.dimensions * LOG_2PI)
        return weights

    def update(self, sums: Tensor) -> Params:
        d, weight = self.dimensions, sums[..., -1]
        moments = matrix(sums, d + self.regressors)
        eye = torch.eye(self.regressors, dtype=sums.dtype, device=sums.device)
        inner = moments[..., d:, d:] + max(self.ridge, EMPTY) * eye
        coefs = torch.linalg.solve(inner, moments[..., d:, :d]).mT
        scatter = moments[..., :d, :d] - coefs @ moments[..., d:, :d]
        covs = (scatter + scatter.mT) / 2 + self.nu * torch.diag(self.pooled.to(sums))
        return {"coefs": coefs, "covs": covs / (weight + self.nu).clamp(min=EMPTY)[..., None, None]}

    def log_prior(self, params: Params) -> Tensor:
        coefs, (precision, logdet) = params["coefs"], inverse(params["covs"])
        known = (precision.diagonal(dim1=-2, dim2=-1) * self.pooled.to(precision)).sum(-1)
        steep = torch.einsum("...ij,...jk,...ik->...", precision, coefs, coefs)
        return -0.5 * (self.nu * (logdet + known) + self.ridge * steep).sum(-1)

    def sample(self, params: Params, states: Tensor, generator: torch.Generator) -> Tensor:
        coefs, roots = params["coefs"][0], torch.linalg.cholesky(params["covs"][0])
        count, length = states.shape
        noise = torch.randn((count, length, self.dimensions), generator=generator,
                            dtype=coefs.dtype, device=coefs.device)  # fmt: skip
        past = torch.zeros((count, self.order, self.dimensions), dtype=coefs.dtype,
                           device=coefs.device)  # fmt: skip
        out = torch.empty_like(noise)
        for t in range(length):
            given = torch.cat([past.flatten(1), torch.ones_like(past[:, 0, :1])], 1)
            k = states[:, t]
            out[:, t] = torch.einsum("bij,bj->bi", coefs[k], given)
            out[:, t] += torch.einsum("bij,bj->bi", roots[k], noise[:, t])
            past = torch.cat([out[:, t : t + 1], past[:, :-1]], 1)
        return out

"""Rivals without states that last: one Gaussian, a mixture, k-means, a vector autoregression.

All are fitted to the same samples (time, component) as the states, with the same prior of
covariances: ``nu`` samples of the pooled variances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rheobase.models.hmm_rnn.autoregressive import Autoregressive
from rheobase.models.hmm_rnn.batch import Chain
from rheobase.models.hmm_rnn.emissions import LOG_2PI, spans
from rheobase.models.hmm_rnn.settings import Prior

if TYPE_CHECKING:
    import xarray as xr

ROWS = 50_000
"""Samples that mixture and k-means are fitted to, at most, evenly spread (chosen here)."""
STARTS = 3
"""Most starts of the mixture (chosen here)."""
FIRM = 1e10
"""Weight of a mean of zero, where states have none."""


@dataclass(frozen=True)
class Gaussian:
    """``x ~ N(mean, cov)``."""

    mean: np.ndarray
    cov: np.ndarray

    def loglik(self, x: np.ndarray) -> np.ndarray:
        """Return the log-likelihood of each sample, (time,)."""
        return normal(x - self.mean, self.cov)


@dataclass(frozen=True)
class Linear:
    """``x[t] = coefs [x[t-1], ..., x[t-p], 1] + e``; first samples by one Gaussian."""

    coefs: np.ndarray
    """(component, p component + 1)"""
    cov: np.ndarray
    order: int
    first: Gaussian

    def loglik(self, x: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
        """Return the log-likelihood of each sample given those before it, (time,)."""
        out = self.first.loglik(x)
        for begin, end in spans(lengths):
            now, past = lagged(x[begin:end], self.order)
            out[begin + self.order : end] = normal(now - past @ self.coefs.T, self.cov)
        return out


def normal(away: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Return log-likelihoods of deviations (time, component)."""
    root = np.linalg.cholesky(cov)
    white = np.linalg.solve(root, away.T)
    logdet = 2 * np.log(np.diagonal(root)).sum()
    return -0.5 * ((white**2).sum(axis=0) + logdet + len(cov) * LOG_2PI)


def lagged(part: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Return samples from ``order`` on, and what came before each with a 1, newest first."""
    known = len(part) - order
    lags = [part[order - lag :][:known] for lag in range(1, order + 1)]
    return part[order:], np.concatenate([*lags, np.ones((known, 1))], axis=1)


def one_gaussian(x: np.ndarray, *, nu: float, centred: bool) -> Gaussian:
    """Return one Gaussian; ``centred`` without a mean."""
    mean = np.zeros(x.shape[1]) if centred else x.mean(axis=0)
    away = x - mean
    pooled = np.diag((away**2).mean(axis=0))
    return Gaussian(mean, (away.T @ away + nu * pooled) / (len(x) + nu))


def linear(
    x: np.ndarray, lengths: Sequence[int], *, order: int, prior: Prior, first: Gaussian
) -> Linear:
    """Return the vector autoregression: the autoregressive states' M-step with a single state."""
    d = x.shape[1]
    moments = np.zeros((d * (order + 1) + 1,) * 2)
    for begin, end in spans(lengths):
        if end - begin > order:
            wide = np.concatenate(lagged(x[begin:end], order), axis=1)
            moments += wide.T @ wide
    nu = float(d + 2 if prior.covariance is None else prior.covariance)
    ridge = prior.ridge * float((x**2).sum()) / d
    emission = Autoregressive(d, order, nu, torch.as_tensor(x.var(axis=0)), ridge)
    upper = np.triu_indices(len(moments))
    found = emission.update(torch.as_tensor(moments[upper])[None, None])
    coefs, cov = (found[name][0, 0].numpy() for name in ("coefs", "covs"))
    return Linear(coefs, cov, order, first)


def thinned(x: np.ndarray) -> np.ndarray:
    """Return at most ``ROWS`` samples, evenly spread."""
    return x[:: -(-len(x) // ROWS)]


def mixture(x: np.ndarray, *, states: int, cov: str, prior: Prior, starts: int, seed: int) -> Chain:
    """Return a Gaussian mixture as a chain that forgets at once: every row of A the weights.

    scikit-learn's variational mixture, for its prior of covariances.
    """
    from sklearn.mixture import BayesianGaussianMixture

    rows, d = thinned(x), x.shape[1]
    centred = cov == "zero-mean-full"
    shape = "full" if centred else cov
    nu = float(d + 2 if prior.covariance is None else max(prior.covariance, d + 1e-3))
    variances = (rows**2).mean(axis=0) if centred else rows.var(axis=0)
    pooled: Any = {"full": np.diag(nu * variances), "tied": np.diag(nu * variances),
                   "diag": nu * variances, "spherical": nu * variances.mean()}[shape]  # fmt: skip
    fitted = BayesianGaussianMixture(
        n_components=states, covariance_type=shape, n_init=min(starts, STARTS), max_iter=200,
        tol=1e-4,
        weight_concentration_prior_type="dirichlet_distribution", random_state=seed,
        mean_prior=np.zeros(d) if centred else rows.mean(axis=0), covariance_prior=pooled,
        mean_precision_prior=FIRM if centred else 1e-3, degrees_of_freedom_prior=nu,
    )  # fmt: skip
    _quietly(fitted, rows)
    weights = torch.as_tensor(fitted.weights_ / fitted.weights_.sum())[None]
    found = np.asarray(fitted.covariances_)
    covs = {"tied": lambda: np.repeat(found[None], states, axis=0),
            "spherical": lambda: np.repeat(found[:, None], d, axis=1)}.get(
                shape, lambda: found)()  # fmt: skip
    means = np.zeros_like(fitted.means_) if centred else fitted.means_
    emission = {"means": torch.as_tensor(means)[None], "covs": torch.as_tensor(covs)[None]}
    return Chain(weights, weights[:, None].repeat(1, states, 1), emission)


def _quietly(fitted: Any, rows: np.ndarray) -> None:
    """Fit; that it stops at the last iteration is said by no warning, the rival counts as it is."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted.fit(rows)


def kmeans(x: np.ndarray, *, states: int, starts: int, seed: int) -> np.ndarray:
    """Return the centres of k-means, (state, component)."""
    from sklearn.cluster import KMeans

    rows = thinned(x)
    return KMeans(states, n_init=starts, random_state=seed).fit(rows).cluster_centers_  # pyright: ignore[reportArgumentType]


def nearest(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the nearest centre of each sample, (time,)."""
    return ((centres**2).sum(axis=1) - 2 * x @ centres.T).argmin(axis=1)


def pack_linear(made: Linear) -> dict[str, Any]:
    """Return the autoregression and the Gaussian as named arrays."""
    of = "rival/one_gaussian", "rival/var"
    return {
        f"{of[0]}_mean": ("component", made.first.mean),
        f"{of[0]}_cov": (("component", "component_to"), made.first.cov),
        f"{of[1]}_coefs": (("component", "past"), made.coefs),
        f"{of[1]}_cov": (("component", "component_to"), made.cov),
        f"{of[1]}_order": ((), np.int64(made.order)),
    }


def unpack_linear(arrays: xr.Dataset) -> Linear:
    """Return what ``pack_linear`` stored."""
    first = Gaussian(arrays["rival/one_gaussian_mean"].values,
                     arrays["rival/one_gaussian_cov"].values)  # fmt: skip
    return Linear(arrays["rival/var_coefs"].values, arrays["rival/var_cov"].values,
                  int(arrays["rival/var_order"]), first)  # fmt: skip


def of_mixture(x: np.ndarray, chain: Chain) -> np.ndarray:
    """Return log weight and log-likelihood of each sample in each state, (time, state)."""
    weights, means = chain.pi[0].numpy(), chain.emission["means"][0].numpy()
    covs = chain.emission["covs"][0].numpy()
    full = covs if covs.ndim == 3 else np.stack([np.diag(one) for one in covs])
    return np.stack([np.log(max(w, 1e-300)) + normal(x - m, c)
                     for w, m, c in zip(weights, means, full, strict=True)], axis=1)  # fmt: skip

"""Rates of a Markov jump process from a path of labels, some of which are wrong.

``P(dt) = expm(Q dt)`` moves the hidden state; a label is right with probability 1 - eps + eps/n and
any of the others else, ``B = (1 - eps) I + eps/n``. Log rates, beginnings and logit eps maximise
the likelihood; its gradient comes from expected counts (Fisher's identity) and the derivative of
the matrix exponential. Clean labels are the case eps = 0. Labels of a clustering never are clean,
and each wrong one would count as two jumps. After Berghaus et al., NeurIPS 2024, arXiv 2406.06419.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from rheobase.models.hmm_rnn import checks, jumps
from rheobase.models.hmm_rnn.observed import Irregular, Regular
from rheobase.models.hmm_rnn.stats import Interval

SPAN = 12.0
"""Log rates stay within this of the rate at which all states would be left."""
ABSENT = 0.1
"""Expected jumps below which a rate is told as none, with the upper limit of three (3 / time)."""
DRAWS = 1000
START_NOISE = -3.0
NUDGE = 1e-4


@dataclass(frozen=True)
class Rates:
    """A fitted process; intervals are 95 %."""

    Q: np.ndarray
    """(state, state) generator, 1/s."""
    rates_hz: Interval
    """(state, state) off the diagonal; NaN on it."""
    noise: Interval
    """eps; 0 where labels were taken to be clean."""
    start: np.ndarray
    """(state,)"""
    stationary: Interval
    dwell_s: Interval
    first_passage_s: Interval
    relaxation_s: Interval
    entropy_production: Interval
    """Nats a second."""
    loglik: float
    converged: bool


class _Likelihood:
    """The likelihood as a function of all numbers: log rates, beginnings, logit noise."""

    def __init__(self, seen: Regular | Irregular, states: int, *, noise: bool) -> None:
        self.seen, self.n, self.noise = seen, states, noise
        self.off = ~torch.eye(states, dtype=torch.bool)
        self.rates = states * (states - 1)
        self.size = self.rates + states - 1 + int(noise)

    def unpack(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return Q, pi and B of numbers (model, number)."""
        n, models = self.n, len(z)
        flat = torch.zeros((models, n, n), dtype=z.dtype)
        flat = flat.masked_scatter(self.off.expand(models, -1, -1), z[:, : self.rates].exp())
        Q = flat - torch.diag_embed(flat.sum(-1))
        logits = torch.cat([z[:, self.rates : self.rates + n - 1], z.new_zeros((models, 1))], 1)
        eps = z[:, -1:].sigmoid() if self.noise else z.new_zeros((models, 1))
        eye = torch.eye(n, dtype=z.dtype)
        return Q, logits.softmax(1), (1 - eps)[..., None] * eye + eps[..., None] / n

    def __call__(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return objectives (model,) and gradients (model, number)."""
        z = torch.tensor(numbers, dtype=torch.float64, requires_grad=True)
        Q, pi, B = self.unpack(z)
        P = torch.matrix_exp(Q[:, None] * self.seen.steps_s[:, None, None]).clamp(min=1e-300)
        found = self.seen.expect(pi.detach(), P.detach(), B.detach())
        prior = pi.log().sum(1) / self.n
        known = (found.counts * P.log()).sum((1, 2, 3)) + (found.starts * pi.log()).sum(1)
        told = (found.labels * B.clamp(min=1e-12).log()).sum((1, 2))
        (known + told + prior).sum().backward()
        assert z.grad is not None
        return (found.loglik + prior.detach()).numpy(), z.grad.numpy()

    def hessian(self, z: np.ndarray) -> np.ndarray:
        """Return the second derivatives, by differences of gradients that run side by side."""
        eye = np.eye(self.size) * NUDGE
        _, gradients = self(np.concatenate([z + eye, z - eye]))
        slopes = (gradients[: self.size] - gradients[self.size :]) / (2 * NUDGE)
        return (slopes + slopes.T) / 2


def fit(
    path: np.ndarray, lengths: Sequence[int] | None = None, *, states: int,
    step_s: float | None = None, times_s: np.ndarray | None = None, noise: bool = True,
    seed: int = 0,
) -> Rates:  # fmt: skip
    """Return the rates of a path of labels 0..states-1, (time,).

    ``step_s`` between samples, or ``times_s`` of each; ``lengths`` of the segments, across which
    nothing is counted. ``noise``: whether labels may be wrong.
    """
    labels, found = _checked(path, lengths, states)
    if (step_s is None) == (times_s is None):
        raise ValueError("give step_s, or times_s for samples at unequal steps")
    if times_s is None:
        assert step_s is not None
        if step_s <= 0:
            raise ValueError(f"step_s is {step_s}; it must be above 0")
        seen = Regular(labels, found, states, step_s)
    else:
        seen = Irregular(labels, found, states, np.asarray(times_s, float))
    changes = int((np.diff(labels) != 0).sum())
    pace = np.log(max(changes, 1) / seen.duration_s / (states - 1))
    return _fitted(_Likelihood(seen, states, noise=noise), pace, seen.duration_s, seed)


def _checked(
    path: np.ndarray, lengths: Sequence[int] | None, states: int
) -> tuple[np.ndarray, tuple[int, ...]]:
    checks.states(states)
    labels = np.asarray(path)
    found = checks.series(labels.astype(float).reshape(-1, 1), lengths)
    total, _ = checks.symbols(labels.astype(float).reshape(-1, 1), states)
    never = sorted(set(range(total)) - set(np.unique(labels).astype(int).tolist()))
    if never:
        raise ValueError(f"state {never[0]} never occurs; number the states that do from 0")
    return labels.astype(int), found


def _fitted(likelihood: _Likelihood, pace: float, duration: float, seed: int) -> Rates:
    n, r = likelihood.n, likelihood.rates
    z = np.concatenate([np.full(r, pace), np.zeros(n - 1), [START_NOISE] * likelihood.noise])
    bounds = [(pace - SPAN, pace + SPAN)] * r + [(-SPAN, SPAN)] * (n - 1)
    bounds += [(-SPAN, 3.0)] * likelihood.noise

    def falling(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = likelihood(numbers[None])
        return -float(value[0]), -slope[0]

    end = minimize(falling, z, jac=True, method="L-BFGS-B", bounds=bounds,
                   options={"maxiter": 500, "ftol": 1e-12, "gtol": 1e-5})  # fmt: skip
    Q, start, _ = (a[0].numpy() for a in likelihood.unpack(torch.tensor(end.x[None])))
    within = np.array([low + 1e-3 < value < high - 1e-3
                       for value, (low, high) in zip(end.x, bounds, strict=True)])  # fmt: skip
    spread = _covariance(likelihood.hessian(end.x), within)
    time_in = np.maximum(jumps.stationary(Q), 1e-12) * duration
    rng = np.random.default_rng(seed)
    draws = rng.multivariate_normal(end.x, spread, DRAWS, method="eigh")
    low, high = np.array(bounds).T
    drawn, _, _ = likelihood.unpack(torch.tensor(np.clip(draws, low, high)))
    return Rates(
        Q, _rates(Q, spread[:r, :r], time_in), _noise(likelihood, end.x, spread), start,
        *(_derived(f, Q, drawn.numpy()) for f in (
            jumps.stationary, jumps.dwell_s, jumps.first_passage_s, jumps.relaxation_s,
            jumps.entropy_production)),
        loglik=-float(end.fun), converged=bool(end.success),
    )  # fmt: skip


def _covariance(hessian: np.ndarray, within: np.ndarray) -> np.ndarray:
    """Return the inverse of the curvature of all numbers that are not at a bound."""
    out = np.zeros_like(hessian)
    at = np.flatnonzero(within)
    values, vectors = np.linalg.eigh(-hessian[np.ix_(at, at)])
    flat = np.where(values > 1e-3, 1 / np.maximum(values, 1e-3), 0.0)
    out[np.ix_(at, at)] = (vectors * flat) @ vectors.T
    return out


def _rates(Q: np.ndarray, spread: np.ndarray, time_in: np.ndarray) -> Interval:
    n = len(Q)
    off = ~np.eye(n, dtype=bool)
    error = np.zeros((n, n))
    error[off] = np.sqrt(np.maximum(np.diagonal(spread), 0))
    value = np.where(off, Q, np.nan)
    low, high = value * np.exp(-1.96 * error), value * np.exp(1.96 * error)
    absent = off & (Q * time_in[:, None] < ABSENT)
    limit = np.broadcast_to(3 / time_in[:, None], (n, n))
    return Interval(value, np.where(absent, 0, low), np.where(absent, limit, high))


def _noise(likelihood: _Likelihood, z: np.ndarray, spread: np.ndarray) -> Interval:
    if not likelihood.noise:
        return Interval(np.array(0.0), np.array(0.0), np.array(0.0))
    error = np.sqrt(max(spread[-1, -1], 0))
    value, low, high = (1 / (1 + np.exp(-(z[-1] + k * error))) for k in (0, -1.96, 1.96))
    return Interval(np.array(value), np.array(low), np.array(high))


def _derived(
    function: Callable[[np.ndarray], np.ndarray], Q: np.ndarray, drawn: np.ndarray
) -> Interval:
    low, high = np.quantile(function(drawn), (0.025, 0.975), axis=0)
    return Interval(np.asarray(function(Q)), low, high)

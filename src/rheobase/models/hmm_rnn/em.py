"""Expectation-maximisation of many models side by side.

An iteration is: likelihoods, one product of matrices; the scan; sums of features, one product; and
an M-step with priors. A model that has converged leaves the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rheobase.models.hmm_rnn.batch import Chain, Data, expect, join, sums
from rheobase.models.hmm_rnn.scan import Smoothed
from rheobase.models.hmm_rnn.settings import Prior, Stop

__all__ = ["Course", "EMDivergence", "Fits", "Prior", "Stop", "fit"]

FALLEN = {torch.float64: 1e-6, torch.float32: 1e-4}
"""Fall of the objective, over its size, that is no rounding."""
BLOCK_BYTES = 1 << 30
"""Memory for the recursions of the models that run together."""
FEW_SHARE, FEW_PATIENCE, WORST_SHARE = 0.005, 5, 0.01
"""A state with less than this share of the samples for so many iterations is started again, from
the share of samples that are fitted worst."""


class EMDivergence(ValueError):
    """The objective fell."""


@dataclass(frozen=True)
class Fits:
    """What EM leaves behind."""

    chain: Chain
    """The parameters whose log-likelihood is ``loglik``."""
    loglik: Tensor
    """(model, segment) of all segments, those without weight included."""
    objective: Tensor
    """(model,) log-likelihood of the segments with weight, and log prior."""
    trace: np.ndarray
    """(model, iteration) log-likelihood of the segments with weight; NaN after convergence."""
    converged: np.ndarray
    """(model,)"""
    dead: np.ndarray
    """(model, state) states that hold hardly any sample although they were started again."""


def fit(
    data: Data, start: Chain, *, prior: Prior | None = None, stop: Stop | None = None,
    weights: Tensor | None = None, reseed: bool = True,
) -> Fits:  # fmt: skip
    """Return the models that EM reaches from ``start``.

    ``weights`` (model, segment): which segments a model learns from; all where it is not given.
    Raises ``EMDivergence`` where the objective falls.
    """
    prior, stop = prior or Prior(), stop or Stop()
    models, states = start.pi.shape
    itemsize = torch.empty((), dtype=data.dtype).element_size()
    each = 5 * states * data.chunks.rows.numel() * itemsize
    block = max(1, min(models, BLOCK_BYTES // each))
    done = []
    for begin in range(0, models, block):
        part = slice(begin, begin + block)
        own = None if weights is None else weights[part]
        done.append(Course(data, start.take(part), prior, stop, own, reseed=reseed).run())
    return _joined(done)


def _joined(parts: Sequence[Fits]) -> Fits:
    longest = max(p.trace.shape[1] for p in parts)
    traces = [np.pad(p.trace, ((0, 0), (0, longest - p.trace.shape[1])), constant_values=np.nan)
              for p in parts]  # fmt: skip
    return Fits(
        join([p.chain for p in parts]), torch.cat([p.loglik for p in parts]),
        torch.cat([p.objective for p in parts]), np.concatenate(traces),
        np.concatenate([p.converged for p in parts]), np.concatenate([p.dead for p in parts]),
    )  # fmt: skip


class Course:
    """EM of one batch of models, iteration by iteration."""

    def __init__(
        self, data: Data, start: Chain, prior: Prior, stop: Stop, weights: Tensor | None, *,
        reseed: bool,
    ) -> None:  # fmt: skip
        self.data, self.chain, self.stop, self.reseed = data, start, stop, reseed
        models, states = start.pi.shape
        self.alpha = 1 / states if prior.transitions is None else prior.transitions
        self.sticky = prior.sticky
        lengths = torch.tensor(data.lengths, dtype=torch.float64, device=data.phi.device)
        self.weights = lengths.new_ones((models, len(lengths))) if weights is None else weights
        self.masked = weights is not None
        learnt = (self.weights * lengths).sum(1)
        self.least = (FEW_SHARE * learnt).clamp(min=2 * data.emission.dimensions)
        self.ids = torch.arange(models, device=data.phi.device)
        self.before = torch.full_like(learnt, -torch.inf)
        self.quiet, self.few = torch.zeros(models), torch.zeros(models, states)
        self.again = torch.zeros(models, states, dtype=torch.bool)
        self.trace = np.full((models, stop.iterations), np.nan)
        self.converged = np.zeros(models, bool)
        self.done: list[tuple[Tensor, Chain, Tensor, Tensor]] = []

    def run(self) -> Fits:
        """Return the fits, in the order of the starts."""
        for iteration in range(self.stop.iterations):
            weights = self.weights[:, self.data.chunks.segment] if self.masked else None
            found, loglik = expect(self.data, self.chain, weights)
            told = (loglik * self.weights).sum(1)
            self.trace[self.ids.cpu(), iteration] = told.cpu()
            objective = told + self._log_prior()
            self._check(objective, iteration)
            kept = self._finish(objective, loglik, last=iteration == self.stop.iterations - 1)
            if not len(kept):
                break
            self._maximise(found, kept, weights)
        return self._result()

    def _log_prior(self) -> Tensor:
        A, eye = self.chain.A, torch.eye(self.chain.A.shape[1], device=self.chain.A.device)
        sure = torch.special.xlogy(self.alpha + self.sticky * eye, A).sum((1, 2))
        begin = torch.special.xlogy(torch.full_like(self.chain.pi, self.alpha), self.chain.pi)
        return self.data.emission.log_prior(self.chain.emission) + sure + begin.sum(1)

    def _check(self, objective: Tensor, iteration: int) -> None:
        fall = self.before - objective
        worst = int(fall.argmax())
        limit = FALLEN[self.data.dtype] * abs(float(objective[worst]))
        if not bool(torch.isfinite(objective).all()) or float(fall[worst]) > limit:
            raise EMDivergence(
                f"the objective fell from {float(self.before[worst]):.9g} to "
                f"{float(objective[worst]):.9g} in iteration {iteration} (model "
                f"{int(self.ids[worst])}); standardise the channels, or use precision exact"
            )

    def _finish(self, objective: Tensor, loglik: Tensor, *, last: bool) -> Tensor:
        """Put away the models that are done; returns the places of those that go on."""
        still = (objective - self.before).abs() <= self.stop.tolerance * objective.abs()
        self.quiet = torch.where(still.cpu(), self.quiet + 1, torch.zeros_like(self.quiet))
        self.before = objective
        settled = self.quiet >= self.stop.patience
        self.converged[self.ids.cpu()[settled]] = True
        over = (settled | last).nonzero().squeeze(1).to(objective.device)
        if len(over):
            self.done.append((self.ids[over], self.chain.take(over), loglik[over], objective[over]))
        return (~(settled | last)).nonzero().squeeze(1).to(objective.device)

    def _maximise(self, found: Smoothed, kept: Tensor, weights: Tensor | None) -> None:
        gamma, counts, starts = found.gamma, found.counts, found.starts
        evidence = found.evidence
        if len(kept) < len(self.ids):
            gamma, evidence = gamma[:, kept], evidence[:, kept]
            counts, starts = counts[kept], starts[kept]
            weights = None if weights is None else weights[kept]
            for name in ("ids", "weights", "before", "least"):
                setattr(self, name, getattr(self, name)[kept])
            self.quiet = self.quiet[kept.cpu()]
        eye = torch.eye(counts.shape[1], dtype=counts.dtype, device=counts.device)
        emission = self.data.emission.update(sums(self.data, gamma, weights))
        self.chain = Chain(
            _rows(starts + self.alpha), _rows(counts + self.alpha + self.sticky * eye), emission
        )
        if self.reseed:
            self._start_again(counts.sum(1) + starts, evidence, weights)

    def _start_again(self, visits: Tensor, evidence: Tensor, weights: Tensor | None) -> None:
        """Give states that lost their samples the worst fitted ones, once."""
        ids = self.ids.cpu()
        few = (visits < self.least[:, None]).cpu()
        self.few[ids] = torch.where(few, self.few[ids] + 1, torch.zeros_like(self.few[ids]))
        for place, model in enumerate(ids.tolist()):
            lost = (self.few[model] >= FEW_PATIENCE) & ~self.again[model]
            if not bool(lost.any()):
                continue
            state = int(lost.nonzero()[0])
            own = None if weights is None else weights[place]
            fresh = self.data.emission.update(self._worst(evidence[:, place], own))
            for name, values in self.chain.emission.items():
                values[place, state] = fresh[name][0, 0]
            self.again[model, state], self.few[model, state] = True, 0
            self.before[place] = -torch.inf

    def _worst(self, evidence: Tensor, weights: Tensor | None) -> Tensor:
        """Return the sums of the features of the samples fitted worst, (1, 1, feature)."""
        usable = (
            self.data.chunks.valid if weights is None else self.data.chunks.valid & (weights > 0)
        )
        ranked = torch.where(usable, evidence, torch.inf).flatten()
        count = max(1, int(WORST_SHARE * int(usable.sum())))
        step, chunk = (
            n for n in torch.unravel_index(ranked.topk(count, largest=False).indices, usable.shape)
        )
        return self.data.phi[step, :, chunk].double().sum(0)[None, None]

    def _result(self) -> Fits:
        order = torch.cat([ids for ids, *_ in self.done]).argsort()
        chain = join([chain for _, chain, _, _ in self.done]).take(order)
        loglik = torch.cat([loglik for _, _, loglik, _ in self.done])[order]
        objective = torch.cat([objective for *_, objective in self.done])[order]
        used = int(np.isfinite(self.trace).any(axis=0).sum())
        dead = self.again & (self.few >= FEW_PATIENCE)
        return Fits(chain, loglik, objective, self.trace[:, :used], self.converged, dead.numpy())


def _rows(counts: Tensor) -> Tensor:
    """Return counts as probabilities; a row without any is uniform."""
    total = counts.sum(-1, keepdim=True)
    return torch.where(total > 0, counts / total.clamp(min=1e-300), 1 / counts.shape[-1])

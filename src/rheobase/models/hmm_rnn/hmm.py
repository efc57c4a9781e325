"""Hidden Markov models of series: Gaussian, autoregressive, time-delay-embedded, categorical.

A series is (time, channel), standardised; ``lengths`` are those of its segments, samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch

from rheobase.models.hmm_rnn import align, checks, em, embed, starts
from rheobase.models.hmm_rnn.autoregressive import Autoregressive
from rheobase.models.hmm_rnn.batch import Data, expect, lay_out
from rheobase.models.hmm_rnn.decoder import Decoder
from rheobase.models.hmm_rnn.em import Fits, Prior, Stop
from rheobase.models.hmm_rnn.embed import Embedding
from rheobase.models.hmm_rnn.emissions import Categorical, Cov, Emission, Gaussian

COMPARED = 5000
"""Samples on which restarts are compared, at most."""


@dataclass(frozen=True, kw_only=True)
class Fitted(Decoder):
    """The best restart, its states by falling occupancy."""

    loglik: np.ndarray
    """(segment,)"""
    occupancy: np.ndarray
    """(state,) mean probability."""
    fits: Fits
    """All restarts, in their own order of states."""
    best: int
    stability: float
    """Mean overlap of the restarts' states, 0 to 1; NaN with one restart."""
    samples: int
    notices: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        """Return the free numbers of the model."""
        K = self.chain.A.shape[1]
        d = self.emission.dimensions
        tied = isinstance(self.emission, Gaussian) and self.emission.cov == "tied"
        return K * K - 1 + K * self.emission.size + (d * (d + 1) // 2 if tied else 0)

    @property
    def bic(self) -> float:
        """Return -2 log L + p log T."""
        return float(-2 * self.loglik.sum() + self.parameters * np.log(self.samples))

    @property
    def aic(self) -> float:
        """Return -2 log L + 2 p."""
        return float(-2 * self.loglik.sum() + 2 * self.parameters)


@dataclass(frozen=True)
class HMM(ABC):
    """What all models share."""

    n_states: int = 4
    restarts: int = 10
    dwell: float = 10.0
    """Expected stay in a state at the start of EM, samples."""
    prior: Prior = field(default_factory=Prior)
    stop: Stop = field(default_factory=Stop)
    precision: Literal["exact", "fast"] = "exact"
    """``fast``: the recursions and sums in float32."""

    def __post_init__(self) -> None:
        checks.states(self.n_states)
        if self.restarts < 1:
            raise ValueError(f"restarts is {self.restarts}; it must be 1 or more")
        if self.dwell <= 1:
            raise ValueError(f"dwell is {self.dwell} samples; it must be above 1")

    @abstractmethod
    def emission(self, x: np.ndarray, lengths: Sequence[int]) -> Emission:
        """Return the emissions for a series, priors from its pooled variances."""

    def embedded(
        self, x: np.ndarray, lengths: Sequence[int]
    ) -> tuple[np.ndarray, tuple[int, ...], Embedding | None]:
        """Return the series as the states see it, and how it was made."""
        return x, tuple(lengths), None

    def prepared(
        self, x: np.ndarray, lengths: Sequence[int] | None
    ) -> tuple[np.ndarray, tuple[int, ...], Embedding | None]:
        """Return the same, checked."""
        given = np.asarray(x, float)
        found = checks.series(given, lengths)
        checks.channels(given)
        return self.embedded(given, found)

    @property
    def shortest(self) -> int:
        """Return the samples that a segment must have."""
        return 2

    def with_states(self, count: int) -> HMM:
        """Return the model with another number of states."""
        return replace(self, n_states=count)

    def fit(
        self, x: np.ndarray, lengths: Sequence[int] | None = None, *, seed: int,
        device: str = "cpu",
    ) -> Fitted:  # fmt: skip
        """Return the best of all restarts, by likelihood and prior."""
        given, found, embedding = self.prepared(x, lengths)
        caution = checks.enough(len(given), self.n_states, given.shape[1])
        series = torch.as_tensor(given, device=device)
        emission = self.emission(given, found)
        data = lay_out(series, found, emission, precision=self.precision, models=self.restarts)
        seeds = [seed + r for r in range(self.restarts)]
        start = starts.chains(data, series, self.n_states, seeds, dwell=self.dwell)
        fits = em.fit(data, start, prior=self.prior, stop=self.stop)
        return told(data, fits, embedding, [caution] if caution else [])


@dataclass(frozen=True)
class GaussianHMM(HMM):
    """Gaussian states. ``zero-mean-full``: states of covariance alone, as of connectivity."""

    cov: Cov = "full"

    def emission(self, x: np.ndarray, lengths: Sequence[int]) -> Emission:
        pooled = (x**2).mean(axis=0) if self.cov == "zero-mean-full" else x.var(axis=0)
        return Gaussian(x.shape[1], self.cov, _nu(self.prior, x), torch.as_tensor(pooled))


@dataclass(frozen=True)
class ARHMM(HMM):
    """Autoregressive states of some order."""

    order: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.order < 1:
            raise ValueError(f"order is {self.order}; it must be 1 or more")

    @property
    def shortest(self) -> int:
        return self.order + 2

    def emission(self, x: np.ndarray, lengths: Sequence[int]) -> Emission:
        if min(lengths) <= self.order:
            raise ValueError(f"a segment has {min(lengths)} samples, and the order is {self.order};"
                             " leave out short segments")  # fmt: skip
        power = len(x) * self.order * float((x**2).sum(axis=1).mean())
        ridge = self.prior.ridge * power / (self.order * x.shape[1]) / self.n_states
        pooled = torch.as_tensor(x.var(axis=0))
        return Autoregressive(x.shape[1], self.order, _nu(self.prior, x), pooled, ridge)


@dataclass(frozen=True)
class TDEHMM(GaussianHMM):
    """States of covariance between lags -half..half of all channels."""

    cov: Cov = "zero-mean-full"
    half: int = 7
    components: int | None = None

    @property
    def reach(self) -> int:
        """Return the samples that a segment must have before it is embedded."""
        return 2 * self.half + self.shortest

    def embedded(
        self, x: np.ndarray, lengths: Sequence[int]
    ) -> tuple[np.ndarray, tuple[int, ...], Embedding | None]:
        made = embed.fit(x, lengths, half=self.half, components=self.components)
        return *made.apply(x, lengths), made


@dataclass(frozen=True)
class CategoricalHMM(HMM):
    """States that emit symbols, one column of whole numbers."""

    symbols: int | None = None
    """O; None: as many as occur."""

    def prepared(
        self, x: np.ndarray, lengths: Sequence[int] | None
    ) -> tuple[np.ndarray, tuple[int, ...], Embedding | None]:
        given = np.asarray(x, float).reshape(len(x), -1)
        found = checks.series(given, lengths)
        checks.symbols(given, self.symbols)
        return given, found, None

    def emission(self, x: np.ndarray, lengths: Sequence[int]) -> Emission:
        return Categorical(checks.symbols(x, self.symbols)[0], self.prior.symbols)


def told(data: Data, fits: Fits, embedding: Embedding | None, notices: list[str]) -> Fitted:
    """Return the best of the fits, its states in order, with how well restarts agree."""
    best = int(fits.objective.argmax())
    gammas = data.chunks.along(expect(data, fits.chain)[0].gamma)
    occupancy = gammas[:, best].double().mean(0).cpu().numpy()
    order = align.canonical(occupancy, align.profiles(fits.chain, best)[:, 0])
    every = -(-len(gammas) // COMPARED)
    stability = align.stability(gammas[::every].movedim(1, 0).cpu().numpy())
    if stability < align.STABLE:
        notices.append(f"restarts agree on {stability:.0%} of the time only (below "
                       f"{align.STABLE:.0%}): other starts find other states")  # fmt: skip
    if fits.dead[best].any():
        notices.append(f"{int(fits.dead[best].sum())} of {len(order)} states hold hardly any "
                       "sample; fewer states would do")  # fmt: skip
    if not fits.converged[best]:
        notices.append("EM stopped before it converged; give it more iterations")
    return Fitted(
        emission=data.emission, chain=fits.chain.take([best]).states(order), embedding=embedding,
        loglik=fits.loglik[best].cpu().numpy(), occupancy=occupancy[order], fits=fits, best=best,
        stability=stability, samples=sum(data.lengths), notices=tuple(notices),
    )  # fmt: skip


def _nu(prior: Prior, x: np.ndarray) -> float:
    return float(x.shape[1] + 2 if prior.covariance is None else prior.covariance)

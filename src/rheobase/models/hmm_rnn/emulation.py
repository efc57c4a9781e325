"""How well sequences emulate a chain, beside as many sequences of the chain itself.

Every number is computed for the emulator and, as often as asked, for fresh sequences of the chain:
so it stands beside the mean, deviation and 5 to 95 % of what a perfect emulator would score.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rheobase.models.hmm_rnn import scan
from rheobase.models.hmm_rnn.losses import joint
from rheobase.models.hmm_rnn.sinkhorn import one_hot_diameter, sinkhorn_divergence
from rheobase.models.hmm_rnn.targets import Target

COMMON = 0.02
"""Share above which a symbol's bigrams are scored."""
PAIRED = 500
"""Sequences between which distances are averaged."""
FEWEST = 32


@dataclass(frozen=True)
class Scored:
    """A number of the emulator beside those of the chain."""

    value: float
    mean: float
    deviation: float
    low: float
    high: float

    @property
    def z(self) -> float:
        """Return the distance from the chain's mean, in deviations."""
        return (self.value - self.mean) / max(self.deviation, 1e-300)


def emulation(
    symbols: Tensor, target: Target, *, repeats: int = 20, generator: torch.Generator
) -> dict[str, Scored]:  # fmt: skip
    """Return all numbers of sequences (sequence, time) of an emulator.

    ``bigram`` M1, largest error of the next symbol's probabilities; ``frequency`` M2, total
    variation; ``volatility`` M3, changes over those of the chain; ``run_distance`` M4, Wasserstein
    distance of run lengths, mean over symbols; ``sinkhorn_ratio`` M6; ``excess_nats`` M7, negative
    log-likelihood of a symbol less the chain's own (above 0: wrong structure; below: too little
    variety); ``diversity`` M8, distance of two sequences over the chain's.
    """
    return judge(target, *symbols.shape, repeats=repeats, generator=generator)(symbols)


def judge(
    target: Target, count: int, length: int, *, repeats: int, generator: torch.Generator
) -> Callable[[Tensor], dict[str, Scored]]:  # fmt: skip
    """Return what tells the numbers of as many sequences, beside the same ones of the chain."""
    if count < FEWEST:
        raise ValueError(f"there are {count} sequences; give {FEWEST} or more")
    drawn = [target.sample(count, length, generator=generator)[0] for _ in range(repeats + 2)]
    inner = _Judge(target, drawn)
    null = [inner.numbers(one) for one in drawn[2:]]
    return lambda symbols: beside(inner.numbers(symbols), null)


def beside(found: dict[str, float], null: Sequence[dict[str, float]]) -> dict[str, Scored]:
    """Return numbers of an emulator beside those of the chain."""
    told = {}
    for name, value in found.items():
        values = np.array([one[name] for one in null])
        low, high = np.quantile(values, (0.05, 0.95))
        told[name] = Scored(value, float(values.mean()), float(values.std(ddof=1)), float(low),
                            float(high))  # fmt: skip
    return told


class _Judge:
    """What the numbers compare with: the chain, and sequences that it drew."""

    def __init__(self, target: Target, drawn: Sequence[Tensor]) -> None:
        """Take the first two as reference and floor; likelihoods are beside those of all."""
        reference, other = drawn[:2]
        self.target, self.reference, self.length = target, reference, reference.shape[1]
        self.common = target.frequencies() >= COMMON
        self.changes = 1 - np.trace(target.lag(1, length=self.length))
        self.joint = target.lag(1, length=self.length)
        self.floor = self.distance(other)
        self.runs = run_lengths(reference, target.symbols)
        self.nats = negative_loglik(torch.cat(list(drawn)), target)
        self.spread = diversity(reference)

    def numbers(self, symbols: Tensor) -> dict[str, float]:
        found = joint(self._one_hot(symbols)[None].double(), 1)[0].numpy()
        bigram, expected = (j / np.maximum(j.sum(axis=1, keepdims=True), 1e-12)
                            for j in (found, self.joint))  # fmt: skip
        shares = np.bincount(symbols.flatten().numpy(), minlength=self.target.symbols)
        frequencies = self.target.frequencies(length=self.length)
        runs = run_lengths(symbols, self.target.symbols)
        return {
            "bigram": float(np.abs(bigram - expected)[self.common].max()),
            "frequency": float(np.abs(shares / shares.sum() - frequencies).sum() / 2),
            "volatility": float((1 - np.trace(found)) / self.changes),
            "run_distance": float(np.mean([wasserstein(a, b) for a, b in
                                           zip(runs, self.runs, strict=True)])),
            "sinkhorn_ratio": self.distance(symbols) / self.floor,
            "excess_nats": negative_loglik(symbols, self.target) - self.nats,
            "diversity": diversity(symbols) / self.spread,
        }  # fmt: skip

    def distance(self, symbols: Tensor) -> float:
        x, y = (self._one_hot(s).flatten(1)[None] for s in (symbols, self.reference))
        return sinkhorn_divergence(x, y, diam=one_hot_diameter(self.length)).item()

    def _one_hot(self, symbols: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(symbols, self.target.symbols).float()


def negative_loglik(symbols: Tensor, target: Target) -> float:
    """Return the mean negative log-likelihood of a symbol under the chain, nats."""
    count, length = symbols.shape
    logE = torch.as_tensor(np.log(target.E.clip(1e-12)))
    logb = logE.T[symbols.flatten()][None]
    A, pi = (torch.as_tensor(a)[None] for a in (target.A, target.pi))
    return float(-scan.loglik(logb, A, pi, [length] * count).sum() / symbols.numel())


def run_lengths(symbols: Tensor, count: int) -> list[np.ndarray]:
    """Return the lengths of runs of each symbol, steps; those that an end cuts included."""
    found = symbols.numpy()
    begins = np.ones(found.shape, bool)
    begins[:, 1:] = found[:, 1:] != found[:, :-1]
    at = np.flatnonzero(begins.ravel())
    lengths, which = np.diff(np.append(at, found.size)), found.ravel()[at]
    return [lengths[which == k] for k in range(count)]


def wasserstein(first: np.ndarray, second: np.ndarray) -> float:
    """Return the first Wasserstein distance of two samples; infinite where one alone is empty."""
    if not len(first) or not len(second):
        return 0.0 if len(first) == len(second) else float("inf")
    top = int(max(first.max(), second.max())) + 1
    rises = [np.cumsum(np.bincount(a, minlength=top)) / len(a) for a in (first, second)]
    return float(np.abs(rises[0] - rises[1]).sum())


def diversity(symbols: Tensor) -> float:
    """Return the mean share of steps at which two of the first 500 sequences differ."""
    some = symbols[:PAIRED]
    n, length = some.shape
    shares = [torch.bincount(column, minlength=int(some.max()) + 1).double() for column in some.T]
    same = sum(float((c * (c - 1)).sum()) for c in shares)
    return 1 - same / (n * (n - 1) * length)

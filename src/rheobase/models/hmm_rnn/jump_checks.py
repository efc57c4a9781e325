"""Is a Markov jump process the right model of a path of labels?

Stays must last exponentially long, steps of 2 dt must be two steps of dt (Chapman-Kolmogorov), and
a process in detailed balance looks the same backwards. Observed numbers are compared with those of
paths simulated from the fit, decoded in the same way, so that wrong labels, sampling and short
recordings count on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import expm

from rheobase.metrics import permutation_p
from rheobase.models.hmm_rnn import jumps, paths, stats
from rheobase.models.hmm_rnn.emissions import spans
from rheobase.models.hmm_rnn.rates import Rates

DRAWS = 99
LAGS = (1, 2, 4)
"""Steps over which transitions are compared."""
LEVEL = 0.05
REVERSED_DWELLS = 10
"""Mean stays in a stretch that is turned round (chosen here)."""


@dataclass(frozen=True)
class Checked:
    """What speaks for and against the process."""

    dwell_spread: float
    """Standard deviation of whole stays, each over its state's mean; 1 for exponential ones that
    are seen without error."""
    dwell_spread_expected: float
    """The same of paths simulated from the fit, which are sampled and decoded like the labels."""
    dwell_p: float
    observed: dict[int, np.ndarray]
    """By lag in steps: (label, label) share of labels after such a lag."""
    predicted: dict[int, np.ndarray]
    lag_distance: float
    """Largest difference of the two over lags of 2 and 4 steps."""
    lag_p: float
    irreversible_p: float
    """That the labels look the same backwards; NaN with two states, which always do."""

    @property
    def markov(self) -> bool:
        """Return whether neither stays nor longer lags contradict the model."""
        return self.dwell_p > LEVEL and self.lag_p > LEVEL

    @property
    def verdict(self) -> str:
        """Return the sentence that a report must print."""
        if self.markov:
            return "Stays and longer lags look like those of a Markov jump process."
        wrong = [said for p, said in (
            (self.dwell_p, "stays do not last exponentially long"),
            (self.lag_p, "longer lags do not follow from shorter ones")) if p <= LEVEL]  # fmt: skip
        return f"A Markov jump process is the wrong model: {' and '.join(wrong)}."


def check(
    fitted: Rates, path: np.ndarray, lengths: Sequence[int] | None = None, *, step_s: float,
    seed: int, draws: int = DRAWS,
) -> Checked:  # fmt: skip
    """Return the checks of a fit to the labels (time,) that it was made from."""
    labels = np.asarray(path, int)
    found = (len(labels),) if lengths is None else tuple(lengths)
    model = _Model(fitted, step_s)
    simulated = model.simulate(found, draws, seed)
    decoded = model.decode(np.concatenate([labels[None], simulated]), found)
    spreads = np.array([_dwell_spread(one, found) for one in decoded])
    expected = float(spreads[1:].mean())
    off = np.abs(spreads - expected)
    predicted = {lag: model.labels(lag) for lag in LAGS}
    observed = [_lagged(one, found, len(fitted.Q)) for one in (labels, *simulated)]
    apart = [max(np.abs(one[lag] - predicted[lag]).max() for lag in LAGS[1:]) for one in observed]
    return Checked(
        float(spreads[0]), expected, permutation_p(float(off[0]), off[1:]),
        observed[0], predicted, float(apart[0]), permutation_p(apart[0], np.array(apart[1:])),
        reversal(labels, found, len(fitted.Q), seed=seed, draws=10 * draws),
    )  # fmt: skip


class _Model:
    def __init__(self, fitted: Rates, step_s: float) -> None:
        n, eps = len(fitted.Q), float(fitted.noise.value)
        self.Q, self.step_s, self.n = fitted.Q, step_s, n
        self.A = torch.as_tensor(expm(fitted.Q * step_s).clip(1e-12))
        self.A = self.A / self.A.sum(1, keepdim=True)
        self.pi = torch.as_tensor(fitted.start)
        self.B = (1 - eps) * np.eye(n) + eps / n
        self.eps = eps

    def simulate(self, lengths: Sequence[int], draws: int, seed: int) -> np.ndarray:
        """Return drawn labels, (draw, time)."""
        generator = torch.Generator().manual_seed(seed)
        parts = [paths.sample(self.A, self.pi, n, draws, generator=generator).numpy()
                 for n in lengths]  # fmt: skip
        states, rng = np.concatenate(parts, axis=1), np.random.default_rng(seed)
        wrong = rng.random(states.shape) < self.eps
        return np.where(wrong, rng.integers(0, self.n, states.shape), states)

    def decode(self, labels: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
        """Return the most likely hidden paths of labels (path, time)."""
        logb = torch.as_tensor(np.log(self.B.clip(1e-12)).T[labels])
        A, pi = (a.expand(len(labels), *a.shape) for a in (self.A, self.pi))
        return paths.viterbi(logb, A, pi, lengths).numpy()

    def labels(self, lag: int) -> np.ndarray:
        """Return the predicted shares of labels after a lag, rows sum to 1, (label, label)."""
        shares = jumps.stationary(self.Q)
        joint = self.B.T @ (shares[:, None] * expm(self.Q * self.step_s * lag)) @ self.B
        return joint / joint.sum(axis=1, keepdims=True)


def _dwell_spread(path: np.ndarray, lengths: Sequence[int]) -> float:
    """Return the standard deviation of whole stays over their states' means."""
    found = stats.runs(path, lengths)
    state, samples = found.state[~found.cut], found.samples[~found.cut].astype(float)
    if not len(state):
        return 0.0
    total, count = np.bincount(state, samples), np.bincount(state)
    return float((samples / (total / np.maximum(count, 1))[state]).std())


def _lagged(labels: np.ndarray, lengths: Sequence[int], n: int) -> dict[int, np.ndarray]:
    """Return the shares of labels after each lag, no segment's end crossed."""
    found = {}
    for lag in LAGS:
        counts = np.zeros((n, n))
        for a, b in spans(lengths):
            np.add.at(counts, (labels[a : b - lag], labels[a + lag : b]), 1)
        found[lag] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return found


def reversal(
    labels: np.ndarray, lengths: Sequence[int], n: int, *, seed: int, draws: int = 999
) -> float:
    """Return the p-value of detailed balance: that turning stretches of time round changes nothing.

    The number is ``sum_{i<j} (C_ij - C_ji)^2 / (C_ij + C_ji)`` of counted jumps; stretches of ten
    mean stays are turned round at random.
    """
    if n < 3:
        return float("nan")
    changes = max(int((np.diff(labels) != 0).sum()), 1)
    width = max(2, round(REVERSED_DWELLS * len(labels) / changes))
    pieces = [(a, min(a + width, end)) for begin, end in spans(lengths)
              for a in range(begin, end, width)]  # fmt: skip
    net = np.stack([_net(labels[a:b], n) for a, b in pieces])
    both = np.stack([_net(labels[a:b], n, sign=1) for a, b in pieces]).sum(axis=0)

    def told(signs: np.ndarray) -> np.ndarray:
        return ((signs @ net) ** 2 / np.maximum(both, 1)).sum(axis=-1)

    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(draws, len(pieces)))
    return permutation_p(float(told(np.ones(len(pieces)))), told(signs))


def _net(labels: np.ndarray, n: int, *, sign: int = -1) -> np.ndarray:
    """Return jumps there less (or plus) those back, for each pair of states."""
    counts = np.zeros((n, n))
    np.add.at(counts, (labels[:-1], labels[1:]), 1)
    i, j = np.triu_indices(n, 1)
    return counts[i, j] + sign * counts[j, i]

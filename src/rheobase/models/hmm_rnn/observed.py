"""Labels of hidden states at times, and what they say of transitions between them.

``expect`` takes probabilities of many models side by side: ``pi`` (model, state), ``P`` (model,
step, state, state) one matrix for each distinct time step, ``B`` (model, state, label).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rheobase.models.hmm_rnn.batch import Chain, Data, expect, lay_out, sums
from rheobase.models.hmm_rnn.emissions import FLOOR, Categorical, spans


@dataclass(frozen=True)
class Expected:
    """Log-likelihoods, and expected numbers of events."""

    loglik: Tensor
    """(model,)"""
    starts: Tensor
    """(model, state)"""
    counts: Tensor
    """(model, step, state, state)"""
    labels: Tensor
    """(model, state, label)"""


class Regular:
    """Labels at equal steps; all models run on the chunks of the scan."""

    def __init__(
        self, path: np.ndarray, lengths: Sequence[int], states: int, step_s: float
    ) -> None:
        self.steps_s = torch.tensor([step_s], dtype=torch.float64)
        self.duration_s = step_s * len(path)
        symbols = torch.as_tensor(path, dtype=torch.float64)[:, None]
        self.data: Data = lay_out(symbols, lengths, Categorical(states, 0.0))

    def expect(self, pi: Tensor, P: Tensor, B: Tensor) -> Expected:
        found, loglik = expect(self.data, Chain(pi, P[:, 0], {"probs": B}))
        labels = sums(self.data, found.gamma)
        return Expected(loglik.sum(1), found.starts, found.counts[:, None], labels)


class Irregular:
    """Labels at any times; segments run side by side, models one after the other."""

    def __init__(
        self, path: np.ndarray, lengths: Sequence[int], states: int, times_s: np.ndarray
    ) -> None:
        gaps = [np.diff(times_s[a:b]) for a, b in spans(lengths)]
        every = np.concatenate(gaps)
        if not np.isfinite(times_s).all() or (every <= 0).any():
            raise ValueError("times_s must grow within each segment, by finite steps")
        distinct, which = np.unique(np.round(every, 9), return_inverse=True)
        self.steps_s, self.duration_s = torch.tensor(distinct), float(every.sum())
        self.states, width = states, max(lengths)
        self.labels = np.full((len(lengths), width), -1)
        self.which = np.zeros((len(lengths), width), int)
        ends = np.cumsum([0, *(len(g) for g in gaps)])
        for n, (a, b) in enumerate(spans(lengths)):
            self.labels[n, : b - a] = path[a:b]
            self.which[n, 1 : b - a] = which[ends[n] : ends[n + 1]]

    def expect(self, pi: Tensor, P: Tensor, B: Tensor) -> Expected:
        found = [self._one(*(a.numpy() for a in one)) for one in zip(pi, P, B, strict=True)]
        return Expected(*(torch.as_tensor(np.stack(column)) for column in zip(*found, strict=True)))

    def _one(self, pi: np.ndarray, P: np.ndarray, B: np.ndarray) -> tuple[np.ndarray, ...]:
        seen = self.labels >= 0
        b = np.where(seen[..., None], np.maximum(B.T, FLOOR)[self.labels], 1.0)
        pred, alpha = np.zeros_like(b), np.zeros_like(b)
        loglik = 0.0
        for t in range(b.shape[1]):
            here = seen[:, t]
            moved = pi if t == 0 else np.einsum("si,sij->sj", alpha[:, t - 1], P[self.which[:, t]])
            pred[:, t] = np.maximum(moved, 1e-300)
            joint = pred[:, t] * b[:, t]
            scale = joint.sum(axis=1)
            alpha[:, t] = joint / scale[:, None]
            loglik += np.log(scale[here]).sum()
        return np.asarray(loglik), *self._back(pred, alpha, P, seen)

    def _back(
        self, pred: np.ndarray, alpha: np.ndarray, P: np.ndarray, seen: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        counts, labels = np.zeros_like(P), np.zeros((self.states, self.states))
        gamma = alpha[:, -1]
        for t in range(alpha.shape[1] - 1, -1, -1):
            here = seen[:, t]
            np.add.at(labels.T, self.labels[here, t], gamma[here])
            if t == 0:
                break
            ratio = gamma / pred[:, t]
            step = P[self.which[:, t]]
            pairs = alpha[:, t - 1, :, None] * step * ratio[:, None, :]
            np.add.at(counts, self.which[here, t], pairs[here])
            moved = alpha[:, t - 1] * np.einsum("sij,sj->si", step, ratio)
            gamma = np.where(here[:, None], moved, alpha[:, t - 1])
        return gamma.sum(axis=0), counts, labels

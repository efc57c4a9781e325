"""Sinks of a fit and of a test: windows of states, weighted sums, and errors of readouts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from rheobase.models.reservoir.engine import Block, Layout
from rheobase.rivals import Gram

Consume = Callable[[int, int, np.ndarray, np.ndarray], None]
"""Gets recording, seed, numbers of windows and their features (window, feature)."""


class WindowStream:
    """A sink that hands over the features of windows of one width as soon as they are whole.

    ``starts`` are the first samples of the windows of each recording. Features are the mean rate of
    every unit over the window and its rate at the end; of a window of one sample, its rates. Of the
    settings the first is read.
    """

    def __init__(self, starts: Sequence[np.ndarray], width: int, consume: Consume) -> None:
        self.starts, self.width, self.consume = starts, width, consume
        self.first = np.cumsum([0, *map(len, starts)])
        self.kept: dict[str, Tensor] = {}

    def open(self, layout: Layout) -> None:
        self.kept.clear()

    def take(self, states: Tensor, start: int, block: Block) -> None:
        """Read a chunk (seed, setting, recording, time, unit)."""
        whole, key = states[:, 0], str(block)
        if self.width > 1:
            before = self.kept.get(key)
            whole = whole.clone() if before is None else torch.cat([before, whole], dim=2)
            self.kept[key] = whole[:, :, -(self.width - 1) :].clone()
        begun = start + states.shape[3] - whole.shape[2]
        seeds = range(block.seeds.start or 0, (block.seeds.start or 0) + len(whole))
        for r, recording in enumerate(range(len(self.starts))[block.recordings]):
            ends = self.starts[recording] + self.width - 1
            inside = np.flatnonzero((ends >= start) & (ends < start + states.shape[3])
                                    & (self.starts[recording] >= begun))  # fmt: skip
            if not len(inside):
                continue
            at = self.starts[recording][inside] - begun
            for s, seed in enumerate(seeds):
                features = _features(whole[s, r].cpu().numpy().astype(np.float64), at, self.width)
                self.consume(recording, seed, self.first[recording] + inside, features)


def _features(states: np.ndarray, at: np.ndarray, width: int) -> np.ndarray:
    if width == 1:
        return states[at]
    total = np.cumsum(np.pad(states, ((1, 0), (0, 0))), axis=0)
    mean = (total[at + width] - total[at]) / width
    return np.concatenate([mean, states[at + width - 1]], axis=1)


class Weighted:
    """Sums of weighted examples for each member and inner fold, as normal equations want them."""

    def __init__(
        self, targets: np.ndarray, weights: np.ndarray, fold: np.ndarray, members: int
    ) -> None:
        """``targets`` (example, target), ``weights`` and ``fold`` (example,)."""
        self.targets, self.weights, self.fold = targets, weights, fold
        self.grams: list[dict[int, Gram]] = [{} for _ in range(members)]

    def add(self, recording: int, member: int, number: np.ndarray, x: np.ndarray) -> None:
        """Add examples with their features (example, feature)."""
        for fold in np.unique(self.fold[number]).tolist():
            rows = self.fold[number] == fold
            made = weighted(x[rows], self.targets[number[rows]], self.weights[number[rows]])
            own = self.grams[member]
            own[fold] = own[fold] + made if fold in own else made


def weighted(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> Gram:
    """Return the sums over examples that count as ``weights`` (example,) say."""
    wx, wy = x * weights[:, None], y * weights[:, None]
    return Gram(float(weights.sum()), wx.sum(0), wy.sum(0), wx.T @ x, wx.T @ y,
                np.einsum("ek,ek->k", wy, y))  # fmt: skip


class Answers:
    """What readouts make of windows: (member, example, target)."""

    def __init__(self, readout: np.ndarray, bias: np.ndarray, examples: int) -> None:
        """``readout`` (member, feature, target), ``bias`` (member, target)."""
        self.readout, self.bias = readout, bias
        self.values = np.full((len(readout), examples, readout.shape[2]), np.nan)

    def add(self, recording: int, member: int, number: np.ndarray, x: np.ndarray) -> None:
        """Keep the outputs of examples with features (example, feature)."""
        self.values[member, number] = x @ self.readout[member] + self.bias[member]


class Tally:
    """Sums over test samples for every target: errors, and what the truth holds."""

    def __init__(self, members: int, targets: int) -> None:
        self.n = 0
        self.squared, self.absolute = (np.zeros((members, targets)) for _ in range(2))
        self.total, self.power = np.zeros(targets), np.zeros(targets)
        self.told, self.told_power, self.shared = (np.zeros((members, targets)) for _ in range(3))

    def add(self, member: int, truth: np.ndarray, told: np.ndarray) -> None:
        """Add samples (time, target)."""
        missed = truth - told
        self.squared[member] += np.einsum("tk,tk->k", missed, missed)
        self.absolute[member] += np.abs(missed).sum(axis=0)
        self.told[member] += told.sum(axis=0)
        self.told_power[member] += np.einsum("tk,tk->k", told, told)
        self.shared[member] += np.einsum("tk,tk->k", told, truth)
        if member == 0:
            self.n += len(truth)
            self.total += truth.sum(axis=0)
            self.power += np.einsum("tk,tk->k", truth, truth)

    def determination(self) -> np.ndarray:
        """Return the squared correlation of truth and prediction, (member, target)."""
        shared = self.shared / self.n - self.told * self.total / self.n**2
        spread = (self.power / self.n - (self.total / self.n) ** 2) * (
            self.told_power / self.n - (self.told / self.n) ** 2
        )
        return np.divide(shared**2, spread, out=np.zeros_like(shared), where=spread > 1e-30)


class Errors:
    """A sink that compares the readouts of the first setting with their targets."""

    def __init__(
        self, readout: np.ndarray, bias: np.ndarray, targets: Sequence[np.ndarray], tally: Tally,
        *, more: Callable[[int, slice, np.ndarray], np.ndarray],
    ) -> None:  # fmt: skip
        """``more`` adds to the rates (time, unit) of a recording what else is read."""
        self.readout, self.bias, self.targets = readout, bias, targets
        self.tally, self.more = tally, more

    def open(self, layout: Layout) -> None:
        pass

    def take(self, states: Tensor, start: int, block: Block) -> None:
        """Compare a chunk (seed, setting, recording, time, unit)."""
        first = block.seeds.start or 0
        for r, recording in enumerate(range(len(self.targets))[block.recordings]):
            at = slice(start, min(start + states.shape[3], len(self.targets[recording])))
            truth = self.targets[recording][at]
            known = np.isfinite(truth).all(axis=1)
            if not known.any():
                continue
            for s in range(len(states)):
                rates = states[s, 0, r, : len(truth)].cpu().numpy().astype(np.float64)
                x = self.more(recording, at, rates)
                told = x[known] @ self.readout[first + s] + self.bias[first + s]
                self.tally.add(first + s, truth[known], told)

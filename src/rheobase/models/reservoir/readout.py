"""The linear readout: normal equations streamed in float64, one eigendecomposition for all alphas.

``W = argmin (1/n) |Y - X W - b|^2 + alpha s |W|^2``, ``s`` the mean variance of a feature, ``b``
not penalised.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from scipy.linalg.blas import dsyrk  # pyright: ignore[reportAttributeAccessIssue]
from torch import Tensor

from rheobase.models.reservoir.engine import Block, Layout
from rheobase.rivals import Gram, ridge_path

GB = 1e9


def penalties(gram: Gram, alphas: Sequence[float]) -> list[float]:
    """Return the ridge penalties of the sums that these relative ones stand for."""
    spread = np.diag(gram.xx).mean() - np.mean(gram.x**2) / gram.n
    return [alpha * float(spread) for alpha in alphas]


def readouts(gram: Gram, alphas: Sequence[float]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield weights (feature, target) and bias (target,) for each relative penalty."""
    return ridge_path(gram, penalties(gram, alphas))


def at_edge(alpha: float, alphas: Sequence[float]) -> str:
    """Return a warning where the chosen penalty is the first or last of several, else nothing."""
    if len(alphas) > 1 and alpha in (min(alphas), max(alphas)):
        end = "lower" if alpha == min(alphas) else "higher"
        return f"the readout's penalty {alpha:g} is at the edge of the grid; try {end} alphas too"
    return ""


class GramAccumulator:
    """A sink that sums what the readouts of all seeds and settings need, one sum a label of time.

    ``targets`` are, for each recording, (time,) or (time, target), or (seed, time, target) where
    seeds have their own; rows beyond their end are not used. ``labels`` (time,) say to which sum a
    sample goes (-1: to none). Sums add over recordings.
    """

    def __init__(
        self, targets: Sequence[np.ndarray], *, labels: Sequence[np.ndarray] | None = None,
        squares: bool = False, inputs: Sequence[np.ndarray] | None = None,
        memory_limit_gb: float = 2.0,
    ) -> None:  # fmt: skip
        self.targets = [_by_seed(target) for target in targets]
        self.labels = [np.zeros(t.shape[1], int) for t in self.targets] if labels is None else [
            np.asarray(label) for label in labels]  # fmt: skip
        self.squares, self.inputs, self.limit = squares, inputs, memory_limit_gb
        self.by_torch = False
        """Sum with torch, as on a GPU; on a CPU BLAS makes half of a symmetric product."""
        for number, (target, label) in enumerate(zip(self.targets, self.labels, strict=True)):
            if len(label) != target.shape[1]:
                raise ValueError(f"recording {number} has {target.shape[1]} targets and "
                                 f"{len(label)} labels; give one label each")  # fmt: skip
            if not np.isfinite(target[:, label >= 0]).all():
                raise ValueError(f"the target of recording {number} holds NaN or infinity; label "
                                 "those samples -1")  # fmt: skip

    def open(self, layout: Layout) -> None:
        """Make room; raises ``ValueError`` where the sums would not fit the memory limit."""
        if len(layout.lengths) != len(self.targets):
            raise ValueError(
                f"there are targets for {len(self.targets)} recordings of {len(layout.lengths)}; "
                "give one each"
            )
        extra = 0 if self.inputs is None else np.atleast_2d(self.inputs[0].T).shape[0]
        features = layout.units * (2 if self.squares else 1) + extra
        many = max(int(label.max(initial=0)) for label in self.labels) + 1
        shape = (many, layout.seeds, layout.settings)
        need = 8 * np.prod(shape) * features**2 / GB
        if need > self.limit:
            raise ValueError(
                f"the normal equations of {layout.seeds} seeds, {layout.settings} settings and "
                f"{many} parts take {need:.1f} GB; the limit is {self.limit:g}, so run fewer at "
                "once"
            )
        outputs = self.targets[0].shape[2]
        self.units = layout.units
        self.n = np.zeros(shape)
        self.x, self.y = np.zeros((*shape, features)), np.zeros((*shape, outputs))
        self.xx = np.zeros((*shape, features, features))
        self.xy = np.zeros((*shape, features, outputs))
        self.yy = np.zeros((*shape, outputs))
        self.held: dict[tuple[int, int, int], list[Tensor]] = {}

    def take(self, states: Tensor, start: int, block: Block) -> None:
        """Add the samples of a chunk (seed, setting, recording, time, unit)."""
        self.by_torch |= states.device.type != "cpu"
        for r, recording in enumerate(range(len(self.targets))[block.recordings]):
            labels = self.labels[recording][start : start + states.shape[3]]
            for label in np.unique(labels[labels >= 0]):
                rows = np.flatnonzero(labels == label)
                rows = slice(rows[0], rows[-1] + 1) if len(rows) == np.ptp(rows) + 1 else rows
                for m, setting in enumerate(range(self.n.shape[2])[block.settings]):
                    for s, seed in enumerate(range(self.n.shape[1])[block.seeds]):
                        x = states[s, m, r, : len(labels)][rows]
                        target = self.targets[recording]
                        y = target[min(seed, len(target) - 1), start : start + len(labels)][rows]
                        x = self._features(x, recording, start, len(labels), rows)
                        self._add((int(label), seed, setting), x, y)

    def _features(
        self, x: Tensor, recording: int, start: int, length: int, rows: slice | np.ndarray
    ) -> Tensor:
        x = x.double()
        parts = [x, x * x] if self.squares else [x]
        if self.inputs is not None:
            given = self.inputs[recording][start : start + length][rows]
            given = np.asarray(given, np.float64).reshape(len(x), -1)
            parts.append(torch.as_tensor(given, device=x.device))
        return torch.cat(parts, 1) if len(parts) > 1 else x

    def _add(self, at: tuple[int, int, int], x: Tensor, y: np.ndarray) -> None:
        self.n[at] += len(x)
        self.y[at] += y.sum(0)
        self.yy[at] += np.einsum("tk,tk->k", y, y)
        if not self.by_torch:
            rows = x.numpy()
            self.x[at] += rows.sum(0)
            self.xy[at] += rows.T @ y
            dsyrk(1.0, rows.T, beta=1.0, c=self.xx[at].T, overwrite_c=True)
            return
        made = [x.sum(0), x.mT @ torch.as_tensor(y, device=x.device), x.mT @ x]
        before = self.held.get(at)
        self.held[at] = [a + b for a, b in zip(before, made, strict=True)] if before else made

    def gram(self, seed: int, setting: int, label: int = 0) -> Gram:
        """Return the sums of one reservoir."""
        at = (label, seed, setting)
        for sums, held in zip((self.x, self.xy, self.xx), self.held.pop(at, ()), strict=False):
            sums[at] += held.cpu().numpy()
        xx = self.xx[at].copy()
        above = np.triu_indices(len(xx), 1)
        xx[above] = xx.T[above]
        return Gram(float(self.n[at]), self.x[at], self.y[at], xx, self.xy[at], self.yy[at])


class Predictions:
    """A sink that keeps what readouts make of the states, not the states.

    ``weights`` (seed, setting, unit, target) and ``bias`` (seed, setting, target). ``values`` are
    (seed, setting, recording, time, target) float64, NaN in the washout and behind the end.
    """

    values: np.ndarray

    def __init__(self, weights: np.ndarray, bias: np.ndarray) -> None:
        self.weights, self.bias = weights, bias

    def open(self, layout: Layout) -> None:
        shape = (layout.seeds, layout.settings, len(layout.lengths), max(layout.lengths))
        self.lengths = layout.lengths
        self.values = np.full((*shape, self.bias.shape[-1]), np.nan)

    def take(self, states: Tensor, start: int, block: Block) -> None:
        at = (block.seeds, block.settings)
        weights = torch.as_tensor(self.weights[at], dtype=torch.float64, device=states.device)
        made = (states.double() @ weights[:, :, None]).cpu().numpy()
        made += self.bias[at][:, :, None, None]
        for r, recording in enumerate(range(len(self.lengths))[block.recordings]):
            kept = max(min(states.shape[3], self.lengths[recording] - start), 0)
            self.values[(*at, recording, slice(start, start + kept))] = made[:, :, r, :kept]


def _by_seed(target: np.ndarray) -> np.ndarray:
    """Return a target as (seed or 1, time, target) float64."""
    target = np.asarray(target, np.float64)
    if target.ndim == 1:
        target = target[:, None]
    return target[None] if target.ndim == 2 else target

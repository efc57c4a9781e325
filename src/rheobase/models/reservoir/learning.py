"""The rule that changes inhibition at every step, for all columns at once."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import block_diag, csr_array
from torch import Tensor

from rheobase.models.reservoir.batched import BatchedReservoir, Columns
from rheobase.models.reservoir.engine import Block
from rheobase.models.reservoir.product import csr_tensor


class Learning(Columns):
    """Columns whose inhibition learns at every step, in implicit form."""

    def __init__(
        self, engine: BatchedReservoir, block: Block, targets: np.ndarray, rates: np.ndarray
    ) -> None:
        super().__init__(engine, block, 1, split=True)
        own = targets[block.seeds, :, block.settings]
        self.targets = self._tensor(np.nan_to_num(own))
        self.rates = self._tensor(rates[:, block.settings])
        self.at = 0
        assert self.shift is not None
        self.learned = self.shift
        """a_i, (seed, unit, setting)"""

    def step(self, now: Tensor, potential: Tensor | None, after: Tensor) -> Tensor | None:
        potential = super().step(now, potential, after)
        self.learn((after - self.targets).mul_(self.rates[self.at]))
        self.at += 1
        return potential

    def learn(self, change: Tensor) -> None:
        """Add the change (seed, unit, setting) to the inhibitory synapses of each unit."""
        self.learned += change

    def synapses(self) -> dict[tuple[int, int], np.ndarray]:
        """Return every synapse by seed and setting; none where only ``learned`` is kept."""
        return {}


class LearningExplicitly(Learning):
    """The same with every synapse of every column kept, and held at or above 0."""

    def __init__(
        self, engine: BatchedReservoir, block: Block, targets: np.ndarray, rates: np.ndarray
    ) -> None:
        super().__init__(engine, block, targets, rates)
        assert self.scale is not None
        self.scale, self.shift = torch.zeros_like(self.scale), None
        kept = self._own_inhibition()
        self.pairs = [(s, m) for s in range(len(self.weights)) for m in range(len(self.gain))]
        own = [kept.matrix(self.weights[s], s, m) for s, m in self.pairs]
        self.ends = np.cumsum([len(one.data) for one in own])[:-1]
        whole = csr_array(block_diag(own, format="csr"))
        rows = np.repeat(np.arange(len(whole.indptr) - 1), np.diff(whole.indptr))
        self.rows = torch.as_tensor(rows, device=engine.device)
        index, starts = (torch.as_tensor(a.astype(np.int32), device=engine.device)
                         for a in (whole.indices, whole.indptr))  # fmt: skip
        self.values = self._tensor(whole.data)
        self.matrix = csr_tensor(starts, index, self.values, (len(starts) - 1,) * 2)

    def drive(self, now: Tensor) -> Tensor:
        units = self.engine.units
        excited = super().drive(now)
        rates = now.view(len(self.weights), -1, now.shape[1])[:, :units]
        inhibited = torch.mm(self.matrix, rates.permute(0, 2, 1).reshape(-1, 1))
        inhibited = inhibited.view(len(self.weights), -1, units).permute(0, 2, 1)
        return excited.view(inhibited.shape) - inhibited * self.gain

    def synapses(self) -> dict[tuple[int, int], np.ndarray]:
        parts = np.split(self.values.cpu().numpy(), self.ends)
        return dict(zip(self.pairs, parts, strict=True))

    def learn(self, change: Tensor) -> None:
        super().learn(change)
        self.values += change.permute(0, 2, 1).flatten()[self.rows]
        self.values.clamp_(min=0)

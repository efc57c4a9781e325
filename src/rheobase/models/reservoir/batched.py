"""The reservoirs with excitation and inhibition, as columns of one sparse product a step.

Balance and gain of a column scale the rates that go into the product; what adaptation does to a
unit's inhibition is a scale ``s_i`` and a shift ``a_i`` of all its inhibitory weights, so that
columns with other inhibition still share one matrix:

    sum_j A_I[i, j] r[j] = s_i (A_I(0) r)_i + a_i (M r)_i,   M = 1 where there is a synapse

Synapses that adaptation has cut, or that left this form, are set right by a second, tiny product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse import csr_array, hstack, vstack
from torch import Tensor

from rheobase.models.reservoir.engine import Block, Engine
from rheobase.models.reservoir.product import SparseProduct, csr_tensor
from rheobase.models.reservoir.settings import Network
from rheobase.models.reservoir.wiring import Weights, build


@dataclass(frozen=True, eq=False)
class Inhibition:
    """The inhibitory weights of every seed and setting: ``s_i A_ij + a_i + excess`` at synapses."""

    scale: np.ndarray
    """(seed, unit, setting)"""
    shift: np.ndarray | None = None
    """(seed, unit, setting)"""
    excess: dict[tuple[int, int], csr_array] | None = None
    """(unit, unit) by seed and setting, where the weight is not ``s_i A_ij + a_i``."""

    def matrix(self, weights: Weights, seed: int, setting: int) -> csr_array:
        """Return the inhibitory weights (unit, unit), all at least 0, the pattern unchanged."""
        data = self.entries(weights, seed, setting)
        if self.excess and (more := self.excess.get((seed, setting))) is not None:
            rows = np.repeat(np.arange(len(self.scale[0])), np.diff(weights.inh.indptr))
            data = data + np.asarray(more[rows, weights.inh.indices]).ravel()
        return csr_array((np.maximum(data, 0), weights.inh.indices, weights.inh.indptr),
                         shape=weights.inh.shape)  # fmt: skip

    def entries(self, weights: Weights, seed: int, setting: int) -> np.ndarray:
        """Return ``s_i A_ij + a_i`` of every synapse, in the order of the matrix."""
        counts = np.diff(weights.inh.indptr)
        data = np.repeat(self.scale[seed, :, setting], counts) * weights.inh.data
        if self.shift is not None:
            data = data + np.repeat(self.shift[seed, :, setting], counts)
        return data


class BatchedReservoir(Engine):
    """Settings that share one wiring, drawn with several seeds."""

    resting = 0.5

    def __init__(
        self, networks: Sequence[Network], seeds: Sequence[int], *, channels: int,
        device: str = "cpu", dtype: torch.dtype = torch.float32,
        weights: Sequence[Weights] | None = None,
    ) -> None:  # fmt: skip
        """``weights`` are those of each seed where they were drawn before."""
        if not networks or not len(seeds):
            raise ValueError("the engine got no network or no seed; give at least one of each")
        for other in networks:
            if other.structure != networks[0].structure:
                raise ValueError(
                    f"networks of one engine share their wiring; {networks[0].structure} and "
                    f"{other.structure} differ, so give each its own engine"
                )
        self.networks, self.seed_numbers = list(networks), list(seeds)
        self.weights = list(weights or ()) or [
            build(networks[0], seed=seed, channels=channels) for seed in seeds
        ]
        self.seeds, self.settings, self.units = len(seeds), len(networks), networks[0].n_units
        self.channels, self.device, self.dtype = channels, device, dtype
        self.inhibition = self.unadapted()

    @property
    def leaky(self) -> bool:
        return any(np.max(network.leak) > 0 for network in self.networks)

    def unadapted(self) -> Inhibition:
        """Return inhibition as ``balance`` alone sets it."""
        balance = np.array([network.balance for network in self.networks])
        return Inhibition(np.broadcast_to(1 - balance, (self.seeds, self.units, self.settings)))

    def inhibitory(self, seed: int, setting: int) -> csr_array:
        """Return the inhibitory weights as they are now, (unit, unit), by places in the lists."""
        return self.inhibition.matrix(self.weights[seed], seed, setting)

    def dynamics(self, block: Block, recordings: int) -> Columns:
        return Columns(self, block, recordings)

    def column_values(self, name: str, block: Block) -> np.ndarray:
        """Return a hyperparameter of the block's settings, (1 or unit, setting)."""
        values = [np.atleast_1d(np.asarray(getattr(network, name), float))
                  for network in self.networks[block.settings]]  # fmt: skip
        longest = max(map(len, values))
        return np.stack([np.broadcast_to(value, longest) for value in values], axis=1)


class Columns:
    """The equations of one block; the potential here is ``gain V``."""

    def __init__(
        self, engine: BatchedReservoir, block: Block, recordings: int, *, split: bool = False
    ) -> None:
        self.split = split
        """Keep excitation and inhibition apart whatever the columns are."""
        self.engine, self.block, self.recordings = engine, block, recordings
        self.weights = engine.weights[block.seeds]
        gain = engine.column_values("gain", block)
        self.input_scale = engine.column_values("input_scale", block)[0] / np.sqrt(engine.channels)
        threshold = gain * engine.column_values("threshold", block)
        self.threshold = self._by_unit(threshold) if threshold.any() else None
        self.leak = self._by_unit(engine.column_values("leak", block)) if engine.leaky else None
        self.before: Tensor | None = None
        self.scale: Tensor | None = None
        self.shift: Tensor | None = None
        self.excess: Tensor | None = None
        self.gain = self._tensor(gain[0])
        self._couple(gain[0])

    def inputs(self, inputs: Tensor) -> Tensor:
        """Return inputs (time, seed or 1, channel, recording) scaled for each column."""
        return (inputs[:, :, :, None, :] * self.per_setting[:, None]).flatten(3, 4)

    def step(self, now: Tensor, potential: Tensor | None, after: Tensor) -> Tensor | None:
        """Write the next rates into ``after`` (seed, unit, column); returns the potential."""
        drive = self.drive(now).view(after.shape)
        if potential is not None and self.leak is not None:
            drive = potential.mul_(self.leak).add_(drive)
        if self.threshold is not None:
            drive = drive - self.threshold
        torch.sigmoid(drive, out=after)
        return potential

    def drive(self, now: Tensor) -> Tensor:
        """Return ``gain ((A_E - A_I) r + W_in u)``, (seed * unit, column)."""
        ahead = now if self.before is None else now * self.before
        made = self.product(ahead)
        if self.scale is None:
            return made
        parts = made.view(len(self.weights), -1, self.engine.units, made.shape[1])
        total = torch.addcmul(parts[:, 0], parts[:, 1], self.scale, value=-1)
        if self.shift is not None:
            total.addcmul_(parts[:, 2], self.shift, value=-1)
        if self.excess is not None:
            total -= (self.excess @ ahead.flatten()).view_as(total)
        return total

    def _couple(self, gain: np.ndarray) -> None:
        """Choose what is baked into the matrices and what columns do for themselves."""
        inhibition, uniform = self._own_inhibition(), np.ptp(gain) == 0
        scale, factor = inhibition.scale, gain[0] if uniform else 1.0
        before = np.tile(gain / factor, (self.engine.units + self.engine.channels, 1))
        rows = []
        for seed, one in enumerate(self.weights):
            if len(gain) == 1 and not self.split:
                rows.append([one.exc - inhibition.matrix(one, seed, 0)])
            elif self._by_column(inhibition):
                rows.append([one.exc - one.inh])
            else:
                rows.append([one.exc, one.inh, one.presence][: 2 + (inhibition.shift is not None)])
        if len(rows[0]) > 1:
            self._implicit(inhibition, factor)
        elif len(gain) > 1:
            before[self.weights[0].n_exc : self.engine.units] *= scale[0, 0]
        if not np.all(before == 1):
            self.before = self._wide(np.tile(before, (len(self.weights), 1)))
        self.per_setting = self._tensor(self.input_scale)
        stacks = [_stacked(parts, one.inputs, factor) for parts, one in
                  zip(rows, self.weights, strict=True)]  # fmt: skip
        columns = len(gain) * self.recordings
        self.product = SparseProduct(stacks, columns=columns, device=self.engine.device,
                                     dtype=self.engine.dtype)  # fmt: skip

    def _by_column(self, inhibition: Inhibition) -> bool:
        """Return whether a column scales all its inhibition alike."""
        apart = self.split or inhibition.shift is not None
        return not apart and not np.ptp(inhibition.scale, axis=(0, 1)).any()

    def _own_inhibition(self) -> Inhibition:
        whole, block = self.engine.inhibition, self.block
        at = (block.seeds, slice(None), block.settings)
        first = block.seeds.start or 0, block.settings.start or 0
        sizes = whole.scale[at].shape
        excess = None
        if whole.excess:
            excess = {
                (s - first[0], m - first[1]): value
                for (s, m), value in whole.excess.items()
                if 0 <= s - first[0] < sizes[0] and 0 <= m - first[1] < sizes[2]
            }
        shift = None if whole.shift is None else whole.shift[at]
        return replace(whole, scale=whole.scale[at], shift=shift, excess=excess or None)

    def _implicit(self, inhibition: Inhibition, factor: float) -> None:
        self.scale = self._wide(inhibition.scale)
        if inhibition.shift is not None:
            self.shift = self._wide(inhibition.shift)
        if inhibition.excess:
            self.excess = _between_columns(inhibition.excess, inhibition.scale.shape,
                                           self.recordings, factor, self.engine)  # fmt: skip

    def _tensor(self, values: np.ndarray) -> Tensor:
        copied = np.array(values, np.float64)
        return torch.as_tensor(copied, dtype=self.engine.dtype, device=self.engine.device)

    def _wide(self, values: np.ndarray) -> Tensor:
        """Return values (..., setting) for every recording, (..., column)."""
        return self._tensor(np.repeat(values, self.recordings, axis=-1))

    def _by_unit(self, values: np.ndarray) -> Tensor:
        """Return values (1 or unit, setting) as (1, 1 or unit, column)."""
        return self._wide(values[None])


def _stacked(parts: list[csr_array], inputs: np.ndarray, factor: float) -> csr_array:
    """Return the parts below each other, the input weights beside the first, all times factor."""
    empty = np.zeros_like(inputs)
    beside = [hstack([part, csr_array(empty if number else inputs)])
              for number, part in enumerate(parts)]  # fmt: skip
    return csr_array(factor * vstack(beside, format="csr"))


def _between_columns(
    excess: dict[tuple[int, int], csr_array], shape: tuple[int, ...], recordings: int,
    factor: float, engine: BatchedReservoir,
) -> Tensor:  # fmt: skip
    """Return a matrix from all entries of rates and inputs to those of the drive."""
    seeds, units, settings = shape
    columns, high = settings * recordings, units + engine.channels
    rows, cols, values = [], [], []
    for (seed, setting), matrix in excess.items():
        entries = matrix.tocoo()
        for recording in range(recordings):
            column = setting * recordings + recording
            rows.append((seed * units + entries.row) * columns + column)
            cols.append((seed * high + entries.col) * columns + column)
            values.append(factor * entries.data)
    size = (seeds * units * columns, seeds * high * columns)
    whole = csr_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(cols))),
                      shape=size)  # fmt: skip
    index, starts = (torch.as_tensor(a.astype(np.int32), device=engine.device)
                     for a in (whole.indices, whole.indptr))  # fmt: skip
    data = torch.as_tensor(whole.data, dtype=engine.dtype, device=engine.device)
    return csr_tensor(starts, index, data, size)

"""Many reservoirs at once: seeds block-diagonal, settings and recordings as columns.

A state is (seed, unit + channel, column): the inputs stand below the rates, so that one product
with the coupling and the input weights makes a step. A few steps lie in a ring that the processor's
cache holds; they are turned, time and unit last, into a chunk, and a full chunk goes to a sink. So
memory does not grow with time, and no step waits for a device. Blocks of seeds and columns that the
cache can hold run one after the other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from rheobase.models.reservoir.product import BAG_COLUMNS
from rheobase.models.reservoir.sequences import Batch, Inputs, batch, check_washout

CHUNK = 250
"""Steps that a sink gets at once (chosen here): five 50-step windows of the diagnostics."""
RING = 25
"""Steps in the ring (chosen here); a share of the chunk."""
CACHED = 1 << 16
"""Entries of the state of one seed that one block holds, so that it stays in the cache."""


@dataclass(frozen=True)
class Block:
    """The part of all reservoirs that runs together."""

    seeds: slice
    settings: slice
    recordings: slice


@dataclass(frozen=True)
class Layout:
    """What a sink will see."""

    seeds: int
    settings: int
    units: int
    lengths: tuple[int, ...]
    dtype: torch.dtype


@dataclass(frozen=True)
class State:
    """Where reservoirs stand between two runs."""

    rates: Tensor
    """(seed, unit, setting, recording)"""
    potential: Tensor | None = None
    """The same, gain times V; None without leak."""

    def part(self, block: Block) -> State:
        """Return the state of one block."""
        at = (block.seeds, slice(None), block.settings)
        kept = []
        for whole in (self.rates, self.potential):
            if whole is not None and whole.shape[3] > 1:
                whole = whole[..., block.recordings]
            kept.append(None if whole is None else whole[at])
        return State(*kept)


class Sink(Protocol):
    """What becomes of the states."""

    def open(self, layout: Layout) -> None:
        """Make room."""
        ...

    def take(self, states: Tensor, start: int, block: Block) -> None:
        """Take states (seed, setting, recording, time, unit), the first of them of time ``start``.

        The tensor is overwritten afterwards. Rows behind a recording's length are padding.
        """
        ...


class Dynamics(Protocol):
    """The equations of one block."""

    def inputs(self, inputs: Tensor) -> Tensor:
        """Return inputs (time, seed or 1, channel, recording) scaled for each column, the last."""
        ...

    def step(self, now: Tensor, potential: Tensor | None, after: Tensor) -> Tensor | None:
        """Write the next rates into ``after`` (seed, unit, column); returns the potential.

        ``now`` holds the rates and the inputs, (seed * (unit + channel), column).
        """
        ...


class Engine(ABC):
    """Runs the settings of some reservoirs with several seeds on recordings."""

    seeds: int
    settings: int
    units: int
    channels: int
    device: str
    dtype: torch.dtype
    resting: float
    """The rate from which every recording starts."""
    state: State | None = None
    """Where the last run ended; right only where recordings have one length."""

    @abstractmethod
    def dynamics(self, block: Block, recordings: int) -> Dynamics:
        """Return the equations of a block."""

    @property
    def leaky(self) -> bool:
        """Return whether a potential is carried beside the rates."""
        return False

    def states(
        self, inputs: Inputs | Batch, *, start: State | None = None, washout: int = 0
    ) -> np.ndarray:
        """Return all states, (seed, setting, recording, time, unit).

        That of time t depends on inputs up to and with t; the first is that of ``washout``; behind
        the end of a recording stands NaN. Memory grows with time: see ``run``.
        """
        kept = Kept()
        self.run(inputs, sink=kept, start=start)
        return kept.states[:, :, :, washout:]

    def run(
        self, inputs: Inputs | Batch, *, sink: Sink, start: State | None = None, washout: int = 0
    ) -> None:
        """Drive the reservoirs; the sink gets the states from sample ``washout`` on.

        Every recording begins at rest, or at ``start``. Raises ``ValueError`` for inputs of other
        channels or seeds, and for a recording that is not longer than the washout.
        """
        given = inputs if isinstance(inputs, Batch) else batch(inputs)
        self._check(given)
        check_washout(given.lengths, washout)
        sink.open(Layout(self.seeds, self.settings, self.units, given.lengths, self.dtype))
        ends = []
        for block in self._blocks(given.recordings):
            dynamics = self.dynamics(block, len(range(given.recordings)[block.recordings]))
            end = self._run_block(block, dynamics, given, sink, start, washout)
            ends.append((block, end))
        self.state = self._joined(ends, given.recordings)

    @torch.inference_mode()
    def _run_block(
        self, block: Block, dynamics: Dynamics, given: Batch, sink: Sink, start: State | None,
        washout: int,
    ) -> State:  # fmt: skip
        seeds, settings = (len(range(n)[s]) for n, s in (
            (self.seeds, block.seeds), (self.settings, block.settings)))  # fmt: skip
        recordings = len(range(given.recordings)[block.recordings])
        shape = (seeds, self.units, settings, recordings)
        rates, potential = self._begin(start, block, shape)
        duration = max(given.lengths[block.recordings])
        columns, high = settings * recordings, self.units + self.channels
        room = {"dtype": self.dtype, "device": self.device}
        ring = torch.empty((RING + 1, seeds, high, columns), **room)
        chunk = torch.empty((columns, seeds, min(CHUNK, duration), self.units), **room)
        told = chunk.view(settings, recordings, *chunk.shape[1:]).permute(2, 0, 1, 3, 4)
        ring[0, :, : self.units] = rates
        now, after = ring.flatten(1, 2).unbind(), ring[:, :, : self.units].unbind()
        rows = chunk.unbind(2)
        for first in range(0, duration, RING):
            length, place = min(RING, duration - first), first % CHUNK
            ring[:length, :, self.units :] = dynamics.inputs(
                self._inputs(given, block, first, length)
            )
            for t in range(length):
                potential = dynamics.step(now[t], potential, after[t + 1])
            for t in range(length):
                rows[place + t].copy_(after[t + 1].permute(2, 0, 1))
            ring[0] = ring[length]
            if (end := place + length) == CHUNK or first + length == duration:
                begun = first + length - end
                if (skipped := max(washout - begun, 0)) < end:
                    sink.take(told[:, :, :, skipped:end], begun + skipped, block)
        rates = ring[0, :, : self.units].reshape(shape).clone()
        return State(rates, None if potential is None else potential.view(shape))

    def _inputs(self, given: Batch, block: Block, first: int, length: int) -> Tensor:
        """Return inputs (time, seed or 1, channel, recording) on the device."""
        seeds = block.seeds if given.values.shape[0] > 1 else slice(None)
        part = given.values[seeds, block.recordings, first : first + length]
        moved = np.ascontiguousarray(part.transpose(2, 0, 3, 1))
        return torch.as_tensor(moved, dtype=self.dtype, device=self.device)

    def _begin(
        self, start: State | None, block: Block, shape: tuple[int, ...]
    ) -> tuple[Tensor, Tensor | None]:
        """Return rates and potential, (seed, unit, column), from which a block starts."""
        own = start.part(block) if start else State(self._full(self.resting, shape))
        potential = own.potential
        if potential is None and self.leaky:
            potential = self._full(0.0, shape)
        rates = own.rates.expand(shape).flatten(2)
        return rates, None if potential is None else potential.expand(shape).flatten(2).clone()

    def _full(self, value: float, shape: tuple[int, ...]) -> Tensor:
        return torch.full(shape, value, dtype=self.dtype, device=self.device)

    def _blocks(self, recordings: int) -> Iterator[Block]:
        """Yield blocks that together are everything."""
        most = self._most_columns()
        by_recording = _even(recordings, most)
        by_setting = _even(self.settings, max(1, most // recordings))
        wide = self.settings * recordings >= BAG_COLUMNS and self.device == "cpu"
        by_seed = _even(self.seeds, 1 if wide else self.seeds)
        for seeds in by_seed:
            for settings in by_setting:
                for part in by_recording:
                    yield Block(seeds, settings, part)

    def _most_columns(self) -> int:
        if self.device == "cpu":
            return max(2 * BAG_COLUMNS, min(64, CACHED // self.units))
        return max(1, (1 << 28) // (CHUNK * self.seeds * self.units))

    def _joined(self, ends: Sequence[tuple[Block, State]], recordings: int) -> State:
        shape = (self.seeds, self.units, self.settings, recordings)
        rates = self._full(0.0, shape)
        potential = self._full(0.0, shape) if self.leaky else None
        for block, end in ends:
            at = (block.seeds, slice(None), block.settings, block.recordings)
            rates[at] = end.rates
            if potential is not None and end.potential is not None:
                potential[at] = end.potential
        return State(rates, potential)

    def _check(self, given: Batch) -> None:
        if given.channels != self.channels:
            raise ValueError(
                f"the input has {given.channels} channels and the reservoir was built for "
                f"{self.channels}; give the same"
            )
        if given.values.shape[0] not in (1, self.seeds):
            raise ValueError(
                f"there are inputs for {given.values.shape[0]} seeds and {self.seeds} reservoirs; "
                "give one input for all, or one each"
            )


class Kept:
    """A sink that keeps all states; its memory grows with time."""

    states: np.ndarray

    def open(self, layout: Layout) -> None:
        shape = (layout.seeds, layout.settings, len(layout.lengths), max(layout.lengths))
        dtype = np.float64 if layout.dtype == torch.float64 else np.float32
        self.states = np.full((*shape, layout.units), np.nan, dtype)
        self.lengths = layout.lengths

    def take(self, states: Tensor, start: int, block: Block) -> None:
        found = states.cpu().numpy()
        for number, recording in enumerate(range(len(self.lengths))[block.recordings]):
            kept = found[:, :, number, : max(self.lengths[recording] - start, 0)]
            at = slice(start, start + kept.shape[2])
            self.states[block.seeds, block.settings, recording, at] = kept


def _even(count: int, most: int) -> list[slice]:
    """Return slices of nearly equal length, none longer than ``most``."""
    parts = -(-count // most)
    ends = [round(i * count / parts) for i in range(parts + 1)]
    return [slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]

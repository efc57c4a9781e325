"""Inhibition brought to where every unit reaches its target rate.

One step (no simulation), with the mean input and the targets rho as the fixed point:

    omega_i = [(A_E rho)_i + (W_in u)_i - (1 - leak_i)(theta_i + phi^-1(rho_i))] / (A_I rho)_i

Iterative (Srinivasan et al. 2025), at every step for all inhibitory synapses of unit i:

    A_I[i, j] <- max(0, A_I[i, j] + delta (r_i - rho_i))

While no synapse meets 0 this adds one number ``a_i`` to all of them: the implicit form, O(unit) a
step and one matrix for all columns. The explicit form keeps every synapse of every column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.sparse import csr_array
from torch import Tensor

from rheobase.models.reservoir.batched import BatchedReservoir, Inhibition
from rheobase.models.reservoir.engine import Block, Layout
from rheobase.models.reservoir.learning import Learning, LearningExplicitly
from rheobase.models.reservoir.sequences import Batch, Inputs, batch
from rheobase.models.reservoir.settings import Adapt, logit

Mode = Literal["implicit", "explicit"]
MOST_CUT = 0.01
"""Above this share of synapses that would be negative the explicit rule is taken."""


@dataclass(frozen=True, eq=False)
class AdaptReport:
    """What adaptation did, by seed and setting."""

    mode: Mode
    targets: np.ndarray
    """(seed, unit, setting); NaN where a setting is not adapted"""
    scale: np.ndarray
    """omega of the one-step design, (seed, unit, setting); 1 without it"""
    silenced: np.ndarray
    """Units whose omega was below 0 and is held there, (seed, setting)"""
    without: np.ndarray
    """Units without an inhibitory input, which cannot adapt, (seed,)"""
    cut: np.ndarray
    """Share of inhibitory synapses at 0, (seed, setting)"""


class _Nothing:
    def open(self, layout: Layout) -> None:
        pass

    def take(self, states: Tensor, start: int, block: Block) -> None:
        pass


def adapt(
    engine: BatchedReservoir, inputs: Inputs | Batch, adapts: Sequence[Adapt | None], *,
    mode: Mode = "implicit",
) -> AdaptReport:  # fmt: skip
    """Adapt each setting (None: not at all) to its own training input; the engine keeps the result.

    Several recordings are run one after the other; what is shorter than the schedule is repeated.
    ``engine.state`` is where the last step ended, for all. With ``implicit`` the explicit rule is
    taken where more than 1 % of a setting's synapses would be negative.
    """
    one = _joined(inputs if isinstance(inputs, Batch) else batch(inputs))
    engine._check(one)
    _refuse(engine, adapts)
    targets = _targets(engine, adapts)
    engine.inhibition = engine.unadapted()
    scale, silenced = _one_step(engine, one.values[:, 0].mean(axis=1), adapts, targets)
    start = replace(engine.inhibition, scale=engine.inhibition.scale * scale)
    rates = _learning_rates(adapts)
    engine.inhibition, cut = start, np.zeros((engine.seeds, engine.settings))
    if len(rates):
        learned = _learn(engine, one, start, targets, rates, mode)
        cut = _cut(engine, learned)
        if mode == "implicit" and cut.max() > MOST_CUT:
            mode = "explicit"
            learned = _learn(engine, one, start, targets, rates, mode)
            cut = _cut(engine, learned)
        engine.inhibition = _held(engine, learned)
    without = np.array([int((np.diff(w.inh.indptr) == 0).sum()) for w in engine.weights])
    return AdaptReport(mode, targets, scale, silenced, without, cut)


def _refuse(engine: BatchedReservoir, adapts: Sequence[Adapt | None]) -> None:
    if len(adapts) != engine.settings:
        raise ValueError(
            f"there are {len(adapts)} ways to adapt for {engine.settings} settings; give one each"
        )
    for network, way in zip(engine.networks, adapts, strict=True):
        if way and network.balance == 1:
            raise ValueError("balance is 1, so no inhibition is left to adapt; take a lower one")


def _joined(given: Batch) -> Batch:
    parts = [given.values[:, r, :length] for r, length in enumerate(given.lengths)]
    values = np.concatenate(parts, axis=1)[:, None]
    return Batch(values, (values.shape[2],))


def _targets(engine: BatchedReservoir, adapts: Sequence[Adapt | None]) -> np.ndarray:
    rates = np.full((engine.seeds, engine.units, engine.settings), np.nan)
    for s, seed in enumerate(engine.seed_numbers):
        for m, way in enumerate(adapts):
            if way and way.enabled:
                rates[s, :, m] = way.target.rates(engine.units, seed)
    return rates


def _one_step(
    engine: BatchedReservoir, mean_input: np.ndarray, adapts: Sequence[Adapt | None],
    targets: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return omega (seed, unit, setting) and how many of them were held at 0 (seed, setting)."""
    omega = np.ones_like(targets)
    silenced = np.zeros((engine.seeds, engine.settings), int)
    for s, weights in enumerate(engine.weights):
        drive = weights.inputs @ mean_input[min(s, len(mean_input) - 1)]
        for m, (network, way) in enumerate(zip(engine.networks, adapts, strict=True)):
            if not way or not way.enabled or way.method == "iterative":
                continue
            rho = targets[s, :, m]
            wanted = np.asarray(network.threshold) + logit(rho, network.gain)
            above = weights.exc @ rho + network.input_scale / np.sqrt(engine.channels) * drive
            above = above - (1 - np.asarray(network.leak)) * wanted
            below = (1 - network.balance) * (weights.inh @ rho)
            found = np.divide(above, below, out=np.ones_like(above), where=below > 0)
            silenced[s, m] = int((found < 0).sum())
            omega[s, :, m] = np.maximum(found, 0)
    return omega, silenced


def _learning_rates(adapts: Sequence[Adapt | None]) -> np.ndarray:
    """Return delta of every step and setting, (step, setting); 0 where a setting is finished."""
    each = []
    for way in adapts:
        learns = way and way.enabled and way.method != "one_step"
        phases = way.schedule if way and learns else ()
        each.append(np.concatenate([np.full(int(n), rate) for n, rate in phases] or [[]]))
    rates = np.zeros((max(map(len, each)), len(each)))
    for m, own in enumerate(each):
        rates[: len(own), m] = own
    return rates


@dataclass(frozen=True, eq=False)
class _Learned:
    start: Inhibition
    shift: np.ndarray
    """(seed, unit, setting)"""
    values: dict[tuple[int, int], np.ndarray]
    """Every synapse by seed and setting; empty after the implicit rule"""

    def entries(self, engine: BatchedReservoir, s: int, m: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the synapses of the implicit form, and what they truly are."""
        form = replace(self.start, shift=self.shift).entries(engine.weights[s], s, m)
        return form, np.maximum(self.values.get((s, m), form), 0)


def _learn(
    engine: BatchedReservoir, one: Batch, start: Inhibition, targets: np.ndarray,
    rates: np.ndarray, mode: Mode,
) -> _Learned:  # fmt: skip
    steps = len(rates)
    values = one.values[:, :, np.arange(steps) % one.values.shape[2]]
    driven, shift = Batch(values, (steps,)), np.zeros_like(targets)
    engine.inhibition = replace(start, shift=shift)
    synapses: dict[tuple[int, int], np.ndarray] = {}
    kind, ends = Learning if mode == "implicit" else LearningExplicitly, []
    for block in engine._blocks(1):
        learning = kind(engine, block, targets, rates)
        ends.append((block, engine._run_block(block, learning, driven, _Nothing(), None, 0)))
        shift[block.seeds, :, block.settings] = learning.learned.cpu().numpy()
        for (s, m), found in learning.synapses().items():
            synapses[s + (block.seeds.start or 0), m + (block.settings.start or 0)] = found
    engine.state = engine._joined(ends, 1)
    return _Learned(start, shift, synapses)


def _cut(engine: BatchedReservoir, learned: _Learned) -> np.ndarray:
    """Return the share of synapses that are at 0 or, in implicit form, below it."""
    return np.array([
        [np.mean(learned.entries(engine, s, m)[1] <= 0) for m in range(engine.settings)]
        for s in range(engine.seeds)
    ])  # fmt: skip


def _held(engine: BatchedReservoir, learned: _Learned) -> Inhibition:
    """Return the inhibition that was learnt, no synapse below 0."""
    excess = {}
    for s, weights in enumerate(engine.weights):
        rows = np.repeat(np.arange(engine.units), np.diff(weights.inh.indptr))
        for m in range(engine.settings):
            form, true = learned.entries(engine, s, m)
            at = np.flatnonzero(np.abs(true - form) > 1e-7 * weights.inh.data.mean())
            if len(at):
                place = (rows[at], weights.inh.indices[at])
                excess[s, m] = csr_array(((true - form)[at], place), shape=weights.inh.shape)
    return replace(learned.start, shift=learned.shift, excess=excess or None)

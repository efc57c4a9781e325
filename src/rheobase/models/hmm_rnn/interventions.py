"""What becomes of switching when kick neurons and their inputs are turned down, up or held.

Gains from 0 to 1.9 on the recurrent input of a set, on the noise of the units that project to it,
and, for comparison, on the noise of units that do not; and the set held at 0 and at its mean. All
run on the same noise. A fall of the rate with the gain is Spearman's correlation over gains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from rheobase.models.hmm_rnn.activity import Activity, Change, classes, walk
from rheobase.models.hmm_rnn.kick import gain_of
from rheobase.models.hmm_rnn.linearised import eigenvalues
from rheobase.models.hmm_rnn.network import Emulator
from rheobase.models.hmm_rnn.switches import simulated

GAINS = tuple(round(0.1 * k, 1) for k in range(20))
GROUPS = ("kick recurrent", "projecting noise", "other noise")
HELD = ("at 0", "at its mean")
PROJECTING, APART = 35 / 150, 60 / 150
"""Units with the largest weights to a kick neuron that count as projecting, and those beyond which
a unit does not; the paper's 35 and 60 of 150. The paper has them the other way round, so that its
two groups overlap."""
AROUND, PAIR_GAINS, IMAGINARY = 15, (0.0, 0.5, 1.0, 1.9), 0.06
PAIR_STATES = 300
FEWEST_GAINS = 5


@dataclass(frozen=True)
class Gains:
    """Rates in one direction of one member under gains and held units."""

    gains: tuple[float, ...]
    rates: Tensor
    """(group, gain) switches a step in the class that is left."""
    reverse: Tensor
    """(group, gain) those of the opposite direction."""
    occupancy: Tensor
    """(group, gain, class)"""
    held: Tensor
    """(held,) rates with the set held."""
    trend: np.ndarray
    """(group,) rank correlation of rate and gain; NaN where the rate never changes."""
    critical_pairs: Tensor
    """(group, gain of ``PAIR_GAINS``) critical pairs within 15 steps of switches; NaN without."""
    projecting: Tensor
    """(unit,) whether a unit projects to the set."""
    apart: Tensor
    """(unit,) whether it is one of the others."""


def projections(Wh: Tensor, units: Tensor) -> tuple[Tensor, Tensor]:
    """Return which units project to kick neurons and which do not, (unit,) each.

    Projecting: among the 23 % of largest weight, in size, to any of the neurons. Apart: outside the
    40 % of every one of them. The neurons themselves are neither.
    """
    weights = Wh.detach()[units].abs()
    rank = weights.argsort(-1, descending=True).argsort(-1)
    size = Wh.shape[-1]
    itself = torch.isin(torch.arange(size, device=Wh.device), units)
    near = (rank < round(PROJECTING * size)).any(0)
    nearest = (rank < round(APART * size)).any(0)
    return near & ~itself, ~nearest & ~itself


def curves(
    net: Emulator,
    activity: Activity,
    units: Tensor,
    direction: tuple[int, int],
    generator: torch.Generator,
    *,
    gains: tuple[float, ...] = GAINS,
    trajectories: int = 64,
    steps: int = 250,
    pair_states: int = PAIR_STATES,
) -> Gains:
    """Return how the rate of a direction moves with gains, for one member (``net`` has one)."""
    a, b = direction
    near, apart = projections(net.Wh[0], units)
    recurrent, noise = _gains(units, near, apart, gains)
    held = torch.full((len(HELD), net.units), torch.nan, device=near.device)
    held[0, units] = 0
    held[1, units] = activity.states[0, ..., units].mean((0, 1))
    one = torch.ones_like(held)
    free = torch.full_like(recurrent, torch.nan)
    change = Change(torch.cat([recurrent, one])[None], torch.cat([noise, one])[None],
                    torch.cat([free, held])[None])  # fmt: skip
    found = simulated(net, [generator], change, trajectories=trajectories, steps=steps)
    shape = (len(GROUPS), len(gains))
    rates, last = found.rates[0], len(recurrent)
    curve = rates[:last, a, b].view(shape)
    pairs = _critical(net, [generator], recurrent, noise, gains, pair_states)
    return Gains(gains, curve, rates[:last, b, a].view(shape),
                 found.occupancy[0, :last].view(*shape, -1), rates[last:, a, b],
                 _trend(gains, curve.cpu().numpy()), pairs, near, apart)  # fmt: skip


def _gains(
    units: Tensor, near: Tensor, apart: Tensor, gains: Sequence[float]
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return recurrent and noise gains, (group x gain, unit) each."""
    size = len(near)
    one = torch.ones(size, device=near.device)
    kicked = [gain_of(units, size, gain) for gain in gains]
    scaled = [torch.where(part, gain, one) for part in (near, apart) for gain in gains]
    recurrent = torch.stack([*kicked, *[one] * len(scaled)])
    return recurrent, torch.stack([*[one] * len(kicked), *scaled])


def _trend(gains: Sequence[float], rates: np.ndarray) -> np.ndarray:
    """Return the rank correlation of each row (group, gain) with the gains where there is a rate.

    NaN where fewer than five gains have one, or all are equal.
    """
    found = np.full(len(rates), np.nan)
    for k, row in enumerate(rates):
        known = np.isfinite(row)
        if known.sum() >= FEWEST_GAINS and np.ptp(row[known]) > 0:
            found[k] = spearmanr(np.asarray(gains)[known], row[known])[0]
    return found


def _critical(
    net: Emulator, generators: Sequence[torch.Generator], recurrent: Tensor, noise: Tensor,
    gains: Sequence[float], count: int,
) -> Tensor:  # fmt: skip
    """Return mean critical pairs around switches, (group, gain of ``PAIR_GAINS``)."""
    used = [gains.index(gain) for gain in PAIR_GAINS if gain in gains]
    rows = [g * len(gains) + k for g in range(len(GROUPS)) for k in used]
    change = Change(recurrent[rows][None], noise[rows][None])
    going = walk(net, generators, trajectories=16, steps=250, change=change)
    states = torch.stack(list(going), 3)[0, :, :, 50:]
    path = classes(net, states[None])[0]
    found = torch.full((len(rows),), torch.nan, dtype=torch.float64, device=states.device)
    for v, row in enumerate(rows):
        near = _around(path[v])[:, :-1]
        gates = states[v][:, 1:][near] > 0
        if len(gates):
            at = torch.linspace(0, len(gates) - 1, min(count, len(gates))).round().long()
            Wh = recurrent[row][None, :, None] * net.Wh
            kinds = eigenvalues(Wh, gates[at][None], imaginary=IMAGINARY)
            found[v] = kinds.critical_pairs.mean()
    return found.view(len(GROUPS), len(used))


def _around(path: Tensor) -> Tensor:
    """Return the steps within 15 of a switch, (trajectory, time)."""
    switched = torch.zeros_like(path, dtype=torch.float32)
    switched[:, 1:] = (path[:, 1:] != path[:, :-1]).float()
    width = 2 * AROUND + 1
    return torch.nn.functional.max_pool1d(switched[:, None], width, 1, AROUND)[:, 0] > 0

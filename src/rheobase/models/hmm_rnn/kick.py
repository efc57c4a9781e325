"""Kick neurons: the few units without whose recurrent input a network leaves a class less often.

Torre et al. (2025) list them by hand; the rule here is causal. Units are ranked by what silencing
the recurrent input of one of them does to the rate of switching from a to b. The first few are then
silenced, and driven, together, under fresh noise, beside random sets of as many active units under
the same noise. A set that was picked by its effect beats random ones wherever units differ at all,
in untrained networks too: so the rule is also run on those, and its ratios stand beside theirs. How
far a unit's input differs before switches is told, and decides nothing: sets
chosen by it can raise switching.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import false_discovery_control
from torch import Tensor

from rheobase.models.hmm_rnn.activity import Activity, Change, simulate
from rheobase.models.hmm_rnn.network import Emulator
from rheobase.models.hmm_rnn.switches import FEWEST, Switches, counted, simulated

SIZE, DRIVEN = 3, 1.9
"""Units of a set, and the gain at which it is driven."""
ACTIVE = 0.02
"""Share of steps at which a unit of a random set is active, at least."""
FALLS, RISES, ALPHA = 0.75, 1.3, 0.05


@dataclass(frozen=True)
class Sizes:
    """How much is simulated; the numbers are those of the spec of this project."""

    set_size: int = SIZE
    random_sets: int = 200
    ranked: tuple[int, int] = (64, 150)
    """Trajectories and steps in which units are ranked."""
    tested: tuple[int, int] = (192, 250)
    """Those in which sets are tested."""


@dataclass(frozen=True)
class Kick:
    """What is found, (member, from, to) unless said otherwise; NaN where nothing can be said."""

    switches: Tensor
    """Switches in the simulation that nothing was done to."""
    tested: Tensor
    """Whether there were enough of them, and enough units that lower the rate."""
    effects: Tensor
    """(member, unit, from, to) log ratio of the rate without the unit's recurrent input."""
    sets: Tensor
    """(member, from, to, rank) units of each set; -1 where none is tested."""
    rate: Tensor
    """Switches a step in the class that is left, nothing done."""
    silenced: Tensor
    """Ratio of the rate with the set silenced."""
    driven: Tensor
    """Ratio with the set's recurrent input times 1.9."""
    random: Tensor
    """(member, from, to, set) ratios of random sets; NaN where one was never in the class."""
    p: Tensor
    """Share of random sets that lower the rate as much, the tested set counted with them."""

    @property
    def p_corrected(self) -> Tensor:
        """Return p corrected for the directions tested in the member (Benjamini and Hochberg)."""
        found = self.p.clone()
        for m, tested in enumerate(self.tested):
            if tested.any():
                corrected = false_discovery_control(self.p[m, tested].cpu().numpy())
                found[m, tested] = torch.as_tensor(corrected).to(found)
        return found

    @property
    def confirmed(self) -> Tensor:
        """Return whether silencing lowers, driving raises, and few random sets do as much."""
        causal = (self.silenced <= FALLS) & (self.driven >= RISES)
        return self.tested & causal & (self.p_corrected <= ALPHA)


def find(
    net: Emulator,
    activity: Activity,
    generators: Sequence[torch.Generator],
    *,
    sizes: Sizes | None = None,
) -> Kick:
    """Return the sets of every direction with at least 200 switches, and their tests."""
    size = sizes or Sizes()
    base = counted(activity.classes, net.symbols)
    if size.set_size >= net.units:
        raise ValueError(f"a set of {size.set_size} of {net.units} units leaves none; take fewer")
    effects = ranked(net, generators, size)
    lowering = torch.where(effects < 0, effects, torch.inf)
    best = lowering.sort(1)
    enough = torch.isfinite(best.values[:, size.set_size - 1])
    tested = (base.counts[:, 0] >= FEWEST) & enough
    tested &= ~torch.eye(net.symbols, dtype=torch.bool, device=tested.device)
    sets = best.indices[:, : size.set_size].movedim(1, -1)
    sets = torch.where(tested[..., None], sets, -1)
    return _tested(net, activity, generators, size, base, effects, tested, sets)


def ranked(net: Emulator, generators: Sequence[torch.Generator], size: Sizes) -> Tensor:
    """Return what silencing each unit's recurrent input does, (member, unit, from, to).

    Log ratio of the directed rate; NaN where a class is hardly visited.
    """
    alone = 1 - torch.eye(net.units, device=net.Wh.device)
    gains = torch.cat([torch.ones_like(alone[:1]), alone]).expand(net.members, -1, -1)
    trajectories, steps = size.ranked
    found = simulated(net, generators, Change(recurrent=gains), trajectories=trajectories,
                      steps=steps)  # fmt: skip
    return found.ratio()[:, 1:].log()


def gain_of(sets: Tensor, units: int, gain: float) -> Tensor:
    """Return gains (..., unit) that are ``gain`` in the sets (..., rank) and 1 elsewhere."""
    inside = torch.zeros((*sets.shape[:-1], units), dtype=torch.bool, device=sets.device)
    inside.scatter_(-1, sets.clamp(min=0), sets >= 0)
    return torch.where(inside, gain, 1.0)


def random_sets(
    activity: Activity, count: int, size: int, generators: Sequence[torch.Generator]
) -> Tensor:
    """Return sets of units that are active in at least 2 % of steps, (member, set, rank)."""
    share = (activity.states > 0).float().mean((1, 2))
    drawn = torch.stack([torch.rand((count, share.shape[1]), generator=g, device=g.device)
                         for g in generators])  # fmt: skip
    drawn = drawn + torch.where(share >= ACTIVE, 0.0, 1.0)[:, None]
    return drawn.argsort(-1)[..., :size]


@dataclass(frozen=True)
class Untrained:
    """What the rule finds in networks of the same size that were never trained."""

    tested: int
    """Directions of all of them."""
    confirmed: int
    silenced: np.ndarray
    """(direction,) ratios with the set silenced."""

    def p(self, ratio: float) -> float:
        """Return the share of these directions whose ratio is as low, this one counted too."""
        return (1 + int((self.silenced <= ratio).sum())) / (1 + len(self.silenced))


def untrained(net: Emulator, *, seeds: Sequence[int], sizes: Sizes | None = None) -> Untrained:
    """Return what the rule finds in untrained networks, one a seed."""
    device = net.Wh.device
    fresh = Emulator(net.units, net.noise, net.symbols, seeds=seeds).to(device)
    generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
    seen = simulate(fresh, generators, steps=1000)
    kicks = find(fresh, seen, generators, sizes=sizes)
    ratios = kicks.silenced[kicks.tested].cpu().numpy()
    return Untrained(len(ratios), int(kicks.confirmed.sum()), ratios)


def _tested(
    net: Emulator, activity: Activity, generators: Sequence[torch.Generator], size: Sizes,
    base: Switches, effects: Tensor, tested: Tensor, sets: Tensor,
) -> Kick:  # fmt: skip
    members, shape = net.members, tested.shape
    a, b = torch.nonzero(tested.any(0)).unbind(1)
    own = sets[:, a, b]
    chance = random_sets(activity, size.random_sets, size.set_size, generators)
    one = torch.ones((members, 1, net.units), device=net.Wh.device)
    gains = [one] + [gain_of(part, net.units, gain) for part, gain in
                     ((own, 0.0), (own, DRIVEN), (chance, 0.0))]  # fmt: skip
    trajectories, steps = size.tested
    found = simulated(net, generators, Change(recurrent=torch.cat(gains, 1)),
                      trajectories=trajectories, steps=steps)  # fmt: skip
    ratio, count = found.ratio()[:, :, a, b], len(a)
    at = torch.arange(count, device=ratio.device)
    silenced, driven = ratio[:, 1 + at, at], ratio[:, 1 + count + at, at]
    others = ratio[:, 1 + 2 * count :].mT
    as_low = (others <= silenced[..., None]) | others.isnan() | silenced.isnan()[..., None]
    p = (1 + as_low.sum(-1)) / (1 + others.shape[-1])
    told = []
    for values in (silenced, driven, p.to(ratio), others):
        full = torch.full((*shape, *values.shape[2:]), torch.nan, dtype=ratio.dtype,
                          device=ratio.device)  # fmt: skip
        full[:, a, b] = values
        full[~tested] = torch.nan
        told.append(full)
    silenced, driven, p, others = told
    return Kick(base.counts[:, 0], tested, effects, sets, found.rates[:, 0], silenced, driven,
                others, p)  # fmt: skip

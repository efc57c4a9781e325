"""Everything that is asked of trained emulators, each member by itself: what is there and what not.

All of it is simulated: it describes the emulator, not the recording whose chain it emulates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from rheobase.models.hmm_rnn import (
    activity,
    before_switches,
    evolution,
    fixed_points,
    interventions,
    kick,
    linearised,
    noise_sweeps,
    orbits,
    plane,
    residency,
    resonance,
)
from rheobase.models.hmm_rnn.activity import Activity
from rheobase.models.hmm_rnn.connectivity import Blocks, blocks
from rheobase.models.hmm_rnn.network import Emulator, member
from rheobase.models.hmm_rnn.targets import Target

if TYPE_CHECKING:
    import xarray as xr

Direction = tuple[int, int]
Swept = tuple[noise_sweeps.Sweep | None, resonance.Coherence | None, resonance.Coherence | None]


@dataclass(frozen=True)
class Settings:
    """How much is simulated; numbers of the paper where it gives them."""

    trajectories: int = 16
    steps: int = 5000
    fixed_states: int = 256
    """Visited states that are followed without noise."""
    states: int = 2000
    """Visited states whose stay is measured."""
    roll_outs: int = 20
    eigen_states: int = 600
    kick: kick.Sizes = field(default_factory=kick.Sizes)
    untrained: int = 5
    """Untrained networks on which the kick rule is tried."""
    curves: int = 6
    """Directions of a member, those with most switches, whose sets are turned down and up."""
    sequences: int = 512
    length: int = 60
    """Sequences, and their steps, that are scored at each size of the noise."""
    resonance_steps: int = 5000
    """0: no resonance, and no sweep of the noise."""


SETTINGS = {
    "tiny": Settings(trajectories=8, steps=300, fixed_states=30, states=60, roll_outs=4,
                     eigen_states=30, untrained=1, curves=1, sequences=64, resonance_steps=0,
                     kick=kick.Sizes(random_sets=20, ranked=(16, 60), tested=(32, 60))),
    "standard": Settings(),
    "demo": Settings(steps=1000, states=500, roll_outs=10, eigen_states=300, untrained=3,
                     kick=kick.Sizes(random_sets=60, tested=(64, 150)), resonance_steps=0),
}  # fmt: skip


@dataclass(frozen=True)
class Anatomy:
    """What the parts of the analysis return; members along the first axis, or a list of them."""

    names: tuple[str, ...]
    """Of the classes."""
    activity: Activity
    states: Tensor
    """(member, state, unit) those whose stay is measured."""
    decay: fixed_points.Decay
    slowest: Tensor
    axes: plane.Plane
    alignment: tuple[Tensor, Tensor]
    rotation: orbits.Rotation
    phase: Tensor
    pairs: list[list[orbits.PairOrbit]]
    residency: residency.Residency
    eigenvalues: linearised.Eigenvalues
    """Of steps without noise from some of the states."""
    noisy_eigenvalues: linearised.Eigenvalues
    """Of the steps with noise that led to them."""
    kick: kick.Kick
    untrained: kick.Untrained
    before: before_switches.Before
    blocks: list[dict[Direction, Blocks]]
    curves: list[dict[Direction, interventions.Gains]]
    sensitivity: noise_sweeps.Sensitivity
    sweep: noise_sweeps.Sweep | None = None
    shaken: resonance.Coherence | None = None
    drawn: resonance.Coherence | None = None
    evolution: evolution.Evolution | None = None

    @property
    def symbols(self) -> int:
        return len(self.names)

    @property
    def orbit(self) -> Tensor:
        """Return whether noise sustains an orbit round a single fixed point, (member,).

        A turn must take no longer than what was simulated.
        """
        within = self.rotation.period <= self.activity.states.shape[2]
        return self.decay.single & self.rotation.turning & within


@dataclass(frozen=True)
class Findings:
    """All of it, ready for a report."""

    arrays: xr.Dataset
    flags: tuple[dict[str, bool], ...]
    """Of each member: single_fixed_point, noise_sustained_orbit, kick_confirmed, resonance."""
    statements: tuple[tuple[str, ...], ...]
    """Of each member, sentences that its numbers bear out."""
    parts: Mapping[str, tuple[tuple[str, ...], ...]]
    """The same sentences by part of the analysis."""


def reverse_engineer(
    net: Emulator,
    target: Target,
    *,
    seed: int,
    settings: Settings | None = None,
    snapshots: Mapping[int, Mapping[str, Tensor]] | None = None,
    names: Sequence[str] = (),
) -> Findings:
    """Return what members do inside, as arrays, flags and sentences.

    ``snapshots``: weights kept while they were trained (``train(..., keep=...)``); ``names`` of the
    classes, "class 0" and so on where they have none.
    """
    from rheobase.models.hmm_rnn import reverse_arrays, statements

    found = dissect(net, target, seed=seed, settings=settings, snapshots=snapshots, names=names)
    return Findings(reverse_arrays.dataset(found), statements.flags(found), statements.told(found),
                    statements.by_part(found))  # fmt: skip


def dissect(
    net: Emulator,
    target: Target,
    *,
    seed: int,
    settings: Settings | None = None,
    snapshots: Mapping[int, Mapping[str, Tensor]] | None = None,
    names: Sequence[str] = (),
) -> Anatomy:
    """Return the parts of the analysis themselves."""
    size, device = settings or SETTINGS["standard"], net.Wh.device
    generators = _generators(seed, net.members, str(device))
    seen = activity.simulate(net, generators, trajectories=size.trajectories, steps=size.steps)
    few = activity.visited(seen.states, size.fixed_states)
    axes = plane.fit(seen.states)
    rotation, phase = orbits.orbits(seen, axes)
    states = activity.visited(seen.states, size.states)
    stays = residency.residency(net, states, generators, roll_outs=size.roll_outs)
    some = activity.visited(states[:, :, None], size.eigen_states)
    kicks = kick.find(net, seen, generators, sizes=size.kick)
    shown = noise_sweeps.representatives(states, stays.zones(), stays.steps, len(residency.ZONES))
    called = tuple(names) or tuple(f"class {k}" for k in range(net.symbols))
    return Anatomy(
        called, seen, states, fixed_points.decay(net, few),
        fixed_points.slowest_direction(net, few, iterations=500), axes,
        plane.readout_alignment(axes, net.Wout), rotation, phase,
        orbits.pair_orbits(seen, net.symbols), stays,
        linearised.eigenvalues(net.Wh, linearised.gates(net, some)),
        linearised.eigenvalues(net.Wh, some > 0), kicks,
        kick.untrained(net, seeds=range(seed, seed + size.untrained), sizes=size.kick),
        before_switches.before_switches(net, seen), _blocks(net, kicks, generators),
        _curves(net, seen, kicks, size, generators),
        noise_sweeps.sensitivity(net, shown, generators),
        *_swept(net, target, seen, size, generators, seed),
        None if not snapshots else evolution.evolution(snapshots, list(range(net.members))),
    )  # fmt: skip


def _generators(seed: int, members: int, device: str) -> list[torch.Generator]:
    drawn = np.random.SeedSequence(seed).spawn(members)
    return [torch.Generator(device).manual_seed(int(one.generate_state(1)[0])) for one in drawn]


def _swept(
    net: Emulator, target: Target, seen: Activity, size: Settings,
    generators: Sequence[torch.Generator], seed: int,
) -> Swept:  # fmt: skip
    if not size.resonance_steps:
        return None, None, None
    scores = noise_sweeps.sweep(net, target, generators, seed=seed, count=size.sequences,
                                length=size.length)  # fmt: skip
    shaken = resonance.shaken(net, seen, generators, steps=size.resonance_steps)
    return scores, shaken, resonance.drawn(net, seen, generators)


def _blocks(
    net: Emulator, kicks: kick.Kick, generators: Sequence[torch.Generator]
) -> list[dict[Direction, Blocks]]:  # fmt: skip
    """Return the blocks of each pair of opposite directions that both have a set."""
    found = []
    for m, generator in enumerate(generators):
        opposed = kicks.tested[m] & kicks.tested[m].T
        pairs = torch.nonzero(opposed.triu(1)).tolist()
        sets = kicks.sets[m]
        found.append({(a, b): blocks(net.Wh[m], sets[a, b], sets[b, a], generator)
                      for a, b in pairs})  # fmt: skip
    return found


def _curves(
    net: Emulator, seen: Activity, kicks: kick.Kick, size: Settings,
    generators: Sequence[torch.Generator],
) -> list[dict[Direction, interventions.Gains]]:  # fmt: skip
    """Return what gains do in the directions with most switches of those that have a set."""
    found = []
    for m, generator in enumerate(generators):
        directions = torch.nonzero(kicks.tested[m]).tolist()
        directions.sort(key=lambda way: -float(kicks.switches[m, way[0], way[1]]))
        own = Activity(seen.states[m : m + 1], seen.classes[m : m + 1])
        alone = member(net, m)
        found.append({
            (a, b): interventions.curves(alone, own, kicks.sets[m, a, b], (a, b), generator)
            for a, b in directions[: size.curves]
        })  # fmt: skip
    return found

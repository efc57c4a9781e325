"""What was found inside emulators as one set of named arrays, member first.

Directions go from the axis ``class`` to the axis ``to``. Where nothing was tested there is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from rheobase.models.hmm_rnn import connectivity, interventions, linearised, orbits, residency

if TYPE_CHECKING:
    import xarray as xr

    from rheobase.models.hmm_rnn.reverse import Anatomy, Direction

DRAWN = 500
"""Steps of the first trajectory that are kept for a drawing of the orbit."""
Arrays = dict[str, tuple[tuple[str, ...], np.ndarray]]


def dataset(found: Anatomy) -> xr.Dataset:
    """Return all numbers of an analysis."""
    import xarray as xr

    arrays: Arrays = {}
    for part in (
        _rest,
        _plane,
        _pairs,
        _stays,
        _kicks,
        _before,
        _blocks,
        _gains,
        _noise,
        _training,
    ):
        arrays |= part(found)
    coordinates: dict[str, Any] = {
        "decay_step": list(found.decay.times), "zone": list(residency.ZONES),
        "block": list(connectivity.BLOCKS), "group": list(interventions.GROUPS),
        "gain": list(interventions.GAINS), "held": list(interventions.HELD),
        "fresh": list(found.sensitivity.fresh),
        "pair_gain": list(interventions.PAIR_GAINS),
    }  # fmt: skip
    if found.sweep is not None and found.shaken is not None:
        coordinates |= {"sigma": list(found.sweep.sigmas), "shake": list(found.shaken.sizes)}
    if found.evolution is not None:
        coordinates["training_step"] = list(found.evolution.steps)
    return xr.Dataset({k: (dims, _small(v)) for k, (dims, v) in arrays.items()}, coordinates)


def _small(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32) if values.dtype.kind == "f" else values


def _named(prefix: str, dims: Sequence[str], **parts: Tensor) -> Arrays:
    """Return tensors as arrays, each with as many of the dimensions as it has axes."""
    return {prefix + name: (tuple(dims[: values.ndim]), values.detach().cpu().numpy())
            for name, values in parts.items()}  # fmt: skip


def _rest(found: Anatomy) -> Arrays:
    rest = found.decay
    made = _named("decay_", ("member", "decay_step"), median=rest.median, largest=rest.largest)
    made |= _named("", ("member",), spectral_radius=rest.radius,
                   single_fixed_point=rest.single.to(torch.int8))  # fmt: skip
    return made | _named("", ("member", "followed"), slowest=found.slowest)


def _plane(found: Anatomy) -> Arrays:
    length, angle = found.alignment
    made = _named("", ("member", "component"), explained=found.axes.explained)
    made |= _named("readout_", ("member", "class"), length=length, angle_deg=angle)
    turns = found.rotation
    names = ("mean", "deviation", "agreed", "velocity", "period", "amplitude", "z")
    made |= _named("orbit_", ("member",), **{name: getattr(turns, name) for name in names},
                   sustained=found.orbit.to(torch.int8))  # fmt: skip
    made |= _named("orbit_", ("member", "trajectory"), area=turns.area)
    path = found.axes.project(found.activity.states[:, 0, :DRAWN], count=2)
    made |= _named("path_", ("member", "drawn_step", "axis"), plane=path)
    zero = torch.zeros_like(found.axes.mean)[:, None]
    made |= _named("path_", ("member", "axis"), origin=found.axes.project(zero, count=2)[:, 0])
    return made | _named("path_", ("member", "drawn_step"), phase=found.phase[:, 0, :DRAWN],
                         classes=found.activity.classes[:, 0, :DRAWN].to(torch.int16))  # fmt: skip


def _pairs(found: Anatomy) -> Arrays:
    names = ("agreed", "z", "period")
    shape = (len(found.pairs), len(found.pairs[0]))
    made = {f"pair_{name}": np.full((*shape, 2), np.nan) for name in names}
    pieces = np.zeros(shape, np.int64)
    for m, row in enumerate(found.pairs):
        for k, pair in enumerate(row):
            pieces[m, k] = pair.pieces
            for axis, turns in enumerate((pair.first_second, pair.first_third)):
                if isinstance(turns, orbits.Rotation):
                    for name in names:
                        made[f"pair_{name}"][m, k, axis] = float(getattr(turns, name))
    dims = ("member", "pair", "pair_plane")
    ends = np.array([pair.pair for pair in found.pairs[0]], np.int16)
    told: Arrays = {name: (dims, values) for name, values in made.items()}
    return told | {"pair_pieces": (dims[:2], pieces), "pair_classes": (("pair", "end"), ends)}


def _stays(found: Anatomy) -> Arrays:
    stays, zones = found.residency, found.residency.zones()
    made = _named("state_", ("member", "state", "component"),
                  plane=found.axes.project(found.states))  # fmt: skip
    made |= _named("state_", ("member", "state"), classes=stays.classes.to(torch.int16),
                   stay=stays.steps, sign_changes=stays.sign_changes, surety=stays.surety,
                   zone=zones.to(torch.int8),
                   zone_scaled=stays.zones(scaled=True).to(torch.int8))  # fmt: skip
    count = len(residency.ZONES)
    tally = torch.stack([(zones == z).sum(1) for z in range(count)], 1)
    made |= _named("zone_", ("member", "zone"), states=tally,
                   stay=linearised.by_zone(stays.steps, zones, count))  # fmt: skip
    every = found.eigenvalues.unstable.shape[1]
    at = torch.linspace(0, zones.shape[1] - 1, every, device=zones.device).round().long()
    kinds = {"unstable": found.eigenvalues.unstable,
             "critical_pairs": found.noisy_eigenvalues.critical_pairs}  # fmt: skip
    for name, values in kinds.items():
        mean = linearised.by_zone(values, zones[:, at], count)
        made |= _named("zone_", ("member", "zone"), **{name: mean})
    spread = found.sensitivity
    made |= _named("sensitivity_", ("member", "zone", "fresh", "step"), trace=spread.trace,
                   distance=spread.distance)  # fmt: skip
    return made | {"stay_histogram": (("member", "stay"), stays.histogram())}


def _kicks(found: Anatomy) -> Arrays:
    kicks = found.kick
    dims = ("member", "class", "to")
    made = _named("kick_", dims, switches=kicks.switches, rate=kicks.rate, silenced=kicks.silenced,
                  driven=kicks.driven, p=kicks.p, p_corrected=kicks.p_corrected,
                  tested=kicks.tested.to(torch.int8),
                  confirmed=kicks.confirmed.to(torch.int8))  # fmt: skip
    made |= _named("kick_", (*dims, "rank"), units=kicks.sets.to(torch.int16))
    made |= _named("kick_", (*dims, "random_set"), random=kicks.random)
    made["kick_untrained"] = (("untrained_direction",), found.untrained.silenced)
    return made | _named("kick_", ("member", "unit", "class", "to"), effects=kicks.effects)


def _before(found: Anatomy) -> Arrays:
    seen = found.before
    return _named("before_", ("member", "unit", "class", "to"), difference=seen.difference,
                  active_staying=seen.active_staying, active=seen.active_before)  # fmt: skip


def _filled(
    found: Anatomy, rows: Sequence[Mapping[Direction, Any]], shape: Sequence[int],
    value: Callable[[Any], Any],
) -> np.ndarray:  # fmt: skip
    """Return what there is of each direction, (member, class, to, ...); NaN where nothing is."""
    full = np.full((len(rows), found.symbols, found.symbols, *shape), np.nan)
    for m, row in enumerate(rows):
        for (a, b), one in row.items():
            held = value(one)
            full[m, a, b] = held.cpu().numpy() if isinstance(held, Tensor) else held
    return full


def _blocks(found: Anatomy) -> Arrays:
    dims, count = ("member", "class", "to", "block"), len(connectivity.BLOCKS)
    made: Arrays = {}
    for name in ("means", "z"):
        values = _filled(found, found.blocks, (count, 2, 2), lambda one, n=name: getattr(one, n))
        made[f"block_{name}"] = ((*dims, "into", "out_of"), values)
    for name in ("contrast", "ratio", "contrast_z", "p"):
        values = _filled(found, found.blocks, (count,), lambda one, n=name: getattr(one, n))
        made[f"block_{name}"] = (dims, values)
    units = found.axes.components.shape[-1]
    sides = _filled(found, found.blocks, (units,), lambda one: one.populations)
    return made | {"block_population": (("member", "class", "to", "unit"), sides)}


def _gains(found: Anatomy) -> Arrays:
    dims = ("member", "class", "to", "group")
    groups, gains = len(interventions.GROUPS), len(interventions.GAINS)
    made: Arrays = {}
    for name in ("rates", "reverse"):
        values = _filled(found, found.curves, (groups, gains), lambda one, n=name: getattr(one, n))
        made[f"gain_{name}"] = ((*dims, "gain"), values)
    shape = (groups, gains, found.symbols)
    held = _filled(found, found.curves, shape, lambda one: one.occupancy)
    made["gain_occupancy"] = ((*dims, "gain", "occupied"), held)
    made["gain_trend"] = (dims, _filled(found, found.curves, (groups,), lambda one: one.trend))
    shape = (groups, len(interventions.PAIR_GAINS))
    made["gain_critical_pairs"] = ((*dims, "pair_gain"), _filled(
        found, found.curves, shape, lambda one: one.critical_pairs))  # fmt: skip
    held = _filled(found, found.curves, (len(interventions.HELD),), lambda one: one.held)
    return made | {"gain_held": (("member", "class", "to", "held"), held)}


def _noise(found: Anatomy) -> Arrays:
    if found.sweep is None or found.shaken is None or found.drawn is None:
        return {}
    dims = ("member", "sigma")
    made = _named("sigma_", dims, **found.sweep.scores, changes=found.sweep.changes,
                  area=found.sweep.area, excess_z=found.sweep.z)  # fmt: skip
    made |= _named("sigma_", ("member",), arg_max_changes=found.sweep.arg_max_changes[:, 0])
    for name, seen in (("sigma", found.drawn), ("shake", found.shaken)):
        made[f"{name}_cv"] = (("member", name, "trajectory"), seen.cv)
        made[f"{name}_entries"] = (("member", name, "trajectory"), seen.rate)
    made["shake_resonant"] = (("member",), found.shaken.resonant.astype(np.int8))
    return made


def _training(found: Anatomy) -> Arrays:
    if found.evolution is None:
        return {}
    seen, dims = found.evolution, ("training_step", "member")
    made: Arrays = {f"training_{name}": (dims, getattr(seen, name))
                    for name in ("transitions", "unstable", "critical")}  # fmt: skip
    return made | {"training_response": ((*dims, "unit"), seen.response)}

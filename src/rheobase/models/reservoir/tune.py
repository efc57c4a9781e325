"""The settings of every kind of network, chosen in inner folds of the training part alone.

Each inner fold has its own means, principal axes, adaptation and readout, all of its own training
side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rheobase.models.reservoir import folds, search
from rheobase.models.reservoir.aims import Aim, lengths_of
from rheobase.models.reservoir.echo import EchoNetwork
from rheobase.models.reservoir.search import Found, Kind, Trial
from rheobase.models.reservoir.settings import Adapt, Network, Readout
from rheobase.models.reservoir.stretches import Stretch, front_of, groups_of

if TYPE_CHECKING:
    from rheobase.models.reservoir import Reservoir

SHORT = (1e2, 1e3)
"""Penalties that are tried too where recordings are short, as those of fMRI are"""


def kinds(model: Reservoir) -> tuple[Kind, ...]:
    """Return the kinds of network that are compared, the model's own first."""
    return search.KINDS if model.adapt.enabled else search.KINDS[1:]


def alphas_of(model: Reservoir, modality: str) -> tuple[float, ...]:
    """Return the penalties to choose from, rising."""
    more = SHORT if modality == "fmri" and model.readout.alphas == Readout().alphas else ()
    return tuple(sorted({*model.readout.alphas, *more}))


def washout_of(model: Reservoir) -> int:
    """Return the samples at the start of a stretch that nothing is learnt from or scored on."""
    if model.washout is not None:
        return model.washout
    leaks = (model.search.space or search.SPACE).get("leak", ())
    tried = next(iter(leaks.values())) if isinstance(leaks, Mapping) else leaks
    tried = tried if model.search.n_trials > 1 else ()
    return max(replace(model.network, leak=leak).washout for leak in (model.leak, *tried))


def inner(
    model: Reservoir, stretches: Sequence[Stretch], aim: Aim, *, washout: int
) -> list[folds.Fold]:
    """Return the inner folds of the training part."""
    parts = folds.splits(
        lengths_of(stretches), groups_of(stretches), folds=model.search.inner_folds,
        gap=washout + aim.reach, least=washout + aim.reach + 1,
    )  # fmt: skip
    signals = [one.signal for one in stretches]
    return [_fold(model, stretches, signals, aim, split, washout) for split in parts]


def _fold(
    model: Reservoir, stretches: Sequence[Stretch], signals: Sequence[np.ndarray], aim: Aim,
    split: folds.Split, washout: int,
) -> folds.Fold:  # fmt: skip
    front = front_of(
        [signals[p.recording][p.start : p.stop] for p in split.train], components=model.components
    )
    inputs, targets = [], []
    for part in (*split.train, *split.held):
        whole = stretches[part.recording]
        first = whole.piece.start + part.start
        own = replace(whole, piece=slice(first, first + part.stop - part.start))
        standard = front.standard(signals[part.recording][part.start : part.stop])
        inputs.append(front.inputs(standard))
        targets.append(aim.targets(own, standard, inputs[-1]))
    many = sum(map(len, inputs))
    thin = max(1, -(-many // model.search.samples))
    return folds.Fold(inputs, targets, len(split.train), washout, thin)


def configured(model: Reservoir, kind: Kind) -> Trial:
    """Return the setting of a kind that the config names."""
    if kind == "adapted":
        return Trial(model.network, model.adapt)
    if kind == "global":
        return Trial(model.network)
    radius = 0.95 if kind == "tanh" else 0.0
    return Trial(EchoNetwork(model.n_units, model.degree, radius, input_scale=model.input_scale,
                             bias=0.5))  # fmt: skip


def trials(model: Reservoir, kind: Kind, *, seed: int) -> list[Trial]:
    """Return the settings of a kind that are tried, the configured one first."""
    drawn = search.draw(
        kind, model.search.n_trials - 1, base=model.network, seed=seed, space=model.search.space,
        way=model.adapt,
    )  # fmt: skip
    return [configured(model, kind), *drawn]


def tuned(
    model: Reservoir, made: Sequence[folds.Fold], kind: Kind, *, seed: int,
    alphas: Sequence[float], device: str,
) -> Found:  # fmt: skip
    """Return the best setting of a kind."""
    own = trials(model, kind, seed=seed)
    if len(own) == 1:
        return Found(own[0], alphas[0], float("nan"), np.full(1, np.nan), 0)
    seeds = [seed * 1000 + number for number in range(model.search.seeds_per_trial)]
    return search.search(own, made, seeds=seeds, alphas=alphas, device=device)


def told(trial: Trial) -> str:
    """Return the searched part of a setting in words."""
    network = trial.network
    if isinstance(network, EchoNetwork):
        coupled = f"radius {network.radius:g}" if network.radius else "no coupling"
        return (
            f"{coupled}, leak {network.leak:g}, input scale "
            f"{network.input_scale:.2g}, bias {network.bias:g}, degree {network.degree}"
        )
    shared = (
        f"input scale {network.input_scale:.2g}, gain {network.gain:.2g}, leak "
        f"{_listed(network)}, degree {network.degree}, {network.frac_input:g} of the units driven"
    )
    if trial.adapt is None:
        return f"balance {network.balance:g}, {shared}"
    return f"targets {law(trial.adapt)}, {shared}"


def law(way: Adapt) -> str:
    """Return the target rates in words."""
    if way.target.law == "homogeneous":
        return f"{way.target.rate:g}"
    return f"Beta({way.target.a:g}, {way.target.b:g})" if way.target.law == "beta" else "uniform"


def _listed(network: Network) -> str:
    leak = np.atleast_1d(np.asarray(network.leak))
    return f"{leak[0]:g}" if len(leak) == 1 else f"{leak.min():g} to {leak.max():g}"

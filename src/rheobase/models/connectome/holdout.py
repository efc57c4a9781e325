"""Error on entries that a factorisation has not seen.

Several animals: a tenth of the (neuron, animal) presences is hidden, and the hidden pairs are
scored. One animal: a fifth of the columns is left out; their weights are estimated from the pairs
inside a random half of the neurons, and the pairs inside the other half are scored. Chosen here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from rheobase.models.connectome.affinities import Affinities
from rheobase.models.connectome.layout import pair_indices
from rheobase.models.connectome.project import project, projection_error
from rheobase.models.connectome.starts import Start

SHARE = 0.1
TRIES = 100
Fitter = Callable[[Affinities], Start]
"""Fits a training part and returns the factors (1, R, ...)."""


def hold_out(tensor: Affinities, fitter: Fitter, *, fold: int, folds: int, seed: int) -> float:
    """Return ``||X - Xhat|| / ||X||`` on the entries hidden in one fold."""
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(fold,)))
    if tensor.layout.animals > 1:
        kept = hidden_presence(tensor, generator=generator)
        return presence_error(tensor, kept, fitter(tensor.hide(kept)))
    return column_error(tensor, fitter, fold=fold, folds=folds, generator=generator)


def hidden_presence(
    tensor: Affinities, *, generator: np.random.Generator, share: float = SHARE
) -> Tensor:
    """Return the presence (neuron, animal) left after hiding a random share of it.

    Every neuron stays in an animal, and every animal keeps two neurons that another one has too.
    """
    size = tensor.layout
    whole = tensor.mask.presence
    present = np.ones((size.neurons, size.animals), bool) if whole is None else whole.cpu().numpy()
    count = max(1, round(share * present.sum()))
    order = generator.permutation(np.flatnonzero(present))
    kept = present.copy()
    for entry in order:
        if present.sum() - kept.sum() == count:
            break
        neuron, animal = divmod(int(entry), size.animals)
        if kept[neuron].sum() < 2:
            continue
        kept[neuron, animal] = False
        if _too_few(kept):
            kept[neuron, animal] = True
    if kept.sum() == present.sum():
        raise ValueError("no (neuron, animal) can be hidden: too few animals share neurons")
    return torch.from_numpy(kept).to(tensor.device)


def _too_few(kept: np.ndarray) -> bool:
    shared = kept.T.astype(np.int64) @ kept.astype(np.int64)
    np.fill_diagonal(shared, 0)
    return bool((shared.max(axis=1) < 2).any())


def presence_error(tensor: Affinities, kept: Tensor, made: Start) -> float:
    """Return the relative error on pairs that ``kept`` (neuron, animal) hides.

    Pairs that no animal was left with cannot be predicted and are not scored.
    """
    size = tensor.layout
    first, second = pair_indices(size.neurons, tensor.device)
    known = kept[first] & kept[second]
    whole = torch.ones_like(kept) if tensor.mask.presence is None else tensor.mask.presence
    asked = whole[first] & whole[second] & ~known & known.any(1, keepdim=True)
    gap = norm = 0.0
    for s in range(size.animals):
        at = torch.nonzero(asked[:, s]).ravel()
        a = made.patterns[0, :, at].double().T
        width = max(1, 4_000_000 // max(1, len(at)))
        for t in range(0, size.bins, width):
            bins = slice(t, min(t + width, size.bins))
            columns = slice(s * size.bins + bins.start, s * size.bins + bins.stop)
            x = tensor.values(first[at], second[at], columns).double()
            w = made.times[0, :, bins].double() * made.animals[0, :, s : s + 1].double()
            rest = x - a @ w
            if tensor.mask.frames is not None:
                rest = rest * tensor.mask.frames[s, bins]
            gap += float(rest.square().sum())
            norm += float(x.square().sum())
    return float(np.sqrt(gap / norm)) if norm > 0 else float("nan")


def column_error(
    tensor: Affinities,
    fitter: Fitter,
    *,
    fold: int,
    folds: int,
    generator: np.random.Generator,
) -> float:
    """Return the relative error on one contiguous part of the columns of one animal."""
    size = tensor.layout
    if size.bins < 2 * folds or size.neurons < 4:
        raise ValueError(
            f"{folds} folds need {2 * folds} bins and 4 neurons; there are {size.bins} bins and "
            f"{size.neurons} neurons: give longer recordings or lower ntf.holdout_folds"
        )
    edges = np.linspace(0, size.bins, folds + 1).round().astype(int)
    inside = np.zeros(size.bins, bool)
    inside[edges[fold] : edges[fold + 1]] = True
    left_out, train = (
        torch.from_numpy(np.flatnonzero(x)).to(tensor.device) for x in (inside, ~inside)
    )
    made = fitter(tensor.select(columns=train))
    return half_error(tensor.select(columns=left_out), made.patterns[0], generator=generator)


def half_error(tensor: Affinities, patterns: Tensor, *, generator: np.random.Generator) -> float:
    """Return the error on pairs inside half the neurons, with weights from those inside the rest.

    ``patterns`` A (component, pair) are fixed; the halves are drawn at random.
    """
    neurons = tensor.layout.neurons
    order = torch.from_numpy(generator.permutation(neurons)).to(tensor.device)
    seen, scored = (x.sort().values for x in order.tensor_split(2))
    weights = project(tensor.select(neurons=seen), restricted(patterns, seen, neurons))
    part = tensor.select(neurons=scored)
    return projection_error(part, restricted(patterns, scored, neurons), weights)


def restricted(patterns: Tensor, chosen: Tensor, neurons: int) -> Tensor:
    """Return patterns (component, pair) of some neurons, given in rising order."""
    i, j = pair_indices(len(chosen), patterns.device)
    first, second = chosen[i], chosen[j]
    at = first * (2 * neurons - first - 1) // 2 + second - first - 1
    return patterns[:, at]

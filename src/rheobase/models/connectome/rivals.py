"""What the components have to beat, fitted on the same training part.

``mean_pattern``: the affinities averaged over time. ``one_component``: the same factorisation with
one component. ``static_connectivity``: size of the correlations of the signals. ``pca_of_edges``:
the mean pattern and as many principal components of the edges as there are components; they may be
negative. Of communities: ``kmeans`` and ``leiden`` on correlations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rheobase import metrics
from rheobase.models.connectome.affinities import Affinities
from rheobase.models.connectome.layout import pair_indices
from rheobase.models.connectome.sbm_backends import leiden_partition
from rheobase.models.inputs import by_name, own_standard
from rheobase.recording import Recording

OVERSAMPLED = 8
POWER_STEPS = 4


def mean_pattern(tensor: Affinities) -> Tensor:
    """Return the mean affinity of each pair over the bins in which it was observed, (pair,)."""
    frames = _frames(tensor)
    total = tensor.pair_products(frames.reshape(1, -1).to(tensor.dtype))[0].double()
    count = torch.einsum("sp,s->p", _seen(tensor), frames.sum(1).double())
    return total / count.clamp_min(1)


def principal_edges(tensor: Affinities, mean: Tensor, *, count: int, seed: int) -> Tensor:
    """Return the leading principal components of the edges, (component, pair), orthonormal.

    By random subspace iteration on the tensor less its mean (pair,), which is never built; what was
    not observed counts as the mean.
    """
    size = tensor.layout
    width = min(count + OVERSAMPLED, size.pairs, size.columns)
    generator = np.random.default_rng([seed, 71])
    columns = torch.from_numpy(generator.standard_normal((width, size.columns)))
    pairs = _pairs(tensor, columns.to(tensor.device, tensor.dtype), mean)
    for _ in range(POWER_STEPS):
        pairs = torch.linalg.qr(pairs.T)[0].T.contiguous()
        pairs = _pairs(tensor, _columns(tensor, pairs, mean), mean)
    pairs = torch.linalg.qr(pairs.T)[0].T.contiguous()
    inner, _, _ = torch.linalg.svd(_columns(tensor, pairs, mean).double(), full_matrices=False)
    return (inner.T @ pairs.double())[:count]


def _pairs(tensor: Affinities, columns: Tensor, mean: Tensor) -> Tensor:
    """Return ``columns (X - mean)^T``, (k, pair)."""
    size, frames = tensor.layout, _frames(tensor)
    columns = columns * frames.reshape(-1)
    totals = columns.double().view(-1, size.animals, size.bins).sum(2)
    centred = torch.einsum("ks,sp->kp", totals, _seen(tensor)) * mean
    return tensor.pair_products(columns) - centred.to(columns.dtype)


def _columns(tensor: Affinities, pairs: Tensor, mean: Tensor) -> Tensor:
    """Return ``pairs (X - mean)``, (k, column)."""
    size, frames = tensor.layout, _frames(tensor)
    shares = torch.einsum("kp,sp->ks", pairs.double() * mean, _seen(tensor))
    centred = shares[:, :, None].expand(-1, -1, size.bins).reshape(len(pairs), -1)
    return (tensor.column_products(pairs) - centred.to(pairs.dtype)) * frames.reshape(-1)


def _frames(tensor: Affinities) -> Tensor:
    """Return 1 where an animal was observed in a bin, else 0, (animal, bin)."""
    size = tensor.layout
    whole = torch.ones(size.animals, size.bins, device=tensor.device, dtype=tensor.dtype)
    return whole if tensor.mask.frames is None else whole * tensor.mask.frames


def _seen(tensor: Affinities) -> Tensor:
    """Return 1 where an animal has both neurons of a pair, else 0, (animal, pair) float64."""
    if tensor.mask.presence is None:
        size = tensor.layout
        return torch.ones(size.animals, size.pairs, dtype=torch.float64, device=tensor.device)
    return tensor.mask.pairs().double()


def correlations(recordings: Sequence[Recording], units: Sequence[str]) -> np.ndarray:
    """Return the correlation of each two units, mean over the recordings that hold both,
    (unit, unit); 0 where none does.
    """
    place = {name: i for i, name in enumerate(units)}
    total, count = (np.zeros((len(units), len(units))) for _ in range(2))
    for parts in by_name(recordings).values():
        kept = [(i, place[n]) for i, n in enumerate(parts[0].unit_names) if n in place]
        source, to = (np.array(x) for x in zip(*kept, strict=True))
        total[np.ix_(to, to)] += metrics.correlation(own_standard(parts))[np.ix_(source, source)]
        count[np.ix_(to, to)] += 1
    return total / np.maximum(count, 1)


def kmeans(correlation: np.ndarray, *, blocks: int, seed: int) -> np.ndarray:
    """Return k-means clusters of the rows of a correlation matrix, (unit,) from 0."""
    from sklearn.cluster import KMeans

    many: Any = 10
    made = KMeans(min(blocks, len(correlation)), n_init=many, random_state=seed)
    return made.fit_predict(correlation)


def leiden(correlation: np.ndarray, *, seed: int) -> np.ndarray | None:
    """Return the Leiden partition of the positive correlations; None where it is not installed."""
    graph = np.maximum(correlation, 0)
    np.fill_diagonal(graph, 0)
    try:
        return leiden_partition(graph, seed=seed)
    except RuntimeError:
        return None


def membership(labels: np.ndarray) -> Tensor:
    """Return a pattern a block: 1 for pairs inside it, (block, pair); blocks of one are left out.

    ``labels`` (unit,). With no block of two, one pattern of all pairs.
    """
    first, second = (x.numpy() for x in pair_indices(len(labels), "cpu"))
    names = [b for b in np.unique(labels) if (labels == b).sum() > 1]
    rows = [(labels[first] == b) & (labels[second] == b) for b in names]
    made = np.stack(rows) if rows else np.ones((1, len(first)), bool)
    return torch.from_numpy(made.astype(np.float64))


def flattened(pattern: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return a pattern (pair,) with the mean of its two blocks in the place of each pair."""
    first, second = (x.numpy() for x in pair_indices(len(labels), "cpu"))
    one, other = labels[first], labels[second]
    blocks = int(labels.max()) + 1
    code = np.minimum(one, other) * blocks + np.maximum(one, other)
    total = np.bincount(code, pattern.astype(np.float64), blocks**2)
    count = np.bincount(code, minlength=blocks**2)
    return (total / np.maximum(count, 1))[code]

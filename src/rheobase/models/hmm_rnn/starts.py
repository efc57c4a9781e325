"""Where EM begins: k-means on samples, or on what short windows have in common.

Gaussian states with means begin at the centres of samples. States that differ in covariance,
dynamics or symbols begin from windows: k-means groups their mean features, and a group's sums of
features make a state's parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rheobase.models.hmm_rnn.batch import Chain, Data
from rheobase.models.hmm_rnn.emissions import Gaussian, spans

SAMPLES = 5000
"""Rows that k-means sees, at most."""
ROUNDS = 10
PROJECTED = 50
"""Dimensions to which longer features of windows are projected at random (chosen here)."""


def chains(
    data: Data, x: Tensor, states: int, seeds: Sequence[int], *, weights: Tensor | None = None,
    dwell: float = 10.0,
) -> Chain:  # fmt: skip
    """Return one start a seed, for the series (time, channel) that ``data`` was made of.

    ``weights`` (seed, segment): segments without weight are not looked at. ``dwell``: the expected
    stay in a state, samples.
    """
    used = np.ones((len(seeds), len(data.lengths)), bool)
    if weights is not None:
        used = weights.cpu().numpy() > 0
    if isinstance(data.emission, Gaussian) and not data.emission.centred:
        emission = _centres(data, data.emission, x.double(), states, seeds, used)
    else:
        emission = _windows(data, states, seeds, used, dwell)
    stay = max(1 - 1 / dwell, 1 / states)
    A = torch.full((states, states), (1 - stay) / (states - 1), dtype=torch.float64)
    A = A.fill_diagonal_(stay).to(x.device).expand(len(seeds), -1, -1).contiguous()
    return Chain(torch.full_like(A[:, 0], 1 / states), A, emission)


def _centres(
    data: Data, emission: Gaussian, x: Tensor, states: int, seeds: Sequence[int], used: np.ndarray
) -> dict[str, Tensor]:
    """Return means at the centres of samples, and the covariance of all of them."""
    segment = np.repeat(np.arange(len(data.lengths)), data.lengths)
    rows = _drawn([np.flatnonzero(one[segment]) for one in used], seeds)
    points = x[torch.as_tensor(rows, device=x.device)]
    labels = kmeans(points, states, seeds)
    member = torch.nn.functional.one_hot(labels, states).to(points.dtype)
    means = member.mT @ points / member.sum(1)[..., None].clamp(min=1)
    away = points - points.mean(1, keepdim=True)
    pooled = away.mT @ away / points.shape[1]
    if not emission.full:
        pooled = pooled.diagonal(dim1=-2, dim2=-1)
        if emission.cov == "spherical":
            pooled = pooled.mean(-1, keepdim=True).expand_as(pooled)
    return {"means": means, "covs": pooled[:, None].repeat(1, states, *[1] * (pooled.ndim - 1))}


def _windows(
    data: Data, states: int, seeds: Sequence[int], used: np.ndarray, dwell: float
) -> dict[str, Tensor]:
    """Return parameters from groups of windows of twice the dwell."""
    chosen = data.lengths if used.all() else np.array(data.lengths)[used.any(axis=0)]
    fit = max(1, sum(chosen) // (4 * states))
    width = int(np.clip(round(2 * dwell), 1, min(fit, max(data.lengths))))
    edges = [(n, a, min(a + width, end)) for n, (begin, end) in enumerate(spans(data.lengths))
             for a in range(begin, end, width)]  # fmt: skip
    phi = data.chunks.along(data.phi.movedim(1, 1)).double()
    total = torch.cat([torch.zeros_like(phi[:1]), phi.cumsum(0)])
    owner, begin, end = (np.array(column) for column in zip(*edges, strict=True))
    sums = total[end] - total[begin]
    means = sums / torch.as_tensor(end - begin, device=sums.device)[:, None]
    rows = _drawn([np.flatnonzero(one[owner]) for one in used], seeds)
    at = torch.as_tensor(rows, device=phi.device)
    labels = kmeans(_short(means)[at], states, seeds)
    member = torch.nn.functional.one_hot(labels, states).to(phi.dtype)
    return data.emission.update(torch.einsum("mwk,mwf->mkf", member, sums[at]))


def _short(features: Tensor) -> Tensor:
    """Return features, or random projections of them where there are many."""
    wide = features.shape[1]
    if wide <= PROJECTED:
        return features
    draws = np.random.default_rng(0).normal(size=(wide, PROJECTED)) / np.sqrt(PROJECTED)
    return features @ torch.as_tensor(draws, device=features.device)


def _drawn(allowed: Sequence[np.ndarray], seeds: Sequence[int]) -> np.ndarray:
    """Return equally many rows for each model, (model, row), not more than ``SAMPLES``."""
    count = min(SAMPLES, *(len(one) for one in allowed))
    return np.stack([np.sort(np.random.default_rng([seed, 1]).choice(one, count, replace=False))
                     for one, seed in zip(allowed, seeds, strict=True)])  # fmt: skip


def kmeans(points: Tensor, states: int, seeds: Sequence[int]) -> Tensor:
    """Return the group of each point, (model, point), of k-means started by k-means++.

    ``points`` (model, point, column); every model has its own seed.
    """
    centres, size = _spread(points, states, seeds), (points**2).sum(-1)
    labels = torch.zeros(points.shape[:2], dtype=torch.long, device=points.device)
    for _ in range(ROUNDS):
        far = size[..., None] - 2 * points @ centres.mT + (centres**2).sum(-1)[:, None]
        found = far.argmin(-1)
        if bool((found == labels).all()):
            break
        labels = found
        member = torch.nn.functional.one_hot(labels, states).to(points.dtype)
        held = member.sum(1)[..., None]
        centres = torch.where(held > 0, member.mT @ points / held.clamp(min=1), centres)
    return labels


def _spread(points: Tensor, states: int, seeds: Sequence[int]) -> Tensor:
    """Return points that lie far from each other, (model, state, column)."""
    draws = np.stack([np.random.default_rng([seed, 2]).random(states) for seed in seeds])
    uniform = torch.as_tensor(draws, device=points.device)
    models = torch.arange(len(points), device=points.device)
    weight, far = torch.ones_like(points[..., 0]), None
    chosen = []
    for k in range(states):
        heap = weight.cumsum(-1)
        at = torch.searchsorted(heap, uniform[:, k : k + 1] * heap[:, -1:]).squeeze(1)
        chosen.append(points[models, at.clamp(max=points.shape[1] - 1)])
        away = ((points - chosen[-1][:, None]) ** 2).sum(-1)
        far = away if far is None else torch.minimum(far, away)
        weight = far + 1e-12
    return torch.stack(chosen, 1)

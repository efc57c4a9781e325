"""Communities of every component, and what is told of their members."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rheobase.models.connectome.communities import communities
from rheobase.models.connectome.factors import as_matrix

if TYPE_CHECKING:
    from rheobase.models.connectome import Connectome


@dataclass(frozen=True)
class Groups:
    """Communities of the components; all arrays begin with (component, ...)."""

    labels: np.ndarray
    """Block of each neuron, densest first, (component, unit)"""
    confidence: np.ndarray
    """Mean probability to share a block with the rest of it, (component, unit)"""
    inside: np.ndarray
    """Mean weight of a neuron to the others of its block, (component, unit)"""
    levels: np.ndarray
    """Nested partitions, -1 beyond the last, (component, level, unit)"""
    level_scores: np.ndarray
    """Evidence of each in nats, NaN beyond the last, (component, level)"""
    single: np.ndarray
    """Evidence of one block for all, nats, (component,)"""
    corrected: np.ndarray
    """Whether the degree-corrected model was shorter, (component,) bool"""
    consensus: np.ndarray
    """Block of each neuron on which the samples agree most, (component, unit)"""


def groups_of(model: Connectome, patterns: np.ndarray, *, seed: int) -> Groups:
    """Return the communities of patterns (component, pair)."""
    how, found = model.communities, []
    for number, pattern in enumerate(patterns):
        matrix = as_matrix(np.maximum(pattern, 0))
        made = communities(
            matrix, kind=how.weights, degree_correction=how.degree_correction,
            top_frac=how.top_frac, backend=how.backend, sweeps=how.mcmc, seed=seed + number,
        )  # fmt: skip
        order = by_density(matrix, made.labels)
        place = np.argsort(order)
        inside = inner_weight(matrix, made.labels)
        found.append((place[made.labels], made, inside))
    depth = max(len(made.levels) for _, made, _ in found)
    units = len(found[0][0])
    levels = np.full((len(found), depth, units), -1)
    scores = np.full((len(found), depth), np.nan)
    for row, (_, made, _) in enumerate(found):
        levels[row, : len(made.levels)] = np.stack(made.levels)
        scores[row, : len(made.levels)] = made.level_scores
    return Groups(
        np.stack([labels for labels, _, _ in found]).astype(np.int32),
        np.stack([made.confidence for _, made, _ in found]).astype(np.float32),
        np.stack([inside for _, _, inside in found]).astype(np.float32),
        levels.astype(np.int32), scores,
        np.array([made.single_score for _, made, _ in found]),
        np.array([made.degree_corrected for _, made, _ in found]),
        np.stack([made.consensus for _, made, _ in found]).astype(np.int32),
    )  # fmt: skip


def by_density(matrix: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the blocks, those with the largest mean weight inside first, (block,).

    Blocks of one neuron have nothing inside and come last.
    """
    density = []
    for block in range(int(labels.max()) + 1):
        own = matrix[np.ix_(labels == block, labels == block)]
        pairs = len(own) * (len(own) - 1)
        density.append(own.sum() / pairs if pairs else -1.0)
    return np.argsort(-np.array(density), kind="stable")


def inner_weight(matrix: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the mean weight of each neuron to the others of its block, 0 where alone, (unit,)."""
    same = (labels[:, None] == labels) & ~np.eye(len(labels), dtype=bool)
    return (matrix * same).sum(axis=1) / np.maximum(same.sum(axis=1), 1)

"""The partition of the shortest description: starts, sweeps, merges and splits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rheobase.models.connectome.sbm_chains import LEAST_GAIN, Chains, compacted
from rheobase.models.connectome.sbm_model import BlockModel, block_sums, score

STARTS = 10
SWEEPS = 12
"""At most, between two merge passes."""
ROUNDS = 6
"""At most, of sweeps, merges and splits."""
MANY = 6
"""Blocks of a start that is merged before its first sweep; chosen here."""
KEPT = 2
"""Partitions whose blocks are tried for splits."""


def search(
    model: BlockModel,
    graph: np.ndarray,
    *,
    rng: np.random.Generator,
    starts: Sequence[np.ndarray] = (),
) -> np.ndarray:
    """Return the partition of the highest score found, (N,) from 0.

    Never below the single block or any of ``starts``, each (N,). ``graph`` is (N, N), rescaled.
    """
    given = [np.asarray(s, dtype=np.intp) for s in starts]
    pool = np.stack([*_fewer(model, own_starts(graph, rng=rng)), *given])
    pool = np.unique(compacted(pool), axis=0)
    best = pool[int(np.argmax([score(model, one) for one in pool]))]
    found = improve(model, pool, rng=rng)
    for _ in range(ROUNDS):
        value = score(model, found[0])
        if value > score(model, best) + LEAST_GAIN:
            best = found[0]
        tried = _splits(graph, found, rng=rng)
        if tried is None:
            break
        improved = improve(model, tried, rng=rng)
        if score(model, improved[0]) <= score(model, best) + LEAST_GAIN:
            break
        found = improved
    return best


def _fewer(model: BlockModel, starts: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return starts of which those of many blocks are merged: a sweep costs blocks squared."""
    return [best_of_tree(model, one) if one.max() + 1 >= MANY else one for one in starts]


def improve(model: BlockModel, labels: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Return partitions after sweeps and merges until no gain, the best first, (C, N)."""
    done: list[np.ndarray] = []
    active = labels
    for _ in range(ROUNDS):
        swept = _sweep(model, active, rng=rng)
        merged = [best_of_tree(model, one) for one in swept]
        same = [m.max() == s.max() for m, s in zip(merged, swept, strict=True)]
        done += [one for one, ready in zip(merged, same, strict=True) if ready]
        left = [one for one, ready in zip(merged, same, strict=True) if not ready]
        if not left:
            break
        active = np.unique(compacted(np.stack(left)), axis=0)
    else:
        done += list(active)
    distinct = np.unique(compacted(np.stack(done)), axis=0)
    scores = np.array([score(model, one) for one in distinct])
    return distinct[np.argsort(-scores, kind="stable")]


def merge_tree(model: BlockModel, labels: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Return nested partitions from ``labels`` (N,) to one block, each (N,), and their L (level,).

    Each level joins the two blocks whose union costs least.
    """
    level = compacted(labels[None])[0]
    levels, value = [level], score(model, level)
    values = [value]
    sums = block_sums(model, level[None], int(level.max()) + 1)[1][:, 0]
    while sums.shape[1] > 1:
        sizes = np.bincount(level)
        gains, a, b = _merge_gains(model, sums, sizes)
        at = int(gains.argmax())
        value += float(gains[at])
        level = np.where(level == b[at], a[at], level)
        level = level - (level > b[at])
        sums = _joined(sums, int(a[at]), int(b[at]))
        levels.append(level)
        values.append(value)
    return levels, np.array(values)


def best_of_tree(model: BlockModel, labels: np.ndarray) -> np.ndarray:
    """Return the level of the merge tree with the highest score, (N,)."""
    levels, values = merge_tree(model, labels)
    best = int(values.argmax())
    return levels[best] if values[best] > values[0] + LEAST_GAIN else levels[0]


def own_starts(graph: np.ndarray, *, rng: np.random.Generator) -> list[np.ndarray]:
    """Return ten partitions: one block, k-means on ln(1 + w), k-means on leading eigenvectors."""
    nodes = len(graph)
    rows = np.log1p(graph)
    most = min(nodes, int(np.ceil(1.3 * np.sqrt(nodes))))
    values, vectors = np.linalg.eigh(rows)
    order = np.argsort(-np.abs(values))
    made = [np.zeros(nodes, dtype=np.intp)]
    for blocks in (most, (most + 1) // 2, max(2, most // 3)):
        made.append(k_means(rows, min(blocks, nodes), rng=rng))
    for blocks in (2, 3, 4, 5, 7, most):
        leading = order[: min(blocks, nodes)]
        space = vectors[:, leading] * np.sqrt(np.abs(values[leading]))
        made.append(k_means(space, min(blocks, nodes), rng=rng))
    return made[:STARTS]


def k_means(rows: np.ndarray, clusters: int, *, rng: np.random.Generator) -> np.ndarray:
    """Return clusters of rows (N, feature) by Lloyd's steps from k-means++ centres, (N,)."""
    centres = rows[[int(rng.integers(len(rows)))]]
    nearest = np.full(len(rows), np.inf)
    for _ in range(clusters - 1):
        nearest = np.minimum(nearest, ((rows - centres[-1]) ** 2).sum(1))
        total = nearest.sum()
        if total <= 0:
            break
        centres = np.vstack((centres, rows[rng.choice(len(rows), p=nearest / total)]))
    labels = np.zeros(len(rows), dtype=np.intp)
    for step in range(12):
        distance = (centres**2).sum(1) - 2 * rows @ centres.T
        fresh = distance.argmin(1)
        if step and np.array_equal(fresh, labels):
            break
        labels = fresh
        member = (labels[:, None] == np.arange(len(centres))).astype(np.float64)
        count = member.sum(0)
        centres = np.where(
            count[:, None] > 0, member.T @ rows / np.maximum(count, 1)[:, None], centres
        )
    return labels


def _sweep(model: BlockModel, labels: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Return partitions after greedy sweeps until no node moves, (C, N)."""
    result = compacted(labels)
    active = np.arange(len(result))
    for _ in range(SWEEPS):
        slots = min(int(result[active].max()) + 2, model.nodes)
        chains = Chains(model, result[active], slots=slots)
        moved = chains.climb(rng.permutation(model.nodes))
        result[active] = compacted(chains.labels)
        active = active[moved]
        if not len(active):
            break
    return result


def _splits(graph: np.ndarray, found: np.ndarray, *, rng: np.random.Generator) -> np.ndarray | None:
    """Return partitions with one block split in two, (C, N); None where none can be."""
    rows = np.log1p(graph)
    made = []
    for one in found[:KEPT]:
        for block in range(int(one.max()) + 1):
            inside = np.flatnonzero(one == block)
            if len(inside) < 2:
                continue
            halves = k_means(rows[np.ix_(inside, inside)], 2, rng=rng)
            if halves.max() == 0:
                continue
            split = one.copy()
            split[inside[halves == 1]] = one.max() + 1
            made.append(split)
    return np.stack(made) if made else None


def _merge_gains(
    model: BlockModel, sums: np.ndarray, sizes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gain of joining each pair of blocks, (pair,) nats, and the pairs."""
    blocks = len(sizes)
    a, b = np.triu_indices(blocks, 1)
    now = model.terms(sums)
    joined = model.terms(sums[:, a] + sums[:, b])
    each = np.arange(len(a))
    joined[each, a] = joined[each, b] = 0.0
    within = sums[:, a, a] + sums[:, b, b] + sums[:, a, b]
    after = joined.sum(1) + model.terms(within)
    before = now[a].sum(1) + now[b].sum(1) - now[a, b]
    table, choices = model.log_factorial, model.log_choices
    prior = table[sizes[a] + sizes[b]] - table[sizes[a]] - table[sizes[b]]
    return after - before + prior + choices[blocks] - choices[blocks - 1], a, b


def _joined(sums: np.ndarray, a: int, b: int) -> np.ndarray:
    """Return block sums with block b joined to a, (1 + channel, B - 1, B - 1)."""
    within = sums[:, a, a] + sums[:, b, b] + sums[:, a, b]
    made = sums.copy()
    made[:, a] += sums[:, b]
    made[:, :, a] = made[:, a]
    made[:, a, a] = within
    return np.delete(np.delete(made, b, 1), b, 2)

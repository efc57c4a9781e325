"""Communities of a weighted graph: our weighted stochastic block model, or another by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from rheobase.models.connectome.sbm_backends import graph_tool_partition, leiden_partition
from rheobase.models.connectome.sbm_chains import Chains, compacted
from rheobase.models.connectome.sbm_model import (
    KINDS,
    BlockModel,
    block_model,
    block_sums,
    rescaled,
    score,
)
from rheobase.models.connectome.sbm_search import improve, merge_tree, search

BACKENDS = ("own", "graph_tool", "leiden")
DEGREES = ("shorter", "no", "yes")
CHAINS = 20
BURN_IN = 5
"""Metropolis sweeps of each chain before it counts; chosen here."""
SPARE = 4
"""Blocks more than the best partition has that a chain may open; chosen here."""


@dataclass(frozen=True, eq=False)
class Communities:
    """Blocks of nodes, how sure they are, and the tree above them."""

    labels: np.ndarray
    """Block of each node in the best partition found, (N,) from 0."""
    score: float
    """Log evidence and prior L of ``labels``, nats, of the rescaled graph."""
    single_score: float
    """L of one block for all, the best of the models that were compared, nats."""
    kind: str
    degree_corrected: bool
    levels: tuple[np.ndarray, ...]
    """Nested partitions from ``labels`` to one block, each (N,)."""
    level_scores: np.ndarray
    """L of each level, (level,) nats."""
    mean_weights: np.ndarray
    """Mean rescaled weight of the pairs of two blocks, (B, B); NaN where there are no pairs."""
    co_assignment: np.ndarray
    """Posterior probability that two nodes share a block, (N, N), diagonal 1."""
    consensus: np.ndarray
    """Block of each node in the consensus of the samples, (N,) from 0."""
    confidence: np.ndarray
    """Mean ``co_assignment`` with the rest of one's block in ``labels``, (N,); alone: 1 - the
    largest."""
    backend: str

    @property
    def blocks(self) -> int:
        """Return B of the best partition."""
        return int(self.labels.max()) + 1

    @property
    def description_length(self) -> float:
        """Return -L, nats."""
        return -self.score


def communities(
    weights: np.ndarray,
    *,
    kind: str = "exponential",
    degree_correction: str = "shorter",
    top_frac: float = 1.0,
    backend: str = "own",
    starts: Sequence[np.ndarray] = (),
    sweeps: int = 200,
    seed: int = 0,
) -> Communities:
    """Return the communities of a symmetric non-negative matrix of weights (N, N).

    ``kind`` is ``exponential``, ``log-normal`` or ``shorter`` (of the two descriptions);
    ``degree_correction`` is ``no``, ``yes`` or ``shorter``. Only the largest ``top_frac`` of all
    pairs are kept. ``starts`` are partitions (N,) to begin from, too: the backend ``own`` never
    returns a score below theirs or the single block's. ``graph_tool`` and ``leiden`` give their own
    partition, with its score under our model. ``sweeps`` Metropolis sweeps are spread over 20
    chains. Raises ValueError for a matrix or argument that cannot be used, RuntimeError where a
    backend is not installed. After Peixoto (2018), Phys. Rev. E 97, 012306.
    """
    _refuse_choices(kind, degree_correction, backend, sweeps)
    graph = rescaled(weights, top_frac=top_frac)
    given = [_start(one, len(graph)) for one in starts]
    rng = np.random.default_rng(seed)
    models = _models(graph, kind, degree_correction)
    model, labels = _best_found(models, graph, given, backend=backend, seed=seed)
    together, wandered = co_assignment(model, labels, sweeps=sweeps, rng=rng)
    if backend == "own":
        again = improve(model, np.vstack((labels[None], wandered)), rng=rng)[0]
        labels = again if score(model, again) > score(model, labels) else labels
    single = np.zeros(len(graph), dtype=np.intp)
    least = max(score(one, single) for one in models)
    return _described(model, graph, labels, together, single_score=least, backend=backend)


def partition_score(
    weights: np.ndarray,
    labels: np.ndarray,
    *,
    kind: str = "exponential",
    degree_corrected: bool = False,
    top_frac: float = 1.0,
) -> float:
    """Return L of a partition (N,) of weights (N, N), nats, of the rescaled graph.

    Raises ValueError for what ``communities`` refuses, too.
    """
    if kind not in KINDS:
        raise ValueError(f"communities: kind is {kind!r}; it must be one of {', '.join(KINDS)}")
    graph = rescaled(weights, top_frac=top_frac)
    model = block_model(graph, kind=kind, degree_corrected=degree_corrected)
    return score(model, _start(labels, len(graph)))


def co_assignment(
    model: BlockModel, labels: np.ndarray, *, sweeps: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of Metropolis samples with two nodes in one block, (N, N), and last states.

    Chains start at ``labels`` (N,) and may open 4 blocks more than it has. The states are
    (chain, N).
    """
    per_chain = max(1, -(-sweeps // CHAINS))
    slots = min(int(labels.max()) + 1 + SPARE, model.nodes)
    chains = Chains(model, np.repeat(labels[None], CHAINS, 0), slots=slots)
    shared = np.zeros((model.nodes, model.nodes))
    for step in range(BURN_IN + per_chain):
        chains.wander(rng)
        if step >= BURN_IN:
            member = (chains.labels[..., None] == np.arange(slots)).astype(np.float64)
            flat = member.transpose(1, 0, 2).reshape(model.nodes, -1)
            shared += flat @ flat.T
    return shared / (CHAINS * per_chain), chains.labels.copy()


def consensus_partition(together: np.ndarray) -> np.ndarray:
    """Return the partition that agrees best with co-assignment probabilities (N, N), (N,).

    The cut of average linkage on ``1 - p`` with the largest sum of ``p - 1/2`` over joined pairs
    (least Binder loss); chosen here.
    """
    distance = np.clip(1 - together, 0, 1)
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), method="average")
    heights = np.unique(tree[:, 2])
    benefit = together - 0.5
    best, best_value = np.arange(len(together)), 0.0
    for height in heights:
        cut = fcluster(tree, height + 1e-12, criterion="distance") - 1
        same = cut[:, None] == cut
        np.fill_diagonal(same, False)
        value = float(benefit[same].sum())
        if value > best_value:
            best, best_value = cut, value
    return compacted(best[None].astype(np.intp))[0]


def node_confidence(together: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the mean probability of sharing a block with the rest of one's own, (N,).

    For a node that is alone it is 1 minus its largest probability of sharing one.
    """
    same = (labels[:, None] == labels) & ~np.eye(len(labels), dtype=bool)
    others = same.sum(1)
    mean = (together * same).sum(1) / np.maximum(others, 1)
    largest = (together - np.eye(len(labels))).max(1)
    return np.where(others > 0, mean, 1 - largest)


def _described(
    model: BlockModel,
    graph: np.ndarray,
    labels: np.ndarray,
    together: np.ndarray,
    *,
    single_score: float,
    backend: str,
) -> Communities:
    """Return what is known of a partition (N,) with co-assignment probabilities (N, N)."""
    labels = compacted(labels[None])[0]
    levels, values = merge_tree(model, labels)
    return Communities(
        labels=labels,
        score=score(model, labels),
        single_score=single_score,
        kind=model.kind,
        degree_corrected=model.degree_corrected,
        levels=tuple(levels),
        level_scores=values,
        mean_weights=_mean_weights(graph, labels),
        co_assignment=together,
        consensus=consensus_partition(together),
        confidence=node_confidence(together, labels),
        backend=backend,
    )


def _models(graph: np.ndarray, kind: str, degree_correction: str) -> list[BlockModel]:
    """Return the models to compare."""
    kinds = KINDS if kind == "shorter" else (kind,)
    corrected = {"no": (False,), "yes": (True,), "shorter": (False, True)}[degree_correction]
    return [block_model(graph, kind=k, degree_corrected=d) for k in kinds for d in corrected]


def _best_found(
    models: list[BlockModel],
    graph: np.ndarray,
    starts: list[np.ndarray],
    *,
    backend: str,
    seed: int,
) -> tuple[BlockModel, np.ndarray]:
    """Return the model of the shortest description and its partition (N,)."""
    found: list[np.ndarray] = []
    for model in models:
        if backend == "leiden":
            labels = leiden_partition(graph, seed=seed)
        elif backend == "graph_tool":
            labels = graph_tool_partition(
                graph, kind=model.kind, degree_corrected=model.degree_corrected, seed=seed
            )
        else:
            labels = search(model, graph, rng=np.random.default_rng(seed), starts=starts)
        found.append(labels)
    values = [score(model, labels) for model, labels in zip(models, found, strict=True)]
    best = int(np.argmax(values))
    return models[best], found[best]


def _mean_weights(graph: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the mean weight of the pairs of two blocks, absent edges as 0, (B, B)."""
    blocks = int(labels.max()) + 1
    model = block_model(graph, kind="exponential", degree_corrected=False)
    possible, _, total = block_sums(model, labels[None], blocks)[1][:, 0]
    return np.divide(total, possible, out=np.full_like(total, np.nan), where=possible > 0)


def _start(labels: np.ndarray, nodes: int) -> np.ndarray:
    """Return a supplied partition numbered from 0, (N,)."""
    given = np.asarray(labels)
    if given.shape != (nodes,):
        raise ValueError(f"communities: a partition is {given.shape}; it must be ({nodes},)")
    return np.unique(given, return_inverse=True)[1].astype(np.intp)


def _refuse_choices(kind: str, degree_correction: str, backend: str, sweeps: int) -> None:
    """Raise ValueError for an argument that is none of the known ones."""
    for name, value, known in (
        ("kind", kind, (*KINDS, "shorter")),
        ("degree_correction", degree_correction, DEGREES),
        ("backend", backend, BACKENDS),
    ):
        if value not in known:
            raise ValueError(
                f"communities: {name} is {value!r}; it must be one of {', '.join(known)}"
            )
    if sweeps < 1:
        raise ValueError(f"communities: sweeps is {sweeps}; it must be 1 or more")

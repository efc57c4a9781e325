"""The weighted stochastic block model: the description length of a partition of a graph.

Beta-distributed densities of edges and conjugate priors of weights per pair of blocks, after
Peixoto (2018), Phys. Rev. E 97, 012306. An undirected edge counts once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import gammaln

NO_EDGE = 1e-6
"""Entries below this fraction of the largest are no edges."""
KAPPA0, A0, B0 = 0.1, 1.0, 0.5
"""The normal-inverse-gamma prior of z-scored logarithms of weights."""
KINDS = ("exponential", "log-normal")


@dataclass(frozen=True, eq=False)
class BlockModel:
    """A graph under one kind of weights, ready to be scored."""

    kind: str
    degree_corrected: bool
    channels: np.ndarray
    """Edges (0 or 1), then the sums that the kind needs, of each pair of nodes, (channel, N, N)."""
    constant: float
    """What no partition changes: Jacobians and the price of the strengths, nats."""
    beta: float
    log_factorial: np.ndarray
    """ln x! for x up to the number of pairs + 1."""

    @property
    def nodes(self) -> int:
        """Return N."""
        return self.channels.shape[1]

    def terms(self, sums: np.ndarray) -> np.ndarray:
        """Return the log evidence of pairs of blocks, (...), nats.

        ``sums`` is (1 + channel, ...): possible pairs, edges, sums of weights.
        """
        possible, edges = sums[:2].astype(np.intp)
        table = self.log_factorial
        evidence = table.take(edges)
        if self.kind == "exponential":
            evidence *= 2
            evidence -= (1 + sums[1]) * np.log(self.beta + sums[2])
            evidence += np.log(self.beta)
        else:
            evidence += _normal_evidence(sums[1], sums[2], sums[3])
        evidence += table.take(possible - edges)
        possible += 1
        evidence -= table.take(possible)
        return evidence

    def prior(self, sizes: np.ndarray) -> np.ndarray:
        """Return the log prior of partitions with block ``sizes`` (..., B), nats; 0 is no block."""
        blocks = (sizes > 0).sum(-1)
        table = self.log_factorial
        return table[sizes].sum(-1) - self.log_choices[blocks] - self.arrangements

    @cached_property
    def arrangements(self) -> float:
        """Return ln N! + ln N."""
        return float(gammaln(self.nodes + 1) + np.log(self.nodes))

    @cached_property
    def log_choices(self) -> np.ndarray:
        """Return ln C(N-1, B-1) for B = 0..N; 0 for B = 0."""
        b = np.arange(1, self.nodes + 1)
        ways = gammaln(self.nodes) - gammaln(b) - gammaln(self.nodes - b + 1)
        return np.concatenate(([0.0], ways))


def block_model(graph: np.ndarray, *, kind: str, degree_corrected: bool) -> BlockModel:
    """Return the model of a graph that ``rescaled`` made, (N, N).

    With ``degree_corrected`` weights are divided by ``theta_i theta_j``, the strengths over their
    mean, at the price of a Jacobian and ``N/2 ln N`` nats.
    """
    nodes = len(graph)
    edge = graph > 0
    weights, constant = graph, 0.0
    if degree_corrected:
        strength = graph.sum(1)
        theta = np.where(strength > 0, strength / max(strength.mean(), 1e-300), 1.0)
        scale = np.outer(theta, theta)
        weights = graph / scale
        constant = -0.5 * float(np.log(scale[edge]).sum()) - nodes / 2 * float(np.log(nodes))
    beta = float(weights[edge].mean()) if edge.any() else 1.0
    sums = [weights]
    if kind == "log-normal":
        scores, jacobian = _log_scores(weights, edge)
        sums, constant = [scores, scores**2], constant + jacobian
    return BlockModel(
        kind=kind,
        degree_corrected=degree_corrected,
        channels=np.stack([edge.astype(np.float64), *sums]),
        constant=constant,
        beta=beta,
        log_factorial=gammaln(np.arange(nodes * (nodes - 1) // 2 + nodes + 3) + 1.0),
    )


def rescaled(weights: np.ndarray, *, top_frac: float = 1.0) -> np.ndarray:
    """Return the graph over its mean positive entry, (N, N) float64, zero diagonal.

    Only the largest ``top_frac`` of all pairs are kept. Raises ValueError for a matrix that is not
    square, symmetric, finite and non-negative, or has fewer than 2 nodes.
    """
    graph = np.array(weights, dtype=np.float64)
    _refuse(graph, top_frac)
    np.fill_diagonal(graph, 0)
    graph = (graph + graph.T) / 2
    if top_frac < 1:
        upper = graph[np.triu_indices(len(graph), 1)]
        kept = max(1, round(top_frac * len(upper)))
        graph[graph < np.partition(upper, len(upper) - kept)[len(upper) - kept]] = 0
    largest = graph.max()
    if largest == 0:
        return graph
    graph = graph / largest
    graph[graph < NO_EDGE] = 0
    return graph / graph[graph > 0].mean()


def block_sums(model: BlockModel, labels: np.ndarray, blocks: int) -> tuple[np.ndarray, np.ndarray]:
    """Return node-to-block sums (channel, C, N, B) and block sums (1 + channel, C, B, B).

    ``labels`` is (C, N). The diagonal of block sums counts each pair once.
    """
    member = (labels[..., None] == np.arange(blocks)).astype(np.float64)
    to_block = np.einsum("kij,cjb->kcib", model.channels, member, optimize=True)
    between = np.einsum("cia,kcib->kcab", member, to_block, optimize=True)
    sizes = member.sum(1)
    possible = sizes[:, :, None] * sizes[:, None, :]
    at = np.arange(blocks)
    between[:, :, at, at] /= 2
    possible[:, at, at] = sizes * (sizes - 1) / 2
    return to_block, np.concatenate((possible[None], between))


def score(model: BlockModel, labels: np.ndarray) -> float:
    """Return the log evidence and prior L of a partition (N,), nats; -L is a description length."""
    compact = np.unique(labels, return_inverse=True)[1].reshape(1, -1)
    blocks = int(compact.max()) + 1
    sums = block_sums(model, compact, blocks)[1][:, 0]
    a, b = np.triu_indices(blocks)
    evidence = float(model.terms(sums[:, a, b]).sum())
    return evidence + float(model.prior(np.bincount(compact[0]))) + model.constant


def _normal_evidence(count: np.ndarray, total: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Return the log evidence of normal values under the normal-inverse-gamma prior, nats."""
    kappa, a = KAPPA0 + count, A0 + count / 2
    b = B0 + 0.5 * (squares - total**2 / kappa)
    constant = A0 * np.log(B0) - gammaln(A0)
    shape = gammaln(a) - a * np.log(np.maximum(b, B0 / 2))
    return constant + shape + 0.5 * (np.log(KAPPA0 / kappa) - count * np.log(2 * np.pi))


def _log_scores(weights: np.ndarray, edge: np.ndarray) -> tuple[np.ndarray, float]:
    """Return z-scored logarithms of weights, 0 off edges, and the Jacobian, nats."""
    scores = np.zeros_like(weights)
    if not edge.any():
        return scores, 0.0
    logs = np.log(weights[edge])
    spread = float(logs.std())
    spread = spread if spread > 1e-12 else 1.0
    scores[edge] = (logs - logs.mean()) / spread
    return scores, -0.5 * float(logs.sum()) - len(logs) / 2 * float(np.log(spread))


def _refuse(graph: np.ndarray, top_frac: float) -> None:
    """Raise ValueError for what is no weighted undirected graph."""
    if graph.ndim != 2 or graph.shape[0] != graph.shape[1] or len(graph) < 2:
        raise ValueError(f"communities: weights are {graph.shape}; they must be (N, N), N >= 2")
    if not np.isfinite(graph).all():
        raise ValueError("communities: weights hold NaN or infinite values; set them to 0 first")
    if graph.min() < 0:
        raise ValueError(f"communities: a weight is {graph.min():.3g}; none may be negative")
    if not np.allclose(graph, graph.T, rtol=1e-6, atol=1e-9 * graph.max()):
        raise ValueError("communities: weights are not symmetric; give (W + W.T) / 2")
    if not 0 < top_frac <= 1:
        raise ValueError(f"communities: top_frac is {top_frac}; it must be above 0, at most 1")

"""Communities of five planted blocks of 30 nodes: the score beside that of the planted partition.

Peers are Leiden by graspologic-native and, where a system python has it, graph-tool's nested block
model, on the same weights; their rows say how well they find the blocks, not the same answer.
``community_rows`` is part of the family's table; ``python -m benchmarks.connectome_communities``
prints it alone.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.harness import Case, Equal, Peer, Row, measure
from benchmarks.processes import Call
from rheobase.models.connectome import sbm_backends

BLOCKS, SIZE, OUTSIDE = 5, 30, 0.3
CASES = ((0.6, 1.0), (0.6, 0.3), (0.9, 1.0), (0.9, 0.3))
"""Mean weight inside a block, and the part of all pairs that is kept."""
LIMIT_CPU_S = 0.5


def community_rows() -> Iterator[Row]:
    """Yield the search of each planted case beside Leiden, then the whole call with samples."""
    same, version = Equal("the sum of the weights", 1e-6), graph_tool_version()
    for inside, kept in CASES:
        graph = {"inside": inside, "kept": kept}
        name = f"communities, inside {inside}, top {kept:.0%}"
        peer = Peer("Leiden", "graspologic-native", call("leiden", **graph))
        yield measure(
            Case(name, call("searched", **graph), peer, same, repeats=3, limit_cpu_s=LIMIT_CPU_S)
        )
        peer = Peer("graph-tool", "graph-tool", call("graph_tool", **graph), version)
        yield measure(Case(name, call("searched", **graph), peer, same, repeats=1))
    whole = call("whole", inside=0.6, kept=1.0)
    yield measure(Case("communities, both degree models and 200 samples", whole, repeats=3))


def graph_tool_version() -> str | None:
    """Return the version of graph-tool in a system python, None where none has it."""
    for python in sbm_backends.SYSTEM_PYTHONS:
        words = [python, "-c", "import graph_tool; print(graph_tool.__version__)"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.split()[0]
    return None


def call(name: str, **arguments: Any) -> Call:
    """Return the call of a function of this module."""
    return Call(f"benchmarks.connectome_communities:{name}", arguments)


def planted(inside: float) -> tuple[np.ndarray, np.ndarray]:
    """Return exponential weights (N, N) and the blocks that they were drawn from (N,)."""
    truth = np.repeat(np.arange(BLOCKS), SIZE)
    mean = np.where(truth[:, None] == truth, inside, OUTSIDE)
    upper = np.triu(np.random.default_rng(0).exponential(mean), 1)
    return upper + upper.T, truth


def searched(*, inside: float, kept: float) -> Callable[[], Any]:
    """Return a function that searches with all starts, without degree correction."""
    from rheobase.models.connectome.sbm_model import block_model, rescaled
    from rheobase.models.connectome.sbm_search import search

    graph = rescaled(planted(inside)[0], top_frac=kept)

    def run() -> Callable[[], Any]:
        model = block_model(graph, kind="exponential", degree_corrected=False)
        found = search(model, graph, rng=np.random.default_rng(0))
        return lambda: told(graph, found, inside)

    return run


def leiden(*, inside: float, kept: float) -> Callable[[], Any]:
    """Return a function that runs Leiden by modularity on the same graph."""
    from rheobase.models.connectome.sbm_backends import leiden_partition
    from rheobase.models.connectome.sbm_model import rescaled

    graph = rescaled(planted(inside)[0], top_frac=kept)

    def run() -> Callable[[], Any]:
        found = leiden_partition(graph, seed=0)
        return lambda: told(graph, found, inside)

    return run


def graph_tool(*, inside: float, kept: float) -> Callable[[], Any]:
    """Return a function that runs graph-tool's nested block model, its start included."""
    from rheobase.models.connectome.sbm_model import rescaled

    graph = rescaled(planted(inside)[0], top_frac=kept)

    def run() -> Callable[[], Any]:
        found = sbm_backends.graph_tool_partition(
            graph, kind="exponential", degree_corrected=False, seed=0
        )
        return lambda: told(graph, found, inside)

    return run


def whole(*, inside: float, kept: float) -> Callable[[], Any]:
    """Return a function that makes communities with both degree models and samples."""
    from rheobase.models.connectome.communities import communities
    from rheobase.models.connectome.sbm_model import rescaled

    weights = planted(inside)[0]

    def run() -> Callable[[], Any]:
        found = communities(weights, top_frac=kept)
        return lambda: told(rescaled(weights, top_frac=kept), found.labels, inside)

    return run


def told(graph: np.ndarray, found: np.ndarray, inside: float) -> dict[str, Any]:
    """Return what the sides have in common, and how good the partition is."""
    from rheobase.models.connectome.sbm_model import block_model, score

    model, truth = (
        block_model(graph, kind="exponential", degree_corrected=False),
        planted(inside)[1],
    )
    return {
        "weights": float(graph.sum()),
        "_blocks": float(found.max() + 1),
        "_adjusted_rand": adjusted_rand(found, truth),
        "_nats_above_planted": score(model, found) - score(model, truth),
    }


def adjusted_rand(a: np.ndarray, b: np.ndarray) -> float:
    """Return the adjusted Rand index of two partitions (N,); 0 where one is a single block."""
    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a, b), 1)
    both, rows, columns = (
        float((n * (n - 1) / 2).sum()) for n in (table, table.sum(1), table.sum(0))
    )
    expected = rows * columns / (len(a) * (len(a) - 1) / 2)
    return (both - expected) / ((rows + columns) / 2 - expected)


if __name__ == "__main__":
    for row in community_rows():
        print(row)

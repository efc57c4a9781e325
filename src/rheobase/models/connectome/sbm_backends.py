"""Partitions by other programs: graph-tool in a python of its own, and Leiden."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

SYSTEM_PYTHONS = ("/usr/bin/python3", "python3")
GRAPH_TOOL_LIMIT_S = 3600
PROGRAM = """
import sys
import numpy as np
import graph_tool
import graph_tool.inference as inference
given = np.load(sys.argv[1], allow_pickle=False)
graph_tool.seed_rng(int(given["seed"]))
np.random.seed(int(given["seed"]))
graph = graph_tool.Graph(directed=False)
graph.add_vertex(int(given["nodes"]))
graph.add_edge_list(given["edges"])
weight = graph.new_edge_property("double")
weight.a = given["weights"]
state = inference.minimize_nested_blockmodel_dl(graph, state_args=dict(
    deg_corr=bool(given["degree_corrected"]), recs=[weight], rec_types=[str(given["record"])]))
labels = np.array(list(state.get_levels()[0].get_blocks()), dtype=np.int64)
np.savez(sys.argv[2], labels=labels)
"""
"""Each undirected edge enters once: mirrored copies would double the evidence."""


def require(backend: str) -> None:
    """Raise RuntimeError where what a backend needs is not installed."""
    if backend == "leiden":
        _native()
    elif backend == "graph_tool":
        _python_with_graph_tool()


def graph_tool_partition(
    graph: np.ndarray, *, kind: str, degree_corrected: bool, seed: int
) -> np.ndarray:
    """Return the lowest level of graph-tool's nested block model of a graph (N, N), (N,) from 0.

    graph-tool (Peixoto 2014) runs as a program of a system python. Raises RuntimeError where no
    system python has it or where it fails.
    """
    rows, columns = np.nonzero(np.triu(graph, 1))
    weights = graph[rows, columns]
    normal = kind == "log-normal"
    python = _python_with_graph_tool()
    with tempfile.TemporaryDirectory() as folder:
        given, answer = Path(folder, "given.npz"), Path(folder, "answer.npz")
        np.savez(
            given,
            nodes=np.array(len(graph)),
            edges=np.stack((rows, columns), 1),
            weights=np.log(weights) if normal else weights,
            record=np.array("real-normal" if normal else "real-exponential"),
            degree_corrected=np.array(degree_corrected),
            seed=np.array(seed),
        )
        command = [python, "-c", PROGRAM, str(given), str(answer)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=GRAPH_TOOL_LIMIT_S, check=False
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise RuntimeError(f"communities: graph_tool failed in {python}: {last}")
        with np.load(answer, allow_pickle=False) as arrays:
            labels = arrays["labels"]
    return np.unique(labels, return_inverse=True)[1].astype(np.intp)


def leiden_partition(graph: np.ndarray, *, seed: int, resolution: float = 1.0) -> np.ndarray:
    """Return the Leiden partition by modularity of a graph (N, N), (N,) from 0.

    After Traag, Waltman and van Eck (2019), by graspologic-native. A node without edges is alone.
    Raises RuntimeError where that package is not installed.
    """
    native = _native()
    rows, columns = np.nonzero(np.triu(graph, 1))
    labels = -1 - np.arange(len(graph))
    if len(rows):
        edges = [(str(i), str(j), float(graph[i, j])) for i, j in zip(rows, columns, strict=True)]
        answer = native.leiden(
            edges=edges, starting_communities=None, resolution=resolution, randomness=0.001,
            iterations=2, use_modularity=True, seed=seed, trials=1,
        )  # fmt: skip
        for node, block in answer[-1].items():
            labels[int(node)] = block
    return np.unique(labels, return_inverse=True)[1].astype(np.intp)


def _native() -> Any:
    """Return the module of Leiden."""
    try:
        return importlib.import_module("graspologic_native")
    except ImportError:
        raise RuntimeError(
            "communities: backend 'leiden' needs graspologic-native, which is not installed; "
            "pip install 'rheobase[leiden]', or take backend 'own'"
        ) from None


def _python_with_graph_tool() -> str:
    """Return the first system python that imports graph_tool."""
    tried = []
    for name in SYSTEM_PYTHONS:
        python = shutil.which(name)
        if python is None:
            continue
        tried.append(python)
        check = subprocess.run(
            [python, "-c", "import graph_tool"], capture_output=True, timeout=120, check=False
        )
        if check.returncode == 0:
            return python
    raise RuntimeError(
        f"communities: backend 'graph_tool' needs a system python with graph_tool, none of "
        f"{', '.join(tried) or 'no python'} has it; install python3-graph-tool, or take "
        "backend 'own'"
    )

"""Reservoirs in one batch beside reservoirpy, one after the other, on the same weights.

First the states alone, at three sizes; a step of the peer is one product of a CSR matrix and a
vector. Then a sweep of 60 settings and ten seeds with readouts of nine penalties: the peer as its
users write it (a ridge node fitted again for each penalty), and with one Gram matrix for all. The
equations, weights and float64 states of the peer are ours; its sigmoid is SciPy's.
``python -m benchmarks.reservoir`` prints what the ways to multiply cost.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.harness import Case, Equal, Peer, Row, measure
from benchmarks.meter import MIB_IN_RUSAGE
from benchmarks.processes import Call

PEER = "reservoirpy"
SIZES = ((500, 50), (1000, 100), (2000, 200))
COLUMNS = (32, 64)
STEPS = 250
COMPARED = 4
"""Columns whose states of the first 200 steps are compared."""
BALANCES = (0.25, 0.1, 0.0, -0.1, -0.25, -0.4, -0.5, -0.75, -1.0, -1.5)
SCALES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
ALPHAS = tuple(10.0**power for power in range(-8, 1))
LENGTH, WASHOUT, TRAIN = 5000, 200, 3300
LIMIT_MB = 2000


def rows() -> Iterator[Row]:
    """Yield the states at three sizes and two widths, then the sweep."""
    same = Equal("states of the first 200 steps", 1e-5)
    for units, degree in SIZES:
        for columns in COLUMNS:
            size = {"units": units, "degree": degree, "columns": columns}
            peer = Peer(PEER, PEER, call("peer_states", dtype="float64", **size))
            name = f"{columns} x {STEPS} steps, N = {units}, {degree} inputs"
            yield measure(Case(name, call("our_states", **size), peer, same, repeats=5))
    size = {"units": 1000, "degree": 100, "columns": 32}
    peer = Peer(f"{PEER}, float32", PEER, call("peer_states", dtype="float32", **size))
    name = f"32 x {STEPS} steps, N = 1000, 100 inputs"
    yield measure(Case(name, call("our_states", **size), peer, same, repeats=3))
    errors = Equal("the validation errors, relative, in the median", 1e-3, median_difference)
    for name, seeds, shared in ((PEER, 10, False), (f"{PEER}, one Gram matrix", 2, True)):
        peer = Peer(name, PEER, call("peer_sweep", seeds=seeds, shared=shared))
        case = f"60 settings x {seeds} seeds x 9 penalties, N = 500, T = {LENGTH}"
        yield measure(Case(case, call("our_sweep", seeds=seeds), peer, errors, repeats=1))


def call(name: str, **arguments: Any) -> Call:
    """Return the call of a function of this module."""
    return Call(f"benchmarks.reservoir:{name}", arguments)


def median_difference(ours: Any, peer: Any) -> float:
    """Return the median relative difference of the errors: float32 and float64 states differ."""
    a, b = ours["errors"], peer["errors"]
    return float("inf") if a.shape != b.shape else float(np.median(np.abs(a - b) / b))


def inputs(columns: int) -> np.ndarray:
    """Return uniform inputs of so many recordings, (recording, time, 1)."""
    return np.random.default_rng(0).uniform(-1, 1, (columns, STEPS, 1))


def our_states(*, units: int, degree: int, columns: int) -> Callable[[], Any]:
    """Return a function that runs recordings as columns, states streamed to a consumer."""
    import torch

    from rheobase.models.reservoir.batched import BatchedReservoir
    from rheobase.models.reservoir.engine import Block
    from rheobase.models.reservoir.settings import Network

    class Consumer:
        """Takes states as a readout does; they come one column after the other."""

        def open(self, layout: Any) -> None:
            self.last = None

        def take(self, states: Any, start: int, block: Any) -> None:
            self.last = states[-1, -1, -1, -1]

    torch.set_num_threads(1)
    network = Network(n_units=units, degree=degree, input_scale=0.05)
    engine = BatchedReservoir([network], [0], channels=1)
    given = list(inputs(columns))
    engine.run([one[:20] for one in given], sink=Consumer())

    def run() -> Callable[[], Any]:
        engine.run(given, sink=Consumer())
        return lambda: {
            "states": engine.states(given)[0, 0, :COMPARED, :200],
            **speed(engine.dynamics(Block(*(slice(None),) * 3), columns).product, columns),
        }

    return run


def speed(product: Any, columns: int) -> dict[str, float]:
    """Return the traffic of one product, and what a plain copy reaches, GB/s.

    Counted are values, indices, one row of the state for every synapse, and the result. The state
    fits the cache: the copy of its size is what to compare with, that of 256 MB is the memory's.
    """
    import torch

    state = torch.rand(product.units, columns)
    made = product(state).numel()
    moved = 4 * (len(product.values) * (2 + columns) + made)
    large, small = torch.rand(1 << 26), torch.rand(state.numel())
    return {
        "_gb_per_s": moved / seconds(lambda: product(state), 50) / 1e9,
        "_copy_gb_per_s": copied(large, 3),
        "_cached_copy_gb_per_s": copied(small, 1000),
    }


def copied(source: Any, times: int) -> float:
    """Return what copying an array reads and writes in a second, GB."""
    target = source.clone()
    return 8 * source.numel() / seconds(lambda: target.copy_(source), times) / 1e9


def seconds(work: Callable[[], Any], times: int) -> float:
    """Return the CPU seconds of one call, the best of five rounds."""
    best = np.inf
    for _ in range(5):
        began = time.process_time()
        for _ in range(times):
            work()
        best = min(best, (time.process_time() - began) / times)
    return best


def peer_node(weights: Any, balance: float, scale: float, dtype: str) -> Any:
    """Return a reservoirpy node with our weights and equation, at rest."""
    from reservoirpy.nodes import Reservoir
    from scipy.special import expit

    coupling = ((weights.exc - (1 - balance) * weights.inh) * 10.0).astype(dtype)
    given = (10.0 * scale * weights.inputs).astype(dtype)
    node = Reservoir(W=coupling, Win=given, lr=1.0, activation=expit, bias=0.0)
    node.initialize(np.zeros((1, 1), dtype))
    return node


def peer_run(node: Any, given: np.ndarray, dtype: str) -> np.ndarray:
    """Return the states of one recording from rest, (time, unit)."""
    node.state = {"out": np.full(node.units, 0.5, dtype)}
    return node.run(given.astype(dtype))


def peer_states(*, units: int, degree: int, columns: int, dtype: str) -> Callable[[], Any]:
    """Return a function that runs the recordings one after the other."""
    from rheobase.models.reservoir.settings import Network
    from rheobase.models.reservoir.wiring import build

    weights = build(Network(n_units=units, degree=degree), seed=0, channels=1)
    node, given = peer_node(weights, 0.0, 0.05, dtype), inputs(columns)
    peer_run(node, given[0, :20], dtype)

    def run() -> dict[str, Any]:
        kept = []
        for number, one in enumerate(given):
            states = peer_run(node, one, dtype)
            if number < COMPARED:
                kept.append(states[:200])
        return {"states": np.stack(kept)}

    return run


def task(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return input and target of NARMA-10, and 0 for training, 1 for validation, -1 for washout."""
    from rheobase.models.reservoir.tasks import narma10

    made = narma10(seed=seed, length=LENGTH)
    parts = (WASHOUT, TRAIN, LENGTH - WASHOUT - TRAIN)
    return made.inputs, made.targets, np.repeat([-1, 0, 1], parts)


def grid() -> list[tuple[float, float]]:
    """Return balance and input scale of every setting."""
    return [(balance, scale) for balance in BALANCES for scale in SCALES]


def our_sweep(*, seeds: int) -> Callable[[], Any]:
    """Return a function that sweeps all settings as columns, seed by seed."""
    import torch

    from rheobase.models.reservoir import readout, scores
    from rheobase.models.reservoir.batched import BatchedReservoir
    from rheobase.models.reservoir.settings import Network

    torch.set_num_threads(1)
    networks = [Network(balance=balance, input_scale=scale) for balance, scale in grid()]

    def errors(seed: int) -> np.ndarray:
        given, target, labels = task(seed)
        sums = readout.GramAccumulator([target], labels=[labels])
        engine = BatchedReservoir(networks, [seed], channels=1)
        engine.run(given, sink=sums, washout=WASHOUT)
        return np.array([
            scores.along(scores.nrmse_of, sums.gram(0, m, 1),
                         list(readout.readouts(sums.gram(0, m, 0), ALPHAS))).min()
            for m in range(len(networks))
        ])  # fmt: skip

    def run() -> Callable[[], Any]:
        found = np.array([errors(seed) for seed in range(seeds)])
        held = peak_mb()
        return lambda: {"errors": found, "_peak_mb": held, "_limit_mb": LIMIT_MB}

    return run


def peak_mb() -> float:
    """Return the most MiB that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB_IN_RUSAGE


def peer_sweep(*, seeds: int, shared: bool) -> Callable[[], Any]:
    """Return a function that sweeps with a loop over seeds, settings and penalties."""
    from rheobase.models.reservoir.settings import Network
    from rheobase.models.reservoir.wiring import build

    def run() -> dict[str, Any]:
        found = np.zeros((seeds, len(grid())))
        for seed in range(seeds):
            given, target, labels = task(seed)
            weights = build(Network(), seed=seed, channels=1)
            for m, (balance, scale) in enumerate(grid()):
                states = peer_run(peer_node(weights, balance, scale, "float64"), given, "float64")
                found[seed, m] = min(peer_errors(states, target, labels, shared=shared))
        return {"errors": found}

    return run


def peer_errors(
    states: np.ndarray, target: np.ndarray, labels: np.ndarray, *, shared: bool
) -> list[float]:
    """Return the validation NRMSE of reservoirpy's ridge node for each penalty."""
    from reservoirpy.nodes import Ridge

    x, y, held, truth = (a[labels == k] for k in (0, 1) for a in (states, target))
    spread = len(x) * x.var(axis=0).mean()
    once = Ridge().worker(x, y) if shared else None
    errors = []
    for alpha in ALPHAS:
        node = Ridge(ridge=alpha * spread)
        if once is None:
            node.fit(x, y)
        else:
            node.initialize(x, y)
            node.master([once])
        told = held @ node.Wout + node.bias
        errors.append(float(np.sqrt(((truth - told) ** 2).mean() / truth.var())))
    return errors


def products() -> Iterator[tuple[str, dict[str, float]]]:
    """Yield the microseconds of one product a column, by size and way to multiply."""
    import torch
    from scipy.sparse import csr_array, random_array

    from rheobase.models.reservoir.product import KINDS, SparseProduct

    torch.set_num_threads(1)
    for units, degree in ((200, 50), *SIZES):
        matrix = csr_array(random_array((units, units), density=degree / units, rng=0))
        for columns in (1, 4, 16, 32, 64, 128):
            state, spent = torch.rand(units, columns), {}
            for kind in KINDS:
                product = SparseProduct([matrix], columns=columns, device="cpu",
                                        dtype=torch.float32, kind=kind)  # fmt: skip
                spent[kind] = 1e6 * seconds(lambda p=product, s=state: p(s), 10) / columns
            yield f"N = {units}, {degree} inputs, {columns} columns", spent


if __name__ == "__main__":
    for _size, _spent in products():
        print(_size, {kind: round(value, 2) for kind, value in _spent.items()}, "µs a column")

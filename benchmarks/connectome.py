"""Ten iterations of the factorisation of affinities beside tensorly's, from the same start.

The tensor is ``h h^T`` of a planted drive. tensorly is taken on packed pairs (three modes, numpy,
float64) in our order of modes, which gives the same errors, then in the order in which it is
fastest, and as the call that comes to mind first (all four modes). The tensor of the last case
would take 4 GB; it is never built. ``python -m benchmarks.connectome`` counts the iterations that
extrapolation spares.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.connectome_communities import community_rows
from benchmarks.harness import Case, Equal, Peer, Row, measure
from benchmarks.meter import MIB_IN_RUSAGE
from benchmarks.processes import Call

ITERATIONS = 10
SIZES = {
    "150 x 150 x 300 x 1": {"neurons": 150, "bins": 300, "animals": 1, "rank": 8},
    "100 x 100 x 500 x 4": {"neurons": 100, "bins": 500, "animals": 4, "rank": 8},
    "100 x 100 x 500 x 10": {"neurons": 100, "bins": 500, "animals": 10, "rank": 8},
}
LARGE = {"neurons": 1000, "bins": 2000, "animals": 1, "rank": 10}
LARGE_LIMIT_CPU_S = 60.0
LARGE_LIMIT_MB = 2048.0
LEAST_RATIO = {"150 x 150 x 300 x 1": 8.0, "100 x 100 x 500 x 10": 10.0}
MOST_EXTRA = 1 / 8


def rows() -> Iterator[Row]:
    """Yield the implicit path beside its rivals at three sizes, then alone at a large one."""
    same = Equal("the relative errors", 1e-5)
    for name, size in SIZES.items():
        implicit = call("ours", path="implicit", **size)
        case = f"{name}, rank {size['rank']}"
        peer = Peer("tensorly packed", "tensorly", call("packed_peer", order="PTS", **size))
        yield measure(Case(case, implicit, peer, same, repeats=5, most_extra_share=MOST_EXTRA))
        peer = Peer("explicit, packed", "torch", call("ours", path="explicit", **size))
        yield measure(Case(case, implicit, peer, same, repeats=5))
        drive = Equal("the sum of the drive", 1e-3, sums_differ)
        peer = Peer("tensorly packed, fastest order", "tensorly",
                    call("packed_peer", order="STP", **size))  # fmt: skip
        yield measure(
            Case(case, implicit, peer, drive, repeats=5, least_ratio=LEAST_RATIO.get(name))
        )
        peer = Peer("tensorly 4-way", "tensorly", call("whole_peer", **size))
        yield measure(Case(case, implicit, peer, drive, repeats=1))
    yield measure(
        Case("1000 x 1000 x 2000 x 1, rank 10", call("ours", path="implicit", **LARGE),
             repeats=2, limit_cpu_s=LARGE_LIMIT_CPU_S, limit_peak_mb=LARGE_LIMIT_MB)
    )  # fmt: skip
    yield from community_rows()


def call(name: str, **arguments: Any) -> Call:
    """Return the call of a function of this module."""
    return Call(f"benchmarks.connectome:{name}", arguments)


def sums_differ(ours: Any, peer: Any) -> float:
    """Return how far the sums of the drives are apart: other models and orders, other errors."""
    return abs(float(ours["drive"]) - float(peer["drive"]))


def planted(neurons: int, bins: int, animals: int, rank: int) -> np.ndarray:
    """Return a drive of sparse groups with two bumps each on noise, (neuron, animal, bin)."""
    generator, at = np.random.default_rng(0), np.arange(bins)
    made = 0.05 * generator.gamma(1, 1, (neurons, animals, bins))
    for _ in range(rank):
        members = generator.gamma(2, 0.5, neurons) * (generator.random(neurons) < 0.2)
        centres = generator.uniform(0, bins, (2, 1))
        course = np.exp(-0.5 * ((at - centres) / (bins / 40)) ** 2).sum(axis=0)
        shares = generator.gamma(4, 0.25, animals)
        made += members[:, None, None] * shares[:, None] * course
    return (made / made.max()).astype(np.float32)


def prepared(size: dict[str, int]) -> tuple[Any, Any]:
    """Return the implicit tensor of a planted drive, float32, and a random start."""
    import torch

    from rheobase.models.connectome.affinities import affinities
    from rheobase.models.connectome.kernels import drive_source
    from rheobase.models.connectome.starts import uniform_starts

    torch.set_num_threads(1)
    drive = torch.from_numpy(planted(**size))
    tensor = affinities(drive_source(drive, kernel="product"))
    return tensor, uniform_starts(tensor, rank=size["rank"], count=1, seed=0)


def ours(*, path: str, **size: int) -> Callable[[], Any]:
    """Return a function that makes ten iterations, five inner sweeps each."""
    from rheobase.models.connectome.affinities import affinities
    from rheobase.models.connectome.factorise import factorise
    from rheobase.models.connectome.step import Settings

    before = peak_mb()
    tensor, start = prepared(size)
    made = affinities(tensor.source, path=path, max_bytes=2**40)
    settings = Settings(max_iter=ITERATIONS, tol=0, inner_tol=0)
    factorise(made, start, Settings(max_iter=2, tol=0, inner_tol=0))
    best = np.inf

    def run() -> Callable[[], Any]:
        nonlocal best
        began = time.process_time()
        error = factorise(made, start, settings)[0].error
        best = min(best, time.process_time() - began)
        return lambda: told(tensor, error, before, **speed(tensor, size["rank"], best))

    return run


def told(tensor: Any, error: float, before: float, **more: float) -> dict[str, Any]:
    """Return what the sides have in common, and the memory that the factorisation has added."""
    drive = float(tensor.source.drive.double().sum())
    return {"error": error, "drive": drive, "_extra_mb": peak_mb() - before, **more}


def peak_mb() -> float:
    """Return the most MiB that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB_IN_RUSAGE


def speed(tensor: Any, rank: int, seconds: float) -> dict[str, float]:
    """Return the matrix products made in a second, and the most that this machine makes.

    Counted is what is done: the blocks on and above the diagonal.
    """
    import torch

    neurons, columns = tensor.layout.neurons, tensor.layout.columns
    entries = sum((b.stop - b.start) * (neurons - b.start) for b in tensor.row_blocks)
    made = ITERATIONS * 2 * 2 * rank * entries * columns / seconds
    square = torch.rand(1024, 1024)
    most = 0.0
    for _ in range(20):
        began = time.process_time()
        square @ square
        most = max(most, 2 * 1024**3 / (time.process_time() - began))
    return {"_gflop_per_s": made / 1e9, "_gemm_gflop_per_s": most / 1e9}


def packed_peer(*, order: str, **size: int) -> Callable[[], Any]:
    """Return ten iterations of tensorly on (pair, bin, animal), in an order of modes as ``PTS``."""
    before = peak_mb()
    tensor, start = prepared(size)
    first, second = np.triu_indices(size["neurons"], 1)
    modes = {"P": len(first), "T": size["bins"], "S": size["animals"]}
    x = np.empty([modes[mode] for mode in order])
    plain = x.transpose([order.index(mode) for mode in "PTS"])
    h = tensor.source.drive.numpy().reshape(size["neurons"], size["animals"], -1)
    for animal in range(size["animals"]):
        plain[:, :, animal] = h[first, animal]
        plain[:, :, animal] *= h[second, animal]
    factors = {"P": start.patterns, "T": start.times, "S": start.animals}
    return by_tensorly(x, tuple(factors[mode] for mode in order), tensor, before)


def whole_peer(**size: int) -> Callable[[], Any]:
    """Return ten iterations of tensorly on (neuron, neuron, bin, animal)."""
    import torch

    before = peak_mb()
    tensor, start = prepared(size)
    h = tensor.source.drive.numpy().reshape(size["neurons"], size["animals"], -1)
    x = np.empty((size["neurons"], size["neurons"], size["bins"], size["animals"]))
    for animal in range(size["animals"]):
        np.multiply(h[:, None, animal], h[None, :, animal], out=x[..., animal])
    generator = np.random.default_rng(0)
    sides = [torch.from_numpy(generator.random((1, size["rank"], size["neurons"])))] * 2
    return by_tensorly(x, (*sides, start.times, start.animals), tensor, before)


def by_tensorly(
    x: np.ndarray, factors: tuple[Any, ...], tensor: Any, before: float
) -> Callable[[], Any]:
    """Return ten iterations of tensorly's HALS in float64 from these factors, (1, R, n) each."""
    from tensorly.cp_tensor import CPTensor
    from tensorly.decomposition import non_negative_parafac_hals

    def iterate(count: int) -> float:
        parts = [f[0].T.double().numpy().copy() for f in factors]
        start: Any = CPTensor((np.ones(parts[0].shape[1]), parts))
        _, errors = non_negative_parafac_hals(
            x, parts[0].shape[1], n_iter_max=count, init=start, tol=1e-300, return_errors=True
        )
        return float(errors[-1])

    iterate(2)

    def run() -> Callable[[], Any]:
        error = iterate(ITERATIONS)
        return lambda: told(tensor, error, before)

    return run


def extrapolation(seeds: int = 10, iterations: int = 150) -> list[tuple[int, int]]:
    """Return the iterations to within 1e-4 of the best error, plain and extrapolated, by seed."""
    from rheobase.models.connectome.factorise import factorise
    from rheobase.models.connectome.starts import uniform_starts
    from rheobase.models.connectome.step import Settings

    tensor, _ = prepared({"neurons": 60, "bins": 240, "animals": 6, "rank": 5})
    found = []
    for seed in range(seeds):
        start = uniform_starts(tensor, rank=5, count=1, seed=seed)
        curves = [
            np.array(factorise(tensor, start, Settings(
                max_iter=iterations, tol=0, extrapolate=extrapolate))[0].errors)
            for extrapolate in (False, True)
        ]  # fmt: skip
        goal = min(curve.min() for curve in curves) + 1e-4
        reached = [int(np.argmax(c <= goal)) + 1 if c.min() <= goal else iterations + 1
                   for c in curves]  # fmt: skip
        found.append((reached[0], reached[1]))
    return found


if __name__ == "__main__":
    for _seed, (_plain, _extrapolated) in enumerate(extrapolation()):
        print(f"seed {_seed}: {_plain} iterations plain, {_extrapolated} extrapolated")

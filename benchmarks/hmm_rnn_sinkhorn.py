"""Sinkhorn divergence of one-hot sequences and its slope, beside geomloss; rows of ``hmm_rnn``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.harness import Case, Equal, Peer, Row, measure
from benchmarks.processes import Call

PEER = "geomloss"
LENGTH, SYMBOLS, BLUR = 100, 3, 0.2


def rows() -> Iterator[Row]:
    """Yield B4: a training step (slope alone), and the full value, with few and many sequences."""
    same = Equal("slope, relative", 1e-4, slope_difference)
    for count in (256, 1024):
        for full in (False, True):
            what = "slope and full value" if full else "slope, as in training"
            ours = call("ours", count=count, full=full)
            peer = Peer(PEER, PEER, call("peer", count=count))
            name = f"B4 n={count} float32, {what}, L = {LENGTH}"
            yield measure(Case(name, ours, peer, same, repeats=5))


def call(name: str, **arguments: Any) -> Call:
    """Return the call of a function of this module."""
    return Call(f"benchmarks.hmm_rnn_sinkhorn:{name}", arguments)


def slope_difference(ours: Any, peer: Any) -> float:
    """Return the distance of the slopes over their size."""
    a, b = ours["slope"], peer["slope"]
    return float("inf") if a.shape != b.shape else float(np.linalg.norm(a - b) / np.linalg.norm(b))


def clouds(count: int) -> tuple[Any, Any]:
    """Return two clouds of sticky sequences, (sequence, time x symbol)."""
    import torch

    from rheobase.models.hmm_rnn import targets

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    drawn = [targets.linear(2).sample(count, LENGTH, generator=generator)[0] for _ in range(2)]
    one = [torch.nn.functional.one_hot(s, SYMBOLS).float().flatten(1) for s in drawn]
    return one[0], one[1]


def ours(*, count: int, full: bool) -> Callable[[], Any]:
    """Return a function that makes one slope."""
    from rheobase.models.hmm_rnn.sinkhorn import one_hot_diameter, sinkhorn_divergence

    x, y = clouds(count)
    diameter = one_hot_diameter(LENGTH)

    def run() -> dict[str, Any]:
        moving = x.clone()[None].requires_grad_()
        sinkhorn_divergence(moving, y[None], BLUR, diam=diameter, need_yy=full).sum().backward()
        assert moving.grad is not None
        return {"slope": moving.grad[0].numpy()}

    run()
    return run


def peer(*, count: int) -> Callable[[], Any]:
    """Return a function that makes the peer's slope, with the same steps and diameter."""
    from geomloss import SamplesLoss

    from rheobase.models.hmm_rnn.sinkhorn import one_hot_diameter

    x, y = clouds(count)
    loss = SamplesLoss("sinkhorn", p=2, blur=BLUR, scaling=0.5, debias=True,
                       diameter=one_hot_diameter(LENGTH), backend="tensorized")  # fmt: skip

    def run() -> dict[str, Any]:
        moving = x.clone().requires_grad_()
        loss(moving, y).backward()
        assert moving.grad is not None
        return {"slope": moving.grad.numpy()}

    run()
    return run

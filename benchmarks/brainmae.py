"""One training step of BrainMAE beside the networks of ml4fmri, on the same batch of runs.

The peers classify and ours reconstructs, so only the batch is equal: forward, backward and
optimiser step of each, with the optimiser that each uses. ``python -m benchmarks.brainmae`` says
where the time of a step of ours goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.harness import Case, Equal, Peer, Row, measure
from benchmarks.processes import Call

RUNS, REGIONS, SAMPLES, PER_SEGMENT = 16, 100, 200, 20
PEERS = ("meanMLP", "MILC", "BNT", "meanLSTM", "LSTM", "FBNetGen", "BrainNetCNN", "Transformer",
         "meanTransformer")  # fmt: skip
SLOW_PEERS = ("DICE", "BolT", "Glacier")
"""Seconds a step each; measured once."""
STEPS = 5
LIMIT_CPU_S, LIMIT_PEAK_MB = 0.45, 3000
KINDS = {
    "matrix products": ("mm", "addmm", "bmm", "scaled_dot_product"),
    "GELU": ("gelu",),
    "copies": ("copy_",),
    "layer norms": ("native_layer_norm",),
}
"""Where a step's time goes, by the start of an operation's name."""


def rows() -> Iterator[Row]:
    """Yield ours beside every peer, the adaptive variant, then memory at a large size."""
    same = Equal("the batch that both were given (its sum); results differ by design", 1e-3)
    for name in (*PEERS, *SLOW_PEERS):
        repeats = 1 if name in SLOW_PEERS else STEPS
        peer = Peer(
            f"ml4fmri {name}", "ml4fmri", Call("benchmarks.brainmae:theirs", {"name": name})
        )
        yield measure(Case("a step, sg, small", ours("sg"), peer, same, repeats=repeats,
                           limit_cpu_s=LIMIT_CPU_S))  # fmt: skip
    yield measure(Case("a step, ag, small", ours("ag"), repeats=STEPS))
    wide = ours("sg", width=128, heads=8)
    yield measure(Case("a step, sg, width 128, 8 heads", wide, repeats=STEPS))
    large = ours("sg", runs=4, regions=400, samples=2000)
    yield measure(Case("a step, sg, small, 4 runs of 2000 x 400", large, repeats=2,
                       limit_peak_mb=LIMIT_PEAK_MB))  # fmt: skip


def ours(variant: str, **changes: int) -> Call:
    """Return the call of a step of ours."""
    sizes = {"runs": RUNS, "regions": REGIONS, "samples": SAMPLES, "width": 64, "heads": 4}
    return Call("benchmarks.brainmae:step", {"variant": variant, **sizes, **changes})


def signals(runs: int, regions: int, samples: int) -> np.ndarray:
    """Return standardised noise, (run, time, region) float32."""
    return np.random.default_rng(0).standard_normal((runs, samples, regions), dtype=np.float32)


def step(
    *, variant: str, runs: int, regions: int, samples: int, width: int, heads: int
) -> Callable[[], dict[str, Any]]:
    """Return a function that takes one step of pretraining, optimiser included."""
    import torch

    from rheobase.models.brainmae import BrainMAE, learn, pretrain, segments
    from rheobase.models.brainmae.network import BrainMAENetwork
    from rheobase.models.parallel import World

    torch.set_num_threads(1)
    model = BrainMAE(variant=variant, width=width, heads=heads, steps=10**6)
    made = signals(runs, regions, samples)
    valid = np.ones(samples, bool)
    stretches = [segments.Run(f"r{i}", f"s{i}", x, valid, 0.0) for i, x in enumerate(made)]
    deck = segments.Deck(stretches, samples=PER_SEGMENT, period_s=0.75, device="cpu")
    torch.manual_seed(0)
    network = BrainMAENetwork(learn.sizes_of(model, regions, PER_SEGMENT))
    plan = pretrain.Plan(10**6, runs, samples // PER_SEGMENT, 1e-3, 0.05, 0.05, "roi_segment",
                         (0.5, 0.5), 0.75, False, 10**6, 20)  # fmt: skip
    training = pretrain.Training(network, deck, plan, seed=0, world=World())

    def run() -> dict[str, Any]:
        training.step()
        return {"batch": made.sum(dtype=np.float64)}

    return run


def theirs(*, name: str) -> Callable[[], dict[str, Any]]:
    """Return a function that takes one step of a peer, as its own training does."""
    import ml4fmri.models  # type: ignore[import-not-found]
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    made = signals(RUNS, REGIONS, SAMPLES)
    labels = np.arange(RUNS) % 2
    kind = getattr(ml4fmri.models, name)
    loader = kind.prepare_dataloader(made, labels, batch_size=RUNS, shuffle=False)
    batch = next(iter(loader))
    shapes = {"input_size": REGIONS, "output_size": 2}
    model = kind(**shapes)
    optimiser = model.get_optimizer()
    model.train()

    def run() -> dict[str, Any]:
        loss, _ = model.handle_batch(batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return {"batch": made.sum(dtype=np.float64)}

    return run


def shares(steps: int = 5) -> dict[str, float]:
    """Return the share of each kind of operation in the time of a step of ours."""
    from torch.profiler import ProfilerActivity, profile

    run = step(**ours("sg").arguments)
    run()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(steps):
            run()
    spent: Counter[str] = Counter()
    for event in profiler.key_averages():
        spent[event.key.removeprefix("aten::").lstrip("_")] += event.self_cpu_time_total
    total = sum(spent.values())
    made = {
        kind: sum(time for name, time in spent.items() if name.startswith(starts))
        for kind, starts in KINDS.items()
    }
    made["the rest"] = total - sum(made.values())
    return {kind: time / total for kind, time in made.items()}


if __name__ == "__main__":
    for _kind, _share in shares().items():
        print(f"{_kind:<16} {_share:.0%}")

"""The benchmark signals: adapted reservoirs beside tuned balance, tanh networks and linear models.

``python -m benchmarks.reservoir_tasks`` prints a Markdown table; names of tasks behind it run these
alone (``"Lorenz left alone"`` is one, too). Every kind of network has 24
settings (input scale is always among them), every linear model its orders; each seed takes the
setting that was best on its validation samples, and is scored once on its test samples.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rheobase.models.reservoir import protocol, scores, tasks
from rheobase.models.reservoir.adaptation import adapt
from rheobase.models.reservoir.batched import BatchedReservoir
from rheobase.models.reservoir.closed_loop import generate
from rheobase.models.reservoir.echo import BatchedEcho, EchoNetwork
from rheobase.models.reservoir.readout import GramAccumulator, readouts
from rheobase.models.reservoir.settings import ITERATIVE, Adapt, Network, Target

SEEDS = tuple(range(5))
ALPHAS = tuple(10.0**power for power in range(-10, 1))
SCALES, GAINS = (0.05, 0.2, 1.0), (5.0, 10.0)
BALANCES = (0.0, -0.25, -0.5, -1.0)
LAWS = (Target("homogeneous", 0.3), Target("homogeneous", 0.5), Target(), Target(a=2, b=2))
RADII, LEAKS, BIASES = (0.8, 0.95), (0.3, 1.0), (0.0, 0.5)
ECHOES = [EchoNetwork(radius=radius, leak=leak, input_scale=scale, bias=bias)
          for radius in RADII for leak in LEAKS for scale in SCALES for bias in BIASES]  # fmt: skip
ORDERS = {"VAR, 1 to 10 samples": (1, 2, 5, 10), "tapped delay, 20 to 200": (20, 50, 100, 200)}


def forecast(make: Callable[..., tasks.Task], *, seed: int, **more: Any) -> tasks.Task:
    """Return a forecasting task standardised by what comes before validation."""
    return tasks.standardised(make(seed=seed, **more), protocol.training())


TASKS: dict[str, tuple[Callable[..., tasks.Task], protocol.Judge]] = {
    "memory capacity": (tasks.memory_capacity, scores.determination),
    "NARMA-10": (tasks.narma10, scores.nrmse_of),
    "Mackey-Glass 10": (functools.partial(forecast, tasks.mackey_glass, horizons=(10,)),
                        scores.nrmse_of),
    "Mackey-Glass 84": (functools.partial(forecast, tasks.mackey_glass, horizons=(84,)),
                        scores.nrmse_of),
    "Lorenz 10": (functools.partial(forecast, tasks.lorenz, horizons=(10,), channels=3),
                  scores.nrmse_of),
}  # fmt: skip


def reached(make: Callable[..., tasks.Task], judge: protocol.Judge) -> dict[str, np.ndarray]:
    """Return the test score of every kind, (seed,): memory summed over delays, errors averaged."""
    more: dict[str, Any] = {"seeds": SEEDS, "judge": judge, "alphas": ALPHAS}
    wide = [Network(input_scale=scale, gain=gain) for gain in GAINS for scale in SCALES]
    plain = [Network(input_scale=one.input_scale, gain=one.gain, balance=balance)
             for balance in BALANCES for one in wide]  # fmt: skip
    ways = [Adapt(method="iterative", target=law, schedule=ITERATIVE) for law in LAWS for _ in wide]
    made = {
        "adapted": protocol.reservoirs(wide * len(LAWS), ways, make, **more),
        "global balance": protocol.reservoirs(plain, [None] * len(plain), make, **more),
        "tanh network": protocol.others(echoes, make, **more),
    }
    for name, orders in ORDERS.items():
        made[name] = protocol.tapped_delay(make, orders, **more)
    final = np.sum if judge is scores.determination else np.mean
    found = {name: final(protocol.best(one, judge), axis=1) for name, one in made.items()}
    if judge is not scores.determination:
        found["persistence"] = np.array([persisted(make(seed=seed)) for seed in SEEDS])
    return found


def echoes(seed: int, *, channels: int) -> BatchedEcho:
    """Return all settings of the tanh network."""
    return BatchedEcho(ECHOES, [seed], channels=channels)


def persisted(task: tasks.Task) -> float:
    """Return the test error of the last input as forecast; NaN where it is no forecast."""
    if task.name == "narma10":
        return float("nan")
    test = slice(protocol.training().stop + protocol.VALIDATION, None)
    return scores.nrmse(task.targets[test], task.inputs[test])


def table(found: dict[str, dict[str, np.ndarray]]) -> str:
    """Return mean and standard deviation over seeds, a row a task."""
    kinds = list(dict.fromkeys(kind for row in found.values() for kind in row))
    lines: list[Sequence[str]] = [("task", *kinds), ["---", *["---:"] * len(kinds)]]
    for task, row in found.items():
        nothing = np.full(2, np.nan)
        lines.append((task, *(_cell(row.get(kind, nothing)) for kind in kinds)))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(values: np.ndarray) -> str:
    if np.isnan(values).any():
        return ""
    return f"{values.mean():.3g} ± {values.std(ddof=1):.2g}"


def valid_times(starts: int = 10, warm: int = 200, steps: int = 800) -> dict[str, np.ndarray]:
    """Return for how many Lyapunov times Lorenz-63 is foreseen when left alone, (seed,) a kind."""
    names = ("beta 0", "beta -0.5", "rate 0.5", "Beta(5,5)")
    base = Network(frac_input=1.0, input_scale=0.2 * np.sqrt(3))
    networks = [base, replace(base, balance=-0.5), base, base]
    ways = [None, None, *(Adapt(method="iterative", target=law, schedule=ITERATIVE)
                          for law in (LAWS[1], LAWS[2]))]  # fmt: skip
    taught = protocol.training().stop
    found = []
    for seed in SEEDS:
        task = forecast(tasks.lorenz, seed=seed, horizons=(1,), channels=3,
                        length=taught + starts * (warm + steps))  # fmt: skip
        engine = BatchedReservoir(networks, [seed], channels=3)
        adapt(engine, task.inputs[: protocol.ADAPTATION], ways)
        sums = GramAccumulator([task.targets[protocol.ADAPTATION : taught]])
        engine.run(task.inputs[protocol.ADAPTATION : taught], sink=sums, washout=protocol.WASHOUT)
        fits = [next(readouts(sums.gram(0, m), [1e-9])) for m in range(len(names))]
        weights, bias = (np.stack([fit[i] for fit in fits])[None] for i in (0, 1))
        pieces = np.split(task.inputs[taught:], starts)
        engine.states([piece[:warm] for piece in pieces])
        assert engine.state is not None
        told = generate(engine, weights, bias, start=engine.state, steps=steps)
        steps_of = [[scores.valid_steps(piece[warm:], told[:, 0, m, r])
                     for r, piece in enumerate(pieces)] for m in range(len(names))]  # fmt: skip
        found.append(np.mean(steps_of, axis=1))
    times = scores.lyapunov_times(1) * np.array(found)
    return {name: times[:, m] for m, name in enumerate(names)}


if __name__ == "__main__":
    import sys

    import torch

    torch.set_num_threads(1)
    alone, results = "Lorenz left alone", {}
    wanted = sys.argv[1:] or [*TASKS, alone]
    if unknown := set(wanted) - {*TASKS, alone}:
        sys.exit(f"no task is called {unknown.pop()!r}; there are {', '.join([*TASKS, alone])}")
    for title in (name for name in wanted if name in TASKS):
        results[title] = reached(*TASKS[title])
        print(title, {k: v.tolist() for k, v in results[title].items()}, flush=True)
    print(table(results))
    if alone in wanted:
        print(table({"Lorenz, Lyapunov times": valid_times()}))

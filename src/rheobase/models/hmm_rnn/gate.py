"""Whether a network emulates its chain well enough for anything to be said of its inside.

The first ten steps are left out: activity begins at 0, so the first symbols are drawn evenly. What
is left is judged as sequences of the chain that begin where it is by then. The number that decides
is the excess negative log-likelihood of a symbol under the chain, beside two sequences that know
nothing: symbols drawn one by one at the chain's shares (memoryless), and symbols that never change
(stuck). The excess must be at most 0.07 nats and a quarter of the memoryless one's; below 0, which
is too little variety, at most 0.07 and a quarter of the stuck one's. And activity must not grow
tenfold over 1,000 steps: networks are trained on short sequences, and some leave all bounds later.
Limits are chosen here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rheobase.models.hmm_rnn import activity, emulation
from rheobase.models.hmm_rnn.emulation import Scored
from rheobase.models.hmm_rnn.network import Emulator
from rheobase.models.hmm_rnn.targets import Target

SKIPPED = 10
"""Steps that a network is given to leave its beginning."""
MOST, SHARE = 0.07, 0.25
"""Nats a symbol, and of what sequences without memory or without change lack."""
FOLLOWED, GROWN = 1000, 10.0
"""Steps, and how much larger states may be at their end than at their beginning."""
STARTS = ("all steps", f"after {SKIPPED} steps")
TRIVIAL = ("memoryless", "stuck")


@dataclass(frozen=True)
class Verdict:
    """One network's numbers, with and without its beginning."""

    scores: tuple[dict[str, Scored], dict[str, Scored]]
    """Of all steps, and after the first ten."""
    limits: tuple[float, float]
    """Between which the excess must lie, nats."""
    growth: float
    """How many times larger states are at the end of 1,000 steps; infinite where one is lost."""

    @property
    def excess(self) -> float:
        """Return the excess negative log-likelihood of a symbol after the first ten steps."""
        return self.scores[1]["excess_nats"].value

    @property
    def near(self) -> bool:
        """Return whether the excess lies within its limits."""
        return self.limits[0] <= self.excess <= self.limits[1]

    @property
    def passed(self) -> bool:
        return self.near and self.growth <= GROWN


@dataclass(frozen=True)
class Gate:
    """All networks of a fit, beside sequences that know nothing of the chain's order."""

    members: tuple[Verdict, ...]
    trivial: tuple[dict[str, dict[str, Scored]], dict[str, dict[str, Scored]]]
    """Numbers by kind, of all steps and after the first ten."""

    @property
    def passed(self) -> np.ndarray:
        """Return which members pass, (member,) bool."""
        return np.array([one.passed for one in self.members])


def judged(net: Emulator, symbols: Tensor, target: Target, *, repeats: int, seed: int) -> Gate:
    """Return the verdicts on networks and their sequences (member, sequence, time)."""
    generator = torch.Generator().manual_seed(seed)
    parts = ((symbols, target), (symbols[:, :, SKIPPED:], later(target, SKIPPED)))
    members, trivial = [], []
    for drawn, own in parts:
        count, length = drawn.shape[1:]
        judge = emulation.judge(own, count, length, repeats=repeats, generator=generator)
        members.append([judge(one) for one in drawn])
        known = ignorant(own, count, length, generator)
        trivial.append({name: judge(one) for name, one in known.items()})
    limits = bounds({name: one["excess_nats"].value for name, one in trivial[1].items()})
    grown = growth(net, seed)
    pairs = zip(*members, strict=True)
    verdicts = tuple(Verdict(pair, limits, g) for pair, g in zip(pairs, grown, strict=True))
    return Gate(verdicts, (trivial[0], trivial[1]))


def bounds(excess: dict[str, float]) -> tuple[float, float]:
    """Return the least and most excess that passes, from those of trivial sequences."""
    high = min(MOST, SHARE * max(excess["memoryless"], 0.0))
    return -min(MOST, SHARE * max(-excess["stuck"], 0.0)), high


def growth(net: Emulator, seed: int) -> list[float]:
    """Return how many times larger states are at the end of 1,000 steps, one a member."""
    drawn = [torch.Generator().manual_seed(seed + 1) for _ in range(net.members)]
    states = activity.simulate(net, drawn, trajectories=8, steps=FOLLOWED).states
    size = states.double().square().mean((1, 3)).sqrt()
    ratio = size[:, -FOLLOWED // 5 :].mean(1) / size[:, : FOLLOWED // 5].mean(1).clamp(min=1e-300)
    return [float(r) if bool(r.isfinite()) else float("inf") for r in ratio]


def later(target: Target, steps: int) -> Target:
    """Return the chain as it begins after so many steps."""
    return Target(target.A, target.E, target.pi @ np.linalg.matrix_power(target.A, steps))


def ignorant(
    target: Target, count: int, length: int, generator: torch.Generator
) -> dict[str, Tensor]:  # fmt: skip
    """Return sequences (sequence, time) without memory, and without any change."""
    shares = torch.as_tensor(target.frequencies(length=length))
    drawn = torch.multinomial(shares, count * length, replacement=True, generator=generator)
    free = drawn.view(count, length)
    return {"memoryless": free, "stuck": free[:, :1].expand(count, length).contiguous()}


def said(one: Verdict, number: int, of: int) -> str:
    """Return the verdict on a network in words; limits on both sides stand in the drawing."""
    low, high = one.limits
    which = f"Network {number + 1} of {of}"
    if one.excess < low:
        numbers = (f"its symbols are {-one.excess:.3f} nats each likelier under the chain than its "
                   f"own, limit {-low:.3f}: too little variety")  # fmt: skip
    else:
        numbers = f"its symbols lack {one.excess:.3f} nats each under the chain, limit {high:.3f}"
    if one.passed:
        return f"{which} emulates the chain: {numbers}."
    if one.near:
        return (f"{which} failed: over {FOLLOWED} steps its activity grows {one.growth:.3g} times, "
                f"although {numbers}. Nothing is said of its inside.")  # fmt: skip
    return f"{which} failed to emulate the chain: {numbers}. Nothing is said of its inside."

"""Training of emulators in two phases, all members at once, from fresh sequences at every step.

Phase 1 fits moments alone, which is quick; phase 2 adds the Sinkhorn divergence. Adam with both
betas 0.9 and clipped gradients, as in Torre et al. (2025); the phases are chosen here. A training
that was stopped goes on from its checkpoint, bit for bit.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rheobase.models import checkpoint
from rheobase.models.hmm_rnn import losses, network
from rheobase.models.hmm_rnn.network import Emulator
from rheobase.models.hmm_rnn.targets import Target

EVERY = 25
"""Steps between checkpoints, and between lines of the log."""
NEAR, COMMON, SMOOTHING = 0.05, 0.02, 0.1
"""Phase 1 ends where the bigrams of symbols with at least ``COMMON`` are off by less than ``NEAR``,
on a moving average of about ten batches."""
LARGEST_STATE, RETRIES = 1e3, 3


class TrainingDiverged(ValueError):
    """The loss or the states left all bounds, also with smaller steps."""


@dataclass(frozen=True)
class Schedule:
    """Sizes and steps of a training."""

    units: int = 64
    noise: int = 16
    length: int = 60
    batch: int = 256
    moment_steps: int = 500
    moment_rate: float = 2e-3
    steps: int = 225
    rate: float = 1e-3
    """Learning rate of phase 2, falling to 0 like a cosine where ``falling``."""
    falling: bool = True
    clip: float = 0.9
    moment_weight: float = losses.MOMENT_WEIGHT
    steady: float = 1.0
    """Weight of growth within a sequence: nothing else keeps activity from growing without end
    beyond the steps that are trained on."""
    sharpen: float = 1.7
    """What the readout is multiplied by where phase 2 begins: symbols are drawn too softly after
    phase 1, and the scale of the logits, which noise shares, is learnt slowly."""


SCHEDULES = {
    "tiny": Schedule(batch=64, length=40, moment_steps=300, moment_rate=3e-3, steps=100),
    "fast": Schedule(),
    "standard": Schedule(batch=512, steps=600),
    "demo": Schedule(batch=128, moment_steps=300, steps=100),
    "paper": Schedule(units=150, noise=100, batch=4096, moment_steps=0, steps=1500, rate=1e-3,
                      falling=False, moment_weight=0.0, steady=0.0, sharpen=1.0),
}  # fmt: skip


@dataclass
class Trained:
    """Networks at the end, and how they got there."""

    network: Emulator
    history: dict[str, list[float]] = field(default_factory=dict)
    """One number a line of the log: step, loss, moments, bigram, each the mean over members."""
    snapshots: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    """Weights by name after some steps, as asked for."""


def train(
    target: Target, schedule: Schedule, *, seeds: list[int], device: str = "cpu",
    resume: Path | None = None, keep: Sequence[int] = (),
) -> Trained:  # fmt: skip
    """Return members that emulate a chain, one a seed; ``resume`` names the checkpoint.

    ``keep``: the steps after which weights are kept, 0 for those at the start.
    """
    course = _Course(target, schedule, seeds, device, resume, keep)
    while course.step < course.last:
        course.advance()
    snapshots: dict[int, dict[str, Tensor]] = {}
    for name, weights in course.kept.items():
        _, step, own = name.split("/")
        snapshots.setdefault(int(step), {})[own] = weights
    return Trained(course.net, course.history, snapshots)


class _Course:
    def __init__(
        self, target: Target, schedule: Schedule, seeds: list[int], device: str,
        resume: Path | None, keep: Sequence[int] = (),
    ) -> None:  # fmt: skip
        self.target, self.schedule, self.device, self.path = target, schedule, device, resume
        self.keep = frozenset(keep)
        self.kept: dict[str, Tensor] = {}
        self.net = Emulator(schedule.units, schedule.noise, target.symbols, seeds=seeds).to(device)
        self.adam = torch.optim.Adam(self.net.parameters(), lr=schedule.moment_rate,
                                     betas=(0.9, 0.9))  # fmt: skip
        self.noise, self.draws, self.chains = (
            [torch.Generator(device).manual_seed(seed * 3 + k) for seed in seeds] for k in range(3)
        )
        self.moments = losses.Moments.of(target, schedule.length, device)
        self.step, self.turn, self.slower, self.retries = 0, schedule.moment_steps, 1.0, 0
        self.average: Tensor | None = None
        self.history: dict[str, list[float]] = {
            n: [] for n in ("step", "loss", "moments", "bigram")
        }
        if resume is not None and resume.exists():
            self._restore(checkpoint.load(resume, torch.device(device)))
        self._keep()
        self.good = self._state()

    @property
    def last(self) -> int:
        """Return the steps of both phases; phase 2 begins where phase 1 ended."""
        return self.turn + self.schedule.steps

    def advance(self) -> None:
        """Take a step; a step that leaves all bounds is taken back, and the rate halved."""
        second = self.step >= self.turn
        if self.step == self.turn:
            with torch.no_grad():
                self.net.Wout.mul_(self.schedule.sharpen)
        for group in self.adam.param_groups:
            group["lr"] = self._rate()
        self.adam.zero_grad()
        states = self.net.states(network.drawn_noise(self.noise, self._shape(self.schedule.noise)))
        logits = self.net.logits(states)
        symbols = network.gumbel(logits, self.draws)
        moments = self.moments.loss(symbols)
        if second:
            weighed = self.schedule.moment_weight * (moments + self.moments.rare(logits))
            loss = losses.divergence(symbols, self._wanted()) + weighed
        else:
            loss = moments
        loss = loss + self.schedule.steady * losses.growth(states)
        total = loss.sum()
        size = float(states.detach().abs().mean((1, 2, 3)).max())
        if not bool(torch.isfinite(total)) or size > LARGEST_STATE:
            self._take_back()
            return
        total.backward()
        self._clip()
        self.adam.step()
        self.step += 1
        self._follow(symbols.detach(), loss.detach(), moments.detach(), second=second)

    def _rate(self) -> float:
        if self.step < self.turn:
            return self.schedule.moment_rate * self.slower
        done = (self.step - self.turn) / self.schedule.steps
        fall = (1 + math.cos(math.pi * done)) / 2 if self.schedule.falling else 1.0
        return self.schedule.rate * fall * self.slower

    def _shape(self, width: int) -> tuple[int, int, int]:
        return self.schedule.batch, self.schedule.length, width

    def _wanted(self) -> Tensor:
        """Return fresh sequences of the chain, one-hot."""
        drawn = [self.target.sample(self.schedule.batch, self.schedule.length, generator=g)[0]
                 for g in self.chains]  # fmt: skip
        return torch.nn.functional.one_hot(torch.stack(drawn), self.target.symbols).float()

    def _clip(self) -> None:
        """Shorten each member's gradient as it would be alone."""
        slopes = [p.grad for p in self.net.parameters() if p.grad is not None]
        norm = torch.stack([g.flatten(1).square().sum(1) for g in slopes]).sum(0).sqrt()
        shorter = (self.schedule.clip / (norm + 1e-6)).clamp(max=1)
        for slope in slopes:
            slope.mul_(shorter[:, None, None])

    def _follow(self, symbols: Tensor, loss: Tensor, moments: Tensor, *, second: bool) -> None:
        now = losses.joint(symbols, 1)
        if self.average is None:
            self.average = now
        self.average = (1 - SMOOTHING) * self.average + SMOOTHING * now
        off = bigram_error(self.average, self.target)
        if not second and float(off.max()) < NEAR:
            self.turn = self.step
        self._keep()
        if self.step % EVERY == 0 or self.step == self.last:
            line = (float(self.step), float(loss.mean()), float(moments.mean()), float(off.mean()))
            for name, value in zip(self.history, line, strict=True):
                self.history[name].append(value)
            self.good = self._state()
            if self.path is not None:
                checkpoint.save(self.good, self.path)

    def _keep(self) -> None:
        if self.step in self.keep:
            self.kept |= {f"kept/{self.step}/{name}": weights.detach().clone()
                          for name, weights in self.net.state_dict().items()}  # fmt: skip

    def _take_back(self) -> None:
        self.retries += 1
        if self.retries > RETRIES:
            raise TrainingDiverged(
                f"training diverged {RETRIES} times up to step {self.step}, also at "
                f"{self.slower:g} of the learning rate; lower rate or clip"
            )
        slower, retries = self.slower / 2, self.retries
        self._restore(self.good)
        self.slower, self.retries = slower, retries

    def _state(self) -> dict[str, Tensor]:
        """Return everything that the next step depends on, as named tensors."""
        made = {k: v.detach().clone() for k, v in checkpoint.flatten(self.net, self.adam).items()}
        for name in ("noise", "draws", "chains"):
            made |= {f"{name}/{m}": g.get_state() for m, g in enumerate(getattr(self, name))}
        numbers = (self.step, self.turn, self.slower, self.retries)
        made["numbers"] = torch.tensor(numbers, dtype=torch.float64)
        made["history"] = torch.tensor(list(self.history.values()), dtype=torch.float64)
        made |= self.kept
        if self.average is not None:
            made["average"] = self.average.clone()
        return made

    def _restore(self, kept: dict[str, Tensor]) -> None:
        kept = copy.deepcopy(kept)
        checkpoint.restore(kept, self.net, self.adam)
        for name in ("noise", "draws", "chains"):
            for m, generator in enumerate(getattr(self, name)):
                generator.set_state(kept[f"{name}/{m}"].cpu())
        step, turn, self.slower, retries = kept["numbers"].tolist()
        self.step, self.turn, self.retries = int(step), int(turn), int(retries)
        lines = kept["history"].tolist()
        self.history = dict(zip(self.history, lines, strict=True))
        self.average = kept.get("average")
        self.kept = {name: part for name, part in kept.items() if name.startswith("kept/")}


def bigram_error(joint: Tensor, target: Target) -> Tensor:
    """Return the largest error of the next symbol's probabilities, (member,), common ones alone."""
    found = joint / joint.sum(-1, keepdim=True).clamp(min=1e-12)
    common = target.frequencies() >= COMMON
    expected = torch.as_tensor(target.bigram[common], dtype=found.dtype, device=found.device)
    at = torch.as_tensor(np.flatnonzero(common), device=found.device)
    return (found[:, at] - expected).abs().amax((1, 2))

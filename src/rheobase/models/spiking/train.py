"""Training of a network: AdamW, a falling rate, early stopping, and checkpoints that go on.

A training that was stopped goes on from its checkpoint, bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from rheobase.models import checkpoint
from rheobase.models.spiking import losses, start
from rheobase.models.spiking.network import Network, Output, Shape

SILENT = 1e-3
"""Rate below which a layer counts as silent"""
BEST = "best/"
GAIN_LAST, GAIN_RATE = 0.25, 0.1
"""Gains over time learn in the last quarter of epochs, at a tenth of the rate"""


class TrainingFailed(ValueError):
    """A loss that is not finite, or a layer that does not fire."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast; chosen here."""

    epochs: int = 12
    batch: int = 64
    rate: float = 2e-3
    decay: float = 1e-3
    clip: float = 1.0
    patience: int = 5
    loss: str = "anytime"
    weights: losses.Weights = field(default_factory=losses.Weights)

    def __post_init__(self) -> None:
        if self.loss not in losses.LOSSES:
            known = ", ".join(losses.LOSSES)
            raise ValueError(f"loss is {self.loss!r}; it must be one of {known}")
        if min(self.epochs, self.batch, self.patience) < 1:
            raise ValueError("epochs, batch and patience must each be 1 or more")


@dataclass(frozen=True)
class Examples:
    """Events (step, example, feature) and targets (example,) or (example, output)."""

    events: Tensor
    targets: Tensor

    def take(self, chosen: Tensor) -> Examples:
        return Examples(self.events[:, chosen], self.targets[chosen])


@dataclass
class Trained:
    """The network of the best epoch, and the course."""

    network: Network
    history: dict[str, list[float]]
    """An epoch each: training and validation loss, mean rate of hidden units"""


def train(
    shape: Shape, schedule: Schedule, known: Examples, held: Examples, *, seed: int,
    device: str = "cpu", resume: Path | None = None, until: int | None = None,
) -> Trained:  # fmt: skip
    """Return a network trained on ``known``, of the epoch with the least loss on ``held``.

    ``resume`` names the checkpoint; ``until`` stops after so many epochs, as an interruption would.
    """
    if schedule.loss in losses.ON_SPIKES and not shape.spiking_output:
        raise ValueError(f"loss {schedule.loss!r} needs spiking_output")
    course = Course(shape, schedule, known, held, seed, device, resume)
    while not course.done and (until is None or course.epoch < until):
        course.advance()
    return course.trained()


class Course:
    """A training under way."""

    def __init__(
        self, shape: Shape, schedule: Schedule, known: Examples, held: Examples, seed: int,
        device: str, resume: Path | None,
    ) -> None:  # fmt: skip
        self.schedule, self.path, self.device = schedule, resume, torch.device(device)
        self.known, self.held = (
            Examples(e.events.to(device), e.targets.to(device)) for e in (known, held)
        )
        self.net = Network(shape, seed=seed).to(device)
        self.order = torch.Generator().manual_seed(seed + 1)
        self.adam = torch.optim.AdamW(self._groups(), lr=schedule.rate)
        self.epoch, self.waited, self.least = 0, 0, math.inf
        self.history: dict[str, list[float]] = {"loss": [], "validation_loss": [], "rate": []}
        if resume is not None and resume.exists():
            self._restore(checkpoint.load(resume, self.device))
        else:
            every = max(len(self.known.targets) // schedule.batch, 1)
            start.scale(self.net, self.known.events[:, ::every][:, : schedule.batch])
            self.best = self._weights()

    @property
    def done(self) -> bool:
        """Return whether all epochs are over, or nothing has improved for long."""
        return self.epoch >= self.schedule.epochs or self.waited >= self.schedule.patience

    def trained(self) -> Trained:
        self.net.load_state_dict(self.best)
        return Trained(self.net, self.history)

    def advance(self) -> None:
        """Run one epoch and write the checkpoint."""
        size, batch = len(self.known.targets), self.schedule.batch
        total = torch.zeros((), device=self.device)
        order = torch.randperm(size, generator=self.order).to(self.device)
        parts = order.split(batch)
        for number, chosen in enumerate(parts):
            self._rates((self.epoch + number / len(parts)) / self.schedule.epochs)
            total += self._step(self.known.take(chosen), number) * len(chosen) / size
        rates = self._validate(float(total))
        if self.epoch == 0:
            _refuse_silence(rates)
        self.epoch += 1
        if self.path is not None:
            checkpoint.save(self._state(), self.path)

    def _step(self, examples: Examples, number: int) -> Tensor:
        self.adam.zero_grad()
        loss = self._loss(self.net(examples.events), examples.targets)
        loss.backward()
        slope = torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.schedule.clip)
        if not bool(torch.isfinite(loss.detach() + slope)):
            raise TrainingFailed(
                f"the loss is {float(loss.detach())} and its slope {float(slope)} in batch "
                f"{number} of epoch {self.epoch + 1}; lower the learning rate or look "
                "for values that are not finite in that batch"
            )
        self.adam.step()
        return loss.detach()

    def _loss(self, output: Output, targets: Tensor) -> Tensor:
        task = losses.LOSSES[self.schedule.loss](output, targets)
        return task + losses.spike_penalty(output.rates(), self.schedule.weights)

    def _validate(self, loss: float) -> list[float]:
        output = predict(self.net, self.held.events)
        now = float(self._loss(output, self.held.targets))
        rates = [float(r.mean()) for r in output.rates()]
        for name, told in zip(self.history, (loss, now, sum(rates) / len(rates)), strict=True):
            self.history[name].append(told)
        self.waited += 1
        if now < self.least:
            self.least, self.waited, self.best = now, 0, self._weights()
        return rates

    def _groups(self) -> list[dict]:
        gains = [p for n, p in self.net.named_parameters() if n.endswith("gain")]
        usual = [p for n, p in self.net.named_parameters() if not n.endswith("gain")]
        groups = [{"params": usual, "weight_decay": self.schedule.decay}]
        return groups + ([{"params": gains, "weight_decay": 0.0}] if gains else [])

    def _rates(self, done: float) -> None:
        fallen = self.schedule.rate * (1 + math.cos(math.pi * done)) / 2
        self.adam.param_groups[0]["lr"] = fallen
        for group in self.adam.param_groups[1:]:
            group["lr"] = GAIN_RATE * fallen if done >= 1 - GAIN_LAST else 0.0

    def _weights(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.net.state_dict().items()}

    def _state(self) -> dict[str, Tensor]:
        """Return everything that the next epoch depends on, as named tensors."""
        made = checkpoint.flatten(self.net, self.adam)
        made |= {f"{BEST}{name}": value for name, value in self.best.items()}
        made["order"] = self.order.get_state()
        numbers = (self.epoch, self.waited, self.least)
        made["numbers"] = torch.tensor(numbers, dtype=torch.float64)
        made["history"] = torch.tensor(list(self.history.values()), dtype=torch.float64)
        return made

    def _restore(self, kept: dict[str, Tensor]) -> None:
        checkpoint.restore(kept, self.net, self.adam)
        self.best = {k.removeprefix(BEST): v for k, v in kept.items() if k.startswith(BEST)}
        self.order.set_state(kept["order"].cpu())
        epoch, waited, self.least = kept["numbers"].tolist()
        self.epoch, self.waited = int(epoch), int(waited)
        self.history = dict(zip(self.history, kept["history"].tolist(), strict=True))


def predict(network: Network, events: Tensor, *, batch: int = 256, **how) -> Output:
    """Return what a network says of examples, without gradients, a batch at a time."""
    with torch.no_grad():
        parts = [network(part, **how) for part in events.split(batch, dim=1)]
    spikes = tuple(torch.cat(layer, 1) for layer in zip(*(p.spikes for p in parts), strict=True))
    return Output(torch.cat([p.steps for p in parts], 1), spikes)


def _refuse_silence(rates: list[float]) -> None:
    for number, rate in enumerate(rates):
        if rate < SILENT:
            raise TrainingFailed(
                f"layer {number + 1} fires at {rate:.4%} of steps after an epoch, below "
                f"{SILENT:.1%}; lower theta or raise the gain of the input"
            )

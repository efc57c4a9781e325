"""Networks that emulate the chain of a fit: trained, judged, and those that pass taken apart.

They see the chain that was fitted to the training part, and nothing else of any recording.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from rheobase.models.hmm_rnn import gate, network, refit, reverse, targets, train
from rheobase.models.hmm_rnn.gate import Gate
from rheobase.models.hmm_rnn.network import Emulator
from rheobase.models.hmm_rnn.reverse import Findings
from rheobase.models.hmm_rnn.settings import SIZES, Emulators
from rheobase.models.hmm_rnn.targets import Target
from rheobase.models.hmm_rnn.train import Schedule, Trained

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST = {"tiny": 40, "demo": 60}
"""Steps of a sequence, at most, by schedule."""
REFIT_SEQUENCES, REFIT_RESTARTS = 256, 2
SNAPSHOTS = 12
"""Times in training at which weights are looked at."""


@dataclass(frozen=True)
class Emulated:
    """Trained networks and all that is known of them."""

    network: Emulator
    """All members, also those that failed, on the CPU."""
    history: dict[str, list[float]]
    gate: Gate
    chains: tuple[Target, ...]
    """Fitted to the symbols of each member."""
    findings: Findings | None
    """Of the members that passed; None where none did, or nothing was asked."""
    bigrams: np.ndarray
    """(member, symbol, symbol) probabilities of a network's next symbol, after its beginning."""
    length: int


def emulate(
    target: Target, settings: Emulators, *, names: Sequence[str], seed: int, device: str,
    checkpoint: Path | None,
) -> Emulated:  # fmt: skip
    """Return networks that emulate a chain; ``checkpoint``: where their training is kept."""
    schedule = scheduled(target, settings)
    seeds = member_seeds(seed, settings.members)
    keep = _kept(schedule) if settings.analysis == "standard" else []
    made = train.train(target, schedule, seeds=seeds, device=device, resume=checkpoint, keep=keep)
    net = made.network.to("cpu")
    generators = [torch.Generator().manual_seed(3 * one + 7) for one in seeds]
    drawn = net.symbols_of(settings.sequences, schedule.length + gate.SKIPPED,
                           generators=generators)  # fmt: skip
    found = gate.judged(net, drawn, target, repeats=settings.repeats, seed=seed)
    chains = tuple(_refitted(one, target, seed) for one in drawn)
    inside = _dissected(net, made, found.passed, target, settings, names=names, seed=seed)
    bigrams = np.stack([bigram(one[:, gate.SKIPPED :], target.symbols) for one in drawn])
    return Emulated(net, made.history, found, chains, inside, bigrams, schedule.length)


def bigram(symbols: Tensor, count: int) -> np.ndarray:
    """Return the probabilities of the next symbol in sequences (sequence, time)."""
    pairs = targets.joint(symbols, (1,), count)[0].numpy()
    return pairs / np.maximum(pairs.sum(axis=1, keepdims=True), 1e-12)


def scheduled(target: Target, settings: Emulators) -> Schedule:
    """Return sizes and steps of training, with sequences as long as the chain asks for."""
    given = {name: getattr(settings, name) for name in SIZES}
    schedule = replace(train.SCHEDULES[settings.schedule],
                       **{name: n for name, n in given.items() if n is not None})  # fmt: skip
    if settings.length is not None:
        return replace(schedule, length=settings.length)
    stay = 1 / max(1e-12, float(target.stationary @ (1 - np.diagonal(target.A))))
    longest = LONGEST.get(settings.schedule, 150)
    return replace(schedule, length=min(targets.length(stay), longest))


def member_seeds(seed: int, members: int) -> list[int]:
    """Return a seed for each member, drawn from the fit's."""
    spawned = np.random.SeedSequence(seed).spawn(members)
    return [int(one.generate_state(1)[0]) for one in spawned]


def _kept(schedule: Schedule) -> list[int]:
    last = schedule.moment_steps + schedule.steps
    return sorted({round(last * k / SNAPSHOTS) for k in range(SNAPSHOTS + 1)})


def _refitted(symbols: Tensor, target: Target, seed: int) -> Target:
    """Return the chain fitted to a network's symbols after its beginning."""
    some = symbols[:REFIT_SEQUENCES, gate.SKIPPED :]
    A, E = refit.fitted(some, target, seed=seed, restarts=REFIT_RESTARTS)
    E = E.clip(1e-3)
    return Target(A, E / E.sum(axis=1, keepdims=True), target.pi)


def _dissected(
    net: Emulator, made: Trained, passed: np.ndarray, target: Target, settings: Emulators, *,
    names: Sequence[str], seed: int,
) -> Findings | None:  # fmt: skip
    """Return what the networks that passed do inside."""
    if settings.analysis == "none" or not passed.any():
        return None
    at = torch.as_tensor(np.flatnonzero(passed))

    def some(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: part.cpu()[at] for name, part in weights.items()}

    snapshots = {step: some(weights) for step, weights in made.snapshots.items()}
    return reverse.reverse_engineer(
        network.of(some(net.state_dict())), target, seed=seed, names=names,
        settings=reverse.SETTINGS[settings.analysis], snapshots=snapshots or None,
    )  # fmt: skip

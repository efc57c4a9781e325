"""Training the encoder for a label: from pretrained weights, or without pretraining."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rheobase.models.brainmae import represent
from rheobase.models.brainmae.network import BrainMAENetwork
from rheobase.models.brainmae.segments import Deck
from rheobase.models.decoding.decode import Decoder

HELD_SHARE = 0.2
"""Share of the training people on whom the number of epochs is chosen."""
CLIP, BETAS, WEIGHT_DECAY = 1.0, (0.9, 0.999), 0.05
SHUFFLE, HOLD = 3, 4


@dataclass(frozen=True)
class Tuning:
    """How the encoder and its head are trained for a label."""

    epochs: int
    patience: int
    batch: int
    segments: int
    """Longest crop"""
    crops: int
    """Crops of a recording that are read at once"""
    encoder_rate: float
    head_rate: float
    layer_decay: float
    """The rate of each layer below the next"""


@dataclass(frozen=True)
class Targets:
    """The label of each recording: class numbers, or values with their mean and deviation."""

    names: tuple[str, ...]
    """Recordings"""
    subjects: tuple[str, ...]
    y: np.ndarray
    """(recording,) int or float"""
    outputs: int
    """Number of classes; 1 for a value"""
    centre: float = 0.0
    scale: float = 1.0

    @property
    def is_class(self) -> bool:
        return self.outputs > 1

    def subset(self, keep: np.ndarray) -> Targets:
        """Return the targets of some recordings."""
        pick = np.flatnonzero(keep)
        return Targets(tuple(self.names[i] for i in pick), tuple(self.subjects[i] for i in pick),
                       self.y[pick], self.outputs, self.centre, self.scale)  # fmt: skip


class Tuned(nn.Module):
    """An encoder with one linear layer on its pooled vector and on what is known besides."""

    mean: Tensor
    scale: Tensor

    def __init__(self, network: BrainMAENetwork, features: int, outputs: int) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.head = nn.Linear(features, outputs)

    @torch.no_grad()
    def start(self, probe: Decoder, targets: Targets) -> Tuned:
        """Begin with a linear probe of the same features (Kumar et al., ICLR 2022)."""
        weights, bias, scale = probe.weights, probe.bias, targets.scale
        if not targets.is_class:
            weights, bias = weights / scale, (bias - targets.centre) / scale
        for own, value in ((self.mean, probe.mean), (self.scale, probe.scale),
                           (self.head.weight, weights.T), (self.head.bias, bias)):  # fmt: skip
            own.copy_(torch.as_tensor(value))
        return self

    def forward(self, pooled: Tensor, besides: Tensor) -> Tensor:
        """Return logits or the standardised value, (recording, output)."""
        joined = torch.cat([pooled, besides], dim=1)
        return self.head((joined - self.mean) / self.scale)


def held_people(targets: Targets, seed: int) -> np.ndarray:
    """Return which recordings stop the training, (recording,) bool: whole people, each class."""
    rng = np.random.default_rng([seed, HOLD])
    subjects = np.array(targets.subjects)
    people, first = np.unique(subjects, return_index=True)
    kind = targets.y[first] if targets.is_class else np.zeros(len(people))
    held: list[str] = []
    for one in np.unique(kind):
        members = rng.permutation(people[kind == one])
        held += members[: math.floor(HELD_SHARE * len(members) + 0.5)].tolist()
    return np.isin(subjects, held)


def tune(
    begin: Callable[[np.ndarray], Tuned], deck: Deck, besides: np.ndarray, targets: Targets,
    plan: Tuning, *, seed: int,
) -> tuple[Tuned, int]:  # fmt: skip
    """Return the trained encoder with its head, and for how many epochs it was trained.

    ``begin`` makes them from the recordings that it is told, (recording,) bool; ``besides``
    (recording, feature) are the features that are not trained. The number of epochs, from 0, is
    chosen on a fifth of the people; then everyone is trained on, from the beginning, for as many.
    """
    known = torch.from_numpy(besides).to(deck.signals[0].device, torch.float32)
    held, epochs, losses = held_people(targets, seed), plan.epochs, []
    if held.any():
        learn, check = targets.subset(~held), targets.subset(held)
        model, kept = begin(~held), torch.from_numpy(held)
        losses = [held_losses(model, deck, known[kept], check, learn, plan)]
        for _ in _epochs(model, deck, known[~kept], learn, plan, seed):
            losses.append(held_losses(model, deck, known[kept], check, learn, plan))
            if waited(losses) >= plan.patience:
                break
        epochs = fewest_epochs(losses)
    model = begin(np.ones_like(held))
    for _ in itertools.islice(_epochs(model, deck, known, targets, plan, seed), epochs):
        pass
    return model.eval(), epochs


def waited(losses: Sequence[np.ndarray]) -> int:
    """Return the epochs since the lowest mean loss."""
    return len(losses) - 1 - int(np.argmin([each.mean() for each in losses]))


def fewest_epochs(losses: Sequence[np.ndarray]) -> int:
    """Return the fewest epochs, from 0, whose loss is within one standard error of the lowest.

    ``losses`` has the losses of the same held-out examples after 0, 1, 2, ... epochs; the error is
    that of the mean difference from the best epoch. So training goes on for what it clearly gains.
    """
    each = np.stack(losses)
    more = each - each[each.mean(axis=1).argmin()]
    error = more.std(axis=1, ddof=1) / math.sqrt(more.shape[1]) if more.shape[1] > 1 else 0.0
    return int(np.argmax(more.mean(axis=1) <= error))


def _epochs(
    model: Tuned, deck: Deck, known: Tensor, targets: Targets, plan: Tuning, seed: int
) -> Iterator[None]:
    """Train on the targets' recordings; pause after each epoch."""
    owner = _owners(deck, targets)

    def loss_of(part: np.ndarray, rng: np.random.Generator) -> Tensor:
        crops = _crops(deck, [owner[i][0] for i in part], plan, rng)
        pooled = represent.read(model.network, deck.deal(crops, plan.segments))
        pooled = pooled.view(len(part), plan.crops, -1).mean(dim=1)
        numbers = [owner[i][1] for i in part]
        return label_loss(model(pooled, known[numbers]), numbers, targets, targets)

    yield from descend(model, plan, len(owner), loss_of, seed)


def descend(
    model: Tuned, plan: Tuning, count: int,
    loss_of: Callable[[np.ndarray, np.random.Generator], Tensor], seed: int,
) -> Iterator[None]:  # fmt: skip
    """Train on ``count`` examples, ``loss_of`` some of which is told; pause after each epoch."""
    optimiser = torch.optim.AdamW(_groups(model, plan), betas=BETAS, weight_decay=WEIGHT_DECAY)
    rates = [group["lr"] for group in optimiser.param_groups]
    per_epoch = math.ceil(count / plan.batch)
    for epoch in range(plan.epochs):
        rng = np.random.default_rng([seed, SHUFFLE, epoch])
        order = np.array_split(rng.permutation(count), per_epoch)
        for place, part in enumerate(order):
            share = (epoch * per_epoch + place) / (plan.epochs * per_epoch)
            shape = min(1.0, 20 * share + 0.05) * 0.5 * (1 + math.cos(math.pi * share))
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * shape
            loss = loss_of(part, rng)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimiser.step()
        yield


def _groups(model: Tuned, plan: Tuning) -> list[dict]:
    """Return parameters by layer, the rate falling from the head to the input."""
    network = model.network
    layers: list[list[nn.Module | nn.Parameter]] = [
        [network.sample_in, network.mask_vector, network.embedding],
        *[[block] for block in (*network.graph_blocks, *network.free_blocks)],
        [network.spatial_norm, network.pool_out, network.cls, network.position_scale],
        *[[block] for block in network.encoder],
    ]
    if hasattr(network, "pool_query"):
        layers[-1 - len(network.encoder)].append(network.pool_query)
    layers[-1].append(network.encoder_norm)
    made = [{"params": [*model.head.parameters()], "lr": plan.head_rate}]
    for depth, members in enumerate(reversed(layers)):
        values: list[nn.Parameter] = []
        for member in members:
            values += [member] if isinstance(member, nn.Parameter) else member.parameters()
        values = [value for value in values if value.requires_grad]
        made.append({"params": values, "lr": plan.encoder_rate * plan.layer_decay**depth})
    return made


def _owners(deck: Deck, targets: Targets) -> list[tuple[int, int]]:
    """Return the runs of the labelled recordings, each with its target's number."""
    place = {name: i for i, name in enumerate(targets.names)}
    return [(r, place[run.name]) for r, run in enumerate(deck.runs) if run.name in place]


def _crops(
    deck: Deck, runs: Sequence[int], plan: Tuning, rng: np.random.Generator
) -> list[tuple[int, int]]:
    room = [len(deck.runs[run].signal) - plan.segments * deck.samples for run in runs]
    return [
        (run, int(rng.integers(0, max(r, 0) + 1)))
        for run, r in zip(runs, room, strict=True) for _ in range(plan.crops)
    ]  # fmt: skip


def label_loss(
    found: Tensor, numbers: Sequence[int], targets: Targets, trained_on: Targets
) -> Tensor:
    """Return the mean of ``label_losses``."""
    return label_losses(found, numbers, targets, trained_on).mean()


def label_losses(
    found: Tensor, numbers: Sequence[int], targets: Targets, trained_on: Targets
) -> Tensor:
    """Return cross-entropies with classes weighted alike, or squared errors of a value, (row,).

    ``numbers`` are the rows of ``targets`` that ``found`` (row, output) belongs to; classes are
    weighted by their counts in ``trained_on``.
    """
    y = targets.y[list(numbers)]
    if not targets.is_class:
        wanted = torch.as_tensor((y - targets.centre) / targets.scale, dtype=found.dtype)
        return (found[:, 0] - wanted.to(found.device)) ** 2
    counts = np.bincount(trained_on.y, minlength=targets.outputs)
    weight = 1 / np.maximum(counts, 1)[y]
    weight = torch.as_tensor(weight / weight.mean(), dtype=found.dtype, device=found.device)
    known = torch.as_tensor(y, device=found.device)
    return weight * F.cross_entropy(found, known, reduction="none")


@torch.no_grad()
def predict(
    model: Tuned, deck: Deck, besides: Tensor, names: Sequence[str], plan: Tuning
) -> Tensor:
    """Return the output of each recording, all its windows pooled, (recording, output)."""
    model.eval()
    pooled = represent.features(model.network, deck, names, segments=plan.segments,
                                batch=plan.batch)  # fmt: skip
    return model(torch.from_numpy(pooled).to(besides), besides)


def held_losses(
    model: Tuned, deck: Deck, besides: Tensor, check: Targets, learn: Targets, plan: Tuning
) -> np.ndarray:
    """Return the losses of recordings that were not trained on, weighted as in training."""
    inside = [i for i, run in enumerate(deck.runs) if run.name in set(check.names)]
    found = predict(model, deck.some(inside), besides, check.names, plan)
    return label_losses(found, range(len(check.names)), check, learn).cpu().numpy()


def load(weights: Mapping[str, Tensor], network: BrainMAENetwork) -> Tuned:
    """Return a trained encoder with its head from its weights."""
    outputs, features = weights["head.weight"].shape
    model = Tuned(network, features, outputs)
    model.load_state_dict(dict(weights))
    return model.eval()

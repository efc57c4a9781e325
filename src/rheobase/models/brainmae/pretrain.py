"""Training the network to fill in what it does not see."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rheobase.models import checkpoint
from rheobase.models.brainmae import masking
from rheobase.models.brainmae.network import BrainMAENetwork
from rheobase.models.brainmae.reconstruct import network_r2
from rheobase.models.brainmae.segments import Batch, Deck
from rheobase.models.parallel import World

RATIOS = (0.25, 0.5, 0.75)
"""Shares of hidden regions at which reconstruction is scored."""
CHECK_RATIO = 0.5
CLIP, BETAS = 1.0, (0.9, 0.95)
SAVE_EVERY_S = 60.0
ORDER, HIDE = 1, 2


@dataclass(frozen=True)
class Plan:
    """How the network is trained."""

    steps: int
    batch: int
    segments: int
    """Longest crop"""
    learning_rate: float
    warm_up: float
    """Share of the steps"""
    weight_decay: float
    mask: str
    mask_ratio: tuple[float, float]
    mask_weight: float
    plain: bool
    """Hide nothing, reconstruct everything (ablation)"""
    check_every: int
    patience: int


@dataclass
class Curves:
    """What is recorded at each check."""

    step: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    loss_masked: list[float] = field(default_factory=list)
    loss_visible: list[float] = field(default_factory=list)
    gradient_norm: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    held_r2_25: list[float] = field(default_factory=list)
    held_r2_50: list[float] = field(default_factory=list)
    held_r2_75: list[float] = field(default_factory=list)


def train(
    network: BrainMAENetwork,
    deck: Deck,
    held: Deck | None,
    plan: Plan,
    *,
    seed: int,
    world: World,
    keep: Path | None = None,
) -> Curves:
    """Train the network in place and return its curves.

    With ``held`` runs the weights of the best check are kept, and training stops after ``patience``
    checks without a better one. ``keep`` is where the state is left about once a minute; a fit that
    finds one there goes on from it and ends with the same weights, bit for bit. On several
    processes each takes its part of every batch.
    """
    state = Training(network, deck, plan, seed=seed, world=world)
    if keep is not None and keep.is_file():
        state.load(keep)
    saved = time.monotonic()
    sums = torch.zeros(5, device=next(network.parameters()).device)
    while state.done < plan.steps and state.waited < plan.patience:
        sums += state.step()
        if state.done % plan.check_every and state.done != plan.steps:
            continue
        _record(state.curves, sums, state.done, plan)
        if held is not None:
            _check(state, held)
        sums = torch.zeros_like(sums)
        if keep is not None and world.writes and time.monotonic() - saved >= SAVE_EVERY_S:
            state.save(keep)
            saved = time.monotonic()
    if state.best:
        network.load_state_dict(state.best)
    return state.curves


class Training:
    """A training under way: all that its rest depends on, besides its settings and recordings."""

    def __init__(
        self, network: BrainMAENetwork, deck: Deck, plan: Plan, *, seed: int, world: World
    ) -> None:
        least = len(deck) // math.ceil(len(deck) / plan.batch)
        if least < world.size:
            raise ValueError(
                f"brainmae: {len(deck)} runs in batches of {plan.batch} make a batch of {least}, "
                f"which {world.size} processes cannot share; give fewer processes or a larger batch"
            )
        self.network, self.deck, self.plan = network, deck, plan
        self.seed, self.world = seed, world
        self.optimiser = torch.optim.AdamW(
            _groups(network, plan.weight_decay), lr=plan.learning_rate, betas=BETAS, fused=True
        )
        self.done, self.waited, self.curves = 0, 0, Curves()
        self.lowest, self.best = math.inf, {}

    def step(self) -> Tensor:
        """Take a step; return loss, its masked and visible parts, gradient norm and 1."""
        deck, plan = self.deck, self.plan
        batch = deck.deal(batch_of(deck, plan, self.done, self.seed), plan.segments)
        hidden = self._hidden(batch)
        mine = self.world.share(len(batch.signal))
        own, hidden = batch.part(mine), hidden[mine]
        with _precision(own.signal.device):
            made = self.network(
                own.signal, hidden | own.lost[..., None, None], own.middle_s,
                own.present if own.padded else None,
            )  # fmt: skip
        found = masking.errors(made.float(), own.signal, hidden, own.weight)
        counts = torch.stack([found.masked_segments, found.visible_segments]).float()
        self.world.sum([counts])
        loss = found.loss(0.0 if plan.plain else plan.mask_weight, (counts[0], counts[1]))
        norm = self._descend(loss)
        parts = torch.stack([loss, *(
            part / count.clamp(min=1)
            for part, count in zip((found.masked, found.visible), counts, strict=True)
        )]).detach()  # fmt: skip
        self.world.sum([parts])
        return torch.cat([parts, norm[None], torch.ones_like(norm)[None]])

    def _hidden(self, batch: Batch) -> Tensor:
        plan, device = self.plan, batch.signal.device
        rng = torch.Generator(device).manual_seed(_mixed(self.seed, self.done))
        low, high = plan.mask_ratio
        draw = float(np.random.default_rng([self.seed, HIDE, self.done]).random())
        regions, samples = batch.signal.shape[2:]
        hidden = masking.draw(
            batch.present, regions, samples, kind=plan.mask, ratio=low + (high - low) * draw,
            rng=rng,
        )  # fmt: skip
        return torch.zeros_like(hidden) if plan.plain else hidden

    def _descend(self, loss: Tensor) -> Tensor:
        """Change the weights; return the norm of the gradient."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate(self.done, self.plan)
        self.optimiser.zero_grad()
        loss.backward()
        self.world.sum(p.grad for p in self.network.parameters() if p.grad is not None)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimiser.step()
        self.done += 1
        return norm.detach()

    def save(self, path: Path) -> None:
        tensors = checkpoint.flatten(self.network, self.optimiser)
        tensors |= {f"best/{name}": value for name, value in self.best.items()}
        tensors |= {f"curve/{k}": torch.tensor(v, dtype=torch.float64)
                    for k, v in vars(self.curves).items()}  # fmt: skip
        counts = [self.done, self.waited, self.lowest]
        checkpoint.save({**tensors, "counts": torch.tensor(counts, dtype=torch.float64)}, path)

    def load(self, path: Path) -> None:
        tensors = checkpoint.load(path, next(self.network.parameters()).device)
        checkpoint.restore(tensors, self.network, self.optimiser)
        self.best = {k[5:]: v for k, v in tensors.items() if k.startswith("best/")}
        self.curves = Curves(
            **{k[6:]: v.tolist() for k, v in tensors.items() if k.startswith("curve/")}
        )
        done, waited, self.lowest = tensors["counts"].tolist()
        self.done, self.waited = int(done), int(waited)


def _groups(network: BrainMAENetwork, decay: float) -> list[dict]:
    """Return the parameters with and without weight decay: matrices of linear layers alone have."""
    decayed, free = [], []
    for name, value in network.named_parameters():
        if value.requires_grad:
            matrix = value.ndim > 1 and name != "embedding"
            (decayed if matrix else free).append(value)
    return [{"params": decayed, "weight_decay": decay}, {"params": free, "weight_decay": 0.0}]


def rate(step: int, plan: Plan) -> float:
    """Return the learning rate of a step: linear warm-up, then a cosine to 0."""
    warm = max(1, round(plan.warm_up * plan.steps))
    if step < warm:
        return plan.learning_rate * (step + 1) / warm
    share = (step - warm) / max(plan.steps - warm, 1)
    return plan.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


def batch_of(deck: Deck, plan: Plan, step: int, seed: int) -> list[tuple[int, int]]:
    """Return runs and first samples of a step's crops: every run once an epoch."""
    per_epoch = math.ceil(len(deck) / plan.batch)
    epoch, place = divmod(step, per_epoch)
    rng = np.random.default_rng([seed, ORDER, epoch])
    order = np.array_split(rng.permutation(len(deck)), per_epoch)[place]
    room = np.array([len(run.signal) for run in deck.runs]) - plan.segments * deck.samples
    starts = rng.integers(0, np.maximum(room, 0) + 1)
    return [(int(run), int(starts[run])) for run in order]


def _precision(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def _mixed(seed: int, step: int) -> int:
    """Return one number of two, so that each step draws its own mask whatever was run before."""
    return int(np.random.SeedSequence([seed, HIDE, step]).generate_state(1, np.uint64)[0] >> 1)


def _record(curves: Curves, sums: Tensor, step: int, plan: Plan) -> None:
    loss, masked, visible, norm, count = sums.tolist()
    if not math.isfinite(loss + norm):
        raise ValueError(
            f"brainmae: the loss is no longer a number after {step} steps at a learning_rate of "
            f"{plan.learning_rate:g}; take a lower one"
        )
    found = (loss / count, masked / count, visible / count, norm / count)
    names = ("loss", "loss_masked", "loss_visible", "gradient_norm")
    row = dict(zip(names, found, strict=True))
    row |= {"step": step, "learning_rate": rate(step - 1, plan)}
    for name, value in row.items():
        getattr(curves, name).append(value)


def _check(state: Training, held: Deck) -> None:
    network, segments = state.network, state.plan.segments
    r2 = {ratio: network_r2(network, held, segments, ratio) for ratio in RATIOS}
    for ratio, value in r2.items():
        getattr(state.curves, f"held_r2_{round(100 * ratio)}").append(value)
    missed = 1 - r2[CHECK_RATIO]
    state.waited = 0 if missed < state.lowest else state.waited + 1
    if missed < state.lowest:
        state.lowest = missed
        state.best = {k: v.detach().clone() for k, v in network.state_dict().items()}

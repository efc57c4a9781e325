"""A label that changes over time: probe, finetune and scratch, and their rivals, on its blocks."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from rheobase import rivals
from rheobase.models.brainmae import label_rivals, labels, tune
from rheobase.models.brainmae.blocks import Blocks, Reader, all_read, find, read
from rheobase.models.brainmae.network import BrainMAENetwork
from rheobase.models.brainmae.represent import ENCODER
from rheobase.models.brainmae.segments import Deck, Run
from rheobase.models.decoding import classify, decode, pack, vectors
from rheobase.models.decoding.examples import Examples, NotDecodableError
from rheobase.models.inputs import acausal_note

if TYPE_CHECKING:
    from rheobase.models.base import Fitted, Score
    from rheobase.models.brainmae import BrainMAE
    from rheobase.recording import Recording

DRAWS = 2
"""Segments of a block that a step of training reads, drawn anew each time."""
DELAY = "label/delay"
HOLD = 23


def fit(
    model: BrainMAE, network: BrainMAENetwork, untrained: BrainMAENetwork,
    train: Sequence[Recording], stretches: Sequence[Run], samples: int, *, seed: int, device: str,
) -> labels.Learnt:  # fmt: skip
    """Return probe, finetune, scratch and their rivals, all of the same blocks."""
    how, first = model.label_training, train[0]
    if first.label_kind == "value":
        raise NotDecodableError(f"the label {first.label_name!r} is a value that changes over time")
    cs, learnt = how.inverse_penalties, labels.Learnt()
    delay = _delay(model, train, stretches, samples)
    blocks = find(train, stretches, samples, delay=delay, ignore=how.ignore_labels)
    targets, classes = _targets(blocks, first)
    deck = Deck(stretches, samples=samples, period_s=1 / first.rate, device=device)
    readers = {"finetune": Reader.of(network), "scratch": Reader.of(untrained)}
    told, groups = readers["finetune"].vectors(deck, blocks), readers["finetune"].groups()
    alone = told[:, : groups[ENCODER]]
    decoders = {"probe": linear(groups, blocks, told, cs),
                ENCODER: linear(ENCODER, blocks, alone, cs),
                "activity_lr": linear("activity_lr", blocks, blocks.known.x, cs),
                "pca_lr": principal(blocks, told.shape[1], cs)}  # fmt: skip
    for name, decoder in decoders.items():
        learnt.arrays |= pack.to_arrays(decoder, _prefix(name))
        learnt.coordinates[pack.output_name(_prefix(name))] = classes.astype(str)
    learnt.arrays |= {DELAY: ((), np.int64(delay)), "label/centre": ((), np.float64(0))}
    learnt.coordinates["class"] = classes.astype(str)
    plan = labels.tuning(model, samples, deck.period_s)
    slow = replace(plan, encoder_rate=how.scratch_rate, layer_decay=1.0)
    epochs: dict[str, int] = {}
    for name, rates in (("finetune", plan), ("scratch", slow)):
        learnt.arrays[_maps(name)] = ("unit", "map_of_all"), readers[name].maps
        made, epochs[name] = tuned(readers[name], deck, blocks, targets, rates, cs, seed=seed)
        learnt.weights |= {f"{name}/{k}": v.detach().cpu().numpy().copy()
                           for k, v in made.state_dict().items()}  # fmt: skip
    held = held_out(blocks.groups(), targets.y, seed)
    small = label_rivals.fit_mean_mlp(blocks.frames(deck), targets, held, seed=seed)
    learnt.arrays |= label_rivals.pack_mean_mlp(small)
    said = f"the probe of the label reads: {decoders['probe'].features}"
    learnt.notices += [said, labels.said_of(epochs)]
    return learnt


def _delay(
    model: BrainMAE, train: Sequence[Recording], stretches: Sequence[Run], samples: int
) -> int:
    """Return the delay, in samples, at which mean activity tells most in inner folds."""
    how, rate = model.label_training, train[0].rate
    if how.delay_s is not None:
        return round(how.delay_s * rate)
    found = {}
    for delay in range(int(decode.LONGEST_DELAY_S * rate + 1e-9) + 1):
        blocks = find(train, stretches, samples, delay=delay, ignore=how.ignore_labels)
        known = grouped(blocks, blocks.known.x)
        inner = classify.folds(known, gap=0, stratify=True)
        found[delay] = classify.logistic_accuracy(
            known, inner, np.unique(known.y), [decode.FIRST_C], balanced=True
        )[0]
    return max(found, key=lambda delay: np.nan_to_num(found[delay]))


def _targets(blocks: Blocks, first: Recording) -> tuple[tune.Targets, np.ndarray]:
    classes, y = np.unique(blocks.known.y, return_inverse=True)
    if len(classes) < 2:
        raise NotDecodableError(
            f"label {first.label_name!r} has the one class {str(classes[0])!r} in the training "
            "part; decoding needs two, so change the split or drop the label"
        )
    names, subjects = blocks.known.recording.tolist(), blocks.known.subject.tolist()
    return tune.Targets(tuple(names), tuple(subjects), y, len(classes)), classes


def grouped(blocks: Blocks, x: np.ndarray) -> Examples:
    """Return the examples so that inner folds keep together what belongs together."""
    together = blocks.groups()
    return replace(blocks.known, x=x, subject=together, recording=together)


def linear(
    features: str | Mapping[str, int], blocks: Blocks, x: np.ndarray, cs: Sequence[float]
) -> decode.Decoder:
    """Return a logistic regression, classes weighted alike, its penalty from inner folds."""
    return vectors.fit_classes(grouped(blocks, x), features=features, cs=cs, balanced=True)


def principal(blocks: Blocks, count: int, cs: Sequence[float]) -> decode.Decoder:
    """Return a logistic regression on principal components of mean activity, as one map of it."""
    mean, scale = classify.standard(blocks.known.x)
    x = (blocks.known.x - mean) / scale
    _, size, axes = np.linalg.svd(x, full_matrices=False)
    axes = axes[: min(count, int(np.sum(size > 1e-6 * size[0])))].T
    found = linear("pca_lr", blocks, x @ axes, cs)
    return replace(
        found, mean=mean, scale=scale, weights=axes @ (found.weights / found.scale[:, None]),
        bias=found.bias - found.mean / found.scale @ found.weights,
        rival=rivals.class_means(x, blocks.known.y, found.classes),
    )  # fmt: skip


def held_out(groups: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    """Return which blocks stop the training, (block,) bool: a fifth of the groups, each whole.

    No class is held out altogether; below three groups none is held out.
    """
    names = np.random.default_rng([seed, HOLD]).permutation(np.unique(groups))
    held, left = np.zeros(len(y), bool), math.floor(tune.HELD_SHARE * len(names) + 0.5)
    for name in names:
        wider = held | (groups == name)
        if left and len(np.unique(y[~wider])) == len(np.unique(y)):
            held, left = wider, left - 1
    return held


def tuned(
    reader: Reader, deck: Deck, blocks: Blocks, targets: tune.Targets,
    plan: tune.Tuning, cs: Sequence[float], *, seed: int,
) -> tuple[tune.Tuned, int]:  # fmt: skip
    """Return the encoder with its head, both trained on from a linear probe, and the epochs.

    The number of epochs, from 0, is chosen on held-out groups; then all blocks are trained on for
    as many, from the start.
    """
    held, epochs = held_out(blocks.groups(), targets.y, seed), plan.epochs
    if held.any():
        inside, check = targets.subset(~held), targets.subset(held)
        left, kept = blocks.take(np.flatnonzero(held)), blocks.take(np.flatnonzero(~held))
        losses: list[np.ndarray] = []
        for model in _course(reader, deck, kept, inside, plan, cs, seed):
            losses.append(_losses(model, deck, reader, left, check, inside))
            if tune.waited(losses) >= plan.patience:
                break
        epochs = tune.fewest_epochs(losses)
    course = _course(reader, deck, blocks, targets, plan, cs, seed)
    return next(itertools.islice(course, epochs, None)).eval(), epochs


def _course(
    reader: Reader, deck: Deck, blocks: Blocks, targets: tune.Targets,
    plan: tune.Tuning, cs: Sequence[float], seed: int,
) -> Iterator[tune.Tuned]:  # fmt: skip
    """Yield the encoder with its head before the first epoch and after each."""
    told = reader.vectors(deck, blocks)
    probe = linear(reader.groups(), blocks, told, cs)
    model = tune.Tuned(copy.deepcopy(reader.network), told.shape[1], targets.outputs)
    model = model.to(deck.signals[0].device).start(probe, targets)
    besides = _besides(reader, deck, blocks)

    def loss_of(part: np.ndarray, rng: np.random.Generator) -> Tensor:
        drawn = read(model.network, deck, blocks.take(part).some(DRAWS, rng))
        found = model(drawn, besides[part])
        return tune.label_loss(found, part.tolist(), targets, targets)

    yield model
    for _ in tune.descend(model, plan, len(targets.y), loss_of, seed):
        yield model


def _besides(reader: Reader, deck: Deck, blocks: Blocks) -> Tensor:
    return torch.from_numpy(reader.besides(blocks)).to(deck.signals[0].device, torch.float32)


@torch.no_grad()
def _losses(
    model: tune.Tuned, deck: Deck, reader: Reader, blocks: Blocks, targets: tune.Targets,
    inside: tune.Targets,
) -> np.ndarray:  # fmt: skip
    found = model(all_read(model.network, deck, blocks), _besides(reader, deck, blocks))
    return tune.label_losses(found, range(len(targets.y)), targets, inside).cpu().numpy()


def outputs(
    model: BrainMAE, fitted: Fitted, network: BrainMAENetwork, test: Sequence[Recording],
    stretches: Sequence[Run], samples: int,
) -> tuple[Examples, dict[str, np.ndarray]]:  # fmt: skip
    """Return the test blocks and what every decoder says of them, (block, class) each."""
    arrays, ignore = fitted.arrays, model.label_training.ignore_labels
    blocks = find(test, stretches, samples, delay=int(arrays[DELAY]), ignore=ignore)
    deck = Deck(stretches, samples=samples, period_s=1 / test[0].rate, device="cpu")
    readers = {name: Reader(network, arrays[_maps(name)].values) for name in labels.TUNED}
    told, made = readers["finetune"].vectors(deck, blocks), {}
    alone = told[:, : network.sizes.segment_width]
    inputs = {"probe": told, ENCODER: alone, "activity_lr": blocks.known.x,
              "pca_lr": blocks.known.x}  # fmt: skip
    for name, x in inputs.items():
        decoder = pack.from_arrays(arrays, _prefix(name))
        assert decoder is not None
        made[name] = vectors.answers(decoder, x)
    made["meanmlp"] = label_rivals.mean_mlp_outputs(
        arrays, blocks.frames(deck), arrays.sizes["class"]
    )
    for name in labels.TUNED:
        weights = {k.removeprefix(f"{name}/"): torch.from_numpy(np.array(v))
                   for k, v in fitted.weights.items() if k.startswith(f"{name}/")}  # fmt: skip
        own = tune.load(weights, BrainMAENetwork(network.sizes))
        with torch.no_grad():
            besides = _besides(readers[name], deck, blocks)
            made[name] = own(all_read(own.network, deck, blocks), besides).numpy()
    return blocks.known, made


def of_blocks(scores: Sequence[Score], fitted: Fitted, test: Sequence[Recording]) -> list[Score]:
    """Return the scores said to be of blocks, not of single volumes as those of other families.

    The first says where a test block shares a recording that was changed as a whole with training.
    """
    trained = set(fitted.arrays["recording"].values.astype(str).tolist())
    shared = acausal_note([one for one in test if one.name in trained])
    said = f"{shared} of recordings in both parts, so decoding may be flattered" if shared else ""
    made = [replace(score, unit="per block") for score in scores]
    return [replace(made[0], caution=said), *made[1:]]


def _maps(name: str) -> str:
    return f"label/{name}_maps"


def _prefix(name: str) -> str:
    return f"label/{name}" if name in ("probe", ENCODER) else f"rival/{name}"

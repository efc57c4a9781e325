"""Telling people apart: by what the network cannot explain, by its embeddings, by its encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from rheobase import metrics
from rheobase.models import identify
from rheobase.models.base import Fitted, Score
from rheobase.models.brainmae import learn, reconstruct, represent
from rheobase.models.brainmae.network import BrainMAENetwork
from rheobase.models.brainmae.segments import Deck, Run, runs
from rheobase.models.decoding import null
from rheobase.models.inputs import own_standard

if TYPE_CHECKING:
    from rheobase.models.brainmae import BrainMAE
    from rheobase.recording import Recording

LEAST_VOLUMES = 20
Sides = list[np.ndarray]
"""(person, feature) of the two sides"""


def scores(
    model: BrainMAE, fitted: Fitted, network: BrainMAENetwork, test: Sequence[Recording]
) -> tuple[list[Score], tuple[str, ...]]:
    """Return how often a person is nearest to that person's other session, or half, in three ways.

    By connectivity of what the network leaves unexplained, nothing being hidden; by the gradient of
    its error by the embeddings; and by the encoder: mean and deviation of the segment vectors. Each
    feature is centred and scaled over the people of its side. Rivals are connectivity, connectivity
    of what the training part's first principal components leave, and the same of the network before
    it was trained here. People with too short a side are left out and named; with fewer than two
    left there are no scores but a sentence.
    """
    pairs, between = identify.pairs(test)
    kept, decks, short = _long_enough(int(fitted.arrays["samples"]), pairs)
    if len(kept) < 2:
        said = f"people are not looked for again, too short for it: {', '.join(short)}"
        return [], (said,) if len(pairs) > 1 else ()
    components = fitted.arrays["rival/components"].values
    always = {
        "connectivity": _accuracy([np.stack([_edges(own_standard(pair[side])) for pair in kept])
                                   for side in (0, 1)]),
        "principal_components": _accuracy(
            _each(decks, lambda deck: unexplained(deck, partial(_projected, components)))
        ),
    }  # fmt: skip
    start = untrained(model, fitted) if model.init_from is None else None
    left = f"; left out, too short: {', '.join(short)}" if short else ""
    made = []
    for name, by, read in (
        ("identification_accuracy", "by what is left unexplained", residuals),
        ("identification_gradient_accuracy", "by the gradient of the embeddings", gradients),
        ("identification_vectors_accuracy", "by the encoder", vectors),
    ):
        beside = dict(always)
        if start is not None:
            beside["untrained_network"] = _accuracy(read(model, start, decks))
        one = _score(model, fitted, test, read(model, network, decks), beside, between, name, by)
        made.append(replace(one, note=one.note + left))
    return made, ()


def untrained(model: BrainMAE, fitted: Fitted) -> BrainMAENetwork:
    """Return the network as it was before pretraining."""
    arrays = fitted.arrays
    covariance = reconstruct.same_frame(arrays["rival/covariance_3"].values.astype(np.float64))
    with torch.random.fork_rng(devices=[]):
        return learn.first_network(
            model, arrays.sizes["unit"], int(arrays["samples"]), covariance, int(arrays["seed"])
        ).eval()


def _score(
    model: BrainMAE, fitted: Fitted, test: Sequence[Recording], ours: Sides,
    beside: dict[str, float], between: str, name: str, by: str,
) -> Score:  # fmt: skip
    rng = null.stream(int(fitted.arrays["seed"]), 1, test)
    found = identify.people(*(_centred(x) for x in ours), rng=rng,
                            draws=model.label_training.permutations)  # fmt: skip
    note = (f"{found.people} people, between {between}: {found.there:.2f} forward, "
            f"{found.back:.2f} back")  # fmt: skip
    return Score(
        name, found.accuracy, beside, chance=1 / found.people, p_value=found.p_value, note=note,
        null=found.null, title=f"share of people found again ({by})",
    )  # fmt: skip


def _long_enough(
    samples: int, pairs: Sequence[tuple[identify.Side, identify.Side]]
) -> tuple[list[tuple[identify.Side, identify.Side]], list[list[Deck]], list[str]]:
    """Return people with both sides long enough, their runs on each side, and who is left out."""
    kept, decks, short = [], [[], []], []
    for pair in pairs:
        try:
            found = [runs(side, samples)[0] for side in pair]
        except (ValueError, IndexError):
            found = []
        if not found or min(len(own_standard(side)) for side in pair) < LEAST_VOLUMES:
            short.append((pair[0] or pair[1])[0].subject)
            continue
        kept.append(pair)
        for side, stretches in enumerate(found):
            decks[side].append(Deck(stretches, samples=samples, period_s=1 / pair[side][0].rate,
                                    device="cpu"))  # fmt: skip
    return kept, decks, short


def _each(decks: Sequence[Sequence[Deck]], read: Callable[[Deck], np.ndarray]) -> Sides:
    return [np.stack([read(deck) for deck in side]) for side in decks]


def residuals(
    model: BrainMAE, network: BrainMAENetwork, decks: Sequence[Sequence[Deck]]
) -> Sides:  # fmt: skip
    """Return connectivity of what the network leaves of each person, (person, edge) a side."""

    def read(deck: Deck) -> np.ndarray:
        fill = reconstruct.by_network(network, samples=deck.samples, period_s=deck.period_s,
                                      segments=_segments(model, deck), device="cpu")  # fmt: skip
        return unexplained(
            deck, lambda run: fill(run, np.zeros(_shape(run, deck.samples), dtype=bool))
        )

    return _each(decks, read)


def unexplained(deck: Deck, explain: Callable[[Run], np.ndarray]) -> np.ndarray:
    """Return the edges of the correlation of what ``explain`` leaves of the runs, (edge,).

    What is explained is what people share, as far as a model knows it; the rest is a person's own
    (Cai et al., Hum. Brain Mapp. 42:2691, 2021, with an autoencoder and a dictionary).
    """
    left = []
    for run in deck.runs:
        kept = reconstruct.scored(run, deck.samples)
        signal = run.signal[: len(kept)].astype(np.float64)
        left.append((signal - explain(run)[: len(kept)])[kept])
    return _edges(np.concatenate(left))


def _projected(components: np.ndarray, run: Run) -> np.ndarray:
    return run.signal @ components @ components.T


def _shape(run: Run, samples: int) -> tuple[int, int]:
    return len(run.signal) // samples, run.signal.shape[1]


def gradients(
    model: BrainMAE, network: BrainMAENetwork, decks: Sequence[Sequence[Deck]]
) -> Sides:  # fmt: skip
    """Return how each person would change the embeddings, (person, region * width) a side."""
    return _each(decks, lambda deck: represent.embedding_gradient(
        network, deck, segments=_segments(model, deck)).ravel())  # fmt: skip


def vectors(
    model: BrainMAE, network: BrainMAENetwork, decks: Sequence[Sequence[Deck]]
) -> Sides:  # fmt: skip
    """Return mean and deviation of the segment vectors, (person, 2 segment width) a side."""
    width = network.sizes.segment_width

    def read(deck: Deck) -> np.ndarray:
        names = sorted({run.name for run in deck.runs})
        each = represent.features(network, deck, names, segments=_segments(model, deck),
                                  batch=model.batch)  # fmt: skip
        return each.mean(axis=0)[width:]

    return _each(decks, read)


def _segments(model: BrainMAE, deck: Deck) -> int:
    return learn.segments_of(model, deck.samples, deck.period_s)


def _accuracy(sides: Sides) -> float:
    return float(np.mean(metrics.identification(*(_centred(x) for x in sides))))


def _edges(signal: np.ndarray) -> np.ndarray:
    return metrics.edges(metrics.correlation(signal))


def _centred(profiles: np.ndarray) -> np.ndarray:
    """Return profiles (person, feature), each feature by its mean and deviation over people."""
    centred = profiles - profiles.mean(axis=0)
    return centred / np.maximum(centred.std(axis=0), 1e-12)

"""Telling people apart: by what the network cannot explain, by its embeddings, by its encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

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
) -> list[Score]:
    """Return how often a person is nearest to that person's other session, or half, in three ways.

    By connectivity of what the network leaves unexplained, nothing being hidden; by the gradient of
    its error by the embeddings; and by the encoder: mean and deviation of the segment vectors. Each
    feature is centred and scaled over the people of its side. Rivals are connectivity, connectivity
    of what the training part's first principal components leave, and the same of the network before
    it was trained. Nothing with fewer than two people.
    """
    pairs, between = identify.pairs(test)
    signals = [[_signal(pair[side]) for pair in pairs] for side in (0, 1)]
    if len(pairs) < 2 or any(len(x) < LEAST_VOLUMES for side in signals for x in side):
        return []
    decks = _decks(fitted, pairs)
    if decks is None:
        return []
    components = fitted.arrays["rival/components"].values
    always = {
        "connectivity": _accuracy([np.stack([_edges(x) for x in side]) for side in signals]),
        "principal_components": _accuracy(
            _each(decks, lambda deck: unexplained(deck, partial(_projected, components)))
        ),
    }
    start = untrained(model, fitted)
    made = []
    for name, by, read in (
        ("identification_accuracy", "by what is left unexplained", residuals),
        ("identification_gradient_accuracy", "by the gradient of the embeddings", gradients),
        ("identification_vectors_accuracy", "by the encoder", vectors),
    ):
        ours, before = (read(model, one, decks) for one in (network, start))
        beside = always | {"untrained_network": _accuracy(before)}
        made.append(_score(model, fitted, test, ours, beside, between, name, by))
    return made


def untrained(model: BrainMAE, fitted: Fitted) -> BrainMAENetwork:
    """Return the network as it was before pretraining."""
    arrays = fitted.arrays
    covariance = reconstruct.same_frame(arrays["rival/covariance_3"].values.astype(np.float64))
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


def _decks(fitted: Fitted, pairs: Sequence[tuple[Any, Any]]) -> list[list[Deck]] | None:
    """Return the runs of each person on each side; None where one is too short for the network."""
    samples, made = int(fitted.arrays["samples"]), []
    for side in (0, 1):
        decks = []
        for pair in pairs:
            try:
                stretches, _ = runs(pair[side], samples)
            except ValueError:
                return None
            period_s = 1 / pair[side][0].rate
            decks.append(Deck(stretches, samples=samples, period_s=period_s, device="cpu"))
        made.append(decks)
    return made


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


def _signal(part: Sequence[Recording]) -> np.ndarray:
    return own_standard(part).astype(np.float64)


def _edges(signal: np.ndarray) -> np.ndarray:
    return metrics.edges(metrics.correlation(signal))


def _centred(profiles: np.ndarray) -> np.ndarray:
    """Return profiles (person, feature), each feature by its mean and deviation over people."""
    centred = profiles - profiles.mean(axis=0)
    return centred / np.maximum(centred.std(axis=0), 1e-12)

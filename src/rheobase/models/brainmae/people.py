"""Telling people apart: by how regions follow the maps of the embeddings, and by the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rheobase import metrics
from rheobase.models import identify
from rheobase.models.base import Fitted, Score
from rheobase.models.brainmae import learn, reconstruct, represent
from rheobase.models.brainmae.network import BrainMAENetwork
from rheobase.models.brainmae.segments import Deck, runs
from rheobase.models.brainmae.switching import embedding_maps
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
    """Return how often a person is nearest to that person's other session, or half, in two ways.

    By the profile of the maps: Fisher's z of the correlation of every region with the course of
    every map of the embeddings. By the encoder: mean and deviation of the segment vectors. The mean
    over people is subtracted within each side. Rivals are connectivity, profiles of as many
    principal components of the training part, and the same of the network before it was trained.
    Nothing with fewer than two people.
    """
    pairs, between = identify.pairs(test)
    sides = [[_signal(pair[side]) for pair in pairs] for side in (0, 1)]
    if len(pairs) < 2 or any(len(x) < LEAST_VOLUMES for side in sides for x in side):
        return []
    start = untrained(model, fitted)
    maps = embedding_maps(network.regions(), None).numpy()
    others = {
        "principal_components": _principal(fitted, maps.shape[1]),
        "untrained_network": embedding_maps(start.regions(), None).numpy(),
    }
    edges = [np.stack([_edges(x) for x in side]) for side in sides]
    beside = {"connectivity": _accuracy(edges)}
    by_maps = beside | {name: _accuracy(_profiles(sides, one)) for name, one in others.items()}
    made = [_score(model, fitted, test, _profiles(sides, maps), by_maps, between,
                   "identification_accuracy", "by the maps of the embeddings")]  # fmt: skip
    read = [_read(model, fitted, one, pairs) for one in (network, start)]
    if read[0] is not None and read[1] is not None:
        by_vectors = by_maps | {"untrained_network": _accuracy(read[1])}
        made.append(_score(model, fitted, test, read[0], by_vectors, between,
                           "identification_vectors_accuracy", "by the encoder"))  # fmt: skip
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


def _read(
    model: BrainMAE, fitted: Fitted, network: BrainMAENetwork, pairs: Sequence[tuple[Any, Any]]
) -> Sides | None:
    """Return mean and deviation of the segment vectors of each person, (person, feature) a side.

    None where a side is too short for the network.
    """
    samples, width = int(fitted.arrays["samples"]), network.sizes.segment_width
    made = []
    for side in (0, 1):
        rows = []
        for pair in pairs:
            try:
                stretches, _ = runs(pair[side], samples)
            except ValueError:
                return None
            period_s = 1 / pair[side][0].rate
            deck = Deck(stretches, samples=samples, period_s=period_s, device="cpu")
            names = sorted({run.name for run in stretches})
            size = {"segments": learn.segments_of(model, samples, period_s), "batch": model.batch}
            rows.append(represent.features(network, deck, names, **size).mean(axis=0)[width:])
        made.append(np.stack(rows))
    return made


def _profiles(sides: Sequence[Sequence[np.ndarray]], maps: np.ndarray) -> Sides:
    return [np.stack([profile(x, maps) for x in side]) for side in sides]


def _accuracy(sides: Sides) -> float:
    return float(np.mean(metrics.identification(*(_centred(x) for x in sides))))


def profile(signal: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Return Fisher's z of each region's correlation with each map's course, (region * map,).

    ``signal`` is (time, region), standardised; ``maps`` (region, map).
    """
    courses = signal @ maps
    courses = courses - courses.mean(axis=0)
    courses /= np.maximum(courses.std(axis=0), 1e-12)
    found = signal.T @ courses / len(signal)
    return np.arctanh(np.clip(found, -0.999, 0.999)).ravel()


def _signal(part: Sequence[Recording]) -> np.ndarray:
    return own_standard(part).astype(np.float64)


def _edges(signal: np.ndarray) -> np.ndarray:
    return metrics.edges(metrics.correlation(signal))


def _principal(fitted: Fitted, count: int) -> np.ndarray:
    lagged = fitted.arrays["rival/covariance_3"].values.astype(np.float64)
    n = len(lagged) // 3
    return np.linalg.eigh(lagged[n : 2 * n, n : 2 * n])[1][:, ::-1][:, :count]


def _centred(profiles: np.ndarray) -> np.ndarray:
    """Return profiles (person, feature), each feature by its mean and deviation over people."""
    centred = profiles - profiles.mean(axis=0)
    return centred / np.maximum(centred.std(axis=0), 1e-12)

"""Telling people apart by how their regions follow the maps of the embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rheobase import metrics
from rheobase.models import identify
from rheobase.models.base import Fitted, Score
from rheobase.models.brainmae.network import BrainMAENetwork
from rheobase.models.brainmae.switching import embedding_maps
from rheobase.models.decoding import null
from rheobase.models.inputs import own_standard

if TYPE_CHECKING:
    from rheobase.models.brainmae import BrainMAE
    from rheobase.recording import Recording

LEAST_VOLUMES = 20


def score(
    model: BrainMAE, fitted: Fitted, network: BrainMAENetwork, test: Sequence[Recording]
) -> Score | None:
    """Return how often a person's profile is nearest to that person's other session, or half.

    A profile is Fisher's z of the correlation of every region with the course of every map, the
    mean over people subtracted within each side. Rivals are the same of as many principal
    components of the training part, and connectivity. None with fewer than two people.
    """
    pairs, between = identify.pairs(test)
    sides = [[_signal(pair[side]) for pair in pairs] for side in (0, 1)]
    if len(pairs) < 2 or any(len(x) < LEAST_VOLUMES for side in sides for x in side):
        return None
    maps = embedding_maps(network.regions(), None).numpy()
    ours = [np.stack([profile(x, maps) for x in side]) for side in sides]
    rng = null.stream(int(fitted.arrays["seed"]), 1, test)
    found = identify.people(*(_centred(x) for x in ours), rng=rng,
                            draws=model.label_training.permutations)  # fmt: skip
    components = _principal(fitted, maps.shape[1])
    theirs = {
        "connectivity": [np.stack([_edges(x) for x in side]) for side in sides],
        "principal_components": [
            np.stack([profile(x, components) for x in side]) for side in sides
        ],
    }
    beside = {name: float(np.mean(metrics.identification(*(_centred(x) for x in both))))
              for name, both in theirs.items()}  # fmt: skip
    note = (f"{found.people} people, between {between}: {found.there:.2f} forward, "
            f"{found.back:.2f} back")  # fmt: skip
    return Score(
        "identification_accuracy", found.accuracy, beside, chance=1 / found.people,
        p_value=found.p_value, note=note, null=found.null,
        title="share of people found again",
    )  # fmt: skip


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

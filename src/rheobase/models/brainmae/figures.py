"""All drawings of one fit on its test part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rheobase.models.base import Drawing, Fitted
from rheobase.models.brainmae import (
    course_figures,
    fidelity,
    reconstruct,
    reconstruction_figures,
    region_figures,
    run_map,
    score,
    stability,
)
from rheobase.models.brainmae.importance import importance
from rheobase.models.brainmae.influence import influence
from rheobase.models.brainmae.learn import network_of, segments_of
from rheobase.models.brainmae.segments import Deck, runs

if TYPE_CHECKING:
    from rheobase.models.brainmae import BrainMAE
    from rheobase.recording import Recording


def draw(model: BrainMAE, fitted: Fitted, test: Sequence[Recording]) -> dict[str, Drawing]:
    """Return all drawings of a fit on its test part; what cannot be known is left out."""
    samples, arrays = int(fitted.arrays["samples"]), fitted.arrays
    stretches, _ = runs(test, samples)
    network = network_of(model, fitted)
    period_s = 1 / test[0].rate
    deck = Deck(stretches, samples=samples, period_s=period_s, device="cpu")
    segments = segments_of(model, samples, period_s)
    fills = score.fillers(model, fitted, network, period_s)
    half = fidelity.measure(fills, stretches, samples, fidelity.expected(arrays))
    tallies = {
        ratio: half.tallies if ratio == fidelity.RATIO else
        {name: reconstruct.tally(fill, stretches, samples, ratio) for name, fill in fills.items()}
        for ratio in score.SCORED
    }  # fmt: skip
    moved = influence(network, deck)
    names, vectors = run_map.vectors(network, deck, segments=segments, batch=model.batch)
    placed = run_map.of(arrays, names, vectors, run_map.told_of(test, names))
    same = reconstruct.same_frame(arrays["rival/covariance_3"].values.astype(np.float64))
    looked = importance(network, deck, segments)
    made = {
        "reconstruction": reconstruction_figures.reconstruction(tallies),
        "gallery": reconstruction_figures.gallery(fills, stretches, samples, test[0]),
        "regions": reconstruction_figures.regions(half.tallies, arrays),
        "orders": reconstruction_figures.orders(half),
        "embeddings": region_figures.matrices(arrays),
        "influence": region_figures.influence(arrays, moved, same),
        "brain": region_figures.brain(arrays, moved, half.tallies["brainmae"]),
        "segments": course_figures.importance(looked, test, stretches, samples),
        "runs": course_figures.runs(placed, test[0].label_name, test[0].label_kind),
        "halves": stability.halves(arrays),
        "training": course_figures.training(fitted.history) if fitted.history.get("loss") else None,
    }
    return {name: drawing for name, drawing in made.items() if drawing is not None}

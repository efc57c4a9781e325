"""What a fit keeps so that its test part can be compared: penalty, moments, the runs' vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rheobase.models.brainmae import fidelity, ridge, run_map
from rheobase.models.brainmae.labels import Learnt
from rheobase.models.brainmae.network import BrainMAENetwork
from rheobase.models.brainmae.segments import Deck, Run

if TYPE_CHECKING:
    from rheobase.models.brainmae import BrainMAE
    from rheobase.recording import Recording


def fit(
    model: BrainMAE, network: BrainMAENetwork, train: Sequence[Recording],
    stretches: Sequence[Run], samples: int, *, segments: int, device: str,
) -> Learnt:  # fmt: skip
    """Return the ridge penalty, third moments, and vectors of the training runs."""
    deck = Deck(stretches, samples=samples, period_s=1 / train[0].rate, device=device)
    names, vectors = run_map.vectors(network, deck, segments=segments, batch=model.batch)
    told = run_map.told_of(train, names)
    learnt = Learnt()
    learnt.arrays = {
        "rival/ridge_penalty": ((), np.float64(ridge.penalty(stretches, samples))),
        "rival/third_moments": ("triplet", fidelity.of_runs(stretches)[3].astype(np.float32)),
        "runs/vector": (("run", "run_feature"), vectors.astype(np.float32)),
        **{f"runs/{key}": ("run", values) for key, values in told.items()},
    }
    learnt.coordinates = {"run": np.array(names, str)}
    return learnt

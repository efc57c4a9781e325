"""What an encoder has to beat where there is a label: tangent space and a small network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rheobase.models.brainmae.segments import Run
from rheobase.models.brainmae.tune import Targets, held_people, label_loss

HIDDEN, DROPOUT, RATE, EPOCHS, PATIENCE, BATCH, FRAMES = 160, 0.49, 5e-3, 200, 30, 16, 400


class MeanMLP(nn.Sequential):
    """Each frame by itself, answers averaged over frames (Popov et al., NeuroImage 303, 2024)."""

    def __init__(self, regions: int, outputs: int) -> None:
        super().__init__(
            nn.Linear(regions, HIDDEN), nn.LayerNorm(HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT),
            nn.Linear(HIDDEN, outputs),
        )  # fmt: skip


def fit_mean_mlp(runs: Sequence[Run], targets: Targets, *, seed: int, device: str) -> MeanMLP:
    """Return the network trained on the runs of the labelled recordings."""
    torch.manual_seed(seed)
    model = MeanMLP(runs[0].signal.shape[1], targets.outputs).to(device)
    frames = {name: _frames(runs, name, device) for name in targets.names}
    held = held_people(targets, seed)
    learn, check = targets.subset(~held), targets.subset(held)
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
    best, lowest, waited = None, math.inf, 0
    for epoch in range(EPOCHS):
        order = np.random.default_rng([seed, 5, epoch]).permutation(len(learn.names))
        model.train()
        for part in np.array_split(order, math.ceil(len(order) / BATCH)):
            out = torch.stack([model(frames[learn.names[i]]).mean(dim=0) for i in part])
            loss = label_loss(out, part.tolist(), learn, learn)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        if not check.names:
            continue
        model.eval()
        with torch.no_grad():
            found = torch.stack([model(frames[name]).mean(dim=0) for name in check.names])
            missed = float(label_loss(found, range(len(check.names)), check, learn))
        waited = 0 if missed < lowest else waited + 1
        if missed < lowest:
            lowest, best = missed, {k: v.clone() for k, v in model.state_dict().items()}
        if waited >= PATIENCE:
            break
    if best is not None:
        model.load_state_dict(best)
    return model.eval()


def _frames(runs: Sequence[Run], name: str, device: str) -> Tensor:
    kept = np.concatenate([run.signal[run.valid] for run in runs if run.name == name])
    return torch.from_numpy(kept).to(device)


@torch.no_grad()
def mean_mlp_outputs(
    weights: Mapping[str, np.ndarray], runs: Sequence[Run], names: Sequence[str], outputs: int
) -> np.ndarray:
    """Return logits or standardised values, (recording, output)."""
    model = MeanMLP(runs[0].signal.shape[1], outputs)
    model.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in weights.items()})
    model.eval()
    return np.stack([model(_frames(runs, name, "cpu")).mean(dim=0).numpy() for name in names])


def tangent(signals: Sequence[np.ndarray]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the tangent space of the training part and its vectors (recording, edge).

    nilearn's, with Ledoit-Wolf covariances; signals are (time, region).
    """
    made = _measure()
    vectors = made.fit_transform(list(signals))
    return {"mean": made.mean_, "whitening": made.whitening_}, np.asarray(vectors)


def tangent_vectors(
    space: Mapping[str, np.ndarray], signals: Sequence[np.ndarray], regions: int
) -> np.ndarray:
    """Return vectors in a tangent space that was fitted before, (recording, edge)."""
    made = _measure()
    made.fit([np.random.default_rng(0).normal(size=(2 * regions, regions))] * 2)
    made.mean_, made.whitening_ = space["mean"], space["whitening"]
    return np.asarray(made.transform(list(signals)))


def _measure() -> Any:
    from nilearn.connectome import ConnectivityMeasure

    return ConnectivityMeasure(kind="tangent", vectorize=True, standardize=False)

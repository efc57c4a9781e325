"""What an encoder has to beat where there is a label: tangent space and a small network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from rheobase.models.brainmae.segments import Run
from rheobase.models.brainmae.tune import Targets, label_loss

HIDDEN, DROPOUT, RATE, EPOCHS, PATIENCE, BATCH = 160, 0.49, 5e-3, 200, 30, 16
MEAN_MLP = "rival/meanmlp/"


class MeanMLP(nn.Sequential):
    """Each frame by itself, answers averaged over frames (Popov et al., NeuroImage 303, 2024)."""

    def __init__(self, regions: int, outputs: int) -> None:
        super().__init__(
            nn.Linear(regions, HIDDEN), nn.LayerNorm(HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT),
            nn.Linear(HIDDEN, outputs),
        )  # fmt: skip


def fit_mean_mlp(
    frames: Sequence[Tensor], targets: Targets, held: np.ndarray, *, seed: int
) -> MeanMLP:
    """Return the network trained on examples, ``frames`` of each (time, region) on one device.

    Examples that are ``held`` (example,) bool stop the training; they are not trained on.
    """
    torch.manual_seed(seed)
    model = MeanMLP(frames[0].shape[1], targets.outputs).to(frames[0].device)
    learn, check = targets.subset(~held), targets.subset(held)
    inside, outside = ([frames[i] for i in np.flatnonzero(kept).tolist()] for kept in (~held, held))
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
    best, lowest, waited = None, math.inf, 0
    for epoch in range(EPOCHS):
        order = np.random.default_rng([seed, 5, epoch]).permutation(len(inside))
        model.train()
        for part in np.array_split(order, math.ceil(len(order) / BATCH)):
            out = _answers(model, [inside[i] for i in part])
            loss = label_loss(out, part.tolist(), learn, learn)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        if not outside:
            continue
        model.eval()
        with torch.no_grad():
            found = _answers(model, outside)
            missed = float(label_loss(found, range(len(outside)), check, learn))
        waited = 0 if missed < lowest else waited + 1
        if missed < lowest:
            lowest, best = missed, {k: v.clone() for k, v in model.state_dict().items()}
        if waited >= PATIENCE:
            break
    if best is not None:
        model.load_state_dict(best)
    return model.eval()


def _answers(model: MeanMLP, frames: Sequence[Tensor]) -> Tensor:
    """Return the mean answer over the frames of each example, (example, output)."""
    each = model(torch.cat(list(frames))).split([len(one) for one in frames])
    return torch.stack([one.mean(dim=0) for one in each])


def frames_of(runs: Sequence[Run], names: Sequence[str], device: str) -> list[Tensor]:
    """Return the valid frames of each recording, (time, region)."""
    return [
        torch.from_numpy(np.concatenate([r.signal[r.valid] for r in runs if r.name == name]))
        .to(device) for name in names
    ]  # fmt: skip


def pack_mean_mlp(model: MeanMLP) -> dict[str, Any]:
    """Return the weights as arrays of a fit."""
    return {
        f"{MEAN_MLP}{key}": (
            tuple(f"meanmlp_{key}_{i}" for i in range(value.ndim)),
            value.detach().cpu().numpy().copy(),
        )
        for key, value in model.state_dict().items()
    }


@torch.no_grad()
def mean_mlp_outputs(arrays: xr.Dataset, frames: Sequence[Tensor], outputs: int) -> np.ndarray:
    """Return logits or standardised values, (example, output), by the network in a fit."""
    model = MeanMLP(frames[0].shape[1], outputs)
    model.load_state_dict(
        {str(key).removeprefix(MEAN_MLP): torch.from_numpy(np.array(value))
         for key, value in arrays.data_vars.items() if str(key).startswith(MEAN_MLP)}
    )  # fmt: skip
    return _answers(model.eval(), frames).numpy()


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

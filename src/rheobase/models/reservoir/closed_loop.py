"""A trained reservoir left alone: its one-step forecasts are its next inputs."""

from __future__ import annotations

import numpy as np
import torch

from rheobase.models.reservoir.engine import Block, Engine, State


@torch.inference_mode()
def generate(
    engine: Engine, weights: np.ndarray, bias: np.ndarray, *, start: State, steps: int
) -> np.ndarray:
    """Return what the reservoirs go on with, (time, seed, setting, recording, channel).

    ``weights`` (seed, setting, unit, channel) and ``bias`` (seed, setting, channel) forecast the
    next input from the state; ``start`` is the state after the last true input.
    """
    shape = start.rates.shape
    dynamics = engine.dynamics(Block(slice(0, shape[0]), slice(0, shape[2]), slice(None)), shape[3])
    w, b = (torch.as_tensor(a, dtype=engine.dtype, device=engine.device) for a in (weights, bias))
    ones = torch.ones((1, 1, engine.channels, shape[3]), dtype=engine.dtype, device=engine.device)
    scale = dynamics.inputs(ones)[0]
    rates = start.rates.flatten(2).clone()
    potential = None if start.potential is None else start.potential.flatten(2).clone()
    made = []
    for _ in range(steps):
        forecast = torch.einsum("snmr,smnc->scmr", rates.view(shape), w)
        forecast += b.permute(0, 2, 1)[..., None]
        made.append(forecast.permute(0, 2, 3, 1).cpu())
        now = torch.cat([rates, forecast.flatten(2) * scale], dim=1).flatten(0, 1)
        rates = torch.empty_like(rates)
        potential = dynamics.step(now, potential, rates)
    return torch.stack(made).numpy()

"""A trained network one step at a time, as it would run on a stream; results equal the layers'."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from rheobase.models.spiking.network import Layer, Network
from rheobase.models.spiking.reference import carry

State = list[Tensor]
"""For every layer: membrane, spikes, current and adaptation, (example, unit) each"""
PARTS = 4


class Stepper:
    """Gives the readout of one step after another, for networks whose output does not spike."""

    def __init__(self, network: Network) -> None:
        if network.top is not None or network.shape.readout_tau_s is not None:
            raise ValueError("stepping needs a linear readout without memory")
        if network.shape.gain_over_time:
            raise ValueError("gain_over_time is meaningless on a stream; train without it")
        self.network = network

    @torch.no_grad()
    def __call__(self, events: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Return the readout (example, class) and the new state, from events (example, feature)."""
        after: State = []
        passed = events
        for place, layer in enumerate(self.network.layers):
            assert isinstance(layer, Layer)
            before = None if state is None else state[PARTS * place : PARTS * (place + 1)]
            kept = _advanced(layer, passed, before)
            after += kept
            passed = kept[1]
        return functional.linear(passed, self.network.weight, self.network.bias), after


def _advanced(layer: Layer, given: Tensor, before: State | None) -> State:
    cell, beta = layer.cell, layer.decay
    drive = functional.linear(given, layer.weight, layer.bias)
    zero = torch.zeros_like(drive)
    h, s, current, a = before if before is not None else (zero,) * PARTS
    if (recurrent := layer.recurrent) is not None:
        drive = drive + s @ recurrent.T
    current = cell.synapse * current + drive
    a = cell.rho * a + s
    h = carry(h, s, beta, cell) + current
    return [h, cell.fire(h, cell.theta + cell.kappa * a), current, a]

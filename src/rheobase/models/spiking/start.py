"""Weights at the start: scaled by data so that no layer begins silent or saturated."""

from __future__ import annotations

import torch
from torch import Tensor

from rheobase.models.spiking.layer import Spikes
from rheobase.models.spiking.network import Layer, Network

RANGE = (0.05, 0.30)
"""Rates that a first batch should give in every layer; chosen here"""
AIM = 0.12
ROUNDS = 12


def scale(network: Network, events: Tensor) -> list[float]:
    """Scale the weights layer by layer, in place; returns the rates of a first batch.

    Give examples of all kinds: windows of rest alone may hold no event.

    A layer whose rate lies within ``RANGE`` is left; else its weights are multiplied by the factor,
    found by bisection, that brings its rate to ``AIM``. Raises ``ValueError`` where none does.
    """
    passed: Tensor | Spikes = events
    rates = []
    with torch.no_grad():
        layers = [*network.layers, *([network.top] if network.top is not None else [])]
        for number, layer in enumerate(layers):
            assert isinstance(layer, Layer)
            passed = _scaled(layer, passed, number)
            rates.append(float(passed.values.mean()))
    return rates


def _scaled(layer: Layer, given: Tensor | Spikes, number: int) -> Spikes:
    def fired(factor: float) -> Spikes:
        layer.weight.copy_(start * factor)
        return layer(given, threshold_scale=1.0, precision="exact")

    start = layer.weight.clone()
    found = fired(1.0)
    if RANGE[0] <= found.values.mean() <= RANGE[1]:
        return found
    low, high = 1e-3, 1e3
    for _ in range(ROUNDS):
        middle = (low * high) ** 0.5
        found = fired(middle)
        low, high = (middle, high) if found.values.mean() < AIM else (low, middle)
    rate = float(found.values.mean())
    if not RANGE[0] <= rate <= RANGE[1]:
        raise ValueError(
            f"layer {number + 1} fires at {rate:.2%} of steps however its weights are scaled, not "
            f"{RANGE[0]:.0%} to {RANGE[1]:.0%}; look whether the input has events"
        )
    return found

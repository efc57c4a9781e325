"""Spiking layers with a readout: what events say of a label, after every step."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from rheobase.models.spiking.cells import LEAKS, Cell, decay
from rheobase.models.spiking.layer import Spikes, run
from rheobase.models.spiking.product import Precision
from rheobase.models.spiking.readout import leaky


@dataclass(frozen=True)
class Shape:
    """Sizes and time constants of a network."""

    inputs: int
    outputs: int
    hidden: tuple[int, ...] = (128, 128)
    step_s: float = 0.004
    tau_s: float = 0.04
    """Membranes; chosen here"""
    readout_tau_s: float | None = None
    """None: a readout without memory"""
    cell: Cell = field(default_factory=Cell)
    recurrent: bool = False
    learn_decay: bool = False
    spiking_output: bool = False
    """Whether classes are spiking units too, as losses on counts and first spikes need"""
    gain_over_time: int = 0
    """Steps of a window, for one learned gain a step and layer; 0: none"""


@dataclass(frozen=True)
class Output:
    """What a network says and what it did."""

    steps: Tensor
    """(step, example, class): currents of the readout, or spikes of the classes"""
    spikes: tuple[Tensor, ...]
    """Spikes of every hidden layer, (step, example, unit)"""

    def rates(self) -> list[Tensor]:
        """Return the mean rate of every unit of every hidden layer, (unit,) each."""
        return [s.mean((0, 1)) for s in self.spikes]


class Layer(nn.Module):
    """Weights and decays of one layer; ``precision`` and the threshold may change at inference."""

    def __init__(self, inputs: int, units: int, shape: Shape, drawn: torch.Generator) -> None:
        super().__init__()
        self.cell, self.learnt = shape.cell, shape.learn_decay
        self.weight = nn.Parameter(_uniform(units, inputs, drawn))
        self.bias = nn.Parameter(torch.zeros(units))
        beta = min(max(decay(shape.tau_s, shape.step_s), LEAKS[0]), LEAKS[1])
        level = math.log(beta / (1 - beta))
        self.level = nn.Parameter(torch.full((units,), level)) if self.learnt else None
        self.beta = beta
        self.back = nn.Parameter(_orthogonal(units, drawn)) if shape.recurrent else None
        steps = shape.gain_over_time
        self.gain = nn.Parameter(torch.ones(steps)) if steps else None

    def forward(
        self, given: Tensor | Spikes, *, threshold_scale: float, precision: Precision
    ) -> Spikes:
        if self.gain is not None:
            given = modulated(given, self.gain)
        cell = self.cell
        if threshold_scale != 1:
            cell = replace(cell, theta=cell.theta * threshold_scale)
        return run(given, self.weight, self.bias, beta=self.decay, cell=cell,
                   recurrent=self.recurrent, precision=precision)  # fmt: skip

    @property
    def decay(self) -> Tensor | float:
        """Return what is left of membranes after a step, (unit,) where it is learnt."""
        return self.beta if self.level is None else torch.sigmoid(self.level).clamp(*LEAKS)

    @property
    def recurrent(self) -> Tensor | None:
        """Return the recurrent weights, (unit, unit), no unit reaching itself."""
        return None if self.back is None else self.back - torch.diag(torch.diagonal(self.back))


class Network(nn.Module):
    """``encoder -> spiking layers -> linear readout``; events (step, example, feature)."""

    def __init__(self, shape: Shape, *, seed: int) -> None:
        super().__init__()
        self.shape = shape
        drawn = torch.Generator().manual_seed(seed)
        sizes = (shape.inputs, *shape.hidden)
        self.layers = nn.ModuleList(
            Layer(i, o, shape, drawn) for i, o in zip(sizes[:-1], sizes[1:], strict=True)
        )
        if shape.spiking_output:
            self.top = Layer(sizes[-1], shape.outputs, shape, drawn)
        else:
            self.top = None
            self.weight = nn.Parameter(_uniform(shape.outputs, sizes[-1], drawn))
            self.bias = nn.Parameter(torch.zeros(shape.outputs))

    def forward(
        self, events: Tensor, *, threshold_scale: float = 1.0, precision: Precision = "exact"
    ) -> Output:
        passed: Tensor | Spikes = events
        spikes = []
        for layer in self.layers:
            passed = layer(passed, threshold_scale=threshold_scale, precision=precision)
            assert isinstance(passed, Spikes)
            spikes.append(passed.values)
        if self.top is not None:
            top = self.top(passed, threshold_scale=threshold_scale, precision=precision)
            return Output(top.values, tuple(spikes))
        currents = nn.functional.linear(spikes[-1], self.weight, self.bias)
        tau = self.shape.readout_tau_s
        if tau is not None:
            currents = leaky(currents, decay(tau, self.shape.step_s))
        return Output(currents, tuple(spikes))

    @property
    def fan_out(self) -> list[int]:
        """Return the targets of one unit of every layer, the inputs first."""
        return [*self.shape.hidden, self.shape.outputs]


def modulated(given: Tensor | Spikes, gain: Tensor) -> Tensor:
    """Return inputs times one learned number a step, as in Cao et al. (2024).

    Only for windows of a fixed number of steps: a stream has no step of which to say which it is.
    """
    values = given.values if isinstance(given, Spikes) else given
    if len(values) != len(gain):
        raise ValueError(
            f"gain_over_time has {len(gain)} steps and the input {len(values)}; "
            "it needs windows of one length"
        )
    return values * gain[:, None, None]


def _uniform(units: int, inputs: int, drawn: torch.Generator) -> Tensor:
    """Return Kaiming-uniform weights, (unit, input)."""
    reach = math.sqrt(3 / inputs)
    return (2 * torch.rand(units, inputs, generator=drawn) - 1) * reach


def _orthogonal(units: int, drawn: torch.Generator) -> Tensor:
    made = torch.linalg.qr(torch.randn(units, units, generator=drawn)).Q * 0.3
    return made - torch.diag(torch.diagonal(made))

"""Delta activations: a layer sends only what changed, in whole steps of a learned size.

After Yousefzadeh and Sifalakis 2021, with another gradient: ``k_t = round(a_t / q)``,
``y_t = k_t q``, straight through the rounding, so that q is learned as a step size (Esser et al.
2020), and the penalty is on counts, ``mean |k_t - k_{t-1}|``. A penalty on ``q |k_t - k_{t-1}|``
makes q small and differences many. Arrays are (step, example, feature).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

REFRESH = 1000
"""Steps after which the accumulated product is computed anew"""


class Delta(nn.Module):
    """Quantises activations with a learned step; ``parts`` is 1, or the number of features."""

    def __init__(self, parts: int = 1, *, step: float = 0.1) -> None:
        super().__init__()
        if step <= 0:
            raise ValueError(f"step is {step}; it must be above 0")
        self.level = nn.Parameter(torch.full((parts,), math.log(math.expm1(step))))

    @property
    def step(self) -> Tensor:
        """Return the size of a step, above 0."""
        return nn.functional.softplus(self.level)

    def counts(self, activations: Tensor) -> Tensor:
        """Return ``k``, whole numbers in the forward pass, with the gradient of ``a / q``."""
        ratio = activations / self.step
        return ratio + (ratio.round() - ratio).detach()

    def forward(self, activations: Tensor) -> tuple[Tensor, Tensor]:
        """Return quantised activations ``y`` and their counts ``k``."""
        k = self.counts(activations)
        return k * self.step, k


def penalty(counts: Tensor) -> Tensor:
    """Return ``mean |k_t - k_{t-1}|``, the first step left out."""
    return counts.diff(dim=0).abs().mean()


def changed(counts: Tensor) -> float:
    """Return the share of differences that are not 0, the first step left out."""
    return float((counts.diff(dim=0) != 0).float().mean())


def accumulated(sent: Tensor, weight: Tensor, *, refresh: int = REFRESH) -> Tensor:
    """Return ``z_t = z_{t-1} + W (y_t - y_{t-1})`` of what is sent, which equals ``W y_t``.

    As a device would add it up; every ``refresh`` steps z is computed whole, so that errors of
    rounding do not grow.
    """
    parts = []
    for part in sent.split(refresh):
        differences = torch.cat([part[:1], part.diff(dim=0)])
        parts.append((differences @ weight.T).cumsum(0))
    return torch.cat(parts)


class DeltaPerceptron(nn.Module):
    """A perceptron that streams: linear, ReLU and, where ``quantised``, a delta layer."""

    def __init__(self, sizes: tuple[int, ...], *, quantised: bool, seed: int) -> None:
        super().__init__()
        drawn = torch.Generator().manual_seed(seed)
        pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
        self.weights = nn.ParameterList(
            (2 * torch.rand(o, i, generator=drawn) - 1) * math.sqrt(3 / i) for i, o in pairs
        )
        self.biases = nn.ParameterList(torch.zeros(o) for _, o in pairs)
        self.deltas = nn.ModuleList(Delta() for _ in pairs[:-1]) if quantised else None

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return outputs (step, example, class) and what every hidden layer sends: k, or values."""
        sent = []
        last = len(self.weights) - 1
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = nn.functional.linear(x, weight, bias)
            if place < last:
                x = torch.relu(x)
                if self.deltas is not None:
                    x, k = self.deltas[place](x)
                    sent.append(k)
                else:
                    sent.append(x)
        return x, sent

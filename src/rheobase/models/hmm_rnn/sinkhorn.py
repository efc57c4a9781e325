"""Sinkhorn divergence between clouds of points, in groups (Feydy et al. 2019).

    S(x, y) = OT(x, y) - OT(x, x) / 2 - OT(y, y) / 2,   cost |x - y|^2 / 2, entropy eps = blur^2

Updates are symmetric and in the log domain, with eps annealed from the squared diameter; the last
one is not averaged. Only it is differentiated, and in x alone, the other argument fixed: at the
optimum the potentials do not move to first order (envelope theorem). So the slope is a difference
of averages, ``dS/dx_i = (sum_j q_ij x_j - sum_j p_ij y_j) / n``, with p and q the softmax weights
of the last updates, and no graph is kept. The same steps and slopes as in geomloss,
``SamplesLoss("sinkhorn", p=2, blur=blur, scaling=scaling, debias=True)``; like there, value and
slope are those of the limit only as ``scaling`` nears 1.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

CACHED = 1 << 16
"""Entries of the costs that are worked on at once on a CPU, so that they stay in its cache."""
LOWEST = {torch.float64: -700.0, torch.float32: -80.0}
"""Exponents are cut here: what is smaller adds nothing, and is slow where it has no normal form."""


def annealed(diameter: float, blur: float, scaling: float) -> list[float]:
    """Return the values of eps, from the squared diameter to the squared blur."""
    first, last, step = 2 * math.log(diameter), 2 * math.log(blur), 2 * math.log(scaling)
    count = max(0, math.ceil((last - first) / step))
    return [diameter**2, *(math.exp(first + k * step) for k in range(count)), blur**2]


def one_hot_diameter(length: int) -> float:
    """Return the largest distance of two one-hot sequences, ``sqrt(2 L)``."""
    return math.sqrt(2 * length)


def sinkhorn_divergence(
    x: Tensor, y: Tensor, blur: float = 0.2, scaling: float = 0.5, diam: float | None = None,
    need_yy: bool = True,
) -> Tensor:  # fmt: skip
    """Return the divergence of each group, (group,), for ``x`` (group, n, P), ``y`` (group, m, P).

    ``diam``: a bound of all distances, estimated where it is not given. Without ``need_yy`` the
    part that depends on y alone, and has no gradient, is left out. Raises ``ValueError`` for a blur
    that is not above 0 and a scaling outside (0, 1).
    """
    if blur <= 0 or not 0 < scaling < 1:
        raise ValueError(f"blur is {blur} and scaling {scaling}; they must be above 0, and scaling "
                         "below 1")  # fmt: skip
    if x.ndim != 3 or y.ndim != 3 or x.shape[::2] != y.shape[::2]:
        raise ValueError(f"x is {tuple(x.shape)} and y {tuple(y.shape)}; give (group, point, P)")
    steps = annealed(_diameter(x, y) if diam is None else diam, blur, scaling)
    return _Divergence.apply(x, y.detach(), steps, need_yy)


class _Divergence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, steps: list[float], need_yy: bool) -> Tensor:
        crossed, own, last = costs(x, y), costs(x, x), steps[-1]
        back = crossed.mT.contiguous()
        f, g = _potentials(crossed, back, steps)
        here, stayed = softmin(last, own, _potential(own, steps), x)
        there, drawn = softmin(last, crossed, g, y)
        value = (there - here).mean(1) + softmin(last, back, f)[0].mean(1)
        if need_yy:
            kept = costs(y, y)
            value = value - softmin(last, kept, _potential(kept, steps))[0].mean(1)
        ctx.save_for_backward(stayed.sub_(drawn).div_(x.shape[1]))
        return value

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        return slope * slopes[0][:, None, None], None, None, None


def costs(x: Tensor, y: Tensor) -> Tensor:
    """Return half of all squared distances, (group, n, m)."""
    half = torch.baddbmm((y**2).sum(-1)[:, None] / 2, x, y.mT, alpha=-1)
    return half.add_((x**2).sum(-1)[..., None] / 2)


def softmin(
    eps: float, cost: Tensor, potential: Tensor, points: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return ``-eps log mean_j exp((potential_j - cost_ij) / eps)``, (group, n).

    And the averages of ``points`` (group, m, P) under the weights in that mean, (group, n, P).
    """
    groups, n, m = cost.shape
    least = torch.empty((groups, n, 1), dtype=cost.dtype, device=cost.device)
    means = least if points is None else least.new_empty((groups, n, points.shape[2]))
    rows = n if cost.is_cuda else max(1, CACHED // m)
    scaled, lowest = potential / eps, LOWEST[cost.dtype]
    for k in range(groups):
        for a in range(0, n, rows):
            b = min(a + rows, n)
            weights = torch.add(scaled[k], cost[k, a:b], alpha=-1 / eps)
            top = weights.amax(1, keepdim=True)
            total = weights.sub_(top).clamp_(min=lowest).exp_().sum(1, keepdim=True)
            torch.add(top, total.log(), out=least[k, a:b])
            if points is not None:
                torch.mm(weights.div_(total), points[k], out=means[k, a:b])
    return (least.squeeze(2) - math.log(m)).mul_(-eps), means


def _potentials(cost: Tensor, back: Tensor, steps: list[float]) -> tuple[Tensor, Tensor]:
    f, _ = softmin(steps[0], cost, torch.zeros_like(cost[:, 0]))
    g, _ = softmin(steps[0], back, torch.zeros_like(back[:, 0]))
    for eps in steps:
        there, here = softmin(eps, cost, g)[0], softmin(eps, back, f)[0]
        f, g = (f + there) / 2, (g + here) / 2
    return f, g


def _potential(cost: Tensor, steps: list[float]) -> Tensor:
    """Return the potential of a cloud with itself."""
    f, _ = softmin(steps[0], cost, torch.zeros_like(cost[:, 0]))
    for eps in steps:
        f = (f + softmin(eps, cost, f)[0]) / 2
    return f


def _diameter(x: Tensor, y: Tensor) -> float:
    """Return the diagonal of the box that holds all points."""
    low = torch.minimum(x.amin((0, 1)), y.amin((0, 1)))
    high = torch.maximum(x.amax((0, 1)), y.amax((0, 1)))
    return float((high - low).norm())

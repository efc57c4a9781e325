"""Where a network comes to rest without noise, where it is slow, and its eigenvalues there.

Without biases 0 is a fixed point, and others come in rays from 0. So states that were visited under
noise are followed without it: where all of them decay to 0, that is the only fixed point that
matters. The mean of the noise is 0, so a constant mean input is no input. The spectral radius of
Wh says nothing of this: states decay because of the rectification.

For any other map, with biases, a constant input or tanh, points are sought where
``q = |h - F(h)|^2 / 2`` is least (Sussillo and Barak 2013), from visited states.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from scipy.cluster.hierarchy import fcluster, linkage
from torch import Tensor

from rheobase.models.hmm_rnn.network import Emulator

TIMES = (10, 50, 200, 500)
DECAYED = 1e-3
"""Share of its size below which a state has decayed to 0."""
APART, FAR = 1e-3, 10.0
"""Fixed points nearer than this are one; those farther from the data than so many times the data's
own mean distance from its centre are dropped."""
NEWTON = 20


@dataclass(frozen=True)
class Decay:
    """How large states are after some steps without noise, over their size before."""

    times: tuple[int, ...]
    median: Tensor
    """(member, time)"""
    largest: Tensor
    """(member, time)"""
    radius: Tensor
    """(member,) spectral radius of Wh, for comparison."""

    @property
    def single(self) -> Tensor:
        """Return whether every state has decayed to 0, (member,)."""
        return self.largest[:, -1] < DECAYED


@torch.no_grad()
def decay(net: Emulator, states: Tensor, *, times: tuple[int, ...] = TIMES) -> Decay:
    """Return how states (member, state, unit) decay without noise; those that are 0 have."""
    now, size = states.double(), states.double().norm(dim=-1)
    Wh, ratios = net.Wh.double().mT, []
    for t in range(1, max(times) + 1):
        now = torch.bmm(now, Wh).relu_()
        if t in times:
            ratios.append(now.norm(dim=-1) / size.clamp(min=1e-300))
    found = torch.stack(ratios, 1)
    radius = torch.linalg.eigvals(net.Wh.double()).abs().amax(-1)
    return Decay(tuple(sorted(times)), found.median(-1).values, found.amax(-1), radius)


@dataclass(frozen=True)
class Map:
    """A step without noise of each member, ``F(h) = f(W h + drive)``."""

    W: Tensor
    """(member, unit, unit)"""
    drive: Tensor
    """(member, unit) constant input, biases included."""
    activation: Literal["relu", "tanh"] = "relu"

    @classmethod
    def of(cls, net: Emulator, mean_input: Tensor | None = None) -> Map:
        """Return that of a network under a constant input (member, d), 0 where it is not given."""
        W = net.Wh.detach().double()
        if mean_input is None:
            return cls(W, W.new_zeros(W.shape[:2]))
        return cls(W, (net.Win.detach().double() @ mean_input.double()[..., None])[..., 0])

    def __call__(self, h: Tensor) -> Tensor:
        u = torch.baddbmm(self.drive[:, None], h, self.W.mT)
        return u.relu() if self.activation == "relu" else u.tanh()

    def jacobian(self, h: Tensor) -> Tensor:
        """Return dF/dh at points (member, point, unit), (member, point, unit, unit)."""
        u = torch.baddbmm(self.drive[:, None], h, self.W.mT)
        slope = (u > 0).to(u.dtype) if self.activation == "relu" else 1 - u.tanh() ** 2
        return slope[..., None] * self.W[:, None]


@dataclass(frozen=True)
class SlowPoints:
    """Points at which a map hardly moves, of one member."""

    points: Tensor
    """(point, unit)"""
    q: Tensor
    """(point,) half the squared distance of one step."""
    fixed: Tensor
    """(point,) whether q is below the tolerance."""
    eigenvalues: Tensor
    """(point, unit) of the Jacobian, complex."""

    @property
    def stable(self) -> Tensor:
        """Return whether a point is fixed and all its eigenvalues are within the unit circle."""
        return self.fixed & (self.eigenvalues.abs().amax(-1) < 1)


def slow_points(
    step: Map, starts: Tensor, *, iterations: int = 5000, tolerance: float = 1e-12
) -> list[SlowPoints]:
    """Return, for each member, the points that minimise q from starts (member, start, unit).

    Adam, its rate falling to a thousandth, then Newton's steps where they lower q. Points that are
    equal are told once; those that left the data are dropped.
    """
    h = starts.detach().double().clone().requires_grad_()
    centre = h.detach().mean(1, keepdim=True)
    spread = (h.detach() - centre).norm(dim=-1).mean(1)
    size = float(h.detach().abs().mean()) + 1e-12
    adam = torch.optim.Adam([h], lr=size)
    for k in range(iterations):
        adam.param_groups[0]["lr"] = 0.1 * size * 1e-3 ** (k / iterations)
        q = _speed(step, h)
        if bool((q < tolerance).all()):
            break
        adam.zero_grad()
        q.sum().backward()
        adam.step()
    with torch.no_grad():
        found = _newton(step, h.detach())
        q, J = _speed(step, found), step.jacobian(found)
        near = (found - centre).norm(dim=-1) <= FAR * spread[:, None] + 1e-12
        return [
            _distinct(found[m][near[m]], q[m][near[m]], J[m][near[m]], tolerance)
            for m in range(len(found))
        ]


def _speed(step: Map, h: Tensor) -> Tensor:
    return (h - step(h)).square().sum(-1) / 2


def _newton(step: Map, h: Tensor) -> Tensor:
    """Return points after Newton's steps, each kept only where it lowers q."""
    eye = torch.eye(h.shape[-1], dtype=h.dtype, device=h.device)
    for _ in range(NEWTON):
        back = torch.linalg.pinv(step.jacobian(h) - eye)
        tried = h + (back @ (h - step(h))[..., None])[..., 0]
        better = _speed(step, tried) < _speed(step, h)
        h = torch.where(better[..., None], tried, h)
        if not bool(better.any()):
            break
    return h


def _distinct(points: Tensor, q: Tensor, J: Tensor, tolerance: float) -> SlowPoints:
    """Return one point, the slowest, of each group of points that lie together."""
    if len(points) > 1:
        tree = linkage(points.cpu().numpy(), method="single")
        groups = torch.as_tensor(fcluster(tree, APART, criterion="distance"), device=q.device)
        best = [int((q + torch.where(groups == g, 0.0, torch.inf)).argmin())
                for g in groups.unique()]  # fmt: skip
        best = sorted(best, key=lambda at: float(q[at]))
        points, q, J = points[best], q[best], J[best]
    return SlowPoints(points, q, q < tolerance, torch.linalg.eigvals(J))


def slowest_direction(net: Emulator, states: Tensor, *, iterations: int = 2000) -> Tensor:
    """Return the least relative speed ``|h - F(h)| / |h|`` near states, (member, state).

    Without biases speed grows with size, so only directions can be slow: 0 is a ray of fixed
    points, 1 a step that leads to 0.
    """
    step = Map.of(net)
    h = torch.nn.functional.normalize(states.double(), dim=-1).requires_grad_()
    rate = 1 / math.sqrt(h.shape[-1])
    adam = torch.optim.Adam([h], lr=rate)
    least = torch.full(h.shape[:2], torch.inf, dtype=h.dtype, device=h.device)
    for k in range(iterations):
        adam.param_groups[0]["lr"] = 0.1 * rate * 1e-3 ** (k / iterations)
        unit = torch.nn.functional.normalize(h, dim=-1)
        speed = (unit - step(unit)).norm(dim=-1)
        least = torch.minimum(least, speed.detach())
        adam.zero_grad()
        speed.sum().backward()
        adam.step()
    return least

"""The recurrent network that emulates a chain: rectified, driven by noise, without biases.

    h[t] = relu(Wh h[t-1] + Win x[t]),   logits[t] = Wout h[t],   h[0] = 0,   x[t] ~ N(0, I)

Without biases the network is homogeneous: noise scaled by c > 0 scales every state by c. So symbols
by arg-max do not depend on the noise's size; only sampled ones do. Several networks, the members,
run as one, along the first axis: states are (member, sequence, time, unit).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

TINY = 1e-10
"""Keeps logarithms of uniform numbers finite."""


class Emulator(nn.Module):
    """Networks of N units with d noise inputs and O symbols."""

    def __init__(self, units: int, noise: int, symbols: int, *, seeds: Sequence[int]) -> None:
        super().__init__()
        if noise < 1 or units < symbols:
            raise ValueError(
                f"there are {units} units, {noise} noise inputs and {symbols} symbols; noise must "
                "be 1 or more, units at least as many as symbols"
            )
        self.units, self.noise, self.symbols = units, noise, symbols
        shapes = {"Win": (units, noise), "Wh": (units, units), "Wout": (symbols, units)}
        drawn = {name: [] for name in shapes}
        for seed in seeds:
            generator = torch.Generator().manual_seed(seed)
            for name, shape in shapes.items():
                uniform = torch.rand(shape, generator=generator)
                drawn[name].append((2 * uniform - 1) / np.sqrt(units))
        self.Win, self.Wh, self.Wout = (nn.Parameter(torch.stack(drawn[n])) for n in shapes)

    @property
    def members(self) -> int:
        return len(self.Wh)

    def states(self, x: Tensor, start: Tensor | None = None) -> Tensor:
        """Return the states under noise ``x`` (member, sequence, time, d)."""
        members, count, length, _ = x.shape
        drive = torch.bmm(x.flatten(1, 2), self.Win.mT).view(members, count, length, self.units)
        Wh = self.Wh.mT
        now = drive.new_zeros((members, count, self.units)) if start is None else start
        kept = []
        for given in drive.unbind(2):
            now = torch.relu(torch.baddbmm(given, now, Wh))
            kept.append(now)
        return torch.stack(kept, 2)

    def logits(self, states: Tensor) -> Tensor:
        """Return what symbols are drawn from, (member, sequence, time, symbol)."""
        flat = torch.bmm(states.flatten(1, 2), self.Wout.mT)
        return flat.view(*states.shape[:3], self.symbols)

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(self.states(x))

    def symbols_of(
        self, count: int, length: int, *, generators: Sequence[torch.Generator], scale: float = 1.0
    ) -> Tensor:
        """Return drawn sequences, (member, sequence, time); ``scale`` is the noise's deviation."""
        with torch.no_grad():
            x = scale * drawn_noise(generators, (count, length, self.noise))
            logits = self(x)
            return gumbel(logits, generators).argmax(-1)


def of(weights: Mapping[str, Tensor]) -> Emulator:
    """Return the networks with weights Win, Wh, Wout, members along their first axis."""
    members, units, noise = weights["Win"].shape
    net = Emulator(units, noise, weights["Wout"].shape[1], seeds=[0] * members)
    net.load_state_dict({name: weights[name].detach() for name in ("Win", "Wh", "Wout")})
    return net.to(weights["Wh"].device)


def member(net: Emulator, number: int) -> Emulator:
    """Return one of the members, as a network of one."""
    return of({name: part[number : number + 1] for name, part in net.state_dict().items()})


def drawn_noise(generators: Sequence[torch.Generator], shape: tuple[int, ...]) -> Tensor:
    """Return normal numbers, (member, ...); each member has its own generator."""
    return torch.stack([torch.randn(shape, generator=g, device=g.device) for g in generators])


def gumbel(logits: Tensor, generators: Sequence[torch.Generator], *, tau: float = 1.0) -> Tensor:
    """Return one-hot draws from the softmax, whose slopes are those of the soft draws."""
    if tau <= 0:
        raise ValueError(f"tau is {tau}; it must be above 0")
    uniform = torch.stack([torch.rand(logits.shape[1:], generator=g, device=g.device)
                           for g in generators])  # fmt: skip
    noise = -((-(uniform + TINY).log()) + TINY).log()
    soft = ((logits + noise) / tau).softmax(-1)
    hard = torch.nn.functional.one_hot(soft.argmax(-1), soft.shape[-1]).to(soft.dtype)
    return hard + soft - soft.detach()

"""How units stand before switches, told beside what they do; it decides nothing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rheobase.models.hmm_rnn.activity import Activity
from rheobase.models.hmm_rnn.network import Emulator
from rheobase.models.hmm_rnn.switches import FEWEST


@dataclass(frozen=True)
class Before:
    """How a unit's recurrent input stands before switches, (member, unit, from, to)."""

    difference: Tensor
    """Mean two steps before a switch less that of stays, over the pooled deviation (d')."""
    active_staying: Tensor
    """Share of stays at which the unit is active."""
    active_before: Tensor
    """Share of steps two before a switch at which it is active."""


@torch.no_grad()
def before_switches(net: Emulator, activity: Activity, *, inside: int = 10) -> Before:
    """Return what units do two steps before switches beside stays.

    A stay lies at least ``inside`` steps within its class on both sides.
    """
    states, path = activity.states, activity.classes
    members, kinds = net.members, net.symbols
    shape = (members, net.units, kinds, kinds)
    found = {name: torch.full(shape, torch.nan, device=states.device)
             for name in ("difference", "staying", "before")}  # fmt: skip
    stays = _stays(path, inside)[..., 1:]
    for m in range(members):
        entering = states[m, :, :-1] @ net.Wh[m].mT
        active = states[m, :, 1:] > 0
        for a in range(kinds):
            calm = stays[m] & (path[m, :, 1:] == a)
            for b in range(kinds):
                leaving = _leaving(path[m], a, b)
                if a == b or min(int(leaving.sum()), int(calm.sum())) < FEWEST:
                    continue
                x, y = entering[leaving], entering[calm]
                pooled = ((x.var(0) + y.var(0)) / 2).sqrt().clamp(min=1e-12)
                found["difference"][m, :, a, b] = (x.mean(0) - y.mean(0)) / pooled
                found["staying"][m, :, a, b] = active[calm].float().mean(0)
                found["before"][m, :, a, b] = active[leaving].float().mean(0)
    return Before(found["difference"], found["staying"], found["before"])


def _leaving(path: Tensor, a: int, b: int) -> Tensor:
    """Return the steps, from the second, two before a switch from a to b."""
    found = torch.zeros_like(path[:, 1:], dtype=torch.bool)
    found[:, :-2] = (path[:, 1:-2] == a) & (path[:, 2:-1] == a) & (path[:, 3:] == b)
    return found


def _stays(path: Tensor, inside: int) -> Tensor:
    """Return the steps whose class is the same for so many steps on both sides."""
    same = (path[..., 1:] == path[..., :-1]).float().flatten(0, 1)[:, None]
    width = 2 * inside
    held = torch.nn.functional.avg_pool1d(same, width, stride=1)[:, 0] > 1 - 0.5 / width
    found = torch.zeros(same.shape[0], path.shape[-1], dtype=torch.bool, device=path.device)
    found[:, inside : inside + held.shape[1]] = held
    return found.view(path.shape)

"""Emulators built by hand, whose fixed points, orbits, stays and kick neurons are known."""

import math

import torch

from rheobase.models.hmm_rnn import network

KICK = {(0, 1): 2, (1, 0): 3}
"""The planted kick neuron of each direction of ``bistable``."""


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def built(Wh, Win, Wout):
    return network.of({"Wh": Wh[None], "Win": Win[None], "Wout": Wout[None]})


def shift(units):
    """Return weights by which activity moves on by a unit a step, round a ring."""
    return torch.eye(units).roll(1, 0)


def ring(units=12, keep=0.95):
    """Return a network that turns once in as many steps as it has units, and decays by ``keep``.

    Two noise inputs push the two halves of the ring, so the first two components turn.
    """
    angle = 2 * math.pi * torch.arange(units) / units
    Win = torch.stack([angle.cos(), angle.sin()], 1)
    Wout = torch.zeros(2, units)
    Wout[0, : units // 2], Wout[1, units // 2 :] = 1, 1
    return built(keep * shift(units), Win, Wout)


def clusters(first=30, second=20):
    """Return a chain of states without noise: unit k leads to k + 1, classes 0 then 1, and round.

    From unit k of class 0 there are ``first - k`` steps to class 1.
    """
    units = first + second
    Wout = torch.zeros(2, units)
    Wout[0, :first], Wout[1, first:] = 10, 10
    return built(shift(units), torch.zeros(units, 1), Wout)


def leaky(units=16, keep=0.8):
    """Return units that know nothing of each other: activity is the same forwards and backwards."""
    Wout = torch.zeros(2, units)
    Wout[0, 0], Wout[1, 1] = 1, 1
    return built(keep * torch.eye(units), torch.eye(units), Wout)


def bistable(units=120, push=1.0):
    """Return two units that inhibit each other, and a kick neuron that ends each one's reign.

    Units 0 and 1 are the classes; 2 is driven by 0 and excites 1, 3 the other way round; 4 to 7
    carry noise alone; all others listen and are not heard.
    """
    Wh, Win = torch.zeros(units, units), torch.eye(units)
    for own, other in ((0, 1), (1, 0)):
        kick = KICK[other, own]
        Wh[own, own], Wh[own, other], Wh[own, kick], Wh[own, 4:8] = 0.8, -0.9, push, 0.3
        Wh[kick, other], Wh[kick, own] = 0.5, -1.0
        Win[own, own], Win[kick, kick] = 0.5, 0.3
    signs = torch.tensor([1.0, -1.0]).repeat(units)[: units - 8]
    Wh[8:, 0], Wh[8:, 1] = 0.3 * signs, -0.3 * signs
    Wout = torch.zeros(2, units)
    Wout[0, 0], Wout[1, 1] = 1, 1
    return built(Wh, Win, Wout)


def crowd(units=40):
    """Return two populations that excite each other; every unit of one is the same as the others.

    Each unit takes a little part in switching, none more than another.
    """
    half = units // 2
    Wh = torch.full((units, units), 0.5 / half)
    Wh[:half, :half], Wh[half:, half:] = -0.4 / half, -0.4 / half
    Wout = torch.zeros(2, units)
    Wout[0, :half], Wout[1, half:] = 1, 1
    return built(Wh, torch.eye(units), Wout)

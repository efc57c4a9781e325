"""Emulators in a fit: from its path to named arrays, weights, curves and notices, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rheobase.models.hmm_rnn import emulators, gate, orbits, symbols
from rheobase.models.hmm_rnn.emulators import Emulated
from rheobase.models.hmm_rnn.network import Emulator, of
from rheobase.models.hmm_rnn.symbols import Alphabet, NotEmulated
from rheobase.models.hmm_rnn.targets import Target
from rheobase.models.hmm_rnn.train import TrainingDiverged

if TYPE_CHECKING:
    import xarray as xr

    from rheobase.models.base import Fitted
    from rheobase.models.hmm_rnn import HMMRNN

DESCRIPTION = (
    "orbits and all else that is told of the inside of an emulator describe the emulator, not the "
    "recorded brain; whether the recording itself turns is tested apart"
)
NULL = ("mean", "deviation", "low", "high")
HALF = (4, 50)
"""Least and most samples to either side of a switch in which the recording's turning is tested."""


@dataclass
class Made:
    """What emulators add to a fit."""

    variables: dict[str, Any] = field(default_factory=dict)
    coordinates: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    history: dict[str, list[float]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)


def of_fit(
    model: HMMRNN, path: np.ndarray, gamma: np.ndarray, x: np.ndarray, lengths: Sequence[int],
    A: np.ndarray, *, seed: int, device: str, checkpoint: Path | None,
) -> Made:  # fmt: skip
    """Return emulators of the chain of a path (sample,); why there are none is a notice."""
    own, path = model.emulator, path.astype(int)
    codes = None if own.symbols == "state" else own.codes or len(A)
    made = Made()
    made.variables |= _rotation(x, path, lengths)
    try:
        read, target = symbols.chain(path, gamma, x, lengths, A, stay_steps=own.stay_steps,
                                     codes=codes, seed=seed)  # fmt: skip
        found = emulators.emulate(target, own, names=read.names, seed=seed, device=device,
                                  checkpoint=checkpoint)  # fmt: skip
    except (NotEmulated, TrainingDiverged) as reason:
        made.variables["emulator/why"] = (), np.array(str(reason))
        made.notices.append(f"no network emulates these states: {reason}")
        return made
    drawn, steps = read.read(path, x, lengths)
    made.variables |= {**read.pack(), **_chain(target), **_judged(found),
                       **_known(drawn, steps, target), **_inside(found, made.coordinates),
                       "emulator/length": ((), np.int64(found.length))}  # fmt: skip
    made.coordinates |= {"emulator_symbol": list(read.names),
                         "emulator_start": list(gate.STARTS),
                         "emulator_trivial": list(gate.TRIVIAL),
                         "emulator_score": list(found.gate.members[0].scores[0]),
                         "emulator_member": np.arange(1, found.network.members + 1)}  # fmt: skip
    made.weights = {n: w.detach().cpu().numpy() for n, w in found.network.state_dict().items()}
    made.history = {f"emulator_{name}": line for name, line in found.history.items()}
    made.metrics = {"emulators": float(found.network.members),
                    "emulators_passed": float(found.gate.passed.sum())}  # fmt: skip
    made.notices += [DESCRIPTION, *_notices(read, found, target)]
    return made


def _notices(read: Alphabet, found: Emulated, target: Target) -> list[str]:
    """Return what must be said of the chain, and the verdict on every network."""
    of_all = len(found.gate.members)
    said = [gate.said(one, n, of_all).rstrip(".") for n, one in enumerate(found.gate.members)]
    joined = [name for name in read.names if " and " in name]
    if joined:
        said.append(f"for the emulator, rare states were merged: {', '.join(joined)}")
    stays = 1 / (1 - np.diagonal(target.A))
    longest = int(stays.argmax())
    if stays[longest] > found.length:
        said.append(f"a state of the emulated chain lasts {stays[longest]:.0f} steps on average, "
                    f"longer than the sequences of {found.length}")  # fmt: skip
    return said


def _chain(target: Target) -> dict[str, Any]:
    states = ("emulator_state", "emulator_state_to")
    return {"emulator/A": (states, target.A), "emulator/pi": ("emulator_state", target.pi),
            "emulator/E": (("emulator_state", "emulator_symbol"), target.E)}  # fmt: skip


def _judged(found: Emulated) -> dict[str, Any]:
    """Return all numbers of members, of the chain itself and of trivial sequences."""
    names = list(found.gate.members[0].scores[0])
    dims = ("emulator_start", "emulator_member", "emulator_score")
    members = found.gate.members
    made: dict[str, Any] = {
        "emulator/score": (dims, np.array([[[one.scores[s][n].value for n in names]
                                            for one in members] for s in (0, 1)])),
        "emulator/trivial": (("emulator_start", "emulator_trivial", "emulator_score"), np.array(
            [[[part[kind][n].value for n in names] for kind in gate.TRIVIAL]
             for part in found.gate.trivial])),
        "emulator/passed": ("emulator_member", found.gate.passed.astype(np.int8)),
        "emulator/growth": ("emulator_member", np.array([one.growth for one in members])),
        "emulator/limits": ("emulator_limit", np.array(members[0].limits)),
        "emulator/bigram": (("emulator_member", "emulator_symbol", "emulator_symbol_to"),
                            found.bigrams),
        "emulator/refit_A": (("emulator_member", "emulator_state", "emulator_state_to"),
                             np.stack([one.A for one in found.chains])),
        "emulator/refit_E": (("emulator_member", "emulator_state", "emulator_symbol"),
                             np.stack([one.E for one in found.chains])),
    }  # fmt: skip
    for part in NULL:
        values = [[getattr(members[0].scores[s][n], part) for n in names] for s in (0, 1)]
        made[f"emulator/null_{part}"] = (dims[0], dims[2]), np.array(values)
    return made


def _known(drawn: np.ndarray, lengths: Sequence[int], target: Target) -> dict[str, Any]:
    """Return rivals that know shares of symbols alone, and of pairs, from the training part."""
    count = target.symbols
    ends = np.cumsum(lengths)
    begins = np.ones(len(drawn), bool)
    begins[1:] = False
    begins[ends[:-1]] = True
    pairs = np.full((count, count), 0.5)
    np.add.at(pairs, (drawn[:-1][~begins[1:]], drawn[1:][~begins[1:]]), 1)
    share = np.bincount(drawn, minlength=count) + 0.5
    return {
        "rival/symbol_share": ("emulator_symbol", share / share.sum()),
        "rival/symbol_pairs": (("emulator_symbol", "emulator_symbol_to"),
                               pairs / pairs.sum(axis=1, keepdims=True)),
    }  # fmt: skip


def _inside(found: Emulated, coordinates: dict[str, Any]) -> dict[str, Any]:
    """Return what the members that passed do inside, under names and dimensions of their own."""
    if found.findings is None:
        return {}
    arrays, told = found.findings.arrays, found.findings
    made: dict[str, Any] = {
        f"inside/{name}": (tuple(f"inside_{d}" for d in part.dims), part.values)
        for name, part in arrays.data_vars.items()
    }
    coordinates |= {f"inside_{name}": held.values for name, held in arrays.coords.items()}
    coordinates["inside_member"] = np.flatnonzero(found.gate.passed) + 1
    coordinates["inside_flag"] = list(told.flags[0])
    flags = np.array([list(one.values()) for one in told.flags], np.int8)
    made["inside/flags"] = ("inside_member", "inside_flag"), flags
    for name, rows in told.parts.items():
        text = np.array([" ".join(own) for own in rows], str)
        made[f"inside/said_{name}"] = "inside_member", text
    return made


def _rotation(x: np.ndarray, path: np.ndarray, lengths: Sequence[int]) -> dict[str, Any]:
    """Return how the recording itself turns around switches of its states."""
    half = int(np.clip(round(symbols.mean_stay(path, lengths) / 2), *HALF))
    turns = orbits.data_rotation(x, path, lengths, half=half) if x.shape[1] > 1 else None
    made: dict[str, Any] = {"data_rotation/half": ((), np.int64(half))}
    if turns is None:
        return made
    made |= {f"data_rotation/{name}": ((), np.float64(float(getattr(turns, name))))
             for name in ("mean", "agreed", "z", "period")}  # fmt: skip
    made["data_rotation/turning"] = (), np.int8(bool(turns.turning))
    return made | {"data_rotation/area": ("switch", turns.area.numpy())}


def chains(arrays: xr.Dataset) -> tuple[Target, list[Target]]:
    """Return the chain that was to be emulated, and those fitted to the members' symbols."""
    A, E, pi = (arrays[f"emulator/{name}"].values for name in ("A", "E", "pi"))
    own = zip(arrays["emulator/refit_A"].values, arrays["emulator/refit_E"].values, strict=True)
    return Target(A, E, pi), [Target(moves, made, pi) for moves, made in own]


def network(fitted: Fitted) -> Emulator:
    """Return all members of a fit as networks."""
    return of({name: torch.as_tensor(np.array(w)) for name, w in fitted.weights.items()})

"""A trained kind of network: in memory, as named arrays, and as the tensors of its reservoirs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy.sparse import csr_array

from rheobase.models.reservoir.batched import BatchedReservoir, Inhibition
from rheobase.models.reservoir.echo import BatchedEcho, EchoNetwork
from rheobase.models.reservoir.search import Kind, Trial
from rheobase.models.reservoir.settings import Adapt, Network, Target
from rheobase.models.reservoir.wiring import Weights

NAMES: dict[Kind, str] = {
    "adapted": "adapted", "global": "global_balance", "tanh": "tanh_network",
    "uncoupled": "no_recurrence",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Learned:
    """One kind of network trained for one task; its engine holds one setting and all members."""

    kind: Kind
    trial: Trial
    engine: BatchedReservoir | BatchedEcho
    readout: np.ndarray
    """(member, feature, target)"""
    bias: np.ndarray
    """(member, target)"""
    alphas: np.ndarray
    """Relative penalty of each group of targets"""


def prefix(task: str, kind: Kind, own: Kind) -> str:
    """Return how the arrays of a kind are named: rivals apart."""
    return f"{task}_" if kind == own else f"rival/{NAMES[kind]}_{task}_"


def pack(
    learned: Learned, task: str, own: Kind
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:  # fmt: skip
    """Return arrays by name, and tensors of the reservoirs."""
    name = prefix(task, learned.kind, own)
    variables = {
        f"{name}readout": (("member", f"{task}_feature", f"{task}_target"), learned.readout),
        f"{name}bias": (("member", f"{task}_target"), learned.bias),
        f"{name}alpha": (f"{task}_group", learned.alphas),
        f"{name}setting": ((), np.array(json.dumps(asdict(learned.trial), sort_keys=True))),
    }
    tensors: dict[str, np.ndarray] = {}
    for member, parts in enumerate(_wiring(learned.engine)):
        for part, value in parts.items():
            place = f"{task}/{learned.kind}/{member}/{part}"
            if isinstance(value, csr_array):
                tensors |= {f"{place}/{k}": np.asarray(getattr(value, k))
                            for k in ("data", "indices", "indptr")}  # fmt: skip
            else:
                tensors[place] = value
    return variables, tensors


def unpack(
    arrays: xr.Dataset, tensors: Mapping[str, np.ndarray], task: str, kind: Kind, own: Kind, *,
    channels: int,
) -> Learned:  # fmt: skip
    """Return what ``pack`` stored."""
    name = prefix(task, kind, own)
    trial = _trial(json.loads(str(arrays[f"{name}setting"].values)))
    readout = arrays[f"{name}readout"].values
    places = [f"{task}/{kind}/{member}/" for member in range(len(readout))]
    made = [
        {key.removeprefix(place): value for key, value in tensors.items() if key.startswith(place)}
        for place in places
    ]
    engine = _engine(trial, made, channels)
    return Learned(kind, trial, engine, readout, arrays[f"{name}bias"].values,
                   arrays[f"{name}alpha"].values)  # fmt: skip


def _wiring(engine: BatchedReservoir | BatchedEcho) -> list[dict[str, Any]]:
    if isinstance(engine, BatchedEcho):
        pairs = zip(engine.weights, engine.biases, strict=True)
        return [{"coupling": weights, "bias": bias} for weights, bias in pairs]
    held = engine.inhibition
    made = []
    for s, weights in enumerate(engine.weights):
        parts: dict[str, Any] = {
            "excitation": weights.exc, "inhibition": weights.inh, "inputs": weights.inputs,
            "scale": np.ascontiguousarray(held.scale[s, :, 0]),
        }  # fmt: skip
        if held.shift is not None:
            parts["shift"] = np.ascontiguousarray(held.shift[s, :, 0])
        if held.excess and (s, 0) in held.excess:
            parts["excess"] = held.excess[s, 0]
        made.append(parts)
    return made


def _engine(
    trial: Trial, made: Sequence[Mapping[str, np.ndarray]], channels: int
) -> BatchedReservoir | BatchedEcho:
    n, seeds = trial.network.n_units, range(len(made))
    if isinstance(trial.network, EchoNetwork):
        drawn = [(_sparse(one, "coupling", (n, n + channels)), one["bias"]) for one in made]
        return BatchedEcho([trial.network], seeds, channels=channels, drawn=drawn)
    weights = [
        Weights(_sparse(one, "excitation", (n, n)), _sparse(one, "inhibition", (n, n)),
                one["inputs"], trial.network.n_exc) for one in made
    ]  # fmt: skip
    engine = BatchedReservoir([trial.network], seeds, channels=channels, weights=weights)
    scale = np.stack([one["scale"] for one in made])[:, :, None]
    shift = np.stack([one["shift"] for one in made])[:, :, None] if "shift" in made[0] else None
    excess = {(s, 0): _sparse(one, "excess", (n, n)) for s, one in enumerate(made)
              if "excess/data" in one}  # fmt: skip
    engine.inhibition = Inhibition(scale, shift, excess or None)
    return engine


def _sparse(parts: Mapping[str, np.ndarray], name: str, shape: tuple[int, int]) -> csr_array:
    data, indices, indptr = (parts[f"{name}/{k}"] for k in ("data", "indices", "indptr"))
    return csr_array((data, indices, indptr), shape=shape)


def _trial(told: Mapping[str, Any]) -> Trial:
    network, way = told["network"], told["adapt"]
    if "radius" in network:
        return Trial(EchoNetwork(**network))
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in network.items()
    }
    made = Network(**values)
    if way is None:
        return Trial(made)
    return Trial(made, Adapt(**{**way, "target": Target(**way["target"])}))

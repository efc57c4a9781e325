"""The state of a training on disk, so that a fit that was stopped goes on, bit for bit."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from rheobase.storage import atomic

NETWORK, OPTIMISER = "network/", "optimiser/"


def flatten(network: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of both as named tensors."""
    made = {f"{NETWORK}{name}": value for name, value in network.state_dict().items()}
    for place, values in optimiser.state_dict()["state"].items():
        made |= {f"{OPTIMISER}{place}/{name}": value for name, value in values.items()}
    return made


def restore(
    tensors: dict[str, Tensor], network: nn.Module, optimiser: torch.optim.Optimizer
) -> None:
    """Put a flattened state back."""
    network.load_state_dict(_under(tensors, NETWORK))
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in _under(tensors, OPTIMISER).items():
        place, _, name = key.partition("/")
        state.setdefault(int(place), {})[name] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def save(tensors: dict[str, Tensor], path: Path) -> None:
    """Write the tensors, at once or not at all."""
    with atomic(path) as temporary:
        save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, temporary)


def load(path: Path, device: torch.device) -> dict[str, Tensor]:
    """Return what ``save`` wrote, on a device."""
    return load_file(path, device=str(device))


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

"""Where arrays live. The one place that looks for a GPU."""

from __future__ import annotations

import shutil
from pathlib import Path

DRIVERS = (Path("/proc/driver/nvidia"), Path("/dev/kfd"))
"""What NVIDIA's and AMD's drivers leave where there is a GPU"""


def seen() -> bool:
    """Return whether this machine shows a GPU, without importing torch."""
    return any(path.exists() for path in DRIVERS) or shutil.which("nvidia-smi") is not None


def choose(requested: str, *, gpu: bool) -> str:
    """Return ``cpu`` or ``cuda`` for a family.

    ``requested`` is the config's ``auto | cpu | cuda``; ``gpu`` says whether the family uses one.
    torch is imported only when the answer depends on it. Raises ``ValueError`` when ``cuda`` is
    asked for and there is none.
    """
    if requested not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device is {requested!r}; it must be auto, cpu or cuda")
    if requested == "cpu" or not gpu:
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if requested == "cuda":
        raise ValueError(
            "device: cuda was asked for, but torch finds no GPU; use device: auto or cpu"
        )
    return "cpu"

"""Where arrays live. The one place that looks for a GPU."""

from __future__ import annotations


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

"""Inputs of unequal lengths side by side: (seed, recording, time, channel), padded at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Inputs = np.ndarray | Sequence[np.ndarray]
"""One recording (time,) or (time, channel), or a list of those, or (seed, recording, time, channel)
where every seed has its own input."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Recordings side by side; what lies behind a recording's length is padding."""

    values: np.ndarray
    """(seed or 1, recording, time, channel) float32 or float64"""
    lengths: tuple[int, ...]

    @property
    def channels(self) -> int:
        return self.values.shape[3]

    @property
    def recordings(self) -> int:
        return self.values.shape[1]


def one(signal: np.ndarray, name: str) -> np.ndarray:
    """Return a recording as (time, channel); raises ``ValueError`` naming it where it is unfit."""
    signal = np.asarray(signal)
    if signal.ndim == 1:
        signal = signal[:, None]
    if signal.ndim != 2 or not signal.size:
        raise ValueError(
            f"{name} has the shape {signal.shape}; give (time,) or (time, channel), not empty"
        )
    if not np.issubdtype(signal.dtype, np.number) or np.iscomplexobj(signal):
        raise ValueError(f"{name} holds {signal.dtype}; give real numbers")
    if not np.isfinite(signal).all():
        where = int(np.argmin(np.isfinite(signal).all(axis=1)))
        raise ValueError(f"{name} holds NaN or infinity at sample {where}; cut or fill it first")
    return signal


def batch(inputs: Inputs, *, names: Sequence[str] | None = None) -> Batch:
    """Return the recordings of ``inputs`` side by side."""
    if isinstance(inputs, np.ndarray) and inputs.ndim == 4:
        if not np.isfinite(inputs).all():
            raise ValueError("the input holds NaN or infinity; cut or fill it first")
        return Batch(inputs, (inputs.shape[2],) * inputs.shape[1])
    given = [inputs] if isinstance(inputs, np.ndarray) and inputs.ndim < 3 else list(inputs)
    if not given:
        raise ValueError("there is no recording; give at least one")
    names = names or [f"recording {number}" for number in range(len(given))]
    signals = [one(signal, name) for signal, name in zip(given, names, strict=True)]
    channels = signals[0].shape[1]
    for signal, name in zip(signals, names, strict=True):
        if signal.shape[1] != channels:
            raise ValueError(
                f"{name} has {signal.shape[1]} channels and {names[0]} has {channels}; give all "
                "recordings the same"
            )
    lengths = tuple(len(signal) for signal in signals)
    values = np.zeros((1, len(signals), max(lengths), channels), np.result_type(*signals, "f4"))
    for place, signal in enumerate(signals):
        values[0, place, : len(signal)] = signal
    return Batch(values, lengths)


def check_washout(lengths: Sequence[int], washout: int, names: Sequence[str] | None = None) -> None:
    """Raise ``ValueError`` naming the recording that the washout uses up."""
    for number, length in enumerate(lengths):
        if length <= washout:
            name = names[number] if names else f"recording {number}"
            raise ValueError(
                f"{name} has {length} samples and the first {washout} are washout; give longer "
                "recordings or lower washout"
            )

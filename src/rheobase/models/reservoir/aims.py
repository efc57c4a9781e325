"""What readouts are trained for: values ahead, the label, or the input of the past.

An aim gives targets (time, target) for each stretch, NaN where there is none. State ``t`` knows the
input up to and with ``t``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rheobase.models.decoding.labels import label_of
from rheobase.models.reservoir.stretches import Stretch


class Aim(Protocol):
    """One task on recordings."""

    @property
    def reach(self) -> int:
        """Return how many samples beyond its own a target looks."""
        ...

    def targets(self, stretch: Stretch, standard: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        """Return targets (time, target) of a stretch with its standardised signal and input."""
        ...


@dataclass(frozen=True)
class Ahead:
    """The signal so many samples ahead; targets run over horizons, then units."""

    horizons: tuple[int, ...]

    @property
    def reach(self) -> int:
        return max(self.horizons)

    def targets(self, stretch: Stretch, standard: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        made = np.full((len(standard), len(self.horizons), standard.shape[1]), np.nan)
        for place, h in enumerate(self.horizons):
            made[: len(standard) - h, place] = standard[h:]
        return made.reshape(len(standard), -1)


@dataclass(frozen=True)
class Recall:
    """The input of 1 to ``delays`` samples ago; targets run over delays."""

    delays: int

    @property
    def reach(self) -> int:
        return self.delays

    def targets(self, stretch: Stretch, standard: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        made = np.full((len(inputs), self.delays), np.nan)
        for delay in range(1, self.delays + 1):
            made[delay:, delay - 1] = inputs[:-delay, 0]
        return made


@dataclass(frozen=True, eq=False)
class Label:
    """The label ``delay`` samples ago: codes of -1 and 1 for each class, or the value itself."""

    classes: np.ndarray
    """Names in order; empty for a value"""
    centre: float
    spread: float
    """Mean and deviation of a value in the training part"""
    delay: int = 0

    @property
    def reach(self) -> int:
        return self.delay

    def codes(self, y: np.ndarray) -> np.ndarray:
        """Return targets (example, target) of labels (example,); NaN where one is missing."""
        if not len(self.classes):
            return (y.astype(np.float64)[:, None] - self.centre) / self.spread
        made = 2.0 * (y[:, None] == self.classes) - 1
        made[~np.isin(y, self.classes)] = np.nan
        return made

    def targets(self, stretch: Stretch, standard: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        label = label_of(stretch.segment)
        whole = np.broadcast_to(np.asarray(label), len(stretch.segment.valid))
        codes = self.codes(whole[stretch.piece])
        late = np.full_like(codes, np.nan)
        late[self.delay :] = codes[: len(codes) - self.delay]
        return late


def label_aim(y: np.ndarray, *, kind: str, delay: int) -> Label:
    """Return the aim of these labels of the training part."""
    if kind == "value":
        values = y.astype(np.float64)
        return Label(np.zeros(0, str), float(values.mean()), float(values.std()) or 1.0, delay)
    return Label(np.unique(y), 0.0, 1.0, delay)


def lengths_of(stretches: Sequence[Stretch]) -> list[int]:
    """Return the samples of each stretch."""
    return [one.length for one in stretches]

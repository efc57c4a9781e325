"""What a window of time looks like to a reservoir: features to tell its class by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from rheobase.models.reservoir.engine import Block, Layout

FEATURES = ("mean", "end", "deviation")


class Windows:
    """A sink that keeps the mean rates of each window, and those at its end.

    ``windows`` are, for each recording, its (start, stop); they may overlap. ``of`` returns
    features after the run.
    """

    def __init__(self, windows: Sequence[Sequence[tuple[int, int]]]) -> None:
        self.windows = windows
        self.many = sum(map(len, windows))
        self.first = np.cumsum([0, *map(len, windows)])

    def open(self, layout: Layout) -> None:
        """Make room; raises ``ValueError`` for a window that its recording does not hold."""
        for recording, (length, own) in enumerate(zip(layout.lengths, self.windows, strict=True)):
            for start, stop in own:
                if not 0 <= start < stop <= length:
                    raise ValueError(
                        f"window {start} to {stop} does not lie in recording {recording} of "
                        f"{length} samples"
                    )
        shape = (layout.seeds, layout.settings, self.many, layout.units)
        self.total, self.power, self.end = (np.zeros(shape) for _ in range(3))
        self.counts = np.zeros(shape[:3])

    def take(self, states: Tensor, start: int, block: Block) -> None:
        """Add a chunk (seed, setting, recording, time, unit)."""
        at = (block.seeds, block.settings)
        for r, recording in enumerate(range(len(self.windows))[block.recordings]):
            for number, (first, stop) in enumerate(self.windows[recording], self.first[recording]):
                low, high = max(first - start, 0), min(stop - start, states.shape[3])
                if low >= high:
                    continue
                part = states[:, :, r, low:high].double()
                place = (*at, number)
                self.counts[place] += high - low
                self.total[place] += part.sum(2).cpu().numpy()
                self.power[place] += (part**2).sum(2).cpu().numpy()
                if stop - start == high:
                    self.end[place] = part[:, :, -1].cpu().numpy()

    def of(self, seed: int, setting: int, features: Sequence[str] = ("mean", "end")) -> np.ndarray:
        """Return features of all windows, recording by recording, (window, feature)."""
        counts = self.counts[seed, setting][:, None]
        if not counts.all():
            raise ValueError(
                f"window {int(np.argmin(counts))} lies in the washout; give longer recordings or "
                "lower washout"
            )
        mean = self.total[seed, setting] / counts
        made = {
            "mean": mean,
            "end": self.end[seed, setting],
            "deviation": np.sqrt(
                np.maximum(self.power[seed, setting] / counts - mean**2, 0)
            ),  # fmt: skip
        }
        return np.concatenate([made[name] for name in features], axis=1)

"""Windows of one label, and the classical features of EMG windows that rivals read.

Hudgins, Parker and Scott 1993. Signals are (sample, channel), windows (example, sample, channel).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Windows:
    """Windows with the label and the trial of each."""

    signal: np.ndarray
    label: np.ndarray
    trial: np.ndarray

    def of(self, trials: tuple[int, ...]) -> Windows:
        """Return the windows of some trials."""
        keep = np.isin(self.trial, trials)
        return Windows(self.signal[keep], self.label[keep], self.trial[keep])


def cut(
    signal: np.ndarray, label: np.ndarray, trial: np.ndarray, *, width: int, hop: int,
    trim_start: int = 0, trim_end: int = 0, ignore: tuple[int, ...] = (),
) -> Windows:  # fmt: skip
    """Return windows within one label and trial, off its ends; all numbers in samples.

    Raises ``ValueError`` where no window fits.
    """
    if not len(signal) == len(label) == len(trial):
        raise ValueError(f"{len(signal)} samples have {len(label)} labels and {len(trial)} trials")
    edges = np.flatnonzero((np.diff(label) != 0) | (np.diff(trial) != 0)) + 1
    starts = [
        np.arange(a + trim_start, b - trim_end - width + 1, hop)
        for a, b in zip([0, *edges], [*edges, len(label)], strict=True)
        if label[a] not in ignore
    ]
    at = np.concatenate([np.zeros(0, int), *starts]).astype(int)
    if not len(at):
        raise ValueError(f"no stretch of one label holds a window of {width} samples")
    view = np.lib.stride_tricks.sliding_window_view(signal, width, axis=0)
    return Windows(view[at].transpose(0, 2, 1), label[at], trial[at])


def hudgins(windows: np.ndarray, threshold: np.ndarray | float = 0.0) -> np.ndarray:
    """Return (example, 5 channels): mean size, root mean square, length, zero and slope crossings.

    ``threshold`` (channel,) is what a change must exceed to count as a crossing. At 0 a slope that
    is flat on one side counts as a turn, as in the reference values of libemg's MATLAB files.
    """
    x = np.asarray(windows, np.float64)
    step = np.diff(x, axis=1)
    large = np.abs(step) > threshold
    crossed = (x[:, :-1] * x[:, 1:] < 0) & large
    turns = step[:, :-1] * step[:, 1:]
    bounded = (turns < 0) & (large[:, :-1] | large[:, 1:])
    turned = bounded if np.any(threshold) else turns <= 0
    return np.concatenate(
        [np.abs(x).mean(1), np.sqrt((x**2).mean(1)), np.abs(step).sum(1), crossed.sum(1),
         turned.sum(1)], axis=1,
    )  # fmt: skip


HUDGINS_OPERATIONS, MOMENTS_OPERATIONS, ENCODER_OPERATIONS = 5, 3, 1
"""Operations a sample and channel: one for each feature, and one comparison to make events"""


def moments(windows: np.ndarray) -> np.ndarray:
    """Return (example, 3 units): mean, standard deviation and slope, for signals that have a sign.

    The slope is that of least squares over the window, times its length.
    """
    x = np.asarray(windows, np.float64)
    place = np.linspace(-0.5, 0.5, x.shape[1])
    slope = np.einsum("t,ntc->nc", place / (place**2).sum(), x)
    return np.concatenate([x.mean(1), x.std(1), slope], axis=1)

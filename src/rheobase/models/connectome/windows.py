"""Correlation in sliding windows, the classical affinity: ``a_ij = max(0, Pearson r)``.

A window lies around the middle frame of each bin. At the ends of an unbroken stretch it stays
inside the stretch, so no window reaches across a gap or from a training part into a test part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from rheobase.models.connectome.layout import Layout, Mask, check_mask, pair_indices


@dataclass(frozen=True, eq=False)
class Windows:
    """The signals of all recordings one after another, and a window of them for every bin."""

    signal: np.ndarray
    """(frame, neuron) float32"""
    starts: np.ndarray
    """First frame of the window of each bin, -1 where there is none, (animal, bin)"""
    width: int
    """Frames of a window"""


def window_starts(pieces: Sequence[slice], frames: int, width: int) -> np.ndarray:
    """Return the first frame of the window around each frame, (frame,).

    ``pieces`` are unbroken stretches. -1 outside of them and where one is shorter than ``width``.
    """
    made = np.full(frames, -1)
    for piece in pieces:
        if piece.stop - piece.start >= width:
            at = np.arange(piece.start, piece.stop) - width // 2
            made[piece] = np.clip(at, piece.start, piece.stop - width)
    return made


@dataclass(frozen=True)
class WindowSource:
    """Affinities of windows of signals; see ``explicit.Source``."""

    traces: Tensor
    """(neuron, frame)"""
    starts: Tensor
    """First frame of each column's window, -1 where there is none, (column,)"""
    width: int
    """Frames of a window"""
    layout: Layout
    mask: Mask

    @property
    def device(self) -> torch.device:
        return self.traces.device

    @property
    def dtype(self) -> torch.dtype:
        return self.traces.dtype

    def standard(self, columns: slice) -> Tensor:
        """Return the windows of columns with mean 0 and norm 1, or 0, (column, neuron, frame)."""
        starts = self.starts[columns]
        frames = starts.clamp_min(0)[:, None] + torch.arange(self.width, device=self.device)
        made = self.traces[:, frames].transpose(0, 1)
        made = made - made.mean(2, keepdim=True)
        norm = made.norm(dim=2, keepdim=True)
        made = torch.where(norm > 1e-6, made / norm.clamp_min(1e-6), 0.0)
        return made * self._observed(columns).T[:, :, None]

    def _observed(self, columns: slice) -> Tensor:
        """Return whether each window was observed, (neuron, column)."""
        made = (self.starts[columns] >= 0).expand(self.layout.neurons, -1)
        if self.mask.presence is not None:
            owner = torch.arange(self.layout.columns, device=self.device) // self.layout.bins
            made = made & self.mask.presence[:, owner[columns]]
        if self.mask.frames is not None:
            made = made & self.mask.frames.reshape(-1)[columns]
        return made

    def values(self, first: Tensor, second: Tensor, columns: slice = slice(None)) -> Tensor:
        """Return the affinities of pairs (first, second), (pair, column)."""
        windows = self.standard(columns)
        if len(first) < self.layout.neurons:
            return (windows[:, first] * windows[:, second]).sum(2).T.clamp(0, 1)
        return torch.bmm(windows, windows.mT)[:, first, second].T.clamp(0, 1)

    def block(self, columns: slice) -> Tensor:
        """Return the affinities of all pairs at these columns, (pair, column)."""
        first, second = pair_indices(self.layout.neurons, self.device)
        return self.values(first, second, columns)

    def select(
        self, *, neurons: Tensor | None = None, columns: Tensor | None = None
    ) -> WindowSource:
        """Return some neurons and, where there is one animal, some columns."""
        traces, starts = self.traces, self.starts
        presence, frames = self.mask.presence, self.mask.frames
        if neurons is not None:
            traces = traces[neurons]
            presence = presence if presence is None else presence[neurons]
        if columns is not None:
            if self.layout.animals != 1:
                raise ValueError(f"columns of {self.layout.animals} animals cannot be selected")
            starts = starts[columns]
            frames = frames if frames is None else frames[:, columns]
        layout = Layout(len(traces), self.layout.animals, len(starts) // self.layout.animals)
        return replace(
            self, traces=traces, starts=starts, layout=layout, mask=Mask(presence, frames)
        )

    def hide(self, presence: Tensor) -> WindowSource:
        """Return the source with only these (neuron, animal) observed."""
        return replace(self, mask=Mask(presence, self.mask.frames))


def window_source(
    windows: Windows,
    *,
    device: torch.device | str,
    dtype: torch.dtype,
    presence: Tensor | None = None,
    frames: Tensor | None = None,
) -> WindowSource:
    """Return the source of correlation in windows; it has no rank form, so its tensor is built.

    ``presence`` (neuron, animal) and ``frames`` (animal, bin) are bool and say what was observed.
    Raises ``ValueError`` where an animal shares no two neurons with another one.
    """
    animals, bins = windows.starts.shape
    layout = Layout(windows.signal.shape[1], animals, bins)
    traces = torch.from_numpy(windows.signal.T.copy()).to(device, dtype)
    starts = torch.from_numpy(windows.starts.reshape(-1)).to(device)
    mask = check_mask(layout, presence, frames)
    return WindowSource(traces, starts, windows.width, layout, mask)

"""Correlation in sliding windows, the classical affinity: ``a_ij = max(0, Pearson r)``."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rheobase.models.connectome.layout import Layout, Mask, check_mask, pair_indices


@dataclass(frozen=True)
class WindowSource:
    """Affinities of windows of signals, each (neuron, column) window of mean 0 and norm 1."""

    traces: Tensor
    """(neuron, animal, frame)"""
    starts: Tensor
    """First frame of each column's window, (column,)"""
    owners: Tensor
    """Animal of each column, (column,)"""
    width: int
    """Frames in a window"""
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
        frames = self.starts[columns, None] + torch.arange(self.width, device=self.device)
        made = self.traces[:, self.owners[columns, None], frames].transpose(0, 1)
        made = made - made.mean(2, keepdim=True)
        norm = made.norm(dim=2, keepdim=True)
        made = torch.where(norm > 1e-12, made / norm.clamp_min(1e-12), 0.0)
        return made * self._observed(columns).T[:, :, None]

    def _observed(self, columns: slice) -> Tensor:
        """Return whether each window was observed, (neuron, column)."""
        neurons = self.layout.neurons
        made = torch.ones(neurons, len(self.starts[columns]), dtype=torch.bool, device=self.device)
        if self.mask.presence is not None:
            made &= self.mask.presence[:, self.owners[columns]]
        if self.mask.frames is not None:
            made &= self.mask.frames.reshape(-1)[columns]
        return made

    def values(self, first: Tensor, second: Tensor, columns: slice = slice(None)) -> Tensor:
        """Return the affinities of pairs (first, second), (pair, column)."""
        windows = self.standard(columns)
        return torch.bmm(windows, windows.mT)[:, first, second].T.clamp(0, 1)

    def block(self, columns: slice) -> Tensor:
        """Return the affinities of all pairs at these columns, (pair, column)."""
        first, second = pair_indices(self.layout.neurons, self.device)
        return self.values(first, second, columns)

    def select(
        self, *, neurons: Tensor | None = None, columns: Tensor | None = None
    ) -> WindowSource:
        """Return some neurons and, where there is one animal, some columns."""
        made = self
        presence, frames = self.mask.presence, self.mask.frames
        if neurons is not None:
            layout = replace(made.layout, neurons=len(neurons))
            presence = presence if presence is None else presence[neurons]
            made = replace(made, traces=made.traces[neurons], layout=layout)
        if columns is not None:
            if self.layout.animals != 1:
                raise ValueError(f"columns of {self.layout.animals} animals cannot be selected")
            frames = frames if frames is None else frames[:, columns]
            layout = replace(made.layout, bins=len(columns))
            starts, owners = made.starts[columns], made.owners[columns]
            made = replace(made, starts=starts, owners=owners, layout=layout)
        return replace(made, mask=Mask(presence, frames))

    def hide(self, presence: Tensor) -> WindowSource:
        """Return the source with only these (neuron, animal) observed."""
        return replace(self, mask=Mask(presence, self.mask.frames))


def window_source(
    traces: Tensor,
    *,
    rate: float,
    valid: Tensor | None = None,
    window_s: float = 10.0,
    step_s: float = 2.0,
    presence: Tensor | None = None,
) -> WindowSource:
    """Return the source of correlation in windows of ``window_s`` every ``step_s`` seconds.

    ``traces`` is (neuron, animal, frame) at ``rate`` hertz; ``valid`` (animal, frame) bool: a
    window counts only where all its frames do. Where a recording has cuts, mark a frame beside
    each as not valid. Needs the explicit path.
    """
    width, step = round(window_s * rate), max(1, round(step_s * rate))
    frames = traces.shape[2]
    if width < 3 or frames < width:
        raise ValueError(
            f"window_s={window_s} is {width} frames; it must be 3 or more and at most the "
            f"recording's {frames}"
        )
    first = torch.arange(0, frames - width + 1, step, device=traces.device)
    layout = Layout(traces.shape[0], traces.shape[1], len(first))
    whole = None
    if valid is not None:
        whole = valid.unfold(1, width, step).all(2)
    owners = torch.arange(layout.animals, device=traces.device).repeat_interleave(len(first))
    return WindowSource(
        traces, first.repeat(layout.animals), owners, width, layout,
        check_mask(layout, presence, whole),
    )  # fmt: skip

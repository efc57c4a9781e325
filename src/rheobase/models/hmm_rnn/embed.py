"""Time-delay embedding: lags, principal components, whitening (Vidaurre et al. 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rheobase.models.hmm_rnn.emissions import spans

SHARE = 0.95
"""Share of variance that components must hold."""
MOST = 80


@dataclass(frozen=True)
class Embedding:
    """Lags -e..e of all channels on whitened principal components."""

    half: int
    """e, samples."""
    mean: np.ndarray
    """(lag x channel,)"""
    components: np.ndarray
    """(lag x channel, component), scaled so that each component has variance 1."""

    def apply(self, x: np.ndarray, lengths: Sequence[int]) -> tuple[np.ndarray, tuple[int, ...]]:
        """Return components (time, component) and lengths; each segment loses 2e samples.

        Segments that are no longer than that are left out.
        """
        wide, kept = windows(x, lengths, self.half)
        return (wide - self.mean) @ self.components, kept

    def inside(self, lengths: Sequence[int]) -> np.ndarray:
        """Return which samples of the series have an embedding, (time,) bool."""
        keep = np.zeros(sum(lengths), bool)
        for begin, end in spans(lengths):
            keep[begin + self.half : max(end - self.half, begin + self.half)] = True
        return keep


def fit(
    x: np.ndarray, lengths: Sequence[int], *, half: int = 7, components: int | None = None
) -> Embedding:
    """Return the embedding of a series; ``components`` None: up to min(80, 2D) for 95 % variance.

    Raises ``ValueError`` where no segment is longer than 2e samples.
    """
    wide, _ = windows(x, lengths, half)
    mean = wide.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(wide, rowvar=False))
    values, vectors = values[::-1].clip(0), vectors[:, ::-1]
    if components is None:
        needed = int(np.searchsorted(values.cumsum() / values.sum(), SHARE)) + 1
        components = min(MOST, 2 * x.shape[1], needed)
    held = int((values > 1e-10 * values[0]).sum())
    count = min(components, held)
    return Embedding(half, mean, vectors[:, :count] / np.sqrt(values[:count]))


def windows(x: np.ndarray, lengths: Sequence[int], half: int) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return lags -e..e of each sample that has them, (time, lag x channel), and the lengths."""
    width, parts = 2 * half + 1, []
    for begin, end in spans(lengths):
        if end - begin >= width:
            rolled = np.lib.stride_tricks.sliding_window_view(x[begin:end], width, axis=0)
            parts.append(rolled.transpose(0, 2, 1).reshape(len(rolled), -1))
    if not parts:
        raise ValueError(f"no segment has {width} samples, the lags of an embedding of {half}; "
                         "give longer segments or fewer lags")  # fmt: skip
    return np.concatenate(parts), tuple(len(p) for p in parts)

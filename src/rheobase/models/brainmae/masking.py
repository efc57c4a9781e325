"""What is hidden from the network, and how its reconstruction is scored in training."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


def draw(
    present: Tensor, regions: int, samples: int, *, kind: str, ratio: float, rng: torch.Generator
) -> Tensor:
    """Return what is hidden, (run, segment, region or 1, sample or 1) bool.

    ``roi_segment`` hides as many regions in each segment, drawn independently; ``frame`` as many
    volumes; ``segment`` as many segments in each run; ``random_token`` each region in each segment
    with the same probability. At least one is hidden.
    """
    runs, segments = present.shape

    def some(size: tuple[int, ...], number: Tensor | int, never: Tensor | None = None) -> Tensor:
        noise = torch.rand(size, generator=rng, device=rng.device)
        noise = noise if never is None else noise.masked_fill(never, 2.0)
        return noise.argsort(dim=-1).argsort(dim=-1) < number

    if kind == "roi_segment":
        return some((runs, segments, regions), _count(ratio, regions))[..., None]
    if kind == "frame":
        return some((runs, segments, samples), _count(ratio, samples))[:, :, None]
    if kind == "segment":
        number = (ratio * present.sum(dim=1, keepdim=True) + 0.5).floor().clamp(min=1)
        return some((runs, segments), number, ~present)[..., None, None]
    hidden = torch.rand((runs, segments, regions), generator=rng, device=rng.device) < ratio
    hidden[..., 0] |= ~hidden.any(dim=-1)
    return hidden[..., None]


def _count(ratio: float, available: int) -> int:
    return max(1, math.floor(ratio * available + 0.5))


@dataclass(frozen=True)
class Errors:
    """Squared errors of a batch, summed over segments; parts of a batch add up."""

    masked: Tensor
    """Sum over segments of the mean over hidden entries"""
    masked_segments: Tensor
    visible: Tensor
    visible_segments: Tensor

    def loss(self, mask_weight: float, segments: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Return the loss; ``segments`` are the counts of the whole batch if this is a part."""
        masked, visible = segments or (self.masked_segments, self.visible_segments)
        return mask_weight * self.masked / masked.clamp(min=1) + (
            1 - mask_weight
        ) * self.visible / visible.clamp(min=1)


def errors(made: Tensor, signal: Tensor, hidden: Tensor, weight: Tensor) -> Errors:
    """Return the errors of a reconstruction (Yang et al. 2024, as we read it).

    In each segment the squared error is averaged over its hidden entries, and over its visible
    ones. ``made`` and ``signal`` are (run, segment, region, sample); ``weight``
    (run, segment, sample) is 0 where a frame does not count. Segments without such an entry are
    not counted.
    """
    error, counted = (made - signal) ** 2, weight[:, :, None]

    def part(chosen: Tensor) -> tuple[Tensor, Tensor]:
        share = (chosen * counted).expand_as(error)
        count = share.sum(dim=(-1, -2))
        mean = (error * share).sum(dim=(-1, -2)) / count.clamp(min=1)
        return mean.sum(), (count > 0).sum()

    return Errors(*part(hidden), *part(~hidden))

"""How the drives of two neurons become their affinity in [0, 1], and the rank forms of it.

With u in [0, 1] the drive and g the slope (negative drive: g < 0), for i < j:
``geomean`` sqrt(u_i u_j); ``product`` u_i u_j; ``codirectional`` sqrt(u_i u_j) where the signs
agree, else 0; ``min`` min(u_i, u_j) in level sets; ``ratio`` sqrt(u_i u_j) min/max. Chosen here.
``window_corr`` is made from the signals themselves: see ``windows``.

A kernel with a rank form is ``a_ij = d sum_q h_qi h_qj``: the tensor then need not be built.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from rheobase.models.connectome.layout import Layout, Mask, check_mask, pair_indices

RANK_FORMS = ("geomean", "product", "codirectional", "min")
OF_DRIVES = (*RANK_FORMS, "ratio")
WINDOW_CORR = "window_corr"
KERNELS = (*OF_DRIVES, WINDOW_CORR)


def affinity(kernel: str, first: Tensor, second: Tensor) -> Tensor:
    """Return the affinity of signed drives by the formula of a kernel, elementwise."""
    a, b = first.abs(), second.abs()
    if kernel == "product":
        return a * b
    if kernel == "min":
        return torch.minimum(a, b)
    mean = (a * b).sqrt()
    if kernel == "geomean":
        return mean
    if kernel == "codirectional":
        return mean * (first * second > 0)
    if kernel == "ratio":
        return mean * torch.minimum(a, b) / torch.maximum(a, b).clamp_min(1e-30)
    raise ValueError(f"kernel is {kernel!r}; it must be one of {', '.join(OF_DRIVES)}")


@dataclass(frozen=True)
class DriveSource:
    """Affinities of signed drives under a kernel, a few columns or pairs at a time."""

    drive: Tensor
    """Signed, in [-1, 1], 0 where not observed, (neuron, column)"""
    layout: Layout
    mask: Mask
    kernel: str = "geomean"
    levels: int = 32
    """Level sets of ``min``: its rank form is off by at most ``1 / (2 levels)``"""

    def __post_init__(self) -> None:
        if self.kernel not in OF_DRIVES:
            raise ValueError(f"kernel is {self.kernel!r}; it must be one of {', '.join(OF_DRIVES)}")
        if self.levels < 1:
            raise ValueError(f"levels is {self.levels}; it must be 1 or more")

    @property
    def device(self) -> torch.device:
        return self.drive.device

    @property
    def dtype(self) -> torch.dtype:
        return self.drive.dtype

    @property
    def has_rank_form(self) -> bool:
        return self.kernel in RANK_FORMS

    @property
    def terms(self) -> int:
        """The number of terms q of the rank form."""
        return {"codirectional": 2, "min": self.levels}.get(self.kernel, 1)

    @property
    def weight(self) -> float:
        """The weight d of every term."""
        return 1 / self.levels if self.kernel == "min" else 1.0

    @cached_property
    def root(self) -> Tensor:
        """What terms are made of: u, or its signed square root, (neuron, column)."""
        if self.kernel in ("geomean", "codirectional"):
            made = self.drive.abs().sqrt()
            return made if self.kernel == "geomean" else made.copysign(self.drive)
        return self.drive.abs()

    @cached_property
    def middles(self) -> Tensor:
        """Middles of the levels of ``min``, (level,)."""
        at = torch.arange(self.levels, device=self.drive.device, dtype=self.drive.dtype)
        return (at + 0.5) / self.levels

    def term(self, index: int, columns: slice = slice(None)) -> Tensor:
        """Return h_q, (neuron, columns asked for)."""
        root = self.root[:, columns]
        if self.kernel == "codirectional":
            return (root if index == 0 else -root).clamp_min(0)
        if self.kernel == "min":
            return (root > self.middles[index]).to(root.dtype)
        return root

    def values(self, first: Tensor, second: Tensor, columns: slice = slice(None)) -> Tensor:
        """Return the affinities of pairs (first, second), (pair, column).

        By the rank form where there is one, so that all paths agree; else by the formula.
        """
        if self.kernel == "min":
            level = torch.bucketize(self.root[:, columns].contiguous(), self.middles)
            return torch.minimum(level[first], level[second]).to(self.root.dtype) * self.weight
        if self.kernel == "ratio":
            part = self.drive[:, columns]
            return affinity("ratio", part[first], part[second])
        return sum(
            (h[first] * h[second] for h in (self.term(q, columns) for q in range(self.terms))),
            start=torch.zeros((), dtype=self.drive.dtype, device=self.drive.device),
        )

    def block(self, columns: slice) -> Tensor:
        """Return the affinities of all pairs at these columns, (pair, column)."""
        first, second = pair_indices(self.layout.neurons, self.drive.device)
        return self.values(first, second, columns)

    def select(
        self, *, neurons: Tensor | None = None, columns: Tensor | None = None
    ) -> DriveSource:
        """Return some neurons and, where there is one animal, some columns."""
        drive, presence, frames = self.drive, self.mask.presence, self.mask.frames
        if neurons is not None:
            drive = drive[neurons]
            presence = presence if presence is None else presence[neurons]
        if columns is not None:
            if self.layout.animals != 1:
                raise ValueError(f"columns of {self.layout.animals} animals cannot be selected")
            drive = drive[:, columns]
            frames = frames if frames is None else frames[:, columns]
        layout = Layout(len(drive), self.layout.animals, drive.shape[1] // self.layout.animals)
        return replace(self, drive=drive, layout=layout, mask=Mask(presence, frames))

    def hide(self, presence: Tensor) -> DriveSource:
        """Return the source with only these (neuron, animal) observed."""
        kept = presence.repeat_interleave(self.layout.bins, dim=1)
        return replace(self, drive=self.drive * kept, mask=Mask(presence, self.mask.frames))


def drive_source(
    signed: Tensor,
    *,
    kernel: str = "geomean",
    levels: int = 32,
    presence: Tensor | None = None,
    frames: Tensor | None = None,
) -> DriveSource:
    """Return the source of signed drives (neuron, animal, bin) in [-1, 1].

    ``presence`` (neuron, animal) and ``frames`` (animal, bin) are bool and say what was observed;
    what was not is set to 0. Raises ``ValueError`` where an animal shares no two neurons with
    another one, and for values outside [-1, 1].
    """
    if signed.ndim != 3:
        raise ValueError(
            f"drives are (neuron, animal, bin); these have shape {tuple(signed.shape)}"
        )
    layout = Layout(*signed.shape)
    if layout.neurons < 2:
        raise ValueError("one neuron has no pairs; give 2 or more")
    if not bool((signed.abs() <= 1).all()):
        raise ValueError("drives must lie in [-1, 1] and be finite")
    mask = check_mask(layout, presence, frames)
    if mask.presence is not None:
        signed = signed * mask.presence[:, :, None]
    if mask.frames is not None:
        signed = signed * mask.frames[None]
    return DriveSource(
        signed.reshape(layout.neurons, -1).contiguous(), layout, mask, kernel, levels
    )

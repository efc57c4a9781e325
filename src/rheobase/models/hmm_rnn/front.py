"""What states are fitted to: standardised channels or their principal components, in segments.

Everything is learnt from the training part alone: mean and deviation of each channel, axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rheobase.models.inputs import in_order
from rheobase.recording import Recording

if TYPE_CHECKING:
    import xarray as xr

    from rheobase.models.hmm_rnn import HMMRNN

FEW_UNITS = 16
"""Channels up to which no components are made"""
COMPONENTS = {"fmri": 50, "calcium": 30, "emg": 16, "series": 30}
ROOTED = ("envelope", "deconvolve")
"""Steps after which amplitudes are sums of few events, so that roots are nearer to Gaussian"""
DEPENDENT = 1e-10
"""Share of the largest variance below which a direction is that of a dependence of channels"""
STILL = 1e-12


@dataclass(frozen=True, eq=False)
class Series:
    """All usable stretches, one after another."""

    x: np.ndarray
    """(time, component) float64"""
    z: np.ndarray
    """(time, unit) standardised channels"""
    lengths: tuple[int, ...]
    segments: tuple[Recording, ...]
    """The recording that each stretch lies in"""
    pieces: tuple[slice, ...]
    """Where in it"""
    skipped: int
    """Samples in stretches that are too short"""

    @property
    def subjects(self) -> list[str]:
        return [one.subject for one in self.segments]


@dataclass(frozen=True, eq=False)
class Front:
    """How signals become what states see."""

    root: bool
    kept: np.ndarray
    """(unit,) bool; False for channels that are constant in the training part"""
    mean: np.ndarray
    """(unit,)"""
    scale: np.ndarray
    """(unit,)"""
    axes: np.ndarray | None
    """(kept unit, component)"""

    def series(self, recordings: Sequence[Recording], *, shortest: int) -> Series:
        """Return the stretches of at least ``shortest`` samples; raises where there are none."""
        parts, owners, places, skipped = [], [], [], 0
        for one in in_order(recordings):
            for piece in one.pieces():
                length = piece.stop - piece.start
                if length < shortest:
                    skipped += length
                    continue
                parts.append(rooted(one.signal[piece], root=self.root))
                owners.append(one)
                places.append(piece)
        if not parts:
            raise ValueError(
                f"{recordings[0].name}: no unbroken stretch of these recordings has {shortest} "
                "samples, which the states need; give longer ones, a lower order or fewer lags"
            )
        z = (np.concatenate(parts)[:, self.kept] - self.mean[self.kept]) / self.scale[self.kept]
        x = z if self.axes is None else z @ self.axes
        lengths = tuple(len(part) for part in parts)
        return Series(x, z, lengths, tuple(owners), tuple(places), skipped)

    def pack(self) -> dict[str, Any]:
        """Return the front as named arrays."""
        made: dict[str, Any] = {
            "kept": ("unit", self.kept), "mean": ("unit", self.mean), "scale": ("unit", self.scale),
            "root": ((), np.bool_(self.root)),
        }  # fmt: skip
        if self.axes is not None:
            made["axes"] = ("kept_unit", "principal"), self.axes
        return made


def unpack(arrays: xr.Dataset) -> Front:
    """Return what ``Front.pack`` stored."""
    axes = arrays["axes"].values if "axes" in arrays else None
    kept, mean, scale = (arrays[name].values for name in ("kept", "mean", "scale"))
    return Front(bool(arrays["root"]), kept, mean, scale, axes)


def learn(model: HMMRNN, train: Sequence[Recording], *, shortest: int) -> Front:
    """Return the front of the training part.

    Raises ``ValueError`` naming a constant channel, unless ``drop_constant``.
    """
    names = train[0].unit_names
    root = model.transform_of == "sqrt" or (
        model.transform_of == "auto" and is_rooted(train[0].steps)
    )
    every, one = np.ones(len(names), bool), np.ones(len(names))
    raw = Front(root, every, np.zeros(len(names)), one, None).series(train, shortest=shortest).z
    mean, spread = raw.mean(axis=0), raw.std(axis=0)
    still = spread <= STILL * (1 + np.abs(mean))
    if still.any() and not model.drop_constant:
        raise ValueError(
            f"{train[0].name}: {train[0].unit_dim} {names[int(np.flatnonzero(still)[0])]} is "
            "constant in the training part; leave it out, or set drop_constant"
        )
    if still.all():
        raise ValueError(f"{train[0].name}: every {train[0].unit_dim} is constant in the training "
                         "part; there are no states to find")  # fmt: skip
    scale = np.where(still, 1.0, spread)
    z = (raw[:, ~still] - mean[~still]) / scale[~still]
    axes = _axes(model, z, train[0].modality)
    return Front(root, ~still, mean, scale, axes)


def is_rooted(steps: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether the last steps left amplitudes whose root is taken by default."""
    return any(step.get("step") in ROOTED for step in steps) and not any(
        "family" in step for step in steps
    )


def rooted(signal: np.ndarray, *, root: bool) -> np.ndarray:
    """Return a signal, or the root of its size with its sign."""
    x = signal.astype(np.float64)
    return np.sign(x) * np.sqrt(np.abs(x)) if root else x


def _axes(model: HMMRNN, z: np.ndarray, modality: str) -> np.ndarray | None:
    """Return principal axes, (unit, component); None where channels are few and independent.

    What follows from other channels, as one of several probabilities that sum to 1, has no axis.
    """
    most = COMPONENTS[modality] if model.components is None else model.components
    power, vectors = np.linalg.eigh(z.T @ z / len(z))
    power, vectors = power[::-1].clip(0), vectors[:, ::-1]
    rank = int((power > DEPENDENT * power[0]).sum())
    few = z.shape[1] <= min(FEW_UNITS, most)
    if few and rank == z.shape[1]:
        return None
    needed = int(np.searchsorted(power.cumsum() / power.sum(), model.variance)) + 1
    axes = vectors[:, : min(most, rank if few else needed, rank)]
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])]
    return axes * np.sign(largest)

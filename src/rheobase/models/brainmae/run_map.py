"""The runs' own vectors on their main axes, and whether an axis follows motion."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rheobase.models.brainmae import represent
from rheobase.models.brainmae.network import BrainMAENetwork
from rheobase.models.brainmae.segments import Deck
from rheobase.models.inputs import by_name

if TYPE_CHECKING:
    import xarray as xr

    from rheobase.recording import Recording

MOTION = "fd_mean_mm"
SITE = (
    "site", "siteid", "sitename", "acquisitionsite", "studysite", "scansite", "centre", "center",
    "centreid", "centerid", "institution", "institutionname", "scanner", "scannerid",
)  # fmt: skip
"""Names of the label that tells where a run was recorded, first choice first; case, ``_``, ``-``
and spaces do not count"""
AXES = 3
LEAST_RUNS = 4
LEAST_MEASURED = 5
"""Runs with known motion below which no correlation is given"""


def told_of(recordings: Sequence[Recording], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return motion (NaN where unknown), site and label (empty where unknown) of recordings."""
    first = {name: segments[0] for name, segments in by_name(recordings).items()}
    known = [first[name] for name in names]
    label = [_word(r.label) for r in known]
    site = [site_of({**r.labels, **r.entities}) for r in known]
    motion = [r.quality.get(MOTION, np.nan) for r in known]
    return {"motion": np.array(motion, np.float64), "site": np.array(site, str),
            "label": np.array(label, str)}  # fmt: skip


def site_of(labels: Mapping[str, Any]) -> str:
    """Return where a run was recorded, by the usual names of such a label; empty where unknown."""
    plain = {re.sub(r"[\W_]", "", name).lower(): value for name, value in labels.items()}
    return next((str(plain[name]) for name in SITE if name in plain), "")


def _word(label: Any) -> str:
    """Return a label of the whole recording as a word; empty where there is none."""
    return "" if label is None or isinstance(label, np.ndarray) else str(label)


def vectors(
    network: BrainMAENetwork, deck: Deck, *, segments: int, batch: int
) -> tuple[list[str], np.ndarray]:
    """Return the names of a deck's recordings and their vectors, (recording, feature)."""
    names = sorted({run.name for run in deck.runs})
    found = represent.features(network, deck, names, segments=segments, batch=batch)
    return names, found


@dataclass(frozen=True)
class Map:
    """Runs of the training and test part on the main axes of the training part."""

    names: list[str]
    scores: np.ndarray
    """(run, axis)"""
    share: np.ndarray
    """Of the training part's variance, (axis,)"""
    trained: np.ndarray
    """(run,) bool"""
    motion: np.ndarray
    site: np.ndarray
    label: np.ndarray

    def with_motion(self) -> np.ndarray | None:
        """Return |r| of each axis with mean displacement, (axis,); None where too little is
        known.
        """
        known = np.isfinite(self.motion)
        if known.sum() < LEAST_MEASURED or np.ptp(self.motion[known]) == 0:
            return None
        scores = self.scores[known]
        r = [np.corrcoef(axis, self.motion[known])[0, 1] if np.ptp(axis) > 0 else 0.0
             for axis in scores.T]  # fmt: skip
        return np.abs(np.array(r))


def of(arrays: xr.Dataset, names: list[str], test: np.ndarray, told: dict[str, np.ndarray]) -> Map:
    """Return the map of a fit's training runs and of test runs, (run, feature).

    Features are standardised and axes found on the training part alone.
    """
    train = arrays["runs/vector"].values.astype(np.float64)
    mean, scale = train.mean(axis=0), train.std(axis=0)
    scale = np.where(scale > 1e-12, scale, 1.0)
    own = (train - mean) / scale
    _, size, axes = np.linalg.svd(own, full_matrices=False)
    kept = axes[:AXES] * np.sign(axes[:AXES].sum(axis=1, keepdims=True) + 1e-300)
    everyone = np.concatenate([own, (test - mean) / scale])
    return Map(
        names=[*arrays["run"].values.astype(str).tolist(), *names],
        scores=everyone @ kept.T,
        share=(size**2 / max(float((size**2).sum()), 1e-12))[:AXES],
        trained=np.arange(len(everyone)) < len(own),
        **{key: np.concatenate([arrays[f"runs/{key}"].values.astype(values.dtype), values])
           for key, values in told.items()},
    )  # fmt: skip

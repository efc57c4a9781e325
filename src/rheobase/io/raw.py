"""What every reader returns: a signal, time first, with whatever the file says about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Raw:
    """One file as read: nothing is filtered, scaled or filled, and NaN stays where it was."""

    signal: np.ndarray
    """(time, unit) float."""
    names: tuple[str, ...]
    """One name a unit."""
    rate_hz: float | None = None
    """Samples per second, where the format carries it."""
    units: str | None = None
    """Unit of the numbers, where the format carries it (EMG in uV)."""
    times: dict[str, np.ndarray] = field(default_factory=dict)
    """Per-sample arrays, (time,): labels, ``block`` (integers), ``trial``."""
    unit_labels: dict[str, np.ndarray] = field(default_factory=dict)
    """Per-unit arrays, (unit,): ``network``, ``x``, ``y``, ``z`` in mm, ..."""
    extras: dict[str, np.ndarray] = field(default_factory=dict)
    """``motion`` (time, 6), translations in mm, then rotations in rad; ``fd`` in mm, ``dvars``,
    ``std_dvars``, ``global_signal``, ``non_steady`` (bool), all (time,); ``confounds`` (time, k)
    with ``confound_names`` (k,); ``removed_before`` (), regressors taken out before;
    ``neuropil`` (time, unit); ``tsnr``, ``is_cell``,
    ``cell_probability``, ``coverage``, ``component_snr``, ``neuropil_share``, all (unit,);
    ``position_px`` (unit, 2), y and x; ``bad_frames`` (time,) bool; ``decay_s`` ();
    ``voxel_tsnr_median`` ();
    ``map_mean``, ``map_sd``, ``map_tsnr`` and ``map_regions``, slices of an image (slice, row,
    column); ``carpet`` (time, voxel) and ``carpet_tissue`` (voxel,), some voxels of each tissue."""
    steps: tuple[dict[str, Any], ...] = ()
    """What reading did to the numbers, each ``{"step": ..., parameters...}``."""
    notes: tuple[str, ...] = ()
    """Warnings, a sentence each, for the quality control."""

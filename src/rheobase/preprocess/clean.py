"""The door to preprocessing: one call whatever was recorded, with its quality control.

Signals are (time, unit). Every step says what it did, with units, and carries ``acausal: true``
where later samples changed earlier ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from rheobase.io.raw import Raw

if TYPE_CHECKING:
    import xarray as xr

PREPROCESS = {
    "fmri": "rheobase.preprocess.fmri:clean",
    "calcium": "rheobase.preprocess.calcium:clean",
    "emg": "rheobase.preprocess.emg:clean",
    "series": "rheobase.preprocess.series:clean",
}

DEFAULTS: dict[str, dict[str, Any]] = {
    "fmri": {
        "n_dummy": 0,
        "detrend": "linear",
        "band_hz": None,
        "fd_mm": 0.5,
        "scrub": 5,
        "censor_around": [0, 0],
        "least_valid_percent": 50,
        "least_valid_s": 240,
        "resample_s": None,
        "global_signal": "none",
    },
    "calcium": {
        "input": "raw",
        "cells": {},
        "cell_probability": 0.5,
        "bad_s": {},
        "jump_mads": 8,
        "bridge_s": 0.5,
        "neuropil": None,
        "baseline": "percentile",
        "baseline_percentile": 8,
        "baseline_window_s": 60,
        "baseline_smoothing_s": 10,
        "snr": 2,
        "deconvolve": "none",
        "decay_s": None,
        "indicator": None,
        "resample_hz": None,
    },
    "emg": {
        "notch_hz": "auto",
        "band_hz": None,
        "causal": False,
        "bad_channels": "drop",
        "envelope_hz": 6,
        "envelope_rate_hz": 50,
    },
    "series": {},
}
"""The config schema's defaults, and what stands where it has none: ``standardise`` is ``none``;
``input`` of calcium depends on the reader, ``neuropil`` and the decay may come from the file."""


@dataclass(frozen=True)
class Order:
    """What is to be done to one recording; ``options`` are complete."""

    name: str
    rate: float
    """Samples per second, or 1 where ``time_unit`` is ``frame``."""
    time_unit: str
    units: str | None
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Cleaned:
    """A signal ready for models, and what is known about its quality."""

    signal: np.ndarray
    """(time, unit) float32, finite."""
    valid: np.ndarray
    """(time,) bool: which samples may be used."""
    names: tuple[str, ...]
    times: dict[str, np.ndarray]
    unit_labels: dict[str, np.ndarray]
    units: str
    steps: list[dict[str, Any]]
    qc: dict[str, Any]
    """``metrics``, ``units`` (a row for every original unit), ``flags`` and ``preview``."""
    pictures: xr.Dataset | None = None
    """What the report draws besides, where that is too large for ``qc`` (fMRI)."""
    rate: float | None = None
    """Samples per second where cleaning changed it."""


def clean(
    raw: Raw,
    *,
    modality: str,
    rate: float,
    time_unit: str,
    units: str | None,
    options: Mapping[str, Any],
    name: str,
) -> Cleaned:
    """Return the cleaned recording ``name`` with its quality control.

    ``rate`` is in hertz (1 with ``time_unit`` ``frame``), ``options`` the config's ``preprocess``
    block, where anything left out takes its default. Raises ``ValueError``, one sentence that
    starts with ``name``, for anything that cannot be cleaned honestly.
    """
    if modality not in PREPROCESS:
        known = ", ".join(PREPROCESS)
        raise ValueError(f"{name}: modality {modality!r} is unknown; use one of {known}")
    _check(raw, rate, time_unit, name)
    filled = {**DEFAULTS[modality], "standardise": "none", **options}
    module, _, function = PREPROCESS[modality].partition(":")
    cleaner: Callable[[Raw, Order], Cleaned] = getattr(import_module(module), function)
    return cleaner(raw, Order(name, float(rate), time_unit, units, filled))


def _check(raw: Raw, rate: float, time_unit: str, name: str) -> None:
    if raw.signal.ndim != 2 or raw.signal.size == 0:
        shape = raw.signal.shape
        raise ValueError(
            f"{name}: the signal has shape {shape}; it must be (time, unit), not empty"
        )
    if not (np.isfinite(rate) and rate > 0):
        raise ValueError(f"{name}: the sampling rate is {rate} Hz; give one above 0")
    if time_unit not in ("s", "frame"):
        raise ValueError(f"{name}: time_unit is {time_unit!r}; use s or frame")
    n_time, n_units = raw.signal.shape
    if len(raw.names) != n_units:
        raise ValueError(
            f"{name}: {len(raw.names)} names for {n_units} units; give one name a unit"
        )
    twice = sorted({n for n in raw.names if raw.names.count(n) > 1}) if n_units < 10_000 else []
    if twice:
        raise ValueError(
            f"{name}: units must have unique names; {', '.join(twice[:5])} occur twice"
        )
    for key, values in raw.times.items():
        if len(values) != n_time:
            raise ValueError(
                f"{name}: {key} has {len(values)} samples and the signal {n_time}; "
                "they must come from the same recording"
            )

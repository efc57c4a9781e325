"""What is kept beside dF/F, so that it can be undone and checked: F0, noise, shares, parameters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rheobase.preprocess.calcium_baseline import Relative
from rheobase.preprocess.clean import Order

if TYPE_CHECKING:
    import xarray as xr


def kept_with(
    made: Relative,
    share: np.ndarray | None,
    inside: np.ndarray,
    signal: np.ndarray,
    noise: np.ndarray,
    decay: np.ndarray | None,
    *,
    names: Sequence[str],
    valid: np.ndarray,
    order: Order,
    steps: Sequence[dict[str, Any]],
) -> xr.Dataset:
    """Return the data set that lies beside a recording, on the clock of the file.

    ``noise`` (neuron) always; ``baseline`` (frame, neuron), F0 in the file's units, and the
    attribute ``least_baseline`` where there is one: F = signal * max(F0, least_baseline) + F0.
    ``neuropil_share`` and ``decay_s`` (neuron) where they were used, and ``dff`` (frame, neuron)
    where the recording holds spikes. ``inside`` says which cells of ``made`` were kept, ``signal``
    is their dF/F, ``steps`` are the parameters, as JSON.
    """
    import xarray as xr

    told: dict[str, Any] = {
        "noise": ("neuron", np.asarray(noise, np.float32)),
        "valid": ("frame", valid),
    }
    if made.baseline is not None:
        told["baseline"] = (("frame", "neuron"), made.baseline[:, inside])
    if share is not None:
        told["neuropil_share"] = ("neuron", np.asarray(share, np.float32)[inside])
    if decay is not None:
        told["decay_s"] = ("neuron", np.asarray(decay, np.float32))
        told["dff"] = (("frame", "neuron"), np.asarray(signal, np.float32))
    attrs = {"name": order.name, "sampling_rate_hz": order.rate, "time_unit": order.time_unit}
    attrs["steps"] = json.dumps(list(steps), sort_keys=True)
    if made.floor is not None:
        attrs["least_baseline"] = made.floor
    coords = {"neuron": np.asarray(names, dtype=str), "frame": np.arange(len(valid))}
    return xr.Dataset(told, coords=coords, attrs=attrs)

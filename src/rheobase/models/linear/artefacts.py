"""Between what was learnt and the named arrays that are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from rheobase.models.decoding.decode import Decoder
from rheobase.models.decoding.pack import from_arrays as unpack_decoder
from rheobase.models.decoding.pack import to_arrays as pack_decoder
from rheobase.models.linear.connectivity import Connectivity
from rheobase.models.linear.forecast import Forecast


@dataclass(frozen=True)
class Learnt:
    """Everything the family knows after a fit."""

    units: list[str]
    networks: list[str]
    """Network of each unit, or no entry"""
    mean: np.ndarray
    scale: np.ndarray
    forecasts: list[Forecast]
    correlation: np.ndarray
    """Group mean of shrunk correlation, (unit, unit)"""
    pearson: np.ndarray
    """Group mean of plain correlation, (edge,)"""
    autocorrelation: np.ndarray
    """Group mean of lag-1 autocorrelation, (unit,)"""
    decoder: Decoder | None
    seed: int

    def forecast(self, horizon: int) -> Forecast:
        """Return the regressions of one horizon."""
        return next(f for f in self.forecasts if f.horizon == horizon)


def pack(
    units: Sequence[str], networks: np.ndarray | None, mean: np.ndarray, scale: np.ndarray,
    forecasts: Sequence[Forecast], connectivity: Connectivity, group: Mapping[str, np.ndarray],
    decoder: Decoder | None, seed: int,
) -> xr.Dataset:  # fmt: skip
    """Return the arrays of a fit; ``group`` holds the matrices ``correlation`` and ``partial``."""
    order = forecasts[0].order
    square = (len(forecasts), order, len(units), len(units))
    variables: dict[str, Any] = {
        "mean": ("unit", mean),
        "scale": ("unit", scale),
        "var_weights": (
            ("horizon", "lag", "unit_from", "unit"),
            np.stack([f.weights for f in forecasts]).reshape(square).astype(np.float32),
        ),
        "var_bias": (("horizon", "unit"), np.stack([f.bias for f in forecasts])),
        "var_penalty": ("horizon", np.array([f.penalty for f in forecasts])),
        "rival/ar1": (("horizon", "coefficient", "unit"), np.stack([f.ar1 for f in forecasts])),
        "correlation": (("unit", "unit_from"), group["correlation"].astype(np.float32)),
        "partial_correlation": (("unit", "unit_from"), group["partial"].astype(np.float32)),
        "correlation_edges": (("recording", "edge"), connectivity.correlation.astype(np.float32)),
        "partial_edges": (("recording", "edge"), connectivity.partial.astype(np.float32)),
        "shrinkage": ("recording", connectivity.shrinkage),
        "pearson_edges": ("edge", connectivity.pearson.astype(np.float32)),
        "rival/lag1_autocorrelation": ("unit", connectivity.autocorrelation),
        "seed": ((), np.int64(seed)),
    }
    coordinates = _coordinates(units, forecasts, connectivity.names)
    if networks is not None:
        coordinates["network"] = ("unit", np.asarray(networks).astype(str))
    if decoder is not None:
        variables |= pack_decoder(decoder)
        coordinates["output"] = decoder.classes.astype(str)
    return xr.Dataset(variables, coords=coordinates)


def _coordinates(
    units: Sequence[str], forecasts: Sequence[Forecast], recordings: Sequence[str]
) -> dict[str, Any]:
    names = np.array(list(units), str)
    return {
        "unit": names,
        "unit_from": names,
        "horizon": [f.horizon for f in forecasts],
        "lag": np.arange(forecasts[0].order),
        "coefficient": ["slope", "intercept"],
        "recording": np.array(list(recordings), str),
    }


def unpack(arrays: xr.Dataset) -> Learnt:
    """Return what ``pack`` stored."""
    order = arrays.sizes["lag"]
    units = [str(name) for name in arrays["unit"].values]
    weights = arrays["var_weights"].values.astype(np.float64)
    forecasts = [
        Forecast(
            int(horizon), order, weights[i].reshape(order * len(units), len(units)),
            arrays["var_bias"].values[i], arrays["rival/ar1"].values[i],
            float(arrays["var_penalty"].values[i]),
        )
        for i, horizon in enumerate(arrays["horizon"].values)
    ]  # fmt: skip
    networks = [str(n) for n in arrays["network"].values] if "network" in arrays.coords else []
    return Learnt(
        units, networks, arrays["mean"].values, arrays["scale"].values, forecasts,
        arrays["correlation"].values.astype(np.float64),
        arrays["pearson_edges"].values.astype(np.float64),
        arrays["rival/lag1_autocorrelation"].values, unpack_decoder(arrays),
        int(arrays["seed"]),
    )  # fmt: skip

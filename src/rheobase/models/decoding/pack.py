"""Between decoders and the named arrays that are stored."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from rheobase.models.decoding.decode import Decoder


def to_arrays(decoder: Decoder, prefix: str = "decode") -> dict[str, Any]:
    """Return what a decoder is made of as named variables of a dataset.

    Class names belong into the coordinate ``output_name(prefix)``.
    """
    value = decoder.kind == "value"
    feature, output = _dimensions(prefix)
    rival = (f"best{feature[7:]}", decoder.rival) if value else ((output, feature), decoder.rival)
    scalars = {
        "centre": np.float64(decoder.centre), "delay": np.int64(decoder.delay),
        "penalty": np.float64(decoder.penalty), "majority": np.array(decoder.majority),
        "kind": np.array(decoder.kind), "features": np.array(decoder.features),
    }  # fmt: skip
    return {
        f"{prefix}_mean": (feature, decoder.mean),
        f"{prefix}_scale": (feature, decoder.scale),
        f"{prefix}_weights": ((feature, output), decoder.weights),
        f"{prefix}_bias": (output, decoder.bias),
        **{f"{prefix}_{name}": ((), scalar) for name, scalar in scalars.items()},
        _rival(prefix, value): rival,
    }


def _dimensions(prefix: str) -> tuple[str, str]:
    own = "" if prefix == "decode" else f"_{prefix.rpartition('/')[2]}"
    return f"feature{own}", f"output{own}"


def output_name(prefix: str = "decode") -> str:
    """Return the dimension that runs over a decoder's classes."""
    return _dimensions(prefix)[1]


def _rival(prefix: str, value: bool) -> str:
    own = "rival/" if prefix == "decode" else f"{prefix}_"
    return f"{own}{'best_feature' if value else 'class_means'}"


def from_arrays(arrays: xr.Dataset, prefix: str = "decode") -> Decoder | None:
    """Return what ``to_arrays`` described; None where there is none of that prefix."""
    if f"{prefix}_kind" not in arrays:
        return None

    def one(name: str) -> Any:
        return arrays[f"{prefix}_{name}"].values

    kind = str(one("kind"))
    return Decoder(
        kind, str(one("features")), arrays[_dimensions(prefix)[1]].values.astype(str), one("mean"),
        one("scale"), one("weights"), one("bias"), arrays[_rival(prefix, kind == "value")].values,
        float(one("centre")), str(one("majority")), int(one("delay")), float(one("penalty")),
    )  # fmt: skip

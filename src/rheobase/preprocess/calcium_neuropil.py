"""Take the light around a cell out of its trace; signals are (time, cell)."""

from __future__ import annotations

from typing import Any

import numpy as np

from rheobase.io.raw import Raw
from rheobase.preprocess import filters
from rheobase.preprocess.clean import Order

USUAL = 0.7
"""The share that suite2p takes (Pachitariu et al. 2017)."""
LEAST_SHARE = 1e-3
"""Of the cell's median, chosen here."""


def without_neuropil(
    signal: np.ndarray,
    raw: Raw,
    keep: np.ndarray,
    valid: np.ndarray,
    order: Order,
    steps: list[dict[str, Any]],
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the traces of the kept cells less a share of the neuropil around its median, and the
    shares, (cell,); None where nothing was taken out.

    The share is ``neuropil`` of the config, else the file's, else 0.7; ``auto`` fits one a cell. No
    sample may fall below 0.1 % of its cell's median, since dF/F divides by a baseline; the step
    counts the samples that were raised to it.
    """
    wanted = order.options["neuropil"]
    if order.options["input"] != "raw" or "neuropil" not in raw.extras or wanted == 0:
        return signal, None
    around = _around(raw, keep, order)
    centred = around - np.median(around[valid], axis=0)
    share, said = _share(signal, centred, raw, keep, valid, wanted)
    made = signal - share * centred
    least = LEAST_SHARE * np.median(signal[valid], axis=0)
    raised = int((made < least).sum())
    steps.append(
        {
            "step": "subtract neuropil",
            **said,
            "centred": "median",
            "least_percent_of_median": 100 * LEAST_SHARE,
            "raised_samples": raised,
            "raised_percent": round(100 * raised / made.size, 3),
            "acausal": True,
        }
    )
    return np.maximum(made, least).astype(np.float32), share


def _around(raw: Raw, keep: np.ndarray, order: Order) -> np.ndarray:
    around = np.asarray(raw.extras["neuropil"], np.float32)
    if around.shape != raw.signal.shape:
        raise ValueError(
            f"{order.name}: neuropil has shape {around.shape} and the traces {raw.signal.shape}; "
            "give one neuropil trace a cell"
        )
    around = around[:, keep]
    if not np.isfinite(around).all():
        raise ValueError(
            f"{order.name}: the neuropil holds NaN or infinite samples; repair it or "
            "set neuropil: 0"
        )
    return around


def _share(
    signal: np.ndarray,
    centred: np.ndarray,
    raw: Raw,
    keep: np.ndarray,
    valid: np.ndarray,
    wanted: float | str | None,
) -> tuple[np.ndarray, dict[str, Any]]:
    count = signal.shape[1]
    if wanted == "auto":
        share = fitted_share(signal[valid], centred[valid])
        told = {"share": round(float(np.median(share)), 4), "fitted": "a cell"}
        return share, told
    if wanted is None and "neuropil_share" in raw.extras:
        share = np.asarray(raw.extras["neuropil_share"], np.float32)[keep]
        return share, {"share": round(float(np.median(share)), 4), "from": "the file"}
    value = USUAL if wanted is None else float(wanted)
    return np.full(count, value, np.float32), {"share": value}


def fitted_share(signal: np.ndarray, around: np.ndarray) -> np.ndarray:
    """Return the share of the neuropil in each cell, (cell,) in [0, 1].

    The slope of the trace on its neuropil, by least squares over the frames in which the trace is
    below its median, where the cell itself is mostly silent; clipped.
    """
    made = np.zeros(signal.shape[1], np.float32)
    for units in filters.unit_chunks(len(signal), signal.shape[1], copies=4):
        trace, other = signal[:, units].astype(np.float64), around[:, units].astype(np.float64)
        quiet = trace < np.median(trace, axis=0)
        many = np.maximum(quiet.sum(axis=0), 1)
        x = np.where(quiet, other - (other * quiet).sum(axis=0) / many, 0)
        y = np.where(quiet, trace - (trace * quiet).sum(axis=0) / many, 0)
        square = (x**2).sum(axis=0)
        slope = np.where(square > 0, (x * y).sum(axis=0) / np.where(square > 0, square, 1), 0)
        made[units] = np.clip(slope, 0, 1)
    return made

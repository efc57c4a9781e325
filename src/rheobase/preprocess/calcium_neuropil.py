"""Take the light around a cell out of its trace; signals are (time, cell)."""

from __future__ import annotations

from typing import Any

import numpy as np

from rheobase.io.raw import Raw
from rheobase.preprocess.clean import Order

LEAST_SHARE = 1e-3
"""Of the cell's median, chosen here."""


def without_neuropil(
    signal: np.ndarray, raw: Raw, keep: np.ndarray, order: Order, steps: list[dict[str, Any]]
) -> np.ndarray:
    """Return the traces of the kept cells less ``share`` of the neuropil around its median.

    No sample may fall below 0.1 % of its cell's median, since dF/F divides by a baseline; the step
    counts the samples that were raised to it.
    """
    share = order.options["neuropil"]
    if order.options["input"] != "raw" or "neuropil" not in raw.extras or share == 0:
        return signal
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
    made = signal - share * (around - np.median(around, axis=0))
    least = LEAST_SHARE * np.median(signal, axis=0)
    raised = int((made < least).sum())
    steps.append(
        {
            "step": "subtract neuropil",
            "share": share,
            "centred": "median",
            "least_percent_of_median": 100 * LEAST_SHARE,
            "raised_samples": raised,
            "raised_percent": round(100 * raised / made.size, 3),
            "acausal": True,
        }
    )
    return np.maximum(made, least).astype(np.float32)

"""Whether the axes of a nameless matrix look interchanged; signals are (time, region)."""

from __future__ import annotations

import numpy as np

from rheobase.io.raw import Raw

MARGIN = 0.1
"""How much more alike neighbouring regions must be than neighbouring volumes; chosen here."""


def orientation_notes(raw: Raw) -> tuple[str, ...]:
    """Return a caution where nothing in a recording confirms its axes and they look interchanged.

    BOLD is smooth in time: one volume resembles the next more than one region the next in the
    list. Interchanged, it is the other way round. Names and labels confirm the axes.
    """
    named = raw.names != tuple(str(i) for i in range(len(raw.names)))
    if named or raw.unit_labels or raw.times or min(raw.signal.shape) < 3:
        return ()
    volumes, regions = likeness(raw.signal)
    if not regions > volumes + MARGIN:
        return ()
    count, width = raw.signal.shape
    return (
        f"neighbouring regions are more alike (correlation {regions:.2f}) than neighbouring "
        f"volumes ({volumes:.2f}), as if {count} regions were read as volumes and {width} volumes "
        "as regions; check reader.orientation, or confirm it by a units_file",
    )


def likeness(signal: np.ndarray) -> tuple[float, float]:
    """Return how alike neighbours are in time and along the list of regions, medians over both.

    Regions are demeaned: the first is their autocorrelation at lag 1, the second the correlation of
    a region with the next. Constant regions count as alike to none.
    """
    centred = np.asarray(signal, np.float64) - np.mean(signal, axis=0, dtype=np.float64)
    size = np.linalg.norm(centred, axis=0)
    scaled = centred / np.where(size > 0, size, 1)
    in_time = (scaled[1:] * scaled[:-1]).sum(axis=0)
    between = (scaled[:, 1:] * scaled[:, :-1]).sum(axis=0)
    return float(np.median(in_time)), float(np.median(between))

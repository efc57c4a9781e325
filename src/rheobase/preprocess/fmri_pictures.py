"""What the report draws of an fMRI recording's quality, as small arrays.

They lie beside the numbers, in ``qc/<recording>.nc``, since JSON would take several times the room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from rheobase.preprocess import fmri_connectivity, preview
from rheobase.preprocess.fmri_connectivity import Variables
from rheobase.preprocess.fmri_quality import Measured

CARPET_ROWS, CARPET_BINS, CARPET_TENTHS = 120, 240, 20
GREYS = 254
OUTSIDE = 255


def arrays(found: Measured, names: Sequence[str], keep: np.ndarray) -> xr.Dataset:
    """Return the pictures of a recording.

    ``names`` are all its regions, ``keep`` (region,) bool those that the signals hold. Always there
    are ``carpet_before`` and ``carpet_after`` (row, bin) in tenths of a standard deviation, clipped
    to +-20, with ``carpet_group`` (row,), and what ``pairs`` and ``matrix`` of connectivity give.
    Of an image also ``map_<measure>`` (slice, row, column), 0 to 254 and 255 outside, between the
    two numbers of ``map_<measure>_range``, and ``map_regions``, 0 in none.
    """
    kept = [name for name, there in zip(names, keep, strict=True) if there]
    networks = found.labels.get("network")
    made, facts = _carpet(found, networks)
    made |= fmri_connectivity.matrix(found.pair, kept, networks)
    made |= fmri_connectivity.pairs(found.pair, keep, found.places)
    made |= _maps(found.maps)
    return xr.Dataset(made, attrs={**facts, "regions": len(names)})


def _carpet(found: Measured, networks: np.ndarray | None) -> tuple[Variables, dict[str, str | int]]:
    """Return voxels by tissue where they were taken, else regions by network; evenly thinned."""
    if found.voxels is None:
        before, after, kind = found.before, found.after, "region"
        groups = np.full(before.shape[1], "") if networks is None else np.asarray(networks, str)
    else:
        before, after, kind = found.voxels.before, found.voxels.after, "voxel"
        groups = found.voxels.tissue
    order = np.arange(len(groups)) if kind == "voxel" else np.argsort(groups, kind="stable")
    rows = CARPET_ROWS if kind == "region" else len(order)
    order = order[preview.spread(len(order), rows)]
    bins = preview.spread(len(before), CARPET_BINS)
    made: Variables = {"carpet_group": (("carpet_row",), groups[order])}
    for when, signal in (("before", before), ("after", after)):
        score = _scores(signal[:, order], found.valid, bins)
        tenths = np.clip(np.rint(10 * score), -CARPET_TENTHS, CARPET_TENTHS)
        made[f"carpet_{when}"] = ("carpet_row", "carpet_bin"), tenths.T.astype(np.int8)
    return made, {"carpet_kind": kind, "carpet_of": len(groups)}


def _scores(signal: np.ndarray, valid: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Return means over bins, (bin, row), in standard deviations over the bins that are used."""
    course = preview.means(signal, bins)
    used = preview.means(valid[:, None], bins)[:, 0] == 1
    used = used if used.sum() > 1 else np.ones(len(bins), bool)
    spread = course[used].std(axis=0)
    return (course - course[used].mean(axis=0)) / np.where(spread > 0, spread, 1)


def _maps(slices: Mapping[str, np.ndarray]) -> Variables:
    """Return measures between their 2nd and 98th percentile, and the regions as they are."""
    made: Variables = {}
    dims = ("map_slice", "map_row", "map_column")
    for key, values in slices.items():
        if key == "map_regions":
            made[key] = dims, values.astype(np.int32)
            continue
        known = np.isfinite(values)
        ends = np.percentile(values[known], [2, 98])
        share = np.clip((values - ends[0]) / max(ends[1] - ends[0], 1e-12), 0, 1)
        grey = np.where(known, np.rint(GREYS * np.nan_to_num(share)), OUTSIDE)
        made[key] = dims, grey.astype(np.uint8)
        made[f"{key}_range"] = ("end",), ends.astype(np.float32)
    return made

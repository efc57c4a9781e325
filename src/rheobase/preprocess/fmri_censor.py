"""Which frames may be used: head motion, sudden changes, and what lies between them; (time,)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from rheobase.io.raw import Raw
from rheobase.preprocess import filters
from rheobase.preprocess.clean import Order

HEAD_RADIUS_MM = 50
LEAST_GOOD = 34
"""Fewer frames than this cannot be filtered."""


@dataclass(frozen=True)
class Censoring:
    """The validity of every frame and how it came about."""

    valid: np.ndarray
    """(time,) bool."""
    moved: np.ndarray | None
    """Framewise displacement in mm where motion is known."""
    steps: tuple[dict[str, Any], ...]


def framewise_displacement(motion: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """Return Power's framewise displacement in millimetres, (time,); 0 at the start of a run.

    ``sum |d translation| + 50 mm sum |d rotation|`` (Power et al. 2012); ``motion`` is (time, 6):
    translations in mm, then rotations in radians.
    """
    step = np.abs(np.diff(motion, axis=0, prepend=motion[:1]))
    moved = step[:, :3].sum(axis=1) + HEAD_RADIUS_MM * step[:, 3:].sum(axis=1)
    return at_starts(moved, runs, 0.0)


def at_starts(course: np.ndarray, runs: np.ndarray, value: float) -> np.ndarray:
    """Return a copy of a (time,) course with ``value`` where a run starts."""
    made = np.array(course, float)
    made[0] = value
    made[1:][np.diff(runs) != 0] = value
    return made


def censor(
    raw: Raw, motion: np.ndarray | None, runs: np.ndarray, cut: int, order: Order
) -> Censoring:
    """Return which frames of a recording without its ``cut`` dummy volumes are valid.

    Flagged are frames above ``fd_mm``, above ``std_dvars`` (where voxels were measured), not in
    steady state, ``censor_around`` them, and stretches of fewer than ``scrub`` frames between.
    Raises ``ValueError`` where fewer than ``least_valid_percent`` of the frames or less than
    ``least_valid_s`` seconds are left.
    """
    options = order.options
    moved = _displacement(raw, motion, runs, cut)
    flagged = np.zeros(len(runs), bool)
    counts: dict[str, Any] = {}
    jumps = raw.extras.get("std_dvars")
    for key, course in (("fd_mm", moved), ("std_dvars", jumps)):
        limit = options.get(key)
        if limit is None or course is None:
            continue
        course = course[cut:] if key == "std_dvars" else course
        above = at_starts(course, runs, 0.0) > limit
        counts |= {key: limit, f"above_{key}": int(above.sum())}
        flagged |= above
    active = bool(counts)
    if (unsteady := raw.extras.get("non_steady")) is not None and unsteady[cut:].any():
        counts["not_steady"] = int(unsteady[cut:].sum())
        flagged |= unsteady[cut:]
    valid = ~_scrubbed(_extended(flagged, runs, options["censor_around"]), runs, options["scrub"])
    if active or counts:
        _check_left(valid, order)
    if valid.all():
        return Censoring(valid, moved, ())
    step = {"step": "bridge flagged frames", "frames": int((~valid).sum()), **counts}
    if any(options["censor_around"]):
        step["censor_around"] = list(options["censor_around"])
    return Censoring(valid, moved, ({**step, "scrub": options["scrub"], "acausal": True},))


def _displacement(
    raw: Raw, motion: np.ndarray | None, runs: np.ndarray, cut: int
) -> np.ndarray | None:
    """Return the displacement that a confounds table tells, else that of the motion."""
    if "fd" in raw.extras:
        return at_starts(raw.extras["fd"][cut:], runs, 0.0)
    return None if motion is None else framewise_displacement(motion[cut:], runs)


def _extended(flagged: np.ndarray, runs: np.ndarray, around: list[int]) -> np.ndarray:
    made = flagged.copy()
    for part in filters.pieces(runs):
        own = flagged[part]
        for shift in range(1, around[0] + 1):
            made[part][:-shift] |= own[shift:]
        for shift in range(1, around[1] + 1):
            made[part][shift:] |= own[:-shift]
    return made


def _scrubbed(flagged: np.ndarray, runs: np.ndarray, least: int) -> np.ndarray:
    """Return the flags with good stretches of fewer than ``least`` frames of a flagged run too."""
    made = flagged.copy()
    for part in filters.pieces(runs):
        if flagged[part].any():
            for good in filters.stretches(~flagged[part]):
                if good.stop - good.start < least:
                    made[part][good] = True
    return made


def _check_left(valid: np.ndarray, order: Order) -> None:
    options, left = order.options, int(valid.sum())
    share, seconds = 100 * left / len(valid), left / order.rate
    if left < LEAST_GOOD:
        raise ValueError(
            f"{order.name}: {left} of {len(valid)} volumes are left after censoring, and "
            f"{LEAST_GOOD} are needed; exclude the recording, or raise fd_mm or std_dvars"
        )
    if share < options["least_valid_percent"]:
        raise ValueError(
            f"{order.name}: {share:.0f} % of the volumes are left after censoring, below "
            f"least_valid_percent, {options['least_valid_percent']:g}; exclude the recording, or "
            "raise fd_mm or std_dvars"
        )
    if order.time_unit == "s" and seconds < options["least_valid_s"]:
        raise ValueError(
            f"{order.name}: {seconds:.0f} s are left after censoring, below least_valid_s, "
            f"{options['least_valid_s']:g}; exclude the recording or lower least_valid_s"
        )


def bridged(values: np.ndarray, valid: np.ndarray, runs: np.ndarray, name: str) -> np.ndarray:
    """Return (time, column) values with a shape-preserving cubic across frames not valid.

    The nearest valid frame goes on at both ends of a run.
    """
    if valid.all() or not values.shape[1]:
        return values
    made = values.copy()
    for part in filters.pieces(runs):
        good, at = np.flatnonzero(valid[part]), np.flatnonzero(~valid[part])
        if len(good) < 2:
            raise ValueError(
                f"{name}: the run from volume {part.start} has {len(good)} valid volumes; exclude "
                "the recording, or raise fd_mm or std_dvars"
            )
        inside = np.clip(at, good[0], good[-1])
        curve = scipy.interpolate.PchipInterpolator(good, values[part][good], axis=0)
        made[part.start + at] = curve(inside)
    return made

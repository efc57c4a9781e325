"""What an fMRI recording must be before anything is done to it; (time, region)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rheobase.config.checks import unlikely_rate
from rheobase.io.raw import Raw
from rheobase.preprocess import quality
from rheobase.preprocess.clean import Order

LEAST_FRAMES, LEAST_SECONDS = 34, 60
LEAST_COVERAGE = 0.5
LARGEST_RADIAN, LARGEST_MM = 0.5, 50


def check_rate(raw: Raw, order: Order) -> None:
    """Raise ``ValueError`` for a repetition time that no scanner has."""
    if order.time_unit == "s" and (why := unlikely_rate("fmri", order.rate)):
        given = "is its time_column in ms? " if raw.rate_hz else ""
        raise ValueError(f"{order.name}: {why}; {given}Correct the sampling rate or the file")


def dummy_volumes(raw: Raw, order: Order) -> int:
    """Return how many volumes to drop at the start; ``auto`` takes fMRIPrep's non-steady ones."""
    wanted = order.options["n_dummy"]
    if wanted != "auto":
        return int(wanted)
    found = raw.extras.get("non_steady")
    if found is None:
        raise ValueError(
            f"{order.name}: n_dummy: auto needs the confounds of fMRIPrep; give a number of volumes"
        )
    count = int(found.sum())
    if not found[:count].all():
        raise ValueError(
            f"{order.name}: the non-steady volumes are not the first {count}; give n_dummy a number"
        )
    return count


def uncovered(raw: Raw) -> dict[str, str]:
    """Return the regions of which less than half is covered, with the reason."""
    coverage = raw.extras.get("coverage")
    if coverage is None:
        return {}
    return {
        name: f"{100 * share:.0f} % of the region is covered, below {100 * LEAST_COVERAGE:.0f} %"
        for name, share in zip(raw.names, np.asarray(coverage, float), strict=True)
        if not share >= LEAST_COVERAGE
    }


def check_signal(
    signal: np.ndarray, names: tuple[str, ...], runs: np.ndarray, order: Order, *, cut: int = 0
) -> None:
    """Raise ``ValueError`` for regions that are constant or not finite, and for short recordings.

    At least 34 volumes a run (the filter's padding) and 60 s in all are needed. ``cut`` volumes
    were dropped before, so that an error counts volumes as the file does.
    """
    if not signal.size:
        raise ValueError(
            f"{order.name}: no region or no volume is left; correct n_dummy or the atlas"
        )
    holes = ~np.isfinite(signal)
    _refuse(names, np.asarray(holes.any(axis=0)), order, lambda unit: _where(holes[:, unit], cut))
    still = np.asarray(np.ptp(signal, axis=0) == 0)
    _refuse(
        names,
        still,
        order,
        lambda unit: f"is constant, {signal[0, unit]:g} in {len(signal)} volumes",
    )
    shortest = int(np.bincount(runs).min())
    seconds = len(signal) / order.rate
    if shortest < LEAST_FRAMES:
        raise ValueError(
            f"{order.name}: a run has {shortest} volumes after {order.options['n_dummy']} dummy "
            f"volumes; at least {LEAST_FRAMES} are needed, so lower n_dummy or exclude "
            "the recording"
        )
    if order.time_unit == "s" and seconds < LEAST_SECONDS:
        raise ValueError(
            f"{order.name}: it lasts {seconds:g} s; at least {LEAST_SECONDS} s are needed, so "
            "correct the sampling rate or exclude the recording"
        )


def _refuse(
    names: tuple[str, ...], bad: np.ndarray, order: Order, what: Callable[[int], str]
) -> None:
    """Raise ``ValueError`` for the regions that are bad, saying what the first of them is."""
    if not bad.any():
        return
    first, count = int(bad.argmax()), int(bad.sum())
    others = [name for name, b in zip(names, bad, strict=True) if b][1:]
    more = f"; so are {quality.listed(others)}" if others else ""
    raise ValueError(
        f"{order.name}: region {names[first]} {what(first)} ({count} of {len(names)} regions"
        f"{more}); mend the file (or the atlas), or name {order.name} with the reason under exclude"
    )


def _where(holes: np.ndarray, cut: int) -> str:
    at, count = int(holes.argmax()) + 1 + cut, int(holes.sum())
    more = f" and {count - 1} more" if count > 1 else ""
    return f"holds NaN or infinite samples, in volume {at}{more}"


def checked_motion(raw: Raw, order: Order) -> np.ndarray | None:
    """Return (time, 6) motion in mm and radians, dummy volumes included; None where unknown."""
    motion = raw.extras.get("motion")
    if motion is None:
        return None
    motion = np.asarray(motion, float)
    if motion.shape != (len(raw.signal), 6):
        raise ValueError(
            f"{order.name}: motion has shape {motion.shape} and the signal "
            f"{len(raw.signal)} volumes; six columns and one row a volume "
            "are needed, dummy volumes included"
        )
    if not np.isfinite(motion).all():
        raise ValueError(f"{order.name}: motion holds NaN or infinite numbers; repair the file")
    shift, turn = np.abs(motion[:, :3]).max(), np.abs(motion[:, 3:]).max()
    if turn > LARGEST_RADIAN or shift > LARGEST_MM:
        raise ValueError(
            f"{order.name}: motion reaches {shift:.3g} mm and {turn:.3g} rad, above "
            f"{LARGEST_MM} mm or {LARGEST_RADIAN} rad; correct reader.motion.format"
        )
    return motion

"""Frames in which traces cannot be trusted: which they are, and how short ones are bridged.

Signals are (time, cell).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from rheobase.io.raw import Raw
from rheobase.preprocess import filters
from rheobase.preprocess.clean import Order

LEAST_JUMPING = 10
FLUORESCENCE = ("raw", "neuropil_corrected")


@dataclass(frozen=True)
class Frames:
    """Traces without gaps, and what is known of their frames."""

    signal: np.ndarray
    """(time, cell) float32, finite."""
    valid: np.ndarray
    """(time,) frames that may be used."""
    bad: np.ndarray
    """(time,) frames that were bad, bridged or not."""


def bridge(
    signal: np.ndarray, raw: Raw, runs: np.ndarray, order: Order, steps: list[dict[str, Any]]
) -> Frames:
    """Return traces with straight lines across bad frames; ``steps`` is told of them.

    Bad are frames that some cell lacks, that the file flags, that ``bad_s`` names and in which the
    cells jump. Stretches up to ``bridge_s`` stay valid, longer ones and those at an end do not.
    Raises ``ValueError`` where no frame is left.
    """
    reasons = {
        "missing": ~np.isfinite(signal).all(axis=1),
        "flagged_by_file": _flagged(raw, order),
        "named_in_config": _named(len(signal), order),
    }
    bad = np.logical_or.reduce(list(reasons.values()))
    limit = order.options["jump_mads"]
    if limit is not None and order.options["input"] in FLUORESCENCE and not bad.all():
        reasons["jumps"] = jumps(_bridged(signal, bad, runs), runs, mads=limit) & ~bad
        bad = bad | reasons["jumps"]
    if not bad.any():
        return Frames(signal, ~bad, bad)
    if bad.all():
        raise ValueError(
            f"{order.name}: every frame is bad ("
            + ", ".join(f"{int(m.sum())} {key.replace('_', ' ')}" for key, m in reasons.items())
            + "); leave out the cells that miss frames, or correct bad_s"
        )
    valid = ~bad | _short(bad, runs, order)
    if not valid.any():
        raise ValueError(
            f"{order.name}: no frame is left beside bad stretches longer than bridge_s, "
            f"{order.options['bridge_s']:g}; raise it or exclude the recording"
        )
    step: dict[str, Any] = {"step": "bridge bad frames", "frames": int(bad.sum()), "acausal": True}
    step |= {key: int(mask.sum()) for key, mask in reasons.items() if mask.any()}
    if "jumps" in reasons:
        step["jump_mads"] = limit
    step |= {"longest_valid_s": order.options["bridge_s"], "invalid_frames": int((~valid).sum())}
    steps.append(step)
    return Frames(_bridged(signal, bad, runs), valid, bad)


def jumps(signal: np.ndarray, runs: np.ndarray, *, mads: float = 8) -> np.ndarray:
    """Return (time,) frames where most cells jump at once, and their neighbours.

    With ``d[t]`` the median over cells of ``|x[t] - x[t-1]|`` over the cell's own median change,
    a frame is bad above ``median(d) + mads MAD(d)``; with fewer than 10 cells none is, since their
    median follows activity (chosen here).
    """
    change = np.abs(np.diff(signal, axis=0))
    typical = np.median(change, axis=0)
    moving = typical > 0
    if moving.sum() < LEAST_JUMPING:
        return np.zeros(len(signal), bool)
    course = np.median(change[:, moving] / typical[moving], axis=1)
    course[np.diff(runs) != 0] = 0
    middle = np.median(course)
    bad = course > middle + mads * np.median(np.abs(course - middle))
    found = np.zeros(len(signal), bool)
    for shift in (-1, 0, 1):
        at = np.flatnonzero(bad) + 1 + shift
        found[at[(at >= 0) & (at < len(signal))]] = True
    return found


def _flagged(raw: Raw, order: Order) -> np.ndarray:
    flags = raw.extras.get("bad_frames")
    if flags is None:
        return np.zeros(len(raw.signal), bool)
    if np.shape(flags) != (len(raw.signal),):
        raise ValueError(
            f"{order.name}: bad_frames has shape {np.shape(flags)} and the traces have "
            f"{len(raw.signal)} frames; they must come from the same recording"
        )
    return np.asarray(flags, bool)


def _named(n_time: int, order: Order) -> np.ndarray:
    made = np.zeros(n_time, bool)
    for start, stop in order.options["bad_s"].get(order.name, ()):
        first, last = round(start * order.rate), round(stop * order.rate)
        if first >= n_time:
            raise ValueError(
                f"{order.name}: bad_s names a stretch from {start:g} on, and the recording ends at "
                f"{n_time / order.rate:g}; correct it"
            )
        made[first : max(last, first + 1)] = True
    return made


def _short(bad: np.ndarray, runs: np.ndarray, order: Order) -> np.ndarray:
    """Return the bad frames of stretches that are bridged, within runs."""
    made = np.zeros(len(bad), bool)
    longest = order.options["bridge_s"]
    most = int(longest * order.rate + 1e-6) if order.time_unit == "s" else 1
    most = max(1, most) if longest > 0 else 0
    for part in filters.pieces(runs):
        for gap in filters.stretches(bad[part]):
            inside = gap.start > 0 and gap.stop < part.stop - part.start
            if inside and gap.stop - gap.start <= most:
                made[part.start + gap.start : part.start + gap.stop] = True
    return made


def _bridged(signal: np.ndarray, bad: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """Return the traces with straight lines across bad frames, level at the ends of a run."""
    if not bad.any():
        return signal
    made = signal.copy()
    for part in filters.pieces(runs):
        good, gaps = np.flatnonzero(~bad[part]), np.flatnonzero(bad[part])
        if len(gaps) == 0:
            continue
        if len(good) < 2:
            made[part] = signal[part][good] if len(good) else 0
            continue
        line = scipy.interpolate.make_interp_spline(good, signal[part][good], k=1)
        made[part.start + gaps] = line(np.clip(gaps, good[0], good[-1]))
    return made

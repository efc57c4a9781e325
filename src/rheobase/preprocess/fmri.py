"""Regional fMRI: detrend and band-pass in one step, motion, and what the noise looks like.

Signals are (time, region). Confound regression and scrubbing by interpolation belong between
``_checked`` and ``_filtered``: the filter must see their result.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from rheobase.config.checks import unlikely_rate
from rheobase.io.raw import Raw
from rheobase.preprocess import filters, quality
from rheobase.preprocess.clean import Cleaned, Order
from rheobase.preprocess.fmri_quality import Measured, framewise_displacement, report

LEAST_FRAMES, LEAST_SECONDS = 34, 60
LEAST_COVERAGE = 0.5
LARGEST_RADIAN, LARGEST_MM = 0.5, 50
FILTER_ORDER, LEAST_FREEDOM = 5, 30


def clean(raw: Raw, order: Order) -> Cleaned:
    """Return detrended, filtered regions; frames that moved too much are not valid.

    Raises ``ValueError`` naming regions that are constant or not finite, recordings too short to
    filter, band edges above half the rate, and motion that is not in millimetres and radians.
    """
    _check_rate(raw, order)
    cut = int(order.options["n_dummy"])
    times = {key: values[cut:] for key, values in raw.times.items()}
    signal = np.asarray(raw.signal[cut:], np.float64)
    runs = filters.run_numbers(times.get("block"), len(signal))
    excluded = _uncovered(raw)
    keep = np.array([name not in excluded for name in raw.names])
    names = tuple(name for name in raw.names if name not in excluded)
    signal = signal[:, keep]
    _check(signal, names, runs, order)

    moved, valid = _still(raw, runs, cut, order)
    steps: list[dict[str, Any]] = [{"step": "drop dummy volumes", "volumes": cut}] if cut else []
    filtered = _filtered(_bridged(signal, valid, runs, order, steps), valid, runs, order, steps)
    made, units = filtered.astype(np.float32), raw.units or order.units or ""
    if order.options["standardise"] == "zscore":
        made, units = filters.zscore(filtered, valid), "SD"
        steps.append({"step": "z-score", "over": "valid frames", "acausal": True})
    labels = {key: np.asarray(values)[keep] for key, values in raw.unit_labels.items()}
    return Cleaned(
        signal=made,
        valid=valid,
        names=names,
        times=times,
        unit_labels=labels,
        units=units,
        steps=steps,
        qc=report(
            Measured(signal, filtered, valid, runs, moved, order.rate, order.time_unit),
            raw.names,
            coverage=raw.extras.get("coverage"),
            excluded=excluded,
            networks=labels.get("network"),
        ),
    )


def _check_rate(raw: Raw, order: Order) -> None:
    if order.time_unit == "s" and (why := unlikely_rate("fmri", order.rate)):
        given = "is its time_column in ms? " if raw.rate_hz else ""
        raise ValueError(f"{order.name}: {why}; {given}Correct the sampling rate or the file")


def _uncovered(raw: Raw) -> dict[str, str]:
    coverage = raw.extras.get("coverage")
    if coverage is None:
        return {}
    return {
        name: f"{100 * share:.0f} % of the region is covered, below {100 * LEAST_COVERAGE:.0f} %"
        for name, share in zip(raw.names, np.asarray(coverage, float), strict=True)
        if not share >= LEAST_COVERAGE
    }


def _check(signal: np.ndarray, names: tuple[str, ...], runs: np.ndarray, order: Order) -> None:
    if not signal.size:
        raise ValueError(
            f"{order.name}: no region or no volume is left; correct n_dummy or the atlas"
        )
    for bad, what in (
        (np.asarray(~np.isfinite(signal).all(axis=0)), "holds NaN or infinite samples"),
        (np.ptp(signal, axis=0) == 0, "is constant"),
    ):
        if bad.any():
            named = quality.listed([n for n, b in zip(names, bad, strict=True) if b])
            raise ValueError(
                f"{order.name}: region {named} {what} ({int(bad.sum())} of {len(names)} regions); "
                f"mend the file (or the atlas), or name {order.name} with the reason under exclude"
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


def _still(
    raw: Raw, runs: np.ndarray, cut: int, order: Order
) -> tuple[np.ndarray | None, np.ndarray]:
    """Return framewise displacement where motion is known, and the frames that moved little."""
    motion = raw.extras.get("motion")
    if motion is None:
        return None, np.ones(len(runs), bool)
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
    moved, limit = framewise_displacement(motion[cut:], runs), order.options["fd_mm"]
    return moved, np.ones(len(runs), bool) if limit is None else moved <= limit


def _bridged(
    signal: np.ndarray, valid: np.ndarray, runs: np.ndarray, order: Order, steps: list
) -> np.ndarray:
    """Return the signal with a shape-preserving cubic across frames that are not valid."""
    if valid.sum() < LEAST_FRAMES:
        raise ValueError(
            f"{order.name}: {int(valid.sum())} of {len(valid)} volumes move less than "
            f"{order.options['fd_mm']:g} mm, and {LEAST_FRAMES} are needed; "
            "exclude the recording or raise fd_mm"
        )
    if valid.all():
        return signal
    made = signal.copy()
    for part in filters.pieces(runs):
        good = np.flatnonzero(valid[part])
        at = np.flatnonzero(~valid[part])
        if len(good) < 2:
            raise ValueError(
                f"{order.name}: the run from volume {part.start} has {len(good)} volumes below "
                "fd_mm; exclude the recording or raise fd_mm"
            )
        inside = np.clip(at, good[0], good[-1])
        made[part.start + at] = scipy.interpolate.PchipInterpolator(
            good, signal[part][good], axis=0
        )(inside)
    steps.append(
        {
            "step": "bridge moved frames",
            "frames": int((~valid).sum()),
            "fd_mm": order.options["fd_mm"],
            "acausal": True,
        }
    )
    return made


def _filtered(
    signal: np.ndarray, valid: np.ndarray, runs: np.ndarray, order: Order, steps: list
) -> np.ndarray:
    detrend = order.options["detrend"] == "linear"
    low, high = order.options["band_hz"] or (None, None)
    filtering = low is not None or high is not None
    if not detrend and not filtering:
        return signal
    freedom = _freedom(low, high, int(valid.sum()) - detrend, order) if filtering else None
    from nilearn.signal import clean as nilearn_clean

    made = nilearn_clean(
        signal,
        runs=runs,
        detrend=detrend,
        standardize=None,  # pyright: ignore[reportArgumentType] the annotation lacks None
        filter="butterworth" if filtering else False,  # pyright: ignore[reportArgumentType]
        low_pass=high,
        high_pass=low,
        t_r=1 / order.rate,
    )
    if detrend:
        steps.append({"step": "detrend", "kind": "linear", "acausal": True})
    if filtering:
        steps.append(
            {
                "step": "band-pass",
                "low_hz": low,
                "high_hz": high,
                "filter": "Butterworth",
                "order": FILTER_ORDER,
                "degrees_of_freedom": freedom,
                "acausal": True,
            }
        )
    return made


def _freedom(low: float | None, high: float | None, frames: int, order: Order) -> int:
    """Return how many independent samples a band leaves; raises ``ValueError`` below 30."""
    band = (low, high)
    filters.checked_band(band, rate=order.rate, time_unit=order.time_unit, name=order.name)
    nyquist = order.rate / 2
    left = int(frames * ((high or nyquist) - (low or 0)) / nyquist)
    if left < LEAST_FREEDOM:
        raise ValueError(
            f"{order.name}: the band leaves {left} degrees of freedom of {frames} volumes, and "
            f"{LEAST_FREEDOM} are needed; widen band_hz or exclude the recording"
        )
    return left

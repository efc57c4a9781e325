"""Detrend, confounds and band-pass in one step, and what that leaves; (time, region)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from rheobase.io.raw import Raw
from rheobase.preprocess import filters
from rheobase.preprocess.clean import Order

FILTER_ORDER, LEAST_FREEDOM = 5, 30
MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
FROM_MOTION = {"6p", "24p"}


@dataclass(frozen=True)
class Regressors:
    """What is regressed out: (time, confound) with names."""

    values: np.ndarray
    names: tuple[str, ...]
    before: int = 0
    """How many more were taken out before"""


@dataclass(frozen=True)
class Denoised:
    """The cleaned signal, how, and the degrees of freedom left in all runs."""

    signal: np.ndarray
    freedom: int
    steps: tuple[dict[str, Any], ...]


def regressors(
    raw: Raw, motion: np.ndarray | None, runs: np.ndarray, cut: int, order: Order
) -> Regressors:
    """Return the confounds that the reader chose, or those made of head motion.

    ``6p`` are the motion parameters; ``24p`` adds their backward differences, 0 at the start of a
    run, and the squares of both (Friston et al. 1996, as fMRIPrep names them). ``highvar`` adds
    ``24p`` where motion is known.
    """
    denoise = order.options.get("denoise") or "none"
    if "confounds" in raw.extras:
        values, names = raw.extras["confounds"][cut:], tuple(raw.extras["confound_names"].tolist())
        if denoise != "highvar" or motion is None:
            return Regressors(values, names, int(raw.extras.get("removed_before", 0)))
        moved = _of_motion(motion[cut:], runs, "24p")
        return Regressors(np.hstack([values, moved.values]), (*names, *moved.names))
    if denoise == "none":
        return Regressors(np.empty((len(runs), 0)), ())
    if denoise not in FROM_MOTION:
        raise ValueError(
            f"{order.name}: denoise: {denoise} needs the confounds of fMRIPrep (format fmriprep); "
            "use 6p or 24p with a motion file, highvar with an image, or none"
        )
    if motion is None:
        raise ValueError(
            f"{order.name}: denoise: {denoise} needs head motion; give reader.motion or use none"
        )
    return _of_motion(motion[cut:], runs, denoise)


def _of_motion(motion: np.ndarray, runs: np.ndarray, kind: str) -> Regressors:
    if kind == "6p":
        return Regressors(motion, MOTION)
    change = np.diff(motion, axis=0, prepend=motion[:1])
    change[1:][np.diff(runs) != 0] = 0
    values = np.hstack([motion, change, motion**2, change**2])
    endings = ("", "_derivative1", "_power2", "_derivative1_power2")
    return Regressors(values, tuple(f"{name}{end}" for end in endings for name in MOTION))


def denoise(
    signal: np.ndarray, found: Regressors, valid: np.ndarray, runs: np.ndarray, order: Order
) -> Denoised:
    """Return the signal after one call of ``nilearn.signal.clean``, run by run and full length.

    Frames that are not valid must be bridged before. Filter and confounds stay orthogonal, since
    both are filtered (Lindquist et al. 2019). Raises ``ValueError`` below 30 degrees of freedom.
    """
    trend = order.options["detrend"] == "linear"
    low, high = filters.checked_band(
        order.options["band_hz"] or (None, None),
        rate=order.rate,
        time_unit=order.time_unit if order.options["band_hz"] else "s",
        name=order.name,
    )
    filtering, many = low is not None or high is not None, len(found.names)
    freedom = _freedom(signal, found, valid, runs, order)
    steps: list[dict[str, Any]] = []
    if trend:
        steps.append({"step": "detrend", "kind": "linear", "acausal": True})
    if many:
        strategy = order.options.get("denoise")
        steps.append({"step": "regress out confounds", "confounds": many, "strategy": strategy,
                      "confounds_used": list(found.names), "acausal": True})  # fmt: skip
    if filtering:
        steps.append({"step": "band-pass", "low_hz": low, "high_hz": high, "filter": "Butterworth",
                      "order": FILTER_ORDER, "acausal": True})  # fmt: skip
    if not steps:
        return Denoised(signal, freedom, ())
    steps[-1]["degrees_of_freedom"] = freedom
    from nilearn.signal import clean as nilearn_clean

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # about nilearn's own call inside
        made = nilearn_clean(
            signal,
            runs=runs,
            detrend=trend,
            confounds=found.values if many else None,
            standardize_confounds=True,
            standardize=None,  # pyright: ignore[reportArgumentType] the annotation lacks None
            filter="butterworth" if filtering else False,  # pyright: ignore[reportArgumentType]
            low_pass=high,
            high_pass=low,
            t_r=1 / order.rate,
        )
    return Denoised(made, freedom, tuple(steps))


def _freedom(
    signal: np.ndarray, found: Regressors, valid: np.ndarray, runs: np.ndarray, order: Order
) -> int:
    """Return how many independent samples are left over all runs.

    ``floor(valid (min(high, f) - low) / f) - regressors`` a run, those taken out before too, f
    half the rate; the linear trend counts where no lower edge takes it out. With confounds every
    run must keep 30, since each is fitted on its own; without, the recording.
    """
    low, high = order.options["band_hz"] or (None, None)
    many = len(found.names) + found.before
    trend = order.options["detrend"] == "linear" and low is None
    share = 1.0
    if low is not None or high is not None:
        nyquist = order.rate / 2
        share = (min(high or nyquist, nyquist) - (low or 0)) / nyquist
    each = np.bincount(runs, weights=valid)
    left = np.floor(each * share + 1e-9).astype(int) - many - trend
    least = int(left.min() if many else left.sum())
    if least < LEAST_FREEDOM and (many or share < 1):
        where = "a run" if many and len(each) > 1 else "it"
        raise ValueError(
            f"{order.name}: the band and {many} regressors leave {where} {least} degrees of "
            f"freedom of {int(each.min() if many else each.sum())} valid volumes, and "
            f"{LEAST_FREEDOM} are needed; widen band_hz, choose a smaller denoise or exclude the "
            "recording"
        )
    return int(left.sum())

"""Regional fMRI: censoring, confounds and band-pass in one step, and what the noise looks like.

Signals are (time, region).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rheobase.io.raw import Raw
from rheobase.preprocess import filters
from rheobase.preprocess.clean import Cleaned, Order
from rheobase.preprocess.fmri_censor import bridged, censor
from rheobase.preprocess.fmri_checks import (
    check_rate,
    check_signal,
    checked_motion,
    dummy_volumes,
    uncovered,
)
from rheobase.preprocess.fmri_denoise import Regressors, denoise, regressors
from rheobase.preprocess.fmri_orientation import orientation_notes
from rheobase.preprocess.fmri_pictures import arrays
from rheobase.preprocess.fmri_quality import Measured, Voxels, report
from rheobase.preprocess.fmri_resample import resample


def clean(raw: Raw, order: Order) -> Cleaned:
    """Return denoised regions; frames that moved or jumped too much are not valid.

    Raises ``ValueError`` naming regions that are constant or not finite, recordings too short to
    filter or too much censored, band edges above half the rate, too few degrees of freedom, and
    motion that is not in millimetres and radians.
    """
    check_rate(raw, order)
    cut = dummy_volumes(raw, order)
    times = {key: values[cut:] for key, values in raw.times.items()}
    signal = np.asarray(raw.signal[cut:], np.float64)
    runs = filters.run_numbers(times.get("block"), len(signal))
    excluded = uncovered(raw)
    keep = np.array([name not in excluded for name in raw.names])
    names = tuple(name for name in raw.names if name not in excluded)
    signal = signal[:, keep]
    check_signal(signal, names, runs, order, cut=cut)

    motion = checked_motion(raw, order)
    censored = censor(raw, motion, runs, cut, order)
    chosen = regressors(raw, motion, runs, cut, order)
    smooth = bridged(signal, censored.valid, runs, order.name)
    noise = bridged(chosen.values, censored.valid, runs, order.name)
    noise = Regressors(noise, chosen.names, chosen.before)
    done = denoise(smooth, noise, censored.valid, runs, order)
    final = resample(done.signal, censored.valid, times, runs, order)

    steps: list[dict[str, Any]] = [{"step": "drop dummy volumes", "volumes": cut}] if cut else []
    steps += [*censored.steps, *done.steps, *final.steps]
    made, units = final.signal.astype(np.float32), raw.units or order.units or ""
    if order.options["standardise"] == "zscore":
        made, units = filters.zscore(final.signal, final.valid), "SD"
        steps.append({"step": "z-score", "over": "valid frames", "acausal": True})
    labels = {key: np.asarray(values)[keep] for key, values in raw.unit_labels.items()}
    measured = Measured(
        before=signal,
        after=done.signal,
        valid=censored.valid,
        runs=runs,
        moved=censored.moved,
        rate=order.rate,
        time_unit=order.time_unit,
        freedom=done.freedom,
        regressors=noise,
        courses=_courses(raw, cut),
        voxel_tsnr=raw.extras.get("voxel_tsnr_median"),
        region_tsnr=None if "tsnr" not in raw.extras else raw.extras["tsnr"][keep],
        labels=labels,
        maps={key: raw.extras[key] for key in raw.extras if key.startswith("map_")},
        voxels=_voxels(raw, cut, noise, censored.valid, runs, order),
    )
    return Cleaned(
        signal=made,
        valid=final.valid,
        names=names,
        times=final.times,
        unit_labels=labels,
        units=units,
        steps=steps,
        qc=report(
            measured,
            raw.names,
            coverage=raw.extras.get("coverage"),
            excluded=excluded,
            notes=(*raw.notes, *orientation_notes(raw)),
        ),
        rate=final.rate,
        pictures=arrays(measured, raw.names, keep),
    )


def _courses(raw: Raw, cut: int) -> dict[str, np.ndarray]:
    """Return what was measured over the voxels of an image, (time,) each."""
    wanted = ("dvars", "std_dvars", "global_signal")
    return {key: np.asarray(raw.extras[key], float)[cut:] for key in wanted if key in raw.extras}


def _voxels(
    raw: Raw, cut: int, noise: Regressors, valid: np.ndarray, runs: np.ndarray, order: Order
) -> Voxels | None:
    """Return the sampled voxels of an image, cleaned as the regions are."""
    if "carpet" not in raw.extras:
        return None
    before = np.asarray(raw.extras["carpet"][cut:], np.float64)
    smooth = bridged(before, valid, runs, order.name)
    after = denoise(smooth, noise, valid, runs, order).signal
    return Voxels(before, after, raw.extras["carpet_tissue"])

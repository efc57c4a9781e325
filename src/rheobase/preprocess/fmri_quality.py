"""What an fMRI recording's noise and motion look like, in numbers, flags and pictures.

Signals are (time, region); ``runs`` numbers the stretches that were recorded in one go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import scipy

from rheobase.preprocess import filters, fmri_connectivity, preview, quality
from rheobase.preprocess.fmri_censor import at_starts
from rheobase.preprocess.fmri_denoise import Regressors

SPIKE_RATIO, LEAST_AC1, LEAST_VALID = 3, 0.2, 0.5
JUMP_RATIO = 4
"""One volume's DVARS over the median."""
SAME_R, MOST_COMPARED = 0.9999, 1500
FAST_HZ = 0.1
MOST_CONFOUNDS = 40


@dataclass(frozen=True)
class Voxels:
    """A few voxels of an image before and after cleaning, (time, voxel), and their tissues."""

    before: np.ndarray
    after: np.ndarray
    tissue: np.ndarray


@dataclass(frozen=True)
class Measured:
    """One recording before and after cleaning; regions are those that were kept."""

    before: np.ndarray
    after: np.ndarray
    valid: np.ndarray
    runs: np.ndarray
    moved: np.ndarray | None
    """Framewise displacement in millimetres, (time,), where motion is known."""
    rate: float
    time_unit: str
    freedom: int
    """Degrees of freedom left."""
    regressors: Regressors
    courses: Mapping[str, np.ndarray] = field(default_factory=dict)
    """``dvars``, ``std_dvars`` and ``global_signal`` over voxels, (time,), of an image."""
    voxel_tsnr: np.ndarray | None = None
    """Median over the voxels of an image."""
    region_tsnr: np.ndarray | None = None
    """Mean of the voxels' temporal SNR, (region,)."""
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Labels of the regions: ``network``, ``x``, ``y``, ``z``."""
    maps: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Slices of an image, (slice, row, column): ``map_<measure>``, NaN outside, and
    ``map_regions``."""
    voxels: Voxels | None = None

    @cached_property
    def pair(self) -> dict[str, np.ndarray]:
        """The valid frames before and after."""
        return {"before": self.before[self.valid], "after": self.after[self.valid]}

    @property
    def places(self) -> np.ndarray | None:
        """The centres of the regions in mm, (region, 3), where they are known."""
        if not {"x", "y", "z"} <= set(self.labels):
            return None
        return np.column_stack([np.asarray(self.labels[axis], float) for axis in "xyz"])


def dvars(signal: np.ndarray, runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return DVARS and standardised DVARS, (time,); NaN at the start of a run.

    Root mean square over regions of the frame-to-frame change; standardised by what a first-order
    process of the regions' robust spread would give, ``mean(IQR / 1.349 sqrt(2 (1 - ac1)))``
    (Nichols 2013).
    """
    change = np.diff(signal, axis=0, prepend=np.full((1, signal.shape[1]), np.nan))
    course = np.sqrt((change**2).mean(axis=1))
    course[1:][np.diff(runs) != 0] = np.nan
    spread = scipy.stats.iqr(signal, axis=0) / 1.349
    expected = (spread * np.sqrt(2 * (1 - autocorrelation(signal, runs)))).mean()
    return course, course / expected if expected > 0 else np.full(len(course), np.nan)


def autocorrelation(signal: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """Return each region's correlation between neighbouring frames of a run, (region,)."""
    centred = signal - signal.mean(axis=0)
    product = (centred[1:] * centred[:-1])[np.diff(runs) == 0].sum(axis=0)
    power = (centred**2).sum(axis=0)
    return product / np.where(power > 0, power, 1)


def temporal_snr(signal: np.ndarray) -> np.ndarray:
    """Return each region's mean over its standard deviation without a second-order trend."""
    time = np.polynomial.legendre.legvander(np.linspace(-1, 1, len(signal)), 2)
    rest = signal - time @ np.linalg.lstsq(time, signal, rcond=None)[0]
    return signal.mean(axis=0) / np.maximum(rest.std(axis=0), np.finfo(float).tiny)


def report(
    found: Measured,
    names: Sequence[str],
    *,
    coverage: np.ndarray | None,
    excluded: dict[str, str],
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the quality control; ``names`` are all regions, ``notes`` warnings of the reader.

    Temporal SNR and percent need the mean of the signal: they are null where it was removed. DVARS
    and temporal SNR are over voxels for an image, over regions for region series.
    """
    mean, spread = found.before.mean(axis=0), found.before.std(axis=0)
    has_mean = bool(np.median(np.abs(mean) / spread) >= 1)
    course, standard = _changes(found, has_mean)
    ac1, tsnr = autocorrelation(found.before, found.runs), temporal_snr(found.before)
    tsnr = tsnr if found.region_tsnr is None else found.region_tsnr
    middle = np.median(tsnr) if found.voxel_tsnr is None else float(found.voxel_tsnr)
    metrics = {
        "grand_mean": mean.mean() if has_mean else None,
        "sd_median": np.median(spread),
        "sd_percent_median": np.median(100 * spread / np.abs(mean)) if has_mean else None,
        "tsnr_median": middle if has_mean else None,
        "ac1_median": np.median(ac1),
        "ac1_after_median": np.median(autocorrelation(found.after, found.runs)),
        "dvars_median": np.nanmedian(course),
        "dvars_p99_over_median": np.nanpercentile(course, 99) / np.nanmedian(course),
        "std_dvars_median": np.nanmedian(standard),
        "power_above_0.1_hz_percent": _fast_share(found),
        "degrees_of_freedom": found.freedom,
        "degrees_of_freedom_lost_percent": 100 * (1 - found.freedom / len(found.before)),
        **fmri_connectivity.numbers(found.pair),
        **_motion(found),
    }
    if coverage is not None:
        metrics["coverage_percent_median"] = 100 * float(np.median(coverage))
    kept = {"mean": mean, "sd": spread, "ac1": ac1, **({"tsnr": tsnr} if has_mean else {})}
    columns = {key: _spread_out(values, names, excluded) for key, values in kept.items()}
    columns |= {} if coverage is None else {"coverage": np.asarray(coverage, float)}
    content = {
        "metrics": quality.numbers(metrics),
        "units": quality.unit_rows(names, columns, excluded),
        "flags": [
            *_flags(metrics, found.valid, excluded),
            *_jump(course, found.rate, found.time_unit),
            *_same(found.before, [n for n in names if n not in excluded]),
            *_noted(notes),
        ],  # fmt: skip
        "preview": _preview(found, course, standard, [n for n in names if n not in excluded]),
    }
    if not has_mean:
        content["notes"] = ["no temporal SNR: the mean was taken out before (z-scored or demeaned)"]
    return content


def _changes(found: Measured, has_mean: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return DVARS and its standardised form over voxels where measured, else over regions."""
    scale = 1000 / np.median(np.abs(found.before)) if has_mean else 1.0
    course, standard = dvars(found.before * scale, found.runs)
    there = {k: at_starts(v, found.runs, np.nan) for k, v in found.courses.items()}
    return there.get("dvars", course), there.get("std_dvars", standard)


def _spread_out(values: np.ndarray, names: Sequence[str], excluded: dict[str, str]) -> np.ndarray:
    full = np.full(len(names), np.nan)
    full[[name not in excluded for name in names]] = values
    return full


def _fast_share(found: Measured) -> float | None:
    if found.time_unit == "frame" or found.rate / 2 <= FAST_HZ:
        return None
    parts = filters.pieces(found.runs)
    frequencies, power, _ = filters.spectrum(found.before, parts, rate=found.rate, samples=256)
    share = power[frequencies > FAST_HZ].sum(axis=0) / power[1:].sum(axis=0)
    return float(100 * np.median(share))


def _motion(found: Measured) -> dict[str, float]:
    invalid = {"invalid_percent": 100 * (1 - found.valid.mean())}
    if found.moved is None:
        return invalid
    return invalid | {
        "fd_mean_mm": found.moved.mean(),
        "fd_median_mm": np.median(found.moved),
        "fd_max_mm": found.moved.max(),
        "fd_above_0.2_mm_percent": 100 * (found.moved > 0.2).mean(),
        "fd_above_0.5_mm_percent": 100 * (found.moved > 0.5).mean(),
    }


def _jump(course: np.ndarray, rate: float, time_unit: str) -> list[dict[str, str]]:
    """Return a warning where single volumes jump, too few for the flag of motion spikes."""
    ratio = course / np.nanmedian(course)
    jumps = np.flatnonzero(np.nan_to_num(ratio) > JUMP_RATIO)
    if not len(jumps) or np.nanpercentile(ratio, 99) > SPIKE_RATIO:
        return []
    worst = int(np.nanargmax(ratio))
    text = (
        f"the signal jumps at {len(jumps)} volumes, most at {worst / rate:g} {time_unit}: DVARS is "
        f"{ratio[worst]:.2g} times its median, above {JUMP_RATIO}"
    )
    return [quality.flag("warning", text)]


def _same(signal: np.ndarray, names: Sequence[str]) -> list[dict[str, str]]:
    """Return a warning where regions hold the same signal; of 1500 regions at most."""
    if not 2 <= len(names) <= MOST_COMPARED:
        return []
    same = np.argwhere(np.triu(np.corrcoef(signal, rowvar=False), 1) > SAME_R)
    if not len(same):
        return []
    pairs = "; ".join(f"{names[a]} and {names[b]}" for a, b in same[:5])
    more = f" (and {len(same) - 5} pairs more)" if len(same) > 5 else ""
    text = f"regions hold the same signal (correlation above {SAME_R}): {pairs}{more}"
    return [quality.flag("warning", text)]


def _noted(notes: Sequence[str]) -> list[dict[str, str]]:
    return [quality.flag("warning", note) for note in notes]


def _flags(
    metrics: dict[str, Any], valid: np.ndarray, excluded: dict[str, str]
) -> list[dict[str, str]]:
    flags = []
    spikes = metrics["dvars_p99_over_median"]
    if spikes > SPIKE_RATIO:
        text = (
            f"motion spikes: the 99th percentile of DVARS is {spikes:.2g} times its median, "
            f"above {SPIKE_RATIO}"
        )
        flags.append(quality.flag("bad", text))
    if metrics["ac1_median"] < LEAST_AC1:
        text = f"the median lag-1 autocorrelation is {metrics['ac1_median']:.2f}, below {LEAST_AC1}"
        flags.append(quality.flag("warning", f"noisy: {text}"))
    if valid.mean() < LEAST_VALID:
        text = f"{100 * valid.mean():.0f} % of the volumes are valid, less than"
        flags.append(quality.flag("bad", f"{text} {100 * LEAST_VALID:.0f} %"))
    if excluded:
        text = f"{len(excluded)} regions are left out: {quality.listed(list(excluded))}"
        flags.append(quality.flag("warning", text))
    return flags


def _preview(
    found: Measured, course: np.ndarray, standard: np.ndarray, names: list[str]
) -> dict[str, Any]:
    parts = filters.pieces(found.runs)
    level = found.before.mean(axis=0)
    pair = (found.before - level, found.after)
    whole = found.courses.get("global_signal", found.before.mean(axis=1))
    series = {} if found.moved is None else {
        "framewise_displacement_mm": preview.course(found.moved)
    }  # fmt: skip
    series |= {"dvars": preview.course(course), "std_dvars": preview.course(standard)}
    series["global_signal"] = preview.course(np.asarray(whole, float))
    networks = found.labels.get("network")
    return {
        "spectrum": preview.spectra(*pair, parts, rate=found.rate, samples=256),
        "traces": preview.traces(*pair, names, rate=found.rate),
        "series": series,
        "censored": [
            [float(f"{edge / found.rate:.6g}") for edge in (bad.start, bad.stop)]
            for bad in filters.stretches(~found.valid)
        ],
        "duration": len(found.before) / found.rate,
        **fmri_connectivity.distributions(found.pair, networks),
        **_confounds(found.regressors),
    }


def _confounds(found: Regressors) -> dict[str, Any]:
    """Return the correlation of the regressors in hundredths, at most 40 of them."""
    if len(found.names) < 2:
        return {}
    values = found.values[:, :MOST_CONFOUNDS]
    centred = values - values.mean(axis=0)
    size = np.linalg.norm(centred, axis=0)
    r = (centred.T @ centred) / np.maximum(np.outer(size, size), 1e-300)
    names = list(found.names[:MOST_CONFOUNDS])
    return {"confounds": {"names": names, "of": len(found.names),
                          "r": np.rint(100 * r).astype(int).tolist()}}  # fmt: skip

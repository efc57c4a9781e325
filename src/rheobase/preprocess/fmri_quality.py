"""What an fMRI recording's noise and motion look like, in numbers, flags and pictures.

Signals are (time, region); ``runs`` numbers the stretches that were recorded in one go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from rheobase.preprocess import filters, preview, quality

HEAD_RADIUS_MM = 50
SPIKE_RATIO, LEAST_AC1, LEAST_VALID = 3, 0.2, 0.5
FAST_HZ = 0.1
MANY_REGIONS = 1500
"""Connectivity numbers use at most so many regions, evenly taken (voxel recordings)."""


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


def framewise_displacement(motion: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """Return Power's framewise displacement in millimetres, (time,); 0 at the start of a run.

    ``sum |d translation| + 50 mm sum |d rotation|`` (Power et al. 2012); ``motion`` is (time, 6):
    translations in mm, then rotations in radians.
    """
    step = np.abs(np.diff(motion, axis=0, prepend=motion[:1]))
    moved = step[:, :3].sum(axis=1) + HEAD_RADIUS_MM * step[:, 3:].sum(axis=1)
    moved[1:][np.diff(runs) != 0] = 0
    return moved


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


def global_correlation(signal: np.ndarray) -> float:
    """Return GCOR, the mean correlation over all pairs of regions (Saad et al. 2013)."""
    return float((filters.zscore(signal, np.ones(len(signal), bool)).mean(axis=1) ** 2).mean())


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
    networks: np.ndarray | None,
) -> dict[str, Any]:
    """Return the quality control; ``names`` are all regions, ``networks`` those of the kept ones.

    Temporal SNR and percent need the mean of the signal: they are null where it was removed.
    """
    mean, spread = found.before.mean(axis=0), found.before.std(axis=0)
    has_mean = bool(np.median(np.abs(mean) / spread) >= 1)
    scale = 1000 / np.median(np.abs(found.before)) if has_mean else 1.0
    course, standard = dvars(found.before * scale, found.runs)
    ac1, tsnr = autocorrelation(found.before, found.runs), temporal_snr(found.before)
    metrics = {
        "grand_mean": mean.mean() if has_mean else None,
        "sd_median": np.median(spread),
        "sd_percent_median": np.median(100 * spread / np.abs(mean)) if has_mean else None,
        "tsnr_median": np.median(tsnr) if has_mean else None,
        "ac1_median": np.median(ac1),
        "ac1_after_median": np.median(autocorrelation(found.after, found.runs)),
        "dvars_median": np.nanmedian(course),
        "dvars_p99_over_median": np.nanpercentile(course, 99) / np.nanmedian(course),
        "std_dvars_median": np.nanmedian(standard),
        "power_above_0.1_hz_percent": _fast_share(found),
        **_connectivity(found),
        **_motion(found),
    }
    kept = {"mean": mean, "sd": spread, "ac1": ac1, **({"tsnr": tsnr} if has_mean else {})}
    columns = {key: _spread_out(values, names, excluded) for key, values in kept.items()}
    columns |= {} if coverage is None else {"coverage": np.asarray(coverage, float)}
    content = {
        "metrics": quality.numbers(metrics),
        "units": quality.unit_rows(names, columns, excluded),
        "flags": _flags(metrics, found.valid, excluded),
        "preview": _preview(found, course, [n for n in names if n not in excluded], networks),
    }
    if not has_mean:
        content["notes"] = ["no temporal SNR: the mean was taken out before (z-scored or demeaned)"]
    return content


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


def _connectivity(found: Measured) -> dict[str, float]:
    some = np.unique(
        np.linspace(0, found.before.shape[1], MANY_REGIONS, endpoint=False).astype(int)
    )
    if len(some) < 2:
        return {}
    metrics = {}
    for when, signal in (("before", found.before), ("after", found.after)):
        used = signal[found.valid]
        pairs = np.corrcoef(used[:, some], rowvar=False)[np.triu_indices(len(some), 1)]
        metrics |= {
            f"gcor_{when}": global_correlation(used),
            f"fc_mean_{when}": pairs.mean(),
            f"fc_sd_{when}": pairs.std(),
            f"fc_p05_{when}": np.percentile(pairs, 5),
            f"fc_p95_{when}": np.percentile(pairs, 95),
        }
    return metrics


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


def _flags(
    metrics: dict[str, Any], valid: np.ndarray, excluded: dict[str, str]
) -> list[dict[str, str]]:
    flags = []
    spikes = metrics["dvars_p99_over_median"]
    if spikes > SPIKE_RATIO:
        flags.append(
            quality.flag(
                "bad",
                f"motion spikes: the 99th percentile of DVARS is {spikes:.2g} times its median, "
                f"above {SPIKE_RATIO}",
            )
        )
    if metrics["ac1_median"] < LEAST_AC1:
        flags.append(
            quality.flag(
                "warning",
                f"noisy: the median lag-1 autocorrelation is {metrics['ac1_median']:.2f}, below "
                f"{LEAST_AC1}",
            )
        )
    if valid.mean() < LEAST_VALID:
        flags.append(
            quality.flag(
                "bad",
                f"{100 * valid.mean():.0f} % of the volumes are below the motion limit, less than "
                f"{100 * LEAST_VALID:.0f} %",
            )
        )
    if excluded:
        flags.append(
            quality.flag(
                "warning", f"{len(excluded)} regions are left out: {quality.listed(list(excluded))}"
            )
        )
    return flags


def _preview(
    found: Measured, course: np.ndarray, names: list[str], networks: np.ndarray | None
) -> dict[str, Any]:
    parts = filters.pieces(found.runs)
    level = found.before.mean(axis=0)
    pair = (found.before - level, found.after)
    series = {"dvars": preview.course(course)}
    if found.moved is not None:
        series["framewise_displacement_mm"] = preview.course(found.moved)
    return {
        "spectrum": preview.spectra(*pair, parts, rate=found.rate, samples=256),
        "carpet": preview.carpet(*pair, names, rate=found.rate, groups=networks),
        "traces": preview.traces(*pair, names, rate=found.rate),
        "series": series,
    }

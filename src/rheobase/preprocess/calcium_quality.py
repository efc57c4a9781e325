"""What is known of each cell's trace: noise, events, decay, drift, shape, neighbours.

Signals are (time, cell).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import scipy

from rheobase.io.raw import Raw
from rheobase.preprocess import filters
from rheobase.preprocess.calcium_decay import decay_times
from rheobase.preprocess.calcium_events import active, event_measures, least_frames
from rheobase.preprocess.clean import Order

NEAR_PX = 15
PEAK = 3
JUDGED_BY_SNR = ("raw", "neuropil_corrected", "dff")


def noise(signal: np.ndarray, runs: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return each unit's noise, ``median |x[t] - x[t-1]| / (0.6745 sqrt 2)``, within runs."""
    pairs = (np.diff(runs) == 0) & valid[1:] & valid[:-1]
    made = np.empty(signal.shape[1])
    for units in filters.unit_chunks(len(signal), signal.shape[1]):
        change = np.abs(np.diff(signal[:, units], axis=0)[pairs])
        made[units] = np.median(change, axis=0) if len(change) else np.nan
    return made / (0.6745 * np.sqrt(2))


def measures(
    made: np.ndarray, fluorescence: np.ndarray, runs: np.ndarray, valid: np.ndarray, order: Order
) -> dict[str, np.ndarray]:
    """Return (cell,) metrics of the cleaned trace ``made`` and of what it was made from.

    ``snr`` is (95th - 50th percentile) / noise and ``peak_snr`` (largest - 50th) / noise; ``nu`` is
    the noise of dF/F in percent per root hertz, ``100 median |x[t] - x[t-1]| / sqrt(rate)``. Events
    and decay are those of traces that are not deconvolved.
    """
    sigma = noise(made, runs, valid)
    names = ("snr", "peak_snr", "skewness", "saturated_percent")
    columns: dict[str, list[np.ndarray]] = {key: [] for key in names}
    middle = np.empty(made.shape[1])
    for units in filters.unit_chunks(len(made), made.shape[1]):
        x = np.ascontiguousarray(made[valid, units].T)
        f = fluorescence[valid, units]
        middle[units], high = np.percentile(x, (50, 95), axis=1)
        scale = np.maximum(sigma[units], np.finfo(np.float32).tiny)
        columns["snr"].append((high - middle[units]) / scale)
        columns["peak_snr"].append((x.max(axis=1) - middle[units]) / scale)
        columns["skewness"].append(scipy.stats.skew(x.astype(np.float64), axis=1))
        columns["saturated_percent"].append(100 * (f == f.max(axis=0)).mean(axis=0))
    found = {"noise": sigma, **{key: np.concatenate(values) for key, values in columns.items()}}
    if order.options["input"] in JUDGED_BY_SNR and order.time_unit == "s":
        found["nu_percent_per_root_hz"] = sigma * 0.6745 * np.sqrt(2) * 100 / np.sqrt(order.rate)
    if order.options["input"] == "deconvolved":
        return found
    unit = "s" if order.time_unit == "s" else "frames"
    found[f"decay_{unit}"] = decay_times(made, runs, valid, rate=order.rate)
    parts = filters.pieces(runs, valid)
    events = active(made, parts, middle, sigma, least_frames(order.rate, order.time_unit))
    clock = {"rate": order.rate, "time_unit": order.time_unit}
    return found | event_measures(made, events, middle, parts=parts, **clock)


def told_by_file(raw: Raw, signal: np.ndarray) -> dict[str, np.ndarray]:
    """Return (region,) what is known of all regions before any is left out."""
    found = {"missing_percent": 100 * (~np.isfinite(signal)).mean(axis=0)}
    for key in ("cell_probability", "component_snr"):
        if key in raw.extras:
            found[key] = np.asarray(raw.extras[key], float)
    return found


def correlation(signal: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the correlation of each unit with the same unit of ``other``, (unit,)."""
    made = np.empty(signal.shape[1])
    for units in filters.unit_chunks(len(signal), signal.shape[1], copies=2):
        a, b = (x[:, units] - x[:, units].mean(axis=0, dtype=np.float64) for x in (signal, other))
        scale = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
        made[units] = (a * b).sum(axis=0) / np.where(scale > 0, scale, np.nan)
    return made


def neighbours(
    signal: np.ndarray, places: np.ndarray, names: Sequence[str]
) -> tuple[np.ndarray, list[str]]:
    """Return each cell's largest absolute correlation with another within 15 pixels, (cell,), and
    that cell's name; NaN and nothing where no other is so near.

    ``places`` are (cell, 2) in pixels. Only pairs that are near are correlated.
    """
    best, who = np.full(len(names), np.nan), [""] * len(names)
    pairs = scipy.spatial.cKDTree(places).query_pairs(NEAR_PX, output_type="ndarray")
    for some in filters.unit_chunks(len(signal), len(pairs), copies=4) if len(pairs) else ():
        first, second = pairs[some].T
        r = np.abs(correlation(signal[:, first], signal[:, second]))
        for a, b, value in zip(first.tolist(), second.tolist(), r.tolist(), strict=True):
            for one, other in ((a, b), (b, a)):
                if not value <= best[one] and np.isfinite(value):
                    best[one], who[one] = value, names[other]
    return best, who


def too_noisy(
    columns: Mapping[str, np.ndarray], names: Sequence[str], order: Order
) -> dict[str, str]:
    """Return why cells are left out for their signal-to-noise ratio; nothing for z-scores.

    A cell that is seldom active has a low ratio too, so one with an event and a peak of three times
    the limit stays (chosen here): noise alone rarely reaches five.
    """
    least = order.options["snr"]
    if order.options["input"] not in JUDGED_BY_SNR:
        return {}
    key = "event_rate_per_min" if order.time_unit == "s" else "event_rate_per_frame"
    seldom = (columns[key] > 0) & (columns["peak_snr"] >= PEAK * least)
    return {
        name: f"signal-to-noise ratio {value:.2f}, below {least:g}"
        for name, value, active in zip(names, columns["snr"], seldom, strict=True)
        if not (value >= least or active)
    }

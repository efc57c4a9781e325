"""Events of calcium traces: where they are, how many, how large; signals are (time, cell)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rheobase.preprocess.filters import unit_chunks

EVENT_START, EVENT_END, LEAST_FRAMES, LEAST_S = 3, 1.5, 2, 0.3
LEAST_INTERVALS = 2


def least_frames(rate: float, time_unit: str) -> int:
    """Return how many frames an event lasts at least: 2, and 0.3 s."""
    if time_unit != "s":
        return LEAST_FRAMES
    return max(LEAST_FRAMES, int(np.ceil(LEAST_S * rate - 1e-9)))


def active(
    signal: np.ndarray, parts: Sequence[slice], middle: np.ndarray, sigma: np.ndarray, least: int
) -> np.ndarray:
    """Return (time, cell) True while a cell is active, within ``parts``.

    From the frame that rises above ``middle`` by 3 ``sigma``, both (cell,), until it falls below
    1.5, if that lasts ``least`` frames.
    """
    made = np.zeros(signal.shape, bool)
    scale = np.where(sigma > 0, sigma, np.inf)
    for units in unit_chunks(len(signal), signal.shape[1], copies=4):
        for part in parts:
            score = (signal[part, units] - middle[units]) / scale[units]
            made[part, units] = _lasting(_above(score), least)
    return made


def event_measures(
    signal: np.ndarray,
    events: np.ndarray,
    middle: np.ndarray,
    *,
    parts: Sequence[slice],
    rate: float,
    time_unit: str,
) -> dict[str, np.ndarray]:
    """Return (cell,) events a minute (or a frame), median height above ``middle``, median width in
    seconds (or frames) and the coefficient of variation of the intervals between starts.

    Height, width and variation are NaN where there are no events, or fewer than two intervals.
    Intervals across the edges of ``parts`` do not count.
    """
    n_cells = signal.shape[1]
    lasts = sum(part.stop - part.start for part in parts) / rate
    names = ("event_amplitude", "event_width_s", "event_interval_cv")
    columns = {name: np.full(n_cells, np.nan) for name in names}
    number = _numbered(parts, len(signal))
    counts = np.zeros(n_cells)
    for cell in range(n_cells):
        edges = np.flatnonzero(np.diff(events[:, cell].astype(np.int8), prepend=0, append=0))
        starts, stops = edges[::2], edges[1::2]
        counts[cell] = len(starts)
        if not len(starts):
            continue
        heights = np.maximum.reduceat(
            np.append(signal[:, cell], -np.inf), np.stack([starts, stops], axis=1).ravel()
        )
        columns["event_amplitude"][cell] = np.median(heights[::2]) - middle[cell]
        columns["event_width_s"][cell] = np.median(stops - starts) / rate
        apart = np.diff(starts)[np.diff(number[starts]) == 0]
        if len(apart) >= LEAST_INTERVALS:
            columns["event_interval_cv"][cell] = apart.std(ddof=1) / apart.mean()
    if time_unit == "frame":
        columns["event_width_frames"] = columns.pop("event_width_s")
        return {"event_rate_per_frame": counts / lasts, **columns}
    return {"event_rate_per_min": 60 * counts / lasts, **columns}


def _numbered(parts: Sequence[slice], n_time: int) -> np.ndarray:
    made = np.full(n_time, -1)
    for number, part in enumerate(parts):
        made[part] = number
    return made


def _above(score: np.ndarray) -> np.ndarray:
    """Return (time, cell) True from each rise above the start until the fall below the end."""
    turn = np.where(score > EVENT_START, 1, np.where(score < EVENT_END, -1, 0)).astype(np.int8)
    turn[0] = np.where(turn[0] == 1, 1, -1)
    last = np.where(turn != 0, np.arange(len(turn))[:, None], 0)
    return np.take_along_axis(turn, np.maximum.accumulate(last, axis=0), axis=0) > 0


def _lasting(above: np.ndarray, least: int) -> np.ndarray:
    """Return only the stretches of True that last ``least`` samples."""
    edge = np.zeros((1, above.shape[1]), bool)
    change = np.diff(np.concatenate([edge, above, edge]).astype(np.int8), axis=0).T
    starts, stops = np.argwhere(change == 1), np.argwhere(change == -1)
    long = stops[:, 1] - starts[:, 1] >= least
    kept = np.zeros(change.shape, np.int8)
    kept[tuple(starts[long].T)] = 1
    kept[tuple(stops[long].T)] = -1
    return np.cumsum(kept, axis=1)[:, :-1].T > 0

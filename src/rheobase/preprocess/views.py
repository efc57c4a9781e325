"""What of a recording a model is given, made when it is loaded and never stored.

``signal`` is the cleaned recording itself, ``envelope`` the smoothed rectified EMG on a slow clock,
``events`` where calcium stands out of its noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy

from rheobase.preprocess import filters
from rheobase.preprocess.calcium_events import EVENT_END, EVENT_START, active, least_frames
from rheobase.preprocess.calcium_quality import noise
from rheobase.preprocess.clean import DEFAULTS
from rheobase.recording import Recording

VIEWS = ("signal", "envelope", "events")
PAD_S = 0.5


def view(recording: Recording, name: str, options: Mapping[str, Any]) -> Recording:
    """Return the view ``name``; ``options`` are the config's ``preprocess`` block.

    Raises ``ValueError`` for a view that the modality does not have.
    """
    if name == "signal":
        return recording
    needed = {"envelope": "emg", "events": "calcium"}.get(name)
    if needed is None:
        raise ValueError(
            f"{recording.name}: view {name!r} is unknown; use one of {', '.join(VIEWS)}"
        )
    if recording.modality != needed:
        raise ValueError(
            f"{recording.name}: the view {name} is for {needed} and this is {recording.modality}; "
            "use view: signal"
        )
    options = {**DEFAULTS[needed], **options}
    made = envelope(recording, options) if name == "envelope" else events(recording)
    dim = recording.unit_dim
    labels = {k: v for k, v in recording.data.coords.items() if v.dims == (dim,) and k != dim}
    return Recording(made.data.assign_coords({k: (dim, v.values) for k, v in labels.items()}))


def envelope(recording: Recording, options: Mapping[str, Any]) -> Recording:
    """Return rectified EMG, low-passed at ``envelope_hz``, never negative, at ``envelope_rate_hz``.

    Butterworth order 4, zero-phase, then polyphase resampling, each piece by itself; forward only
    and thinned with ``causal``. Piece by piece the clock is set anew, to half a sample of the
    recording. Samples that are not valid are 0.
    """
    rate, edge, causal = recording.rate, options["envelope_hz"], bool(options["causal"])
    if recording.time_unit == "frame":
        raise ValueError(
            f"{recording.name}: an envelope in hertz needs the sampling rate, not frames"
        )
    if edge >= rate / 2:
        raise ValueError(
            f"{recording.name}: envelope_hz is {edge:g} Hz and must lie below half the sampling "
            f"rate, {rate / 2:g} Hz"
        )
    sections = filters.butterworth(None, edge, rate=rate)
    smooth = filters.filter_pieces(
        np.abs(recording.signal),
        recording.pieces(),
        sections,
        causal=causal,
        pad=round(PAD_S * rate),
    )
    smooth = np.maximum(smooth, 0)
    step = {"step": "envelope", "low_pass_hz": edge, "causal": causal, "acausal": not causal}
    if options["envelope_rate_hz"] >= rate:
        return recording.with_signal(smooth, unit_names=recording.unit_names, step=step)
    ratio = filters.rate_ratio(rate, options["envelope_rate_hz"])
    new_rate = rate * ratio.numerator / ratio.denominator
    made = _slower(smooth, recording.pieces(), ratio.numerator, ratio.denominator, causal=causal)
    step["rate_hz"] = new_rate
    return recording.with_signal(made, unit_names=recording.unit_names, step=step, rate=new_rate)


def _slower(
    signal: np.ndarray, parts: list[slice], up: int, down: int, *, causal: bool
) -> np.ndarray:
    """Return the signal at ``up / down`` of its rate; sample k stands at ``k down / up``."""
    made = np.zeros((-(-len(signal) * up // down), signal.shape[1]), np.float32)
    for part in parts:
        first, last = -(-part.start * up // down), -(-part.stop * up // down)
        at = np.arange(first, last) * down // up
        if not len(at):
            continue
        if causal:
            made[first:last] = signal[at]
            continue
        start = min(round(first * down / up), part.stop - 1)
        slow = scipy.signal.resample_poly(
            signal[start : part.stop], up, down, axis=0, padtype="edge"
        )
        n = min(len(slow), last - first)
        made[first : first + n] = slow[:n]
        made[first + n : last] = slow[n - 1]
    return np.maximum(made, 0)


def events(recording: Recording) -> Recording:
    """Return 1 while a cell is active and 0 elsewhere.

    Active from the frame that rises above the cell's median by 3 noise standard deviations until it
    falls below 1.5, if that lasts 2 frames and 0.3 s. Noise is robust and frame to frame; counting
    from the median is chosen here, since the baseline of dF/F is a low percentile.
    """
    data, valid = recording.data, recording.valid
    block = data["block"].values if "block" in data else None
    runs = filters.run_numbers(block, len(valid))
    sigma = noise(recording.signal, runs, valid)
    least = least_frames(recording.rate, recording.time_unit)
    middle = np.median(recording.signal[valid], axis=0)
    made = active(recording.signal, recording.pieces(), middle, sigma, least).astype(np.float32)
    step = {
        "step": "events",
        "start_sd": EVENT_START,
        "end_sd": EVENT_END,
        "least_frames": least,
        "acausal": True,
    }
    return recording.with_signal(made, unit_names=recording.unit_names, step=step, units="event")

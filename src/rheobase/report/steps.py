"""Processing steps in words: what a recording's ``steps`` say, as fragments of a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rheobase.report.figures import UNITS

Step = Mapping[str, Any]


def describe_step(step: Step) -> str:
    """Return a processing step in words, like "band-pass filter from 0.01 to 0.1 Hz"."""
    name = str(step.get("step", "step"))
    return _KNOWN[name](step) if name in _KNOWN else _phrase(name, *_details(step))


def value_text(value: Any) -> str:
    """Return a value in words; a long list as the number of its entries."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return f"{len(value)} entries" if len(value) > 6 else ", ".join(map(value_text, value))
    return str(value)


def _phrase(name: str, *details: str | None) -> str:
    """Return a name with those details that are not empty, in brackets."""
    said = ", ".join(detail for detail in details if detail)
    return f"{name} ({said})" if said else name


def _details(step: Step) -> list[str]:
    return [
        _detail(key, value)
        for key, value in step.items()
        if key not in ("step", "acausal")
        and value is not None
        and value is not False
        and value not in ("", [], (), {})
    ]


def _detail(key: str, value: Any) -> str:
    if value is True:
        return key.replace("_", " ")
    stem, _, unit = key.rpartition("_")
    if stem and unit in UNITS and isinstance(value, int | float | list | tuple):
        return f"{stem.replace('_', ' ')} {value_text(value)} {UNITS[unit]}"
    return f"{key.replace('_', ' ')} {value_text(value)}"


def _given(step: Step, key: str, text: str) -> str | None:
    """Return the text with the value in its braces, or None where there is no value."""
    value = step.get(key)
    return None if value in (None, "", [], ()) else text.format(value_text(value))


def _ordinal(number: Any) -> str:
    text = value_text(number)
    teen = text[-2:] in ("11", "12", "13")
    return text + ("th" if teen else {"1": "st", "2": "nd", "3": "rd"}.get(text[-1:], "th"))


def _count(step: Step, key: str, thing: str) -> str:
    many = step.get(key, "some")
    return f"{value_text(many)} {thing}{'s' * (many != 1)}"


def _filter(step: Step) -> str:
    low, high = step.get("low_hz"), step.get("high_hz")
    if low is not None and high is not None:
        band = f"band-pass filter from {low:g} to {high:g} Hz"
    elif low is not None:
        band = f"high-pass filter at {low:g} Hz"
    else:
        band = "filter" if high is None else f"low-pass filter at {high:g} Hz"
    return _phrase(
        band, _given(step, "filter", "{}"), _given(step, "order", "order {}"), _way(step),
        _freedom(step),
    )  # fmt: skip


def _way(step: Step) -> str | None:
    if step.get("causal") is None:
        return None
    return "causal" if step["causal"] else "run forwards and backwards"


def _notch(step: Step) -> str:
    lines: Sequence[float] = step.get("lines_hz") or ()
    at = " and ".join(f"{line:g}" for line in lines[:2]) + " Hz"
    if len(lines) > 2:
        at = f"{lines[0]:g} Hz and its {len(lines) - 1} harmonics up to {lines[-1]:g} Hz"
    wide = _given(step, "width_hz", "{} Hz wide")
    return _phrase(f"notch filter{f' at {at}' if lines else ''}", wide, _why(step))


def _why(step: Step) -> str | None:
    return _given(step, "why", "{}")


def _parcellate(step: Step) -> str:
    lost = step.get("lost") or []
    if step.get("atlas") == "voxels":
        return f"each of the {value_text(step.get('regions'))} voxels as a signal of its own"
    return _phrase(
        f"mean over the voxels of each of {_count(step, 'regions', 'region')}",
        _given(step, "atlas", "atlas {}"),
        _given(step, "voxels_min", "at least {} voxels a region"),
        _given(step, "voxels_median", "median {}"),
        f"{len(lost)} regions without a voxel left out" if lost else None,
    )


def _events(step: Step) -> str:
    ends = f"above {value_text(step.get('start_sd'))} noise SD"
    until = _given(step, "end_sd", "until below {}")
    return _phrase("detection of events", ends, until, _given(step, "least_frames", "≥ {} frames"))


def _neuropil(step: Step) -> str:
    raised = step.get("raised_samples")
    least = value_text(step.get("least_percent_of_median"))
    share = value_text(step.get("share"))
    many = f"a share fitted to each cell, {share} in the median," if step.get("fitted") else share
    return _phrase(
        f"subtraction of {many} times the neuropil about its median",
        _given(step, "from", "the share is that of {}"),
        f"{raised} samples raised to {least} % of their cell's median" if raised else None,
    )


def _baseline(step: Step) -> str:
    window = f" over {step['window_s']:.4g} s" if step.get("window_s") else ""
    match step.get("method", "percentile"):
        case "maximin":
            smooth = _given(step, "smoothing_s", "Gaussian of {} s")
            return _phrase(f"running maximum of the running minimum{window}", smooth)
        case "exp":
            low = f"{_ordinal(step.get('percentile'))} percentile"
            return f"constant and two exponential decays under each trace, through its {low},"
        case _:
            return f"running {_ordinal(step.get('percentile'))} percentile{window}"


def _deconvolved(step: Step) -> str:
    decay = _given(step, "decay_s", "decay {} s")
    return _phrase(f"deconvolution ({step.get('method')})", decay, _given(step, "from", "from {}"))


def _chosen_cells(step: Step) -> str:
    return _phrase(
        f"choice among {_count(step, 'cells', 'cell')}",
        _given(step, "taken", "{} taken"),
        _given(step, "included_by_name", "{} named to be taken"),
        _given(step, "excluded_by_name", "{} named to be left out"),
        _given(step, "cell_probability", "probability of being a cell at least {}"),
    )


def _bridged(step: Step) -> str:
    unused = step.get("invalid_frames")
    return _phrase(
        f"straight lines across {_count(step, 'frames', 'bad frame')}",
        _given(step, "missing", "{} missing"),
        _given(step, "flagged_by_file", "{} flagged by the file"),
        _given(step, "named_in_config", "{} named in the config"),
        _given(step, "jumps", "{} in which the cells jump"),
        f"{unused} of them not used further" if unused else None,
    )


def _filled(step: Step) -> str:
    unused = step.get("invalid_samples")
    return _phrase(
        f"filling of gaps{_given(step, 'longest_s', ' up to {} s') or ''}",
        _count(step, "samples", "sample"),
        f"{unused} samples in longer gaps not used" if unused else None,
    )


def _flagged(step: Step) -> str:
    why = [
        _given(step, "fd_mm", "displacement above {} mm"),
        _given(step, "std_dvars", "standardised DVARS above {}"),
        "not in steady state" if step.get("not_steady") else None,
        _given(step, "scrub", "stretches of fewer than {} frames between them"),
    ]
    return _phrase(f"interpolation across {_count(step, 'frames', 'frame')} not used", *why)


def _confounds(step: Step) -> str:
    return _phrase(
        f"regression of {_count(step, 'confounds', 'confound')}",
        _given(step, "strategy", "strategy {}"),
        _freedom(step),
    )


def _chosen(step: Step) -> str:
    dropped = _given(step, "cosines_dropped", "{} cosines left to the filter's lower edge")
    many = len(step.get("confounds") or ())
    before = _given(step, "removed_before", "{} noise components of ICA-AROMA taken out before")
    return _phrase(f"choice of {many} confounds", _given(step, "strategy", "{}"), dropped, before)


def _freedom(step: Step) -> str | None:
    return _given(step, "degrees_of_freedom", "leaving {} degrees of freedom")


def _resampled(step: Step) -> str:
    return f"resampling{_given(step, 'from_s', ' from {}') or ''} to {step.get('to_s')} s a volume"


def _scaled(step: Step) -> str:
    to = {"uV": "µV"}.get(str(step.get("to")), str(step.get("to", "another unit")))
    return f"conversion{_given(step, 'from', ' from {}') or ''} to {to}"


def _envelope(step: Step) -> str:
    smooth = _given(step, "low_pass_hz", "rectified, low-pass at {} Hz")
    return _phrase("envelope", smooth, _way(step), _given(step, "rate_hz", "{} samples a second"))


_KNOWN = {
    "drop dummy volumes": lambda s: f"removal of the first {_count(s, 'volumes', 'volume')}",
    "z-score": lambda s: f"z-scoring{_given(s, 'over', ' over {}') or ''}",
    "bridge flagged frames": _flagged,
    "choose confounds": _chosen,
    "regress out confounds": _confounds,
    "resample": _resampled,
    "smooth": lambda s: f"smoothing of the image by {value_text(s.get('fwhm_mm'))} mm",
    "detrend": lambda s: _phrase(
        "removal of a linear trend" if s.get("kind") == "linear" else "detrending", _freedom(s)
    ),
    "band-pass": _filter,
    "high-pass": _filter,
    "notch": _notch,
    "no notch": lambda s: _phrase("no notch filter", _why(s)),
    "no filter": lambda s: _phrase("no filter", _why(s)),
    "choose cells": _chosen_cells,
    "bridge bad frames": _bridged,
    "subtract neuropil": _neuropil,
    "subtract running percentile": lambda s: f"subtraction of the {_baseline(s)}",
    "subtract running maximin": lambda s: f"subtraction of the {_baseline(s)}",
    "deconvolve": _deconvolved,
    "even clock": lambda s: _phrase(
        f"straight lines onto an even clock of {value_text(s.get('rate_hz'))} Hz",
        _given(s, "uneven_percent", "steps differed by up to {} %"),
    ),
    "resample to a rate": lambda s: _phrase(
        f"resampling from {value_text(s.get('from_hz'))} to {value_text(s.get('to_hz'))} Hz",
        _given(s, "way", "{}"),
    ),
    "dF/F": lambda s: f"dF/F with the {_baseline(s)} as baseline",
    "drop bad channels": lambda s: _phrase("removal of bad channels", _given(s, "channels", "{}")),
    "fill gaps": _filled,
    "subtract median": lambda s: "subtraction of each channel's median",
    "scale": _scaled,
    "envelope": _envelope,
    "events": _events,
    "parcellate": _parcellate,
    "transpose": lambda s: _phrase("transposition", _given(s, "reason", "{}")),
    "one-step residual": lambda s: _phrase(
        f"residual of the one-step forecast of the {s.get('family', 'linear')} family",
        _given(s, "order", "order {}"),
        _given(s, "penalty", "penalty {}"),
    ),
}

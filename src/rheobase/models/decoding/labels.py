"""How a label is read, from what it is decoded, and which of its classes are lost on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rheobase.recording import Recording


class NotDecodableError(ValueError):
    """Why a label cannot be decoded from these recordings; all else can be modelled."""


@dataclass(frozen=True)
class How:
    """Where features and labels are taken from."""

    features: str
    """connectivity | windows | samples"""
    kind: str
    """class | value"""
    window_s: float
    hop_s: float
    trim_s: float
    ignore: tuple[str, ...]


def choose(recording: Recording, *, window_s: float, hop_s: float, trim_s: float, ignore) -> How:
    """Return how this recording's label is decoded."""
    over_time = isinstance(label_of(recording), np.ndarray)
    kind = recording.label_kind or "class"
    if recording.modality == "emg" and (over_time or kind == "class"):
        features = "windows"
    else:
        features = "samples" if over_time else "connectivity"
    return How(features, kind, window_s, hop_s, trim_s, tuple(str(name) for name in ignore))


def label_of(recording: Recording) -> str | float | np.ndarray:
    """Return a recording's label, class names as text, missing ones empty or NaN."""
    try:
        label = recording.label
    except KeyError:
        raise NotDecodableError(
            f"{recording.name} has no label {recording.label_name!r}; give it one or leave it out"
        ) from None
    if recording.label_kind == "value":
        try:
            values = np.asarray(label, np.float64)
        except ValueError:
            raise ValueError(
                f"{recording.name}: label {recording.label_name!r} holds text; "
                "label kind value needs numbers (or use kind class)"
            ) from None
        return values if values.ndim else float(values)
    named = _as_text(np.asarray(label))
    return named if named.ndim else str(named)


def _as_text(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "f":
        whole = np.where(np.isfinite(values), values, 0)
        text = (
            whole.astype(int).astype(str) if np.all(whole == np.rint(whole)) else whole.astype(str)
        )
        return np.where(np.isfinite(values), text, "")
    text = values.astype(str)
    return np.where(np.isin(text, ["nan", "None", "n/a"]), "", text)


def classes_in(recordings: Sequence[Recording], how: How) -> list[str]:
    """Return the classes that usable samples carry, in order; one name for values."""
    found: set[str] = set()
    for recording in recordings:
        label = np.asarray(label_of(recording))
        held = np.atleast_1d(label[recording.valid] if label.ndim else label)
        if how.kind == "value":
            found |= {"value"} if np.isfinite(held).any() else set()
        else:
            found |= set(np.unique(held).tolist())
    return sorted(found - {"", *how.ignore})


def lost(recordings: Sequence[Recording], how: How, kept: np.ndarray) -> str:
    """Return which classes of the recordings have no example, and why; empty where none is lost."""
    if how.kind == "value":
        return ""
    gone = sorted(set(classes_in(recordings, how)) - set(kept.astype(str).tolist()))
    return f"no example of {', '.join(gone)} is left: {too_short(recordings, how)}" if gone else ""


def too_short(recordings: Sequence[Recording], how: How) -> str:
    """Return what the stretches of a label are too short for, and the remedy."""
    if how.features != "windows":
        return "its stretches are no longer than the delay of the signal, so shorten delay_s"
    over_time = isinstance(label_of(recordings[0]), np.ndarray)
    trim = how.trim_s if over_time and how.kind == "class" else 0
    late = f" beginning {trim:g} s or more after a switch (trim_s)" if trim else ""
    what = "trim_s or window_s" if trim else "window_s"
    return f"its stretches hold no window of {how.window_s:g} s (window_s){late}; shorten {what}"

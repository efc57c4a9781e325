"""Which recordings this family takes together, each refusal one sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from rheobase.models import inputs
from rheobase.recording import Recording

LEAST_UNITS = 4
NUMBERED = re.compile(r"(plane\d+[_-]?)?(neuron|roi|cell|channel|unit)?[_-]?\d+", re.IGNORECASE)
"""Names that say no more than a place in a file"""


def check(
    recordings: Sequence[Recording], *, part: str, same_cells: bool,
    units: Sequence[str] | None = None,
) -> None:  # fmt: skip
    """Raise ``ValueError`` naming recording and culprit where these cannot be modelled together.

    Cells of several animals may differ where they have names of their own. ``units`` are the
    names that the training part had.
    """
    _refuse_few(recordings)
    if not recordings or recordings[0].modality != "calcium":
        inputs.check(recordings, part=part, units=units)
        return
    for one in recordings:
        inputs.check([one], part=part)
        _same_kind(one, recordings[0])
    if units is not None:
        _enough_known(recordings, units)
    if not same_cells:
        _refuse_numbers(recordings)


def _refuse_few(recordings: Sequence[Recording]) -> None:
    for one in recordings:
        count = one.signal.shape[1]
        if count < LEAST_UNITS:
            raise ValueError(
                f"{one.name} has {count} {one.unit_dim}s; {LEAST_UNITS} are needed, so that pairs "
                "in one half can be predicted from the other: record more or leave it out"
            )


def _same_kind(one: Recording, first: Recording) -> None:
    if abs(one.rate - first.rate) > 1e-6 * first.rate:
        raise ValueError(
            f"{one.name} has {one.rate:g} samples a {one.time_unit} but {first.name} has "
            f"{first.rate:g}; set preprocess.resample_hz to one rate for both"
        )
    names = one.unit_names
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise ValueError(f"{one.name}: two neurons are called {twice}; name them apart")


def _enough_known(recordings: Sequence[Recording], units: Sequence[str]) -> None:
    for one in recordings:
        known = len(set(one.unit_names) & set(units))
        if known < LEAST_UNITS:
            raise ValueError(
                f"{one.name}: {known} of its neurons were in the training part, and {LEAST_UNITS} "
                "are needed; name neurons alike in all recordings, or split by time"
            )


def _refuse_numbers(recordings: Sequence[Recording]) -> None:
    if len({r.subject for r in recordings}) < 2:
        return
    for one in recordings:
        numbered = [n for n in one.unit_names if NUMBERED.fullmatch(n)]
        if numbered:
            raise ValueError(
                f"{one.name}: {len(numbered)} of its neurons have numbers instead of names "
                f"({numbered[0]}), which cannot be matched between animals; make a dataset of each "
                "animal, or set same_cells: true if equal numbers are the same cells"
            )


def lacking(recordings: Sequence[Recording], units: Sequence[str]) -> str:
    """Return which neurons of the test part were not in the training part; empty where none."""
    known, new = set(units), {n for r in recordings for n in r.unit_names}
    odd = sorted(new - known)
    if not odd:
        return ""
    said = ", ".join(odd[:5]) + (f" and {len(odd) - 5} more" if len(odd) > 5 else "")
    return f"not scored, since the training part did not hold them: {said}"


def constant(recordings: Sequence[Recording]) -> list[str]:
    """Return the units that never move in any recording."""
    moved: set[str] = set()
    for r in recordings:
        ranges = np.ptp(r.signal[r.valid], axis=0) if r.valid.any() else np.zeros(r.signal.shape[1])
        moved |= {n for n, x in zip(r.unit_names, ranges, strict=True) if x > 0}
    return sorted({n for r in recordings for n in r.unit_names} - moved)

"""The validation part inside the training part: whole people, recordings or trials, never windows.

It chooses the epoch, calibrates confidence and sets the threshold of early answers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rheobase.models.decoding.examples import NotDecodableError
from rheobase.models.spiking.taken import Taken
from rheobase.recording import Recording

SHARE = 5
"""One in so many is held out; chosen here"""
HELD_BLOCKS, LEAST_WIDTHS = (2, 7), 3


def held_out(taken: Taken, *, values: bool = False) -> tuple[np.ndarray, np.ndarray, str]:
    """Return which windows are learnt from, which validate, (example,), and what was kept whole.

    A fifth validates, at least one, and every class lies in both parts. People where each has one
    label, else what a recording is but for its label (so that the trials of one repetition stay
    together), else trials; of a single recording of ``values`` two blocks of time, a window's width
    beside them left out. Raises ``NotDecodableError`` where a class has a single trial.
    """
    one = taken.examples
    y = np.zeros(len(taken)) if values else one.y
    by_person = all(len(np.unique(one.y[one.subject == s])) == 1 for s in np.unique(one.subject))
    tried = [(one.subject, "people")] if by_person else []
    keys = np.array([_but_for_label(segment) for segment in taken.segments])
    tried += [(keys[taken.segment], "recordings")]
    for groups, name in tried:
        held = _whole(groups, y)
        if held is not None:
            return ~held, held, name
    if values:
        return *_blocks(taken), "blocks of time"
    held = _whole(taken.run, y, least=2)
    if held is not None:
        return ~held, held, "trials"
    single = [c for c in np.unique(y) if len(np.unique(taken.run[y == c])) < 2]
    raise NotDecodableError(
        f"{taken.segments[0].name}: class {str(single[0] if single else y[0])!r} of "
        f"{taken.segments[0].label_name!r} has one trial in the training part; two are needed, one "
        "of them for early stopping, so give more recordings or list the class in ignore_labels"
    )


def _blocks(taken: Taken) -> tuple[np.ndarray, np.ndarray]:
    """Return windows outside and inside a stretch of time or two, none of which overlap.

    Two of ten; of fewer, one, where a tenth would not hold three windows end to end.
    """
    lengths = [len(one.valid) for one in taken.segments]
    begins = (np.cumsum([0, *lengths[:-1]]))[taken.segment] + taken.start
    least = LEAST_WIDTHS * taken.width
    count = int(np.clip((np.ptp(begins) + taken.width) // least, 2, 2 * SHARE))
    borders = np.linspace(begins.min(), begins.max() + taken.width, count + 1)
    held, known = np.zeros(len(taken), bool), np.ones(len(taken), bool)
    for block in HELD_BLOCKS if count == 2 * SHARE else (count // 2,):
        low, high = borders[block], borders[block + 1]
        held |= (begins >= low) & (begins + taken.width <= high)
        known &= (begins + taken.width <= low) | (begins >= high)
    if not held.any() or not known.any():
        raise NotDecodableError(
            f"{taken.segments[0].name}: the training part holds {len(taken)} windows, too few to "
            "keep some apart for early stopping; give longer recordings or a shorter window_s"
        )
    return known, held


def _but_for_label(segment: Recording) -> str:
    """Return what a recording is but for its label: subject, session, repetition."""
    known = segment.entities
    if segment.label_name not in known:
        return segment.name
    return "|".join(f"{k} {v}" for k, v in sorted(known.items()) if k != segment.label_name)


def _whole(groups: np.ndarray, y: np.ndarray, least: int = 3) -> np.ndarray | None:
    """Return windows of a fifth of the groups, every class on both sides; None where none does."""
    names, code = np.unique(groups, return_inverse=True)
    if len(names) < least:
        return None
    held_classes = [frozenset(y[code == place].tolist()) for place in range(len(names))]
    pure = all(len(classes) == 1 for classes in held_classes)
    kinds = held_classes if pure else [frozenset(y.tolist())] * len(names)
    strata = [
        [place for place, own in enumerate(kinds) if own == kind]
        for kind in sorted(set(kinds), key=sorted)
    ]
    if min(map(len, strata)) < 2:
        return None
    for offset in range(max(map(len, strata))):
        chosen = [place for own in strata for place in _spaced(own, offset)]
        held = np.isin(code, chosen)
        if set(y[held]) == set(y[~held]) == set(y):
            return held
    return None


def _spaced(places: Sequence[int], offset: int) -> list[int]:
    """Return a fifth of the places, at least one, at equal distances."""
    count = max(1, round(len(places) / SHARE))
    at = ((np.arange(count) + 0.5) * len(places) / count).astype(int)
    return [places[(one + offset) % len(places)] for one in at]

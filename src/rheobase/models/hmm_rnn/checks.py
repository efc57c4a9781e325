"""What a hidden Markov model cannot be fitted to, said at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FEWEST, MOST = 2, 50
SHIFTED = 100.0
"""Means, in standard deviations, beyond which products of samples lose their digits."""


def series(x: np.ndarray, lengths: Sequence[int] | None, *, shortest: int = 2) -> tuple[int, ...]:
    """Return the segment lengths of a series (time, channel) that can be used.

    Raises ``ValueError`` for values that are not finite, constant channels, fewer samples than
    channels, and lengths that do not fit.
    """
    if x.ndim != 2:
        raise ValueError(f"the series has {x.ndim} axes; give (time, channel)")
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        first = ", ".join(f"({t}, {d})" for t, d in bad[:5])
        raise ValueError(f"the series has {len(bad)} values that are not finite, the first at "
                         f"(time, channel) {first}; remove or fill them")  # fmt: skip
    found = tuple(int(n) for n in ([len(x)] if lengths is None else lengths))
    if sum(found) != len(x):
        raise ValueError(f"lengths sum to {sum(found)}, and there are {len(x)} samples")
    short = [n for n, length in enumerate(found) if length < shortest]
    if short:
        raise ValueError(f"segment {short[0]} has {found[short[0]]} samples; leave out segments "
                         f"shorter than {shortest}")  # fmt: skip
    return found


def channels(x: np.ndarray) -> None:
    """Refuse constant channels, more channels than samples, and means far from 0."""
    if x.shape[1] > len(x):
        raise ValueError(f"there are {x.shape[1]} channels and {len(x)} samples; reduce channels, "
                         "for instance by PCA")  # fmt: skip
    spread = x.std(axis=0)
    still = np.flatnonzero(spread <= 1e-12 * np.maximum(np.abs(x).max(axis=0), 1e-300))
    if len(still):
        raise ValueError(f"channel {still[0]} is constant; leave it out")
    shift = np.abs(x.mean(axis=0)) / spread
    if shift.max() > SHIFTED:
        raise ValueError(f"channel {int(shift.argmax())} has a mean of {shift.max():.3g} standard "
                         f"deviations, limit {SHIFTED:g}; z-score the channels")  # fmt: skip


def states(count: int) -> None:
    if not FEWEST <= count <= MOST:
        raise ValueError(f"n_states is {count}; it must be {FEWEST} to {MOST}")


def enough(samples: int, count: int, dimensions: int) -> str | None:
    """Return a caution where samples are few for K states in D dimensions; raises for too few."""
    least, wanted = 5 * count * dimensions / 2, 10 * count * dimensions
    if samples < least:
        raise ValueError(
            f"{samples} samples are too few for {count} states in {dimensions} dimensions, limit "
            f"{least:g}; give fewer states or dimensions"
        )
    if samples < wanted:
        return (f"{samples} samples are few for {count} states in {dimensions} dimensions; "
                f"{wanted} would be enough")  # fmt: skip
    return None


def symbols(x: np.ndarray, count: int | None) -> tuple[int, str | None]:
    """Return the number of symbols of a series (time, 1), and a caution where one never occurs."""
    if x.shape[1] != 1 or not np.array_equal(x, np.floor(x)) or x.min() < 0:
        raise ValueError("symbols must be one column of whole numbers from 0")
    total = int(x.max()) + 1 if count is None else count
    if x.max() >= total:
        raise ValueError(f"there is a symbol {int(x.max())}; they go from 0 to {total - 1}")
    seen = np.unique(x)
    if len(seen) < 2:
        raise ValueError(f"all symbols are {int(seen[0])}; a model needs two or more")
    never = sorted(set(range(total)) - set(seen.astype(int).tolist()))
    return total, f"symbol {never[0]} never occurs" if never else None


def chain(A: np.ndarray, pi: np.ndarray, *, tolerance: float = 1e-6) -> None:
    """Refuse transitions or beginnings that are no probabilities."""
    for name, rows in (("A", A), ("pi", pi[None])):
        if rows.min() < 0:
            raise ValueError(f"{name} has a negative entry, {rows.min():.3g}; give probabilities")
        off = np.abs(rows.sum(axis=-1) - 1)
        if off.max() > tolerance:
            raise ValueError(f"row {int(off.argmax())} of {name} sums to 1 within {off.max():.3g}, "
                             f"limit {tolerance:g}; normalise it")  # fmt: skip

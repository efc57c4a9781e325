"""The sampling rate that written times give, and whether they are those of an even clock."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

EVEN = 0.1
"""How far a step may be from the mean step, as a share of it; chosen here."""
DECIMALS = 9


def rate_of(time: np.ndarray, told: str, where: Callable[[int], str]) -> float:
    """Return samples per second of times in seconds: steps over the whole length.

    Every step must be within ``EVEN`` of the mean step; or all times together must be those of an
    even clock, written with few decimals. Where the last decimal is more than half a step, a lost
    sample could not be told from rounding, so nothing is forgiven. Errors begin with ``where`` of
    a sample, counted from 0, and ``told``, what the times are called.
    """
    if len(time) < 2 or not np.isfinite(time).all():
        at = int((~np.isfinite(time)).argmax())
        raise ValueError(
            f"{where(at)}: {told} needs two numbers or more and no gap; complete it, or leave it "
            "out and give sampling_rate_hz"
        )
    steps = np.diff(time)
    if steps.min() <= 0:
        raise ValueError(
            f"{where(int((steps <= 0).argmax()) + 1)}: {told} does not increase; correct it, or "
            "leave it out and give sampling_rate_hz"
        )
    mean, usual = float(time[-1] - time[0]) / len(steps), float(np.median(steps))
    slack, last_digit = EVEN * mean, _last_digit(time)
    uneven = np.abs(steps - mean)
    drift = np.abs(time - np.linspace(time[0], time[-1], len(time)))
    rounded = last_digit <= mean / 2 and max(uneven.max(), drift.max()) <= slack + last_digit
    if uneven.max() > slack and not rounded:
        at = int(np.abs(steps - usual).argmax())
        raise ValueError(
            f"{where(at + 1)}: {told} is not even: it steps by {steps[at]:g} s there and by "
            f"{mean:g} s on average (limit {EVEN:.0%} and the rounding of its decimals); resample "
            "or cut the recording, or leave the times out and give sampling_rate_hz"
        )
    return 1 / mean


def _last_digit(time: np.ndarray) -> float:
    """Return the step of the last decimal that times were written with; 0 where they hold more."""
    least = 4 * np.spacing(np.abs(time).max())
    for decimals in range(DECIMALS):
        if (np.abs(np.round(time, decimals) - time) <= least).all():
            return 10.0**-decimals
    return 0.0

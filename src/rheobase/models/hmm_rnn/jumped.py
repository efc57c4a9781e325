"""Rates of switching along the path of a fit, with their checks, as named arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rheobase.models.hmm_rnn import jump_checks, rates
from rheobase.models.hmm_rnn.jump_checks import LAGS, Checked
from rheobase.models.hmm_rnn.rates import Rates

OF_STATES = {"stationary": ("jump",), "dwell_s": ("jump",), "first_passage_s": ("jump", "jump_to"),
             "relaxation_s": ("mode",), "entropy_production": (), "rates_hz": ("jump", "jump_to"),
             "noise": ()}  # fmt: skip
CHECKS = ("dwell_spread", "dwell_spread_expected", "dwell_p", "lag_distance", "lag_p",
          "irreversible_p")  # fmt: skip


def of_path(
    path: np.ndarray, lengths: Sequence[int], *, step: float, most: int, seed: int
) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Return variables and coordinates of a path (time,), and why there are none.

    ``step`` is the time between samples; at most about ``most`` samples are used, in whole
    segments that are evenly spread. States that the path never visits are left out.
    """
    used, kept = thinned(path, lengths, most)
    visited, labels = np.unique(used, return_inverse=True)
    if len(visited) < 2:
        return {}, {}, "rates are not fitted: the path holds one state only"
    found = rates.fit(labels, kept, states=len(visited), step_s=step, seed=seed)
    checked = jump_checks.check(found, labels, kept, step_s=step, seed=seed)
    variables = packed(found, checked)
    variables["jump_samples"] = (), np.int64(len(used))
    return variables, {"jump": visited + 1, "lag": np.array(LAGS)}, ""


def thinned(
    path: np.ndarray, lengths: Sequence[int], most: int
) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return whole segments, evenly spread, until there are enough samples; the last one is cut."""
    if len(path) <= most:
        return path, tuple(lengths)
    ends = np.cumsum(lengths)
    share = most / len(path)
    due = np.floor(np.arange(1, len(lengths) + 1) * share + 1e-9).astype(int)
    chosen = np.flatnonzero(np.diff(due, prepend=0))
    if not len(chosen):
        chosen = np.array([int(np.argmax(lengths))])
    parts, left = [], most
    for n in chosen.tolist():
        take = min(lengths[n], left)
        if take < 2:
            break
        parts.append(path[ends[n] - lengths[n] :][:take])
        left -= take
    return np.concatenate(parts), tuple(len(p) for p in parts)


def packed(found: Rates, checked: Checked) -> dict[str, Any]:
    """Return rates, what follows from them, and checks, with 95 % intervals, as named arrays."""
    made: dict[str, Any] = {}
    for name, dims in OF_STATES.items():
        for part in ("value", "low", "high"):
            made[f"{name}_{part}"] = dims, np.asarray(getattr(getattr(found, name), part), float)
    made |= {name: ((), np.float64(getattr(checked, name))) for name in CHECKS}
    made["jump_verdict"] = (), np.array(checked.verdict)
    for name in ("observed", "predicted"):
        shares = np.stack([getattr(checked, name)[lag] for lag in LAGS])
        made[f"jump_{name}"] = ("lag", "jump", "jump_to"), shares
    return made

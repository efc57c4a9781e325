"""Do filled-in regions move together as the real ones do, in pairs and in threes?

Compared are moments over frames in which all regions of a pair or triplet are hidden, of the true
signal and of what was filled in from the visible regions. Signals are (time, region), standardised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, groupby
from math import comb
from typing import TYPE_CHECKING

import numpy as np

from rheobase import metrics
from rheobase.models.base import Score
from rheobase.models.brainmae.reconstruct import Filler, Tally, hidden_sets, scored
from rheobase.models.brainmae.segments import Run

if TYPE_CHECKING:
    import xarray as xr

TRIPLETS = 1000
RATIO = 0.5
ORDERS = {2: ("connectivity", "connectivity"), 3: ("third_order", "third moments")}
METHODS = ("brainmae", "conditional_gaussian", "ridge", "pca")
AVERAGE = "training_average"
"""The training part's own moments, which know nothing of the run."""


def triplets(regions: int) -> np.ndarray:
    """Return a fixed random sample of triplets of different regions, (triplet, 3), sorted rows."""
    if comb(regions, 3) <= TRIPLETS:
        return np.array(list(combinations(range(regions), 3)), int).reshape(-1, 3)
    rng, found = np.random.default_rng(3), set()
    while len(found) < TRIPLETS:
        a, b, c = sorted(rng.choice(regions, 3, replace=False).tolist())
        found.add((a, b, c))
    return np.array(sorted(found))


class Moments:
    """Standardised second and third moments over chosen entries, added up over stretches.

    ``E[x_i x_j] / sqrt(E[x_i^2] E[x_j^2])`` for pairs and
    ``E[x_i x_j x_k] / sqrt(E[x_i^2] E[x_j^2] E[x_k^2])`` for triplets, each mean over the frames in
    which all its regions are counted; about each run's mean, which is 0.
    """

    def __init__(self, regions: int, threes: np.ndarray) -> None:
        self.threes = threes
        self.products, self.squares = np.zeros((2, regions, regions))
        self.cubes, self.frames = np.zeros((2, len(threes)))
        self.powers = np.zeros((3, len(threes)))

    def add(self, signal: np.ndarray, counted: np.ndarray) -> None:
        """Count the entries (time, region) of a stretch that ``counted`` marks."""
        there = counted.astype(np.float64)
        x = signal * there
        self.products += x.T @ x
        self.squares += (x**2).T @ there
        parts = [x[:, column] for column in self.threes.T]
        shown = [there[:, column] for column in self.threes.T]
        together = shown[0] * shown[1] * shown[2]
        self.frames += together.sum(axis=0)
        self.cubes += (parts[0] * parts[1] * parts[2]).sum(axis=0)
        for power, part in zip(self.powers, parts, strict=True):
            power += (part**2 * together).sum(axis=0)

    def found(self) -> dict[int, np.ndarray]:
        """Return second moments by pair and third by triplet; NaN where nothing was counted."""
        with np.errstate(divide="ignore", invalid="ignore"):
            second = self.products / np.sqrt(self.squares * self.squares.T)
            third = self.cubes * np.sqrt(self.frames) / np.sqrt(self.powers.prod(axis=0))
        return {2: metrics.edges(second), 3: third}


def of_runs(runs: Sequence[Run]) -> dict[int, np.ndarray]:
    """Return the moments over all valid frames of runs."""
    regions = runs[0].signal.shape[1]
    total = Moments(regions, triplets(regions))
    for run in runs:
        total.add(run.signal, np.repeat(run.valid[:, None], regions, axis=1))
    return total.found()


@dataclass
class Filled:
    """What the ways of filling in reach on runs."""

    tallies: dict[str, Tally]
    recordings: list[str] = field(default_factory=list)
    agreement: dict[tuple[int, str], list[float]] = field(default_factory=dict)
    """Order and method to the correlation of moments, one a recording."""
    own: dict[tuple[int, str], list[float]] = field(default_factory=dict)
    """The same after the training part's moments are regressed out of both sides."""

    def mean(self, order: int, method: str) -> float:
        """Return the mean agreement over recordings; NaN where there is none."""
        values = np.array(self.agreement[order, method])
        known = values[np.isfinite(values)]
        return float(known.mean()) if len(known) else float("nan")


def expected(arrays: xr.Dataset) -> dict[int, np.ndarray]:
    """Return the training part's moments as a fit keeps them."""
    return {2: metrics.edges(arrays["connectivity"].values.astype(np.float64)),
            3: arrays["rival/third_moments"].values.astype(np.float64)}  # fmt: skip


def measure(
    fills: Mapping[str, Filler], runs: Sequence[Run], samples: int,
    known: Mapping[int, np.ndarray],
) -> Filled:  # fmt: skip
    """Fill in half of the regions once with every method, and compare in all ways.

    ``known`` are the moments of the training part.
    """
    regions = runs[0].signal.shape[1]
    made, threes = Filled({name: Tally(regions) for name in fills}), triplets(regions)
    hidden = hidden_sets(runs, samples, RATIO)
    for name, numbers in groupby(range(len(runs)), key=lambda i: runs[i].name):
        moments = {key: Moments(regions, threes) for key in ("truth", *METHODS) if key == "truth"
                   or key in fills}  # fmt: skip
        for i in numbers:
            counted = np.repeat(hidden[i], samples, axis=0) & scored(runs[i], samples)[:, None]
            moments["truth"].add(runs[i].signal[: len(counted)].astype(np.float64), counted)
            for method, fill in fills.items():
                filled = fill(runs[i], hidden[i])
                made.tallies[method].add(runs[i], filled, hidden[i], samples)
                if method in moments:
                    moments[method].add(filled, counted)
        made.recordings.append(name)
        _compare(made, {key: one.found() for key, one in moments.items()}, known)
    return made


def scores(filled: Filled) -> list[Score]:
    """Return how filled-in regions move together as the real ones do, beside the rivals."""
    made = []
    for order, (name, what) in ORDERS.items():
        rivals = {m: filled.mean(order, m) for number, m in filled.agreement if number == order}
        note = (
            f"r of {what} of what is filled in with that of what was measured, half of the regions "
            "hidden, mean over recordings; the training average knows nothing of the recording"
        )
        title = f"filled-in {what} (r with measured)"
        made.append(Score(f"hidden_{name}_r", rivals.pop("brainmae"), rivals, note=note,
                          title=title))  # fmt: skip
    return made


def _compare(
    made: Filled, found: Mapping[str, Mapping[int, np.ndarray]], known: Mapping[int, np.ndarray]
) -> None:
    for order in ORDERS:
        truth, average = found["truth"][order], known[order]
        for method in (*(m for m in found if m != "truth"), AVERAGE):
            guess = average if method == AVERAGE else found[method][order]
            made.agreement.setdefault((order, method), []).append(correlation(truth, guess))
            if method != AVERAGE:
                rest = [without(values, average) for values in (truth, guess)]
                made.own.setdefault((order, method), []).append(correlation(*rest))


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return Pearson's correlation where both are known; NaN below three or where one is still."""
    known = np.isfinite(one) & np.isfinite(other)
    if known.sum() < 3 or np.ptp(one[known]) == 0 or np.ptp(other[known]) == 0:
        return float("nan")
    return float(np.corrcoef(one[known], other[known])[0, 1])


def without(values: np.ndarray, average: np.ndarray) -> np.ndarray:
    """Return what a straight line of ``average`` leaves of values."""
    known = np.isfinite(values) & np.isfinite(average)
    if known.sum() < 3:
        return np.full(len(values), np.nan)
    line = np.column_stack([np.ones(known.sum()), average[known]])
    rest = np.full(len(values), np.nan)
    rest[known] = values[known] - line @ np.linalg.lstsq(line, values[known], rcond=None)[0]
    return rest

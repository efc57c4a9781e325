"""Filling in hidden regions of runs that were not trained on: the network beside simple rivals.

Hidden is a set of regions in each segment, the same for the network and all rivals. A rival sees
the visible regions of the same run, never more. Signals are (time, region), standardised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from rheobase.models.brainmae import masking
from rheobase.models.brainmae.network import BrainMAENetwork
from rheobase.models.brainmae.segments import Deck, Run, even_windows, usable

MASK_SEED = 1
NOISE = 0.01
"""Added to the diagonal of a covariance before it is inverted (conditional Gaussian)."""
RIDGE = 0.1
COMPONENTS = 10

Filler = Callable[[Run, np.ndarray], np.ndarray]
"""Run and hidden (segment, region) to the whole signal (time, region)"""


def hidden_sets(runs: Sequence[Run], samples: int, ratio: float) -> list[np.ndarray]:
    """Return what is hidden in each run, (segment, region) bool, the same at every call."""
    rng = torch.Generator().manual_seed(MASK_SEED)
    made = []
    for run in runs:
        segments, regions = len(run.signal) // samples, run.signal.shape[1]
        there = torch.ones((1, segments), dtype=torch.bool)
        drawn = masking.draw(there, regions, samples, kind="roi_segment", ratio=ratio, rng=rng)
        made.append(drawn[0, ..., 0].numpy())
    return made


def scored(run: Run, samples: int) -> np.ndarray:
    """Return which volumes count, (time,) bool: valid, in a segment that is not mostly flagged."""
    kept = np.repeat(usable(run.valid, samples), samples)
    return kept & run.valid[: len(kept)]


class Tally:
    """Squared errors and squares over hidden entries, added up over runs, by region."""

    def __init__(self, regions: int) -> None:
        self.error, self.power = np.zeros(regions), np.zeros(regions)

    def add(self, run: Run, made: np.ndarray, hidden: np.ndarray, samples: int) -> None:
        """Count one run's hidden, valid entries."""
        counted = np.repeat(hidden, samples, axis=0) & scored(run, samples)[:, None]
        truth = run.signal[: len(made)].astype(np.float64)
        self.error += (((made - truth) ** 2) * counted).sum(axis=0)
        self.power += (truth**2 * counted).sum(axis=0)

    @property
    def r2(self) -> float:
        """``1 - sum (made - x)^2 / sum x^2``, pooled over regions; 0 is the run's mean."""
        return 1 - self.error.sum() / self.power.sum()

    @property
    def by_region(self) -> np.ndarray:
        """The same for each region, (region,)."""
        return 1 - self.error / np.where(self.power > 0, self.power, np.nan)


def tally(fill: Filler, runs: Sequence[Run], samples: int, ratio: float) -> Tally:
    """Return the errors of one way of filling in."""
    total = Tally(runs[0].signal.shape[1])
    for run, hidden in zip(runs, hidden_sets(runs, samples, ratio), strict=True):
        total.add(run, fill(run, hidden), hidden, samples)
    return total


def by_network(
    network: BrainMAENetwork, *, samples: int, segments: int, period_s: float, device: str
) -> Filler:
    """Return how the network fills in a run: in windows of about ``segments`` segments."""

    def fill(run: Run, hidden: np.ndarray) -> np.ndarray:
        deck = Deck([run], samples=samples, period_s=period_s, device=device)
        return (
            fill_deck(network, deck, 0, torch.from_numpy(hidden).to(device), segments).cpu().numpy()
        )

    return fill


@torch.no_grad()
def fill_deck(
    network: BrainMAENetwork, deck: Deck, run: int, hidden: torch.Tensor, segments: int
) -> torch.Tensor:
    """Return a run as the network makes it, (time, region) float32."""
    made = []
    for first, count in even_windows(len(hidden), segments):
        batch = deck.deal([(run, first * deck.samples)], count)
        shown = hidden[None, first : first + count, :, None] | batch.lost[..., None, None]
        made.append(network(batch.signal, shown, batch.middle_s)[0].transpose(1, 2).flatten(0, 1))
    return torch.cat(made)


@torch.no_grad()
def network_r2(network: BrainMAENetwork, deck: Deck, segments: int, ratio: float) -> float:
    """Return the network's R2 on hidden regions of all runs of a deck."""
    device = next(network.parameters()).device
    total = torch.zeros(2, dtype=torch.float64, device=device)
    for number, hidden in enumerate(hidden_sets(deck.runs, deck.samples, ratio)):
        there = torch.from_numpy(hidden).to(device)
        made = fill_deck(network, deck, number, there, segments)
        run = deck.runs[number]
        kept = torch.from_numpy(scored(run, deck.samples)).to(device)
        counted = there.repeat_interleave(deck.samples, dim=0) & kept[:, None]
        truth = deck.signals[number][: len(made)]
        total[0] += (((made - truth) ** 2) * counted).sum()
        total[1] += (truth**2 * counted).sum()
    error, power = total.tolist()
    return 1 - error / power


def linear(run: Run, hidden: np.ndarray, *, samples: int) -> np.ndarray:
    """Fill in each region by a straight line between its own visible samples; 0 without any."""
    away = np.repeat(hidden, samples, axis=0)
    made = np.zeros(away.shape)
    time = np.arange(len(away))
    for region in range(away.shape[1]):
        seen = ~away[:, region]
        if seen.any():
            values = run.signal[: len(away), region]
            made[:, region] = np.interp(time, time[seen], values[seen])
    return made


def pca(run: Run, hidden: np.ndarray, *, samples: int, components: np.ndarray) -> np.ndarray:
    """Fill in from the training part's first principal components, (region, component).

    Per frame ``(P_o' P_o + 0.1 I) c = P_o' x_o``, then ``P_m c``.
    """

    def weights(seen: np.ndarray, away: np.ndarray) -> np.ndarray:
        shown = components[seen]
        small = shown.T @ shown + RIDGE * np.eye(components.shape[1])
        return components[away] @ np.linalg.solve(small, shown.T)

    return _by_frame(run, hidden, samples, weights)


def gaussian(
    run: Run, hidden: np.ndarray, *, samples: int, covariance: np.ndarray, noise: float = NOISE
) -> np.ndarray:
    """Fill in the mean of a Gaussian given what is visible in the same frame.

    ``C_mo (C_oo + noise I)^-1 x_o`` with the training part's covariance C (region, region); with a
    larger ``noise`` this is ridge regression from visible to hidden regions.
    """
    given = Conditional(covariance, noise)

    def weights(seen: np.ndarray, away: np.ndarray) -> np.ndarray:
        return given.weights(np.flatnonzero(seen), np.flatnonzero(away))

    return _by_frame(run, hidden, samples, weights)


class Conditional:
    """The mean of some of the variables of a Gaussian given all others."""

    def __init__(self, covariance: np.ndarray, noise: float) -> None:
        self.noisy = covariance + noise * np.eye(len(covariance))
        self.precision = np.linalg.inv(self.noisy)

    def weights(
        self, seen: np.ndarray, away: np.ndarray, wanted: slice = slice(None)
    ) -> np.ndarray:
        """Return what turns ``seen`` into the ``wanted`` of ``away``, (wanted, seen).

        ``seen`` and ``away`` together are everything. ``K_mo K_oo^-1`` or, the same,
        ``-P_mm^-1 P_mo`` with P the inverse of K, whichever has the smaller system.
        """
        if len(seen) <= len(away):
            inside = self.noisy[np.ix_(seen, seen)]
            return np.linalg.solve(inside, self.noisy[np.ix_(seen, away[wanted])]).T
        inside = self.precision[np.ix_(away, away)]
        return -np.linalg.solve(inside, self.precision[np.ix_(away, seen)])[wanted]


def _by_frame(
    run: Run,
    hidden: np.ndarray,
    samples: int,
    weights: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> np.ndarray:
    made = run.signal[: len(hidden) * samples].astype(np.float64)
    for segment, away in enumerate(hidden):
        part = slice(segment * samples, (segment + 1) * samples)
        made[part, away] = made[part, ~away] @ weights(~away, away).T if not away.all() else 0
    return made


def gaussian_3(run: Run, hidden: np.ndarray, *, samples: int, covariance: np.ndarray) -> np.ndarray:
    """Fill in the mean of a Gaussian given what is visible in the frame before, in it, and after.

    ``covariance`` is that of frames t-1, t and t+1 side by side, (3 region, 3 region). Only frames
    of the same segment are used, so the first and last frame of a segment have one neighbour.
    """
    regions = hidden.shape[1]
    made = run.signal[: len(hidden) * samples].astype(np.float64)
    given = {}
    for _, lags in _neighbours(samples):
        columns = np.concatenate([lag * regions + np.arange(regions) for lag in lags])
        given[tuple(lags)] = Conditional(covariance[np.ix_(columns, columns)], NOISE)
    for segment, away in enumerate(hidden):
        part = made[segment * samples : (segment + 1) * samples]
        if away.all():
            part[:] = 0
            continue
        shown = part[:, ~away].copy()
        padded = np.pad(shown, ((1, 1), (0, 0)))
        stacked = np.stack([padded[:-2], padded[1:-1], padded[2:]], axis=1)
        for frames, lags in _neighbours(samples):
            lagged, first = np.tile(away, len(lags)), lags.index(1) * int(away.sum())
            weights = given[tuple(lags)].weights(
                np.flatnonzero(~lagged), np.flatnonzero(lagged),
                slice(first, first + int(away.sum())),
            )  # fmt: skip
            used = stacked[frames][:, lags].reshape(-1, len(lags) * shown.shape[1])
            part[np.ix_(np.arange(samples)[frames], away)] = used @ weights.T
    return made


def _neighbours(samples: int) -> list[tuple[slice, list[int]]]:
    """Return frames of a segment with the lags that they have: 0 before, 1 itself, 2 after."""
    if samples == 2:
        return [(slice(0, 1), [1, 2]), (slice(1, 2), [0, 1])]
    return [
        (slice(0, 1), [1, 2]),
        (slice(1, samples - 1), [0, 1, 2]),
        (slice(samples - 1, samples), [0, 1]),
    ]


def same_frame(lagged: np.ndarray) -> np.ndarray:
    """Return the covariance within a frame of that of three frames, (region, region)."""
    n = len(lagged) // 3
    return lagged[n : 2 * n, n : 2 * n]


def covariances(runs: Sequence[Run]) -> np.ndarray:
    """Return the covariance of three consecutive valid frames, (3 region, 3 region) float64."""
    regions = runs[0].signal.shape[1]
    total, count = np.zeros((3 * regions, 3 * regions)), 0
    for run in runs:
        kept = run.valid[:-2] & run.valid[1:-1] & run.valid[2:]
        x = np.concatenate([run.signal[:-2], run.signal[1:-1], run.signal[2:]], axis=1)[kept]
        total += x.T.astype(np.float64) @ x
        count += len(x)
    return total / max(count, 1)

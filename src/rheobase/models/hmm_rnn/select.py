"""How many states: likelihood on held-out parts, and whether halves of the data agree.

All fits of one K run as one batch: every fold, both halves and the whole, each with its restarts.
Held-out segments are scored by the expectation step that is run anyway, where their weight is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rheobase.models.hmm_rnn import align, checks, em, starts
from rheobase.models.hmm_rnn.batch import Chain, Data, lay_out
from rheobase.models.hmm_rnn.em import Fits
from rheobase.models.hmm_rnn.hmm import HMM, Fitted, told

GRID = (2, 3, 4, 6, 8, 10, 12)
FOLDS = 5
REPRODUCED = 0.7
"""Correlation between halves at which states are taken to be the same."""


@dataclass(frozen=True)
class Parts:
    """Segments, cut so that folds and halves are whole segments."""

    lengths: tuple[int, ...]
    folds: np.ndarray
    """(fold, segment) 1 where a fold learns."""
    halves: np.ndarray
    """(2, segment) 1 where a half learns."""

    @property
    def weights(self) -> np.ndarray:
        """Return the weights of folds, halves and the whole, (fit, segment)."""
        return np.concatenate([self.folds, self.halves, np.ones((1, len(self.lengths)))])


@dataclass(frozen=True)
class Choice:
    """What was found of each number of states."""

    grid: tuple[int, ...]
    heldout: np.ndarray
    """(K, fold) log-likelihood of a held-out sample, nats."""
    bic: np.ndarray
    aic: np.ndarray
    reproducibility: np.ndarray
    """Mean correlation of the matched states of two halves."""
    one_se: int
    """Smallest K within one standard error of the best."""
    states: int
    reason: str
    fitted: Fitted
    """The model of all data with the chosen number."""
    halves: Chain
    """The models of its two halves, states in any order."""
    split: Parts

    @property
    def mean(self) -> np.ndarray:
        return self.heldout.mean(axis=1)

    @property
    def standard_error(self) -> np.ndarray:
        """Return that of the mean over folds, (K,)."""
        return self.heldout.std(axis=1, ddof=1) / np.sqrt(self.heldout.shape[1])


def parts(
    lengths: Sequence[int], subjects: Sequence[str] | None = None, *, folds: int = FOLDS,
    shortest: int = 2,
) -> Parts:  # fmt: skip
    """Return folds and halves: of people (or recordings) where there are enough, else of time.

    People are dealt out in turn, so that what follows each other in the list is kept apart.
    Time is cut where no segment becomes shorter than ``shortest`` samples.
    """
    names = list(dict.fromkeys(subjects)) if subjects is not None else []
    if len(names) >= folds:
        assert subjects is not None
        owner = np.array([names.index(n) for n in subjects])
        cut, fold, half = tuple(lengths), owner % folds, owner % 2
    else:
        cut, fold, half = _blocks(lengths, folds, shortest)
    learns = np.stack([fold != k for k in range(folds)]).astype(float)
    return Parts(cut, learns, np.stack([half == k for k in (0, 1)]).astype(float))


def _blocks(
    lengths: Sequence[int], folds: int, shortest: int
) -> tuple[tuple[int, ...], np.ndarray, np.ndarray]:
    """Return segments cut at the borders of equal blocks, and the fold and half of each."""
    total = sum(lengths)
    if total < 4 * folds:
        raise ValueError(f"{total} samples are too few for {folds} folds; give longer recordings")
    ends = np.cumsum(lengths)
    wanted = [round(total * k / folds) for k in range(1, folds)] + [total // 2]
    edges = np.array([0, *ends.tolist()])
    for border in wanted:
        if np.abs(edges - border).min() >= shortest:
            edges = np.sort(np.append(edges, border))
    middle = (edges[:-1] + edges[1:]) / 2
    fold = np.searchsorted([total * k / folds for k in range(1, folds)], middle)
    half = (middle > total / 2).astype(int)
    return tuple(np.diff(edges).tolist()), fold, half


def choose(
    model: HMM, x: np.ndarray, lengths: Sequence[int] | None = None, *,
    grid: Sequence[int] = GRID, subjects: Sequence[str] | None = None, folds: int = FOLDS,
    seed: int, device: str = "cpu",
) -> Choice:  # fmt: skip
    """Return the number of states that held-out data and halves speak for, with its model.

    ``subjects`` names the owner of each segment. Only numbers that the samples allow are tried.
    """
    given, found, embedding = model.prepared(x, lengths)
    if subjects is not None and len(subjects) != len(found):
        raise ValueError(f"{len(subjects)} subjects are given for {len(found)} segments; name one "
                         "for each")  # fmt: skip
    split = parts(found, subjects, folds=folds, shortest=model.shortest)
    tried = tuple(K for K in grid if 5 * K * given.shape[1] / 2 <= len(given))
    if not tried:
        checks.enough(len(given), min(grid), given.shape[1])
    kept: list[tuple[np.ndarray, Chain, Fitted]] = []
    for K in tried:
        data, fits = sweep(model.with_states(K), given, split, seed=seed, device=device)
        held, best = heldout(fits, split, model.restarts)
        halves = fits.chain.take(best[folds : folds + 2].tolist())
        whole = _only(fits, slice((folds + 2) * model.restarts, None))
        caution = checks.enough(len(given), K, given.shape[1])
        kept.append((held, halves, told(data, whole, embedding, [caution] if caution else [])))
    held = np.stack([one for one, _, _ in kept])
    likeness = np.array([reproduced(halves) for _, halves, _ in kept])
    rule, chosen, reason = decide(tried, held, likeness)
    fitted, place = [one for _, _, one in kept], tried.index(chosen)
    return Choice(
        tried, held, np.array([f.bic for f in fitted]), np.array([f.aic for f in fitted]), likeness,
        rule, chosen, reason, fitted[place], kept[place][1], split,
    )  # fmt: skip


def sweep(
    model: HMM, x: np.ndarray, split: Parts, *, seed: int, device: str = "cpu"
) -> tuple[Data, Fits]:
    """Return the fits of all parts, each with all restarts, part by part."""
    series = torch.as_tensor(x, device=device)
    emission = model.emission(x, split.lengths)
    weights = np.repeat(split.weights, model.restarts, axis=0)
    on = torch.as_tensor(weights, device=device)
    data = lay_out(series, split.lengths, emission, precision=model.precision, models=len(weights))
    seeds = [seed + r for r in range(model.restarts)] * len(split.weights)
    start = starts.chains(data, series, model.n_states, seeds, weights=on, dwell=model.dwell)
    return data, em.fit(data, start, prior=model.prior, stop=model.stop, weights=on)


def heldout(fits: Fits, split: Parts, restarts: int) -> tuple[np.ndarray, np.ndarray]:
    """Return log-likelihoods of a held-out sample (fold,), and the best restart of each part.

    The best restart is that of the learning part, (part,) as a number of the batch.
    """
    objective = fits.objective.cpu().numpy().reshape(-1, restarts)
    best = objective.argmax(axis=1) + restarts * np.arange(len(objective))
    loglik = fits.loglik.cpu().numpy()[best[: len(split.folds)]]
    out = 1 - split.folds
    return (loglik * out).sum(axis=1) / (out * np.array(split.lengths)).sum(axis=1), best


def reproduced(halves: Chain) -> float:
    """Return the mean correlation of what sets matched states of two models apart, Fisher's z.

    Compared are deviations of means and covariances (or others) from their average over states.
    Covariances alone agree whatever the states are, since all of them hold the same variances.
    """
    first, second = (_apart(align.profiles(halves, model)) for model in (0, 1))
    order = align.match(first, second)
    r = [np.corrcoef(a, b)[0, 1] for a, b in zip(first, second[order], strict=True)]
    return float(np.tanh(np.arctanh(np.clip(r, -1, 1 - 1e-12)).mean()))


def _apart(profiles: np.ndarray) -> np.ndarray:
    return profiles - profiles.mean(axis=0)


def decide(grid: Sequence[int], held: np.ndarray, likeness: np.ndarray) -> tuple[int, int, str]:
    """Return K by the one-standard-error rule, K chosen, and why."""
    mean = held.mean(axis=1)
    best = int(mean.argmax())
    error = held[best].std(ddof=1) / np.sqrt(held.shape[1])
    rule = next(K for K, value in zip(grid, mean, strict=True) if value >= mean[best] - error)
    smallest = f"smallest within one standard error of K = {grid[best]}"
    if likeness[list(grid).index(rule)] >= REPRODUCED:
        return rule, rule, smallest
    alike = [K for K, r in zip(grid, likeness, strict=True) if rule >= K and r >= REPRODUCED]
    replicate = f"states replicate between halves (r at least {REPRODUCED})"
    if alike:
        return (
            rule,
            max(alike),
            f"largest up to the one-standard-error rule's {rule} whose {replicate}",
        )
    return rule, rule, f"{smallest}; at no number up to it do {replicate}"


def _only(fits: Fits, models: slice) -> Fits:
    return Fits(
        fits.chain.take(models), fits.loglik[models], fits.objective[models], fits.trace[models],
        fits.converged[models], fits.dead[models],
    )  # fmt: skip

"""The penalty of ridge regression from visible to hidden regions, chosen on people left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from rheobase.models.brainmae import reconstruct
from rheobase.models.brainmae.segments import Run
from rheobase.models.inputs import dealt, inner_groups

PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
FOLDS, RATIO = 5, 0.5
MOST_SEGMENTS = 200
"""On which penalties are compared, evenly thinned (all chosen here)"""


def penalty(runs: Sequence[Run], samples: int) -> float:
    """Return the penalty that fills in hidden regions of left-out training people best.

    Whole people are left out, recordings where there are fewer than three people; with fewer than
    three of both nothing can be left out and the least penalty is taken. Half of the regions are
    hidden.
    """
    groups = inner_groups([run.subject for run in runs], [run.name for run in runs])
    if groups is None:
        return PENALTIES[0]
    fold = dealt(groups, min(FOLDS, len(set(groups))))
    moments = [_moment(run) for run in runs]
    total, count = np.sum([m for m, _ in moments], axis=0), sum(n for _, n in moments)
    hidden = reconstruct.hidden_sets(runs, samples, RATIO)
    step = max(1, -(-sum(map(len, hidden)) // MOST_SEGMENTS))
    error = np.zeros(len(PENALTIES))
    for one in np.unique(fold):
        out = [i for i in range(len(runs)) if fold[i] == one]
        left = count - sum(moments[i][1] for i in out)
        covariance = (total - np.sum([moments[i][0] for i in out], axis=0)) / max(left, 1)
        for i in out:
            for x, away in _segments(runs[i], hidden[i], samples, step):
                error += _errors(x, away, covariance)
    return PENALTIES[int(np.argmin(error))]


def _moment(run: Run) -> tuple[np.ndarray, int]:
    x = run.signal[run.valid].astype(np.float64)
    return x.T @ x, len(x)


def _segments(
    run: Run, hidden: np.ndarray, samples: int, step: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the scored frames (time, region) of every ``step``-th segment, and what is hidden."""
    counted = reconstruct.scored(run, samples)
    for segment in range(0, len(hidden), step):
        part = slice(segment * samples, (segment + 1) * samples)
        x = run.signal[part][counted[part]].astype(np.float64)
        if len(x):
            yield x, hidden[segment]


def _errors(x: np.ndarray, away: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return the squared error of each penalty; one decomposition serves them all."""
    values, vectors = np.linalg.eigh(covariance[np.ix_(~away, ~away)])
    turned, back = x[:, ~away] @ vectors, vectors.T @ covariance[np.ix_(~away, away)]
    made = [(turned / (values + weight)) @ back for weight in PENALTIES]
    return np.array([((one - x[:, away]) ** 2).sum() for one in made])

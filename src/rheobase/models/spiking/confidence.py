"""When a network may stop: as soon as it is sure, by a threshold chosen on held-out training data.

After Li, Jones and Furber 2023 (Dynamic Confidence), with evidence, calibration and choice of the
threshold as said here. ``c_t`` is the sum of readouts up to step t, ``z_t = alpha c_t / T``:
confidence is low at first by construction and rises with evidence. ``margin``, the log-odds of the
likeliest class, is what thresholds are compared with: probabilities round to 1. Arrays are
(step, example, class) or (step, example); examples are never looped over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import t as student

from rheobase.models.spiking import calibration

CANDIDATES = 200
LEAST = 20
"""Calibration windows a class, at least"""
LOSS = 0.005
"""Accuracy that stopping early may cost"""
LEVEL = 0.95
NEVER = "no threshold is sure to lose little enough: it never stops early"
RULES = ("probability", "margin", "entropy")


@dataclass(frozen=True)
class Stops:
    """What a rule does to examples."""

    step: np.ndarray
    """(example,) steps taken, 1 to T"""
    right: np.ndarray
    """(example,) whether the answer then is right"""

    @property
    def accuracy(self) -> float:
        return float(self.right.mean())

    @property
    def mean_step(self) -> float:
        return float(self.step.mean())


@dataclass(frozen=True)
class Rule:
    """When to stop, and what that was promised to cost."""

    alpha: float
    threshold: float
    """Log-odds (or the value of another ``kind``); infinite: never stop early"""
    kind: str = "probability"
    patience: int = 1
    """Steps in a row above the threshold"""
    promised_loss: float = 0.0
    """Accuracy lost in calibration"""
    bound: float = 0.0
    """Upper bound of the loss, cross-validated over trials"""
    note: str = ""
    promised_share: float = 1.0
    """Mean steps over T in calibration"""


def evidence(steps: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    """Return ``z_t = alpha c_t / T`` in float64 of readouts (step, example, class)."""
    return alpha * np.cumsum(np.asarray(steps, np.float64), axis=0) / len(steps)


def sureness(z: np.ndarray, kind: str = "probability") -> np.ndarray:
    """Return how sure each step is, (step, example), in a way that never saturates.

    ``probability``: log-odds of the likeliest class. ``margin``: the log ratio of the two
    likeliest. ``entropy``: minus the logarithm of the entropy.
    """
    if kind not in RULES:
        raise ValueError(f"rule is {kind!r}; it must be one of {', '.join(RULES)}")
    ordered = np.sort(z, axis=-1)
    if kind == "margin":
        return ordered[..., -1] - ordered[..., -2]
    if kind == "entropy":
        p = calibration.log_softmax(z)
        return -np.log(np.maximum(-(np.exp(p) * p).sum(-1), 1e-300))
    apart = ordered[..., :-1] - ordered[..., -1:]
    top = apart.max(-1)
    return -(top + np.log(np.exp(apart - top[..., None]).sum(-1)))


def first(sure: np.ndarray, threshold: float, *, patience: int = 1, t_min: int = 1) -> np.ndarray:
    """Return the steps that each example takes, (example,): the first time it is sure, or T."""
    above = sure >= threshold
    above[: t_min - 1] = False
    if patience > 1:
        total = np.cumsum(np.pad(above.astype(int), ((patience, 0), (0, 0))), axis=0)
        above = total[patience:] - total[:-patience] == patience
    return np.where(above.any(0), above.argmax(0) + 1, len(sure))


def stopped(steps: np.ndarray, y: np.ndarray, rule: Rule) -> Stops:
    """Return where a rule stops test examples, and whether the answers are right."""
    z = evidence(steps, rule.alpha)
    at = first(sureness(z, rule.kind), rule.threshold, patience=rule.patience)
    return Stops(at, answers(z, at) == y)


def answers(z: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return the likeliest class of each example after its steps."""
    return z[step - 1, np.arange(z.shape[1])].argmax(-1)


def calibrate(
    steps: np.ndarray, y: np.ndarray, trial: np.ndarray, *, loss: float = LOSS,
    bounded: bool = True, kind: str = "probability", patience: int = 1, final: bool = False,
) -> Rule:  # fmt: skip
    """Return the rule chosen on calibration examples: the quickest whose loss is small enough.

    ``trial`` (example,) says which examples belong together. With ``bounded``, what counts is the
    upper bound of the loss over trials (``upper_bound``), not the loss itself.
    """
    few = np.bincount(y, minlength=steps.shape[2])
    if few.min() < LEAST:
        raise ValueError(
            f"class {int(few.argmin())} has {few.min()} calibration windows; give {LEAST} or more, "
            "or hold out another trial"
        )
    alpha = calibration.scale(evidence(steps), y, final=final)
    z = evidence(steps, alpha)
    table = Table.of(sureness(z, kind), z.argmax(-1) == y, patience)
    for place in np.flatnonzero(table.lost.mean(1) <= loss + 1e-12):
        bound = upper_bound(table, trial, int(place), loss) if bounded else np.nan
        if not bounded or bound <= loss + 1e-12:
            lost = float(table.lost[place].mean())
            note = "" if np.isfinite(table.thresholds[place]) else NEVER
            share = float(table.step[place].mean()) / len(steps)
            return Rule(
                alpha, float(table.thresholds[place]), kind, patience, lost, bound, note, share
            )
    raise AssertionError("never to stop early loses nothing")


@dataclass(frozen=True)
class Table:
    """What every threshold does to every calibration example."""

    thresholds: np.ndarray
    """(threshold,) rising: quantiles of what was seen, then infinity"""
    step: np.ndarray
    """(threshold, example)"""
    lost: np.ndarray
    """(threshold, example): full answer right less early answer right, -1, 0 or 1"""

    @classmethod
    def of(cls, sure: np.ndarray, right: np.ndarray, patience: int = 1) -> Table:
        """Return the table of arrays (step, example)."""
        levels = np.quantile(sure, np.linspace(0, 1, CANDIDATES))
        thresholds = np.append(np.unique(levels), np.inf)
        step = np.stack([first(sure, one, patience=patience) for one in thresholds])
        early = np.take_along_axis(right, step - 1, axis=0)
        return cls(thresholds, step, right[-1].astype(float) - early)

    def front(self) -> np.ndarray:
        """Return places of thresholds that no other beats in both steps and accuracy."""
        steps, lost = self.step.mean(1), self.lost.mean(1)
        worse = (steps[:, None] >= steps) & (lost[:, None] >= lost)
        strictly = (steps[:, None] > steps) | (lost[:, None] > lost)
        return np.flatnonzero(~(worse & strictly).any(1))


def upper_bound(table: Table, trial: np.ndarray, place: int, loss: float) -> float:
    """Return the one-sided 95 % bound of what stopping at a threshold loses, over trials.

    Cross-validated: each trial is judged with the higher of this threshold and the one that the
    other trials would have chosen. Student's interval of the trials' mean losses; where no trial
    loses anything it is 0, which says little of few trials.
    """
    names = np.unique(trial)
    if len(names) < 2:
        raise ValueError(
            f"calibration has {len(names)} trial; a bound over trials needs two or more"
        )
    lost = []
    for name in names:
        out = trial == name
        fine = table.lost[:, ~out].mean(1) <= loss + 1e-12
        lost.append(table.lost[max(place, int(fine.argmax())), out].mean())
    return one_sided(np.array(lost))


def one_sided(values: np.ndarray) -> float:
    """Return the upper end of Student's one-sided 95 % interval of a mean."""
    reach = student.ppf(LEVEL, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() + reach)


def constant_time(steps: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the accuracy after every step, the same for all examples, (step,)."""
    return (evidence(steps).argmax(-1) == y).mean(1)


def oracle(steps: np.ndarray, y: np.ndarray) -> tuple[Stops, Stops]:
    """Return ideal stops: the first right answer, and the first after which answers stay right."""
    right = evidence(steps).argmax(-1) == y
    length, ever = len(right), right.any(0)
    earliest = np.where(ever, right.argmax(0) + 1, length)
    wrong_last = np.where(right.all(0), 0, length - (~right)[::-1].argmax(0))
    stable = np.minimum(wrong_last + 1, length)
    return Stops(earliest, ever), Stops(stable, right[-1])


def running(network_step, events: torch.Tensor, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    """Return answers and steps of a loop that really stops: finished examples leave the batch.

    ``network_step(events of one step, state) -> (readout, state)``, the state a list of tensors
    with the examples first.
    """
    length, number = events.shape[:2]
    open_, state, total = torch.arange(number), None, None
    answer, at = np.zeros(number, int), np.full(number, length)
    streak = np.zeros(number, int)
    for step in range(length):
        told, state = network_step(events[step, open_], state)
        total = told.double() if total is None else total + told.double()
        z = rule.alpha * total.cpu().numpy() / length
        who = open_.numpy()
        streak[who] = np.where(sureness(z, rule.kind) >= rule.threshold, streak[who] + 1, 0)
        leaves = (streak[who] >= rule.patience) | (step == length - 1)
        answer[who[leaves]], at[who[leaves]] = z.argmax(-1)[leaves], step + 1
        stay = torch.from_numpy(~leaves)
        open_, total, state = open_[stay], total[stay], [one[stay] for one in state]
        if not len(open_):
            break
    return answer, at

"""The test part through the network and its rivals: answers after every step, and spikes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from rheobase.models.decoding.examples import Examples
from rheobase.models.inputs import check, in_order
from rheobase.models.spiking import confidence, cost, encode, kept, windows
from rheobase.models.spiking.cost import Cost
from rheobase.models.spiking.network import Network
from rheobase.models.spiking.settings import Scale, scale_of
from rheobase.models.spiking.taken import Taken, how_of, take

if TYPE_CHECKING:
    from rheobase.models.base import Fitted
    from rheobase.models.spiking import Spiking
    from rheobase.recording import Recording

AT_ONCE = 512
CROSSING = 0.01
"""What a change must exceed to count as a crossing, in standard deviations of the training part"""


@dataclass(frozen=True, eq=False)
class Ran:
    """What a network said and sent."""

    steps: np.ndarray
    """(step, example, class) float32"""
    sent: np.ndarray
    """(layer, step, example) float32: the sum of what was sent, the input first"""
    rates: list[np.ndarray]
    """Mean rate of every hidden unit, (unit,) a layer"""


@dataclass(frozen=True, eq=False)
class Judged:
    """The test part, with everything that scores and drawings need."""

    scale: Scale
    learnt: kept.Learnt
    taken: Taken
    ran: Ran
    rivals: dict[str, np.ndarray]
    """Classes that rivals answer, (example,)"""
    evidence: np.ndarray
    """(step, example, class), or values (step, example, 1)"""
    stop: np.ndarray
    """Step after which each example was answered, from 1, (example,)"""
    trained: frozenset[str]
    """Names of the recordings of the training part"""

    @property
    def examples(self) -> Examples:
        return self.taken.examples

    @property
    def early(self) -> np.ndarray:
        """Return the classes answered early, (example,)."""
        return self.learnt.classes[confidence.answers(self.evidence, self.stop)]

    @property
    def full(self) -> np.ndarray:
        """Return the classes answered after whole windows, (example,)."""
        return self.learnt.classes[self.evidence[-1].argmax(-1)]

    def numbers(self) -> np.ndarray:
        """Return the number of each true class, -1 for one that was not learnt, (example,)."""
        classes, y = self.learnt.classes, self.examples.y
        at = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
        return np.where(classes[at] == y, at, -1)

    def right(self) -> np.ndarray:
        """Return whether the answer after each step is right, (step, example)."""
        return self.learnt.classes[self.evidence.argmax(-1)] == self.examples.y

    def curve(self) -> np.ndarray:
        """Return the balanced accuracy if all were answered after the same step, (step,)."""
        return self.balanced(self.right())

    def balanced(self, right: np.ndarray) -> np.ndarray:
        """Return the mean over classes of the share that is right, along the last axis."""
        y = self.examples.y
        return np.mean([right[..., y == name].mean(-1) for name in np.unique(y)], axis=0)

    def cost(self, *, early: bool) -> Cost:
        """Return spikes and operations of an answer."""
        stop = torch.as_tensor(self.stop) if early else None
        shape = self.learnt.network.shape
        top = (shape.outputs,) if shape.spiking_output else ()
        sizes = (shape.inputs, *shape.hidden)
        return cost.of_sums(
            torch.as_tensor(self.ran.sent), sizes, [*shape.hidden, *(top or (shape.outputs,))],
            stop=stop, real_inputs=self.learnt.encoder.kind in encode.REAL,
        )  # fmt: skip

    def operations(self, *, early: bool) -> tuple[float, float]:
        """Return additions and multiply-adds of an answer, making events included."""
        found = self.cost(early=early)
        steps = float(self.stop.mean()) if early else len(self.ran.steps)
        units = len(self.learnt.mean)
        made = windows.ENCODER_OPERATIONS * steps * self.scale.bin * units
        return found.operations + made, found.multiplied

    def rival_operations(self) -> dict[str, float]:
        """Return multiply-adds of each rival's answer, features included."""
        each = windows.HUDGINS_OPERATIONS if self.scale.emg else windows.MOMENTS_OPERATIONS
        features = each * self.scale.width * len(self.learnt.mean)
        return {
            name: rival.multiply_adds + features * (name in ("lda", "ridge", "mlp"))
            for name, rival in self.learnt.rivals.items()
        }

    @property
    def values(self) -> bool:
        """Return whether the label is a value."""
        return self.learnt.target.values


def judged(model: Spiking, fitted: Fitted, test: Sequence[Recording]) -> Judged:
    """Return what a fit makes of the test part.

    Raises ``ValueError`` where a part of it was learnt from, and ``NotDecodableError`` where no
    window carries a label.
    """
    arrays = fitted.arrays
    check(test, part="test", units=arrays["unit"].values.tolist())
    _refuse_known(fitted, test)
    recordings = in_order(test)
    scale = scale_of(model, recordings[0])
    learnt = kept.restored(model, fitted, scale)
    taken = take(recordings, how_of(scale, recordings[0], model.ignore_labels), scale)
    parts, said = [], {name: [] for name in learnt.rivals}
    for at in range(0, len(taken), AT_ONCE):
        rows = np.arange(at, min(at + AT_ONCE, len(taken)))
        x = standardised(taken.cut(rows), learnt.mean, learnt.spread)
        events = learnt.encoder.encode(x, rng=np.random.default_rng([learnt.seed, at]))
        parts.append((run(learnt.network, events), len(rows)))
        table = features(scale, x)
        given = {
            "lda": table,
            "ridge": table,
            "mlp": table,
            "cnn": x,
            "gru": events.transpose(1, 0, 2),
        }
        for name, rival in learnt.rivals.items():
            said[name].append(learnt.target.told(rival.answer(given[name])))
    ran = _together(parts)
    if learnt.target.values:
        evidence = learnt.target.told(ran.steps.astype(np.float64))
        stop = np.full(len(taken), len(ran.steps))
    else:
        evidence = confidence.evidence(ran.steps, learnt.rule.alpha)
        rule = learnt.rule
        stop = confidence.first(confidence.sureness(evidence, rule.kind), rule.threshold,
                                patience=rule.patience)  # fmt: skip
    return Judged(
        scale, learnt, taken, ran, {name: np.concatenate(one) for name, one in said.items()},
        evidence, stop, frozenset(arrays["recording"].values.tolist()),
    )  # fmt: skip


def standardised(x: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return windows in standard deviations of the training part, float32."""
    return ((x - mean) / spread).astype(np.float32)


def features(scale: Scale, x: np.ndarray) -> np.ndarray:
    """Return what rivals on features read: Hudgins' for EMG, mean, deviation and slope else."""
    return windows.hudgins(x, CROSSING) if scale.emg else windows.moments(x)


def run(network: Network, events: np.ndarray) -> Ran:
    """Return what a network says of events (step, example, feature)."""
    parts = []
    for at in range(0, events.shape[1], AT_ONCE):
        part = torch.as_tensor(np.ascontiguousarray(events[:, at : at + AT_ONCE]))
        with torch.no_grad():
            output = network(part)
        sent = torch.stack([part.abs().sum(2), *(layer.sum(2) for layer in output.spikes)])
        rates = [rate.numpy() for rate in output.rates()]
        parts.append((Ran(output.steps.numpy(), sent.numpy(), rates), part.shape[1]))
    return _together(parts)


def _together(parts: Sequence[tuple[Ran, int]]) -> Ran:
    count = sum(n for _, n in parts)
    layers = range(len(parts[0][0].rates))
    return Ran(
        np.concatenate([one.steps for one, _ in parts], axis=1),
        np.concatenate([one.sent for one, _ in parts], axis=2),
        [np.sum([one.rates[k] * n for one, n in parts], axis=0) / count for k in layers],
    )


def _refuse_known(fitted: Fitted, test: Sequence[Recording]) -> None:
    """Raise ``ValueError`` where the test part overlaps what was learnt from."""
    arrays = fitted.arrays
    for one in test:
        same = arrays["recording"].values == one.name
        meets = (arrays["begins"].values <= one.time[-1]) & (arrays["ends"].values >= one.time[0])
        if (same & meets).any():
            raise ValueError(
                f"{one.name}: the test part from {one.time[0]:g} to {one.time[-1]:g} "
                f"{one.time_unit} overlaps what the network learnt from; windows of one trial must "
                "not lie in both parts, so split by trial, run, session or subject"
            )

"""Several partitions of one graph, moved node by node together."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from rheobase.models.connectome.sbm_model import BlockModel, block_sums

LEAST_GAIN = 1e-9
"""Nats; smaller gains are rounding."""


class Chains:
    """Partitions (C, N) in slots, with block sums that follow each move."""

    def __init__(self, model: BlockModel, labels: np.ndarray, *, slots: int) -> None:
        self.model = model
        self.labels = np.array(labels, dtype=np.intp)
        self.slots = slots
        self.each = np.arange(len(self.labels))
        self.to_block, self.sums = block_sums(model, self.labels, slots)
        self.sizes = (self.labels[..., None] == np.arange(slots)).sum(1)
        self.evidence = model.terms(self.sums)
        steps = np.diff(model.log_choices)
        self.price_of_block = np.append(steps, np.inf)
        self.price_of_block[0] = 0.0
        self.log_size = np.log(np.maximum(np.arange(model.nodes + 2), 1))

    def scores(self) -> np.ndarray:
        """Return L of each partition from the running sums, (C,) nats."""
        a, b = np.triu_indices(self.slots)
        evidence = self.evidence[:, a, b].sum(1)
        return evidence + self.model.prior(self.sizes) + self.model.constant

    def lift(self, node: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Take a node out and return what it would gain in each slot, (C, slot) nats.

        Also returned: its sums towards the slots and the evidence with it in each, for ``place``.
        """
        each, slots, at = self.each, self.slots, self.labels[:, node]
        self.sizes[each, at] -= 1
        towards = np.empty((len(self.sums), len(each), slots))
        towards[0] = self.sizes
        towards[1:] = self.to_block[:, :, node]
        row = self.sums[:, each, at] - towards
        self._set_sums(at, row)
        trial = np.empty((len(self.sums), len(each), slots + 1, slots))
        np.add(self.sums, towards[:, :, None], out=trial[:, :, :slots])
        trial[:, :, slots] = row
        evidence = self.model.terms(trial)
        self._set_evidence(at, evidence[:, slots])
        gain = evidence[:, :slots].sum(2)
        gain -= self.evidence.sum(2)
        gain += self.log_size.take(self.sizes + 1)
        blocks = (self.sizes > 0).sum(1)
        gain -= (self.sizes == 0) * self.price_of_block[blocks][:, None]
        return gain, towards, evidence

    def place(
        self, node: int, target: np.ndarray, towards: np.ndarray, evidence: np.ndarray
    ) -> np.ndarray:
        """Put a lifted node into the slots ``target`` (C,) and return which chains moved, (C,)."""
        each, before = self.each, self.labels[:, node].copy()
        self._set_sums(target, self.sums[:, each, target] + towards)
        self._set_evidence(target, evidence[each, target])
        self.sizes[each, target] += 1
        moved = target != before
        if moved.any():
            links = self.model.channels[:, node]
            for c in np.flatnonzero(moved):
                self.to_block[:, c, :, before[c]] -= links
                self.to_block[:, c, :, target[c]] += links
            self.labels[:, node] = target
        return moved

    def climb(self, order: np.ndarray) -> np.ndarray:
        """Put each node of ``order`` where it gains most and return which chains moved, (C,)."""
        any_moved = np.zeros(len(self.each), dtype=bool)
        for node in order:
            gain, towards, evidence = self.lift(node)
            stay = gain[self.each, self.labels[:, node]]
            best = gain.argmax(1)
            better = gain[self.each, best] > stay + LEAST_GAIN
            target = np.where(better, best, self.labels[:, node])
            any_moved |= self.place(node, target, towards, evidence)
        return any_moved

    def wander(self, rng: np.random.Generator) -> None:
        """Propose one uniform slot to each node and accept by Metropolis at beta 1.

        The slots are bookkeeping: a partition is as likely however many are empty.
        """
        nodes, each = self.model.nodes, self.each
        proposals = rng.integers(self.slots, size=(nodes, len(each)))
        thresholds = np.log(rng.random((nodes, len(each))))
        used = np.arange(self.slots + 1)
        ways = gammaln(self.slots + 1) - gammaln(used + 1) - gammaln(self.slots - used + 1)
        extra = np.append(np.diff(ways), 0.0)
        for node in rng.permutation(nodes):
            gain, towards, evidence = self.lift(node)
            gain -= (self.sizes == 0) * extra[(self.sizes > 0).sum(1)][:, None]
            here, there = self.labels[:, node], proposals[node]
            accept = gain[each, there] - gain[each, here] > thresholds[node]
            self.place(node, np.where(accept, there, here), towards, evidence)

    def _set_sums(self, slot: np.ndarray, row: np.ndarray) -> None:
        self.sums[:, self.each, slot] = row
        self.sums[:, self.each, :, slot] = row.transpose(1, 0, 2)

    def _set_evidence(self, slot: np.ndarray, row: np.ndarray) -> None:
        self.evidence[self.each, slot] = row
        self.evidence[self.each, :, slot] = row


def compacted(labels: np.ndarray) -> np.ndarray:
    """Return partitions (C, N) with blocks numbered from 0 in the order of their first node."""
    made = np.empty_like(labels)
    for c, one in enumerate(labels):
        _, first, inverse = np.unique(one, return_index=True, return_inverse=True)
        made[c] = np.argsort(np.argsort(first))[inverse]
    return made

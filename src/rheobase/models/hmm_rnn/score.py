"""Scores of the test part, each beside the same score of rivals on the same samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from rheobase import metrics
from rheobase.models.base import Fitted, Score
from rheobase.models.decoding.examples import NotDecodableError
from rheobase.models.decoding.null import rounded, stream
from rheobase.models.hmm_rnn import emulator_score, kept, labelled, memoryless
from rheobase.models.hmm_rnn.batch import Chain
from rheobase.models.hmm_rnn.emissions import spans
from rheobase.models.hmm_rnn.memoryless import Linear
from rheobase.models.hmm_rnn.output import Seen, embedded, see
from rheobase.models.hmm_rnn.surrogates import randomised
from rheobase.models.inputs import check

if TYPE_CHECKING:
    from rheobase.models.hmm_rnn import HMMRNN
    from rheobase.recording import Recording


@dataclass(frozen=True, eq=False)
class Rivals:
    """What was fitted beside the states."""

    linear: Linear
    mixture: Chain
    kind: kept.Kind

    def single(self, x: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
        """Return log-likelihoods (time,) of a model of the same emissions with one state."""
        if self.kind.name == "ar":
            return self.linear.loglik(x, lengths)
        return self.linear.first.loglik(x)

    def judged(self, lengths: Sequence[int]) -> np.ndarray:
        """Return which samples have a likelihood, (time,) bool."""
        made = np.ones(sum(lengths), bool)
        for begin, _ in spans(lengths):
            made[begin : begin + self.kind.warm] = False
        return made


@dataclass(frozen=True, eq=False)
class Copies:
    """What the models of phase-randomised copies reach on such copies of the test part."""

    gain: np.ndarray
    """(copy,)"""
    agreement: np.ndarray
    """(copy,)"""


def scores(model: HMMRNN, fitted: Fitted, test: Sequence[Recording]) -> list[Score]:
    """Return all scores of a test part."""
    arrays = fitted.arrays
    check(test, part="test", units=arrays["unit"].values.astype(str).tolist())
    seen = see(model, fitted, test)
    mixture = kept.unpack(arrays, "rival/gaussian_mixture_")
    rivals = Rivals(memoryless.unpack_linear(arrays), mixture, kept.kind(arrays))
    copies = of_copies(fitted, rivals, seen, test)
    judged = rivals.judged(seen.lengths)
    value = float(seen.loglik.sum() / judged.sum())
    each = np.asarray(logsumexp(memoryless.of_mixture(seen.x, rivals.mixture), axis=1))
    mixed = float(each[judged].mean())
    single = float(rivals.single(seen.x, seen.lengths)[judged].mean())
    made = [_heldout(rivals, seen, judged, value, mixed), _gain(value, mixed, single, copies),
            _replication(fitted, seen, copies)]  # fmt: skip
    if model.label and test[0].label_name is not None:
        try:
            made.append(_label(model, fitted, rivals, seen, test))
        except NotDecodableError as reason:
            said = f"states are not compared with the label: {reason}"
            made[0] = replace(made[0], note="; ".join(filter(None, [made[0].note, said])))
    return made + (emulator_score.scores(fitted, seen) if model.emulate else [])


def _heldout(
    rivals: Rivals, seen: Seen, judged: np.ndarray, value: float, mixed: float
) -> Score:  # fmt: skip
    others = {"one_gaussian": float(rivals.linear.first.loglik(seen.x)[judged].mean()),
              "gaussian_mixture": mixed}  # fmt: skip
    if rivals.kind.name != "tde":
        others["var"] = float(rivals.linear.loglik(seen.x, seen.lengths)[judged].mean())
    best = max(others, key=lambda name: others[name])
    caution = ""
    if others[best] > value:
        caution = (
            "a vector autoregression, which has no states, describes held-out samples better: most "
            "of what can be foretold is their smooth course, not switching" if best == "var" else
            f"a {best.replace('_', ' ').replace('gaussian', 'Gaussian')}, which has no memory, "
            "describes held-out samples better"
        )  # fmt: skip
    left = int((~seen.inside).sum()) + seen.series.skipped
    note = f"{seen.x.shape[1]} components a sample"
    if rivals.kind.name == "tde":
        note += ", which overlap in time, so that no autoregression is compared"
    if left:
        note += f"; {left} samples that states cannot be told of are left out"
    return Score("heldout_loglik", value, others, unit="nats a sample", note=note, caution=caution,
                 title="log-likelihood of held-out samples", question="likelihood")  # fmt: skip


def _gain(value: float, mixed: float, single: float, copies: Copies | None) -> Score:
    """Return what states that last add to a single state, beside copies without any states."""
    gain, others = value - single, {"gaussian_mixture": mixed - single}
    title = "what states add to a single one"
    if copies is None:
        return Score("gain_over_single", gain, others, unit="nats a sample", title=title,
                     question="states")  # fmt: skip
    mean = float(copies.gain.mean())
    note = (
        f"the same model fitted to {len(copies.gain)} phase-randomised copies of the training part "
        "and scored on such copies of the test part: linear, and without states"
    )
    return Score(
        "gain_over_single", gain, {**others, "phase_randomised": mean}, chance=mean,
        p_value=metrics.permutation_p(gain, copies.gain), unit="nats a sample", note=note,
        null=rounded(copies.gain), title=title, question="states",
    )  # fmt: skip


def _replication(fitted: Fitted, seen: Seen, copies: Copies | None) -> Score:
    arrays = fitted.arrays
    value = agreement(_paths(fitted, kept.unpack(arrays, "half/", single=False), seen.x,
                             seen.lengths))  # fmt: skip
    clusters = [memoryless.nearest(seen.x, one) for one in arrays["rival/kmeans_half"].values]
    others = {"kmeans": agreement(clusters)}
    note = "models of two halves of the training part label the test part alike; 1: the same"
    title = "agreement of two halves, adjusted Rand index"
    if copies is None:
        return Score("replication_rand", value, others, note=note, title=title)
    mean = float(copies.agreement.mean())
    return Score(
        "replication_rand", value, {**others, "phase_randomised": mean}, chance=mean,
        p_value=metrics.permutation_p(value, copies.agreement), note=note,
        null=rounded(copies.agreement), title=title,
    )  # fmt: skip


def agreement(groups: Sequence[np.ndarray]) -> float:
    """Return the adjusted Rand index of two groupings of the same samples, from 0 each."""
    first, second = (np.asarray(one, int) for one in groups)
    width = int(second.max()) + 1
    counts = np.bincount(first * width + second, minlength=(int(first.max()) + 1) * width)
    return labelled.rand(counts.reshape(-1, width).astype(float))


def _paths(
    fitted: Fitted, chains: Chain, x: np.ndarray, lengths: Sequence[int]
) -> list[np.ndarray]:  # fmt: skip
    return [kept.of_chain(fitted.arrays, chains.take([n])).viterbi(x, lengths)
            for n in range(len(chains.pi))]  # fmt: skip


def of_copies(
    fitted: Fitted, rivals: Rivals, seen: Seen, test: Sequence[Recording]
) -> Copies | None:  # fmt: skip
    """Return gain and agreement of every copy's models, on copies of the test part."""
    arrays = fitted.arrays
    if "rival/copy_pi" not in arrays:
        return None
    whole, halves = (kept.unpack(arrays, f"rival/copy_{part}", single=False)
                     for part in ("", "half_"))  # fmt: skip
    rng = stream(int(arrays["seed"]), 12, test)
    gain, alike = [], []
    for number in range(len(whole.pi)):
        copy = randomised(seen.series.x, seen.series.lengths, rng)
        x, lengths, _ = embedded(fitted, copy, seen.series.lengths)
        judged = rivals.judged(lengths)
        _, loglik = kept.of_chain(arrays, whole.take([number])).posterior(x, lengths)
        single = rivals.single(x, lengths)[judged].mean()
        gain.append(float(loglik.sum() / judged.sum() - single))
        pair = halves.take([2 * number, 2 * number + 1])
        alike.append(agreement(_paths(fitted, pair, x, lengths)))
    return Copies(np.array(gain), np.array(alike))


def _label(
    model: HMMRNN, fitted: Fitted, rivals: Rivals, seen: Seen, test: Sequence[Recording]
) -> Score:  # fmt: skip
    found, count = labelled.labelled(model, seen), fitted.arrays.sizes["state"]
    value = labelled.rand(labelled.table(found, seen.path.astype(int), count))
    groups = {
        "kmeans": memoryless.nearest(seen.x, fitted.arrays["rival/kmeans_centres"].values),
        "gaussian_mixture": memoryless.of_mixture(seen.x, rivals.mixture).argmax(axis=1),
    }
    others = {n: labelled.rand(labelled.table(found, own, count)) for n, own in groups.items()}
    rng = stream(int(fitted.arrays["seed"]), 13, test)
    drawn = labelled.null(found, seen.path.astype(int), count, draws=model.permutations, rng=rng)
    tested = len(drawn) > 0
    return Score(
        "label_rand", value, others, chance=float(drawn.mean()) if tested else 0.0,
        p_value=metrics.permutation_p(value, drawn) if tested else None, null=rounded(drawn),
        note=f"{count} states and {len(found.classes)} classes of {test[0].label_name}; chance by "
        "exchanging labels between whole stretches; nothing is learnt from labels",
        title=f"states beside {test[0].label_name}, adjusted Rand index", question="label",
    )  # fmt: skip

"""Scores of the test part, each beside the same score of what could be used instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rheobase import metrics
from rheobase.models.base import Fitted, Score
from rheobase.models.decoding import decode, null
from rheobase.models.inputs import acausal_note
from rheobase.models.spiking import calibration, cost, probe
from rheobase.models.spiking.probe import Judged

if TYPE_CHECKING:
    from rheobase.models.spiking import Spiking
    from rheobase.recording import Recording

NAMES = {
    "lda": "lda_on_features", "ridge": "ridge_on_features", "mlp": "perceptron_on_features",
    "cnn": "convolutional_network", "gru": "gated_recurrent_network",
}  # fmt: skip
ESTIMATE = "an estimate from the numbers of a 45 nm process, not a measurement"
POINTS = 100


def scores(model: Spiking, fitted: Fitted, test: Sequence[Recording]) -> list[Score]:
    """Return all scores of a test part."""
    found = probe.judged(model, fitted, test)
    made = [_decoding(model, fitted, found)]
    if not found.values:
        made += [_f1(fitted, found), *_early(found), _calibration(found)]
    return made + _costs(found)


def _decoding(model: Spiking, fitted: Fitted, found: Judged) -> Score:
    """Return balanced accuracy or R2 of whole windows beside all rivals and chance."""
    classes, majority = found.learnt.classes, str(fitted.arrays["majority"].values)
    count, centre = len(classes), found.learnt.target.centre
    simplest = np.array([0.0, 0.0, centre]) if found.values else np.eye(count)
    judge = decode.Decoder(
        "value" if found.values else "class", "windows", classes, np.zeros(count), np.ones(count),
        np.eye(count), np.zeros(count), simplest, centre, majority, 0, 0.0,
    )  # fmt: skip
    shown = replace(found.examples, x=found.evidence[-1])
    rng = null.stream(found.learnt.seed, 4, found.taken.segments)
    score = decode.evaluate(judge, shown, draws=model.permutations, rng=rng)
    y = found.examples.y
    rivals = {
        NAMES[name]: metrics.r2(y, told, centre=centre) if found.values
        else metrics.balanced_accuracy(y, told) for name, told in found.rivals.items()
    }  # fmt: skip
    inside = [one for one in found.taken.segments if one.name in found.trained]
    shared = acausal_note(inside) if inside else ""
    flattered = f"{shared} of recordings in both parts, so decoding may be flattered"
    caution = "; ".join(filter(None, [flattered if shared else "", score.caution]))
    simple = "training_mean" if found.values else "majority_class"
    return replace(score, rivals=rivals | {simple: score.rivals[simple]}, caution=caution)


def _f1(fitted: Fitted, found: Judged) -> Score:
    y = found.examples.y
    told = {NAMES[name]: answers for name, answers in found.rivals.items()}
    told["majority_class"] = np.full(len(y), str(fitted.arrays["majority"].values))
    rivals = {name: metrics.macro_f1(y, answers) for name, answers in told.items()}
    return Score("decode_macro_f1", metrics.macro_f1(y, found.full), rivals,
                 title="decoding, macro F1")  # fmt: skip


def _calibration(found: Judged) -> Score:
    """Return how far probabilities after whole windows lie from the share that is right."""
    right, z = found.right()[-1], found.evidence[-1]

    def error(scale: float) -> float:
        sure = np.exp(calibration.log_softmax(z * scale)).max(1)
        return calibration.calibration_error(sure, right)

    return Score(
        "calibration_error", error(1.0), {"not_scaled": error(1 / found.learnt.rule.alpha)},
        higher_is_better=False, title="calibration error", question="early answers",
        note="mean distance of the probability of the likeliest class and the share that is right, "
        "in 15 bins; not_scaled: the mean readout as it is",
    )  # fmt: skip


def _early(found: Judged) -> list[Score]:
    """Return accuracy, time and loss of early answers.

    Beside: all windows cut off after one and the same step; what validation promised.
    """
    curve, rule = found.curve(), found.learnt.rule
    value, mean = metrics.balanced_accuracy(found.examples.y, found.early), float(found.stop.mean())
    same = float(np.interp(mean, np.arange(1, len(curve) + 1), curve))
    reached = np.flatnonzero(curve >= value - 1e-12)
    needed = int(reached[0]) + 1 if len(reached) else len(curve)
    why = f"it never answers early: {rule.note}" if rule.note else ""
    lost, (step, unit) = float(curve[-1] - value), found.scale.step
    return [
        Score("early_balanced_accuracy", value, {"same_time_for_all": same}, caution=why,
              note="same_time_for_all: all windows answered at the mean time of early answers",
              title="balanced accuracy of early answers", question="early answers"),
        Score("early_time", mean * step,
              {"same_time_for_all": needed * step, "whole_window": len(curve) * step},
              higher_is_better=False, unit=unit, title="time to an early answer",
              note="same_time_for_all: the first step at which all together are as accurate",
              question="early answers"),
        Score("early_loss", POINTS * lost, {"promised": POINTS * rule.promised_loss},
              higher_is_better=False, unit="points", title="accuracy lost by answering early",
              note="promised: what the validation part lost", question="early answers"),
    ]  # fmt: skip


def _costs(found: Judged) -> list[Score]:
    """Return operations and estimated energy, whole windows and early answers."""
    whole, early = found.cost(early=False), found.cost(early=True)
    counts = {NAMES[name]: count for name, count in found.rival_operations().items()}
    rivals = {**counts, "same_network_dense": whole.dense}
    shares = [sum(found.operations(early=one)) for one in (False, True)]
    energy = {name: cost.network_energy(count) / 1000 for name, count in rivals.items()}
    encoding = cost.ADD_PJ * (found.operations(early=False)[0] - whole.operations)
    joules = [one + encoding for one in (whole.energy_with_leak_pj, whole.energy_pj)]
    made = [
        Score("operations", shares[0], rivals, higher_is_better=False, unit="a window",
              note="additions after spikes and comparisons that make events, beside multiply-adds "
              "of networks without spikes; features are counted where there are some",
              title="operations of whole windows", question="operations"),
        Score("operations_early", shares[1], {"whole_window": shares[0]}, higher_is_better=False,
              unit="a window", title="operations until early answers", question="operations"),
        Score("spikes_early", early.spikes, {"whole_window": whole.spikes},
              higher_is_better=False, unit="a window", question="operations",
              title="spikes of hidden units until early answers"),
        Score("energy", joules[0] / 1000, energy, higher_is_better=False, unit="nJ a window",
              title="energy of whole windows (estimate)", note=ESTIMATE, question="operations"),
        Score("energy_without_leak", joules[1] / 1000, energy, higher_is_better=False,
              unit="nJ a window", title="the same without the leak of membranes (estimate)",
              note=ESTIMATE, question="operations"),
    ]  # fmt: skip
    return [one for one in made if not (found.values and one.name.endswith("_early"))]

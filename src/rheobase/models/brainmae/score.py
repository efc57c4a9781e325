"""Scores of the test part: decoding, reconstruction of hidden regions, telling people apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from rheobase import metrics
from rheobase.models.base import Fitted, Score
from rheobase.models.brainmae import fidelity, labels, people, reconstruct, start, states
from rheobase.models.brainmae.learn import LITTLE, network_of, segments_of
from rheobase.models.brainmae.network import BrainMAENetwork
from rheobase.models.brainmae.pretrain import RATIOS
from rheobase.models.brainmae.segments import Run, runs
from rheobase.models.decoding import null
from rheobase.models.decoding.examples import Examples, NotDecodableError
from rheobase.models.inputs import check

if TYPE_CHECKING:
    from rheobase.models.brainmae import BrainMAE
    from rheobase.recording import Recording

MODES = {"finetune": "finetuned from the probe", "probe": "probe",
         "scratch": "without pretraining", "encoder": "probe of the encoder alone"}  # fmt: skip
FIRST = "finetune"
MEASURES = {"balanced_accuracy": "decoding, balanced accuracy", "auroc": "decoding, AUROC",
            "r2": "decoding, R²", "mae": "decoding, mean absolute error"}  # fmt: skip
SCORED = (0.15, *RATIOS)
"""Shares of hidden regions that are scored; one half comes first"""


def scores(model: BrainMAE, fitted: Fitted, test: Sequence[Recording]) -> list[Score]:
    """Return every score of the test part beside its rivals."""
    check(test, part="test", units=[str(name) for name in fitted.arrays["unit"].values])
    samples = int(fitted.arrays["samples"])
    stretches, left_out = runs(test, samples)
    network = network_of(model, fitted)
    made: list[Score] = []
    flattered = start.met_before(fitted, test)
    caution = next((said for said in fitted.notices if said.startswith(labels.NOT_DECODED)), "")
    if "label/centre" in fitted.arrays:
        try:
            made += decoding(model, fitted, network, test, stretches, samples)
        except NotDecodableError as reason:
            caution = f"{labels.NOT_DECODED} here: {reason}"
    fills = fillers(model, fitted, network, 1 / test[0].rate)
    half = fidelity.measure(fills, stretches, samples, fidelity.expected(fitted.arrays))
    made += [reconstruction(half.tallies, fidelity.RATIO)]
    for ratio in SCORED:
        if ratio != fidelity.RATIO:
            tallies = {name: reconstruct.tally(fill, stretches, samples, ratio)
                       for name, fill in fills.items()}  # fmt: skip
            made.append(reconstruction(tallies, ratio))
    made += fidelity.scores(half)
    found_again, not_looked_for = people.scores(model, fitted, network, test)
    made += found_again
    first = made[0]
    note = "; ".join(filter(None, [first.note, *left_out, *not_looked_for]))
    little = LITTLE if any(LITTLE in said for said in fitted.notices) else ""
    caution = "; ".join(filter(None, [flattered, first.caution or caution, little]))
    return [replace(first, note=note, caution=caution), *made[1:]]


def fillers(
    model: BrainMAE, fitted: Fitted, network: BrainMAENetwork, period_s: float
) -> dict[str, reconstruct.Filler]:
    """Return how the network and each rival fill in hidden regions; the network first."""
    samples = int(fitted.arrays["samples"])
    lagged = fitted.arrays["rival/covariance_3"].values.astype(np.float64)
    same = reconstruct.same_frame(lagged)
    segments = segments_of(model, samples, period_s)
    return {
        "brainmae": reconstruct.by_network(
            network, samples=samples, segments=segments, period_s=period_s, device="cpu"
        ),
        "mean": lambda run, hidden: np.zeros((len(hidden) * samples, len(same))),
        "linear_interpolation": partial(reconstruct.linear, samples=samples),
        "pca": partial(
            reconstruct.pca, samples=samples, components=fitted.arrays["rival/components"].values
        ),
        "conditional_gaussian": partial(reconstruct.gaussian, samples=samples, covariance=same),
        "conditional_gaussian_3": partial(
            reconstruct.gaussian_3, samples=samples, covariance=lagged
        ),
        "ridge": partial(
            reconstruct.gaussian,
            samples=samples,
            covariance=same,
            noise=float(fitted.arrays["rival/ridge_penalty"]),
        ),
    }


def reconstruction(tallies: Mapping[str, reconstruct.Tally], ratio: float) -> Score:
    """Return R2 over hidden regions of all runs."""
    found = {name: float(tally.r2) for name, tally in tallies.items()}
    value, found["mean"] = found.pop("brainmae"), 0.0
    percent = round(100 * ratio)
    note = "all methods see the same visible regions; 0 is each region's own mean"
    title = f"R² of hidden regions ({percent} % hidden)"
    return Score(f"masked_r2_{percent}", value, found, note=note, title=title)


def decoding(
    model: BrainMAE, fitted: Fitted, network: BrainMAENetwork, test: Sequence[Recording],
    stretches: Sequence[Run], samples: int,
) -> list[Score]:  # fmt: skip
    """Return balanced accuracy or R2 of each way to read a label, each beside the rivals."""
    if states.DELAY in fitted.arrays:
        known, outputs = states.outputs(model, fitted, network, test, stretches, samples)
    else:
        known = labels.found(test)
        known = known.take(np.isin(known.recording, [run.name for run in stretches]))
        outputs = labels.outputs(model, fitted, network, test, stretches, known, samples)
    classes = fitted.arrays["class"].values.astype(str)
    rivals = [name for name in outputs if name not in MODES]
    if not classes[0]:
        return _values(model, fitted, known, outputs, rivals, test)
    guesses = {name: classes[np.argmax(out, axis=1)] for name, out in outputs.items()}
    most = classes[int(np.argmax([np.sum(known.y == c) for c in classes]))]
    found = {name: metrics.balanced_accuracy(known.y, guess) for name, guess in guesses.items()}
    beside = {name: found[name] for name in rivals}
    beside["majority_class"] = metrics.balanced_accuracy(known.y, np.full(len(known.y), most))
    made = []
    for mode in MODES:
        rng = null.stream(int(fitted.arrays["seed"]), 2, test)
        drawn = null.classes_null(known, guesses[mode], draws=model.label_training.permutations,
                                  rng=rng)  # fmt: skip
        note = _class_note(known, classes)
        level = 1 / len(classes)
        made.append(_score(mode, "balanced_accuracy", found[mode], beside, drawn, level, note))
    if len(classes) == 2 and len(np.unique(known.y)) == 2:
        areas = {name: _auroc(known.y == classes[1], out[:, 1] - out[:, 0])
                 for name, out in outputs.items()}  # fmt: skip
        beside = {name: areas[name] for name in rivals}
        made += [Score(_name(mode, "auroc"), areas[mode], beside, chance=0.5,
                       title=_title(mode, "auroc")) for mode in MODES]  # fmt: skip
    guesses["majority_class"] = np.full(len(known.y), most)
    shown = {name: guesses[name] for name in (FIRST, *rivals, "majority_class")}
    made += _shares(known, shown, classes)
    return states.of_blocks(made, fitted, test) if known.within else made


def _score(
    mode: str, what: str, value: float, rivals: dict[str, float], drawn: np.ndarray,
    level: float | None, note: str,
) -> Score:  # fmt: skip
    return Score(
        _name(mode, what), value, rivals,
        chance=float(drawn.mean()) if len(drawn) else level,
        p_value=metrics.permutation_p(value, drawn) if len(drawn) else None,
        note=note, null=null.rounded(drawn), title=_title(mode, what),
    )  # fmt: skip


def _title(mode: str, what: str) -> str:
    return f"{MEASURES[what]} ({MODES[mode]})"


def _name(mode: str, what: str) -> str:
    return f"decode_{what}" if mode == "finetune" else f"decode_{mode}_{what}"


def _class_note(known: Examples, classes: np.ndarray) -> str:
    units, what = len(np.unique(known.unit)), "blocks" if known.within else "recordings"
    return f"{len(classes)} classes, {len(known.y)} {what} of {units} exchangeable units"


def _shares(known: Examples, guesses: Mapping[str, np.ndarray], classes: np.ndarray) -> list[Score]:
    """Return accuracy and, of two classes, sensitivity for the second one and specificity."""
    there = {"accuracy": np.ones(len(known.y), bool)}
    said = {"accuracy": "accuracy"}
    if len(classes) == 2 and len(np.unique(known.y)) == 2:
        there |= {"sensitivity": known.y == classes[1], "specificity": known.y == classes[0]}
        said |= {what: f"{what} for {classes[1]}" for what in ("sensitivity", "specificity")}
    made = []
    for what, chosen in there.items():
        found = {name: float(np.mean((guess == known.y)[chosen]))
                 for name, guess in guesses.items()}  # fmt: skip
        value = found.pop(FIRST)
        made.append(Score(_name(FIRST, what), value, found,
                          title=f"decoding, {said[what]} ({MODES[FIRST]})"))  # fmt: skip
    return made


def _auroc(truth: np.ndarray, score: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, score))


def _values(
    model: BrainMAE, fitted: Fitted, known: Examples, outputs: dict[str, np.ndarray],
    rivals: Sequence[str], test: Sequence[Recording],
) -> list[Score]:  # fmt: skip
    centre = float(fitted.arrays["label/centre"])
    y = known.y.astype(np.float64)
    guesses = {name: out[:, 0] for name, out in outputs.items()}
    r2 = {name: metrics.r2(y, guess, centre=centre) for name, guess in guesses.items()}
    error = {name: float(np.abs(guess - y).mean()) for name, guess in guesses.items()}
    made = []
    for mode in MODES:
        rng = null.stream(int(fitted.arrays["seed"]), 2, test)
        drawn = null.values_null(known, guesses[mode], centre=centre,
                                 draws=model.label_training.permutations, rng=rng)  # fmt: skip
        note = f"{len(y)} recordings"
        beside = {**{name: r2[name] for name in rivals}, "training_mean": 0.0}
        made.append(_score(mode, "r2", r2[mode], beside, drawn, None, note))
    mean = float(np.abs(y - centre).mean())
    beside = {**{name: error[name] for name in rivals}, "training_mean": mean}
    made += [Score(_name(mode, "mae"), error[mode], beside, higher_is_better=False,
                   title=_title(mode, "mae")) for mode in MODES]  # fmt: skip
    if len(y) > 1 and np.ptp(y) > 0:
        r = {name: _r(y, guesses[name]) for name in (FIRST, *rivals)}
        made.append(Score(_name(FIRST, "r"), r.pop(FIRST), {**r, "training_mean": 0.0},
                          title=f"decoding, correlation ({MODES[FIRST]})"))  # fmt: skip
    return made


def _r(truth: np.ndarray, guess: np.ndarray) -> float:
    """Return Pearson's correlation, 0 where the guess is the same for all."""
    return float(np.corrcoef(truth, guess)[0, 1]) if np.ptp(guess) > 0 else 0.0

"""The label, decoded from the states of every kind of network in the same windows.

Features of a window are mean rates and the rates at its end; of one sample its rates; of a whole
recording mean and deviation of the rates. Ridge regression on codes of -1 and 1, classes counting
alike, and the largest output wins; a value is regressed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rheobase.models.decoding import decode, examples, labels, pack
from rheobase.models.decoding.examples import How, NotDecodableError
from rheobase.models.reservoir import folds, kept, lags, train, tune
from rheobase.models.reservoir.aims import Label, label_aim, lengths_of
from rheobase.models.reservoir.choose import squared
from rheobase.models.reservoir.engine import Engine
from rheobase.models.reservoir.given import Given
from rheobase.models.reservoir.labelled import Labelled, class_weights, folds_of, labelled
from rheobase.models.reservoir.stretches import Stretch, groups_of
from rheobase.models.reservoir.sums import Answers, Consume, Weighted, WindowStream
from rheobase.models.reservoir.train import Made
from rheobase.models.reservoir.windows import Windows
from rheobase.recording import Recording

if TYPE_CHECKING:
    from rheobase.models.reservoir import Reservoir

PENALTIES = tuple(float(p) for p in np.logspace(0, 5, 9))
INVERSE_PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0)
"""The grids of the linear family"""
NOT_DECODED = "The label is not decoded: "
LINEAR = "rival/linear"


def how_of(model: Reservoir, recording: Recording) -> How:
    """Return what of a recording is decoded, as the linear family chooses it."""
    return examples.choose(
        recording, window_s=model.window_s, hop_s=model.hop_s, trim_s=model.trim_s,
        ignore=model.ignore_labels,
    )  # fmt: skip


def fit(model: Reservoir, given: Given) -> tuple[Made, dict[str, Any], Label | None]:
    """Return the decoders, coordinates of their classes, and the aim; or why there are none."""
    segments = list({one.place: one.segment for one in given.stretches}.values())
    try:
        how = how_of(model, segments[0])
        linear = decode.fit(segments, how, cs=INVERSE_PENALTIES, penalties=PENALTIES,
                            delay_s=model.delay_s)  # fmt: skip
        found = labelled(given.stretches, how, delay=linear.delay, washout=given.washout)
        aim = label_aim(found.examples.y, kind=how.kind, delay=linear.delay)
        if how.kind == "class" and len(aim.classes) < 2:
            raise NotDecodableError(
                f"after a washout of {given.washout} samples only {aim.classes[0]!r} is left of "
                f"{segments[0].label_name!r}; lower washout"
            )
        made = _fit(model, given, how, aim, found)
    except NotDecodableError as reason:
        return Made(notices=[f"{NOT_DECODED}{reason}"]), {}, None
    made.variables |= pack.to_arrays(linear, LINEAR)
    values, counts = np.unique(found.examples.y, return_counts=True)
    most = "" if how.kind == "value" else str(values[np.argmax(counts)])
    made.variables |= {
        "decode_delay": ((), np.int64(linear.delay)), "decode_majority": ((), np.array(most)),
        "decode_kind": ((), np.array(how.kind)), "decode_centre": ((), np.float64(aim.centre)),
        "decode_spread": ((), np.float64(aim.spread)),
    }  # fmt: skip
    if gone := labels.lost(segments, how, found.examples.y):
        made.notices.append(f"Not all classes are decoded: {gone}")
    named = aim.classes if len(aim.classes) else np.array([""])
    names = {"decode_target": named, pack.output_name(LINEAR): linear.classes.astype(str)}
    return made, names, aim


def _fit(model: Reservoir, given: Given, how: How, aim: Label, found: Labelled) -> Made:
    made, kinds = Made(), tune.kinds(model)
    searched = train.search(model, given, aim, "decode", made)
    reach = aim.delay + found.width + 1
    inner, count = folds.labels(
        lengths_of(given.stretches), groups_of(given.stretches), folds=model.search.inner_folds,
        gap=given.washout + reach,
    )  # fmt: skip
    fold, targets = folds_of(found, inner, count), aim.codes(found.examples.y)
    weights = class_weights(found.examples.y, kind=how.kind)
    for kind in kinds:
        engine, report = train.engine_for(given, searched[kind].trial)
        sums = Weighted(targets, weights, fold, len(given.members))
        read(engine, given.inputs, found, sums.add, washout=given.washout)
        present = [f for f in range(count) if f in sums.grams[0]]
        if len(present) < 2:
            raise NotDecodableError(
                f"the labelled windows lie in {len(present)} inner fold of the training part and "
                "2 are needed to choose a penalty; give more recordings or lower washout"
            )
        grams = [[own[f] for f in sorted(own)] for own in sums.grams]
        learned = train.learned_from(
            kind, searched[kind].trial, engine, grams, len(present), given.alphas,
            [slice(0, targets.shape[1])], squared,
        )  # fmt: skip
        made.add(learned, "decode", kinds[0], given.alphas)
        if kind == "adapted" and report is not None:
            train.diagnosed(made, "decode", given, engine, report)
    if how.features == "samples":
        _lagged(model, given, aim, found, inner, count, weights, made)
    return made


def _lagged(
    model: Reservoir, given: Given, aim: Label, found: Labelled, inner: Sequence[np.ndarray],
    count: int, weights: np.ndarray, made: Made,
) -> None:  # fmt: skip
    """Keep the regression of the label on the last samples of the input, in the same samples."""
    targets, counted = [], []
    codes = aim.codes(found.examples.y)
    for number, x in enumerate(given.inputs):
        own = found.stretch == number
        y, w = np.full((len(x), codes.shape[1]), np.nan), np.zeros(len(x))
        y[found.start[own]], w[found.start[own]] = codes[own], weights[own]
        targets.append(y)
        counted.append(w)
    tried = lags.orders(model.lags, channels=given.front.channels, washout=given.washout)
    learnt = lags.fit(given.inputs, targets, inner, folds=count, tried=tried, alphas=given.alphas,
                      blocks=[slice(0, codes.shape[1])], washout=given.washout, judge=squared,
                      weights=counted)  # fmt: skip
    train.keep_lagged(made, "decode", learnt)


def read(
    engine: Engine, inputs: Sequence[np.ndarray], found: Labelled, consume: Consume, *,
    washout: int,
) -> None:  # fmt: skip
    """Run the members over all stretches and hand over the features of the labelled windows."""
    starts = found.starts(len(inputs))
    if found.width:
        sink = WindowStream(starts, found.width, consume)
        engine.run(list(inputs), sink=sink, washout=washout)
        return
    whole = [[(int(a), len(x)) for a in own] for own, x in zip(starts, inputs, strict=True)]
    kept_windows = Windows(whole)
    engine.run(list(inputs), sink=kept_windows, washout=washout)
    for member in range(engine.seeds):
        x = kept_windows.of(member, 0, ("mean", "deviation"))
        consume(0, member, np.arange(len(x)), x)


def ready(
    model: Reservoir, stretches: Sequence[Stretch], *, delay: int, washout: int
) -> tuple[How, Labelled]:
    """Return the labelled windows of the test part."""
    how = how_of(model, stretches[0].segment)
    return how, labelled(stretches, how, delay=delay, washout=washout)


def outputs(
    learned: kept.Learned, inputs: Sequence[np.ndarray], found: Labelled, *, washout: int
) -> np.ndarray:
    """Return what the readouts make of the windows, (member, example, target)."""
    answers = Answers(learned.readout, learned.bias, len(found.start))
    read(learned.engine, inputs, found, answers.add, washout=washout)
    return answers.values

"""Scores of the test part, each beside the same score of every rival on the same samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rheobase import metrics
from rheobase.models.base import Fitted, Score
from rheobase.models.decoding import decode, null
from rheobase.models.decoding.examples import NotDecodableError
from rheobase.models.inputs import acausal_note, smooth_note
from rheobase.models.reservoir import probe
from rheobase.models.reservoir.decoders import NOT_DECODED
from rheobase.models.reservoir.probe import Decoded, Foretold, Ready

if TYPE_CHECKING:
    from rheobase.models.reservoir import Reservoir
    from rheobase.recording import Recording

GLOBAL = "global_balance"


def scores(model: Reservoir, fitted: Fitted, test: Sequence[Recording]) -> list[Score]:
    """Return all scores of a test part."""
    ready = probe.ready(model, fitted, test)
    made, undecoded, added = [], "", []
    if "classify" in model.tasks and test[0].label_name is not None:
        undecoded = next((said.removeprefix(NOT_DECODED) for said in fitted.notices
                          if said.startswith(NOT_DECODED)), "")  # fmt: skip
        try:
            if not undecoded:
                found = probe.decoded(model, fitted, ready)
                made += [_decoding(model, ready, found), *_f1(found)]
                added += _added(made[0], "decoding")
        except NotDecodableError as reason:
            undecoded = str(reason)
    if "memory" in model.tasks:
        made.append(_memory(model, probe.recalled(model, fitted, ready)))
        added += _added(made[-1], "memory")
    if "forecast" in model.tasks:
        told = probe.foretold(model, fitted, ready)
        forecasts = _forecasts(model, ready, told)
        made += forecasts
        added += _added(_mean(forecasts[: len(model.horizons)]), "forecasts")
    if not made:
        raise ValueError(
            f"{test[0].name}: nothing is scored: {undecoded or 'there is no label'}; give a label "
            "or add forecast to tasks"
        )
    note = "; ".join(filter(None, [made[0].note, *ready.left_out]))
    lacking = f"the label is not decoded: {undecoded}" if undecoded else ""
    caution = "; ".join(filter(None, [lacking, made[0].caution]))
    return [replace(made[0], note=note, caution=caution), *made[1:], *added]


def _spread(values: np.ndarray) -> str:
    """Return how far the members lie apart; empty where there is one."""
    if len(values) < 2:
        return ""
    return f"mean of {len(values)} reservoirs, SD {values.std(ddof=1):.3g}"


def _forecasts(model: Reservoir, ready: Ready, told: Foretold) -> list[Score]:
    """Return R2 of every horizon, then NRMSE, then MASE."""
    causal = smooth_note(ready.segments, ready.autocorrelation)
    made = []
    for name, measure, better in (
        ("r2", told.r2, True), ("nrmse", told.nrmse, False), ("mase", told.mase, False),
    ):  # fmt: skip
        for place, h in enumerate(model.horizons):
            values = {rival: measure(rival, place) for rival in told.names
                      if not (name == "mase" and rival == "training_mean")}  # fmt: skip
            mine = values.pop(told.own)
            made.append(Score(
                f"forecast_{name}_h{h}", float(mine.mean()),
                {rival: float(each.mean()) for rival, each in values.items()},
                higher_is_better=better, note="" if made else _spread(mine),
                caution=causal if name == "r2" else "",
            ))  # fmt: skip
    return made


def _memory(model: Reservoir, found: Mapping[str, np.ndarray]) -> Score:
    mine = next(iter(found.values())).sum(axis=1)
    rivals = {name: float(each.sum(axis=1).mean()) for name, each in found.items()}
    rivals.pop(next(iter(found)))
    last = float(next(iter(found.values()))[:, -1].mean())
    caution = f"delay {model.delays} is still recalled, so give more delays" if last > 0.05 else ""
    return Score(
        "memory_capacity", float(mine.mean()), rivals, unit="samples", note=_spread(mine),
        caution=caution, title=f"memory capacity ({model.delays} delays)", question="memory",
    )  # fmt: skip


def _decoding(model: Reservoir, ready: Ready, found: Decoded) -> Score:
    """Return the mean over members, with the null averaged draw by draw."""
    each = []
    for outputs in found.outputs[found.own]:
        rng = null.stream(ready.seed, 2, ready.segments)
        judge = found.judge()
        shown = replace(found.examples, x=outputs)
        each.append(decode.evaluate(judge, shown, draws=model.permutations, rng=rng))
    values = np.array([score.value for score in each])
    drawn = np.mean([score.null for score in each], axis=0)
    rivals = {name: float(found.values(name).mean()) for name in found.outputs if name != found.own}
    simple = "training_mean" if found.kind == "value" else "majority_class"
    tested = len(drawn) > 0
    chance = float(drawn.mean()) if tested else each[0].chance
    inside = {one.name for one in ready.segments} & ready.trained
    shared = acausal_note([one for one in ready.segments if one.name in inside])
    flattered = f"{shared} of recordings in both parts, so decoding may be flattered"
    note = "; ".join(filter(None, [each[0].note, _spread(values)]))
    caution = "; ".join(filter(None, [flattered if shared else "", each[0].caution]))
    return replace(
        each[0], value=float(values.mean()), rivals={simple: each[0].rivals[simple], **rivals},
        chance=chance, p_value=metrics.permutation_p(values.mean(), drawn) if tested else None,
        null=null.rounded(drawn), note=note, caution=caution,
    )  # fmt: skip


def _f1(found: Decoded) -> list[Score]:
    """Return macro F1 beside every decoder's, for a label of classes."""
    if found.kind == "value":
        return []
    values = {name: float(found.f1(name).mean()) for name in found.outputs}
    mine = values.pop(found.own)
    most = np.full(len(found.examples.y), found.majority)
    values["majority_class"] = metrics.macro_f1(found.examples.y, most)
    return [Score("decode_macro_f1", mine, values, title="decoding, macro F1")]


def _mean(forecasts: Sequence[Score]) -> Score:
    """Return the mean R2 over horizons."""
    value = float(np.mean([one.value for one in forecasts]))
    rivals = {name: float(np.mean([one.rivals[name] for one in forecasts]))
              for name in forecasts[0].rivals}  # fmt: skip
    return replace(forecasts[0], name="forecast_r2", value=value, rivals=rivals)


def _added(score: Score, what: str) -> list[Score]:
    """Return the same score beside the tuned balance alone: what adaptation adds to it."""
    if GLOBAL not in score.rivals:
        return []
    title = "mean forecast R²" if what == "forecasts" else what
    return [Score(
        f"adaptation_{score.name}", score.value, {GLOBAL: score.rivals[GLOBAL]}, unit=score.unit,
        note="both searched with the same effort",
        title=f"what adaptation adds to {title}", question=f"adaptation in {what}",
    )]  # fmt: skip

"""Scores of the test part: what is explained, the label, the course of events, communities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rheobase import metrics
from rheobase.models.base import Fitted, Score
from rheobase.models.connectome import arrange, labels, locks
from rheobase.models.connectome.artefacts import Learnt
from rheobase.models.connectome.check import check, lacking
from rheobase.models.connectome.courses import Placed, courses, placed, whole_courses
from rheobase.models.connectome.reconstruct import LEAST_NEURONS, Patterns, Tally, tallies
from rheobase.models.decoding import null
from rheobase.models.decoding.examples import NotDecodableError
from rheobase.models.inputs import in_order

if TYPE_CHECKING:
    from rheobase.models.connectome import Connectome
    from rheobase.recording import Recording

HALVES = 3
"""Random halves of the neurons a recording is scored on, chosen here"""


def scores(model: Connectome, fitted: Fitted, test: Sequence[Recording]) -> list[Score]:
    """Return every score of the test part beside its rivals."""
    learnt = Learnt(fitted.arrays)
    check(test, part="test", same_cells=model.same_cells, units=learnt.units)
    test = in_order(test)
    frames = arrange.frames_for(model, test)
    there = placed(model, frames, learnt.units)
    _refuse_few(there)
    own = {
        one.frames.name: courses(one, learnt.matrix("pattern"), len(learnt.units)) for one in there
    }
    made = [_explained(model, learnt, frames, there, test)]
    caution = [n for n in fitted.notices if n.startswith("the label is not decoded")]
    decoders = learnt.decoders()
    if decoders:
        try:
            made.insert(0, _decoding(model, learnt, decoders, test, there, own))
        except NotDecodableError as reason:
            caution.append(f"the label is not decoded here: {reason}")
    if found := locks.score(learnt, test, there, own):
        made.append(found)
    made.append(_communities(learnt, there, test))
    note = "; ".join(filter(None, [made[0].note, lacking(test, learnt.units)]))
    said = "; ".join(filter(None, [*caution, made[0].caution]))
    return [replace(made[0], note=note, caution=said), *made[1:]]


def _refuse_few(there: Sequence[Placed]) -> None:
    for one in there:
        if len(one.chosen) < LEAST_NEURONS:
            raise ValueError(
                f"{one.frames.name}: {len(one.chosen)} neurons are too few to predict one half "
                f"from the other; give {LEAST_NEURONS} or more"
            )


def _compared(
    learnt: Learnt, there: Sequence[Placed], methods: dict[str, Patterns], test: Sequence[Recording]
) -> dict[str, Tally]:
    return tallies(
        [(one.tensor, one.chosen) for one in there], methods, neurons=len(learnt.units),
        halves=HALVES, generator=null.stream(learnt.seed, 5, test),
    )  # fmt: skip


def _explained(
    model: Connectome, learnt: Learnt, frames: Sequence, there: Sequence[Placed],
    test: Sequence[Recording],
) -> Score:  # fmt: skip
    """Return the explained share of hidden pairs, against shifted neurons too."""
    found = {n: t.explained for n, t in _compared(learnt, there, learnt.methods(), test).items()}
    value = found.pop("connectome")
    drawn, why = _shifted(model, learnt, frames, test)
    note = "pairs inside one half of the units, the components' presence being that in the other"
    return Score(
        "explained_hidden_pairs", value, found,
        chance=float(drawn.mean()) if len(drawn) else None,
        p_value=metrics.permutation_p(value, drawn) if len(drawn) else None,
        note=f"{note}; {why}" if why else note, null=null.rounded(drawn),
        title="explained affinity of hidden pairs", question="explained",
    )  # fmt: skip


def _shifted(
    model: Connectome, learnt: Learnt, frames: Sequence, test: Sequence[Recording]
) -> tuple[np.ndarray, str]:
    """Return what the components explain of shifted neurons, (draw,), or why it is not known."""
    generator = null.stream(learnt.seed, 6, test)
    ours = {"connectome": learnt.methods()["connectome"]}
    made = np.empty(model.permutations)
    for draw in range(model.permutations):
        try:
            moved = arrange.shifted_frames(frames, generator=generator, least_s=model.null.shift_s)
        except ValueError:
            return np.zeros(0), "the test part is too short to shift its neurons"
        there = placed(model, moved, learnt.units)
        made[draw] = _compared(learnt, there, ours, test)["connectome"].explained
    return made, ""


def _decoding(
    model: Connectome, learnt: Learnt, decoders, test: Sequence[Recording],
    there: Sequence[Placed], own: dict[str, np.ndarray],
) -> Score:  # fmt: skip
    whole = {one.frames.name: whole_courses(one, own[one.frames.name]) for one in there}
    axes = learnt.arrays["rival/signal_axes"].values
    given = labels.inputs_of(test, there, whole, axes, learnt.units)
    return labels.score(
        decoders, given, ignore=model.ignore_labels, draws=model.label_permutations,
        seed=learnt.seed,
    )  # fmt: skip


def _communities(learnt: Learnt, there: Sequence[Placed], test: Sequence[Recording]) -> Score:
    """Return the explained share of hidden pairs where only communities are known."""
    made = _compared(learnt, there, learnt.communities(), test)
    found = {name: tally.explained for name, tally in made.items()}
    value = found.pop("connectome")
    note = (
        "every component flattened to its communities; the rivals are clusters of correlations, "
        "one pattern each"
    )
    return Score("communities_explained_pairs", value, found, note=note,
                 title="explained by communities alone", question="communities")  # fmt: skip

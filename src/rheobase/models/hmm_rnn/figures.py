"""All drawings of one fit."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rheobase.models.base import Drawing, Fitted
from rheobase.models.decoding.examples import NotDecodableError
from rheobase.models.hmm_rnn import (
    cause_figures,
    emulator_figures,
    inside_figures,
    jump_figures,
    label_figures,
    labelled,
    state_figures,
    time_figures,
)
from rheobase.models.hmm_rnn.output import see

if TYPE_CHECKING:
    from rheobase.models.hmm_rnn import HMMRNN
    from rheobase.recording import Recording


def draw(model: HMMRNN, fitted: Fitted, test: Sequence[Recording]) -> dict[str, Drawing]:
    """Return all drawings of a fit."""
    arrays, seen = fitted.arrays, see(model, fitted, test)
    unit_dim, unit = test[0].unit_dim, test[0].time_unit
    made: dict[str, Drawing | None] = {
        "states": state_figures.means(arrays, unit_dim),
        "brain": state_figures.brain(arrays),
        "correlations": state_figures.covariances(arrays, unit_dim),
        "course": time_figures.course(seen, unit),
    }
    if model.label and test[0].label_name is not None:
        with contextlib.suppress(NotDecodableError):
            found = labelled.labelled(model, seen)
            made["label"] = label_figures.meeting(found, seen.path, arrays.sizes["state"],
                                                  test[0].label_name)  # fmt: skip
    made["times"] = time_figures.times(arrays, seen, unit)
    made["transitions"] = jump_figures.transitions(arrays, unit)
    made["waiting"] = jump_figures.waiting(arrays, unit)
    made["selection"] = state_figures.selection(arrays)
    if model.emulate:
        made |= emulator_figures.draw(fitted, seen)
        made |= inside_figures.draw(arrays) | cause_figures.draw(arrays)
    return {name: drawing for name, drawing in made.items() if drawing is not None}

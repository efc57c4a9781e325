"""All drawings of one fit, and of what several fits chose."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rheobase.models.base import Drawing, Fitted, Placed
from rheobase.models.decoding.examples import NotDecodableError
from rheobase.models.reservoir import forecast_figures, label_figures, network_figures, probe

if TYPE_CHECKING:
    from rheobase.models.reservoir import Reservoir
    from rheobase.recording import Recording

TASKS = ("decode", "memory", "forecast")


def draw(model: Reservoir, fitted: Fitted, test: Sequence[Recording]) -> dict[str, Drawing]:
    """Return all drawings of a fit."""
    ready = probe.ready(model, fitted, test)
    made: dict[str, Drawing | None] = {}
    if "decode_kind" in fitted.arrays:
        with contextlib.suppress(NotDecodableError):
            found = probe.decoded(model, fitted, ready)
            label = test[0].label_name or "label"
            drawn = label_figures.trace if found.kind == "value" else label_figures.confusion
            made["decoding"] = drawn(found, label)
    if "memory" in model.tasks:
        made["memory"] = forecast_figures.memory(probe.recalled(model, fitted, ready))
    if "forecast" in model.tasks:
        made["forecast"] = forecast_figures.skill(probe.foretold(model, fitted, ready),
                                                  model.horizons)  # fmt: skip
        made["example"] = forecast_figures.example(model, fitted, ready)
    for task in TASKS:
        if f"{task}_rate" in fitted.arrays:
            made[f"rates_{task}"] = network_figures.rates(fitted.arrays, task)
            made[f"inhibition_{task}"] = network_figures.inhibition(fitted.arrays, task)
        if f"{task}_search_error" in fitted.arrays:
            made[f"search_{task}"] = network_figures.search(fitted.arrays, task)
    made["sweep"] = network_figures.sweep(fitted.arrays, model)
    return {name: drawing for name, drawing in made.items() if drawing is not None}


def across(fits: Sequence[Placed]) -> dict[str, Drawing]:
    """Return the inner errors of what each fit chose, by task."""
    made = {task: network_figures.choices(fits, task) for task in TASKS}
    return {f"choices_{task}": one for task, one in made.items() if one is not None}

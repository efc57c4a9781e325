"""One fit: settings of every kind, reservoirs with readouts, linear rivals, diagnosis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from rheobase import metrics
from rheobase.models.base import Fitted
from rheobase.models.inputs import acausal_note, check
from rheobase.models.reservoir import decoders, folds, lags, swept, train
from rheobase.models.reservoir.aims import Ahead, Recall, lengths_of
from rheobase.models.reservoir.choose import forgotten, squared
from rheobase.models.reservoir.given import Given, prepared
from rheobase.models.reservoir.stretches import groups_of

if TYPE_CHECKING:
    from rheobase.models.reservoir import Reservoir
    from rheobase.recording import Recording


def fit_training(
    model: Reservoir, train_part: Sequence[Recording], *, seed: int, device: str
) -> Fitted:
    """Return everything that is learnt from the training part."""
    check(train_part, part="training")
    if "memory" in model.tasks and train_part[0].modality != "series":
        raise ValueError(
            f"{train_part[0].name}: memory is a task for bare series that a reservoir is driven "
            f"with, not for {train_part[0].modality}; take it out of tasks"
        )
    given, notices = prepared(model, train_part, seed=seed, device=device)
    variables, tensors, scalars = of_front(given), {}, {}
    if "forecast" in model.tasks and (flag := acausal_note(train_part)):
        scalars["acausal"] = 1.0
        notices.append(f"{flag}, so forecasts of these recordings are flattered")
    if "forecast" in model.tasks:
        aim = Ahead(model.horizons)
        units = len(given.front.mean)
        blocks = [slice(i * units, (i + 1) * units) for i in range(len(model.horizons))]
        made = train.task(model, given, "forecast", aim, blocks, squared)
        own = _own_past(model, given)
        variables["rival/ar_weights"] = ("horizon", "ar_lag", "unit"), own.weights
        _gather(made, variables, tensors, scalars, notices)
    if "memory" in model.tasks:
        made = train.task(model, given, "memory", Recall(model.delays),
                          [slice(0, model.delays)], forgotten)  # fmt: skip
        _gather(made, variables, tensors, scalars, notices)
    label = None
    coordinates: dict[str, Any] = {"unit": np.array(train_part[0].unit_names, str)}
    if "classify" in model.tasks and train_part[0].label_name is not None:
        made, names, label = decoders.fit(model, given)
        _gather(made, variables, tensors, scalars, notices)
        coordinates |= names
    if "forecast" in model.tasks:
        coordinates["horizon"] = list(model.horizons)
    variables |= swept.sweep(model, given, label)
    arrays = xr.Dataset(variables, coords=coordinates)
    return Fitted(arrays, weights=tensors, metrics=scalars, notices=tuple(notices))


def of_front(given: Given) -> dict[str, Any]:
    """Return the named arrays of the front end."""
    made: dict[str, Any] = {
        "mean": ("unit", given.front.mean), "scale": ("unit", given.front.scale),
        "washout": ((), np.int64(given.washout)), "seed": ((), np.int64(given.seed)),
        "recording": ("stretch", np.array([one.segment.name for one in given.stretches], str)),
    }  # fmt: skip
    lag1 = np.stack([metrics.lag1_autocorrelation(z) for z in given.standard])
    made["autocorrelation"] = "unit", np.average(lag1, axis=0, weights=lengths_of(given.stretches))
    if given.front.axes is not None:
        made["axes"] = ("unit", "channel"), given.front.axes
    return made


def _own_past(model: Reservoir, given: Given) -> lags.Own:
    gap = given.washout + max(model.horizons)
    labels, count = folds.labels(lengths_of(given.stretches), groups_of(given.stretches),
                                 folds=model.search.inner_folds, gap=gap)  # fmt: skip
    tried = lags.orders(model.lags, channels=1, washout=given.washout)
    return lags.fit_own(given.standard, labels, horizons=model.horizons, folds=count,
                        tried=[p for p in tried if p <= lags.MOST_OWN] or tried[:1],
                        washout=given.washout)  # fmt: skip


def _gather(
    made: train.Made, variables: dict[str, Any], tensors: dict[str, np.ndarray],
    scalars: dict[str, float], notices: list[str],
) -> None:  # fmt: skip
    variables |= made.variables
    tensors |= made.tensors
    scalars |= made.scalars
    notices += [said for said in made.notices if said not in notices]

"""The test part, run through everything that was trained, errors summed on the same samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rheobase import metrics
from rheobase.models.base import Fitted
from rheobase.models.decoding import pack
from rheobase.models.decoding.decode import Decoder
from rheobase.models.decoding.examples import Examples
from rheobase.models.inputs import check, long_enough
from rheobase.models.reservoir import decoders, kept, lags
from rheobase.models.reservoir.aims import Ahead, Aim, Recall
from rheobase.models.reservoir.given import reach_of
from rheobase.models.reservoir.stretches import Front, Stretch, cut
from rheobase.models.reservoir.sums import Errors, Tally

if TYPE_CHECKING:
    import xarray as xr

    from rheobase.models.reservoir import Reservoir
    from rheobase.recording import Recording

LAGS = "linear_on_lags"


@dataclass(frozen=True, eq=False)
class Ready:
    """The test part, standardised by the training part."""

    segments: list[Recording]
    stretches: list[Stretch]
    front: Front
    standard: list[np.ndarray]
    inputs: list[np.ndarray]
    washout: int
    seed: int
    trained: set[str]
    """Names of the training recordings"""
    autocorrelation: np.ndarray
    """Lag-1 autocorrelation of the training part, (unit,)"""
    left_out: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Foretold:
    """Sums of errors by forecast, our own first; targets run over horizons, then units."""

    tallies: dict[str, Tally]
    own: str
    horizons: int

    @property
    def names(self) -> list[str]:
        return list(self.tallies)

    def r2(self, name: str, place: int) -> np.ndarray:
        """Return the variance about the training mean that is explained, (member,)."""
        at, tally = self._at(place), self.tallies[name]
        return 1 - tally.squared[:, at].sum(axis=1) / self._truth().power[at].sum()

    def nrmse(self, name: str, place: int) -> np.ndarray:
        """Return the mean over units of root mean squared error over deviation, (member,)."""
        at, tally, truth = self._at(place), self.tallies[name], self._truth()
        spread = truth.power[at] / truth.n - (truth.total[at] / truth.n) ** 2
        moving = spread > 1e-12
        error = tally.squared[:, at][:, moving] / truth.n
        return np.sqrt(error / spread[moving]).mean(axis=1)

    def mase(self, name: str, place: int) -> np.ndarray:
        """Return the absolute error over that of persistence, (member,)."""
        at = self._at(place)
        against = self.tallies["persistence"].absolute[0, at].sum()
        return self.tallies[name].absolute[:, at].sum(axis=1) / against

    def _truth(self) -> Tally:
        return self.tallies[self.own]

    def _at(self, place: int) -> slice:
        units = len(self._truth().total) // self.horizons
        return slice(place * units, (place + 1) * units)


@dataclass(frozen=True, eq=False)
class Decoded:
    """Outputs of every decoder for the same examples, our own first."""

    outputs: dict[str, np.ndarray]
    """(member, example, target) each"""
    examples: Examples
    own: str
    kind: str
    classes: np.ndarray
    centre: float
    majority: str

    def judge(self) -> Decoder:
        """Return a decoder that takes outputs as they are."""
        many = len(self.classes)
        value = self.kind == "value"
        rival = np.array([0.0, 0.0, self.centre]) if value else np.eye(many)
        return Decoder(
            self.kind, "", self.classes, np.zeros(many), np.ones(many), np.eye(many),
            np.zeros(many), rival, self.centre, self.majority, 0, 0.0,
        )  # fmt: skip

    def f1(self, name: str) -> np.ndarray:
        """Return macro F1 of a label of classes, (member,)."""
        told = [self.judge().output(outputs) for outputs in self.outputs[name]]
        return np.array([metrics.macro_f1(self.examples.y, one) for one in told])

    def values(self, name: str) -> np.ndarray:
        """Return balanced accuracy or R2, (member,)."""
        made = []
        for outputs in self.outputs[name]:
            told = self.judge().output(outputs)
            if self.kind == "value":
                made.append(metrics.r2(self.examples.y, told, centre=self.centre))
            else:
                made.append(metrics.balanced_accuracy(self.examples.y, told))
        return np.array(made)


def ready(model: Reservoir, fitted: Fitted, test: Sequence[Recording]) -> Ready:
    """Return the test part cut and standardised; names recordings that are too short."""
    arrays = fitted.arrays
    check(test, part="test", units=[str(name) for name in arrays["unit"].values])
    washout = int(arrays["washout"])
    least = washout + reach_of(model) + 2
    test, left_out = long_enough(
        test, part="test", reach=least,
        needs=f"a washout of {washout} samples and the longest horizon",
    )  # fmt: skip
    stretches = cut(test, least=least)
    axes = arrays["axes"].values if "axes" in arrays else None
    front = Front(arrays["mean"].values, arrays["scale"].values, axes)
    standard = [front.standard(one.signal) for one in stretches]
    return Ready(
        test, stretches, front, standard, [front.inputs(z) for z in standard], washout,
        int(arrays["seed"]), {str(name) for name in arrays["recording"].values},
        arrays["autocorrelation"].values, left_out,
    )  # fmt: skip


def kinds_of(arrays: xr.Dataset) -> list[kept.Kind]:
    """Return the kinds that were trained, the model's own first."""
    names = [str(name) for name in arrays["kinds"].values]
    return [kind for name in names for kind, word in kept.NAMES.items() if word == name]


def learned(fitted: Fitted, task: str, ready: Ready) -> dict[str, kept.Learned]:
    """Return the trained networks of a task by name, the model's own first."""
    kinds = kinds_of(fitted.arrays)
    return {
        kept.NAMES[kind]: kept.unpack(fitted.arrays, fitted.weights, task, kind, kinds[0],
                                      channels=ready.front.channels)
        for kind in kinds
    }  # fmt: skip


def lagged(arrays: xr.Dataset, task: str) -> lags.Lagged | None:
    """Return the regression on lags of a task; None where there is none."""
    name = f"rival/{LAGS}_{task}_"
    if f"{name}weights" not in arrays:
        return None
    parts = (arrays[f"{name}{part}"].values for part in ("weights", "bias", "order"))
    return lags.Lagged(*parts)


def tallies(
    model: Reservoir, fitted: Fitted, ready: Ready, task: str, aim: Aim
) -> dict[str, Tally]:
    """Return the sums of all networks and of the regression on lags."""
    parts = zip(ready.stretches, ready.standard, ready.inputs, strict=True)
    targets = [aim.targets(*part) for part in parts]
    made = {}
    for name, one in learned(fitted, task, ready).items():
        tally = Tally(len(one.readout), targets[0].shape[1])
        sink = Errors(one.readout, one.bias, targets, tally, more=more(model, ready))
        one.engine.run(ready.inputs, sink=sink, washout=ready.washout)
        made[name] = tally
    linear = lagged(fitted.arrays, task)
    assert linear is not None
    made[LAGS] = Tally(1, targets[0].shape[1])
    for x, y in zip(ready.inputs, targets, strict=True):
        for at in rows(y, ready.washout):
            made[LAGS].add(0, y[at], linear.predict(x, at))
    return made


def more(
    model: Reservoir, ready: Ready
) -> Callable[[int, slice, np.ndarray], np.ndarray]:  # fmt: skip
    """Return what adds to rates whatever else the readout reads."""

    def whole(recording: int, at: slice, rates: np.ndarray) -> np.ndarray:
        parts = [rates]
        if "squares" in model.readout.features:
            parts.append(rates**2)
        if "inputs" in model.readout.features:
            parts.append(ready.inputs[recording][at])
        return np.concatenate(parts, axis=1) if len(parts) > 1 else rates

    return whole


def rows(targets: np.ndarray, washout: int) -> list[np.ndarray]:
    """Return the samples of a stretch that are scored, in chunks."""
    known = np.asarray(np.isfinite(targets).all(axis=1))
    known[:washout] = False
    at = np.flatnonzero(known)
    return np.array_split(at, -(-len(at) // 4096)) if len(at) else []


def foretold(model: Reservoir, fitted: Fitted, ready: Ready) -> Foretold:
    """Return the errors of all forecasts of the test part."""
    aim = Ahead(model.horizons)
    made = tallies(model, fitted, ready, "forecast", aim)
    own = next(iter(made))
    units, many = len(ready.front.mean), len(model.horizons)
    past = lags.Own(fitted.arrays["rival/ar_weights"].values)
    simple = {name: Tally(1, many * units) for name in ("ar", "persistence", "training_mean")}
    for stretch, z, x in zip(ready.stretches, ready.standard, ready.inputs, strict=True):
        y = aim.targets(stretch, z, x)
        for at in rows(y, ready.washout):
            told = {"ar": past.predict(z, at), "persistence": lags.persistence(z, at, many),
                    "training_mean": np.zeros((len(at), many, units))}  # fmt: skip
            for name, one in told.items():
                simple[name].add(0, y[at], one.reshape(len(at), -1))
    return Foretold({**made, **simple}, own, many)


def recalled(model: Reservoir, fitted: Fitted, ready: Ready) -> dict[str, np.ndarray]:
    """Return the squared correlation at every delay, (member, delay), by network, ours first."""
    made = tallies(model, fitted, ready, "memory", Recall(model.delays))
    return {name: tally.determination() for name, tally in made.items()}


def decoded(model: Reservoir, fitted: Fitted, ready: Ready) -> Decoded:
    """Return the outputs of all decoders for the labelled windows of the test part.

    Raises ``NotDecodableError`` where the test part has none.
    """
    arrays = fitted.arrays
    how, found = decoders.ready(
        model, ready.stretches, delay=int(arrays["decode_delay"]), washout=ready.washout
    )
    kind, centre = str(arrays["decode_kind"].values), float(arrays["decode_centre"])
    spread = float(arrays["decode_spread"])
    scale, shift = (spread, centre) if kind == "value" else (1.0, 0.0)
    made = {}
    for name, one in learned(fitted, "decode", ready).items():
        told = decoders.outputs(one, ready.inputs, found, washout=ready.washout)
        made[name] = told * scale + shift
    linear = pack.from_arrays(arrays, decoders.LINEAR)
    assert linear is not None
    classes = arrays["decode_target"].values.astype(str)
    made["linear_decoder"] = _linear(linear, found.examples.x, classes)[None]
    if (on_lags := lagged(arrays, "decode")) is not None:
        told = np.full((len(found.start), len(classes)), np.nan)
        for number, x in enumerate(ready.inputs):
            own = found.stretch == number
            told[own] = on_lags.predict(x, found.start[own])
        made[LAGS] = (told * scale + shift)[None]
    return Decoded(made, found.examples, next(iter(made)), kind, classes, centre,
                   str(arrays["decode_majority"].values))  # fmt: skip


def _linear(linear: Decoder, x: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the outputs of the linear decoder, in the order of ``classes``."""
    told = (x - linear.mean) / linear.scale @ linear.weights + linear.bias
    if linear.kind == "value":
        return told
    made = np.full((len(x), len(classes)), -np.inf)
    for place, name in enumerate(classes.tolist()):
        at = np.flatnonzero(linear.classes == name)
        if len(at):
            made[:, place] = told[:, at[0]]
    return made

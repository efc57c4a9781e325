"""One fit: windows, a validation part, events, the network, when it may stop, and the rivals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr

from rheobase.models.base import Fitted
from rheobase.models.decoding import classify, labels
from rheobase.models.decoding.examples import NotDecodableError
from rheobase.models.inputs import check, in_order
from rheobase.models.spiking import confidence, hold, kept, probe, rivals, train
from rheobase.models.spiking.confidence import Rule
from rheobase.models.spiking.encode import Encoder, calibrated
from rheobase.models.spiking.network import Network, Shape
from rheobase.models.spiking.settings import Scale, scale_of
from rheobase.models.spiking.taken import Taken, even, how_of, take
from rheobase.models.spiking.train import Examples, Trained

if TYPE_CHECKING:
    from rheobase.models.spiking import Spiking
    from rheobase.recording import Recording

HELD_SHARE = 4
"""The validation part has at most a fourth as many windows as the training part"""
ENCODED_FOR_DELTA = 2000
NEVER = "It never answers early: "


@dataclass(frozen=True, eq=False)
class Side:
    """Windows of one side of the fit, standardised, with their events."""

    x: np.ndarray
    """(example, sample, unit)"""
    y: np.ndarray
    """Number of the class, or standardised value, (example,)"""
    trial: np.ndarray
    events: np.ndarray
    """(step, example, feature)"""

    def examples(self) -> Examples:
        told = torch.as_tensor(self.y)
        return Examples(torch.as_tensor(self.events), told[:, None].float()
                        if told.is_floating_point() else told)  # fmt: skip


def fit_training(
    model: Spiking, train_part: Sequence[Recording], *, seed: int, device: str,
    checkpoint: Path | None,
) -> Fitted:  # fmt: skip
    """Return everything that is learnt from the training part."""
    check(train_part, part="training")
    recordings = in_order(train_part)
    scale = scale_of(model, recordings[0])
    how = how_of(scale, recordings[0], model.ignore_labels)
    values = how.kind == "value"
    taken = take(recordings, how, scale)
    classes = np.array([""]) if values else np.unique(taken.examples.y)
    if not values and len(classes) < 2:
        raise NotDecodableError(
            f"{recordings[0].name}: label {recordings[0].label_name!r} has the one class "
            f"{str(classes[0])!r} in the training part; two are needed, so change the split or "
            "drop the label"
        )
    known, held, whole = hold.held_out(taken, values=values)
    known_rows = _rows(taken, known, model.windows)
    held_rows = _rows(taken, held, max(model.windows // HELD_SHARE,
                                       confidence.LEAST * len(classes)))  # fmt: skip
    mean, spread = _standard(taken, known_rows)
    encoder = _encoder(model, scale, taken, known_rows, mean, spread)
    target = kept.Target.of(taken.examples.y[known_rows], classes)
    sides = [_side(taken, rows, target, mean, spread, encoder, seed)
             for rows in (known_rows, held_rows)]  # fmt: skip
    trained = _train(model, scale, sides, target, seed, device, checkpoint)
    net = trained.network.cpu().eval()
    rule, notices = kept.NEVER_STOPS, []
    if not values:
        counts = np.unique(taken.examples.y[held], return_counts=True)[1]
        rule, notices = _rule(model, net, sides[1], counts)
    learnt = kept.Learnt(net, encoder, mean, spread, target, rule, seed,
                         _rivals(model, scale, sides, seed))  # fmt: skip
    variables = kept.to_arrays(learnt) | _of_training(recordings, taken, learnt, sides[1])
    if gone := labels.lost(recordings, how, classes):
        notices.append(f"Not all classes are told: {gone}")
    arrays = xr.Dataset(variables, coords={
        "unit": np.array(recordings[0].unit_names, str), "class": classes.astype(str),
    })  # fmt: skip
    scalars = {
        "parameters": float(sum(p.numel() for p in net.parameters())),
        "training_windows": float(len(known_rows)), "validation_windows": float(len(held_rows)),
        "epochs": float(len(trained.history["loss"])),
        "promised_share_of_steps": rule.promised_share, "promised_loss": rule.promised_loss,
    }  # fmt: skip
    arrays = arrays.assign(validation_of=((), np.array(whole)))
    return Fitted(arrays, kept.tensors(net), scalars, trained.history, tuple(notices))


def _rows(taken: Taken, side: np.ndarray, most: int) -> np.ndarray:
    own = np.flatnonzero(side)
    return own[even(taken.examples.y[own], most)]


def _standard(taken: Taken, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each unit over the windows learnt from, (unit,)."""
    x = taken.cut(rows)
    return classify.standard(x.reshape(-1, x.shape[2]).astype(np.float64))


def _encoder(
    model: Spiking, scale: Scale, taken: Taken, rows: np.ndarray, mean: np.ndarray,
    spread: np.ndarray,
) -> Encoder:  # fmt: skip
    """Return the encoder with all that it knows of the windows learnt from."""
    some = rows[:: max(len(rows) // ENCODED_FOR_DELTA, 1)]
    x = probe.standardised(taken.cut(some), mean, spread)
    delta = calibrated(x, target=model.event_rate) if model.delta is None else model.delta
    return Encoder(scale.encoder, bin=scale.bin, delta=delta).fitted(x)


def _side(
    taken: Taken, rows: np.ndarray, target: kept.Target, mean: np.ndarray, spread: np.ndarray,
    encoder: Encoder, seed: int,
) -> Side:  # fmt: skip
    x = probe.standardised(taken.cut(rows), mean, spread)
    events = encoder.encode(x, rng=np.random.default_rng([seed, len(rows)]))
    return Side(x, target.codes(taken.examples.y[rows]), taken.run[rows], events)


def shape_of(model: Spiking, *, inputs: int, target: kept.Target, scale: Scale) -> Shape:
    """Return the sizes and time constants of the network; values are read from a leaky readout."""
    from rheobase.models.spiking.losses import ON_SPIKES
    from rheobase.models.spiking.settings import TAU_STEPS

    neuron, step_s = model.neuron, scale.step_s
    tau_s = TAU_STEPS * step_s if neuron.tau_s is None else neuron.tau_s
    return Shape(
        inputs, len(target.classes), hidden=model.hidden, step_s=step_s, tau_s=tau_s,
        readout_tau_s=tau_s if target.values else None, cell=neuron.cell(),
        recurrent=neuron.recurrent, learn_decay=neuron.learn_decay,
        spiking_output=not target.values and model.training.loss in ON_SPIKES,
        gain_over_time=scale.steps if model.gain_over_time else 0,
    )  # fmt: skip


def _train(
    model: Spiking, scale: Scale, sides: Sequence[Side], target: kept.Target, seed: int,
    device: str, checkpoint: Path | None,
) -> Trained:  # fmt: skip
    known, held = sides
    shape = shape_of(model, inputs=known.events.shape[2], target=target, scale=scale)
    schedule = model.training.for_windows(len(known.y)).schedule("value" if target.values else None)
    return train.train(shape, schedule, known.examples(), held.examples(),
                       seed=seed, device=device, resume=checkpoint)  # fmt: skip


def _rule(
    model: Spiking, net: Network, held: Side, counts: np.ndarray
) -> tuple[Rule, list[str]]:  # fmt: skip
    """Return when the network may stop, chosen on the validation part, and what is to be said.

    ``counts`` are the validation windows of each class, before they were made alike.
    """
    steps = probe.run(net, held.events).steps
    stopping, why = model.stopping, ""
    if counts.min() < confidence.LEAST:
        why = (
            f"a class has {counts.min()} validation windows and {confidence.LEAST} are needed to "
            "choose a threshold"
        )
    elif stopping.bounded and len(np.unique(held.trial)) < 2:
        why = "the validation part is one trial and a bound over trials needs two"
    if why:
        return Rule(1.0, np.inf, stopping.rule, stopping.patience, note=why), [f"{NEVER}{why}."]
    rule = confidence.calibrate(
        steps, held.y, held.trial, loss=stopping.loss, bounded=stopping.bounded,
        kind=stopping.rule, patience=stopping.patience,
    )  # fmt: skip
    return rule, [f"{NEVER}{rule.note}."] if rule.note else []


def _rivals(
    model: Spiking, scale: Scale, sides: Sequence[Side], seed: int
) -> dict[str, rivals.Rival]:
    known, held = sides
    table = [probe.features(scale, one.x) for one in sides]
    coded = [one.events.transpose(1, 0, 2) for one in sides]
    epochs = model.training.for_windows(len(known.y)).epochs
    many = max(epochs, rivals.EPOCHS["mlp"])
    values = known.y.dtype.kind == "f"
    line = rivals.ridge(table[0], known.y, (table[1], held.y)) if values else (
        rivals.lda(table[0], known.y))  # fmt: skip
    return {
        "ridge" if values else "lda": line,
        "mlp": rivals.mlp(table[0], known.y, (table[1], held.y), seed=seed, epochs=many),
        "cnn": rivals.cnn(known.x, known.y, (held.x, held.y), seed=seed, epochs=epochs),
        "gru": rivals.gru(coded[0], known.y, (coded[1], held.y), seed=seed, epochs=epochs),
    }


def _of_training(
    recordings: Sequence[Recording], taken: Taken, learnt: kept.Learnt, held: Side
) -> dict[str, Any]:
    """Return what the test part must know of the training part."""
    names, counts = np.unique(taken.examples.y, return_counts=True)
    steps = probe.run(learnt.network, held.events).steps
    if learnt.target.values:
        curve = 1 - np.mean((steps[:, :, 0] - held.y) ** 2, axis=1) / np.mean(held.y**2)
    else:
        curve = confidence.constant_time(steps, held.y)
    return {
        "majority": ((), np.array("" if learnt.target.values else str(names[np.argmax(counts)]))),
        "recording": ("segment", np.array([one.name for one in recordings], str)),
        "begins": ("segment", np.array([float(one.time[0]) for one in recordings])),
        "ends": ("segment", np.array([float(one.time[-1]) for one in recordings])),
        "validation": ("step", curve),
    }

"""What a fit leaves behind, as named arrays and tensors, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rheobase.models.spiking import rivals
from rheobase.models.spiking.confidence import Rule
from rheobase.models.spiking.encode import Encoder
from rheobase.models.spiking.network import Network

if TYPE_CHECKING:
    from rheobase.models.base import Fitted
    from rheobase.models.spiking import Spiking
    from rheobase.models.spiking.settings import Scale

RIVALS = ("lda", "ridge", "mlp", "cnn", "gru")
NEVER_STOPS = Rule(1.0, np.inf)


@dataclass(frozen=True, eq=False)
class Target:
    """What is told: classes, or a value in standard deviations of the training part."""

    classes: np.ndarray
    """Names in order; one empty name for a value"""
    values: bool
    centre: float = 0.0
    spread: float = 1.0

    @classmethod
    def of(cls, y: np.ndarray, classes: np.ndarray) -> Target:
        """Return what labels of the windows learnt from say."""
        if y.dtype.kind != "f":
            return cls(classes, False)
        return cls(classes, True, float(y.mean()), float(y.std()) or 1.0)

    def codes(self, y: np.ndarray) -> np.ndarray:
        """Return numbers of classes, or standardised values."""
        if self.values:
            return (y - self.centre) / self.spread
        return np.searchsorted(self.classes, y)

    def told(self, answer: np.ndarray) -> np.ndarray:
        """Return class names, or values, of numbers."""
        return answer * self.spread + self.centre if self.values else self.classes[answer]


@dataclass(frozen=True, eq=False)
class Learnt:
    """A fit, ready to run."""

    network: Network
    encoder: Encoder
    mean: np.ndarray
    """(unit,), of training windows"""
    spread: np.ndarray
    target: Target
    rule: Rule
    seed: int
    rivals: dict[str, rivals.Rival]

    @property
    def classes(self) -> np.ndarray:
        return self.target.classes


def tensors(network: Network) -> dict[str, np.ndarray]:
    """Return the weights of the network."""
    return {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}


def to_arrays(learnt: Learnt) -> dict[str, Any]:
    """Return all but the network's weights as variables of a dataset."""
    encoder, rule = learnt.encoder, learnt.rule
    made: dict[str, Any] = {
        "mean": ("unit", learnt.mean), "spread": ("unit", learnt.spread),
        "delta": ((), np.float64(encoder.delta)), "values": ((), np.bool_(learnt.target.values)),
        "centre": ((), np.float64(learnt.target.centre)),
        "target_spread": ((), np.float64(learnt.target.spread)),
        "alpha": ((), np.float64(rule.alpha)), "threshold": ((), np.float64(rule.threshold)),
        "promised_loss": ((), np.float64(rule.promised_loss)),
        "promised_bound": ((), np.float64(rule.bound)),
        "promised_share": ((), np.float64(rule.promised_share)),
        "stop_note": ((), np.array(rule.note)), "seed": ((), np.int64(learnt.seed)),
    }  # fmt: skip
    if encoder.levels:
        made["levels"] = ("level", "unit"), np.array(encoder.levels)
    if encoder.full:
        made["full"] = "unit", np.array(encoder.full)
    for name, rival in learnt.rivals.items():
        made[f"rival/{name}"] = f"weight_{name}", rival.kept
    return made


def restored(model: Spiking, fitted: Fitted, scale: Scale) -> Learnt:
    """Return what ``to_arrays`` and ``tensors`` described."""
    from rheobase.models.spiking.learn import shape_of

    arrays, stopping = fitted.arrays, model.stopping
    units = arrays.sizes["unit"]
    target = Target(arrays["class"].values.astype(str), bool(arrays["values"]),
                    float(arrays["centre"]), float(arrays["target_spread"]))  # fmt: skip
    encoder = Encoder(
        scale.encoder, bin=scale.bin, delta=float(arrays["delta"]),
        levels=tuple(map(tuple, arrays["levels"].values.tolist())) if "levels" in arrays else (),
        full=tuple(arrays["full"].values.tolist()) if "full" in arrays else (),
    )  # fmt: skip
    inputs = encoder.features(units)
    shape = shape_of(model, inputs=inputs, target=target, scale=scale)
    network = Network(shape, seed=0)
    network.load_state_dict({n: torch.as_tensor(v.copy()) for n, v in fitted.weights.items()})
    rule = Rule(
        float(arrays["alpha"]), float(arrays["threshold"]), stopping.rule, stopping.patience,
        float(arrays["promised_loss"]), float(arrays["promised_bound"]),
        str(arrays["stop_note"].values), float(arrays["promised_share"]),
    )  # fmt: skip
    return Learnt(
        network.eval(), encoder, arrays["mean"].values, arrays["spread"].values, target, rule,
        int(arrays["seed"]),
        {name: _rival(name, arrays[f"rival/{name}"].values, units, inputs, scale,
                      len(target.classes))
         for name in RIVALS if f"rival/{name}" in arrays},
    )  # fmt: skip


def _rival(
    name: str, row: np.ndarray, units: int, inputs: int, scale: Scale, classes: int
) -> rivals.Rival:
    table = scale.features * units
    given = {"lda": table, "ridge": table, "mlp": table, "cnn": units, "gru": inputs}[name]
    length = scale.width if name == "cnn" else scale.steps
    return rivals.again(name, row, features=given, length=length, classes=classes)

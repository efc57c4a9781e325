"""The label of whole recordings: probe, finetune and scratch, and their rivals, in one fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr

from rheobase.models.brainmae import label_rivals, represent, switching, tune
from rheobase.models.brainmae.network import BrainMAENetwork
from rheobase.models.brainmae.represent import ENCODER, Reader
from rheobase.models.brainmae.segments import Deck, Run
from rheobase.models.brainmae.switching import Switching
from rheobase.models.decoding import examples, pack, vectors
from rheobase.models.decoding.decode import Decoder
from rheobase.models.decoding.examples import Examples, NotDecodableError
from rheobase.models.inputs import by_name, own_standard

if TYPE_CHECKING:
    from rheobase.models.base import Fitted
    from rheobase.models.brainmae import BrainMAE
    from rheobase.recording import Recording

FC_C = 0.01
"""Inverse penalty of the logistic regressions on connectivity and tangent vectors."""
RIDGES = tuple(10.0**k for k in range(-1, 5))
NOT_DECODED = "the label is not decoded"
TUNED = ("finetune", "scratch")
CROPS_S = 300.0
"""Seconds of a recording that one step of training for a label reads, in crops."""
PRINCIPAL = "principal_states"


@dataclass
class Learnt:
    """What a fit keeps of its label."""

    arrays: dict[str, Any] = field(default_factory=dict)
    coordinates: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)


def found(recordings: Sequence[Recording]) -> Examples:
    """Return one example a labelled recording: its connectivity, label and person.

    Raises ``NotDecodableError`` where there is none, or where the label changes within recordings.
    """
    label = examples.label_of(recordings[0])
    if isinstance(label, np.ndarray):
        raise NotDecodableError(
            f"the label {recordings[0].label_name!r} changes within recordings, and this family "
            "decodes labels of whole recordings"
        )
    kind = recordings[0].label_kind or "class"
    how = examples.How("connectivity", kind, 0.0, 0.0, 0.0, ())
    return examples.gather(recordings, how)


def fit(
    model: BrainMAE, network: BrainMAENetwork, start: Mapping[str, torch.Tensor],
    train: Sequence[Recording], stretches: Sequence[Run], samples: int, *, seed: int, device: str,
) -> Learnt:  # fmt: skip
    """Return the decoders of the training part; without a usable label a notice says why."""
    try:
        if isinstance(examples.label_of(train[0]), np.ndarray):
            from rheobase.models.brainmae import states

            return states.fit(model, network, _copy(network, start), train, stretches, samples,
                              seed=seed, device=device)  # fmt: skip
        return _fit(model, network, start, train, stretches, samples, seed=seed, device=device)
    except NotDecodableError as reason:
        return Learnt(notices=[f"{NOT_DECODED}: {reason}"])


def _fit(
    model: BrainMAE, network: BrainMAENetwork, start: Mapping[str, torch.Tensor],
    train: Sequence[Recording], stretches: Sequence[Run], samples: int, *, seed: int, device: str,
) -> Learnt:  # fmt: skip
    learnt = Learnt()
    known = found(train)
    whole = [run for run in stretches if run.name in set(known.recording.tolist())]
    known = known.take(np.isin(known.recording, [run.name for run in whole]))
    targets, classes = _targets(known, train[0])
    deck = Deck(whole, samples=samples, period_s=1 / train[0].rate, device=device)
    readers = _readers(network, _copy(network, start), deck, seed)
    plan, cs = tuning(model, samples, deck.period_s), model.label_training.inverse_penalties
    size = {"segments": plan.segments, "batch": plan.batch}
    space, tangents = label_rivals.tangent(_signals(train, targets.names))
    vectors_of = {name: one.vectors(deck, targets.names, **size) for name, one in readers.items()}
    groups = readers["finetune"].groups()
    inputs: dict[str, tuple[np.ndarray, str | Mapping[str, int]]] = {
        "probe": (vectors_of["finetune"], groups),
        ENCODER: (vectors_of["finetune"][:, : groups[ENCODER]], ENCODER),
        PRINCIPAL: (vectors_of[PRINCIPAL], readers[PRINCIPAL].groups()),
        "fc_lr": (known.x, "fc_lr"),
        "tangent_lr": (tangents, "tangent_lr"),
    }
    reads = {}
    for name, (x, features) in inputs.items():
        decoder = _decoder(features, classes, cs, replace(known, x=x))
        learnt.arrays |= pack.to_arrays(decoder, _prefix(name))
        learnt.coordinates[pack.output_name(_prefix(name))] = decoder.classes.astype(str)
        reads[name] = decoder.features
    for name, reader in readers.items():
        learnt.arrays |= _pack_states(name, reader.states)
    learnt.arrays |= {
        "rival/tangent_mean": (("unit", "unit_from"), space["mean"]),
        "rival/tangent_whitening": (("unit", "unit_from"), space["whitening"]),
        "label/centre": ((), np.float64(targets.centre)),
        "label/scale": ((), np.float64(targets.scale)),
    }
    learnt.coordinates["class"] = classes.astype(str)
    epochs: dict[str, int] = {}
    for name in TUNED:
        own = network.state_dict() if name == "finetune" else start
        rates = plan if name == "finetune" else replace(
            plan, encoder_rate=model.label_training.scratch_rate, layer_decay=1.0
        )  # fmt: skip
        begin = partial(
            _begin, _copy(network, own), replace(known, x=vectors_of[name]), targets,
            partial(_decoder, readers[name].groups(), classes, cs),
        )  # fmt: skip
        besides = readers[name].besides(deck, targets.names)
        tuned, epochs[name] = tune.tune(begin, deck, besides, targets, rates, seed=seed)
        learnt.weights |= {f"{name}/{k}": _numpy(v) for k, v in tuned.state_dict().items()}
    frames = label_rivals.frames_of(whole, targets.names, device)
    held = tune.held_people(targets, seed)
    small = label_rivals.fit_mean_mlp(frames, targets, held, seed=seed)
    learnt.arrays |= label_rivals.pack_mean_mlp(small)
    learnt.notices += [f"the probe of the label reads: {reads['probe']}", said_of(epochs)]
    return learnt


def said_of(epochs: Mapping[str, int]) -> str:
    """Return for how many epochs encoders were trained for the label; 0 where that did not help."""
    each = ", ".join(f"{name} {count}" for name, count in epochs.items())
    return f"epochs of training for the label, chosen on a part held out: {each}"


def _begin(
    network: BrainMAENetwork, known: Examples, targets: tune.Targets,
    probe: Callable[[Examples], Decoder], keep: np.ndarray,
) -> tune.Tuned:  # fmt: skip
    """Return an encoder with the probe of some of the recordings as its head."""
    own = _copy(network, network.state_dict())
    tuned = tune.Tuned(own, known.x.shape[1], targets.outputs).to(network.embedding.device)
    return tuned.start(probe(known.take(keep)), targets)


def _readers(
    network: BrainMAENetwork, untrained: BrainMAENetwork, deck: Deck, seed: int
) -> dict[str, Reader]:
    """Return the pretrained encoder with states, a random one, and states of principal maps."""
    regions = deck.runs[0].signal.shape[1]
    covariance = np.zeros((regions, regions))
    for run in deck.runs:
        kept = run.signal[run.valid].astype(np.float64)
        covariance += kept.T @ kept
    maps = {
        "finetune": (network, switching.embedding_maps(network.regions())),
        "scratch": (untrained, switching.embedding_maps(untrained.regions())),
        PRINCIPAL: (None, switching.principal_maps(covariance)),
    }
    return {
        name: Reader(own, switching.fit(one, deck.runs, period_s=deck.period_s, seed=seed))
        for name, (own, one) in maps.items()
    }


def _pack_states(name: str, found: Switching) -> dict[str, Any]:
    prefix, square = _states_prefix(name), ("map", "map_from")
    return {
        f"{prefix}/maps": (("unit", "map"), _numpy(found.maps)),
        f"{prefix}/covariance": (("state", *square), _numpy(found.covariance)),
        f"{prefix}/transition": (("state", "state_to"), _numpy(found.transition)),
    }


def _states(arrays: xr.Dataset, name: str) -> Switching:
    parts = ("maps", "covariance", "transition")
    return Switching(*(torch.from_numpy(arrays[f"{_states_prefix(name)}/{p}"].values)
                       for p in parts))  # fmt: skip


def _states_prefix(name: str) -> str:
    return f"rival/{name}" if name == PRINCIPAL else f"label/{name}_states"


def _numpy(value: torch.Tensor) -> np.ndarray:
    return value.detach().cpu().numpy().copy()


def _copy(network: BrainMAENetwork, start: Mapping[str, torch.Tensor]) -> BrainMAENetwork:
    made = BrainMAENetwork(network.sizes).to(network.embedding.device)
    made.load_state_dict(dict(start))
    return made


def _targets(known: Examples, first: Recording) -> tuple[tune.Targets, np.ndarray]:
    names, subjects = tuple(known.recording.tolist()), tuple(known.subject.tolist())
    if (first.label_kind or "class") == "value":
        y = known.y.astype(np.float64)
        scale = float(y.std()) or 1.0
        return tune.Targets(names, subjects, y, 1, float(y.mean()), scale), np.array([""])
    classes, y = np.unique(known.y, return_inverse=True)
    if len(classes) < 2:
        raise NotDecodableError(
            f"label {first.label_name!r} has the one class {str(classes[0])!r} in the training "
            "part; decoding needs two, so change the split or drop the label"
        )
    return tune.Targets(names, subjects, y, len(classes)), classes


def tuning(model: BrainMAE, samples: int, period_s: float) -> tune.Tuning:
    """Return how the encoder is trained for a label."""
    from rheobase.models.brainmae.learn import segments_of

    how = model.label_training
    segments = segments_of(model, samples, period_s)
    crops = max(1, round(CROPS_S / (segments * samples * period_s)))
    return tune.Tuning(
        how.epochs, how.patience, model.batch, segments, crops, how.encoder_rate, how.head_rate,
        how.layer_decay,
    )  # fmt: skip


def _decoder(
    features: str | Mapping[str, int], classes: np.ndarray, cs: Sequence[float], known: Examples
) -> Decoder:
    """Return a logistic regression or ridge; the penalty of rivals' classifiers is fixed."""
    if not classes[0]:
        return vectors.fit_values(known, features=features, penalties=RIDGES)
    if features in ("fc_lr", "tangent_lr"):
        cs = (FC_C,)
    return vectors.fit_classes(known, features=features, cs=cs)


def _signals(recordings: Sequence[Recording], names: Sequence[str]) -> list[np.ndarray]:
    grouped = by_name(recordings)
    return [own_standard(grouped[name]) for name in names]


def outputs(
    model: BrainMAE, fitted: Fitted, network: BrainMAENetwork, test: Sequence[Recording],
    stretches: Sequence[Run], known: Examples, samples: int,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Return what every decoder says of the test recordings, (recording, output) each.

    Logits or log-odds of classes, or values in the label's own unit.
    """
    arrays, names = fitted.arrays, known.recording.tolist()
    deck = Deck([r for r in stretches if r.name in set(names)], samples=samples,
                period_s=1 / test[0].rate, device="cpu")  # fmt: skip
    plan = tuning(model, samples, deck.period_s)
    readers = {name: Reader(None, _states(arrays, name)) for name in (*TUNED, PRINCIPAL)}
    besides = {name: reader.besides(deck, names) for name, reader in readers.items()}
    pooled = represent.features(network, deck, names, segments=plan.segments, batch=plan.batch)
    space = {k: arrays[f"rival/tangent_{k}"].values for k in ("mean", "whitening")}
    inputs = {
        "probe": np.concatenate([pooled, besides["finetune"]], axis=1),
        ENCODER: pooled,
        PRINCIPAL: besides[PRINCIPAL],
        "fc_lr": known.x,
        "tangent_lr": label_rivals.tangent_vectors(
            space, _signals(test, names), arrays.sizes["unit"]
        ),
    }
    made = {}
    for name, x in inputs.items():
        decoder = pack.from_arrays(arrays, _prefix(name))
        assert decoder is not None
        made[name] = vectors.answers(decoder, x)
    count = arrays.sizes["class"]
    centre, scale = (float(arrays[f"label/{k}"]) for k in ("centre", "scale"))
    for name in TUNED:
        own = {k.removeprefix(f"{name}/"): torch.from_numpy(np.array(v))
               for k, v in fitted.weights.items() if k.startswith(f"{name}/")}  # fmt: skip
        tuned = tune.load(own, BrainMAENetwork(network.sizes))
        known_besides = torch.from_numpy(besides[name]).float()
        made[name] = tune.predict(tuned, deck, known_besides, names, plan).numpy()
    frames = label_rivals.frames_of(deck.runs, names, "cpu")
    made["meanmlp"] = label_rivals.mean_mlp_outputs(arrays, frames, count)
    if count == 1:
        for name in (*TUNED, "meanmlp"):
            made[name] = made[name] * scale + centre
    return made


def _prefix(name: str) -> str:
    return f"label/{name}" if name in ("probe", ENCODER) else f"rival/{name}"

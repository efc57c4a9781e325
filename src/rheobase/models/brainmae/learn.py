"""One fit: pretraining, rivals on the same recordings, and the decoders of a label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xarray as xr

from rheobase import metrics
from rheobase.models import parallel
from rheobase.models.base import Fitted
from rheobase.models.brainmae import interpret, labels, pretrain, reconstruct, start
from rheobase.models.brainmae.network import BrainMAENetwork, Sizes
from rheobase.models.brainmae.segments import Deck, Run, runs, samples_per_segment
from rheobase.models.inputs import by_name, check

if TYPE_CHECKING:
    from rheobase.models.brainmae import BrainMAE
    from rheobase.recording import Recording

MOST_MISSED = 0.9
"""Share of the variance of hidden training regions missed above which little has been learnt."""
LITTLE = "pretraining has learnt little"
COVARIANCE = "embeddings started from the covariance"
LEAST_REGIONS = 2
LEAST_PEOPLE = 5
"""Training people below which none is held out to stop pretraining."""


def fit(
    model: BrainMAE, train: Sequence[Recording], *, seed: int, device: str, keep: Path | None,
    initial: Fitted | None,
) -> Fitted:  # fmt: skip
    """Return everything that is learnt from the training part."""
    check(train, part="training")
    world = parallel.world(device)
    first = train[0]
    _refuse_one_region(first)
    samples = samples_per_segment(1 / first.rate, model.segment_s)
    stretches, left_out = runs(train, samples)
    lagged = reconstruct.covariances(stretches)
    covariance = reconstruct.same_frame(lagged)
    network = first_network(model, len(first.unit_names), samples, covariance, seed).to(device)
    random_start = {name: value.detach().clone() for name, value in network.state_dict().items()}
    notices = list(left_out)
    curves: dict[str, list[float]] = {}
    if initial is not None:
        notices += start.adopt(network, initial, train)
        notices += [f"of the fit that this one starts from: {said}" for said in initial.notices
                    if LITTLE in said or COVARIANCE in said]  # fmt: skip
    else:
        learn, held = hold_out(stretches, model.held_share, seed)
        decks = [_deck(part, samples, first, device) if part else None for part in (learn, held)]
        assert decks[0] is not None
        found = pretrain.train(network, decks[0], decks[1], plan(model, samples, first),
                               seed=seed, world=world, keep=keep)  # fmt: skip
        curves = vars(found)
        notices += little_learnt(model, found)
    if not world.writes:
        return Fitted(xr.Dataset())
    network.eval()
    arrays, extra = _arrays(network, train, lagged, samples, seed)
    if initial is not None:
        arrays |= start.remembered(initial)
    if begins_with_covariance(model) and initial is None:
        notices.append(f"{COVARIANCE} of the training part, so that they resemble connectivity is "
                       "no finding")  # fmt: skip
    weights = {f"{start.WEIGHTS}{k}": _numpy(v) for k, v in network.state_dict().items()}
    scalars = {"parameters": float(sum(p.numel() for p in network.parameters()))}
    if curves and curves["loss"]:
        scalars["loss"] = curves["loss"][-1]
    if model.label and first.label_name is not None:
        told = labels.fit(model, network, random_start, train, stretches, samples, seed=seed,
                          device=device)  # fmt: skip
        arrays |= told.arrays
        extra |= told.coordinates
        weights |= told.weights
        notices += told.notices
    for more in further(model, network, train, stretches, samples, seed=seed, device=device):
        arrays |= more.arrays
        extra |= more.coordinates
        notices += more.notices
    return Fitted(
        xr.Dataset(arrays, coords=extra), weights=weights, metrics=scalars,
        history={k: v for k, v in curves.items() if v}, notices=tuple(notices),
    )  # fmt: skip


def _refuse_one_region(first: Recording) -> None:
    if len(first.unit_names) < LEAST_REGIONS:
        raise ValueError(
            f"{first.name} has {len(first.unit_names)} region; brainmae fills in regions from "
            f"others, so give {LEAST_REGIONS} or more"
        )


def little_learnt(model: BrainMAE, curves: pretrain.Curves) -> list[str]:
    """Return a sentence where the network hardly fills in what is hidden from it.

    Of the people held out, with half of the regions hidden, as the network that is kept does it;
    where nobody is held out, of the recordings that it learns from. Signals have variance 1, so an
    error of 1 is that of each region's mean. Nothing where whole frames or segments are hidden.
    """
    if model.pretrain == "plain_autoencoder" or model.mask in ("frame", "segment"):
        return []
    held = bool(curves.held_r2_50)
    missed = 1 - max(curves.held_r2_50) if held else curves.loss_masked[-1]
    if missed <= MOST_MISSED:
        return []
    return [
        f"{LITTLE}: of hidden regions of "
        f"{'people held out' if held else 'the recordings that it learns from'} it misses "
        f"{100 * missed:.0f} % of the variance (100 % is each region's mean); either regions share "
        f"too little, or a lower learning_rate than {model.learning_rate:g}, more warm_up or more "
        f"than {model.steps} steps may help"
    ]


def further(
    model: BrainMAE, network: BrainMAENetwork, train: Sequence[Recording],
    stretches: Sequence[Run], samples: int, *, seed: int, device: str,
) -> Iterator[labels.Learnt]:  # fmt: skip
    """Yield what is kept to compare the test part with and, if asked for, what halves learn."""
    from rheobase.models.brainmae import halves, reference

    segments = segments_of(model, samples, 1 / train[0].rate)
    yield reference.fit(model, network, train, stretches, samples, segments=segments,
                        device=device)  # fmt: skip
    if model.stability:
        yield halves.fit(model, stretches, samples, train[0], seed=seed, device=device)


def begins_with_covariance(model: BrainMAE) -> bool:
    """Return whether the embeddings start from the covariance of the training part."""
    return (model.embedding_start, model.embedding) == ("covariance", "learned")


def first_network(
    model: BrainMAE, regions: int, samples: int, covariance: np.ndarray, seed: int
) -> BrainMAENetwork:
    """Return the network before pretraining, on the CPU; sets torch's seed."""
    torch.manual_seed(seed)
    network = BrainMAENetwork(sizes_of(model, regions, samples))
    if begins_with_covariance(model):
        start.from_covariance(network, covariance)
    return network


def sizes_of(model: BrainMAE, regions: int, samples: int) -> Sizes:
    """Return the shapes of a model's network."""
    return Sizes(
        regions, samples, model.width, model.segment_width, model.heads, model.spatial_layers,
        model.encoder_layers, model.decoder_layers, model.variant, model.pool, model.embedding,
        model.self_loop,
    )  # fmt: skip


def segments_of(model: BrainMAE, samples: int, period_s: float) -> int:
    """Return how many segments the network sees at most at once."""
    return max(4, int(model.crop_s / (samples * period_s) + 1e-9))


def plan(model: BrainMAE, samples: int, first: Recording) -> pretrain.Plan:
    """Return how a model is pretrained."""
    return pretrain.Plan(
        steps=model.steps, batch=model.batch,
        segments=segments_of(model, samples, 1 / first.rate),
        learning_rate=model.learning_rate, warm_up=model.warm_up, weight_decay=model.weight_decay,
        mask=model.mask, mask_ratio=model.mask_ratio, mask_weight=model.mask_weight,
        plain=model.pretrain == "plain_autoencoder", check_every=model.check_every,
        patience=model.patience,
    )  # fmt: skip


def hold_out(stretches: Sequence[Run], share: float, seed: int) -> tuple[list[Run], list[Run]]:
    """Return runs to learn from and runs of other people that stop the training, if enough."""
    people = sorted({run.subject for run in stretches})
    count = min(round(share * len(people)), len(people) - 1)
    if len(people) < LEAST_PEOPLE or count == 0:
        return list(stretches), []
    chosen = set(np.random.default_rng([seed, 6]).permutation(people)[:count].tolist())
    learn = [run for run in stretches if run.subject not in chosen]
    return learn, [run for run in stretches if run.subject in chosen]


def _deck(part: Sequence[Run], samples: int, first: Recording, device: str) -> Deck:
    return Deck(part, samples=samples, period_s=1 / first.rate, device=device)


def _numpy(value: torch.Tensor) -> np.ndarray:
    return value.detach().cpu().numpy().copy()


def _arrays(
    network: BrainMAENetwork, train: Sequence[Recording], lagged: np.ndarray, samples: int,
    seed: int,
) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
    """Return what is kept beside the weights, with its coordinates."""
    first, n_regions = train[0], len(train[0].unit_names)
    _, vectors = np.linalg.eigh(reconstruct.same_frame(lagged))
    count = min(reconstruct.COMPONENTS, max(1, n_regions // 2))
    each = [start.connectivity(s) for s in by_name(train).values()]
    group = np.mean(each, axis=0)
    own = [float(np.corrcoef(metrics.edges(one), metrics.edges(group))[0, 1]) for one in each]
    square, units = ("unit", "unit_from"), np.array(first.unit_names, str)
    arrays: dict[str, Any] = {
        "rival/covariance_3": (("lagged", "lagged_from"), lagged.astype(np.float32)),
        "rival/components": (("unit", "component"), vectors[:, -count:]),
        "connectivity": (square, group.astype(np.float32)),
        "connectivity_spread": ((), np.float64(min(own))),
        "samples": ((), np.int64(samples)),
        "seed": ((), np.int64(seed)),
        "period_s": ((), np.float64(1 / first.rate)),
        **start.known(train),
        **interpret.arrays(network),
    }
    coordinates: dict[str, Any] = {
        "unit": units, "unit_from": units, "recording": np.array(sorted(by_name(train)), str),
    }  # fmt: skip
    return arrays, coordinates | interpret.of_regions(first.data)


def network_of(model: BrainMAE, fitted: Fitted) -> BrainMAENetwork:
    """Return the pretrained network of a fit."""
    arrays = fitted.arrays
    network = BrainMAENetwork(sizes_of(model, arrays.sizes["unit"], int(arrays["samples"])))
    network.load_state_dict(start.weights_of(fitted))
    return network.eval()

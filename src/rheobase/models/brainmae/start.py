"""What a network begins with: the training part's covariance, or the fit of another dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from rheobase import metrics
from rheobase.models.brainmae.network import SPREAD, BrainMAENetwork
from rheobase.models.inputs import by_name, own_standard

if TYPE_CHECKING:
    from rheobase.models.base import Fitted
    from rheobase.recording import Recording

WEIGHTS = "pretrain/"
NEAR = 0.01
"""Share by which repetition times may differ."""


@torch.no_grad()
def from_covariance(network: BrainMAENetwork, covariance: np.ndarray) -> None:
    """Put eigenvectors of a covariance (region, region), turned at random, into the embeddings.

    The rotation is drawn from torch's generator, so it depends on the seed alone.
    """
    width = network.sizes.width
    values, vectors = np.linalg.eigh(covariance)
    kept = vectors[:, ::-1][:, :width] * np.sqrt(np.maximum(values[::-1][:width], 0))
    turn = torch.linalg.qr(torch.randn(width, width, dtype=torch.float64)).Q
    embedded = torch.from_numpy(kept.copy()) @ turn[: kept.shape[1]]
    network.embedding.copy_((SPREAD * embedded / embedded.std()).float())


def adopt(network: BrainMAENetwork, initial: Fitted, train: Sequence[Recording]) -> list[str]:
    """Load the weights of another fit; return how far its recordings lie from these.

    Recordings are standardised one by one here and there, so no normalisation is taken over.
    Raises ``ValueError`` naming both values where regions, segments or sizes differ.
    """
    arrays, units, sizes = initial.arrays, train[0].unit_names, network.sizes
    theirs = [str(name) for name in arrays["unit"].values]
    if theirs != units:
        odd = [a for a in units if a not in set(theirs)][:3] or ["their order"]
        raise ValueError(
            f"init_from: the fit has {len(theirs)} regions and {train[0].name} has {len(units)}; "
            f"they differ in {', '.join(odd)}; use the same atlas"
        )
    period, own = float(arrays["period_s"]), 1 / train[0].rate
    if int(arrays["samples"]) != sizes.samples or abs(own - period) > NEAR * period:
        raise ValueError(
            f"init_from: the fit has segments of {int(arrays['samples'])} volumes of {period:g} s "
            f"and {train[0].name} of {sizes.samples} of {own:g} s; resample to the same repetition "
            "time (preprocess.resample_s) and give the same segment_s"
        )
    weights = weights_of(initial)
    wanted = network.state_dict()
    odd = [name for name in wanted if name not in weights or
           weights[name].shape != wanted[name].shape]  # fmt: skip
    odd += [name for name in weights if name not in wanted]
    if odd:
        here, there = (tuple(some[odd[0]].shape) if odd[0] in some else "none"
                       for some in (wanted, weights))  # fmt: skip
        raise ValueError(
            f"init_from: {odd[0]} has the shape {there} in the fit and {here} in this model; give "
            "both the same width, segment_width, layers, variant and pool"
        )
    network.load_state_dict(weights)
    return _shift(initial, train)


def weights_of(fitted: Fitted) -> dict[str, torch.Tensor]:
    """Return the pretrained weights of a fit."""
    return {
        name.removeprefix(WEIGHTS): torch.from_numpy(np.array(value))
        for name, value in fitted.weights.items() if name.startswith(WEIGHTS)
    }  # fmt: skip


def known(train: Sequence[Recording]) -> dict[str, Any]:
    """Return who was trained on and the checksums of their files, for fits that start from this."""
    checksums = sorted({one.data.attrs["source_sha256"] for one in train} - {""})
    people = sorted({one.subject for one in train})
    return {"trained_sha256": ("trained_file", np.array(checksums, str)),
            "trained_subject": ("trained_person", np.array(people, str))}  # fmt: skip


def remembered(initial: Fitted) -> dict[str, Any]:
    """Return the same of the fit that another one started from."""
    return {
        "start_sha256": ("start_file", initial.arrays["trained_sha256"].values.astype(str)),
        "start_subject": ("start_person", initial.arrays["trained_subject"].values.astype(str)),
    }


def met_before(fitted: Fitted, test: Sequence[Recording]) -> str:
    """Return a caution where test people are called like some that the start was trained on.

    Raises ``ValueError`` where a test recording's file is one of those: its scores would be of
    recordings that were learnt.
    """
    if "start_sha256" not in fitted.arrays:
        return ""
    files = set(fitted.arrays["start_sha256"].values.astype(str).tolist())
    if seen := [one.name for one in test if one.data.attrs["source_sha256"] in files]:
        raise ValueError(
            f"init_from: {seen[0]} is in the test part, and the fit that this one starts from was "
            "trained on the same file; start from a dataset of other people"
        )
    people = set(fitted.arrays["start_subject"].values.astype(str).tolist())
    both = sorted({one.subject for one in test} & people)
    if not both:
        return ""
    return (f"people of the test part are called like some that the start was trained on "
            f"({', '.join(both[:3])}): if they are the same, the scores are flattered")  # fmt: skip


def _shift(initial: Fitted, train: Sequence[Recording]) -> list[str]:
    """Return a warning where connectivity differs from the fit's more than its recordings do."""
    theirs = metrics.edges(initial.arrays["connectivity"].values.astype(np.float64))
    own = np.mean([connectivity(s) for s in by_name(train).values()], axis=0)
    r = float(np.corrcoef(theirs, metrics.edges(own))[0, 1])
    least = float(initial.arrays["connectivity_spread"])
    said = f"group connectivity correlates {r:.2f} with that of the fit that this one starts from"
    if r >= least:
        return [said]
    return [f"{said}, less than any of its own recordings ({least:.2f}): the data are shifted"]


def connectivity(segments: Sequence[Recording]) -> np.ndarray:
    """Return the correlation matrix of one recording, (region, region)."""
    return metrics.correlation(own_standard(segments))

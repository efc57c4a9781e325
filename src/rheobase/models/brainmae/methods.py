"""What the methods text of a report says of this family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

KINDS = {"sg": "by learned embeddings in all blocks",
         "ag": "by learned embeddings in the first block and by the signal in the others",
         "vanilla": "by the signal in all blocks"}  # fmt: skip


def sentences(
    settings: Mapping[str, Any],
    cite: Callable[[str], str],
    *,
    frames: bool,
    label: Mapping[str, Any] | None,
) -> list[str]:
    """Return sentences on architecture, training and use of the label."""
    low, high = settings["mask_ratio"]
    said = [
        f"A masked autoencoder of region time series {cite('yang2024')} of width "
        f"{settings['width']} saw runs in segments of about {settings['segment_s']:g} s; regions "
        f"attended to each other {KINDS[settings['variant']]}."
    ]
    if settings["init_from"]:
        said.append(f"It started from the weights of {settings['init_from']} without change.")
    else:
        said.append(
            f"It was trained for at most {settings['steps']} steps of {settings['batch']} crops of "
            f"up to {settings['crop_s']:g} s to reconstruct what was hidden, between {low:.0%} and "
            f"{high:.0%} of each segment's regions, with weight {settings['mask_weight']:g} on the "
            f"hidden part of the loss.{_stop(settings)}"
        )
    said.append(
        "Hidden regions of the test part were filled in too by linear interpolation, ten principal "
        "components, ridge regression with a penalty chosen on people left out, and Gaussians "
        "conditioned on the visible regions."
    )
    said.append(
        "Where the test part held two or more people, each was looked for in another session or "
        "half: by connectivity of what the network left unexplained (an idea of "
        f"{cite('cai2021')}), by the gradient of its error by the region embeddings, and by mean "
        "and deviation of its segment vectors, centred and scaled over people."
    )
    if settings["label"] and label and label["over_time"]:
        said.append(_blocks(settings["label_training"], label["name"], frames))
    elif settings["label"] and label:
        said.append(
            f"For the label {label['name']} recordings were read out linearly from the group of "
            "features that predicted best in inner folds of people: the encoder's vectors, "
            "correlations between the leading maps of its embeddings, or switching, order or "
            "occupancy of the hidden states of the maps' courses (states that differ in "
            "covariance, fitted without labels); then encoder and read-out were trained on from "
            "this probe, and once without pretraining. Rivals were linear models on connectivity, "
            "on its tangent space and on states of principal components, and a small network on "
            "single frames."
        )
    return said


def _stop(settings: Mapping[str, Any]) -> str:
    """Return how training ended early, where it could."""
    share = settings["held_share"]
    if not share:
        return ""
    return (
        f" With five training people or more, {share:.0%} of them were held out: the weights that "
        "filled in their hidden regions best were kept."
    )


def _blocks(how: Mapping[str, Any], name: str, frames: bool) -> str:
    """Return how a label that changes over time was decoded."""
    unit, ignored = "frames" if frames else "s", how.get("ignore_labels") or ()
    delay = how.get("delay_s")
    late = (
        f"0 to 8 {unit} later, chosen in inner folds"
        if delay is None
        else f"{delay:g} {unit} later"
    )
    without = f", without the classes {', '.join(ignored)}," if ignored else ""
    return (
        f"The label {name}{without} was decoded block by block, {late}: the encoder's vectors of "
        "all segments inside a block were averaged, and they or the mean courses of the maps of "
        "its embeddings, whichever predicted better in inner folds, were read out by logistic "
        "regression, classes weighted alike; then encoder and read-out were trained on from this "
        "probe, and once without pretraining and from its own probe, for as many epochs as clearly "
        "helped on a fifth of the runs. Rivals "
        "were logistic regressions on the mean activity of the same blocks and on as many of its "
        "principal components as both have numbers."
    )

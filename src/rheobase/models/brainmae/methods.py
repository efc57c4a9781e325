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
            "hidden part of the loss."
        )
    if settings["label"] and label:
        said.append(
            f"For the label {label['name']} recordings were read out linearly from the encoder's "
            "vectors, from correlations between the leading maps of its embeddings, and from "
            "switching, order and occupancy of the hidden states of the maps' courses (states that "
            "differ in covariance, fitted without labels); then the encoder was trained on from "
            "this probe, and once from a random start. Rivals were linear models on connectivity, "
            "on its tangent space and on states of principal components, and a small network on "
            "single frames."
        )
    return said

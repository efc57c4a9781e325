"""Drawings of what the network knows of regions, and of how they move each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rheobase.models import glass
from rheobase.models.base import Drawing
from rheobase.models.brainmae import canvas, interpret
from rheobase.models.brainmae.canvas import NORMAL, SMALL, p_text
from rheobase.models.brainmae.influence import given_and_taken, partial_correlation, strongest

if TYPE_CHECKING:
    import xarray as xr

    from rheobase.models.brainmae.reconstruct import Tally


def matrices(arrays: xr.Dataset) -> Drawing:
    """Return embedding similarity and attention beside connectivity, regions by network."""
    import pandas as pd

    order, networks = canvas.by_network(arrays)
    panels = {"connectivity": arrays["connectivity"].values,
              "embedding similarity": arrays["similarity"].values}  # fmt: skip
    if "attention" in arrays:
        panels["attention (row looks at column)"] = arrays["attention"].values
    figure, axes = canvas.figure(3.05 * len(panels), len(panels), 1, layout="compressed")
    for one, (title, matrix) in zip(axes.flat, panels.items(), strict=True):
        canvas.matrix(one, matrix[np.ix_(order, order)], networks)
        one.set_title(title, fontsize=NORMAL, loc="left")
    said = "; ".join(_agreements(interpret.summary(arrays)))
    caption = (
        "Each square compares two regions of the training part"
        f"{', sorted by network' if len(networks) else ''}: {said}. One-sided p by shuffling "
        f"regions{_within(arrays)}, {interpret.DRAWS} draws; regions that lie near each "
        "other are alike, so p is smaller than it should be."
    )
    names = arrays["unit"].values.astype(str)
    rows, columns = np.triu_indices(len(names), k=1)
    table = pd.DataFrame({"region": names[rows], "other": names[columns]} | {
        title.partition(" (")[0].replace(" ", "_"): matrix[rows, columns].round(4)
        for title, matrix in panels.items()
    })  # fmt: skip
    alt = f"Matrices over {len(names)} regions: {', '.join(panels)}."
    return Drawing(figure, "What the embeddings know", caption, alt, table)


def _within(arrays: xr.Dataset) -> str:
    return "" if interpret.sides_of(arrays) is None else " within hemispheres"


def _agreements(found: dict[str, float]) -> list[str]:
    rho, p = found["embedding_connectivity"], found["embedding_connectivity_p"]
    said = [
        f"similarity of embeddings and connectivity correlate {rho:.2f} (Spearman, {p_text(p)})"
    ]
    if "attention_connectivity" in found:
        rho, p = found["attention_connectivity"], found["attention_connectivity_p"]
        said.append(f"attention and connectivity {rho:.2f} ({p_text(p)})")
    if "network_rand" in found:
        rand, p = found["network_rand"], found["network_rand_p"]
        said.append(f"clusters of embeddings agree with the atlas's networks by {rand:.2f} "
                    f"(adjusted Rand index, {p_text(p)})")  # fmt: skip
        width, p = found["network_silhouette"], found["network_silhouette_p"]
        said.append(f"the networks' mean silhouette is {width:.2f} ({p_text(p)})")
    if "own_network_share" in found:
        share, chance = found["own_network_share"], found["own_network_chance"]
        said.append(f"{share:.0%} of attention stays in the own network, {chance:.0%} if even")
    return said


def influence(arrays: xr.Dataset, matrix: np.ndarray, covariance: np.ndarray) -> Drawing:
    """Return how much hiding a region changes what is made of the others, by network.

    ``matrix`` (region, other) as ``influence.influence`` gives it, ``covariance`` the training
    part's.
    """
    import pandas as pd

    order, networks = canvas.by_network(arrays)
    names = arrays["unit"].values.astype(str)
    figure, ((axes,),) = canvas.figure(3.1, layout="compressed")
    canvas.matrix(axes, matrix[np.ix_(order, order)], networks)
    axes.set_xlabel("hidden too", fontsize=NORMAL)
    axes.set_ylabel("hidden region that is filled in", fontsize=NORMAL)
    said = [f"{what} {found.value:.2f} ({p_text(found.p_value)})"
            for what, found in compared(arrays, matrix, covariance).items()]  # fmt: skip
    caption = (
        "Half of the regions are hidden. Hiding the column's region too changes what the network "
        "makes of the row's by so many standard deviations, averaged over segments of the test "
        f"part. Spearman's correlation with {', '.join(said)}; one-sided p by shuffling regions"
        f"{_within(arrays)}. It is what the trained network relies on, not a cause in the brain."
        f"{_undrawn(arrays)}"
    )
    top = ", ".join(strongest(matrix, names.tolist()))
    alt = f"Matrix of {len(names)} by {len(names)} regions; {top} change the others most."
    data = pd.DataFrame(matrix[np.ix_(order, order)], index=names[order], columns=names[order])
    data = data.round(4).rename_axis("region").reset_index()
    return Drawing(figure, "Which regions the network relies on", caption, alt, data)


def _undrawn(arrays: xr.Dataset) -> str:
    """Return why there is no glass brain though coordinates are known; empty where there is one."""
    if not {"x", "y", "z"} <= set(arrays.coords) or glass.places(arrays) is not None:
        return ""
    if glass.in_mni(arrays):
        return " There is no glass brain: some regions have no coordinates."
    spaces = sorted(set(arrays["space"].values.astype(str))) if "space" in arrays.coords else []
    where = f"lie in {', '.join(spaces)}" if spaces else "are not said to lie in MNI space"
    return f" There is no glass brain: the regions' coordinates {where}."


def compared(
    arrays: xr.Dataset, matrix: np.ndarray, covariance: np.ndarray
) -> dict[str, interpret.Agreement]:
    """Return how influence agrees with connectivity, direct connectivity and attention."""
    others = {
        "size of connectivity": np.abs(arrays["connectivity"].values),
        "of partial correlation": np.abs(partial_correlation(covariance)),
    }
    if "attention" in arrays:
        others["attention"] = arrays["attention"].values
    sides, seed = interpret.sides_of(arrays), int(arrays["seed"])
    return {
        what: interpret.with_connectivity(matrix, other.astype(np.float64), seed=seed, sides=sides)
        for what, other in others.items()
    }


def brain(arrays: xr.Dataset, matrix: np.ndarray, tally: Tally) -> Drawing | None:
    """Return influence, attention and R2 on a glass brain; None where no place in MNI is known."""
    import pandas as pd

    where = glass.places(arrays)
    if where is None:
        return None
    given, _ = given_and_taken(matrix)
    maps = {"influence on others": given}
    if "attention" in arrays:
        maps["attention received"] = arrays["attention"].values.sum(axis=0)
    maps["R² while hidden"] = tally.by_region
    figure = glass.rows(maps, where, width=canvas.WIDTH, small=SMALL, normal=NORMAL)
    names = arrays["unit"].values.astype(str)
    caption = (
        "How much hiding a region changes what is made of the others; the attention that it "
        "receives from all others, 1 being an even share; and how well it is filled in while half "
        "of the regions are hidden. Seen from the left, from above (left is left) and from the "
        "right; bright is more. Properties of the network, not of anatomy."
    )
    alt = f"Glass brains; influence is largest for {', '.join(strongest(matrix, names.tolist()))}."
    table = pd.DataFrame({"region": names, **maps}).round(4)
    return Drawing(figure, "Where in the brain", caption, alt, table)

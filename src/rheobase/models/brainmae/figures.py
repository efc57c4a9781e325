"""Drawings of BrainMAE, each with the words and numbers that belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rheobase.models.base import Drawing, Fitted
from rheobase.models.brainmae import interpret, reconstruct, score
from rheobase.models.brainmae.learn import network_of
from rheobase.models.brainmae.pretrain import RATIOS
from rheobase.models.brainmae.segments import runs

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rheobase.models.brainmae import BrainMAE
    from rheobase.models.brainmae.segments import Run
    from rheobase.recording import Recording

COLOURS = {
    "brainmae": "#0072B2", "linear_interpolation": "#CC79A7", "pca": "#D55E00",
    "conditional_gaussian": "#009E73", "conditional_gaussian_3": "#E69F00", "mean": "#666666",
}  # fmt: skip
"""Okabe and Ito's palette, told apart with every kind of colour vision."""
WORDS = {
    "brainmae": "BrainMAE", "linear_interpolation": "linear interpolation", "pca": "PCA, 10",
    "conditional_gaussian": "conditional Gaussian",
    "conditional_gaussian_3": "conditional Gaussian, 3 frames", "mean": "mean",
}  # fmt: skip
SHOWN = 6
"""Hidden stretches in the gallery"""
GALLERY_RATIO, LOWEST = 0.5, -0.5


def draw(model: BrainMAE, fitted: Fitted, test: Sequence[Recording]) -> dict[str, Drawing]:
    """Return all drawings of a fit on its test part."""
    samples, arrays = int(fitted.arrays["samples"]), fitted.arrays
    stretches, _ = runs(test, samples)
    fills = score.fillers(model, fitted, network_of(model, fitted), 1 / test[0].rate)
    made = {
        "reconstruction": reconstruction(fills, stretches, samples),
        "gallery": gallery(fills, stretches, samples, test[0]),
        "embeddings": matrices(arrays),
    }
    if {"x", "y", "z"} <= set(arrays.coords) and "attention" in arrays:
        made["influence"] = influence(arrays)
    if fitted.history.get("loss"):
        made["training"] = training(fitted.history)
    return made


def _figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for one in axes.flat:
        one.spines[["top", "right"]].set_visible(False)
        one.tick_params(labelsize=9)
    return figure, axes


def reconstruction(
    fills: dict[str, reconstruct.Filler], stretches: Sequence[Run], samples: int
) -> Drawing:
    """Return R2 on hidden regions against the share that is hidden."""
    import pandas as pd

    figure, ((axes,),) = _figure(6, 3.8)
    rows = []
    for name, fill in fills.items():
        values = [float(reconstruct.tally(fill, stretches, samples, r).r2) for r in RATIOS]
        rows += [{"method": WORDS[name], "hidden_share": r, "r2": v}
                 for r, v in zip(RATIOS, values, strict=True)]  # fmt: skip
        axes.plot(RATIOS, np.maximum(values, LOWEST), marker="o", color=COLOURS[name],
                  label=WORDS[name], linewidth=2.4 if name == "brainmae" else 1.4)  # fmt: skip
    axes.set_xticks(RATIOS)
    axes.set_xlabel("share of regions hidden in each segment", fontsize=10)
    axes.set_ylabel("R² on hidden regions", fontsize=10)
    axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    table = pd.DataFrame(rows)
    half = [row for row in rows if row["hidden_share"] == GALLERY_RATIO]
    best = max(half, key=lambda row: row["r2"])["method"]
    caption = (
        "How much of what is hidden each method fills in, on recordings that were not trained on; "
        "all see the same visible regions. 0 is the region's own mean. Lines above the blue one "
        f"beat the network. Values below {LOWEST:g} are drawn there; the numbers have them."
    )
    alt = f"Lines of R² against the hidden share; at one half {best} is highest."
    return Drawing(figure, "Filling in hidden regions", caption, alt, table)


def gallery(
    fills: dict[str, reconstruct.Filler], stretches: Sequence[Run], samples: int, first: Recording
) -> Drawing:
    """Return hidden stretches as they were, as the network and as the Gaussian make them."""
    import pandas as pd

    run = stretches[0]
    hidden = reconstruct.hidden_sets(stretches, samples, GALLERY_RATIO)[0]
    shown = ("brainmae", "conditional_gaussian")
    made = {name: fills[name](run, hidden) for name in shown}
    places = np.argwhere(hidden)
    chosen = places[np.linspace(0, len(places) - 1, min(SHOWN, len(places))).astype(int)]
    figure, axes = _figure(9, 4.6, 2, 3)
    rows = []
    for one, (segment, region) in zip(axes.flat, chosen, strict=False):
        part = slice(segment * samples, (segment + 1) * samples)
        time = run.start_s + np.arange(part.start, part.stop) / first.rate
        lines = {"truth": run.signal[part, region],
                 **{name: values[part, region] for name, values in made.items()}}  # fmt: skip
        for name, values in lines.items():
            one.plot(time, values, color=COLOURS.get(name, "#000000"), linewidth=1.6,
                     label=WORDS.get(name, "truth"))  # fmt: skip
        one.set_title(f"{first.unit_names[region]}", fontsize=9)
        rows += [
            {"region": first.unit_names[region], "time_s": t, "method": WORDS.get(n, n), "value": v}
            for n, values in lines.items() for t, v in zip(time, values, strict=True)
        ]  # fmt: skip
    axes[0, 0].legend(frameon=False, fontsize=8)
    figure.supxlabel(f"time ({first.time_unit})", fontsize=10)
    figure.supylabel("standardised signal", fontsize=10)
    caption = (
        f"Regions that were hidden for one segment of {run.name}, half of all regions at a time: "
        "black is what was measured. Spread evenly over the recording, not chosen by how good."
    )
    alt = f"{len(chosen)} small panels of measured and filled-in signals."
    return Drawing(figure, "Hidden stretches", caption, alt, pd.DataFrame(rows))


def matrices(arrays: xr.Dataset) -> Drawing:
    """Return embedding similarity and attention beside connectivity, regions by network."""
    import pandas as pd

    names = arrays["unit"].values.astype(str)
    networks = arrays["network"].values.astype(str) if "network" in arrays.coords else names
    order = (
        np.argsort(networks, kind="stable") if "network" in arrays.coords else np.arange(len(names))
    )
    panels = {"connectivity": arrays["connectivity"].values,
              "embedding similarity": arrays["similarity"].values}  # fmt: skip
    if "attention" in arrays:
        panels["attention"] = arrays["attention"].values
    figure, axes = _figure(3.6 * len(panels), 3.6, 1, len(panels))
    for one, (title, matrix) in zip(axes.flat, panels.items(), strict=True):
        _matrix(one, matrix[np.ix_(order, order)], title)
    said = "; ".join(_agreements(interpret.summary(arrays)))
    caption = (
        "Each square compares two regions of the training part, sorted by network where the atlas "
        f"names them: {said}. p by shuffling regions, {interpret.DRAWS} draws."
    )
    rows, columns = np.triu_indices(len(names), k=1)
    table = pd.DataFrame({"region": names[rows], "other": names[columns]} | {
        title.replace(" ", "_"): matrix[rows, columns] for title, matrix in panels.items()
    })  # fmt: skip
    alt = f"{len(panels)} matrices over {len(names)} regions: {', '.join(panels)}."
    return Drawing(figure, "What the embeddings know", caption, alt, table)


def _agreements(found: dict[str, float]) -> list[str]:
    rho, p = found["embedding_connectivity"], found["embedding_connectivity_p"]
    said = [
        f"similarity of embeddings and connectivity correlate {rho:.2f} (Spearman, p = {p:.3g})"
    ]
    if "network_rand" in found:
        rand, p = found["network_rand"], found["network_rand_p"]
        said.append(f"clusters of embeddings agree with the atlas's networks by {rand:.2f} "
                    f"(adjusted Rand index, p = {p:.3g})")  # fmt: skip
    if "own_network_share" in found:
        share, chance = found["own_network_share"], found["own_network_chance"]
        said.append(f"{share:.0%} of attention stays in the own network, {chance:.0%} if even")
    return said


def _matrix(axes: Axes, matrix: np.ndarray, title: str) -> None:
    shown = matrix.astype(np.float64).copy()
    np.fill_diagonal(shown, np.nan)
    signed = np.nanmin(shown) < 0
    high = float(np.nanpercentile(np.abs(shown), 99)) or 1.0
    image = axes.imshow(shown, cmap="RdBu_r" if signed else "cividis", interpolation="nearest",
                        vmin=-high if signed else 0, vmax=high)  # fmt: skip
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("region", fontsize=9)
    axes.figure.colorbar(image, ax=axes, shrink=0.75)


def influence(arrays: xr.Dataset) -> Drawing:
    """Return how much other regions look at each region, on a glass brain."""
    import pandas as pd
    from matplotlib.figure import Figure
    from nilearn import plotting

    received = arrays["attention"].values.sum(axis=0)
    places = np.stack([arrays[axis].values for axis in "xyz"], axis=1)
    figure = Figure(figsize=(8, 3))
    plotting.plot_markers(
        received, places, figure=figure, node_cmap="cividis", node_vmin=0, display_mode="lzr"
    )
    caption = (
        "Attention that each region receives from all others, added up; 1 is an even share. "
        "A property of the trained network, not of anatomy."
    )
    names = arrays["unit"].values.astype(str)
    top = ", ".join(names[np.argsort(received)[::-1][:3]])
    table = pd.DataFrame({"region": names, "received": received})
    return Drawing(figure, "Region influence", caption, f"Glass brain; most for {top}.", table)


def training(history: dict[str, list[float]]) -> Drawing:
    """Return the loss of training, and R2 on held-out training people where there are any."""
    import pandas as pd

    held = {k: v for k, v in history.items() if k.startswith("held_r2") and v}
    figure, axes = _figure(4.2 * (1 + bool(held)), 3.2, 1, 1 + bool(held))
    steps = history["step"]
    for name, colour in (("loss_masked", "#0072B2"), ("loss_visible", "#E69F00")):
        axes[0, 0].plot(steps, history[name], color=colour, label=name.replace("_", " "))
    axes[0, 0].set_ylabel("squared error", fontsize=10)
    for name, values in held.items():
        axes[0, 1].plot(steps, values, label=f"{name[-2:]} % hidden")
    if held:
        axes[0, 1].set_ylabel("R² on held-out training people", fontsize=10)
    for one in axes.flat:
        one.set_xlabel("step", fontsize=10)
        one.legend(frameon=False, fontsize=9)
    caption = (
        "Error on hidden and visible regions while training. A masked loss that stays near 1 has "
        "learnt nothing about regions."
    )
    alt = f"Masked loss from {history['loss_masked'][0]:.2f} to {history['loss_masked'][-1]:.2f}."
    kept = {k: v for k, v in history.items() if len(v) == len(steps)}
    return Drawing(figure, "The course of training", caption, alt, pd.DataFrame(kept))

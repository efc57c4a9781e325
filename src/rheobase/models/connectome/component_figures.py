"""One drawing a component: between whom, in which communities, when, in whom, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rheobase.models.base import Drawing
from rheobase.models.connectome import canvas
from rheobase.models.connectome.artefacts import Learnt
from rheobase.models.connectome.canvas import BLUE, GREY, NORMAL, ORANGE, SMALL
from rheobase.models.connectome.factors import as_matrix
from rheobase.models.connectome.ordering import Ordered, merges, ordered

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

NAMED = 10
MOST_BARS = 40


def component(learnt: Learnt, number: int, *, unit_dim: str, time_unit: str) -> Drawing:
    """Return everything that is known of one component, numbered from 0."""
    arrays = learnt.arrays
    matrix = as_matrix(arrays["pattern"].values[number])
    labels = arrays["community"].values[number]
    inside = arrays["community_weight"].values[number]
    levels = arrays["community_level"].values[number]
    made = ordered(labels, inside, levels)
    figure = canvas.empty(8.2)
    grid = figure.add_gridspec(3, 2, height_ratios=(2.5, 1.2, 1.7), width_ratios=(2.4, 1))
    axes = figure.add_subplot(grid[0, 0])
    canvas.matrix(axes, matrix[np.ix_(made.units, made.units)], made.borders)
    axes.set_ylabel(f"{unit_dim}s by community", fontsize=NORMAL)
    _tree(figure.add_subplot(grid[0, 1], sharey=axes), labels, levels, made)
    _course(figure.add_subplot(grid[1, :]), learnt, number, time_unit)
    several = arrays.sizes["recording"] > 1
    below = grid[2, :].subgridspec(1, 1 + several)
    if several:
        _who(figure.add_subplot(below[0, 0]), learnt, number)
    _members(figure.add_subplot(below[0, -1]), learnt, labels, inside, image=unit_dim == "neuron")
    table = _table(learnt, number)
    names = table.sort_values(["community", "weight_inside"], ascending=[True, False])
    names = names.loc[names["community"] == 1, "unit"].tolist()
    caption = _caption(learnt, number, names, int(labels.max()) + 1)
    alt = (
        f"Matrix of {len(labels)} {unit_dim}s in {int(labels.max()) + 1} communities, the time "
        f"course of the component and its members; strongest: {', '.join(names[:3])}."
    )
    return Drawing(figure, f"Component {number + 1}: who, when, in whom", caption, alt, table)


def _tree(axes: Axes, labels: np.ndarray, levels: np.ndarray, made: Ordered) -> None:
    for left, right, low, other, height in merges(labels, levels, made):
        axes.plot([low, height, height, other], [left, left, right, right], color=GREY, lw=1)
    for block in np.unique(labels):
        axes.text(-0.1, made.middle(int(block)), str(block + 1), ha="right", va="center",
                  fontsize=SMALL)  # fmt: skip
    axes.tick_params(labelleft=False, left=False, labelsize=SMALL)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xticks([])
    axes.set_xlabel("merged later", fontsize=SMALL)


def _course(axes: Axes, learnt: Learnt, number: int, time_unit: str) -> None:
    arrays = learnt.arrays
    course = arrays["time_course"].values[number]
    events = arrays["bin_event"].values.astype(str)
    names = sorted(set(events.tolist()) - {""})
    clock = np.arange(len(course)) * learnt.bin_s
    canvas.shade(axes, clock, events, names)
    axes.plot(clock, course, color=BLUE, linewidth=0.7)
    for at in arrays["block_start"].values[1:]:
        axes.axvline(float(clock[at]), color=GREY, linewidth=0.5, linestyle=":")
    canvas.plain(axes, x=f"bins one after another ({time_unit})", y="when")
    axes.set_yticks([])
    axes.set_xlim(0, clock[-1] if len(clock) > 1 else 1)


def _who(axes: Axes, learnt: Learnt, number: int) -> None:
    """Draw how much of the component each animal or recording holds."""
    arrays = learnt.arrays
    several = arrays.sizes["animal"] > 1
    values = arrays["animal_loading"].values[number] if several else arrays["share"].values[number]
    names = arrays["animal" if several else "recording"].values.astype(str)
    shown = values[:MOST_BARS]
    axes.barh(np.arange(len(shown)), shown, color=BLUE, height=0.8)
    axes.invert_yaxis()
    canvas.plain(axes, x="loading" if several else "mean of its course")
    if len(shown) <= 12:
        axes.set_yticks(range(len(shown)), names[: len(shown)], fontsize=SMALL - 1)
    else:
        axes.set_yticks([])
        axes.set_ylabel(f"{len(names)} {'animals' if several else 'recordings'}", fontsize=NORMAL)


def _members(
    axes: Axes, learnt: Learnt, labels: np.ndarray, inside: np.ndarray, *, image: bool
) -> None:
    """Draw where the densest community lies, or say who is in it.

    Rows of an ``image`` are counted from its top.
    """
    arrays = learnt.arrays
    if {"x", "y"} <= set(arrays.coords):
        x, y = (arrays[axis].values.astype(float) for axis in "xy")
        core = labels == 0
        axes.scatter(x[~core], y[~core], s=6, color=GREY, alpha=0.5, linewidths=0)
        size = 8 + 40 * inside[core] / max(float(inside[core].max()), 1e-12)
        axes.scatter(x[core], y[core], s=size, color=ORANGE, linewidths=0)
        axes.set_aspect("equal", adjustable="datalim")
        if image:
            axes.invert_yaxis()
        canvas.plain(axes, x="community 1 (orange) in space")
        axes.set_xticks([])
        axes.set_yticks([])
        return
    order = np.lexsort((-inside, labels))
    names = [learnt.units[i] for i in order if labels[i] == 0]
    left = len(names) - NAMED
    said = ["community 1:", *names[:NAMED], *([f"and {left} more"] if left > 0 else [])]
    axes.axis("off")
    axes.text(0.05, 1, "\n".join(said), va="top", fontsize=SMALL, transform=axes.transAxes)


def _table(learnt: Learnt, number: int) -> pd.DataFrame:
    import pandas as pd

    arrays = learnt.arrays
    table = pd.DataFrame({
        "unit": learnt.units,
        "community": arrays["community"].values[number] + 1,
        "confidence": arrays["community_confidence"].values[number].round(3),
        "weight_inside": arrays["community_weight"].values[number].round(5),
        "strength": as_matrix(arrays["pattern"].values[number]).sum(axis=1).round(4),
    })  # fmt: skip
    for axis in "xyz":
        if axis in arrays.coords:
            table[axis] = arrays[axis].values
    return table


def _caption(learnt: Learnt, number: int, names: list[str], blocks: int) -> str:
    arrays = learnt.arrays
    p = float(arrays["component_p"].values[number])
    tested = (
        ""
        if np.isnan(p)
        else f", {canvas.p_text(p)} against shifted units (largest weight of each)"
    )
    said = [
        f"Weight {float(arrays['weight'].values[number]):.3g}{tested}. Above: affinity of each two "
        f"units, sorted into {blocks} communities, the densest first within its branch of the tree "
        "on the right. Middle: when the component is present; dotted lines are cuts"
        f"{_locked(learnt, number)}. Below: "
        f"{'in whom, and ' if arrays.sizes['recording'] > 1 else ''}the densest community ("
        f"{len(names)} members; strongest: {', '.join(names[:NAMED])}).",
    ]
    said += [canvas.NOT_CAUSE] if number == 0 else []
    if arrays.sizes["animal"] > 1:
        ratio = float(arrays["participation"].values[number])
        said.insert(1, f"Participation of animals is {ratio:.2f} (1: all alike).")
    return " ".join(said)


def _locked(learnt: Learnt, number: int) -> str:
    """Return which events the component follows, as it stands in the caption."""
    arrays = learnt.arrays
    if "locking_q" not in arrays:
        return ""
    q, auc = arrays["locking_q"].values[number], arrays["locking_auc"].values[number]
    found = [
        f"{name} (AUC {a:.2f}, q = {one:.2g})"
        for name, one, a in zip(arrays["event"].values.astype(str), q, auc, strict=True)
        if one < 0.05
    ]
    return f"; it follows {', '.join(found[:4])}" if found else "; it follows no event"

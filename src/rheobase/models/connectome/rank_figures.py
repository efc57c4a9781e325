"""Why so many components, whether they mean anything, in whom they are, and the network in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rheobase.models.base import Drawing
from rheobase.models.connectome import canvas
from rheobase.models.connectome.artefacts import Learnt
from rheobase.models.connectome.canvas import BLUE, GREEN, GREY, NORMAL, ORANGE, RED, SMALL
from rheobase.models.connectome.factors import network_at

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

FILM = 6


def ranks(learnt: Learnt) -> Drawing:
    """Return error, error on hidden entries and stability of every number of components."""
    import pandas as pd

    arrays = learnt.arrays
    rank, chosen = arrays["rank"].values, int(arrays["chosen_rank"])
    hidden = arrays["rank_holdout"].values
    spread = hidden.std(axis=1, ddof=1) / np.sqrt(hidden.shape[1])
    figure = canvas.empty(4.4 + 0.19 * (len(rank) + 2))
    grid = figure.add_gridspec(3, 1, height_ratios=(2.2, 2.2, 0.19 * (len(rank) + 2)))
    upper = figure.add_subplot(grid[0])
    lower = figure.add_subplot(grid[1], sharex=upper)
    upper.tick_params(labelbottom=False)
    upper.plot(rank, arrays["rank_error"].values, "o-", color=BLUE, label="training part")
    upper.errorbar(rank, hidden.mean(axis=1), yerr=spread, fmt="s--", color=ORANGE,
                   label="hidden entries")  # fmt: skip
    canvas.plain(upper, y="relative error").legend(frameon=False, fontsize=SMALL)
    lower.plot(rank, arrays["rank_stability"].values, "o-", color=GREEN)
    lower.axhline(0.9, color=GREY, linestyle="--", linewidth=1)
    lower.set_ylim(0, 1.05)
    lower.set_xticks(rank)
    canvas.plain(lower, x="number of components", y="stability")
    for axes in (upper, lower):
        axes.axvline(chosen, color=RED, linewidth=1, alpha=0.6)
    _rank_rows(figure.add_subplot(grid[2]), arrays, hidden.mean(axis=1), spread)
    stable = bool(arrays["stable"])
    why = (
        "the largest stable number (dashed: 0.9) whose error on hidden entries is within one "
        "standard error of the least"
        if stable else "no number was stable (dashed: 0.9), so the most stable was taken"
    )  # fmt: skip
    caption = (
        f"{chosen} components were chosen (vertical line, bold): {why}. Stability is how alike "
        "other starts end (factor match score, 1 is the same). The hidden error is the mean and "
        "standard error over what was hidden."
    )
    table = pd.DataFrame({
        "rank": rank, "error": arrays["rank_error"].values, "spread": arrays["rank_spread"].values,
        "stability": arrays["rank_stability"].values, "hidden_error": hidden.mean(axis=1),
        "hidden_error_se": spread, "core_consistency": arrays["rank_core_consistency"].values,
    }).round(5)  # fmt: skip
    alt = f"Errors and stability of {', '.join(map(str, rank))} components; {chosen} chosen."
    return Drawing(figure, "How many components", caption, alt, table)


def _rank_rows(axes: Axes, arrays: xr.Dataset, hidden: np.ndarray, spread: np.ndarray) -> None:
    """Write a row of numbers for each number of components."""
    axes.axis("off")
    core = arrays["rank_core_consistency"].values
    columns = {
        "": [str(r) for r in arrays["rank"].values],
        "error": [f"{v:.3f}" for v in arrays["rank_error"].values],
        "hidden error": [f"{m:.3f} ± {s:.3f}" for m, s in zip(hidden, spread, strict=True)],
        "stability": [f"{v:.2f}" for v in arrays["rank_stability"].values],
    }
    if np.isfinite(core).any():
        columns["core cons. (%)"] = [f"{v:.0f}" if np.isfinite(v) else "" for v in core]
    chosen = columns[""].index(str(int(arrays["chosen_rank"])))
    for place, (head, cells) in zip((0.04, 0.22, 0.5, 0.74, 1.0), columns.items(), strict=False):
        for row, text in enumerate([head, *cells]):
            height = 1 - (row + 0.5) / (len(cells) + 1)
            axes.text(place, height, text, fontsize=SMALL, va="center", ha="right",
                      transform=axes.transAxes,
                      fontweight="bold" if row == chosen + 1 else None)  # fmt: skip


def null(learnt: Learnt) -> Drawing | None:
    """Return the components' weights beside the largest ones of shifted units; None untested."""
    import pandas as pd

    arrays = learnt.arrays
    drawn, tested = arrays["null_weight"].values, arrays["tested_weight"].values
    if not len(drawn):
        return None
    p = arrays["component_p"].values
    figure = canvas.empty(2.8)
    axes = canvas.plain(figure.subplots(), x="weight of a component", y="shifted tensors")
    axes.hist(drawn, bins=min(15, len(drawn)), color=GREY, alpha=0.7)
    top = axes.get_ylim()[1]
    for number, (weight, one) in enumerate(zip(tested, p, strict=True)):
        axes.axvline(weight, color=BLUE if one < 0.05 else ORANGE, linewidth=1.5)
        axes.text(weight, top * (0.98 - 0.09 * (number % 4)), f" {number + 1}", fontsize=SMALL)
    above = int((p < 0.05).sum())
    caption = (
        f"Lines: the weight of each component (blue: p < 0.05). Bars: the largest weight of "
        f"{len(drawn)} tensors of the same recordings in which every unit was shifted in time by "
        f"itself. {above} of {len(p)} components are heavier than chance; the smallest p that so "
        f"few draws allow is {1 / (1 + len(drawn)):.2g}."
    )
    table = pd.DataFrame({"what": [f"component {i + 1}" for i in range(len(p))]
                          + ["shifted"] * len(drawn), "weight": [*tested, *drawn],
                          "p": [*p, *[np.nan] * len(drawn)]})  # fmt: skip
    alt = f"Histogram of null weights with {len(p)} components; {above} significant."
    return Drawing(figure, "Are components heavier than chance", caption, alt, table)


def shares(learnt: Learnt) -> Drawing | None:
    """Return how much of each component every recording holds; None with one recording."""
    import pandas as pd

    arrays = learnt.arrays
    values = arrays["share"].values.astype(float)
    if values.shape[1] < 2:
        return None
    names = arrays["recording"].values.astype(str)
    figure = canvas.empty(min(1.6 + 0.16 * len(names), 6))
    axes = figure.subplots()
    image = axes.imshow(values.T / values.max(axis=1), aspect="auto", cmap="cividis", vmin=0,
                        interpolation="nearest")  # fmt: skip
    figure.colorbar(image, ax=axes, shrink=0.8).ax.tick_params(labelsize=SMALL)
    axes.set_xticks(range(len(values)), [str(i + 1) for i in range(len(values))], fontsize=SMALL)
    axes.set_yticks(*((range(len(names)), names) if len(names) <= 25 else ([], [])),
                    fontsize=SMALL)  # fmt: skip
    axes.set_xlabel("component", fontsize=NORMAL)
    caption = (
        "Mean of each component's course in each recording of the training part, over the largest "
        "of its column: in whom it is."
    )
    table = pd.DataFrame(values.T.round(5), columns=learnt.names).assign(recording=names)
    alt = f"Heat map of {len(values)} components in {len(names)} recordings."
    return Drawing(figure, "Which recordings hold which component", caption, alt, table)


def film(learnt: Learnt, time_unit: str) -> Drawing:
    """Return the modelled network at the peaks of the components, or within events."""
    from rheobase.models.connectome.ordering import ordered

    arrays = learnt.arrays
    factors, moments = learnt.factors(), _moments(learnt)
    labels = arrays["community"].values[0]
    made = ordered(
        labels, arrays["community_weight"].values[0], arrays["community_level"].values[0]
    )
    rows = -(-len(moments) // 3)
    figure = canvas.empty(0.5 + 1.75 * rows)
    axes = figure.subplots(rows, 3, squeeze=False)
    animal = int(np.argmax(arrays["animal_loading"].values.sum(axis=0)))
    nets = [network_at(factors, at, animal=animal) for at, _ in moments]
    high = max(float(np.percentile(n, 99)) for n in nets) or 1.0
    for one in axes.flat:
        one.axis("off")
    for one, net, (at, word) in zip(axes.flat, nets, moments, strict=False):
        one.imshow(net[np.ix_(made.units, made.units)], cmap="cividis", vmin=0, vmax=high,
                   interpolation="nearest")  # fmt: skip
        one.set_title(f"{word}, {at * learnt.bin_s:.0f} {time_unit}", fontsize=SMALL)
    who = str(arrays["animal"].values[animal])
    caption = (
        "The modelled network, all components together, at some instants (bins counted one after "
        f"another{'' if who == 'all' else f'; {who}'}); units in the order of component 1, one "
        "scale. rheobase export writes it for any instant."
    )
    alt = f"{len(moments)} small matrices of the network in time."
    return Drawing(figure, "The network in time", caption, alt)


def _moments(learnt: Learnt) -> list[tuple[int, str]]:
    """Return up to six bins with a word for each: in the middle of events, else at peaks."""
    arrays = learnt.arrays
    events = arrays["bin_event"].values.astype(str)
    names = sorted(set(events.tolist()) - {""})[:FILM]
    if names:
        found = [(np.flatnonzero(events == name), name) for name in names]
        return [(int(at[len(at) // 2]), name) for at, name in found]
    courses = arrays["time_course"].values[:FILM]
    return [(int(np.argmax(c)), f"peak of {i + 1}") for i, c in enumerate(courses)]

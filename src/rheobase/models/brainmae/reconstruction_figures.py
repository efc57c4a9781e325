"""Drawings of what is filled in: how well, where, and whether it moves together as it should."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rheobase.models.base import Drawing
from rheobase.models.brainmae import canvas, fidelity, reconstruct
from rheobase.models.brainmae.canvas import COLOURS, MARKS, NORMAL, SMALL, WORDS
from rheobase.models.brainmae.fidelity import Filled

if TYPE_CHECKING:
    import xarray as xr

    from rheobase.models.brainmae.reconstruct import Filler, Tally
    from rheobase.models.brainmae.segments import Run
    from rheobase.recording import Recording

SHOWN = 6
"""Hidden stretches in the gallery"""
LOWEST = -0.5
COMPARED = ("brainmae", "conditional_gaussian")


def reconstruction(tallies: Mapping[float, Mapping[str, Tally]]) -> Drawing:
    """Return R2 on hidden regions against the share that is hidden."""
    import pandas as pd

    ratios = sorted(tallies)
    figure, ((axes,),) = canvas.figure(5.0)
    rows = []
    for name in tallies[ratios[0]]:
        values = [float(tallies[ratio][name].r2) for ratio in ratios]
        rows += [{"method": WORDS[name], "hidden_share": r, "r2": v}
                 for r, v in zip(ratios, values, strict=True)]  # fmt: skip
        axes.plot(ratios, np.maximum(values, LOWEST), marker=MARKS[name], color=COLOURS[name],
                  label=WORDS[name], linewidth=2.4 if name == "brainmae" else 1.3)  # fmt: skip
    axes.set_xticks(ratios)
    axes.set_xlabel("share of regions hidden in each segment", fontsize=NORMAL)
    axes.set_ylabel("R² of hidden regions", fontsize=NORMAL)
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, fontsize=SMALL, ncols=2,
                  loc="outside lower center")  # fmt: skip
    half = [row for row in rows if row["hidden_share"] == fidelity.RATIO]
    best = max(half, key=lambda row: row["r2"])["method"]
    caption = (
        "How much of what is hidden each method fills in, on recordings that were not trained on; "
        "all see the same visible regions. 0 is the region's own mean. Lines above the thick one "
        f"beat the network. Values below {LOWEST:g} are drawn there; the numbers have them."
    )
    alt = f"Lines of R² against the hidden share; at one half {best} is highest."
    return Drawing(figure, "Filling in hidden regions", caption, alt, pd.DataFrame(rows))


def gallery(
    fills: Mapping[str, Filler], stretches: Sequence[Run], samples: int, first: Recording
) -> Drawing:
    """Return hidden stretches as they were, as the network and as the Gaussian make them."""
    import pandas as pd

    run = stretches[0]
    hidden = reconstruct.hidden_sets(stretches, samples, fidelity.RATIO)[0]
    made = {"truth": run.signal} | {name: fills[name](run, hidden) for name in COMPARED}
    chosen = _spread_out(hidden)
    figure, axes = canvas.figure(5.8, 3, 2)
    rows = []
    for one, (segment, region) in zip(axes.flat, chosen, strict=False):
        part = slice(segment * samples, (segment + 1) * samples)
        time = run.start_s + np.arange(part.start, part.stop) / first.rate
        for name, values in made.items():
            one.plot(time, values[part, region], color=COLOURS[name], label=WORDS[name],
                     linewidth=1.6, linestyle="--" if name == COMPARED[1] else "-")  # fmt: skip
            rows += [
                {"region": first.unit_names[region], "time_s": t, "method": WORDS[name], "value": v}
                for t, v in zip(time, values[part, region], strict=True)
            ]
        one.set_title(_short(first.unit_names[region]), fontsize=SMALL)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), frameon=False, fontsize=SMALL, ncols=3,
                  loc="outside upper center")  # fmt: skip
    figure.supxlabel(f"time ({first.time_unit})", fontsize=NORMAL)
    figure.supylabel("standardised signal", fontsize=NORMAL)
    caption = (
        f"Regions that were hidden for one segment of {run.name}, half of all regions at a time: "
        "black is what was measured. Spread evenly over the recording, not chosen by how good."
    )
    alt = f"{len(chosen)} small panels of measured and filled-in signals."
    return Drawing(figure, "Hidden stretches", caption, alt, pd.DataFrame(rows).round(4))


def _spread_out(hidden: np.ndarray) -> list[tuple[int, int]]:
    """Return segments and hidden regions, both evenly spread over what there is."""
    segments = np.linspace(0, len(hidden) - 1, min(SHOWN, len(hidden))).astype(int)
    away = [np.flatnonzero(hidden[segment]) for segment in segments]
    return [(int(segment), int(there[len(there) * k // len(segments)]))
            for k, (segment, there) in enumerate(zip(segments, away, strict=True))]  # fmt: skip


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"


def regions(tallies: Mapping[str, Tally], arrays: xr.Dataset) -> Drawing:
    """Return R2 of each region, by network, of the network and of the Gaussian."""
    import pandas as pd

    order, networks = canvas.by_network(arrays)
    names = arrays["unit"].values.astype(str)[order]
    networks = networks if len(networks) else np.full(len(names), "all regions")
    found = {name: tallies[name].by_region[order] for name in COMPARED}
    labels = list(dict.fromkeys(networks.tolist()))
    figure, ((axes,),) = canvas.figure(1.7 + 0.42 * len(labels))
    for shift, (name, values) in zip((-0.18, 0.18), found.items(), strict=True):
        for row, label in enumerate(labels):
            mine = values[networks == label]
            axes.scatter(mine, row + shift + canvas.spread(len(mine), 0.2), s=9, alpha=0.45,
                         color=COLOURS[name], linewidths=0)  # fmt: skip
            axes.scatter([np.nanmean(mine)], [row + shift], s=52, marker=MARKS[name],
                         color=COLOURS[name], edgecolors="black", linewidths=0.8,
                         label=WORDS[name] if row == 0 else None)  # fmt: skip
    axes.axvline(0, color="#666666", linewidth=0.8)
    axes.set_yticks(range(len(labels)), [_short(label) for label in labels], fontsize=SMALL)
    axes.invert_yaxis()
    axes.set_xlabel("R² of the region while hidden", fontsize=NORMAL)
    figure.legend(frameon=False, fontsize=SMALL, ncols=2, loc="outside upper center")
    ahead = np.nanmean(found["brainmae"] > found["conditional_gaussian"])
    caption = (
        "Small dots are regions, large marks the mean of a network, half of all regions hidden. "
        "0 is the region's own mean. The network is ahead of the conditional Gaussian in "
        f"{ahead:.0%} of the regions."
    )
    best = max(labels, key=lambda label: np.nanmean(found["brainmae"][networks == label]))
    alt = f"Dots of R² by network; BrainMAE is best in {best}."
    table = pd.DataFrame({"region": names, "network": networks, **found}).round(4)
    return Drawing(figure, "Which regions can be filled in", caption, alt, table)


def orders(filled: Filled) -> Drawing:
    """Return how well filled-in regions move together as the real ones, in pairs and in threes."""
    import pandas as pd

    panels = {
        "pairs: connectivity": (2, filled.agreement),
        "connectivity: the recording's own part": (2, filled.own),
        "threes: third moments": (3, filled.agreement),
    }  # fmt: skip
    figure, axes = canvas.figure(5.2, len(panels), 1, sharex=True)
    rows = []
    for one, (title, (order, found)) in zip(axes.flat, panels.items(), strict=True):
        methods = [name for number, name in found if number == order]
        for row, name in enumerate(methods):
            values = np.array(found[order, name])
            one.scatter(values, row + canvas.spread(len(values)), s=14, color=COLOURS[name],
                        marker=MARKS[name], alpha=0.6, linewidths=0)  # fmt: skip
            one.plot([np.nanmean(values)] * 2, [row - 0.35, row + 0.35], color="black")
            rows += [{"what": title, "method": WORDS[name], "recording": recording, "r": r}
                     for recording, r in zip(filled.recordings, values, strict=True)]  # fmt: skip
        one.set_yticks(range(len(methods)), [WORDS[name] for name in methods], fontsize=SMALL)
        one.invert_yaxis()
        one.axvline(0, color="#666666", linewidth=0.8)
        one.set_title(title, fontsize=NORMAL, loc="left")
    axes[-1, 0].set_xlabel("correlation with the real moments", fontsize=NORMAL)
    caption = (
        "Half of the regions are hidden and filled in from the others. Compared are correlations "
        "of pairs, and standardised means of products of three, over the frames in which all of "
        "them are hidden, with those of the measured signal; one mark a recording, the line is the "
        "mean. The training average knows nothing of the recording; its own part is what that "
        "average, regressed out, leaves. A fill-in that repeats the average has none."
    )
    means = {name: filled.mean(2, name) for number, name in filled.agreement if number == 2}
    best = max(means, key=lambda name: means[name])
    alt = f"Three panels of correlations by method; for pairs {WORDS[best]} is highest."
    table = pd.DataFrame(rows).round(4)
    return Drawing(figure, "Do filled-in regions move together", caption, alt, table)

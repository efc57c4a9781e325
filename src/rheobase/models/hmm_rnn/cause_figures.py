"""What causes switching in networks that emulate the chain: units, weights, gains, noise, training.

A row for each network that passed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rheobase.models import canvas
from rheobase.models.base import Drawing
from rheobase.models.canvas import BLUE, GREEN, GREY, ORANGE, SMALL
from rheobase.models.hmm_rnn.inside_figures import SHOWN, named, names, panels, told

if TYPE_CHECKING:
    import xarray as xr


def draw(arrays: xr.Dataset) -> dict[str, Drawing]:
    """Return drawings of causes; none where no network passed or nothing was asked."""
    if "inside/flags" not in arrays:
        return {}
    made = {"kick": kick(arrays), "connectivity": blocks(arrays), "gains": gains(arrays),
            "noise": noise(arrays), "evolution": evolution(arrays)}  # fmt: skip
    return {name: one for name, one in made.items() if one is not None}


def _directions(arrays: xr.Dataset, held: np.ndarray) -> list[tuple[int, int]]:
    """Return directions, (from, to), for which an array (class, to, ...) has numbers."""
    flat = held.reshape(*held.shape[:2], -1)
    return [(int(a), int(b)) for a, b in np.argwhere(np.isfinite(flat).any(axis=2))]


def kick(arrays: xr.Dataset) -> Drawing | None:
    """Return what silencing and driving the first units does, beside random sets; None without."""
    import pandas as pd

    tested = arrays["inside/kick_tested"].values.astype(bool)
    if not tested.any():
        return None
    figure, grid = panels(arrays, 1, 2.3)
    rows = []
    for m, (axes,) in enumerate(grid):
        ways = np.argwhere(tested[m])
        held = {n: arrays[f"inside/kick_{n}"].values[m] for n in
                ("silenced", "driven", "random", "p_corrected", "confirmed", "units",
                 "switches")}  # fmt: skip
        canvas.plain(axes, y="rate, times")
        for place, (a, b) in enumerate(ways):
            drawn = held["random"][a, b]
            axes.plot(np.full(len(drawn), place - 0.2), drawn, "_", color=GREY, alpha=0.5)
            axes.plot(place, held["silenced"][a, b], "v", color=BLUE)
            axes.plot(place, held["driven"][a, b], "^", color=ORANGE)
            rows.append({
                "network": arrays["inside_member"].values[m], "from": names(arrays)[a],
                "to": names(arrays)[b], "switches": int(held["switches"][a, b]),
                "units": " ".join(str(u) for u in held["units"][a, b]),
                "silenced": held["silenced"][a, b], "driven": held["driven"][a, b],
                "random_low": np.nanquantile(drawn, 0.05),
                "random_high": np.nanquantile(drawn, 0.95), "p": held["p_corrected"][a, b],
                "confirmed": bool(held["confirmed"][a, b])})  # fmt: skip
        axes.axhline(1, color="#222222", linewidth=0.8)
        axes.set_xticks(range(len(ways)), [_way(arrays, a, b) for a, b in ways], fontsize=8,
                        rotation=30)  # fmt: skip
        named(axes, arrays, m)
    caption = (
        "For each direction, the three units whose silencing lowers switching most: rate with "
        "their recurrent input off (blue) and 1.9 times (orange), beside random sets of as many "
        f"active units off (grey). {told(arrays, 'kick')}"
    )
    alt = f"Ratios of switching rates in {len(rows)} directions beside random sets."
    return Drawing(figure, "Which few units cause switches", caption, alt,
                   pd.DataFrame(rows).round(4))  # fmt: skip


def _way(arrays: xr.Dataset, a: int, b: int) -> str:
    """Return a direction, short enough for an axis."""
    own = [name.removeprefix("state ").removeprefix("symbol ") for name in names(arrays)]
    return f"{own[a]} to {own[b]}"


def blocks(arrays: xr.Dataset) -> Drawing | None:
    """Return mean weights between the sets of opposite directions; None without such sets."""
    import pandas as pd

    means = arrays["inside/block_means"].values
    found = [(m, a, b) for m in range(len(means)) for a, b in _directions(arrays, means[m])]
    if not found:
        return None
    kinds = arrays["inside_block"].values.astype(str)
    shown = found[:SHOWN]
    figure = canvas.empty(1.9 * len(shown) + 0.3)
    grid = figure.subplots(len(shown), len(kinds), squeeze=False)
    for row, (m, a, b) in zip(grid, shown, strict=True):
        both = _way(arrays, a, b), _way(arrays, b, a)
        for k, axes in enumerate(row):
            one = means[m, a, b, k]
            high = float(np.abs(means[m, a, b]).max()) or 1.0
            axes.imshow(one, cmap="PuOr_r", vmin=-high, vmax=high)
            for (i, j), v in np.ndenumerate(one):
                axes.text(j, i, f"{v:.2f}", ha="center", va="center", fontsize=8,
                          color="white" if abs(v) > 0.6 * high else "#222222")  # fmt: skip
            axes.set_xticks([0, 1], both, fontsize=8)
            axes.set_yticks([0, 1], both if k == 0 else ["", ""], fontsize=8)
            axes.set_title(kinds[k], fontsize=8)
        if arrays.sizes["inside_member"] > 1:
            row[0].set_ylabel(f"network {arrays['inside_member'].values[m]}", fontsize=SMALL)
    sides = [(k, i, j) for k in range(len(kinds)) for i in (0, 1) for j in (0, 1)]
    rows = [{
        "network": arrays["inside_member"].values[m], "from": names(arrays)[a],
        "to": names(arrays)[b], "block": kinds[k], "into": i, "out_of": j,
        "weight": means[m, a, b, k, i, j], "p": arrays["inside/block_p"].values[m, a, b, k],
    } for m, a, b in found for k, i, j in sides]  # fmt: skip
    caption = (
        "Mean weights into (rows) and out of (columns) the sets of two opposite directions, and "
        f"the populations that drive them. {told(arrays, 'blocks')}"
    )
    alt = f"Matrices of mean weights for {len(found)} pairs of directions."
    return Drawing(figure, "Do opposite sets inhibit each other", caption, alt,
                   pd.DataFrame(rows).round(5))  # fmt: skip


def gains(arrays: xr.Dataset) -> Drawing | None:
    """Return how switching follows gains on units and on noise; None where nothing was tested."""
    import pandas as pd

    rates = arrays["inside/gain_rates"].values
    found = [(m, a, b) for m in range(len(rates)) for a, b in _directions(arrays, rates[m])]
    if not found:
        return None
    gain, groups = arrays["inside_gain"].values, arrays["inside_group"].values.astype(str)
    shown = found[:4]
    figure = canvas.empty(2.2 * (-(-len(shown) // 2)) + 0.4)
    grid = figure.subplots(-(-len(shown) // 2), 2, squeeze=False)
    for axes in grid.flat[len(shown) :]:
        axes.axis("off")
    for axes, (m, a, b) in zip(grid.flat, shown, strict=False):
        canvas.plain(axes, x="gain", y="switches a step")
        for g, name in enumerate(groups):
            axes.plot(gain, rates[m, a, b, g], color=(BLUE, ORANGE, GREY)[g], label=name)
        held = arrays["inside/gain_held"].values[m, a, b]
        for k, mark in enumerate("sd"):
            axes.plot(gain[0], held[k], mark, color=GREEN, markersize=5,
                      label=f"held {arrays['inside_held'].values[k]}")  # fmt: skip
        axes.set_title(f"network {arrays['inside_member'].values[m]}, {_way(arrays, a, b)}",
                       fontsize=SMALL)  # fmt: skip
    grid[0, 0].legend(frameon=False, fontsize=8, ncols=2, loc="lower left",
                      bbox_to_anchor=(0, 1.15))  # fmt: skip
    rows = [{"network": arrays["inside_member"].values[m], "from": names(arrays)[a],
             "to": names(arrays)[b], "group": groups[g], "gain": gain[k],
             "rate": rates[m, a, b, g, k]}
            for m, a, b in found for g in range(len(groups)) for k in range(len(gain))]  # fmt: skip
    caption = (
        "Rate of switching while something is turned down or up: the recurrent input of the "
        "first three units, the noise of units that project to them, and other noise; and with "
        f"these units held. {told(arrays, 'gains')}"
    )
    alt = f"Curves of switching rates over gains in {len(found)} directions."
    return Drawing(figure, "What switching does when units and noise are turned", caption, alt,
                   pd.DataFrame(rows).round(5))  # fmt: skip


def noise(arrays: xr.Dataset) -> Drawing | None:
    """Return what the size of the noise does; None where it was not asked."""
    import pandas as pd

    if "inside/sigma_volatility" not in arrays:
        return None
    figure, grid = panels(arrays, 2, 2.2)
    sigma, shake = (arrays[f"inside_{n}"].values for n in ("sigma", "shake"))
    rows = []
    for m, (left, right) in enumerate(grid):
        canvas.plain(left, x="noise, times that of training", y="excess, nats")
        excess = arrays["inside/sigma_excess_nats"].values[m]
        left.plot(sigma, excess, "o-", color=BLUE)
        left.set_xscale("log")
        canvas.plain(right, x="shake, times the state's size", y="variation of intervals")
        cv = np.nanmean(arrays["inside/shake_cv"].values[m], axis=-1)
        right.plot(shake, cv, "o-", color=ORANGE)
        named(left, arrays, m)
        number = arrays["inside_member"].values[m]
        rows += [{"network": number, "what": "noise", "size": s, "excess_nats": e}
                 for s, e in zip(sigma, excess, strict=True)]  # fmt: skip
        rows += [{"network": number, "what": "shake", "size": s, "variation": v}
                 for s, v in zip(shake, cv, strict=True)]  # fmt: skip
    caption = (
        "Left: what drawn symbols lack under the chain at other sizes of the noise. Right: "
        "coefficient of variation of the times between entries, with a shake of fixed size added "
        f"to the state. {told(arrays, 'noise', 'resonance')}"
    )
    alt = f"Two curves over sizes of noise for {len(grid)} networks."
    return Drawing(figure, "What the size of the noise does", caption, alt,
                   pd.DataFrame(rows).round(4))  # fmt: skip


def evolution(arrays: xr.Dataset) -> Drawing | None:
    """Return how the inside came about in training; None where no weights were kept."""
    import pandas as pd

    if "inside/training_transitions" not in arrays:
        return None
    steps = arrays["inside_training_step"].values
    kinds = {"transitions": ("switches a step", BLUE), "unstable": ("any unstable", ORANGE),
             "critical": ("any critical pair", GREEN)}  # fmt: skip
    figure, grid = panels(arrays, 1, 2.0)
    tables = []
    for m, (axes,) in enumerate(grid):
        canvas.plain(axes, x="step of training", y="share of steps")
        held = {n: arrays[f"inside/training_{n}"].values[:, m] for n in kinds}
        for name, (title, hue) in kinds.items():
            axes.plot(steps, held[name], "o-", color=hue, markersize=3, label=title)
        axes.legend(frameon=False, fontsize=SMALL - 1)
        named(axes, arrays, m)
        number = arrays["inside_member"].values[m]
        tables.append(pd.DataFrame({"network": number, "step": steps, **held}))
    caption = (
        "At times in training: share of steps at which the likeliest symbol changes, at which an "
        f"eigenvalue grows, and at which a pair turns. {told(arrays, 'training')}"
    )
    alt = f"Three curves over {len(steps)} times in training of {len(grid)} networks."
    return Drawing(figure, "How the inside came about", caption, alt, pd.concat(tables).round(4))

"""What networks that emulate the chain do inside, a row for each network that passed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rheobase.models import canvas
from rheobase.models.base import Drawing
from rheobase.models.canvas import BLUE, GREY, ORANGE, PINK, SMALL
from rheobase.models.hmm_rnn.state_figures import colour

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 3
"""Networks that are drawn; numbers of all are in the tables."""
ZONE_HUES = (ORANGE, PINK, BLUE)
OF_EMULATOR = "This describes the emulator, not the recorded brain."


def draw(arrays: xr.Dataset) -> dict[str, Drawing]:
    """Return drawings of the inside; none where no network passed or nothing was asked."""
    if "inside/flags" not in arrays:
        return {}
    return {"orbit": orbit(arrays), "residency": residency(arrays), "zones": zones(arrays)}


def names(arrays: xr.Dataset) -> list[str]:
    """Return what the classes of networks are called."""
    return arrays["emulator_symbol"].values.astype(str).tolist()


def told(arrays: xr.Dataset, *parts: str) -> str:
    """Return what may be said of these parts, by network, and of what it holds."""
    numbers = arrays["inside_member"].values
    said = []
    for m, number in enumerate(numbers):
        texts = [str(arrays[f"inside/said_{part}"].values[m]) for part in parts]
        text = " ".join(one for one in texts if one)
        if text:
            said.append(text if len(numbers) == 1 else f"Network {number}: {text}")
    return " ".join([*said, OF_EMULATOR])


def panels(
    arrays: xr.Dataset, columns: int, height: float
) -> tuple[Figure, np.ndarray]:  # fmt: skip
    """Return a figure with a row for each network that is drawn."""
    count = min(SHOWN, arrays.sizes["inside_member"])
    figure = canvas.empty(height * count + 0.3)
    return figure, figure.subplots(count, columns, squeeze=False)


def named(axes: Axes, arrays: xr.Dataset, m: int) -> None:
    if arrays.sizes["inside_member"] > 1:
        number = arrays["inside_member"].values[m]
        axes.set_title(f"network {number}", fontsize=SMALL, loc="left")


def orbit(arrays: xr.Dataset) -> Drawing:
    """Return a path in the plane of the first components, with the fixed point, and decay."""
    import pandas as pd

    figure, rows = panels(arrays, 2, 2.5)
    tables = []
    for m, (left, right) in enumerate(rows):
        path, own = (arrays[f"inside/path_{n}"].values[m] for n in ("plane", "classes"))
        shown = path[:200]
        canvas.plain(left, x="component 1", y="component 2")
        left.plot(*shown.T, color=GREY, linewidth=0.5, alpha=0.7)
        for k, name in enumerate(names(arrays)):
            here = shown[own[:200] == k]
            left.plot(*here.T, ".", color=colour(k), markersize=4, label=name)
        rest = arrays["inside/path_origin"].values[m]
        left.plot(*rest[:, None], "+", color="#222222", markersize=10, mew=2)
        named(left, arrays, m)
        canvas.plain(right, x="steps without noise", y="size left")
        steps = arrays["inside_decay_step"].values
        for part, style in (("median", "-"), ("largest", "--")):
            kept = np.maximum(arrays[f"inside/decay_{part}"].values[m], 1e-12)
            right.loglog(steps, kept, style, color=BLUE, label=part)
        right.legend(frameon=False, fontsize=SMALL - 1)
        table = pd.DataFrame(path, columns=["component_1", "component_2"])
        tables.append(table.assign(network=arrays["inside_member"].values[m],
                                   symbol=np.array(names(arrays))[own]))  # fmt: skip
    rows[0, 0].legend(frameon=False, fontsize=SMALL - 1, ncols=3, loc="lower left",
                      bbox_to_anchor=(0, 1.12))  # fmt: skip
    turns = arrays["inside/explained"].values[:, :2].sum(axis=1)
    caption = (
        f"Left: 200 steps of activity under noise in the plane of its first two components "
        f"({', '.join(f'{v:.0%}' for v in turns)} of the variance), coloured by the likeliest "
        "symbol; the cross is where activity rests without noise, if it decays to 0. Right: what "
        f"is left of visited states without noise. {told(arrays, 'rest', 'orbit', 'pairs')}"
    )
    alt = f"Paths in a plane and curves of decay of {len(rows)} networks."
    return Drawing(figure, "Does the emulator turn: trajectories, fixed point", caption, alt,
                   pd.concat(tables).round(4))  # fmt: skip


def residency(arrays: xr.Dataset) -> Drawing:
    """Return how long visited states keep their class, on the plane, and how often each stay is."""
    import pandas as pd

    figure, rows = panels(arrays, 2, 2.4)
    tables = []
    for m, (left, right) in enumerate(rows):
        place, stay = (arrays[f"inside/state_{n}"].values[m] for n in ("plane", "stay"))
        canvas.plain(left, x="component 1", y="component 2")
        drawn = left.scatter(*place[:, :2].T, c=stay, s=6, cmap="viridis", vmin=0)
        figure.colorbar(drawn, ax=left).set_label("stay, steps", fontsize=SMALL)
        named(left, arrays, m)
        canvas.plain(right, x="stay, steps", y="states")
        right.bar(np.arange(1, len(arrays["inside/stay_histogram"].values[m]) + 1),
                  arrays["inside/stay_histogram"].values[m], width=1, color=BLUE)  # fmt: skip
        tables.append(pd.DataFrame(place[:, :2], columns=["component_1", "component_2"]).assign(
            stay=stay, zone=arrays["inside/state_zone"].values[m],
            network=arrays["inside_member"].values[m]))  # fmt: skip
    caption = (
        "Left: visited states, coloured by the mean number of steps until fresh noise makes the "
        f"likeliest symbol another. Right: how many states stay how long. {told(arrays, 'zones')}"
    )
    alt = f"States on a plane, coloured by how long they stay, of {len(rows)} networks."
    return Drawing(figure, "How long the emulator stays from where", caption, alt,
                   pd.concat(tables).round(4))  # fmt: skip


def zones(arrays: xr.Dataset) -> Drawing:
    """Return what sets the zones apart: unstable and critical eigenvalues, spread of roll-outs."""
    import pandas as pd

    kinds = {"unstable": "unstable", "critical_pairs": "critical pairs"}
    figure, rows = panels(arrays, 3, 2.1)
    zone = arrays["inside_zone"].values.astype(str)
    tables = []
    for m, row in enumerate(rows):
        for axes, (name, title) in zip(row, kinds.items(), strict=False):
            canvas.plain(axes, y=title)
            values = arrays[f"inside/zone_{name}"].values[m]
            axes.bar(range(len(zone)), np.nan_to_num(values), color=ZONE_HUES)
            axes.set_xticks(range(len(zone)), zone, fontsize=8, rotation=30)
        canvas.plain(row[2], x="step", y="distance")
        spread = arrays["inside/sensitivity_distance"].values[m][:, -1]
        for k, name in enumerate(zone):
            row[2].plot(
                np.arange(1, spread.shape[1] + 1), spread[k], color=ZONE_HUES[k], label=name
            )
        named(row[0], arrays, m)
        tables.append(pd.DataFrame({
            "network": arrays["inside_member"].values[m], "zone": zone,
            "states": arrays["inside/zone_states"].values[m],
            "stay": arrays["inside/zone_stay"].values[m],
            **{n: arrays[f"inside/zone_{n}"].values[m] for n in kinds}}))  # fmt: skip
    looked = arrays["inside/kick_tested"].values.any()
    also = OF_EMULATOR if looked else told(arrays, "kick")
    caption = (
        "Zones by how long a state keeps its class: transition (under 2 steps), kick (2 to 8), "
        "cluster (more, readout sure). Left: mean number of eigenvalues of a step that grow; "
        "middle: pairs that turn and neither grow nor fade; right: mean distance of roll-outs with "
        f"fresh noise from their mean path. A zone that nothing visits is empty. {also}"
    )
    alt = f"Bars for {len(zone)} zones and curves of spread, of {len(rows)} networks."
    return Drawing(figure, "Transition zones of the emulator", caption, alt,
                   pd.concat(tables).round(4))  # fmt: skip

"""Which networks of several fits emulate their chain, and what is found inside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rheobase.models import canvas
from rheobase.models.base import Drawing, Placed
from rheobase.models.canvas import BLUE, GREY, SMALL

FLAGS = {
    "passed": "emulates", "single_fixed_point": "one fixed point",
    "noise_sustained_orbit": "an orbit", "kick_confirmed": "kick neurons",
    "resonance": "a resonance",
}  # fmt: skip


def across(fits: Sequence[Placed]) -> dict[str, Drawing]:
    """Return a row for each network of all fits: what holds, what does not, what was not asked."""
    import pandas as pd

    several = len({fit.dataset for fit in fits}) > 1
    rows = [row for fit in fits for row in _rows(fit, several=several)]
    if not rows:
        return {}
    table = pd.DataFrame(rows)
    held = np.array([[np.nan if row[name] is None else float(bool(row[name])) for name in FLAGS]
                     for row in rows])  # fmt: skip
    figure = canvas.empty(1.5 + 0.26 * len(rows))
    axes = figure.subplots()
    for place, one in enumerate(held[::-1]):
        for k, value in enumerate(one):
            if np.isnan(value):
                axes.plot(k, place, "_", color=GREY, markersize=8)
            else:
                axes.plot(k, place, "o", color=BLUE, markersize=9,
                          fillstyle="full" if value else "none")  # fmt: skip
    axes.set_xticks(range(len(FLAGS)), list(FLAGS.values()), fontsize=SMALL, rotation=20,
                    ha="left")  # fmt: skip
    axes.xaxis.tick_top()
    axes.set_yticks(range(len(rows)), [str(row["network"]) for row in rows[::-1]], fontsize=SMALL)
    axes.set_xlim(-0.5, len(FLAGS) - 0.5)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.spines[:].set_visible(False)
    asked = [int(np.isfinite(held[:, k]).sum()) for k in range(len(FLAGS))]
    counts = ", ".join(f"{title} {int(np.nansum(held[:, k]))} of {asked[k]}"
                       for k, title in enumerate(FLAGS.values()) if asked[k])  # fmt: skip
    caption = (
        "A row for each network: full where it holds, empty where it does not, a dash where it was "
        f"not asked, as of networks that fail to emulate. In all: {counts}. All but the first "
        "column describe emulators, not the recorded brain."
    )
    alt = f"Full and empty dots of {len(rows)} networks in {len(FLAGS)} columns."
    title = "What networks of all folds and seeds do"
    return {"emulators": Drawing(figure, title, caption, alt, table)}


def _rows(fit: Placed, *, several: bool) -> list[dict[str, object]]:
    arrays = fit.fitted.arrays
    if "emulator/passed" not in arrays:
        return []
    inside = {}
    if "inside/flags" in arrays:
        names = arrays["inside_flag"].values.astype(str)
        inside = {int(n): dict(zip(names, row, strict=True)) for n, row in
                  zip(arrays["inside_member"].values, arrays["inside/flags"].values,
                      strict=True)}  # fmt: skip
    rows = []
    for number, passed in zip(arrays["emulator_member"].values, arrays["emulator/passed"].values,
                              strict=True):  # fmt: skip
        own = inside.get(int(number), {})
        held = {name: None if name not in own else bool(own[name]) for name in FLAGS}
        rows.append({"network": f"{fit.named(several=several)}, {number}", **held,
                     "passed": bool(passed)})  # fmt: skip
    return rows

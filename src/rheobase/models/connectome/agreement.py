"""How alike the components of several fits are: other folds, other seeds, other datasets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy.optimize import linear_sum_assignment

from rheobase.models.base import Drawing, Placed
from rheobase.models.connectome import canvas
from rheobase.models.connectome.canvas import BLUE, ORANGE, SMALL
from rheobase.models.connectome.factors import as_matrix


def alike(one: Placed, other: Placed) -> tuple[float, float] | None:
    """Return the mean cosine of matched patterns, and of the time-averaged patterns.

    Over the units that both fits hold; the fit with fewer components is matched whole. None with
    fewer than 3 units in common.
    """
    a, b = (fit.fitted.arrays for fit in (one, other))
    names = [set(x["unit"].values.astype(str).tolist()) for x in (a, b)]
    shared = sorted(names[0] & names[1])
    if len(shared) < 3:
        return None
    first, second = (_patterns(x, "pattern", shared) for x in (a, b))
    cosines = _unit(first) @ _unit(second).T
    rows, columns = linear_sum_assignment(-cosines)
    means = [_unit(_patterns(x, "rival/mean_pattern", shared)) for x in (a, b)]
    return float(cosines[rows, columns].mean()), float((means[0] @ means[1].T)[0, 0])


def _patterns(arrays, name: str, shared: Sequence[str]) -> np.ndarray:
    place = {str(n): i for i, n in enumerate(arrays["unit"].values)}
    at = [place[n] for n in shared]
    upper = np.triu_indices(len(at), 1)
    rows = np.atleast_2d(arrays[name].values)
    return np.stack([as_matrix(row)[np.ix_(at, at)][upper] for row in rows]).astype(np.float64)


def _unit(rows: np.ndarray) -> np.ndarray:
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norm > 0, norm, 1.0)


def across(fits: Sequence[Placed]) -> dict[str, Drawing]:
    """Return how alike components are over fits; nothing where no two share units."""
    import pandas as pd

    several = len({fit.dataset for fit in fits}) > 1
    rows = []
    for one, other in combinations(fits, 2):
        if several and one.dataset == other.dataset:
            continue
        if found := alike(one, other):
            rows.append({"pair": one.apart(other), "first": one.named(several=several),
                         "second": other.named(several=several), "components": found[0],
                         "mean_pattern": found[1]})  # fmt: skip
    if not rows:
        return {}
    table = pd.DataFrame(rows)
    kinds = list(dict.fromkeys(table["pair"]))
    figure = canvas.empty(1.4 + 0.6 * len(kinds))
    axes = canvas.plain(figure.subplots(), x="cosine (1 is the same)")
    for column, colour, mark in (("components", BLUE, "o"), ("mean_pattern", ORANGE, "s")):
        for row, kind in enumerate(kinds):
            values = table.loc[table["pair"] == kind, column].to_numpy(float)
            axes.plot(values, np.full(len(values), row) + (0.12 if mark == "s" else -0.12), mark,
                      color=colour, markersize=4,
                      label=column.replace("_", " ") if row == 0 else None)  # fmt: skip
    axes.set_yticks(range(len(kinds)), kinds, fontsize=SMALL)
    axes.set_ylim(-0.6, len(kinds) - 0.4)
    axes.set_xlim(0, 1.02)
    axes.legend(frameon=False, fontsize=SMALL, loc="lower left")
    mean = float(np.mean(table["components"].to_numpy(float)))
    caption = (
        f"Cosine of the patterns of matched components of two fits, mean {mean:.2f}; orange: of "
        "the affinities averaged over time, which is what the recordings share before any "
        "component is told from another."
    )
    alt = f"Agreement of components over {len(rows)} pairs of fits, mean {mean:.2f}."
    title = "Are the same components found again"
    return {"agreement": Drawing(figure, title, caption, alt, table.round(4))}

"""How alike the states of several fits are: other folds, other seeds, other datasets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from rheobase.models import canvas
from rheobase.models.base import Drawing, Placed
from rheobase.models.canvas import BLUE, GREY
from rheobase.models.hmm_rnn import align, emulator_agreement

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes

LEAST_SHARED = 3
LEAST_LIKE = 0.7


def profiles(arrays: xr.Dataset, shared: Sequence[str]) -> np.ndarray:
    """Return what sets each state apart from the others over shared units, (state, number)."""
    place = {str(n): i for i, n in enumerate(arrays["kept_unit"].values)}
    at = np.array([place[name] for name in shared])
    parts = [arrays["state_mean"].values[:, at]]
    if "state_cov" in arrays:
        i, j = np.triu_indices(len(at))
        parts.append(arrays["state_cov"].values[:, at][:, :, at][:, i, j])
    else:
        parts.append(arrays["state_deviation"].values[:, at])
    made = np.concatenate(parts, axis=1).astype(np.float64)
    return made - made.mean(axis=0)


def alike(one: Placed, other: Placed) -> float | None:
    """Return the mean correlation of matched states; None with fewer than three shared units."""
    first, second = (fit.fitted.arrays for fit in (one, other))
    shared = sorted({str(n) for n in first["kept_unit"].values}
                    & {str(n) for n in second["kept_unit"].values})  # fmt: skip
    if len(shared) < LEAST_SHARED:
        return None
    rows = sorted((profiles(first, shared), profiles(second, shared)), key=len)
    order = align.match(*rows)
    return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(rows[0], rows[1][order],
                                                                  strict=True)]))  # fmt: skip


def across(fits: Sequence[Placed]) -> dict[str, Drawing]:
    """Return how alike states are over fits; nothing where no two share units."""
    import pandas as pd

    several = len({fit.dataset for fit in fits}) > 1
    rows = []
    for one, other in combinations(fits, 2):
        if several and one.dataset == other.dataset:
            continue
        found = alike(one, other)
        if found is not None:
            rows.append({"pair": one.apart(other), "first": one.named(several=several),
                         "second": other.named(several=several), "states": found})  # fmt: skip
    found = emulator_agreement.across(fits)
    if not rows:
        return found
    table = pd.DataFrame(rows).round(4)
    figure = canvas.empty(2.6)
    _dots(canvas.plain(figure.subplots(), y="correlation of matched states"), table)
    counts = sorted({fit.fitted.arrays.sizes["state"] for fit in fits})
    mean = float(table["states"].to_numpy().mean())
    verdict = (
        "The fits find the same states." if mean >= LEAST_LIKE else
        "The fits find other states: read those drawn with care."
    )  # fmt: skip
    caption = (
        "Each dot compares two fits: the mean correlation, over matched states, of what sets a "
        "state apart from the others (means and covariances of standardised units); where numbers "
        "of states differ, all of the smaller set are matched. Mean "
        f"{mean:.2f}. {verdict} Numbers of states: {', '.join(map(str, counts))}. Folds share most "
        "of their training part, so this flatters."
    )
    alt = f"Dots of {len(table)} pairs of fits, mean {mean:.2f}."
    return {"agreement": Drawing(figure, "Are the states the same in other fits", caption, alt,
                                 table), **found}  # fmt: skip


def _dots(axes: Axes, table: pd.DataFrame) -> None:
    """Draw a dot a pair of fits, by what sets them apart."""
    kinds = list(dict.fromkeys(table["pair"]))
    for k, kind in enumerate(kinds):
        values = table.loc[table["pair"] == kind, "states"].to_numpy()
        axes.plot(k + np.linspace(-0.15, 0.15, len(values)), values, "o", color=BLUE, alpha=0.7)
        axes.plot([k - 0.25, k + 0.25], [values.mean()] * 2, color="#222222")
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set_xticks(range(len(kinds)), kinds)
    axes.set_xlim(-0.6, len(kinds) - 0.4)
    axes.set_ylim(min(-0.1, float(table["states"].to_numpy().min()) - 0.05), 1.05)

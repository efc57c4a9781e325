"""How many states there are, what each looks like, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rheobase.models import canvas, glass
from rheobase.models.base import Drawing
from rheobase.models.canvas import BLUE, NORMAL, ORANGE, SMALL

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

SHOWN = 6
"""States whose matrices are drawn"""
MOST_NAMED = 24
MOST_BARS = 16
CAUTION = (
    "A hidden Markov model is a description of the signal: states are no proof that the brain "
    "switches."
)


def selection(arrays: xr.Dataset) -> Drawing | None:
    """Return held-out likelihood and replication by the number of states; None for one number."""
    import pandas as pd

    tried = arrays["tried"].values
    if len(tried) < 2:
        return None
    held = arrays["heldout_loglik"].values
    mean, error = held.mean(axis=1), held.std(axis=1, ddof=1) / np.sqrt(held.shape[1])
    alike, chosen = arrays["reproducibility"].values, arrays.sizes["state"]
    figure = canvas.empty(4.2)
    above, below = figure.subplots(2, 1, sharex=True)
    canvas.plain(above, y="nats a sample")
    above.errorbar(tried, mean, error, fmt="o-", color=BLUE, capsize=3)
    canvas.plain(below, x="states", y="halves agree (r)")
    below.plot(tried, alike, "o-", color=ORANGE)
    for axes in (above, below):
        axes.axvline(chosen, color=canvas.GREY, linestyle="--", linewidth=1)
    below.set_xticks(tried)
    below.set_ylim(min(-0.05, float(alike.min()) - 0.05), 1.02)
    stability = float(arrays["restart_agreement"])
    restarts = "" if stability != stability else f" Restarts agree on {stability:.0%} of the time."
    caption = (
        f"Above: log-likelihood of samples left out in {held.shape[1]} inner folds of the training "
        "part, with one standard error of the mean. Below: correlation of what sets matched states "
        f"apart in two halves of the training part. Chosen (dashed): {chosen}, the "
        f"{arrays['reason'].item()}.{restarts}"
    )
    alt = f"Curves over {len(tried)} numbers of states; {chosen} is chosen."
    data = pd.DataFrame({"states": tried, "heldout_loglik": mean, "standard_error": error,
                         "bic": arrays["bic"].values, "aic": arrays["aic"].values,
                         "halves_agree": alike}).round(5)  # fmt: skip
    return Drawing(figure, "How many states", caption, alt, data)


def by_network(arrays: xr.Dataset) -> np.ndarray:
    """Return the order of the kept units, by network where networks are known."""
    kept = arrays["kept"].values
    if "network" not in arrays.coords:
        return np.arange(int(kept.sum()))
    return np.argsort(arrays["network"].values.astype(str)[kept], kind="stable")


def maps(arrays: xr.Dataset) -> tuple[np.ndarray, str]:
    """Return what is drawn of each state, (state, unit), and what it is called."""
    if str(arrays["cov"].values) == "zero-mean-full" and str(arrays["emission"].values) != "ar":
        return arrays["state_deviation"].values - 1, "standard deviation less 1"
    return arrays["state_mean"].values, "mean, standard deviations"


def means(arrays: xr.Dataset, unit_dim: str) -> Drawing:
    """Return the mean of each unit in each state, or how much it varies there."""
    import pandas as pd

    values, what = maps(arrays)
    names = arrays["kept_unit"].values.astype(str)
    order, states = by_network(arrays), arrays["state"].values
    figure = canvas.empty(1.6 + 0.32 * len(states) if len(names) > MOST_BARS else 3.2)
    axes = figure.subplots()
    (_bars if len(names) <= MOST_BARS else _raster)(axes, values[:, order], states, what)
    if len(names) <= MOST_NAMED:
        axes.set_xticks(range(len(names)), names[order], fontsize=SMALL, rotation=60, ha="right")
    else:
        axes.set_xticks([])
        axes.set_xlabel(f"{len(names)} {unit_dim}s{_sorted(arrays)}", fontsize=NORMAL)
    share = ", ".join(f"{k}: {o:.0%}" for k, o in zip(states, arrays["occupancy"].values,
                                                      strict=True))  # fmt: skip
    caption = (
        f"What sets the states apart: {what} of each {unit_dim}, standardised over the training "
        f"part and weighted by the probability of the state. States are sorted by their share of "
        f"time ({share}). {CAUTION}"
    )
    alt = f"{what} of {len(names)} {unit_dim}s in {len(states)} states."
    data = pd.DataFrame(values.T.round(4), columns=[f"state_{k}" for k in states])
    data.insert(0, "unit", names)
    return Drawing(figure, "What sets the states apart", caption, alt, data)


def _bars(axes: Axes, shown: np.ndarray, states: np.ndarray, what: str) -> None:
    """Draw a bar a state and unit, (state, unit)."""
    width = 0.8 / len(states)
    for k, row in enumerate(shown):
        axes.bar(np.arange(len(row)) + (k - (len(states) - 1) / 2) * width, row, width,
                 label=f"state {states[k]}", color=colour(k))  # fmt: skip
    canvas.plain(axes, y=what)
    axes.axhline(0, color="#222222", linewidth=0.8)
    axes.legend(frameon=False, fontsize=SMALL - 1, ncols=6, loc="lower center",
                bbox_to_anchor=(0.5, 1.0))  # fmt: skip


def _raster(axes: Axes, shown: np.ndarray, states: np.ndarray, what: str) -> None:
    """Draw a row a state, in colours around 0."""
    high = float(np.percentile(np.abs(shown), 99)) or 1.0
    image = axes.imshow(shown, cmap="PuOr_r", vmin=-high, vmax=high, aspect="auto",
                        interpolation="nearest")  # fmt: skip
    axes.set_yticks(range(len(states)), [f"state {k}" for k in states], fontsize=SMALL)
    bar = axes.figure.colorbar(image, ax=axes, orientation="horizontal", shrink=0.6)
    bar.ax.tick_params(labelsize=SMALL)
    bar.set_label(what, fontsize=SMALL)


def colour(state: int) -> str:
    """Return the colour of a state, the same in every drawing."""
    return MANY[state % len(MANY)]


MANY = (*canvas.HUES, "#F0E442", "#000000", "#8C564B", "#7F7F7F", "#17BECF", "#BCBD22")


def _sorted(arrays: xr.Dataset) -> str:
    return ", sorted by network" if "network" in arrays.coords else ""


def covariances(arrays: xr.Dataset, unit_dim: str) -> Drawing | None:
    """Return the correlations between units in each state; None where they are too many."""
    import pandas as pd

    if "state_cov" not in arrays or arrays.sizes["kept_unit"] < 2:
        return None
    covs, order = arrays["state_cov"].values[:SHOWN], by_network(arrays)
    spread = np.sqrt(np.maximum(np.diagonal(covs, axis1=1, axis2=2), 1e-12))
    shown = (covs / spread[:, :, None] / spread[:, None, :])[:, order][:, :, order]
    rows = -(-len(shown) // 3)
    figure = canvas.empty(0.5 + 1.75 * rows)
    panels = figure.subplots(rows, min(3, len(shown)), squeeze=False)
    off = ~np.eye(shown.shape[1], dtype=bool)
    high = float(np.percentile(np.abs(shown[:, off]), 99)) or 1.0
    for axes in panels.flat:
        axes.axis("off")
    for k, (axes, matrix) in enumerate(zip(panels.flat, shown, strict=False)):
        axes.imshow(np.where(off, matrix, np.nan), cmap="PuOr_r", vmin=-high, vmax=high,
                    interpolation="nearest")  # fmt: skip
        mean = float(matrix[off].mean())
        axes.set_title(f"state {k + 1}, mean {mean:.2f}", fontsize=SMALL)
    figure.colorbar(
        panels.flat[0].images[0], ax=panels.ravel().tolist(), shrink=0.7
    ).ax.tick_params(labelsize=SMALL)
    left = arrays.sizes["state"] - len(shown)
    caption = (
        f"Correlations between {shown.shape[1]} {unit_dim}s{_sorted(arrays)} in each state, "
        "weighted by the state's probability in the training part; colours end at "
        f"{high:.2f}." + (f" {left} smaller states are not drawn." if left > 0 else "")
    )
    names = arrays["kept_unit"].values.astype(str)[order]
    i, j = np.triu_indices(len(names), 1)
    data = pd.DataFrame({"unit": names[i], "other": names[j]} | {
        f"state_{k + 1}": matrix[i, j].round(3) for k, matrix in enumerate(shown)})  # fmt: skip
    alt = f"Correlation matrices of {len(shown)} states."
    return Drawing(figure, "Who moves together in each state", caption, alt, data)


def brain(arrays: xr.Dataset) -> Drawing | None:
    """Return the states on a glass brain; None where no place in MNI space is known."""
    import pandas as pd

    where = glass.places(arrays)
    if where is None:
        return None
    kept = arrays["kept"].values
    values, what = maps(arrays)
    shown = {f"state {k + 1}": row for k, row in enumerate(values[:SHOWN])}
    figure = glass.rows(shown, where[kept], width=canvas.WIDTH, signed=True, small=SMALL,
                        normal=NORMAL)  # fmt: skip
    caption = (
        f"{what.capitalize()} of each region in each state, seen from the left, from above (left "
        "is left) and from the right. Regions are standardised, so 0 is as over the whole training "
        "part."
    )
    names = arrays["kept_unit"].values.astype(str)
    data = pd.DataFrame({"region": names, **shown}).round(4)
    alt = f"Glass brains of {len(shown)} states."
    return Drawing(figure, "Where the states are", caption, alt, data)

"""How states follow each other: transitions, rates, waiting, and whether rates fit at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rheobase.models import canvas
from rheobase.models.base import Drawing
from rheobase.models.canvas import BLUE, NORMAL, ORANGE, SMALL

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

MOST_WRITTEN = 6


def transitions(arrays: xr.Dataset, unit: str) -> Drawing:
    """Return the probabilities of the next state, and the rates of switching."""
    import pandas as pd

    A = arrays["A"].values
    figure = canvas.empty(2.7)
    rated = "rates_hz_value" in arrays
    panels = figure.subplots(1, 1 + rated, squeeze=False)[0]
    _matrix(panels[0], A, np.arange(1, len(A) + 1), "next sample")
    i, j = np.nonzero(~np.eye(len(A), dtype=bool))
    table = pd.DataFrame({"from": i + 1, "to": j + 1, "probability": A[i, j].round(6)})
    caption = (
        "Left: probability of the state in the column at the next sample, from that in the row; "
        f"to stay it is {', '.join(f'{v:.3f}' for v in np.diagonal(A))}."
    )
    if rated:
        rate, low, high = (arrays[f"rates_hz_{part}"].values for part in ("value", "low", "high"))
        states = arrays["jump"].values
        _matrix(panels[1], rate, states, f"rate, 1/{unit}")
        k, n = np.nonzero(~np.eye(len(rate), dtype=bool))
        rates = pd.DataFrame({"from": states[k], "to": states[n], "rate": rate[k, n].round(6),
                              "rate_low": low[k, n].round(6),
                              "rate_high": high[k, n].round(6)})  # fmt: skip
        table = table.merge(rates, how="left", on=["from", "to"])
        most = np.unravel_index(np.nanargmax(rate), rate.shape)
        noise = float(arrays["noise_value"])
        caption += (
            f" Right: rates of a Markov jump process fitted to {int(arrays['jump_samples'])} "
            f"samples of the path; the largest is {states[most[0]]} to {states[most[1]]}, "
            f"{rate[most]:.3g} (95 % interval {low[most]:.3g} to {high[most]:.3g}) a "
            f"{canvas.whole_unit(unit)}. "
            f"{noise:.1%} of labels are taken to be wrong. All intervals are in the table."
        )
    else:
        caption = caption.replace("Left: p", "P", 1)
    alt = f"Matrix of transitions between {len(A)} states."
    return Drawing(figure, "Which state follows", caption, alt, table)


def _matrix(axes: Axes, values: np.ndarray, states: np.ndarray, title: str) -> None:
    shown = np.where(np.eye(len(values), dtype=bool), np.nan, values)
    high = float(np.nanmax(shown)) or 1.0
    axes.imshow(shown, cmap="Blues", vmin=0, vmax=high)
    axes.set_title(title, fontsize=NORMAL)
    axes.set_xticks(range(len(states)), states, fontsize=SMALL)
    axes.set_yticks(range(len(states)), states, fontsize=SMALL)
    axes.set_xlabel("to", fontsize=NORMAL)
    axes.set_ylabel("from", fontsize=NORMAL)
    for k, n in np.argwhere(np.isfinite(shown)) if len(states) <= MOST_WRITTEN else []:
        axes.text(n, k, f"{shown[k, n]:.2g}", ha="center", va="center", fontsize=8,
                  color="white" if shown[k, n] > 0.6 * high else "#222222")  # fmt: skip


def waiting(arrays: xr.Dataset, unit: str) -> Drawing | None:
    """Return mean first passages, and observed transitions over longer lags beside those that the
    rates predict; None without rates.
    """
    import pandas as pd

    if "first_passage_s_value" not in arrays:
        return None
    passage, states = arrays["first_passage_s_value"].values, arrays["jump"].values
    figure = canvas.empty(2.9)
    left, right = figure.subplots(1, 2)
    _matrix(left, passage, states, f"first passage, {unit}")
    canvas.plain(right, x="predicted share", y="observed share")
    lags = arrays["lag"].values
    for lag, hue, mark in zip(lags[1:], (BLUE, ORANGE), "os", strict=False):
        at = int(np.flatnonzero(lags == lag)[0])
        right.plot(arrays["jump_predicted"].values[at].ravel(),
                   arrays["jump_observed"].values[at].ravel(), mark, color=hue, markersize=4,
                   label=f"{lag} samples")  # fmt: skip
    right.axline((0, 0), slope=1, color="#666666", linewidth=1, linestyle="--")
    right.legend(frameon=False, fontsize=SMALL)
    low, high = (arrays[f"first_passage_s_{part}"].values for part in ("low", "high"))
    k, n = np.nonzero(~np.eye(len(passage), dtype=bool))
    table = pd.DataFrame({"from": states[k], "to": states[n], "first_passage": passage[k, n],
                          "low": low[k, n], "high": high[k, n]}).round(4)  # fmt: skip
    alt = f"Matrix of first passages between {len(states)} states, and a scatter around a diagonal."
    return Drawing(figure, "Waiting, and whether rates are the right model",
                   _waiting_caption(arrays, unit), alt, table)  # fmt: skip


def _waiting_caption(arrays: xr.Dataset, unit: str) -> str:
    relax = "; ".join(_within(arrays, "relaxation_s", k) for k in range(arrays.sizes["mode"]))
    spread, expected = (float(arrays[n]) for n in ("dwell_spread", "dwell_spread_expected"))
    dwell, lag, turned = (float(arrays[n]) for n in ("dwell_p", "lag_p", "irreversible_p"))
    caution = "" if dwell > 0.05 and lag > 0.05 else " Read rates and intervals with that in mind."
    return (
        "Left: mean time from the state in the row until that in the column is first reached. "
        "Right: shares of states after 2 and 4 samples, observed and as the rates predict "
        f"(Chapman-Kolmogorov; {canvas.p_text(lag)}); on the dashed line they agree. Stays spread "
        f"{spread:.2f} times their mean, {expected:.2f} in simulations ({canvas.p_text(dwell)}). "
        f"{arrays['jump_verdict'].item()}{caution} Relaxation times: {relax} {unit}. Entropy "
        f"production {_within(arrays, 'entropy_production')} nats a "
        f"{canvas.whole_unit(unit)}; that paths look the same backwards: {canvas.p_text(turned)}. "
        "Brackets are 95 % intervals."
    )


def _within(arrays: xr.Dataset, name: str, at: int | None = None) -> str:
    found = [arrays[f"{name}_{part}"].values for part in ("value", "low", "high")]
    value, low, high = (float(v if at is None else v[at]) for v in found)
    return f"{value:.3g} ({low:.3g} to {high:.3g})"

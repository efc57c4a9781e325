"""What adaptation did to the reservoirs, what the search found, and what several fits chose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rheobase.models.base import Drawing, Placed
from rheobase.models.reservoir import canvas, diagnose
from rheobase.models.reservoir.canvas import COLOURS, SMALL, TASK_WORDS, word

if TYPE_CHECKING:
    import xarray as xr

    from rheobase.models.reservoir import Reservoir

BINS = 25


def rates(arrays: xr.Dataset, task: str) -> Drawing:
    """Return mean rates of all units before and after adaptation, with their targets."""
    import pandas as pd

    figure = canvas.empty(2.9)
    axes = canvas.plain(figure.subplots(), x="mean rate of a unit", y="units")
    edges = np.linspace(0, 1, BINS + 1)
    shown = {"before": ("rate_before", "#999999"), "after": ("rate", COLOURS["adapted"])}
    table: dict[str, np.ndarray] = {"rate_from": edges[:-1]}
    for name, (key, colour) in shown.items():
        values = arrays[f"{task}_{key}"].values.ravel()
        table[name] = np.histogram(values, edges)[0]
        axes.hist(values, edges.tolist(), color=colour, alpha=0.7, label=name)
    wanted = arrays[f"{task}_target_rate"].values.ravel()
    table["target"] = np.histogram(wanted, edges)[0]
    axes.stairs(table["target"], edges, color="#D55E00", linewidth=1.4, label="target")
    axes.legend(frameon=False, fontsize=SMALL)
    missed = float(np.abs(arrays[f"{task}_rate"].values - arrays[f"{task}_target_rate"].values)
                   .mean())  # fmt: skip
    flips = float(arrays[f"{task}_oscillation"].values.max())
    caption = (
        f"Rates under the training input ({TASK_WORDS[task]}), before and after inhibition "
        f"adapted. On average a unit ends {missed:.3f} from its target (a warning above "
        f"{diagnose.MOST_MISSED}); the largest period-2 index is {flips:.3f} (a warning above "
        f"{diagnose.MOST_OSCILLATION})."
    )
    alt = f"Histograms of rates before and after adaptation; mean distance {missed:.3f}."
    title = f"Rates before and after adaptation, {TASK_WORDS[task]}"
    return Drawing(figure, title, caption, alt, pd.DataFrame(table))


def inhibition(arrays: xr.Dataset, task: str) -> Drawing:
    """Return the balance of every unit before and after, and the one-step factor omega."""
    import pandas as pd

    before, after = (arrays[f"{task}_{key}"].values.ravel() for key in
                     ("balance_before", "balance"))  # fmt: skip
    omega = arrays[f"{task}_omega"].values.ravel()
    figure = canvas.empty(2.8)
    left, right = figure.subplots(1, 2)
    canvas.plain(left, x="balance b of a unit", y="units")
    both = np.concatenate([before, after])
    low, high = (float(np.quantile(both, level)) for level in (0.002, 0.998))
    edges = np.linspace(low, high, BINS + 1).tolist()
    left.hist(before, edges, color="#999999", alpha=0.7, label="before")
    left.hist(after, edges, color=COLOURS["adapted"], alpha=0.7, label="after")
    left.legend(frameon=False, fontsize=SMALL)
    canvas.plain(right, x="factor of inhibition")
    right.hist(omega, BINS, color=COLOURS["adapted"])
    caption = (
        "Left: excitation less inhibition, summed over a unit's inputs; the mean went from "
        f"{before.mean():.2f} to {after.mean():.2f}. Right: the factor by which the one-step "
        f"design scaled each unit's inhibition; {int((omega == 0).sum())} of {len(omega)} units "
        "would have needed less than none."
    )
    alt = f"Histograms of balances and factors of {len(omega)} units."
    table = pd.DataFrame({"balance_before": before, "balance": after, "omega": omega}).round(5)
    return Drawing(figure, f"What adaptation changed, {TASK_WORDS[task]}", caption, alt, table)


def search(arrays: xr.Dataset, task: str) -> Drawing | None:
    """Return the inner errors of all trials of each kind; None where nothing was searched."""
    import pandas as pd

    errors = arrays[f"{task}_search_error"].values
    if errors.shape[1] < 2:
        return None
    kinds = [str(name) for name in arrays["kinds"].values]
    figure = canvas.empty(2.8)
    axes = canvas.plain(figure.subplots(), y="error in inner folds (NRMSE)")
    for place, (kind, own) in enumerate(zip(kinds, errors, strict=True)):
        known = own[np.isfinite(own)]
        across = place + np.linspace(-0.25, 0.25, len(known))
        axes.plot(across, known, "o", color=COLOURS[kind], alpha=0.6, markersize=5)
        axes.plot([place - 0.3, place + 0.3], [known.min()] * 2, color="#222222", linewidth=1.5)
    axes.set_xticks(range(len(kinds)), [word(kind) for kind in kinds])
    top = float(np.nanquantile(errors, 0.9))
    axes.set_ylim(float(np.nanmin(errors)) * 0.95, top * 1.05)
    chosen = arrays[f"{task}_chosen"].values.astype(str)
    listed = "; ".join(f"{word(k)}: {said}" for k, said in zip(kinds, chosen, strict=True))
    caption = (
        f"{errors.shape[1]} settings of each kind ({TASK_WORDS[task]}), each with its best "
        "penalty; the line marks the best, and the worst tenth may lie above the panel. Chosen: "
        f"{listed}."
    )
    alt = f"Dots of inner errors for {len(kinds)} kinds of network."
    table = pd.DataFrame(errors.T.round(5), columns=kinds)
    return Drawing(figure, f"What the search found, {TASK_WORDS[task]}", caption, alt, table)


def sweep(arrays: xr.Dataset, model: Reservoir) -> Drawing | None:
    """Return the error over balance at each input scale, and that of the best adapted law."""
    import pandas as pd

    if "sweep_error" not in arrays:
        return None
    balance, scales = arrays["sweep_balance"].values, arrays["sweep_scale"].values
    remembers = "memory" in model.tasks

    def level(error: np.ndarray) -> np.ndarray:
        return model.delays * (1 - error**2) if remembers else error

    plain, adapted = level(arrays["sweep_error"].values), level(arrays["sweep_adapted"].values)
    better = np.max if remembers else np.min
    what = "memory, samples" if remembers else "error (NRMSE)"
    order = np.argsort(balance)
    figure = canvas.empty(3.6)
    axes = canvas.plain(figure.subplots(), x="global balance", y=what)
    hues = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
    frames = []
    for place, scale in enumerate(scales):
        hue = hues[place % len(hues)]
        axes.plot(balance[order], plain[place, order], "o-", color=hue, label=f"input {scale:g}")
        axes.axhline(better(adapted[place]), color=hue, linestyle="--", linewidth=1)
        frames.append(pd.DataFrame({"input_scale": scale, "balance": balance, "level": plain[place],
                                    "adapted_best_law": better(adapted[place])}))  # fmt: skip
    axes.legend(frameon=False, fontsize=SMALL, title="dashed: adapted", title_fontsize=SMALL)
    laws = arrays["sweep_law"].values.astype(str)
    flat = np.unravel_index((np.argmax if remembers else np.argmin)(adapted), adapted.shape)
    caption = (
        f"{what.capitalize()} in inner folds of the training part, over global balances and at "
        "several input scales, other settings as configured. Dashed: adapted, the best of the "
        f"target rates {', '.join(laws)}. The best adapted one is {laws[flat[1]]} at input "
        f"{scales[flat[0]]:g} ({adapted[flat]:.3g}); the best balance reaches {better(plain):.3g}."
    )
    alt = f"Curves over {len(balance)} balances at {len(scales)} input scales."
    title = "Memory" if remembers else "Error"
    return Drawing(figure, f"{title} over balance and input scale", caption, alt,
                   pd.concat(frames).round(5))  # fmt: skip


def choices(fits: Sequence[Placed], task: str) -> Drawing | None:
    """Return the least inner error of every kind in every fit; None where nothing was searched."""
    import pandas as pd

    key = f"{task}_search_error"
    fits = [one for one in fits if key in one.fitted.arrays]
    fits = [one for one in fits if one.fitted.arrays[key].sizes["trial"] > 1]
    if len(fits) < 2:
        return None
    kinds = [str(name) for name in fits[0].fitted.arrays["kinds"].values]
    several = len({one.dataset for one in fits}) > 1
    best = np.array([np.nanmin(one.fitted.arrays[key].values, axis=1) for one in fits])
    figure = canvas.empty(2.8)
    axes = canvas.plain(figure.subplots(), y="least inner error (NRMSE)")
    for number, kind in enumerate(kinds):
        axes.plot(range(len(fits)), best[:, number], "o-", color=COLOURS[kind], label=word(kind))
    places = [one.named(several=several) for one in fits]
    axes.set_xticks(range(len(fits)), places if len(fits) <= 6 else [""] * len(fits),
                    rotation=20, ha="right")  # fmt: skip
    axes.legend(frameon=False, fontsize=SMALL)
    own = [str(one.fitted.arrays[f"{task}_chosen"].values[0]) for one in fits]
    said = "; ".join(f"{place}: {text}" for place, text in zip(places[:6], own, strict=False))
    caption = (
        f"The least error in inner folds that each kind reached in each fit ({TASK_WORDS[task]}). "
        f"What was chosen for {word(kinds[0])} reservoirs: {said}."
    )
    alt = f"Lines of inner errors over {len(fits)} fits for {len(kinds)} kinds of network."
    table = pd.DataFrame(best.round(5), columns=kinds).assign(fit=places, chosen=own)
    return Drawing(figure, f"What each fit chose, {TASK_WORDS[task]}", caption, alt, table)

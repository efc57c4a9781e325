"""Spikes: those of one window, the rates of all units, and what they cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from rheobase.models import canvas
from rheobase.models.base import Drawing
from rheobase.models.canvas import BLUE, GREEN, GREY, HUES, NORMAL, ORANGE, RED, SMALL
from rheobase.models.spiking import calibration, confidence
from rheobase.models.spiking.answer_figures import RIVALS
from rheobase.models.spiking.probe import Judged, standardised

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MOST_UNITS = 64
"""Units of a layer that are drawn"""
MOST_CLASSES = 6


def window(found: Judged) -> Drawing:
    """Return input, spikes and evidence of one window, answered about when half of all were.

    Of those, the one whose answer is surest.
    """
    learnt, (step, unit) = found.learnt, found.scale.step
    place = _typical(found)
    x = standardised(found.taken.cut(np.array([place])), learnt.mean, learnt.spread)
    events = learnt.encoder.encode(x, rng=np.random.default_rng(learnt.seed))
    with torch.no_grad():
        output = learnt.network(torch.as_tensor(events))
    time = np.arange(1, len(events) + 1) * step
    layers = [("input", events[:, 0])]
    layers += [(f"layer {k + 1}", s[:, 0].numpy()) for k, s in enumerate(output.spikes)]
    figure = canvas.empty(1.5 * len(layers) + 2.0)
    rows = figure.subplots(len(layers) + 1, 1, sharex=True)
    for axes, (name, values), hue in zip(rows, layers, [GREY, *HUES], strict=False):
        some = values[:, :: -(-values.shape[1] // MOST_UNITS)]
        canvas.plain(axes, y=name)
        if name == "input" and not np.array_equal(some, np.rint(some)):
            extent = (0.5 * step, time[-1] + 0.5 * step, -0.5, some.shape[1] - 0.5)
            axes.imshow(some.T, aspect="auto", cmap="coolwarm", origin="lower", vmin=-3, vmax=3,
                        extent=extent)  # fmt: skip
        else:
            at, who = np.nonzero(some)
            axes.plot(time[at], who, "|", color=hue, markersize=3)
            axes.set_ylim(-1, some.shape[1])
    data = _verdict(rows[-1], found, place, time, unit)
    stop = int(found.stop[place])
    for axes in rows:
        axes.axvline(time[stop - 1], color=RED, linewidth=1.2)
    figure.align_ylabels(rows)
    name = found.taken.segments[found.taken.segment[place]].name
    true = found.examples.y[place]
    said = (
        f"true value {true:.3g}. Below, the value that is read after each step" if found.values else
        f"true class {true}, answered as {found.early[place]} at the red line, after {stop} of "
        f"{len(time)} steps: about as long as half of all windows took. Below, the probability of "
        "the likeliest classes, which validation scaled"
    )  # fmt: skip
    caption = (
        f"One window of {name}, {said}. Each tick is an event or a spike (at most {MOST_UNITS} "
        "rows a layer); real inputs are colours, blue below the mean and red above."
    )
    alt = f"Raster of {len(layers)} layers and what is told over {len(time)} steps."
    return Drawing(figure, "One window, its spikes, and when it was answered", caption, alt, data)


def _typical(found: Judged) -> int:
    """Return the window to show; of a value, one whose answer is as far off as half are."""
    if found.values:
        off = np.abs(found.evidence[-1, :, 0] - found.examples.y)
        return int(np.argsort(off)[len(off) // 2])
    right = np.flatnonzero(found.early == found.examples.y)
    pool = right if len(right) else np.arange(len(found.stop))
    away = np.abs(found.stop[pool] - np.median(found.stop))
    pool = pool[away == away.min()]
    return int(pool[np.argmax(confidence.sureness(found.evidence[:, pool])[-1])])


def _verdict(axes: Axes, found: Judged, place: int, time: np.ndarray, unit: str) -> pd.DataFrame:
    """Draw what is told after every step, and return it."""
    import pandas as pd

    told, classes = found.evidence[:, place], found.learnt.classes
    if found.values:
        canvas.plain(axes, x=f"time in the window ({unit})", y="value")
        axes.plot(time, told[:, 0], color=BLUE)
        axes.axhline(float(found.examples.y[place]), color=GREY, linestyle="--", linewidth=1)
        return pd.DataFrame({f"time_{unit}": time, "value": told[:, 0]})
    chance = np.exp(calibration.log_softmax(told))
    canvas.plain(axes, x=f"time in the window ({unit})", y="probability")
    shown = np.argsort(chance.max(0))[::-1][:MOST_CLASSES]
    for hue, number in zip(HUES, shown, strict=False):
        axes.plot(time, chance[:, number], color=hue, label=str(classes[number]))
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False, fontsize=SMALL - 1, loc="upper left", ncols=3)
    data = pd.DataFrame(chance, columns=[f"p_{name}" for name in classes])
    data.insert(0, f"time_{unit}", time)
    return data


def rates(found: Judged) -> Drawing:
    """Return the mean rate of every hidden unit, in order, a curve a layer."""
    import pandas as pd

    scale = found.scale
    seconds = scale.time_unit == "s"
    factor = 1 / scale.step_s if seconds else 1.0
    unit = "spikes a second" if seconds else "spikes a step"
    figure = canvas.empty(2.6)
    axes = canvas.plain(figure.subplots(), x="units of a layer, in order (share)", y=unit)
    said, rows = [], []
    for number, (rate, hue) in enumerate(zip(found.ran.rates, HUES, strict=False), 1):
        ordered = np.sort(rate)[::-1] * factor
        place = (np.arange(len(ordered)) + 0.5) / len(ordered)
        axes.plot(place, ordered, color=hue, label=f"layer {number}")
        silent = float((rate < 1e-3).mean())
        said.append(f"layer {number}: {rate.mean():.1%} of steps, {silent:.0%} of units silent")
        rows += [{"layer": number, "unit": k, "rate": float(r)} for k, r in enumerate(rate)]
    axes.legend(frameon=False, fontsize=SMALL)
    caption = (
        "Mean rate of each hidden unit over whole windows of the test part, from the busiest to "
        f"the quietest ({'; '.join(said)}). A unit below 0.1 % counts as silent."
    )
    alt = f"Sorted rates of {len(found.ran.rates)} layers."
    return Drawing(figure, "Rates of hidden units", caption, alt, pd.DataFrame(rows))


def operations(found: Judged) -> Drawing:
    """Return operations of an answer beside multiply-adds of networks without spikes."""
    import pandas as pd

    whole = found.cost(early=False)
    rows = [
        *([] if found.values else [("spiking, early answers", *found.operations(early=True))]),
        ("spiking, whole window", *found.operations(early=False)),
        ("the same network, dense", 0.0, whole.dense),
        *((RIVALS[name], 0.0, count) for name, count in found.rival_operations().items()),
    ]  # fmt: skip
    data = pd.DataFrame(rows, columns=["what", "additions", "multiply_adds"])
    total = data["additions"].to_numpy() + data["multiply_adds"].to_numpy()
    figure = canvas.empty(2.9)
    axes = canvas.plain(figure.subplots(), x="operations a window")
    own = [BLUE, GREEN] if found.values else [ORANGE, BLUE, GREEN]
    hues = [*own, *[GREY] * len(found.learnt.rivals)]
    axes.barh(range(len(data)), total, color=hues)
    for place, count in enumerate(total):
        axes.text(count * 1.1, place, f"{count:,.0f}", va="center", fontsize=SMALL)
    axes.set_xscale("log")
    axes.set_xlim(max(float(total.min()) / 3, 1), float(total.max()) * 20)
    axes.set_yticks(range(len(data)), data["what"], fontsize=SMALL)
    axes.invert_yaxis()
    axes.xaxis.label.set_fontsize(NORMAL)
    real = "; a first layer of real inputs multiplies" if whole.multiplied else ""
    caption = (
        "Mean operations until an answer (logarithmic). A spike costs one addition for each unit "
        f"that it reaches{real}; networks without spikes multiply and add, once a window and not "
        "once a step. An addition takes about a fifth of the energy of a multiply-add. Making "
        "events and features is counted."
    )
    mine, dense = (float(total[len(own) - k]) for k in (2, 1))
    alt = f"Bars: {mine:,.0f} operations of the spiking network, {dense:,.0f} if dense."
    return Drawing(figure, "What an answer costs", caption, alt, data)

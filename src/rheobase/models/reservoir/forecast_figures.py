"""How far ahead is known, how far back is remembered, and one stretch as it was forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rheobase.models.base import Drawing, Fitted
from rheobase.models.reservoir import canvas, probe
from rheobase.models.reservoir.canvas import COLOURS, MARKS, NORMAL, SMALL, word
from rheobase.models.reservoir.kept import Learned
from rheobase.models.reservoir.probe import Foretold, Ready
from rheobase.models.reservoir.readout import Predictions

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rheobase.models.reservoir import Reservoir

SHOWN = 300
"""Samples of the example"""
LOWEST = -0.5
"""R2 below this lies outside the panel"""


def skill(told: Foretold, horizons: Sequence[int]) -> Drawing:
    """Return explained variance against horizon, our reservoirs beside all rivals."""
    import pandas as pd

    order = np.argsort(horizons)
    ahead = np.asarray(horizons)[order]
    figure = canvas.empty(4.2)
    axes = canvas.plain(figure.subplots(), x="samples ahead", y="explained variance R²")
    data = {"horizon_samples": ahead}
    for name in told.names:
        values = np.array([told.r2(name, int(i)) for i in order])
        data[name] = values.mean(axis=1)
        _line(axes, name, ahead, values, own=name == told.own)
    low = min(float(values.min()) for name, values in data.items() if name != "horizon_samples")
    axes.set_ylim(max(low, LOWEST) - 0.03, 1.02)
    axes.set_xticks(ahead)
    figure.legend(loc="outside lower center", frameon=False, fontsize=SMALL, ncols=3)
    best = max(told.names, key=lambda name: data[name][0])
    caption = (
        "Share of the test part's variance about the training mean that each forecast explains. "
        "Higher is better; 0 is as good as the training mean. Dots: each reservoir drawn. Linear "
        "on lags sees the same input as the reservoirs, AR only each unit's own past. Values "
        f"below {LOWEST} lie outside the panel."
    )
    alt = (
        f"Lines of R² over {len(ahead)} horizons for {len(told.names)} forecasts; at {ahead[0]} "
        f"ahead {word(best)} is highest with {data[best][0]:.2f}."
    )
    return Drawing(figure, "Forecasts beside their rivals", caption, alt, pd.DataFrame(data))


def _line(axes: Axes, name: str, at: np.ndarray, values: np.ndarray, *, own: bool) -> None:
    """Draw the mean over members of values (place, member), and our members as dots."""
    flat = name == "training_mean"
    axes.plot(at, values.mean(axis=1), color=COLOURS[name], marker=MARKS[name], markersize=5,
              label=word(name), linewidth=2 if own else 1.2, linestyle="--" if flat else "-",
              zorder=3 if own else 2)  # fmt: skip
    if own and values.shape[1] > 1:
        axes.plot(at, values, ".", color=COLOURS[name], alpha=0.5, markersize=4)


def memory(found: Mapping[str, np.ndarray]) -> Drawing:
    """Return how well the input of so many samples ago is recalled."""
    import pandas as pd

    figure = canvas.empty(3.4)
    axes = canvas.plain(figure.subplots(), x="delay, samples", y="squared correlation")
    data: dict[str, np.ndarray] = {}
    for name, values in found.items():
        delays = np.arange(1, values.shape[1] + 1)
        data.setdefault("delay", delays)
        data[name] = values.mean(axis=0)
        axes.plot(delays, data[name], color=COLOURS[name], label=word(name),
                  linewidth=2 if name == next(iter(found)) else 1.2)  # fmt: skip
    axes.set_ylim(-0.02, 1.02)
    axes.legend(frameon=False, fontsize=SMALL)
    sums = ", ".join(f"{word(name)} {float(v.sum(axis=1).mean()):.1f}" for name, v in found.items())
    caption = (
        "How well a readout recalls the input of so many samples ago, on the test part. The sum "
        f"over delays is the memory capacity: {sums}."
    )
    alt = f"Falling curves of recall over {len(data['delay'])} delays; {sums}."
    return Drawing(figure, "What is remembered", caption, alt, pd.DataFrame(data).round(5))


def example(model: Reservoir, fitted: Fitted, ready: Ready) -> Drawing:
    """Return one stretch of the test part with forecasts of the nearest and furthest horizon."""
    import pandas as pd

    longest = int(np.argmax([len(x) for x in ready.inputs]))
    own, one = next(iter(probe.learned(fitted, "forecast", ready).items()))
    length = min(len(ready.inputs[longest]), ready.washout + max(model.horizons) + SHOWN)
    x, truth = ready.inputs[longest][:length], ready.standard[longest][:length]
    told = _course(model, one, x, ready, longest)
    order = np.argsort(model.horizons)
    ends = list(dict.fromkeys([int(order[0]), int(order[-1])]))
    unit = int(np.argmax(truth.var(axis=0)))
    figure = canvas.empty(1.7 * len(ends) + 0.4)
    panels = np.atleast_1d(figure.subplots(len(ends), 1, sharex=True))
    frames = []
    for axes, place in zip(panels, ends, strict=True):
        h = model.horizons[place]
        at = np.arange(ready.washout, length - h)
        guess = told[at].reshape(len(at), len(model.horizons), -1)[:, place, unit]
        canvas.plain(axes, y="SD")
        axes.plot(at + h, truth[at + h, unit], color="#444444", linewidth=1.1, label="true")
        axes.plot(at + h, guess, color=COLOURS[own], linewidth=1.1, label=f"{h} ahead")
        axes.legend(frameon=False, fontsize=SMALL, ncols=2, loc="upper right")
        frames.append(pd.DataFrame({"sample": at + h, "ahead": h, "true": truth[at + h, unit],
                                    "forecast": guess}))  # fmt: skip
    panels[-1].set_xlabel("sample of the stretch", fontsize=NORMAL)
    name = ready.segments[0].unit_names[unit]
    caption = (
        f"{ready.stretches[longest].segment.name}, {name}, in standard deviations of the training "
        "part: the truth, and what the first reservoir said of each sample so many samples before."
    )
    alt = f"Course of {name} and its forecasts {' and '.join(str(model.horizons[e]) for e in ends)}"
    return Drawing(figure, "A stretch as it was forecast", caption, f"{alt} samples ahead.",
                   pd.concat(frames).round(4))  # fmt: skip


def _course(
    model: Reservoir, one: Learned, x: np.ndarray, ready: Ready, place: int
) -> np.ndarray:  # fmt: skip
    """Return the forecasts of the first member for every sample, (time, target)."""
    units = one.engine.units
    more = probe.more(model, ready)
    if model.readout.features == ("states", "bias"):
        sink = Predictions(one.readout[:, None, :units], one.bias[:, None])
        one.engine.run([x], sink=sink)
        return sink.values[0, 0, 0]
    rates = one.engine.states([x])[0, 0, 0].astype(np.float64)
    return more(place, slice(0, len(x)), rates) @ one.readout[0] + one.bias[0]

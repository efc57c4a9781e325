"""Drawings over time and over runs: which segments matter, where runs lie, how training went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rheobase.models.base import Drawing
from rheobase.models.brainmae import canvas
from rheobase.models.brainmae.canvas import CLASSES, NORMAL, SMALL
from rheobase.models.brainmae.importance import Importance, labels_of
from rheobase.models.brainmae.run_map import LEAST_MEASURED, LEAST_RUNS, Map

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rheobase.models.brainmae.segments import Run
    from rheobase.recording import Recording

BLUE, GREY = "#0072B2", "#8a8a8a"
CUT = (0.005, 0.995)


def importance(
    found: Importance, recordings: Sequence[Recording], stretches: Sequence[Run], samples: int
) -> Drawing:
    """Return how much the run's vector looks at each segment, beside the time-shuffled control."""
    import pandas as pd

    segment_s = samples / recordings[0].rate
    labels = {n: labels_of(recordings, stretches[n], samples) for n, _ in found.places}
    shown = _window_labels(labels, found, 0, samples)
    figure, axes = canvas.figure(5.4, 2, 1)
    _example(axes[0, 0], found, shown, segment_s, recordings[0])
    _places(axes[1, 0], found, segment_s, recordings[0].time_unit)
    position, content = (found.correlation(x) for x in (found.at_place, found.of_segment))
    run = stretches[found.places[0][0]]
    caption = (
        "Attention of the run's own vector in the last encoder block, times the number of "
        f"segments: 1 is an even share. Above the first window of {run.name}"
        f"{_overlaid(shown)}; below the mean over all {len(found.places)} windows and their "
        "spread, and the same with the segments in random order: what remains there is due to the "
        f"place alone. Attention correlates {position:.2f} with what its place gets whichever "
        f"segment stands there, and {content:.2f} with what its segment gets wherever it stands."
    )
    alt = f"Bars over one window, and mean attention by place; it follows place by {position:.2f}."
    table = pd.DataFrame(_rows(found, labels, stretches, samples, segment_s)).round(4)
    return Drawing(figure, "Which segments matter", caption, alt, table)


def _window_labels(
    labels: dict[int, np.ndarray | None], found: Importance, window: int, samples: int
) -> np.ndarray | None:
    number, start = found.places[window]
    there = labels[number]
    count = int(np.isfinite(found.attention[window]).sum())
    first = start // samples
    return None if there is None else there[first : first + count]


def _overlaid(shown: np.ndarray | None) -> str:
    if shown is None:
        return ""
    how = "the label as a dashed line" if shown.dtype.kind == "f" else "colours are labels"
    return f", {how}, not moved by the delay of the response"


def _example(
    axes: Axes, found: Importance, shown: np.ndarray | None, segment_s: float, first: Recording
) -> None:
    from matplotlib.patches import Patch

    values = found.attention[0][np.isfinite(found.attention[0])]
    middle = (np.arange(len(values)) + 0.5) * segment_s
    colours: str | list[str] = BLUE
    if shown is not None and shown.dtype.kind != "f":
        colours, legend = canvas.by_class(shown.tolist())
        handles = [Patch(color=colour, label=name) for name, colour in legend.items()]
        axes.legend(handles=handles, frameon=False, fontsize=SMALL, ncols=3, loc="lower left",
                    bbox_to_anchor=(0, 1))  # fmt: skip
    axes.bar(middle, values, width=0.85 * segment_s, color=colours)
    if shown is not None and shown.dtype.kind == "f":
        other = axes.twinx()
        other.plot(middle, shown, color="#D55E00", linestyle="--")
        other.set_ylabel(str(first.label_name), fontsize=NORMAL)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xlabel(f"time in the window ({first.time_unit})", fontsize=NORMAL)
    axes.set_ylabel("attention, 1 = even", fontsize=NORMAL)


def _places(axes: Axes, found: Importance, segment_s: float, time_unit: str) -> None:
    middle = (np.arange(found.attention.shape[1]) + 0.5) * segment_s
    mean, spread = np.nanmean(found.attention, axis=0), np.nanstd(found.attention, axis=0)
    axes.fill_between(middle, mean - spread, mean + spread, color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(middle, mean, color=BLUE, marker="o", markersize=4, label="mean over windows")
    axes.plot(middle, np.nanmean(found.at_place, axis=0), color="#D55E00", linestyle="--",
              marker="s", markersize=4, label="segments in random order")  # fmt: skip
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xlabel(f"place in the window ({time_unit})", fontsize=NORMAL)
    axes.set_ylabel("attention, 1 = even", fontsize=NORMAL)
    axes.legend(frameon=False, fontsize=SMALL)


def _rows(
    found: Importance, labels: dict[int, np.ndarray | None], stretches: Sequence[Run],
    samples: int, segment_s: float,
) -> list[dict[str, object]]:  # fmt: skip
    rows = []
    for window, (number, start) in enumerate(found.places):
        shown, run = _window_labels(labels, found, window, samples), stretches[number]
        begin = run.start_s + start / samples * segment_s
        for place in np.flatnonzero(np.isfinite(found.attention[window])):
            row = {"recording": run.name, "window_start": begin, "place": int(place),
                   "attention": found.attention[window, place],
                   "at_place": found.at_place[window, place],
                   "of_segment": found.of_segment[window, place]}  # fmt: skip
            rows.append(row if shown is None else {**row, "label": shown[place]})
    return rows


def runs(found: Map, label: str | None, kind: str | None) -> Drawing | None:
    """Return the runs' vectors on two axes, coloured by what is known; None for fewer than 4."""
    import pandas as pd

    if len(found.names) < LEAST_RUNS or found.scores.shape[1] < 2:
        return None
    value = kind == "value"
    known = {label or "label": found.label}
    if not np.array_equal(found.site, found.label):
        known["site"] = found.site
    panels = {k: v for k, v in known.items() if len(set(v.tolist())) > 1}
    panels |= {"mean FD (mm)": found.motion} if np.isfinite(found.motion).any() else {}
    panels = panels or {"": np.zeros(len(found.names), str)}
    figure, axes = canvas.figure(3.2 * len(panels), len(panels), 1)
    for one, (title, values) in zip(axes.flat, panels.items(), strict=True):
        _scatter(one, found, title, _numbers(values) if value and title == label else values)
    caption = (
        "Each run's pooled vector (run vector, mean and deviation of its segments) on the main "
        f"axes of the training part, which hold {found.share[0]:.0%} and {found.share[1]:.0%} of "
        f"its variance. Filled: test part; open: training part. {motion_line(found)}"
    )
    alt = f"{len(found.names)} runs on two axes, coloured by {', '.join(panels) or 'nothing'}."
    table = pd.DataFrame({"recording": found.names, "part": np.where(found.trained, "training",
                          "test")} | {f"pc{i + 1}": axis for i, axis in enumerate(found.scores.T)}
                         | {"label": found.label, "site": found.site,
                            "fd_mean_mm": found.motion}).round(4)  # fmt: skip
    return Drawing(figure, "Where runs lie", caption, alt, table)


def motion_line(found: Map) -> str:
    """Return how the axes follow motion, or why that is not known."""
    r = found.with_motion()
    if r is not None:
        known = int(np.isfinite(found.motion).sum())
        said = ", ".join(f"PC{i + 1} {value:.2f}" for i, value in enumerate(r))
        return f"|r| with mean framewise displacement over {known} runs: {said}."
    if not np.isfinite(found.motion).any():
        return "Motion was not measured, so whether the axes follow motion is not known."
    return (
        f"Motion is known or varies in fewer than {LEAST_MEASURED} runs, so whether the axes "
        "follow motion is not known."
    )


def _numbers(values: np.ndarray) -> np.ndarray:
    return np.array([float(v) if v else np.nan for v in values])


def _scatter(axes: Axes, found: Map, title: str, values: np.ndarray) -> None:
    x, y = found.scores[:, 0], found.scores[:, 1]
    if values.dtype.kind == "f":
        from matplotlib import colormaps
        from matplotlib.colors import Normalize

        scale = Normalize(np.nanmin(values), np.nanmax(values))
        colours = [colormaps["cividis"](scale(v)) if np.isfinite(v) else GREY for v in values]
        from matplotlib.cm import ScalarMappable

        axes.figure.colorbar(ScalarMappable(scale, "cividis"), ax=axes).set_label(title)
    else:
        colours, legend = canvas.by_class(values.tolist())
        for name, colour in legend.items() if len(legend) > 1 else ():
            axes.scatter([], [], color=colour, label=name, s=22)
        if len(legend) > 1:
            axes.legend(title=title, frameon=False, fontsize=SMALL, title_fontsize=SMALL)
    for part, fill in ((found.trained, False), (~found.trained, True)):
        mine = [c for c, there in zip(colours, part, strict=True) if there]
        axes.scatter(x[part], y[part], s=26, facecolors=mine if fill else "none",
                     edgecolors=mine, linewidths=1.2)  # fmt: skip
    axes.set_xlabel(f"PC1 ({found.share[0]:.0%})", fontsize=NORMAL)
    axes.set_ylabel(f"PC2 ({found.share[1]:.0%})", fontsize=NORMAL)


def training(history: dict[str, list[float]]) -> Drawing:
    """Return the loss of training, and R2 on held-out training people where there are any."""
    import pandas as pd

    held = {k: v for k, v in history.items() if k.startswith("held_r2") and v}
    figure, axes = canvas.figure(2.9 * (1 + bool(held)), 1 + bool(held), 1)
    steps = history["step"]
    for name, colour in (("loss_masked", BLUE), ("loss_visible", "#E69F00")):
        axes[0, 0].plot(steps, history[name], color=colour, label=name.replace("_", " "))
    axes[0, 0].set_ylabel("squared error", fontsize=NORMAL)
    for (name, values), colour in zip(held.items(), CLASSES, strict=False):
        axes[1, 0].plot(steps, values, color=colour, label=f"{name[-2:]} % hidden")
    if held:
        axes[1, 0].set_ylabel("R² on held-out people", fontsize=NORMAL)
    for one in axes.flat:
        one.set_xlabel("step", fontsize=NORMAL)
        one.legend(frameon=False, fontsize=SMALL)
    caption = (
        "Error on hidden and visible regions while training. A masked loss that stays near 1 has "
        "learnt nothing about regions."
    )
    alt = f"Masked loss from {history['loss_masked'][0]:.2f} to {history['loss_masked'][-1]:.2f}."
    kept = {k: v for k, v in history.items() if len(v) == len(steps)}
    return Drawing(figure, "The course of training", caption, alt, pd.DataFrame(kept))

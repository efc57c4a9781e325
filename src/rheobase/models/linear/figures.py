"""Drawings of the linear family, each with the words that belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rheobase import metrics
from rheobase.models.base import Drawing, Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

    from rheobase.models.decoding.decode import Decoder
    from rheobase.models.decoding.examples import Examples
    from rheobase.models.linear.artefacts import Learnt

COLOURS = {
    "linear": "#0072B2",
    "persistence": "#D55E00",
    "ar1": "#009E73",
    "training_mean": "#666666",
}
"""Okabe and Ito's palette, told apart with every kind of colour vision."""
MARKS = {"linear": "o", "persistence": "s", "ar1": "^", "training_mean": ""}
WORDS = {
    "linear": "ridge VAR",
    "persistence": "persistence",
    "ar1": "AR(1) per unit",
    "training_mean": "training mean",
}
LONGEST_TRACE = 2000
MOST_NAMED = 30
"""Units that are still written out along an axis."""


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Return an empty figure, sized in inches, and its one pair of axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=10)
    return figure, axes


def forecast(scores: Sequence[Score], horizons: Sequence[int]) -> Drawing:
    """Return explained variance against horizon, the model beside its rivals."""
    import pandas as pd

    order = np.argsort(horizons)
    ahead = np.asarray(horizons)[order]
    lines = {"linear": [scores[i].value for i in order]}
    lines |= {name: [scores[i].rivals[name] for i in order] for name in scores[0].rivals}
    figure, axes = canvas(6, 3.6)
    for name, values in lines.items():
        plain = name == "training_mean"
        axes.plot(
            ahead, values, color=COLOURS[name], marker=MARKS[name], label=WORDS[name],
            linestyle="--" if plain else "-", linewidth=1 if plain else 1.8,
        )  # fmt: skip
    low = min(min(values) for values in lines.values())
    axes.set_ylim(max(low, -1) - 0.05, 1.02)
    axes.set_xticks(ahead)
    axes.set_xlabel("samples ahead", fontsize=11)
    axes.set_ylabel("explained variance R²", fontsize=11)
    axes.legend(frameon=False, fontsize=10)
    best = max(lines, key=lambda name: lines[name][0])
    caption = (
        "Share of the test part's variance about the training mean that each forecast explains, by "
        "how many samples ahead it looks. Higher is better; 0 is as good as always naming the "
        "training mean. A model has learnt dynamics between units only where it lies above AR(1), "
        "which knows each unit's own past alone. Values below -1 lie outside the panel."
    )
    alt = (
        f"Lines of R² over {len(ahead)} horizons for {len(lines)} forecasts; at {ahead[0]} sample "
        f"ahead {WORDS[best]} is highest with {lines[best][0]:.2f}."
    )
    data = pd.DataFrame({"horizon_samples": ahead, **lines})
    return Drawing(figure, "Forecasts beside their rivals", caption, alt, data)


def connectivity(learnt: Learnt, unit: str) -> Drawing:
    """Return the training part's mean correlation matrix, ordered by network where known."""
    import pandas as pd

    names = np.asarray(learnt.units)
    networks = np.asarray(learnt.networks)
    order = np.argsort(networks, kind="stable") if len(networks) else np.arange(len(names))
    matrix = learnt.correlation[np.ix_(order, order)]
    away = metrics.edges(matrix)
    limit = max(float(np.quantile(np.abs(away), 0.99)), 0.05) if len(away) else 1.0
    figure, axes = canvas(5.4, 4.6)
    image = axes.imshow(
        np.where(np.eye(len(matrix), dtype=bool), np.nan, matrix), cmap="PuOr_r", vmin=-limit,
        vmax=limit, interpolation="nearest",
    )  # fmt: skip
    bar = figure.colorbar(image, ax=axes, shrink=0.85)
    bar.set_label("shrunk correlation", fontsize=11)
    if len(networks):
        _network_ticks(axes, networks[order])
    else:
        _unit_ticks(axes, names, unit)
    caption = (
        f"Correlation between {unit}s, the mean over training recordings, each shrunk towards "
        "independence by Ledoit and Wolf's rule. Orange: the two move together; purple: against "
        f"each other; white: unrelated. The diagonal is left out; colours end at {limit:.2f}, the "
        "99th percentile of magnitude."
        + (f" {unit.capitalize()}s are ordered by network; blocks on the diagonal are networks "
           "that hang together." if len(networks) else "")
    )  # fmt: skip
    mean = float(away.mean()) if len(away) else 0.0
    alt = f"Matrix of {len(names)} by {len(names)} {unit}s; mean correlation {mean:.2f}."
    data = pd.DataFrame(matrix, index=names[order], columns=names[order])
    data = data.round(4).rename_axis(unit).reset_index()
    return Drawing(figure, "Static connectivity", caption, alt, data)


def _unit_ticks(axes: Axes, names: np.ndarray, unit: str) -> None:
    axes.spines[:].set_visible(False)
    axes.set_xlabel(unit, fontsize=11)
    axes.set_ylabel(unit, fontsize=11)
    if len(names) <= MOST_NAMED:
        axes.set_xticks(range(len(names)), names.tolist(), fontsize=8, rotation=90)
        axes.set_yticks(range(len(names)), names.tolist(), fontsize=8)
        return
    _whole_ticks(axes.xaxis, axes.yaxis)


def _whole_ticks(*along: Axis) -> None:
    from matplotlib.ticker import MaxNLocator

    for axis in along:
        axis.set_major_locator(MaxNLocator(integer=True))


def _network_ticks(axes: Axes, networks: np.ndarray) -> None:
    axes.spines[:].set_visible(False)
    labels, start, count = np.unique(networks, return_index=True, return_counts=True)
    middle = start + (count - 1) / 2
    axes.set_yticks(middle, labels, fontsize=9)
    axes.set_xticks(middle, labels, fontsize=9, rotation=90)
    for edge in start[1:] - 0.5:
        axes.axhline(edge, color="#444444", linewidth=0.5)
        axes.axvline(edge, color="#444444", linewidth=0.5)


def confusion(decoder: Decoder, examples: Examples, label: str) -> Drawing:
    """Return which classes are taken for which on the test part."""
    import pandas as pd

    predicted = decoder.output(examples.x)
    classes = np.unique(np.concatenate([decoder.classes, examples.y]))
    counts = metrics.confusion(examples.y, predicted, classes)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = float(np.clip(2.2 + 0.45 * len(classes), 3.4, 9))
    figure, axes = canvas(size + 1, size)
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, shrink=0.85).set_label("share of the true class", fontsize=11)
    ticks: dict[str, Any] = {"ticks": range(len(classes)), "labels": classes.tolist()}
    axes.set_xticks(**ticks, rotation=90 if max(map(len, classes)) > 3 else 0)
    axes.set_yticks(**ticks)
    if len(classes) <= 12:
        for row, column in np.ndindex(share.shape):
            ink = "white" if share[row, column] > 0.55 else "black"
            axes.text(column, row, f"{share[row, column]:.2f}", ha="center", va="center", color=ink,
                      fontsize=8)  # fmt: skip
    axes.set_xlabel(f"decoded {label}", fontsize=11)
    axes.set_ylabel(f"true {label}", fontsize=11)
    accuracy = metrics.balanced_accuracy(examples.y, predicted)
    caption = (
        "Each row is a true class of the test part, each number the share of its examples that "
        "were decoded as the class below. All on the diagonal would be perfect; the mean of the "
        f"diagonal over the classes that occur is the balanced accuracy, {accuracy:.2f}. An empty "
        "row is a class that the test part does not hold."
    )
    alt = f"Confusion matrix of {len(classes)} classes; balanced accuracy {accuracy:.2f}."
    data = pd.DataFrame(counts, columns=classes).assign(true=classes)
    return Drawing(figure, f"Decoding {label}", caption, alt, data)


def trace(decoder: Decoder, examples: Examples, label: str) -> Drawing:
    """Return true and decoded values of the test part."""
    import pandas as pd

    predicted = decoder.output(examples.x)
    score = metrics.r2(examples.y, predicted, centre=decoder.centre)
    data = pd.DataFrame({"true": examples.y, "decoded": predicted})
    figure, axes = canvas(7, 3.2)
    if examples.within:
        data.insert(0, "sample", np.arange(len(data)))
        data = data.iloc[:: -(-len(data) // LONGEST_TRACE)]
        axes.plot(data["sample"], data["true"], color="#444444", linewidth=1.2, label="true")
        axes.plot(
            data["sample"], data["decoded"], color=COLOURS["linear"], linewidth=1.2, label="decoded"
        )
        axes.axhline(decoder.centre, color=COLOURS["training_mean"], linestyle="--", linewidth=1)
        axes.set_xlabel("labelled sample of the test part", fontsize=11)
        _whole_ticks(axes.xaxis)
        axes.set_ylabel(label, fontsize=11)
        axes.legend(frameon=False, fontsize=10)
        reading = (
            "The closer the blue line follows the grey one, the better; dashed: training mean."
        )
    else:
        axes.plot(data["true"], data["decoded"], "o", color=COLOURS["linear"])
        axes.axline((decoder.centre, decoder.centre), slope=1, color="#666666", linestyle="--")
        axes.set_xlabel(f"true {label}", fontsize=11)
        axes.set_ylabel(f"decoded {label}", fontsize=11)
        reading = "Each dot is a recording; on the dashed line the decoded value is the true one."
    caption = f"{label} of the test part, true and decoded. {reading} R² is {score:.2f}."
    alt = f"True and decoded {label} of {len(examples.y)} test examples; R² {score:.2f}."
    return Drawing(figure, f"Decoding {label}", caption, alt, data)

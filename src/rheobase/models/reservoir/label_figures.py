"""The decoded label: confusions of classes, or the course of a value."""

from __future__ import annotations

import numpy as np

from rheobase import metrics
from rheobase.models.base import Drawing
from rheobase.models.reservoir import canvas
from rheobase.models.reservoir.canvas import COLOURS, NORMAL, SMALL
from rheobase.models.reservoir.probe import Decoded

LONGEST = 2000
MOST_WRITTEN = 10
"""Classes whose cells still hold numbers"""


def confusion(found: Decoded, label: str) -> Drawing:
    """Return how often each class was decoded as which, mean over reservoirs."""
    import pandas as pd

    judge = found.judge()
    y, known = found.examples.y, found.classes
    classes = np.unique(np.concatenate([known, y]))
    counts = np.mean([metrics.confusion(y, judge.output(one), classes)
                      for one in found.outputs[found.own]], axis=0)  # fmt: skip
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = canvas.empty(min(3.2 + 0.18 * len(classes), 5.5))
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row in range(len(classes)) if len(classes) <= MOST_WRITTEN else []:
        for column in range(len(classes)):
            value = share[row, column]
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8,
                      color="white" if value > 0.55 else "#222222")  # fmt: skip
    axes.set_xticks(range(len(classes)), classes, fontsize=SMALL, rotation=45, ha="right")
    axes.set_yticks(range(len(classes)), classes, fontsize=SMALL)
    axes.set_xlabel(f"decoded {label}", fontsize=NORMAL)
    axes.set_ylabel(f"true {label}", fontsize=NORMAL)
    accuracy = float(found.values(found.own).mean())
    caption = (
        "Each row is a true class of the test part, each number the share of its windows that were "
        "decoded as the class below, the mean over reservoirs. The mean of the diagonal over the "
        f"classes that occur is the balanced accuracy, {accuracy:.2f}."
    )
    alt = f"Confusion matrix of {len(classes)} classes; balanced accuracy {accuracy:.2f}."
    data = pd.DataFrame(counts.round(2), columns=classes).assign(true=classes)
    return Drawing(figure, f"Decoding {label}", caption, alt, data)


def trace(found: Decoded, label: str) -> Drawing:
    """Return true and decoded values of the test part, the mean over reservoirs."""
    import pandas as pd

    told = found.outputs[found.own][:, :, 0].mean(axis=0)
    score = float(found.values(found.own).mean())
    data = pd.DataFrame({"place": np.arange(len(told)), "true": found.examples.y, "decoded": told})
    data = data.iloc[:: -(-len(data) // LONGEST)]
    figure = canvas.empty(2.8)
    axes = canvas.plain(figure.subplots(), y=label)
    if found.examples.within:
        axes.set_xlabel("labelled sample of the test part", fontsize=NORMAL)
        axes.plot(data["place"], data["true"], color="#444444", linewidth=1.1, label="true")
        axes.plot(data["place"], data["decoded"], color=COLOURS[found.own], linewidth=1.1,
                  label="decoded")  # fmt: skip
        axes.legend(frameon=False, fontsize=SMALL)
        reading = "The closer the blue line follows the grey one, the better."
    else:
        axes.plot(data["true"], data["decoded"], "o", color=COLOURS[found.own])
        axes.axline((found.centre, found.centre), slope=1, color="#666666", linestyle="--")
        axes.set_xlabel(f"true {label}", fontsize=NORMAL)
        reading = "Each dot is a recording; on the dashed line the decoded value is the true one."
    caption = (
        f"{label} of the test part, true and decoded (mean over reservoirs). {reading} Mean R² of "
        f"single reservoirs is {score:.2f}."
    )
    alt = f"True and decoded {label} of {len(told)} test examples; R² {score:.2f}."
    return Drawing(figure, f"Decoding {label}", caption, alt, data)

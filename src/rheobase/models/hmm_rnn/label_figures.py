"""Which states go with which class of a label."""

from __future__ import annotations

import numpy as np

from rheobase.models import canvas
from rheobase.models.base import Drawing
from rheobase.models.canvas import NORMAL, SMALL
from rheobase.models.hmm_rnn import labelled
from rheobase.models.hmm_rnn.labelled import Labelled

MOST_WRITTEN = 10


def meeting(found: Labelled, path: np.ndarray, states: int, label: str) -> Drawing:
    """Return the share of each class's time that every state holds."""
    import pandas as pd

    counts = labelled.table(found, path.astype(int), states)
    share = counts / counts.sum(axis=1, keepdims=True)
    classes = found.classes.astype(str)
    figure = canvas.empty(min(1.8 + 0.28 * len(classes), 5.0))
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(share.shape) if len(classes) <= MOST_WRITTEN else ():
        axes.text(column, row, f"{share[row, column]:.2f}", ha="center", va="center", fontsize=8,
                  color="white" if share[row, column] > 0.55 else "#222222")  # fmt: skip
    axes.set_xticks(range(states), [str(k + 1) for k in range(states)], fontsize=SMALL)
    axes.set_yticks(range(len(classes)), classes, fontsize=SMALL)
    axes.set_xlabel("state", fontsize=NORMAL)
    axes.set_ylabel(label, fontsize=NORMAL)
    caption = (
        f"Share of the samples of each class of {label} in the test part that the path spends in "
        f"each state. Adjusted Rand index {labelled.rand(counts):.2f} (0: as by chance, 1: the "
        "same grouping). States were found without labels."
    )
    alt = f"Table of {len(classes)} classes by {states} states."
    data = pd.DataFrame(counts.astype(int), columns=[f"state_{k + 1}" for k in range(states)])
    data.insert(0, "class", classes)
    return Drawing(figure, f"States beside {label}", caption, alt, data)

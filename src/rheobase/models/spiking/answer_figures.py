"""What was answered, and when."""

from __future__ import annotations

import numpy as np

from rheobase import metrics
from rheobase.models import canvas
from rheobase.models.base import Drawing
from rheobase.models.canvas import BLUE, GREEN, GREY, NORMAL, ORANGE, PINK, SMALL
from rheobase.models.spiking import confidence
from rheobase.models.spiking.probe import Judged

MOST_WRITTEN = 10
"""Classes whose cells still hold numbers"""
LONGEST = 2000
RIVALS = {"lda": "LDA on features", "ridge": "ridge regression on features",
          "mlp": "perceptron on features",
          "cnn": "convolutional network", "gru": "gated recurrent network"}  # fmt: skip


def confusion(found: Judged, label: str) -> Drawing:
    """Return how often each class was decoded as which, after whole windows."""
    import pandas as pd

    y = found.examples.y
    classes = np.unique(np.concatenate([found.learnt.classes, y]))
    counts = metrics.confusion(y, found.full, classes)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = canvas.empty(min(3.2 + 0.18 * len(classes), 5.5))
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(share.shape) if len(classes) <= MOST_WRITTEN else ():
        axes.text(column, row, f"{share[row, column]:.2f}", ha="center", va="center", fontsize=8,
                  color="white" if share[row, column] > 0.55 else "#222222")  # fmt: skip
    axes.set_xticks(range(len(classes)), classes, fontsize=SMALL, rotation=45, ha="right")
    axes.set_yticks(range(len(classes)), classes, fontsize=SMALL)
    axes.set_xlabel(f"decoded {label}", fontsize=NORMAL)
    axes.set_ylabel(f"true {label}", fontsize=NORMAL)
    accuracy = metrics.balanced_accuracy(y, found.full)
    caption = (
        "Each row is a true class of the test part, each number the share of its windows that were "
        "decoded as the class below, after whole windows. The mean of the diagonal over the "
        f"classes that occur is the balanced accuracy, {accuracy:.2f}."
    )
    alt = f"Confusion matrix of {len(classes)} classes; balanced accuracy {accuracy:.2f}."
    data = pd.DataFrame(counts, columns=classes).assign(true=classes)
    return Drawing(figure, f"Decoding {label}", caption, alt, data)


def trace(found: Judged, label: str) -> Drawing:
    """Return true and decoded values of the windows of the test part, in order."""
    import pandas as pd

    y, told = found.examples.y, found.evidence[-1, :, 0]
    score = metrics.r2(y, told, centre=found.learnt.target.centre)
    data = pd.DataFrame({"window": np.arange(len(y)), "true": y, "decoded": told})
    data = data.iloc[:: -(-len(data) // LONGEST)]
    figure = canvas.empty(2.8)
    axes = canvas.plain(figure.subplots(), x="window of the test part", y=label)
    axes.plot(data["window"], data["true"], color=GREY, linewidth=1.1, label="true")
    axes.plot(data["window"], data["decoded"], color=BLUE, linewidth=1.1, label="decoded")
    axes.legend(frameon=False, fontsize=SMALL)
    caption = (
        f"{label} of the test part, mean over each window, true and decoded. The closer the blue "
        f"line follows the grey one, the better. R² is {score:.2f}."
    )
    alt = f"True and decoded {label} of {len(y)} windows; R² {score:.2f}."
    return Drawing(figure, f"Decoding {label}", caption, alt, data)


def over_time(found: Judged) -> Drawing:
    """Return accuracy over the window, the early answers, what an oracle would reach, and rivals.

    Below: when windows were answered.
    """
    import pandas as pd

    curve, right, (step, unit) = found.curve(), found.right(), found.scale.step
    y = found.examples.y
    time = np.arange(1, len(curve) + 1) * step
    ever = found.balanced(np.maximum.accumulate(right, axis=0))
    stays = found.balanced(np.minimum.accumulate(right[::-1], axis=0)[::-1])
    early = metrics.balanced_accuracy(y, found.early)
    mean = float(found.stop.mean()) * step
    rivals = {name: metrics.balanced_accuracy(y, told) for name, told in found.rivals.items()}
    best = max(rivals, key=lambda name: rivals[name])
    figure = canvas.empty(4.2)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    canvas.plain(upper, y="balanced accuracy")
    upper.plot(time, ever, color=GREEN, linestyle=":", label="oracle: right once so far")
    upper.plot(time, stays, color=PINK, linestyle="-.", label="oracle: right from here on")
    upper.plot(time, curve, color=BLUE, label="all answered at this time")
    upper.plot([mean], [early], "o", color=ORANGE, markersize=8, label="early answers, mean time")
    upper.axhline(rivals[best], color=GREY, linestyle="--", linewidth=1,
                  label=f"{RIVALS[best]}, whole window")  # fmt: skip
    upper.set_ylim(0, 1.02)
    upper.legend(frameon=False, fontsize=SMALL - 1, loc="lower right")
    canvas.plain(lower, x=f"time in the window ({unit})", y="windows")
    counts = np.bincount(found.stop, minlength=len(curve) + 1)[1:]
    lower.bar(time, counts, width=0.9 * step, color=ORANGE)
    first, stable = confidence.oracle(found.ran.steps, found.numbers())
    half, most, nearly = np.percentile(found.stop, [50, 90, 99]) * step
    caption = (
        f"Above, accuracy if every window were answered at the same time (blue), and that of early "
        f"answers at their mean time (dot): {early:.3f} after {mean:.3g} {unit}, against "
        f"{curve[-1]:.3f} after whole windows. Validation promised "
        f"{found.learnt.rule.promised_share * time[-1]:.3g} {unit} for "
        f"{100 * found.learnt.rule.promised_loss:.2g} points. Below, when windows were answered: "
        f"50, 90 and 99 % by {half:.3g}, {most:.3g} and {nearly:.3g} {unit}. Oracles know the "
        "label, so they cannot be had: the first right answer comes after "
        f"{first.mean_step * step:.3g} {unit}, answers stay right from "
        f"{stable.mean_step * step:.3g} {unit} on."
    )
    alt = (
        f"Accuracy rises to {curve[-1]:.2f} over the window; early answers reach {early:.2f} after "
        f"{mean:.3g} {unit} on average."
    )
    data = pd.DataFrame({f"time_{unit}": time, "all_at_this_time": curve, "right_once": ever,
                         "right_from_here_on": stays, "windows_answered": counts})  # fmt: skip
    return Drawing(figure, "Accuracy over the window and early answers", caption, alt, data)

"""All drawings of one fit, and of what early answers were promised to cost in several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rheobase.models import canvas
from rheobase.models.base import Drawing, Fitted, Placed
from rheobase.models.canvas import BLUE, NORMAL, ORANGE, SMALL
from rheobase.models.spiking import answer_figures, probe, spike_figures

if TYPE_CHECKING:
    from rheobase.models.spiking import Spiking
    from rheobase.recording import Recording


def draw(model: Spiking, fitted: Fitted, test: Sequence[Recording]) -> dict[str, Drawing]:
    """Return all drawings of a fit."""
    found = probe.judged(model, fitted, test)
    label = test[0].label_name or "label"
    made: dict[str, Drawing | None] = {}
    if found.values:
        made["decoding"] = answer_figures.trace(found, label)
    else:
        made["decoding"] = answer_figures.confusion(found, label)
        made["over_time"] = answer_figures.over_time(found)
    made |= {
        "window": spike_figures.window(found),
        "operations": spike_figures.operations(found),
        "rates": spike_figures.rates(found),
        "training": _training(fitted),
    }
    return {name: drawing for name, drawing in made.items() if drawing is not None}


def _training(fitted: Fitted) -> Drawing | None:
    """Return the course of training; None where it was not kept."""
    import pandas as pd

    history = fitted.history
    if not history.get("loss"):
        return None
    epoch = np.arange(1, len(history["loss"]) + 1)
    figure = canvas.empty(2.6)
    axes = canvas.plain(figure.subplots(), x="epoch", y="loss")
    axes.plot(epoch, history["loss"], "o-", color=BLUE, markersize=3, label="windows learnt from")
    axes.plot(epoch, history["validation_loss"], "s-", color=ORANGE, markersize=3,
              label="validation")  # fmt: skip
    axes.legend(frameon=False, fontsize=SMALL)
    best = int(np.argmin(history["validation_loss"])) + 1
    caption = (
        f"Loss, with the penalty on spikes, after each epoch. The weights of epoch {best} were "
        "kept: the least on trials that were not learnt from."
    )
    alt = f"Two curves of the loss over {len(epoch)} epochs; validation is least at {best}."
    data = pd.DataFrame({"epoch": epoch, **history})
    return Drawing(figure, "The course of training", caption, alt, data)


def across(fits: Sequence[Placed]) -> dict[str, Drawing]:
    """Return steps and losses that the validation part promised, one dot a fit."""
    import pandas as pd

    several = len({one.dataset for one in fits}) > 1
    rows = [
        {
            "fit": one.named(several=several),
            "share_of_steps": float(one.fitted.arrays["promised_share"]),
            "loss_points": 100 * float(one.fitted.arrays["promised_loss"]),
            "validation_accuracy": float(one.fitted.arrays["validation"][-1]),
        }
        for one in fits
        if not bool(one.fitted.arrays["values"])
    ]
    if len(rows) < 2:
        return {}
    data = pd.DataFrame(rows)
    figure = canvas.empty(2.8)
    axes = canvas.plain(figure.subplots(), x="share of the window's steps",
                        y="accuracy on validation")  # fmt: skip
    axes.plot(data["share_of_steps"], data["validation_accuracy"] - data["loss_points"] / 100,
              "o", color=BLUE, label="early answers")  # fmt: skip
    axes.plot(np.ones(len(data)), data["validation_accuracy"], "s", color=ORANGE,
              label="whole windows")  # fmt: skip
    axes.set_xlim(0, 1.05)
    axes.legend(frameon=False, fontsize=SMALL)
    axes.xaxis.label.set_fontsize(NORMAL)
    shares = data["share_of_steps"].to_numpy()
    never = int((shares >= 1).sum())
    caption = (
        "What each fit's validation part promised: accuracy of early answers beside that of whole "
        f"windows. {never} of {len(data)} fits never answer early."
    )
    alt = (
        f"Dots of {len(data)} fits; early answers take "
        f"{shares.min():.2f} to {shares.max():.2f} of the steps."
    )
    return {"promised": Drawing(figure, "Early answers as promised", caption, alt, data)}

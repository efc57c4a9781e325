"""How an affinity comes about: two units with their signals, drives and affinity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from rheobase.models.base import Drawing
from rheobase.models.connectome import canvas
from rheobase.models.connectome.artefacts import Learnt
from rheobase.models.connectome.canvas import BLUE, ORANGE, SMALL
from rheobase.models.connectome.courses import Placed
from rheobase.models.connectome.kernels import WINDOW_CORR
from rheobase.models.connectome.layout import pair_indices
from rheobase.models.connectome.settings import AffinitySettings
from rheobase.models.inputs import by_name
from rheobase.recording import Recording

BINS = 120
DRIVES = {
    "derivative": "The drive is how fast the smoothed signal rises (above 0) or falls (below 0), "
    "after a gate for noise",
    "deconvolved": "The drive is the smoothed events that were found in the signal",
    "zpos": "The drive is how far the signal is above its mean",
}
KERNEL_WORDS = {
    "geomean": "the geometric mean of both", "product": "the product of both",
    "min": "the smaller of both", "ratio": "the geometric mean of both times their ratio",
    "codirectional": "the geometric mean of both where they agree in direction, else 0",
}  # fmt: skip
MEANING = {
    "derivative": "so it is high where both change at once{way} and 0 where one rests",
    "deconvolved": "so it is high where both have events and 0 where one has none",
    "zpos": "so it is high where both are high and 0 where one is not",
}


def pair(
    learnt: Learnt, there: Sequence[Placed], test: Sequence[Recording], how: AffinitySettings
) -> Drawing:  # fmt: skip
    """Return the strongest pair of the first component in the first recording of the test part."""
    import pandas as pd

    one = there[0]
    i, j = strongest(learnt, one)
    names = [one.arrangement.units[k] for k in (i, j)]
    signed = one.arrangement.signed[[i, j], 0]
    value = one.tensor.values(torch.tensor([i]), torch.tensor([j]), slice(None))[0].numpy()
    part = busiest(value, BINS)
    frames = one.arrangement.plan.frames[0, part].ravel()
    signals, clock = _traces(one, test, names, frames)
    bins = clock[:: len(frames) // (part.stop - part.start)]
    windowed = how.kernel == WINDOW_CORR
    figure = canvas.empty(3.8 if windowed else 5.0)
    top, *middle, bottom = figure.subplots(2 if windowed else 3, 1, sharex=True)
    for row, colour, name in zip(signals.T, (BLUE, ORANGE), names, strict=True):
        top.plot(clock, row, color=colour, linewidth=0.9, label=name)
    canvas.plain(top, y="signal").legend(frameon=False, fontsize=SMALL, ncols=2)
    for axes in middle:
        for row, colour in zip(signed[:, part], (BLUE, ORANGE), strict=True):
            axes.step(bins, row, where="post", color=colour, linewidth=0.9)
        canvas.plain(axes, y="drive")
    bottom.fill_between(bins, value[part], step="post", color=canvas.GREEN, alpha=0.7)
    canvas.plain(bottom, x=f"time ({test[0].time_unit})", y="affinity")
    bottom.set_ylim(0, 1)
    caption = (
        f"{names[0]} and {names[1]}, the strongest pair of component 1, in {one.frames.name} (test "
        f"part), where their affinity is highest. {_words(how, one, test[0].time_unit)} Bins of "
        f"{learnt.bin_s:.3g} {test[0].time_unit}."
    )
    table = pd.DataFrame({"time": bins, names[0]: signed[0, part], names[1]: signed[1, part],
                          "affinity": value[part]}).round(4)  # fmt: skip
    alt = f"Signals, drives and affinity of {names[0]} and {names[1]}."
    return Drawing(figure, "How two units come by their affinity", caption, alt, table)


def _words(how: AffinitySettings, one: Placed, time_unit: str) -> str:
    """Return how signals become drives and these an affinity, in sentences."""
    if how.kernel == WINDOW_CORR:
        lasts = one.frames.drive.window / one.frames.drive.rate
        return (
            f"The affinity is the correlation of both signals within {lasts:.3g} {time_unit} "
            "around the moment, and 0 where that is negative."
        )
    way = "" if how.kernel == "codirectional" else ", in whatever direction,"
    meaning = MEANING[how.drive].format(way=way)
    return f"{DRIVES[how.drive]}; the affinity is {KERNEL_WORDS[how.kernel]}, {meaning}."


def strongest(learnt: Learnt, one: Placed) -> tuple[int, int]:
    """Return the two units of a recording with the largest weight in component 1."""
    from rheobase.models.connectome.holdout import restricted

    pattern = learnt.matrix("pattern")[:1]
    own = restricted(pattern, one.chosen, len(learnt.units))[0]
    rows, columns = pair_indices(len(one.chosen), "cpu")
    active = np.abs(one.arrangement.signed[:, 0]).mean(axis=1)
    weight = own.numpy() * np.sqrt(active[rows.numpy()] * active[columns.numpy()])
    best = int(np.argmax(weight))
    return int(rows[best]), int(columns[best])


def busiest(value: np.ndarray, width: int) -> slice:
    """Return the stretch of at most ``width`` bins with the largest sum."""
    width = min(width, len(value))
    sums = np.convolve(value, np.ones(width), mode="valid")
    start = int(np.argmax(sums))
    return slice(start, start + width)


def _traces(
    one: Placed, test: Sequence[Recording], names: Sequence[str], frames: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the signals of two units at these frames, (frame, 2), and their time."""
    parts = by_name(test)[one.frames.name]
    places = [parts[0].unit_names.index(name) for name in names]
    signal = np.concatenate([r.signal[:, places] for r in parts])[frames]
    time = np.concatenate([r.time for r in parts])[frames]
    return signal, time

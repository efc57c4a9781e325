"""When the states are visited, how long, and how often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rheobase.models import canvas
from rheobase.models.base import Drawing
from rheobase.models.canvas import NORMAL, SMALL
from rheobase.models.hmm_rnn import stats
from rheobase.models.hmm_rnn.state_figures import colour
from rheobase.models.hmm_rnn.stats import Interval

if TYPE_CHECKING:
    import xarray as xr

    from rheobase.models.hmm_rnn.output import Seen

LONGEST = 1000
"""Samples of the course that are drawn"""
PANELS = {"occupancy": "share of time", "lifetime_s": "stay", "interval_s": "time between visits",
          "entries_hz": "entries"}  # fmt: skip


def course(seen: Seen, unit: str) -> Drawing:
    """Return the probabilities of the states in the longest stretch of the test part."""
    import pandas as pd
    from matplotlib.colors import ListedColormap

    longest = int(np.argmax(seen.lengths))
    begin = int(np.sum(seen.lengths[:longest]))
    part = slice(begin, begin + min(seen.lengths[longest], LONGEST))
    segment = seen.series.segments[longest]
    gamma, path = seen.gamma[part], seen.path[part]
    clock = np.arange(len(gamma)) / segment.rate
    figure = canvas.empty(2.9)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    canvas.plain(above, y="probability")
    names = [f"state {k + 1}" for k in range(gamma.shape[1])]
    colours = [colour(k) for k in range(gamma.shape[1])]
    above.stackplot(clock, gamma.T, colors=colours, labels=names, linewidth=0)
    above.set_ylim(0, 1)
    above.legend(frameon=False, fontsize=SMALL - 1, ncols=6, loc="lower center",
                 bbox_to_anchor=(0.5, 1.0))  # fmt: skip
    canvas.plain(below, x=unit)
    below.imshow(path[None], cmap=ListedColormap(colours), vmin=-0.5, vmax=len(colours) - 0.5,
                 aspect="auto", interpolation="nearest",
                 extent=(clock[0], clock[-1], 0, 1))  # fmt: skip
    below.set_yticks([])
    below.set_ylabel("path", fontsize=NORMAL)
    sure = float(seen.gamma.max(axis=1).mean())
    caption = (
        f"{segment.name}, of the test part, {len(clock)} samples. Above: probability of each state "
        "given all samples; below: the most likely path. On average the likeliest state of a "
        f"sample has probability {sure:.2f} in the test part."
    )
    alt = f"Stacked probabilities of {gamma.shape[1]} states over {len(clock)} samples."
    data = pd.DataFrame(gamma.round(4), columns=[f"state_{k + 1}" for k in range(gamma.shape[1])])
    data.insert(0, "time", clock.round(4))
    return Drawing(figure, "When the states are visited", caption, alt, data.assign(path=path + 1))


def times(arrays: xr.Dataset, seen: Seen, unit: str) -> Drawing:
    """Return occupancy, stays, intervals and entries over all people, with 95 % intervals."""
    import pandas as pd

    states, rate = arrays.sizes["state"], float(arrays["rate_hz"])
    path = np.concatenate([arrays["viterbi"].values, seen.path]).astype(int)
    lengths = (*arrays["length"].values.tolist(), *seen.lengths)
    subjects = [*arrays["subject"].values.astype(str), *seen.series.subjects]
    word = canvas.whole_unit(unit)
    found, how, switching = _told(path, lengths, subjects, states, rate, int(arrays["seed"]), word)
    figure = canvas.empty(4.2)
    table: dict[str, np.ndarray] = {"state": np.arange(1, states + 1)}
    for (name, title), axes in zip(PANELS.items(), figure.subplots(2, 2).flat, strict=True):
        one = found[name]
        reach = np.nan_to_num(np.stack([one.value - one.low, one.high - one.value]).clip(0))
        axes.bar(np.arange(states), np.nan_to_num(one.value), yerr=reach, capsize=2,
                 color=[colour(k) for k in range(states)])  # fmt: skip
        tail = {"s": f" ({unit})", "hz": f" (1/{unit})"}.get(name.rpartition("_")[2], "")
        canvas.plain(axes, y=title + tail)
        axes.set_xticks(range(states), [str(k + 1) for k in range(states)])
        for part in ("value", "low", "high"):
            table[f"{name}_{part}"] = np.asarray(getattr(one, part), float).round(5)
    chain = stats.expected_dwell_s(arrays["A"].values, rate)
    table["expected_stay"] = chain.round(5)
    caption = (
        f"By state, {how}. Stays that a cut begins or ends are left out of their mean. "
        f"{switching} The transition matrix expects stays of "
        f"{', '.join(f'{v:.3g}' for v in chain)} {unit}. Numbers come from the most likely paths "
        "of the training part, and of the test part as decoded by the fit."
    )
    alt = f"Bars of four measures for {states} states."
    return Drawing(figure, "How long and how often", caption, alt, pd.DataFrame(table))


def _told(
    path: np.ndarray, lengths: Sequence[int], subjects: Sequence[str], states: int, rate: float,
    seed: int, word: str,
) -> tuple[dict[str, Interval], str, str]:  # fmt: skip
    """Return intervals by name, how they were made, and the rate of switching in words."""
    made = stats.statistics(path, lengths, states=states, rate_hz=rate, subjects=subjects)
    if len(made.subjects) > 1:
        found = {name: stats.over_subjects(getattr(made, name)) for name in PANELS}
        changes = stats.over_subjects(made.switching_hz)
        how = f"mean over {len(made.subjects)} people with its 95 % t interval"
    else:
        drawn = stats.bootstrap(path, lengths, states=states, rate_hz=rate, seed=seed)
        found = {name: drawn[name] for name in PANELS}
        changes = drawn["switching_hz"]
        how = "of one person, with 95 % intervals from blocks of ten runs drawn again"
    value, low, high = (float(v) for v in (changes.value, changes.low, changes.high))
    largest = float(np.median(made.largest))
    said = (
        f"Paths change {value:.3g} times a {word} ({low:.3g} to {high:.3g}); the largest "
        f"state of a person holds {largest:.0%} (median)"
    )
    more = "; above 50 %, states tell people apart rather than moments." if made.static else "."
    return found, how, said + more

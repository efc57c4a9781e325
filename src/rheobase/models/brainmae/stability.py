"""How alike what was learnt is: between halves of the people, seeds, folds and datasets.

Compared are likenesses of embeddings and attention, (region, region): embeddings themselves are
free up to a rotation. Nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from rheobase.models.base import Drawing, Placed
from rheobase.models.brainmae import canvas
from rheobase.models.brainmae.canvas import NORMAL, SMALL

if TYPE_CHECKING:
    import xarray as xr

THINGS = {"similarity": ("embedding similarity", "#0072B2", "o"),
          "attention": ("attention", "#E69F00", "s"),
          "connectivity": ("connectivity, for comparison", "#666666", "^")}  # fmt: skip
MOST_POINTS = 4000


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    """Return Pearson's correlation of two (region, region) matrices off the diagonal."""
    away = ~np.eye(len(one), dtype=bool)
    a, b = one[away].astype(np.float64), other[away].astype(np.float64)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def halves(arrays: xr.Dataset) -> Drawing | None:
    """Return what two halves of the training people agree on; None where none were trained."""
    import pandas as pd

    found = {name: arrays[f"half/{name}"].values for name in THINGS if f"half/{name}" in arrays}
    if not found:
        return None
    regions = arrays.sizes["unit"]
    rows, columns = np.nonzero(~np.eye(regions, dtype=bool))
    step = -(-len(rows) // MOST_POINTS)
    rows, columns = rows[::step], columns[::step]
    figure, axes = canvas.figure(3.0 * len(found), len(found), 1)
    table = {"region": arrays["unit"].values.astype(str)[rows],
             "other": arrays["unit"].values.astype(str)[columns]}  # fmt: skip
    said = []
    for one, (name, (first, second)) in zip(axes.flat, found.items(), strict=True):
        word, colour, _ = THINGS[name]
        r = agreement(first, second)
        said.append(f"{word.partition(',')[0]} {r:.2f}")
        one.scatter(first[rows, columns], second[rows, columns], s=4, alpha=0.25, color=colour,
                    linewidths=0)  # fmt: skip
        one.set_title(f"{word}: r = {r:.2f}", fontsize=NORMAL, loc="left")
        one.set_xlabel("first half of the people", fontsize=SMALL)
        one.set_ylabel("second half", fontsize=SMALL)
        table |= {f"{name}_first": first[rows, columns].round(4),
                  f"{name}_second": second[rows, columns].round(4)}  # fmt: skip
    caption = (
        "The same pretraining on each half of the training people, which share no person and no "
        f"random number. A dot is a pair of regions; correlation of the halves: {', '.join(said)}. "
        "What lies on a line is found in both; connectivity shows how alike the halves are before "
        "any training."
    )
    alt = f"Scatter of pairs of regions, half against half; correlations: {', '.join(said)}."
    return Drawing(figure, "Is it found in both halves of the people", caption, alt,
                   pd.DataFrame(table))  # fmt: skip


def across(fits: Sequence[Placed]) -> dict[str, Drawing]:
    """Return how alike fits are, by what they share; nothing where no two have the same regions."""
    import pandas as pd

    several = len({fit.dataset for fit in fits}) > 1
    rows = [
        {"pair": a.apart(b), "first": a.named(several=several),
         "second": b.named(several=several)} | {
            thing: agreement(a.fitted.arrays[thing].values, b.fitted.arrays[thing].values)
            for thing in THINGS if thing in a.fitted.arrays and thing in b.fitted.arrays
        }
        for a, b in combinations(fits, 2)
        if _comparable(a, b) and (a.dataset != b.dataset or not several)
    ]  # fmt: skip
    if not rows:
        return {}
    return {"agreement": _dots(pd.DataFrame(rows))}


def _comparable(a: Placed, b: Placed) -> bool:
    one, other = (x.fitted.arrays["unit"].values.astype(str).tolist() for x in (a, b))
    return one == other


def _dots(table) -> Drawing:  # noqa: ANN001
    pairs = list(dict.fromkeys(table["pair"]))
    things = [thing for thing in THINGS if thing in table]
    figure, ((axes,),) = canvas.figure(1.8 + 0.75 * len(pairs))
    for place, thing in zip((-0.25, 0.0, 0.25), things, strict=False):
        word, colour, mark = THINGS[thing]
        for row, pair in enumerate(pairs):
            values = table.loc[table["pair"] == pair, thing].to_numpy(float)
            axes.scatter(values, row + place + canvas.spread(len(values), 0.14), s=18, color=colour,
                         marker=mark, alpha=0.7, linewidths=0,
                         label=word if row == 0 else None)  # fmt: skip
            axes.plot([np.nanmean(values)] * 2, [row + place - 0.11, row + place + 0.11],
                      color="black")  # fmt: skip
    axes.set_yticks(range(len(pairs)), [p.replace(" and ", "\nand ") for p in pairs],
                    fontsize=SMALL)  # fmt: skip
    axes.set_ylim(len(pairs) - 0.5, -0.5)
    axes.set_xlabel("correlation of two fits over pairs of regions", fontsize=NORMAL)
    figure.legend(frameon=False, fontsize=SMALL, ncols=2, loc="outside lower center")
    said = "; ".join(
        f"{pair}: " + ", ".join(f"{THINGS[t][0].partition(',')[0]} {mean:.2f}" for t in things
                                if np.isfinite(mean := table.loc[table["pair"] == pair, t].mean()))
        for pair in pairs
    )  # fmt: skip
    notes = {"other seed": "Another seed changes nothing but chance.",
             "other fold": "Folds share part of their training people, so their agreement is no "
                           "proof for other people."}  # fmt: skip
    caption = " ".join([
        f"Each mark compares two fits over pairs of regions; the black line is the mean: {said}.",
        *(note for pair, note in notes.items() if pair in pairs),
    ])  # fmt: skip
    alt = f"Dots of correlations between fits. {said}."
    return Drawing(figure, "How alike the fits are", caption, alt, table.round(4))

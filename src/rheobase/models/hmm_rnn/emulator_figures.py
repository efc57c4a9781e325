"""How networks that emulate the chain were trained, how well they do it, and what data do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rheobase.models import canvas
from rheobase.models.base import Drawing, Fitted
from rheobase.models.canvas import BLUE, GREEN, GREY, HUES, ORANGE, SMALL
from rheobase.models.hmm_rnn import emulated, gate, symbols, targets

if TYPE_CHECKING:
    import xarray as xr

    from rheobase.models.hmm_rnn.output import Seen

SCORES = {
    "bigram": "pairs (M1)", "frequency": "shares (M2)", "volatility": "changes (M3)",
    "run_distance": "runs (M4)", "sinkhorn_ratio": "Sinkhorn (M6)", "excess_nats": "excess (M7)",
    "diversity": "variety (M8)",
}  # fmt: skip
SHOWN = 4
"""Networks whose symbol pairs are drawn"""


def draw(fitted: Fitted, seen: Seen) -> dict[str, Drawing]:
    """Return drawings of the networks as emulators; of the recording's own turning, always."""
    arrays = fitted.arrays
    made = {"data_rotation": rotation(arrays, seen)}
    if "emulator/score" in arrays:
        made = {"emulation": emulation(arrays), "symbols": pairs(arrays, seen),
                "training": training(fitted), **made}  # fmt: skip
    return made


def verdict(arrays: xr.Dataset) -> str:
    """Return in a sentence which networks may be looked into."""
    passed = arrays["emulator/passed"].values.astype(bool)
    low, high = arrays["emulator/limits"].values
    rule = (f"A network passes with an excess of {low:.3f} to {high:.3f} nats after the first "
            f"{gate.SKIPPED} steps and activity that does not grow tenfold in {gate.FOLLOWED} "
            "steps.")  # fmt: skip
    if passed.all():
        return (
            f"{rule} All {len(passed)} pass." if len(passed) > 1 else f"{rule} The one here does."
        )
    names = ", ".join(str(n) for n in arrays["emulator_member"].values[~passed])
    return (f"{rule} {int(passed.sum())} of {len(passed)} do; failed, so that nothing is said of "
            f"their inside: {names}.")  # fmt: skip


def emulation(arrays: xr.Dataset) -> Drawing:
    """Return every number of every network, in deviations of the chain's own sequences."""
    import pandas as pd

    own = arrays.sel(emulator_start=gate.STARTS[1])
    mean, spread = (own[f"emulator/null_{n}"].values for n in ("mean", "deviation"))
    values, trivial = own["emulator/score"].values, own["emulator/trivial"].values
    names = arrays["emulator_score"].values.astype(str)
    figure = canvas.empty(3.2)
    axes = canvas.plain(figure.subplots(), x="deviations from the chain's own sequences")
    axes.axvspan(-2, 2, color=GREY, alpha=0.25, linewidth=0)
    places = np.arange(len(names))[::-1]
    for k, kind in enumerate(gate.TRIVIAL):
        axes.plot((trivial[k] - mean) / np.maximum(spread, 1e-9), places, "x^"[k], color=GREY,
                  label=kind, markersize=5)  # fmt: skip
    for m, row in enumerate(values):
        axes.plot((row - mean) / np.maximum(spread, 1e-9), places, "o", color=HUES[m % len(HUES)],
                  label=f"network {m + 1}")  # fmt: skip
    axes.set_xscale("symlog", linthresh=3)
    axes.set_yticks(places, [SCORES[str(n)] for n in names], fontsize=SMALL)
    axes.legend(frameon=False, fontsize=SMALL - 1, ncols=3, loc="lower center",
                bbox_to_anchor=(0.5, 1.0))  # fmt: skip
    at = list(names).index("excess_nats")
    excess = ", ".join(f"{v:.3f}" for v in values[:, at])
    free = float(trivial[0, at])
    caption = (
        f"Numbers of the symbols that networks draw after their first {gate.SKIPPED} steps, beside "
        f"fresh sequences of the chain (grey band: two deviations), sequences without memory and "
        f"sequences without change. Excess, nats a symbol: {excess} (memoryless {free:.3f}). "
        f"{verdict(arrays)}"
    )
    rows = []
    for s, start in enumerate(gate.STARTS):
        null = {n: arrays[f"emulator/null_{n}"].values[s] for n in emulated.NULL}
        for k, name in enumerate(names):
            said = {f"network_{m + 1}": v for m, v in
                    enumerate(arrays["emulator/score"].values[s, :, k])}  # fmt: skip
            said |= {f"chain_{n}": null[n][k] for n in emulated.NULL}
            said |= {kind: arrays["emulator/trivial"].values[s, j, k]
                     for j, kind in enumerate(gate.TRIVIAL)}  # fmt: skip
            rows.append({"steps": start, "score": name, **said})
    alt = f"Dots of {len(names)} scores of {len(values)} networks on an axis of deviations."
    table = pd.DataFrame(rows).round(5)
    return Drawing(figure, "Do networks emulate the chain", caption, alt, table)


def pairs(arrays: xr.Dataset, seen: Seen) -> Drawing:
    """Return the probabilities of the next symbol: of the chain, the networks, the test part."""
    import pandas as pd

    target, refits = emulated.chains(arrays)
    read = symbols.alphabet(arrays)
    drawn, lengths = read.read(seen.path.astype(int), seen.x, seen.lengths)
    held = _bigram(drawn, lengths, target)
    drawn_by = enumerate(arrays["emulator/bigram"].values)
    shown = {"chain": target.bigram} | {f"network {m + 1}": one for m, one in drawn_by}
    shown["test part"] = held
    some = [*list(shown)[: SHOWN + 1], *(["test part"] if len(shown) > SHOWN + 2 else [])]
    some = some if "test part" in some else [*some, "test part"]
    figure = canvas.empty(2.4)
    panels = figure.subplots(1, len(some), squeeze=False)[0]
    for axes, name in zip(panels, some, strict=True):
        axes.imshow(shown[name], cmap="Blues", vmin=0, vmax=1)
        axes.set_title(name, fontsize=SMALL)
        axes.set_xticks([])
        axes.set_yticks([])
        if target.symbols <= 4 and len(some) <= 4:
            for (i, j), v in np.ndenumerate(shown[name]):
                axes.text(j, i, f"{v:.2f}", ha="center", va="center", fontsize=8,
                          color="white" if v > 0.6 else "#222222")  # fmt: skip
    off = [float(np.abs(one - target.bigram).max()) for one in arrays["emulator/bigram"].values]
    moves = [float(np.abs(one.A - target.A).max()) for one in refits]
    rate, unit = float(arrays["rate_hz"]), arrays["time_unit"].item()
    caption = (
        f"Probability of the next symbol (column) after each (row): of the chain, of networks "
        f"after their first {gate.SKIPPED} steps, and in the test part, which none of them saw. A "
        f"step is {read.stride} samples ({read.stride / rate:.3g} {unit}); symbols, in order: "
        f"{', '.join(read.names)}. Largest error beside the chain: "
        f"{', '.join(f'{v:.3f}' for v in off)}; of the transitions of a chain that is fitted to a "
        f"network's symbols: {', '.join(f'{v:.3f}' for v in moves)} (M9)."
    )
    i, j = np.indices(target.bigram.shape).reshape(2, -1)
    names = np.array(read.names)
    table = pd.DataFrame({"symbol": names[i], "next": names[j]} | {
        name.replace(" ", "_"): one[i, j].round(5) for name, one in shown.items()})  # fmt: skip
    alt = f"Matrices of {target.symbols} by {target.symbols} symbols for {', '.join(some)}."
    return Drawing(figure, "Which symbol follows: chain, networks, test part", caption, alt, table)


def _bigram(drawn: np.ndarray, lengths: tuple[int, ...], target: targets.Target) -> np.ndarray:
    """Return the probabilities of the next symbol in the test part; NaN where one never occurs."""
    count = np.zeros((target.symbols, target.symbols))
    for part in np.split(drawn, np.cumsum(lengths)[:-1]) if lengths else []:
        np.add.at(count, (part[:-1], part[1:]), 1)
    total = count.sum(axis=1, keepdims=True)
    return np.where(total > 0, count / np.maximum(total, 1), np.nan)


def training(fitted: Fitted) -> Drawing:
    """Return the course of training."""
    import pandas as pd
    from matplotlib.ticker import NullFormatter

    lines = {name: np.array(fitted.history[f"emulator_{name}"])
             for name in ("step", "moments", "bigram")}  # fmt: skip
    figure = canvas.empty(2.5)
    left, right = figure.subplots(1, 2)
    for axes, name, hue in ((left, "moments", BLUE), (right, "bigram", ORANGE)):
        canvas.plain(axes, x="step", y={"moments": "moments, squared error",
                                        "bigram": "largest error of pairs"}[name])  # fmt: skip
        axes.plot(lines["step"], lines[name], color=hue)
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    members = fitted.arrays.sizes["emulator_member"]
    caption = (
        f"Mean of {members} network{'s' * (members > 1)}, trained on fresh sequences of "
        f"{int(fitted.arrays['emulator/length'])} steps. First moments alone, then the Sinkhorn "
        "divergence with them. Flat, then a fall: before it, switching is at random."
    )
    alt = f"Two falling curves over {len(lines['step'])} points of training."
    return Drawing(figure, "Training of the emulator", caption, alt, pd.DataFrame(lines).round(6))


def rotation(arrays: xr.Dataset, seen: Seen) -> Drawing:
    """Return whether the recording itself turns around switches, in training and test part."""
    import pandas as pd

    from rheobase.models.hmm_rnn import orbits

    half = int(arrays["data_rotation/half"])
    test = orbits.data_rotation(seen.x, seen.path.astype(int), seen.lengths, half=half) \
        if seen.x.shape[1] > 1 else None  # fmt: skip
    figure = canvas.empty(2.4)
    axes = canvas.plain(figure.subplots(), x="area swept a sample around a switch", y="switches")
    rows, said = [], []
    if "data_rotation/area" in arrays:
        area = arrays["data_rotation/area"].values
        axes.hist(area, bins=30, color=BLUE, alpha=0.7, label="training part")
        rows += [{"part": "training", "area": v} for v in area]
        numbers = (float(arrays[f"data_rotation/{n}"]) for n in ("agreed", "z", "turning"))
        said.append(_turns("training part", len(area), *numbers))
    if test is not None:
        area = test.area.numpy()
        axes.hist(area, bins=30, color=GREEN, alpha=0.7, label="test part")
        rows += [{"part": "test", "area": v} for v in area]
        said.append(_turns("test part", len(area), float(test.agreed), float(test.z),
                           float(test.turning)))  # fmt: skip
    axes.axvline(0, color="#222222", linewidth=0.8)
    if rows:
        axes.legend(frameon=False, fontsize=SMALL)
    else:
        said.append("Too few switches, or a single component: not tested.")
    caption = (
        f"A test of the recording, not of an emulator. Signed area that the "
        f"recording sweeps in the plane of its first two components, {half} samples to either side "
        f"of switches of state, beside surrogates with the same spectra. {' '.join(said)} Limits "
        f"are {orbits.AGREED:.0%} one way and {orbits.BEYOND:g} deviations."
    )
    alt = f"Histogram of the area swept around {len(rows)} switches."
    table = pd.DataFrame(rows or {"part": [], "area": []}).round(5)
    return Drawing(figure, "Does the recording itself turn around switches", caption, alt, table)


def _turns(part: str, count: int, agreed: float, z: float, turning: float) -> str:
    held = "turns" if turning else "is not shown to turn"
    return (f"The {part} {held}: {agreed:.0%} of {count} switches one way, {abs(z):.1f} deviations "
            "from surrogates.")  # fmt: skip

"""How a reservoir stands: rates, targets, saturation, period-2 oscillation, stability.

With one rate r for all units, ``r = phi(beta r - theta)``; the global mode has the slope
``s = gain r (1 - r) beta`` and is unstable below -1, where all units flip at every step. After
adaptation to one rate with threshold 0, ``beta = phi^-1(r) / r`` whatever the gain, so

    s(r) = (1 - r) ln(r / (1 - r)),    stable for r above 0.2178
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import brentq
from torch import Tensor

from rheobase.models.reservoir.batched import BatchedReservoir
from rheobase.models.reservoir.engine import Block, Layout, State
from rheobase.models.reservoir.sequences import Batch, Inputs
from rheobase.models.reservoir.wiring import balanced_rows, effective_radius

WINDOW = 50
BINS = 20
PAIRS = 200
MOST_OSCILLATION = 0.05
MOST_MISSED = 0.02


def stability(rate: float) -> float:
    """Return the slope s of the global mode adapted to one rate, at threshold and leak 0."""
    return float((1 - rate) * np.log(rate / (1 - rate)))


def lowest_stable_rate() -> float:
    """Return the rate below which a reservoir adapted to one rate flips at every step."""
    return float(brentq(lambda rate: stability(rate) + 1, 0.05, 0.5))  # type: ignore[arg-type]


def common_rate(balance: float, *, gain: float, threshold: float = 0.0) -> float:
    """Return the rate r = phi(balance r - threshold) of a balanced or over-inhibited network."""

    def excess(rate: float) -> float:
        return rate - 1 / (1 + np.exp(-gain * (balance * rate - threshold)))

    return float(brentq(excess, 0.0, 1.0))  # type: ignore[arg-type]


def onset_balance(*, gain: float) -> float:
    """Return the balance below which a network without adaptation flips at every step."""

    def slope(balance: float) -> float:
        rate = common_rate(balance, gain=gain)
        return gain * rate * (1 - rate) * balance + 1

    return float(brentq(slope, -5.0, -1e-6))  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """Numbers by seed and setting, (seed, setting) each."""

    rates: np.ndarray
    """Mean rate of each unit, (seed, unit, setting)"""
    mean_rate: np.ndarray
    spread: np.ndarray
    """Standard deviation of the mean rates over units"""
    missed: np.ndarray
    """Mean distance of rates from their targets; NaN without targets"""
    saturated: np.ndarray
    """Share of units with a mean rate below 0.02 or above 0.98"""
    oscillation: np.ndarray
    """Period-2 index P2: amplitude of a flip of the population rate at every step"""
    correlation: np.ndarray
    """Mean correlation over 200 random pairs of units"""
    entropy: np.ndarray
    """Mean entropy of a unit's rate in 20 equal bins, bits"""
    balance: np.ndarray
    """Mean over units of excitation less inhibition, as it is now"""
    slope: np.ndarray
    """s = gain r (1 - r) balance at the mean rate; the global mode is unstable below -1"""
    radius: np.ndarray
    """Spectral radius of the random part at the steepest point; NaN where not asked for"""

    def warnings(self, names: list[str] | None = None) -> list[str]:
        """Return one sentence for each setting that oscillates or misses its targets."""
        said = []
        for m in range(self.mean_rate.shape[1]):
            name = names[m] if names else f"setting {m}"
            if (worst := self.oscillation[:, m].max()) > MOST_OSCILLATION:
                said.append(
                    f"{name}: all units flip at every step (P2 {worst:.2f}, limit "
                    f"{MOST_OSCILLATION}), so memory is lost; raise target rates or balance"
                )
            if (worst := np.nan_to_num(self.missed[:, m]).max()) > MOST_MISSED:
                said.append(
                    f"{name}: rates are {worst:.3f} from their targets on average (limit "
                    f"{MOST_MISSED}); adapt for more steps or lower input_scale"
                )
        return said


def diagnose(
    engine: BatchedReservoir, inputs: Inputs | Batch, *, targets: np.ndarray | None = None,
    start: State | None = None, washout: int = 50, radius: bool = False,
) -> Diagnosis:  # fmt: skip
    """Return the diagnosis of all reservoirs of an engine under these inputs.

    ``targets`` are those of the adaptation's report, (seed, unit, setting). Raises ``ValueError``
    where fewer than 50 samples are left after the washout.
    """
    watch = _Watch()
    engine.run(inputs, sink=watch, start=start, washout=washout)
    if not watch.windows.min():
        raise ValueError(
            f"a diagnosis needs {WINDOW} samples after {washout} of washout; give a longer input"
        )
    rates = watch.rates
    realised, radii = np.zeros((2, engine.seeds, engine.settings))
    for s, weights in enumerate(engine.weights):
        for m, network in enumerate(engine.networks):
            inhibition = engine.inhibitory(s, m)
            realised[s, m] = balanced_rows(weights, inhibition).mean()
            radii[s, m] = np.nan
            if radius:
                radii[s, m] = effective_radius(weights, inhibition, network.gain)
    gains = np.array([network.gain for network in engine.networks])
    mean = rates.mean(axis=1)
    missed = np.full_like(mean, np.nan)
    if targets is not None:
        missed = np.abs(rates - targets).mean(axis=1)
    return Diagnosis(
        rates=rates, mean_rate=mean, spread=rates.std(axis=1), missed=missed,
        saturated=np.mean((rates < 0.02) | (rates > 0.98), axis=1),
        oscillation=watch.oscillation / watch.windows, correlation=watch.correlation(),
        entropy=watch.entropy(), balance=realised, slope=gains * mean * (1 - mean) * realised,
        radius=radii,
    )  # fmt: skip


class _Watch:
    """A sink that sums what the diagnosis needs over time and recordings."""

    def open(self, layout: Layout) -> None:
        shape = (layout.seeds, layout.units, layout.settings)
        self.lengths = layout.lengths
        self.n = np.zeros((layout.seeds, layout.settings))
        self.total = np.zeros(shape)
        self.counts = np.zeros((BINS, *shape))
        self.oscillation = np.zeros((layout.seeds, layout.settings))
        self.windows = np.zeros((layout.seeds, layout.settings))
        generator = np.random.default_rng(0)
        first = generator.integers(layout.units, size=PAIRS)
        other = generator.integers(1, layout.units, size=PAIRS)
        self.pairs = first, (first + other) % layout.units
        self.products = np.zeros((layout.seeds, PAIRS, layout.settings))
        self.power = np.zeros(shape)

    def take(self, states: Tensor, start: int, block: Block) -> None:
        for r, recording in enumerate(range(len(self.lengths))[block.recordings]):
            kept = states[:, :, r, : max(self.lengths[recording] - start, 0)].double()
            if kept.numel():
                self._add(kept.permute(2, 0, 3, 1), (block.seeds, block.settings))

    def _add(self, states: Tensor, at: tuple[slice, slice]) -> None:
        """Add the states (time, seed, unit, setting) of one recording."""
        by_unit = (at[0], slice(None), at[1])
        self.n[at] += len(states)
        self.total[by_unit] += states.sum(0).cpu().numpy()
        self.power[by_unit] += (states**2).sum(0).cpu().numpy()
        bins = (states * BINS).long().clamp_(0, BINS - 1)
        for number in range(BINS):
            self.counts[(number, *by_unit)] += (bins == number).sum(0).cpu().numpy()
        product = (states[:, :, self.pairs[0]] * states[:, :, self.pairs[1]]).sum(0)
        self.products[by_unit] += product.cpu().numpy()
        whole = len(states) // WINDOW * WINDOW
        if whole:
            course = states[:whole].mean(2).unflatten(0, (-1, WINDOW))
            sign = 1 - 2 * (torch.arange(WINDOW, device=states.device) % 2)
            course = (course - course.mean(1, keepdim=True)) * sign[:, None, None]
            self.oscillation[at] += course.mean(1).abs().sum(0).cpu().numpy()
            self.windows[at] += len(course)

    @property
    def rates(self) -> np.ndarray:
        return self.total / self.n[:, None]

    def correlation(self) -> np.ndarray:
        mean = self.rates
        deviation = np.sqrt(np.maximum(self.power / self.n[:, None] - mean**2, 1e-12))
        first, second = self.pairs
        shared = self.products / self.n[:, None] - mean[:, first] * mean[:, second]
        return (shared / (deviation[:, first] * deviation[:, second])).mean(axis=1)

    def entropy(self) -> np.ndarray:
        share = self.counts / self.n[:, None]
        safe = np.where(share > 0, share, 1.0)
        return -(safe * np.log2(safe)).sum(axis=0).mean(axis=1)

"""What a reservoir is made of: its hyperparameters, checked.

Defaults are those of docs/reservoir.md; beta and rho are of Srinivasan, Plenz and Girvan (2025).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

LOWEST_STABLE_RATE = 0.22
"""Just above rho_c = 0.2178, below which a homogeneous reservoir flips between two states."""
STRUCTURE = ("n_units", "frac_exc", "degree", "topology", "weight_cv", "frac_input")
"""The fields that the drawn weights depend on; columns of one engine share them."""


@dataclass(frozen=True)
class Network:
    """One reservoir: how it is wired, and how its units answer.

    ``V[t+1] = leak V[t] + (A_E - A_I) r[t] + W_in u[t]``, ``r = 1 / (1 + exp(-gain (V - theta)))``.
    """

    n_units: int = 500
    """N, excitatory units first."""
    frac_exc: float = 0.8
    """Share of excitatory units, in (0, 1)."""
    degree: int = 50
    """Mean number of inputs from the reservoir to a unit, both kinds together."""
    topology: Literal["er", "fixed"] = "er"
    """``er``: every pair is joined by chance; ``fixed``: every unit has exactly ``degree`` inputs
    (chosen here)."""
    weight_cv: float = 0.2
    """Standard deviation of the weights over their mean."""
    gain: float = 10.0
    """Steepness c of the sigmoid."""
    threshold: float | tuple[float, ...] = 0.0
    """theta, one for all units or one each."""
    leak: float | tuple[float, ...] = 0.0
    """lambda in [0, 1), what is left of V after a step; one for all units or one each."""
    frac_input: float = 0.3
    """Share of units that receive the input, in (0, 1]."""
    input_scale: float = 0.5
    """Full width of the uniform law of the input weights, over the root of the channels."""
    balance: float = 0.0
    """beta, at most 1: 0 balanced, above excitation dominates, below inhibition does."""

    def __post_init__(self) -> None:
        _refuse_structure(self)
        _refuse_answer(self)

    @property
    def n_exc(self) -> int:
        """Return the number of excitatory units."""
        return round(self.frac_exc * self.n_units)

    @property
    def structure(self) -> tuple[object, ...]:
        """Return the values that the drawn weights depend on."""
        return tuple(getattr(self, name) for name in STRUCTURE)

    @property
    def washout(self) -> int:
        """Return the samples after which the start is forgotten, ``max(50, 5 / (1 - leak))``."""
        return max(50, int(np.ceil(round(5 / (1 - float(np.max(self.leak))), 6))))


@dataclass(frozen=True)
class Target:
    """The rate that each unit is held at."""

    law: Literal["homogeneous", "beta", "uniform"] = "beta"
    rate: float = 0.5
    """The one rate of ``homogeneous``."""
    a: float = 5.0
    b: float = 5.0
    """Shape of ``beta``; chosen here: Beta(5, 5)."""
    allow_oscillation: bool = False
    """Take a homogeneous rate below 0.22 all the same."""

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise ValueError(f"target: rate is {self.rate}; it must be above 0 and below 1")
        if self.a <= 0 or self.b <= 0:
            raise ValueError(f"target: a is {self.a}, b is {self.b}; both must be above 0")
        low = self.law == "homogeneous" and self.rate < LOWEST_STABLE_RATE
        if low and not self.allow_oscillation:
            raise ValueError(
                f"target: rate is {self.rate}; below {LOWEST_STABLE_RATE} all units flip at every "
                "step, so raise it or set allow_oscillation"
            )

    def rates(self, n_units: int, seed: int) -> np.ndarray:
        """Return the target of each unit, (unit,) float64, drawn from ``[seed, 77]``."""
        generator = np.random.default_rng([seed, 77])
        if self.law == "homogeneous":
            return np.full(n_units, self.rate)
        if self.law == "beta":
            return np.clip(generator.beta(self.a, self.b, n_units), 0.02, 0.98)
        return generator.uniform(0.02, 0.98, n_units)


@dataclass(frozen=True)
class Adapt:
    """How inhibition is brought to where units reach their targets."""

    enabled: bool = True
    method: Literal["one_step+iterative", "iterative", "one_step"] = "one_step+iterative"
    """``one_step``: computed from the mean input; ``iterative``: learnt while the input runs."""
    target: Target = field(default_factory=Target)
    schedule: tuple[tuple[float, ...], ...] = ((1000, 1e-4),)
    """Steps and learning rate of each phase. The paper's rule alone needs (1000, 1e-3) first."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "schedule", tuple(tuple(phase) for phase in self.schedule))
        for phase in self.schedule:
            if len(phase) != 2 or phase[0] < 1 or phase[0] != int(phase[0]) or phase[1] <= 0:
                raise ValueError(
                    f"adapt: schedule holds {list(phase)}; give [steps, rate], both above 0"
                )


ITERATIVE = ((1000, 1e-3), (500, 1e-4))
"""The schedule of ``iterative`` alone (chosen here)."""


@dataclass(frozen=True)
class Readout:
    """The linear map from rates to targets."""

    alphas: tuple[float, ...] = tuple(10.0**power for power in range(-9, 2))
    """Penalties over the mean variance of a feature."""
    features: tuple[str, ...] = ("states", "bias")
    """``states`` and ``bias`` always; ``inputs`` and ``squares`` (of the rates) on request."""

    def __post_init__(self) -> None:
        if not self.alphas or min(self.alphas) < 0:
            raise ValueError(f"readout: alphas are {list(self.alphas)}; give some, none negative")
        unknown = set(self.features) - {"states", "bias", "inputs", "squares"}
        if unknown or not {"states", "bias"} <= set(self.features):
            raise ValueError(
                f"readout: features are {list(self.features)}; give states and bias, and if wanted "
                "inputs and squares"
            )


@dataclass(frozen=True)
class Search:
    """How hyperparameters are chosen: the same effort for every kind of network."""

    n_trials: int = 60
    """Settings tried of each kind: the one of the config, and random ones; 1: no search"""
    space: Mapping[str, Any] = field(default_factory=dict)
    """Values of a parameter, or ``{log: [low, high]}`` or ``{uniform: [low, high]}``; empty: the
    space of docs/reservoir.md"""
    inner_folds: int = 3
    seeds_per_trial: int = 3
    """All trials run with the first; the best third with all"""
    samples: int = 20_000
    """Samples of an inner fold that its sums take, evenly thinned (chosen here)"""

    def __post_init__(self) -> None:
        for name, least in (("n_trials", 1), ("inner_folds", 2), ("seeds_per_trial", 1),
                            ("samples", 1000)):  # fmt: skip
            if getattr(self, name) < least:
                raise ValueError(
                    f"search: {name} is {getattr(self, name)}; it must be {least} or more"
                )
        check_space(self.space)


@dataclass(frozen=True)
class Sweep:
    """Settings whose errors in inner folds are drawn beside each other; none where empty."""

    balances: tuple[float, ...] = ()
    input_scales: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if max(self.balances, default=0.0) > 1 or min(self.input_scales, default=1.0) <= 0:
            raise ValueError(
                f"sweep: balances {list(self.balances)} must be at most 1 and input_scales "
                f"{list(self.input_scales)} above 0"
            )


def check_space(space: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` naming what a search space holds and cannot be searched."""
    known = {"target", "balance", *Network.__dataclass_fields__} - {"n_units"}
    for name, values in space.items():
        if name not in known:
            raise ValueError(f"search: space holds {name!r}; there are {', '.join(sorted(known))}")
        if isinstance(values, Mapping):
            ends = next(iter(values.values()), None)
            low, high = ends if isinstance(ends, list | tuple) and len(ends) == 2 else (1, 0)
            if len(values) != 1 or not {"log", "uniform"} & set(values) or not low < high:
                raise ValueError(
                    f"search: space.{name} is {dict(values)}; give a list of values, or log or "
                    "uniform with [low, high]"
                )
            if "log" in values and low <= 0:
                raise ValueError(f"search: space.{name} begins at {low}; log needs more than 0")
        elif not isinstance(values, list | tuple) or not values:
            raise ValueError(f"search: space.{name} is {values!r}; give a list of values")


def logit(rates: np.ndarray, gain: float) -> np.ndarray:
    """Return the potential at which a unit fires at these rates, ``ln(r / (1 - r)) / gain``."""
    return np.log(rates / (1 - rates)) / gain


def _refuse_structure(network: Network) -> None:
    n, k = network.n_units, network.degree
    if n < 2:
        raise ValueError(f"reservoir: n_units is {n}; it must be 2 or more")
    if not 0 < network.frac_exc < 1 or not 0 < network.n_exc < n:
        raise ValueError(
            f"reservoir: frac_exc is {network.frac_exc}, which makes {network.n_exc} of {n} units "
            "excitatory; some of both kinds are needed, so bring it between 0 and 1"
        )
    if not 1 <= k <= n:
        raise ValueError(f"reservoir: degree is {k}; it must be 1 to n_units ({n})")
    if network.topology not in ("er", "fixed"):
        raise ValueError(f"reservoir: topology is {network.topology!r}; it must be er or fixed")
    if network.topology == "fixed":
        from_exc = round(k * network.frac_exc)
        if not (0 < from_exc <= network.n_exc and 0 < k - from_exc <= n - network.n_exc):
            raise ValueError(
                f"reservoir: degree {k} gives {from_exc} excitatory and {k - from_exc} inhibitory "
                f"inputs a unit; there are {network.n_exc} and {n - network.n_exc} such units and "
                "each number must be above 0, so change degree or take topology er"
            )
    if not 0 <= network.weight_cv <= 1:
        raise ValueError(f"reservoir: weight_cv is {network.weight_cv}; it must be 0 to 1")
    if not 0 < network.frac_input <= 1 or round(network.frac_input * n) < 1:
        raise ValueError(
            f"reservoir: frac_input is {network.frac_input}; it must be above 0, at most 1, and "
            f"reach one of {n} units"
        )


def _refuse_answer(network: Network) -> None:
    for name, low, high, said in (
        ("gain", 0, np.inf, "above 0"),
        ("input_scale", 0, np.inf, "above 0"),
    ):
        value = getattr(network, name)
        if not low < value < high:
            raise ValueError(f"reservoir: {name} is {value}; it must be {said}")
    if not network.balance <= 1 or not np.isfinite(network.balance):
        raise ValueError(
            f"reservoir: balance is {network.balance}; it is at most 1, where no inhibition is left"
        )
    for name in ("threshold", "leak"):
        values = np.atleast_1d(np.asarray(getattr(network, name), float))
        if len(values) not in (1, network.n_units) or not np.isfinite(values).all():
            raise ValueError(
                f"reservoir: {name} holds {len(values)} values; give one, or one for each of "
                f"{network.n_units} units, all finite"
            )
    leak = np.asarray(network.leak)
    if leak.min() < 0 or leak.max() >= 1:
        raise ValueError(f"reservoir: leak is {network.leak}; it must be at least 0 and below 1")

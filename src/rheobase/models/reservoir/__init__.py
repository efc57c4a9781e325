"""Reservoirs of excitatory and inhibitory units whose inhibition adapts to target rates.

The equations stand in ``batched`` (network), ``adaptation`` and ``learning`` (inhibition),
``readout`` (ridge regression) and ``diagnose`` (stability). ``engine`` runs many networks at once,
``echo`` is the tanh rival in it, ``tasks``, ``scores`` and ``protocol`` are the benchmark signals,
``folds`` and ``search`` choose hyperparameters, ``estimators`` has the face of scikit-learn.

The family is ``Reservoir``: ``learn`` fits it, ``tune`` chooses settings, ``aims`` are what is
forecast, decoded or recalled, ``lags`` the linear rivals, ``score`` the test part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from rheobase.models.base import Drawing, Fitted, Placed, Score
from rheobase.models.reservoir.settings import Adapt, Network, Readout, Search, Sweep
from rheobase.recording import Recording

TASKS = ("forecast", "classify", "memory")


@dataclass(frozen=True)
class Reservoir:
    """Fixed random networks with trained readouts: what comes next, what is the label.

    After Srinivasan, Plenz and Girvan (2025); defaults and where they come from:
    docs/reservoir.md.
    """

    n_units: int = 500
    frac_exc: float = 0.8
    degree: int = 50
    topology: Literal["er", "fixed"] = "er"
    weight_cv: float = 0.2
    gain: float = 10.0
    threshold: float | tuple[float, ...] = 0.0
    leak: float | tuple[float, ...] = 0.0
    frac_input: float = 0.3
    input_scale: float = 0.5
    balance: float = 0.0
    adapt: Adapt = field(default_factory=Adapt)
    readout: Readout = field(default_factory=Readout)
    washout: int | None = None
    """Samples; None: max(50, 5 / (1 - leak)) for the longest leak that is tried"""
    members: int = 10
    """Reservoirs drawn from the fit's seed, of every kind; scores are their mean"""
    search: Search = field(default_factory=Search)
    sweep: Sweep = field(default_factory=Sweep)
    tasks: tuple[str, ...] = ("forecast", "classify")
    """``memory``, for bare series alone: the first channel of 1 to ``delays`` samples ago"""
    horizons: tuple[int, ...] = (1, 2, 5, 10)
    """Samples ahead"""
    delays: int = 60
    components: int = 64
    """More units than this go in as so many principal components"""
    lags: tuple[int, ...] = (1, 2, 5, 10, 20, 50)
    """Past samples that the linear rivals see, one of them chosen in inner folds"""
    window_s: float = 0.2
    """EMG windows"""
    hop_s: float = 0.1
    trim_s: float = 0.5
    """Left out after each switch of a label over time (EMG)"""
    delay_s: float | None = None
    """How far the signal lags behind the label; None: as the linear rival chooses it"""
    ignore_labels: tuple[str, ...] = ()
    permutations: int = 1000
    """Draws of the null of decoding"""

    modalities: ClassVar[frozenset[str]] = frozenset({"fmri", "calcium", "emg", "series"})
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "demo": {
            "n_units": 200, "members": 3, "horizons": (1, 5, 10), "permutations": 100,
            "search": {"n_trials": 8, "seeds_per_trial": 1, "inner_folds": 2, "samples": 5000},
        },
        "small": {"n_units": 300, "members": 5,
                  "search": {"n_trials": 20, "seeds_per_trial": 2, "samples": 10_000}},
        "standard": {},
    }  # fmt: skip
    views: ClassVar[dict[str, str]] = {"emg": "envelope"}

    def __post_init__(self) -> None:
        unknown = [task for task in self.tasks if task not in TASKS]
        if unknown or not self.tasks:
            raise ValueError(
                f"reservoir: tasks are {list(self.tasks)}; give some of {', '.join(TASKS)}"
            )
        for name in ("horizons", "lags"):
            values = getattr(self, name)
            if not values or min(values) < 1 or len(set(values)) < len(values):
                raise ValueError(
                    f"reservoir: {name} is {list(values)}; give different numbers of 1 or more"
                )
        for name in ("members", "delays", "components", "permutations"):
            if getattr(self, name) < 1:
                raise ValueError(f"reservoir: {name} is {getattr(self, name)}; give 1 or more")
        for name, least in (("window_s", 0.0), ("hop_s", 0.0), ("trim_s", -1.0)):
            if not getattr(self, name) > least:
                raise ValueError(f"reservoir: {name} is {getattr(self, name)}; it is too small")
        if self.washout is not None and self.washout < 0:
            raise ValueError(f"reservoir: washout is {self.washout}; give 0 or more, or null")
        if self.adapt.enabled and self.network.balance == 1:
            raise ValueError("reservoir: balance 1 leaves no inhibition to adapt; give a lower one")

    @property
    def network(self) -> Network:
        """Return the wiring and the units that the parameters name."""
        return Network(**{name: getattr(self, name) for name in Network.__dataclass_fields__})

    def fit(self, train: Sequence[Recording], *, seed: int, device: str = "cpu") -> Fitted:
        """Return readouts of the reservoirs and of all rivals, settings chosen in inner folds."""
        from rheobase.models.reservoir import learn

        return learn.fit_training(self, train, seed=seed, device=device)

    def evaluate(self, fitted: Fitted, test: Sequence[Recording]) -> list[Score]:
        """Return decoding (first where there is a label), forecasts, memory, and what adaptation
        adds.
        """
        from rheobase.models.reservoir import score

        return score.scores(self, fitted, test)

    def figures(self, fitted: Fitted, test: Sequence[Recording]) -> dict[str, Drawing]:
        """Return drawings of forecasts, decoding, rates, the search and the sweep."""
        from rheobase.models.reservoir import figures

        return figures.draw(self, fitted, test)

    @staticmethod
    def across(fits: Sequence[Placed]) -> dict[str, Drawing]:
        """Return which settings the fits chose."""
        from rheobase.models.reservoir import figures

        return figures.across(fits)

    @staticmethod
    def methods(settings: Mapping[str, Any], cite: Any, **told: Any) -> list[str]:
        """Return sentences for the methods text of a report."""
        from rheobase.models.reservoir.methods import sentences

        return sentences(settings, cite, **told)

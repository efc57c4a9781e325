"""The nested hyperparameters of the family, and what they refuse."""

from __future__ import annotations

from dataclasses import dataclass

from rheobase.models.connectome.affinities import PATHS
from rheobase.models.connectome.communities import BACKENDS, DEGREES
from rheobase.models.connectome.drive import DriveSettings
from rheobase.models.connectome.kernels import KERNELS, WINDOW_CORR
from rheobase.models.connectome.restarts import BACKENDS as ITERATED_BY
from rheobase.models.connectome.restarts import Restarts
from rheobase.models.connectome.sbm_model import KINDS
from rheobase.models.connectome.step import Settings

ALIGNMENTS = ("auto", "absolute", "event_locked", "concatenated")
DTYPES = ("float32", "float64")


def choose(where: str, value: str, known: tuple[str, ...]) -> None:
    """Raise ``ValueError`` where a value is none of the known ones."""
    if value not in known:
        raise ValueError(f"connectome: {where} is {value!r}; there are {', '.join(known)}")


def least(where: str, value: float, limit: float) -> None:
    """Raise ``ValueError`` where a number is below its limit."""
    if not value >= limit:
        raise ValueError(f"connectome: {where} is {value}; it must be {limit:g} or more")


@dataclass(frozen=True)
class AffinitySettings:
    """How signals become affinities; all defaults are chosen here."""

    drive: str = "derivative"
    """``derivative``, ``deconvolved`` (the signal holds events) or ``zpos``"""
    kernel: str = "geomean"
    """``geomean``, ``product``, ``codirectional``, ``min`` or ``ratio`` of two drives, or
    ``window_corr``: correlation of the signals in windows, where positive"""
    sigma_s: float = 1.0
    """Width of the smoothing Gaussian; at least 1.5 samples are taken"""
    theta: float = 1.0
    """Noise gate, in median absolute deviations of the slope"""
    min_run_s: float = 0.5
    """Shortest stretch of one direction that counts; at least 2 samples are taken"""
    dt_s: float = 1.0
    """Width of a bin; whole samples and at least 2 of them are taken"""
    window_s: float = 10.0
    """Of ``window_corr``: width of the window around the middle of each bin, so that windows step
    by ``dt_s``; at least 10 samples are taken"""

    def __post_init__(self) -> None:
        choose("affinity.kernel", self.kernel, KERNELS)
        if not self.window_s > 0:
            raise ValueError(
                f"connectome: affinity.window_s is {self.window_s}; it must be above 0"
            )
        self.of_drive()

    def of_drive(self) -> DriveSettings:
        """Return the settings of the drive."""
        window = self.window_s if self.kernel == WINDOW_CORR else None
        return DriveSettings(
            self.drive, self.sigma_s, self.theta, self.min_run_s, self.dt_s, window
        )


@dataclass(frozen=True)
class Factorisation:
    """How the tensor is factorised and the number of components chosen; all chosen here."""

    ranks: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8)
    """Numbers of components to choose from"""
    restarts: int = 10
    """Uniform random starts; one more comes from a singular value decomposition"""
    screen: int = 20
    """Iterations of every start, after which the best ``keep`` go on"""
    keep: int = 4
    tol: float = 1e-6
    """Relative decrease of the error that counts as none"""
    max_iter: int = 500
    holdout_folds: int = 5
    """How often a part of the training part is hidden to choose the rank"""
    path: str = "auto"
    """``auto``, ``implicit`` (the tensor is never built) or ``explicit``"""
    dtype: str = "float32"
    backend: str = "torch"
    """``torch``, or ``tensorly`` for its slower iterations"""
    extrapolate: bool = False
    sparsity: float = 0.0
    """Penalty on the sum of the patterns"""
    smoothness: float = 0.0
    """Penalty on squared steps of the time courses"""
    unseen: float = 0.01
    """Weight of pairs and bins that an animal lacks, counted as silent; with 0 a pair that is seen
    only in animals without a component may take any value in it"""

    def __post_init__(self) -> None:
        if not self.ranks or min(self.ranks) < 1 or len(set(self.ranks)) < len(self.ranks):
            raise ValueError(
                f"connectome: ntf.ranks is {list(self.ranks)}; give different numbers of 1 or more"
            )
        for name, limit in (("restarts", 1), ("screen", 1), ("keep", 1), ("max_iter", 1),
                            ("tol", 0), ("holdout_folds", 2), ("sparsity", 0),
                            ("smoothness", 0), ("unseen", 0)):  # fmt: skip
            least(f"ntf.{name}", getattr(self, name), limit)
        if self.unseen >= 1:
            raise ValueError(f"connectome: ntf.unseen is {self.unseen}; it must be below 1")
        choose("ntf.path", self.path, PATHS)
        choose("ntf.dtype", self.dtype, DTYPES)
        choose("ntf.backend", self.backend, ITERATED_BY)

    def starts(self) -> Restarts:
        """Return how many starts there are."""
        return Restarts(self.restarts, True, self.screen, self.keep)

    def steps(self) -> Settings:
        """Return how a factorisation runs."""
        return Settings(self.max_iter, self.tol, extrapolate=self.extrapolate,
                        sparsity=self.sparsity, smoothness=self.smoothness,
                        unseen=self.unseen)  # fmt: skip


@dataclass(frozen=True)
class CommunitySettings:
    """How communities of a component are found; all chosen here."""

    backend: str = "own"
    """``own``, or ``graph_tool`` or ``leiden`` where they are installed"""
    weights: str = "exponential"
    """Distribution of weights: ``exponential``, ``log-normal`` or ``shorter``"""
    degree_correction: str = "no"
    """``no``, ``yes`` or ``shorter`` (of the two descriptions). Who belongs to a component is
    strong in it, so the corrected model, which is often shorter, explains membership away"""
    top_frac: float = 1.0
    """Share of the largest weights that is kept"""
    mcmc: int = 200
    """Metropolis sweeps for the confidence of each member"""

    def __post_init__(self) -> None:
        choose("communities.backend", self.backend, BACKENDS)
        choose("communities.weights", self.weights, (*KINDS, "shorter"))
        choose("communities.degree_correction", self.degree_correction, DEGREES)
        least("communities.mcmc", self.mcmc, 1)
        if not 0 < self.top_frac <= 1:
            raise ValueError(
                f"connectome: communities.top_frac is {self.top_frac}; it must be above 0 and at "
                "most 1"
            )


@dataclass(frozen=True)
class NullSettings:
    """Against what components are tested; all chosen here."""

    n: int = 20
    """Tensors of circularly shifted neurons; 0 leaves the test out"""
    starts: int = 3
    """Starts of each, and of the refit whose weights are tested"""
    max_iter: int = 100
    shift_s: float = 10.0
    """Least shift of a neuron"""

    def __post_init__(self) -> None:
        for name, limit in (("n", 0), ("starts", 1), ("max_iter", 1)):
            least(f"null.{name}", getattr(self, name), limit)
        if not self.shift_s > 0:
            raise ValueError(f"connectome: null.shift_s is {self.shift_s}; it must be above 0")

    def restarts(self) -> Restarts:
        """Return the starts of one null tensor: all are screened, one goes on."""
        return Restarts(self.starts, False, min(20, self.max_iter), 1)

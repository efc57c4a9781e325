"""The contract of all model families, and the table of families.

A family is a frozen dataclass whose fields are its hyperparameters. It learns on the training part
of one fold (``fit``), is scored on the test part beside its rivals (``evaluate``) and draws itself
(``figures``). Nothing here or in a family reads or writes files.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from rheobase.models import parameters

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure

    from rheobase.recording import Recording


@dataclass(frozen=True)
class Fitted:
    """Everything a fit leaves behind."""

    arrays: xr.Dataset
    """Factors, states, predictions; a trained rival's arrays are named ``rival/<name>``."""
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    """A network's state_dict on the CPU; empty where there is no network."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Training-side scalars only (the chosen penalty, the training loss)."""
    history: dict[str, list[float]] = field(default_factory=dict)
    """Per-epoch curves."""
    notices: tuple[str, ...] = ()
    """Sentences that a reader of the results must see."""


@dataclass(frozen=True)
class Score:
    """One number on the test part, beside the same number of its rivals."""

    name: str
    value: float
    rivals: dict[str, float]
    chance: float | None = None
    p_value: float | None = None
    """Against chance, by permutation; None where chance is not tested."""
    higher_is_better: bool = True
    unit: str = ""
    note: str = ""
    """What a reader must know of how the number came about."""
    caution: str = ""
    """What speaks against believing the number; the verdict repeats it for the first score."""
    null: tuple[float, ...] = ()
    """The permuted values behind ``p_value``, as many in each fold, so that folds can be averaged
    draw by draw."""
    title: str = ""
    """The name as it is written for readers; made from ``name`` where it is not given."""
    question: str = ""
    """What is asked: scores with the same word answer the same, and the first of them stands in the
    verdict. Where it is not given it is the first word of ``name`` (``decode``, ``masked``)."""


@dataclass(frozen=True)
class Drawing:
    """A figure with the words and the numbers that belong to it."""

    figure: Figure
    title: str
    caption: str
    """How to read it."""
    alt: str
    """What it shows, for those who cannot see it."""
    data: pd.DataFrame | None = None
    """The plotted numbers, offered for download."""


@dataclass(frozen=True)
class Placed:
    """A fit and where it stands among the others of its model."""

    dataset: str
    fold: int
    seed: int
    fitted: Fitted

    def named(self, *, several: bool) -> str:
        """Return fold and seed in words, with the dataset where there are ``several``."""
        place = f"fold {self.fold}, seed {self.seed}"
        return f"{self.dataset}, {place}" if several else place

    def apart(self, other: Placed) -> str:
        """Return in words what sets this fit apart from another of the same model."""
        if self.dataset != other.dataset:
            return "other dataset"
        if self.fold == other.fold:
            return "other seed"
        return "other fold" if self.seed == other.seed else "other fold and seed"


class Model(Protocol):
    """What every family provides; ``transform``, ``resume``, ``methods``, ``across``, ``own_cells``
    are optional.

    ``methods(settings, cite, *, frames, label)`` returns sentences for the report's methods text.
    ``across(fits)``, a static method, draws what several fits have in common (``Placed`` to
    ``dict[str, Drawing]``). ``own_cells``, a bool, asks for the cells that each animal has instead
    of those that are good in all.
    """

    modalities: ClassVar[frozenset[str]]
    presets: ClassVar[dict[str, dict[str, Any]]]
    views: ClassVar[dict[str, str]]
    """The default ``view`` by modality where it is not ``signal``."""

    def fit(self, train: Sequence[Recording], *, seed: int, device: str) -> Fitted:
        """Learn from the training part; trains the rivals on the same recordings too."""
        ...

    def evaluate(self, fitted: Fitted, test: Sequence[Recording]) -> list[Score]:
        """Return every score of the test part, each beside at least one rival."""
        ...

    def figures(self, fitted: Fitted, test: Sequence[Recording]) -> dict[str, Drawing]:
        """Draw what was learnt, from ``fitted`` and ``test`` alone."""
        ...


class Family(NamedTuple):
    """One line of the family table."""

    target: str
    """``module:class``, imported only when used."""
    gpu: bool
    """Whether a fit is worth a GPU; the fit rule then asks for one."""
    random: bool
    """Whether another seed gives another fit; one that does not is fitted once a fold."""
    parallel: bool = False
    """Whether a fit can be shared by several processes (``models/parallel.py``)."""


FAMILIES = {
    "linear": Family("rheobase.models.linear:Linear", gpu=False, random=False),
    "brainmae": Family("rheobase.models.brainmae:BrainMAE", gpu=True, random=True, parallel=True),
    "connectome": Family("rheobase.models.connectome:Connectome", gpu=True, random=True),
    "reservoir": Family("rheobase.models.reservoir:Reservoir", gpu=False, random=True),
    "hmm_rnn": Family("rheobase.models.hmm_rnn:HMMRNN", gpu=False, random=True),
    "spiking": Family("rheobase.models.spiking:Spiking", gpu=False, random=True),
}


def family(name: str) -> type[Any]:
    """Return a family's class, importing only that family."""
    if name not in FAMILIES:
        raise ValueError(
            f"unknown family {name!r}{_hint(name, FAMILIES)}; there are {', '.join(FAMILIES)}"
        )
    module, _, attribute = FAMILIES[name].target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def build(name: str, *, preset: str | None = None, params: Mapping[str, Any] | None = None) -> Any:
    """Return a family's model: its preset's values, then ``params`` on top.

    Raises ``ValueError`` naming an unknown preset or parameter and the known ones.
    """
    cls = family(name)
    if preset is not None and preset not in cls.presets:
        known = ", ".join(cls.presets)
        raise ValueError(
            f"{name}: unknown preset {preset!r}{_hint(preset, cls.presets)}; there are {known}"
        )
    merged = _merge(cls.presets[preset] if preset else {}, params or {})
    return _construct(cls, merged, name)


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if nested else value
    return merged


def _construct(cls: type[Any], values: Mapping[str, Any], where: str) -> Any:
    types = typing.get_type_hints(cls)
    fields = {f.name: types[f.name] for f in dataclasses.fields(cls)}
    arguments = {}
    for key, value in values.items():
        if key not in fields:
            known = ", ".join(fields)
            raise ValueError(
                f"{where}: unknown parameter {key!r}{_hint(key, fields)}; there are {known}"
            )
        kind = fields[key]
        if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
            value = _construct(typing.cast(type, kind), value, f"{where}.{key}")
        elif not parameters.fits(value, kind):
            raise ValueError(
                f"{where}: {key} is {value!r}; it must be {parameters.said(kind)}"
                f"{parameters.remedy(value, kind)}"
            )
        elif key in parameters.MOST and value > parameters.MOST[key]:
            raise ValueError(
                f"{where}: {key} is {value}, above the limit {parameters.MOST[key]}; lower it"
            )
        arguments[key] = tuple(value) if isinstance(value, list) else value
    return cls(**arguments)


def _hint(word: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""

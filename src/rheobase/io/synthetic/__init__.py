"""Generators with planted truth: what a method finds can be compared with what is there.

``source`` is the config's block of kind ``synthetic``; its ``params`` are the keyword arguments of
the generator (``fmri.simulate``, ``calcium.simulate``, ``emg.simulate``, those of ``dynamics``),
and ``groups`` for fMRI.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from rheobase.config.entries import Entry
from rheobase.io.synthetic.dynamics import GENERATORS, Generator

Arrays = dict[str, np.ndarray]


def generate(
    source: Mapping[str, Any], *, index: int, entry: Entry, total: int
) -> tuple[Arrays, Arrays]:
    """Return the arrays of recording ``index`` of ``total``, and the truth behind them.

    The first hold ``signal`` (time, unit), ``names`` and what a recording may show of itself
    (``label``, ``trial``, ``network``). fMRI and calcium recordings are runs and animals of one
    simulation seeded with ``source["seed"]``; an EMG recording and a series are simulations of
    their own, seeded with ``source["seed"] + index``.
    """
    params = _checked(source)
    seed = int(source.get("seed", 0))
    return _module(source).recording(
        _simulate, params, seed=seed, index=index, total=total, entry=entry
    )


def rate(source: Mapping[str, Any]) -> float:
    """Return the sampling rate of a generator's recordings in hertz."""
    return float(_module(source).rate(_checked(source)))


def _module(source: Mapping[str, Any]) -> ModuleType | Generator:
    if source["generator"] in GENERATORS:
        return GENERATORS[source["generator"]]
    match source["generator"]:
        case "fmri":
            from rheobase.io.synthetic import fmri as module
        case "calcium":
            from rheobase.io.synthetic import calcium as module
        case "emg":
            from rheobase.io.synthetic import emg as module
        case other:
            known = ", ".join(["fmri", "calcium", "emg", *GENERATORS])
            raise ValueError(f"source.generator is {other!r}; there are {known}")
    return module


def _checked(source: Mapping[str, Any]) -> dict[str, Any]:
    module, params = _module(source), dict(source.get("params", {}))
    known = [
        name for name in inspect.signature(module.simulate).parameters if name not in module.SET
    ]
    known += module.OWN
    unknown = sorted(set(params) - set(known))
    if unknown:
        raise ValueError(
            f"source.params has the unknown key {unknown[0]!r} for the generator "
            f"{source['generator']}; known keys: {', '.join(sorted(known))}"
        )
    return params


def _simulate(function: Callable[..., Any], **arguments: Any) -> Any:
    """Return the result of a generator, kept for the next recording of the same simulation."""
    return _kept(function, json.dumps(arguments, sort_keys=True))


@functools.lru_cache(maxsize=2)
def _kept(function: Callable[..., Any], arguments: str) -> Any:
    return function(**json.loads(arguments))

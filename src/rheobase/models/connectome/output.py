"""What a fit gives to others: courses as recordings, and the network at any instant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from rheobase.models.base import Fitted
from rheobase.models.connectome import arrange
from rheobase.models.connectome.artefacts import Learnt
from rheobase.models.connectome.check import check
from rheobase.models.connectome.courses import as_recordings, courses, placed, whole_courses
from rheobase.models.connectome.factors import network_at

if TYPE_CHECKING:
    from rheobase.models.connectome import Connectome
    from rheobase.recording import Recording


def recordings(
    model: Connectome, fitted: Fitted, given: Sequence[Recording]
) -> list[Recording]:  # fmt: skip
    """Return the components' courses in these recordings, in their order."""
    learnt = Learnt(fitted.arrays)
    check(given, part="given", same_cells=model.same_cells, units=learnt.units)
    patterns, neurons = learnt.matrix("pattern"), len(learnt.units)
    there = placed(model, arrange.frames_for(model, given), learnt.units)
    found = {o.frames.name: whole_courses(o, courses(o, patterns, neurons)) for o in there}
    step = {"step": "component courses", "family": "connectome", "components": learnt.rank,
            "bin_s": learnt.bin_s, "acausal": True}  # fmt: skip
    return as_recordings(given, found, names=learnt.names, bin_s=learnt.bin_s, step=step)


def network(
    arrays: xr.Dataset, bin: int, *, animal: str | None = None,
    components: Sequence[int] | None = None,
) -> np.ndarray:  # fmt: skip
    """Return the modelled affinities of an instant, G(t, animal), (unit, unit) float32.

    ``arrays`` are those of a fit (``arrays.nc``), ``bin`` counts its bins, ``animal`` is one of its
    coordinate (None: the first), ``components`` are numbers from 1 (None: all). Raises
    ``ValueError`` for what the fit does not hold.
    """
    learnt = Learnt(arrays)
    names = [str(n) for n in arrays["animal"].values]
    if animal is not None and animal not in names:
        raise ValueError(f"animal is {animal!r}; the fit has {', '.join(names)}")
    if not 0 <= bin < arrays.sizes["bin"]:
        raise ValueError(f"bin is {bin}; the fit has bins 0 to {arrays.sizes['bin'] - 1}")
    odd = [c for c in components or () if not 1 <= c <= learnt.rank]
    if odd:
        raise ValueError(f"component is {odd[0]}; the fit has 1 to {learnt.rank}")
    chosen = None if components is None else [c - 1 for c in components]
    place = 0 if animal is None else names.index(animal)
    return network_at(learnt.factors(), bin, animal=place, components=chosen)

"""Parcellated time series of CIFTI-2 files, ``*.ptseries.nii``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rheobase.io.label_atlas import schaefer_labels
from rheobase.io.raw import Raw
from rheobase.io.values import floats, reading


def read_cifti(
    path: Path, reader: Mapping[str, Any], files: Mapping[str, Path], preprocess: Mapping[str, Any]
) -> Raw:
    """Return the parcels of a ptseries; their axis names them and the series axis gives the rate.

    Networks and hemispheres come from Schaefer's names. Dense files (dtseries) are refused: they
    have no regions.
    """
    import nibabel

    with reading(path, "CIFTI"):
        image: Any = nibabel.load(path)
    if not isinstance(image, nibabel.Cifti2Image):
        raise ValueError(f"{path} holds {type(image).__name__}, not CIFTI-2; use format nifti")
    with reading(path, "CIFTI"):
        axes = [image.header.get_axis(i) for i in range(image.ndim)]
    kinds = [type(axis).__name__ for axis in axes]
    if kinds != ["SeriesAxis", "ParcelsAxis"]:
        raise ValueError(
            f"{path} has the axes {' and '.join(kinds)}; format cifti reads time by parcels "
            "(ptseries.nii), so parcellate it first"
        )
    series, parcels = axes
    if series.unit != "SECOND" or not series.step > 0:
        raise ValueError(
            f"{path}: its series has a step of {series.step:g} {str(series.unit).lower()}; a "
            "recording needs seconds above 0, so correct the header"
        )
    with reading(path, "CIFTI"):
        values = np.asanyarray(image.dataobj)
    names = tuple(str(name) for name in parcels.name)
    return Raw(
        floats(values, path, "the series"),
        names,
        rate_hz=1 / float(series.step),
        unit_labels=schaefer_labels(names),
    )

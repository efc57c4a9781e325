"""A run of an fMRIPrep derivatives folder: image, sidecar, brain mask and confounds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rheobase.io import confounds
from rheobase.io.derivatives import beside
from rheobase.io.motion import read_motion
from rheobase.io.nifti import read_run
from rheobase.io.raw import Raw
from rheobase.io.values import reading
from rheobase.io.volumes import LONGEST_TR_S, open_volumes, read_mask

STEP_TOLERANCE_S = 1e-3


def read_fmriprep(
    path: Path, reader: Mapping[str, Any], files: Mapping[str, Path], preprocess: Mapping[str, Any]
) -> Raw:
    """Return a run's regions with motion, confounds and per-volume quality in ``extras``.

    ``path`` is the preprocessed image; its JSON, mask and confounds lie beside it. The repetition
    time is the JSON's, checked against the header within 1 ms.
    """
    near = beside(path)
    for kind, what in (
        ("sidecar", "the JSON with RepetitionTime"),
        ("mask", "the brain mask"),
        ("confounds", "the confounds"),
    ):
        if not near[kind].is_file():
            raise FileNotFoundError(
                f"{near[kind]} does not exist: {what} of {path.name}, which fMRIPrep writes beside "
                "it; put it there or run fMRIPrep again"
            )
    volumes = open_volumes(path)
    seconds = repetition_time(near["sidecar"])
    if volumes.rate_hz and abs(1 / volumes.rate_hz - seconds) > STEP_TOLERANCE_S:
        raise ValueError(
            f"{near['sidecar']} says {seconds:g} s a volume and the header of {path.name} "
            f"{1 / volumes.rate_hz:g} s, more than {STEP_TOLERANCE_S:g} s apart; correct one"
        )
    n_dummy = preprocess.get("n_dummy") or 0
    columns = confounds.read_confounds(
        near["confounds"], volumes=volumes.count, n_dummy=n_dummy if n_dummy != "auto" else 0
    )
    extras = {
        "motion": read_motion(near["confounds"], "fmriprep", volumes=volumes.count),
        "non_steady": non_steady(columns),
        **_courses(near["confounds"], columns),
    }
    steps, notes = [], ()
    if (denoise := preprocess.get("denoise", "simple")) not in ("none", "highvar"):
        options = {**preprocess, "denoise": denoise}
        found = confounds.select(path, columns, near["confounds"], options)
        extras |= confounds.as_extras(found)
        steps.append(confounds.step(denoise, found))
        notes = found.notes
    mask = read_mask(near["mask"], volumes)
    made = read_run(
        volumes, mask, {**preprocess, "denoise": denoise}, rate=1 / seconds, extras=extras,
        steps=steps,
    )  # fmt: skip
    return replace(made, notes=(*made.notes, *notes))


def repetition_time(sidecar: Path) -> float:
    """Return ``RepetitionTime`` of a BIDS sidecar in seconds."""
    with reading(sidecar, "JSON"):
        content = json.loads(sidecar.read_text(encoding="utf-8-sig"))
    value = content.get("RepetitionTime") if isinstance(content, dict) else None
    if not isinstance(value, int | float) or not 0 < value <= LONGEST_TR_S:
        raise ValueError(
            f"{sidecar}: RepetitionTime is {value!r}; it must be seconds above 0 and at most "
            f"{LONGEST_TR_S:g}, so complete the sidecar"
        )
    return float(value)


def non_steady(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return (time,) bool: the volumes that fMRIPrep found before the steady state."""
    found = [v for name, v in columns.items() if name.startswith("non_steady_state")]
    rows = len(next(iter(columns.values())))
    return np.any(np.asarray(found) > 0, axis=0) if found else np.zeros(rows, bool)


def _courses(path: Path, columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the per-volume measures that the table holds, NaN in the first volume as there."""
    named = {
        "fd": "framewise_displacement",
        "dvars": "dvars",
        "std_dvars": "std_dvars",
        "global_signal": "global_signal",
    }
    there = {key: name for key, name in named.items() if name in columns}
    confounds.check_gaps(path, columns, list(there.values()))
    return {key: columns[name] for key, name in there.items()}

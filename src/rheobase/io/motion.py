"""Head motion files as (time, 6): translations in mm along x, y, z, then rotations in rad."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rheobase.io.sides import read_table
from rheobase.io.values import listing, reading

FORMATS = ("fsl", "spm", "afni", "hcp", "fmriprep")
FMRIPREP = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
MOST_RAD = 0.5
MOST_MM = 50.0


def read_motion(path: Path, form: str, *, volumes: int, n_dummy: int = 0) -> np.ndarray:
    """Return the motion of a recording of that many ``volumes``, its ``n_dummy`` first ones too.

    ``fsl`` (MCFLIRT .par): 3 rotations in rad, 3 translations in mm. ``spm`` (rp_*.txt):
    translations first. ``afni`` (3dvolreg -1Dfile, or -dfile with its 9 columns): roll, pitch, yaw
    in degree about z, x, y, then dS, dL, dP in mm along z, x, y. ``hcp`` (Movement_Regressors.txt
    of the HCP pipelines): 3 translations in mm, 3 rotations in degree, and the 6 derivatives of
    these, which are not used. ``fmriprep``: the columns trans_x to rot_z. The order is
    declared and never inferred; implausible sizes, another number of rows and estimates that never
    change are refused.
    """
    if form not in FORMATS:
        raise ValueError(
            f"{path}: reader.motion.format {form!r} is not one of {', '.join(FORMATS)}"
        )
    values = _fmriprep(path) if form == "fmriprep" else _matrix(path, form)
    if len(values) != volumes:
        dropped = n_dummy and abs(len(values) - volumes) == n_dummy
        why = f" (they differ by n_dummy, {n_dummy})" if dropped else ""
        raise ValueError(
            f"{path} has {len(values)} rows but the recording has {volumes} volumes{why}; give the "
            "motion of this run, one row a volume of the file, dummy volumes included"
        )
    if not np.isfinite(values).all():
        row = int((~np.isfinite(values)).any(axis=1).argmax()) + 1
        raise ValueError(f"{path}: row {row} holds a value that is no number; complete it")
    shift, turn = np.abs(values[:, :3]).max(), np.abs(values[:, 3:]).max()
    if turn > MOST_RAD or shift > MOST_MM:
        raise ValueError(
            f"{path}: read as {form} it has translations up to {shift:.3g} mm and rotations up to "
            f"{turn:.3g} rad, above {MOST_MM:g} mm or {MOST_RAD} rad; correct its "
            "units or reader.motion.format"
        )
    if (np.ptp(values, axis=0) == 0).all():
        raise ValueError(
            f"{path}: all six columns of motion are constant over {volumes} volumes, which no head "
            "is; give the estimates of the realignment, or read the recording without motion"
        )
    return values


def _matrix(path: Path, form: str) -> np.ndarray:
    with reading(path, f"{form} motion"):
        values = np.loadtxt(path, ndmin=2)
    widths = {"afni": (6, 9), "hcp": (12,)}.get(form, (6,))
    if values.shape[1] not in widths:
        raise ValueError(f"{path} has {values.shape[1]} columns; {form} motion has {widths[-1]}")
    if form == "spm":
        return values
    if form == "hcp":
        return np.hstack([values[:, :3], np.deg2rad(values[:, 3:6])])
    if form == "fsl":
        return values[:, [3, 4, 5, 0, 1, 2]]
    roll, pitch, yaw, up, left, back = values[:, 1:7].T if values.shape[1] == 9 else values.T
    return np.column_stack([left, back, up, *np.deg2rad([pitch, yaw, roll])])


def _fmriprep(path: Path) -> np.ndarray:
    columns = read_table(path)
    if missing := [name for name in FMRIPREP if name not in columns]:
        raise ValueError(f"{path} has no column {listing(missing)}, which fMRIPrep's motion has")
    try:
        return np.column_stack([columns[name].astype(float) for name in FMRIPREP])
    except ValueError as error:
        raise ValueError(f"{path}: a motion column holds text ({error})") from error

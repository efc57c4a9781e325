"""What is regressed out of a run: fMRIPrep's confounds by strategy, or noise of the image itself.

Confounds are (time, confound).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rheobase.io.sides import read_table
from rheobase.io.values import listing
from rheobase.io.volumes import Volumes

STRATEGIES: dict[str, dict[str, Any]] = {
    "6p": {"strategy": ["motion"], "motion": "basic"},
    "24p": {"strategy": ["motion"], "motion": "full"},
    "simple": {"strategy": ["motion", "wm_csf"], "motion": "full", "wm_csf": "basic"},
    "36p": {
        "strategy": ["motion", "wm_csf", "global_signal"],
        "motion": "full",
        "wm_csf": "full",
        "global_signal": "full",
    },
    "compcor": {
        "strategy": ["motion", "compcor"],
        "motion": "full",
        "compcor": "anat_combined",
        "n_compcor": "all",
    },
    "scrubbing": {"strategy": ["motion", "wm_csf"], "motion": "full", "wm_csf": "full"},
    "aroma": {"strategy": ["wm_csf", "ica_aroma"], "wm_csf": "basic", "ica_aroma": "full"},
}
"""Arguments of nilearn's ``load_confounds``; its presets of these names, without the scrubbing,
which is done here on the full length. ``high_pass`` (the cosines) is added to each."""
HIGHVAR, HIGHVAR_PERCENT = 5, 2.0
AROMA_NOISE = "aroma_motion"


@dataclass(frozen=True)
class Confounds:
    """The regressors of a run and what was left out of the strategy."""

    values: np.ndarray
    """(time, confound)."""
    names: tuple[str, ...]
    dropped: tuple[str, ...]
    """Cosines left out because the band has a lower edge of its own."""
    before: int = 0
    """Noise components that ICA-AROMA took out of the image before."""
    notes: tuple[str, ...] = ()
    """Cautions, a sentence each."""


def read_confounds(path: Path, *, volumes: int, n_dummy: int) -> dict[str, np.ndarray]:
    """Return the columns of a confounds table as floats, ``n/a`` as NaN.

    NaN is right in the first row (derivatives) and nowhere else, and there must be a row a volume:
    anything else raises ``ValueError`` naming the file.
    """
    columns = read_table(path)
    rows = len(next(iter(columns.values())))
    if rows != volumes:
        dropped = n_dummy and abs(rows - volumes) == n_dummy
        why = f" (they differ by n_dummy, {n_dummy})" if dropped else ""
        raise ValueError(
            f"{path} has {rows} rows but the image has {volumes} volumes{why}; they must be equal, "
            "dummy volumes included, so take the table of this run"
        )
    made = {}
    for name, texts in columns.items():
        try:
            values = np.where(np.isin(texts, ("n/a", "")), "nan", texts).astype(float)
        except ValueError as error:
            raise ValueError(f"{path}: column {name!r} holds text ({error})") from error
        made[name] = values
    return made


def check_gaps(path: Path, columns: Mapping[str, np.ndarray], names: list[str]) -> None:
    """Raise ``ValueError`` for a NaN below the first row of a column that is used."""
    for name in names:
        wrong = np.flatnonzero(~np.isfinite(columns[name][1:]))
        if len(wrong):
            raise ValueError(
                f"{path}: column {name!r} holds no number in volume {wrong[0] + 2}; only the first "
                "may lack one, so run fMRIPrep again or choose another denoise"
            )


def select(
    image: Path,
    columns: Mapping[str, np.ndarray],
    table: Path,
    preprocess: Mapping[str, Any],
) -> Confounds:
    """Return fMRIPrep's confounds of the strategy ``preprocess["denoise"]``, demeaned.

    The cosines of fMRIPrep (a high-pass of 1/128 Hz) are left out where ``band_hz`` has a lower
    edge, since the filter is applied to the confounds too. ``global_signal`` (basic or full) adds
    the global signal to a strategy without it. Raises ``ValueError`` where columns are missing.
    """
    import warnings

    from nilearn.interfaces.fmriprep import load_confounds

    denoise = preprocess["denoise"]
    wanted = {**STRATEGIES[denoise]}
    added = preprocess.get("global_signal", "none")
    if added != "none" and "global_signal" not in wanted["strategy"]:
        wanted |= {
            "strategy": [*wanted["strategy"], "global_signal"],
            "global_signal": added,
        }
    strategy = tuple([*wanted.pop("strategy"), "high_pass"])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of volumes that it would drop; none are dropped here
            found, _ = load_confounds(str(image), strategy=strategy, demean=True, **wanted)
    except (ValueError, KeyError) as error:
        why = " ".join(str(error).split())
        raise ValueError(
            f"{table} cannot give denoise: {denoise} ({why}); choose another strategy"
        ) from error
    frame: Any = found
    names = [str(name) for name in frame.columns]
    check_gaps(table, columns, [name for name in names if name in columns])
    low, _ = preprocess.get("band_hz") or (None, None)
    dropped = [name for name in names if low is not None and name.startswith("cosine")]
    kept = [name for name in names if name not in dropped]
    values = frame[kept].to_numpy(float) if kept else np.empty((len(frame), 0))
    before = sum(name.startswith(AROMA_NOISE) for name in columns) if denoise == "aroma" else 0
    notes = tuple(_notes(table, values, kept, low))
    return Confounds(values, tuple(kept), tuple(dropped), before, notes)


def _notes(table: Path, values: np.ndarray, names: list[str], low: float | None) -> Iterator[str]:
    """Yield what the confounds will not take out; ``low`` is the lower edge of the band."""
    flat = [names[i] for i in np.flatnonzero(np.ptp(values, axis=0) == 0)]
    if flat:
        yield f"{table.name}: constant confounds take nothing out: {listing(flat)}"
    if low is None and not any(name.startswith("cosine") for name in names):
        yield (
            f"{table.name} holds no cosines and band_hz has no lower edge, so slow drifts stay but "
            "for a linear trend"
        )


def high_variance(volumes: Volumes, mask: np.ndarray) -> Confounds:
    """Return five principal components of the 2 % of voxels that vary most (Behzadi et al. 2007).

    As ``nilearn.image.high_variance_confounds`` (detrended, mask (x, y, z) bool), but only the
    chosen voxels are ever in memory together.
    """
    from nilearn.signal import high_variance_confounds
    from scipy.signal import detrend

    power = np.empty(int(mask.sum()))
    for at, part in volumes.voxels(mask):
        power[at] = (detrend(part.astype(np.float64), axis=1) ** 2).mean(axis=1)
    limit = np.percentile(power, 100 - HIGHVAR_PERCENT)
    below = power <= limit
    chosen = ~below
    if below.any():
        chosen[np.flatnonzero(below)[power[below].argmax()]] = True  # nilearn drops the least one
    picked = [part[chosen[at]] for at, part in volumes.voxels(mask)]
    series = np.concatenate(picked).T.astype(np.float64)
    made = high_variance_confounds(series, n_confounds=HIGHVAR, percentile=100, detrend=True)
    made = np.asarray(made)
    if made.shape[1] < HIGHVAR:
        raise ValueError(
            f"{volumes.path}: {int(mask.sum())} voxels are too few for denoise: highvar, which "
            f"needs {HIGHVAR} components of {HIGHVAR_PERCENT:g} % of them; use 24p"
        )
    return Confounds(made, tuple(f"high_variance_{i}" for i in range(made.shape[1])), ())


def as_extras(found: Confounds) -> dict[str, np.ndarray]:
    """Return confounds as the ``extras`` of a ``Raw``."""
    made = {"confounds": found.values, "confound_names": np.asarray(found.names, dtype=str)}
    return made | ({"removed_before": np.asarray(found.before)} if found.before else {})


def step(denoise: str, found: Confounds) -> dict[str, Any]:
    """Return the step that tells which confounds were taken."""
    made: dict[str, Any] = {"step": "choose confounds", "strategy": denoise}
    made["confounds"] = list(found.names)
    if found.dropped:
        made["cosines_dropped"] = len(found.dropped)
    if found.before:
        made["removed_before"] = found.before
    return made

"""Where fMRIPrep puts what belongs to a run, told from BIDS entities alone: nothing is searched.

Nothing heavy is imported, because it is used while Snakemake plans.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rheobase.config.entries import BIDS

DERIVATIVES = "derivatives"
SPACE = "MNI152NLin2009cAsym"
CONFOUNDS = ("_desc-confounds_timeseries.tsv", "_desc-confounds_regressors.tsv")
PREPROC, AROMA = "_desc-preproc_bold.nii.gz", "_desc-smoothAROMAnonaggr_bold.nii.gz"


def image_path(
    folder: Path, entities: Mapping[str, str], reader: Mapping[str, Any], denoise: str | None
) -> Path:
    """Return the preprocessed image of a run below the derivatives ``folder``.

    ``sub-<>[/ses-<>]/func/sub-<>..._space-<>[_res-<>]_desc-preproc_bold.nii.gz``; with
    ``denoise: aroma`` the image that fMRIPrep cleaned by ICA-AROMA. Raises ``ValueError`` for an
    entity that BIDS lacks, or without a subject.
    """
    if unknown := sorted(set(entities) - set(BIDS)):
        raise ValueError(
            f"the entity {unknown[0]!r} is in no file name of fMRIPrep, which has {', '.join(BIDS)}"
        )
    if "subject" not in entities:
        raise ValueError("files of fMRIPrep are named by subject; add it to entities or the table")
    named, place = _named(entities), _place(folder, entities)
    res = f"_res-{reader['res']}" if reader.get("res") else ""
    last = AROMA if denoise == "aroma" else PREPROC
    return place / f"{named}_space-{reader.get('space', SPACE)}{res}{last}"


def events_path(folder: Path, entities: Mapping[str, str]) -> Path | None:
    """Return a run's ``_events.tsv`` in the raw BIDS data set that holds the derivatives.

    BIDS keeps derivatives as ``<data set>/derivatives/<name>``; None where ``folder`` lies
    otherwise. The echo is not in the name of such a file.
    """
    if folder.parent.name != DERIVATIVES or "subject" not in entities:
        return None
    kept = {key: value for key, value in entities.items() if key != "echo"}
    return _place(folder.parents[1], kept) / f"{_named(kept)}_events.tsv"


def _named(entities: Mapping[str, str]) -> str:
    return "_".join(f"{short}-{entities[k]}" for k, short in BIDS.items() if k in entities)


def _place(folder: Path, entities: Mapping[str, str]) -> Path:
    place = folder / f"sub-{entities['subject']}"
    place = place / f"ses-{entities['session']}" if "session" in entities else place
    return place / "func"


def beside(image: Path) -> dict[str, Path]:
    """Return the ``sidecar`` (JSON), ``mask`` and ``confounds`` that belong to an image.

    ``confounds`` is the newer name where both or neither are there.
    """
    name = image.name
    stem = name.partition("_space-")[0]
    spaced = name.rpartition("_desc-")[0]
    tables = [image.with_name(stem + ending) for ending in CONFOUNDS]
    return {
        "sidecar": image.with_name(name.removesuffix(".nii.gz") + ".json"),
        "mask": image.with_name(f"{spaced}_desc-brain_mask.nii.gz"),
        "confounds": next((path for path in tables if path.is_file()), tables[0]),
    }


def space_of(path: Path) -> str | None:
    """Return the ``space-`` or ``tpl-`` entity in a file's name; None where there is none."""
    for part in path.name.split("."):
        for piece in part.split("_"):
            key, dash, value = piece.partition("-")
            if dash and key in ("space", "tpl"):
                return value
    return None

"""A folder of fMRIPrep derivatives: which runs are complete, and in which space to read them."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rheobase.config.entries import BIDS
from rheobase.io.derivatives import PREPROC, SPACE, beside, image_path
from rheobase.io.values import reading
from rheobase.preprocess import quality
from rheobase.stages.init.starter import Derivatives, Found

NAME = re.compile(
    rf"(?P<run>sub-.+)_space-(?P<space>[A-Za-z0-9]+)(_res-(?P<res>[A-Za-z0-9]+))?{re.escape(PREPROC)}"
)
LONG = {short: entity for entity, short in BIDS.items()}
PIECE = re.compile(r"([a-z]+)-([A-Za-z0-9]+)")


@dataclass(frozen=True)
class _Run:
    """One preprocessed image."""

    image: Path
    top: Path
    """The folder that holds ``sub-<subject>``."""
    entities: dict[str, str]
    space: str
    res: str | None

    @property
    def reader(self) -> dict[str, str]:
        """The keys of the config's reader that tell this image from others of the run."""
        return {"space": self.space} | ({"res": self.res} if self.res else {})


def derivatives(folder: Path) -> Found | None:
    """Return the runs of fMRIPrep below a folder in one space; None where there is none.

    Of several spaces the one in MNI152 with most runs is taken; at equal numbers fMRIPrep's own
    default, then 2 mm. Runs without sidecar, mask or confounds are left aside, by name.
    """
    images = sorted(p for p in folder.rglob(f"*{PREPROC}") if not _hidden(p, folder))
    odd = [image.name for image in images if _run(image) is None]
    runs = [run for image in images if (run := _run(image)) is not None]
    whole = [run for run in runs if not _lacking(run)]
    if not whole:
        return None
    top = Counter(run.top for run in whole).most_common(1)[0][0]
    spaces: dict[tuple[str, str | None], list[_Run]] = defaultdict(list)
    for run in whole:
        if run.top == top:
            spaces[run.space, run.res].append(run)
    kept, differ = _alike(max(spaces.values(), key=_preference))
    rest = [_named(other[0]) for other in spaces.values() if other[0].reader != kept[0].reader]
    lacking = [f"{run.image.name} ({_lacking(run)})" for run in runs if _lacking(run)]
    aside = [*odd, *lacking, *(run.image.name for run in differ)]
    told = [quality.listed(aside)] if aside else []
    others = sorted({str(run.top) for run in whole if run.top != top})
    return Found(
        "fmriprep",
        tuple(run.image for run in kept),
        str(top).replace("{", "{{").replace("}", "}}"),
        tuple(run.entities for run in kept),
        (*told, *(f"everything in {other}" for other in others)),
        derived=Derivatives(
            top, kept[0].reader, tuple(rest), _volumes(kept[0].image), _program(top)
        ),
    )


def participants_of(top: Path) -> Path:
    """Return where the BIDS table of people lies: in the derivatives or in the data set above."""
    above = top.parent.parent if top.parent.name == "derivatives" else top
    places = [place / "participants.tsv" for place in (top, above)]
    return next((path for path in places if path.is_file()), places[0])


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _run(image: Path) -> _Run | None:
    """Return a run by the name of its image; None where the reader could not name it."""
    found = NAME.fullmatch(image.name)
    pieces = [PIECE.fullmatch(piece) for piece in found["run"].split("_")] if found else []
    if not found or any(piece is None or piece[1] not in LONG for piece in pieces):
        return None
    entities = {LONG[piece[1]]: piece[2] for piece in pieces if piece}
    above = image.parents[3 if "session" in entities else 2]  # sub-01[/ses-1]/func
    run = _Run(image, above, entities, found["space"], found["res"])
    try:
        same = image_path(above, entities, run.reader, None) == image
    except ValueError:
        return None
    return run if same and "task" in entities else None


def _lacking(run: _Run) -> str:
    """Return what a run lacks beside its image, in words; empty where it is whole."""
    missing = [kind for kind, path in beside(run.image).items() if not path.is_file()]
    return f"no {' or '.join(missing)}" if missing else ""


def _preference(runs: Sequence[_Run]) -> tuple[bool, int, bool, bool]:
    one = runs[0]
    return one.space.startswith("MNI152"), len(runs), one.space == SPACE, one.res in (None, "2")


def _alike(runs: Sequence[_Run]) -> tuple[list[_Run], list[_Run]]:
    """Return the runs whose names hold the commonest entities, and the others."""
    common = Counter(tuple(run.entities) for run in runs).most_common(1)[0][0]
    alike = [run for run in runs if tuple(run.entities) == common]
    return alike, [run for run in runs if tuple(run.entities) != common]


def _named(run: _Run) -> str:
    return " ".join(run.reader.values() if not run.res else [run.space, f"(res {run.res})"])


def _volumes(image: Path) -> tuple[int, float | None]:
    """Return the volumes of a run and its seconds a volume; None where its sidecar is silent."""
    import nibabel

    sidecar = beside(image)["sidecar"]
    with reading(image, "nifti"):
        count = nibabel.load(image).shape[-1]  # pyright: ignore[reportAttributeAccessIssue]
    with reading(sidecar, "JSON"):
        told = json.loads(sidecar.read_text(encoding="utf-8-sig"))
    seconds = told.get("RepetitionTime") if isinstance(told, dict) else None
    return count, float(seconds) if isinstance(seconds, int | float) and seconds > 0 else None


def _program(top: Path) -> str:
    """Return the program and version that ``dataset_description.json`` names; empty without."""
    path = top / "dataset_description.json"
    if not path.is_file():
        return ""
    with reading(path, "JSON"):
        told: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    made = told.get("GeneratedBy") if isinstance(told, Mapping) else None
    first = made[0] if isinstance(made, list) and made else {}
    first = first if isinstance(first, Mapping) else {}
    return " ".join(str(first[key]) for key in ("Name", "Version") if first.get(key))

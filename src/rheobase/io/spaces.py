"""Whether an image and an atlas lie in the same space, as far as their names tell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rheobase.io.derivatives import space_of

OFFLINE = "MNI152"
"""Space of the atlases that need no file: published for MNI space at large."""
VOXELS = "voxels"
"""No atlas: every voxel is its own region."""
NATIVE = {"T1w", "T2w", "func", "boldref", "orig", "scanner", "individual", "native"}


def space_notes(path: Path, atlas: Any) -> tuple[str, ...]:
    """Return a warning where an image's space differs from its atlas's.

    Spaces come from ``space-`` in the image's name, ``space-`` or ``tpl-`` in the atlas's, and its
    key ``space``. Raises ``ValueError`` for an image in the person's own space under an atlas of
    another; two versions of MNI152 are a warning.
    """
    ours = space_of(path)
    theirs, name = _atlas_space(atlas)
    if ours is None or theirs is None or ours == theirs:
        return ()
    if ours in NATIVE or not (_mni(ours) and _mni(theirs)):
        raise ValueError(
            f"{path} lies in the space {ours} and the atlas {name} in {theirs}; take the image in "
            "the atlas's space, or correct preprocess.atlas.space"
        )
    if theirs == OFFLINE:
        return ()
    return (
        f"the image lies in {ours} and the atlas {name} in {theirs}: two versions of MNI space "
        "that differ by a few millimetres",
    )


def known_space(path: Path, atlas: Any) -> str | None:
    """Return the space of an image, by its name or else by its atlas; None where unknown."""
    return space_of(path) or _atlas_space(atlas)[0]


def in_mni(path: Path, atlas: Any) -> bool:
    """Return whether an image lies in MNI152 space, by its name or else by its atlas."""
    return (known_space(path, atlas) or "").startswith(OFFLINE)


def _mni(space: str) -> bool:
    return space.startswith("MNI")


def _atlas_space(atlas: Any) -> tuple[str | None, str]:
    if not isinstance(atlas, Mapping):
        return None if atlas == VOXELS else OFFLINE, str(atlas)
    file = Path(str(atlas.get("image") or atlas.get("coordinates")))
    return atlas.get("space") or space_of(file), file.name

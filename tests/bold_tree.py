"""A small tree of fMRIPrep derivatives whose truth is known: images, confounds, JSON and an atlas.

Regions are painted into 20 x 24 x 20 voxels of 4 mm; each voxel is ``1000 + 10 (y + N(0, 1))`` with
a slow cosine. The six motion parameters walk by 0.01 mm or 0.0002 rad a volume and jump by 0.8 mm;
volumes of a jump get ``30 FD`` added everywhere, everything follows the translations a little, and
each region takes its own share of the white-matter signal, so that it changes who goes with whom.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from rheobase.io.synthetic.fmri import simulate

SHAPE = (20, 24, 20)
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])
AFFINE[:3, 3] = -38, -46, -38
SPACE = "MNI152NLin2009cAsym"
WALK_MM, WALK_RAD, JUMP_MM = 0.01, 0.0002, 0.8


@dataclass(frozen=True)
class Planted:
    """One run on disk and what is in it."""

    image: Path
    confounds: Path
    sidecar: Path
    mask: Path
    series: np.ndarray
    """(time, region) without motion or drift."""
    jumps: tuple[int, ...]
    fd: np.ndarray
    nuisance: np.ndarray
    """(time,) the white-matter signal, 0.3 to 2 shares of which are in every region."""


def painted(regions: int) -> np.ndarray:
    """Return labels 1 to ``regions`` as blocks of voxels, 0 in a margin of two."""
    labels = np.zeros(SHAPE, np.int16)
    inner = tuple(n - 4 for n in SHAPE)
    number = np.arange(np.prod(inner)) * regions // np.prod(inner) + 1
    labels[2:-2, 2:-2, 2:-2] = number.reshape(inner)
    return labels


def atlas(folder: Path, regions: int, *, networks: int = 6, factor: int = 1) -> dict[str, str]:
    """Write the painted regions as an atlas with names and networks; ``factor`` refines the grid.

    Returns the config's ``atlas``.
    """
    labels = painted(regions)
    affine = AFFINE.copy()
    if factor > 1:
        for axis in range(3):
            labels = labels.repeat(factor, axis)
        affine[:3, :3] /= factor
        affine[:3, 3] -= 4 * (factor - 1) / (2 * factor)
    image = folder / f"atlas-{factor}.nii.gz"
    nibabel.save(nibabel.Nifti1Image(labels, affine), image)
    rows = [f"{i + 1}\tr{i:02d}\tnet{i * networks // regions}" for i in range(regions)]
    table = folder / "atlas.tsv"
    table.write_text("\n".join(["index\tname\tnetwork", *rows]) + "\n")
    return {"image": str(image), "labels": str(table)}


def plant(
    folder: Path,
    *,
    subject: str = "01",
    task: str = "rest",
    seed: int = 0,
    regions: int = 24,
    samples: int = 240,
    tr_s: float = 2.0,
    jumps: Sequence[int] = (60, 150),
    space: str = SPACE,
    nuisance: float = 1.5,
    table: str = "timeseries",
    non_steady: int = 0,
    series: np.ndarray | None = None,
) -> Planted:
    """Write one run of a subject below ``folder`` and return what was planted."""
    rng = np.random.default_rng(seed)
    made = simulate(
        seed=seed, runs=1, regions=regions, communities=6, samples=samples, tr_s=tr_s
    ).series[0]
    made = made if series is None else series
    motion, fd = _motion(rng, samples, jumps)
    noise = _smooth(rng, samples)
    values = _voxels(rng, made, motion, fd, noise * nuisance, jumps)
    place = folder / f"sub-{subject}" / "func"
    place.mkdir(parents=True, exist_ok=True)
    stem = f"sub-{subject}_task-{task}"
    image = place / f"{stem}_space-{space}_desc-preproc_bold.nii.gz"
    save_run(image, values, tr_s)
    mask = place / f"{stem}_space-{space}_desc-brain_mask.nii.gz"
    inside = (painted(regions) > 0).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(inside, AFFINE), mask)
    sidecar = image.with_name(image.name.replace(".nii.gz", ".json"))
    sidecar.write_text(json.dumps({"RepetitionTime": tr_s, "SkullStripped": False}))
    confounds = place / f"{stem}_desc-confounds_{table}.tsv"
    columns = _columns(rng, values[inside > 0].T, motion, fd, noise, non_steady)
    write_table(confounds, columns)
    meta = {f"a_comp_cor_{i:02d}": _component(i) for i in range(5)}
    confounds.with_suffix(".json").write_text(json.dumps(meta))
    return Planted(image, confounds, sidecar, mask, made, tuple(jumps), fd, noise)


def save_run(path: Path, values: np.ndarray, tr_s: float, *, unit: str = "sec") -> None:
    """Write a 4-D float32 image on the tree's grid."""
    image: Any = nibabel.Nifti1Image(np.asarray(values, np.float32), AFFINE)
    image.header.set_zooms((4, 4, 4, tr_s))
    image.header.set_xyzt_units("mm", unit)
    nibabel.save(image, path)


def write_table(path: Path, columns: dict[str, np.ndarray]) -> None:
    """Write columns as fMRIPrep does, ``n/a`` for NaN."""
    rows = [
        "\t".join("n/a" if np.isnan(v) else f"{v:.8g}" for v in row)
        for row in zip(*columns.values(), strict=True)
    ]
    path.write_text("\n".join(["\t".join(columns), *rows]) + "\n")


def _motion(
    rng: np.random.Generator, samples: int, jumps: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    steps = rng.normal(size=(samples, 6)) * np.repeat([WALK_MM, WALK_RAD], 3)
    steps[0] = 0
    for number, at in enumerate(jumps):
        steps[at, number % 3] += JUMP_MM * (-1) ** (number // 3)
    motion = steps.cumsum(axis=0)
    change = np.abs(np.diff(motion, axis=0, prepend=motion[:1]))
    return motion, change[:, :3].sum(axis=1) + 50 * change[:, 3:].sum(axis=1)


def _smooth(rng: np.random.Generator, samples: int) -> np.ndarray:
    noise = rng.normal(size=samples)
    for t in range(1, samples):
        noise[t] += 0.7 * noise[t - 1]
    return (noise - noise.mean()) / noise.std()


def _voxels(
    rng: np.random.Generator,
    series: np.ndarray,
    motion: np.ndarray,
    fd: np.ndarray,
    nuisance: np.ndarray,
    jumps: Sequence[int],
) -> np.ndarray:
    samples, regions = series.shape
    labels = painted(regions)
    values = np.full((*SHAPE, samples), 5.0, np.float32)
    drift = 5 * np.cos(np.pi * np.arange(samples) / samples)
    shared = drift + 20 * motion[:, :3].sum(axis=1)
    for at in jumps:
        shared[at] += 30 * fd[at]
    inside = labels > 0
    dirty = series + rng.uniform(0.3, 2, regions) * nuisance[:, None]
    signal = dirty[:, labels[inside] - 1].T + rng.normal(size=(int(inside.sum()), samples))
    values[inside] = 1000 + 10 * signal + shared
    return values


def _columns(
    rng: np.random.Generator,
    voxels: np.ndarray,
    motion: np.ndarray,
    fd: np.ndarray,
    noise: np.ndarray,
    non_steady: int,
) -> dict[str, np.ndarray]:
    samples = len(motion)
    made: dict[str, np.ndarray] = {}
    for name, course in (("white_matter", noise), ("csf", _smooth(rng, samples))):
        made |= _expanded(name, 1000 + course)
    made |= _expanded("global_signal", voxels.mean(axis=1))
    change = np.sqrt((np.diff(voxels, axis=0) ** 2).mean(axis=1))
    made["dvars"] = np.append(np.nan, change)
    made["std_dvars"] = np.append(np.nan, change / np.median(change))
    made["framewise_displacement"] = np.append(np.nan, fd[1:])
    for i in range(3):
        time = np.arange(samples) + 0.5
        made[f"cosine{i:02d}"] = np.cos(np.pi * (i + 1) * time / samples)
    for i in range(5):
        made[f"a_comp_cor_{i:02d}"] = noise if i == 0 else _smooth(rng, samples)
    for i, name in enumerate(("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")):
        made |= _expanded(name, motion[:, i])
    for i in range(non_steady):
        made[f"non_steady_state_outlier{i:02d}"] = (np.arange(samples) == i).astype(float)
    return made


def _expanded(name: str, course: np.ndarray) -> dict[str, np.ndarray]:
    change = np.append(np.nan, np.diff(course))
    return {
        name: course,
        f"{name}_derivative1": change,
        f"{name}_power2": course**2,
        f"{name}_derivative1_power2": change**2,
    }


def _component(number: int) -> dict[str, Any]:
    return {
        "Method": "aCompCor", "Mask": "combined", "Retained": True, "SingularValue": 9.0 - number,
        "VarianceExplained": 0.1, "CumulativeVarianceExplained": 0.1 * (number + 1),
    }  # fmt: skip

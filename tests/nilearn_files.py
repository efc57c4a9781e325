"""Files as nilearn would download them, so that its own fetchers run without a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

REGIONS, VOLUMES = 5, 90
SITES = ("NYU", "UM_1")
PASSED = {"qc_rater_1": "OK", "qc_anat_rater_2": "OK", "qc_func_rater_2": "maybe",
          "qc_anat_rater_3": "OK", "qc_func_rater_3": "OK"}  # fmt: skip
MOTION = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
OTHERS = ("csf", "white_matter", *(f"a_comp_cor_{i:02d}" for i in range(6)))


def serve(monkeypatch, *, images=(), people=24):
    """Let nilearn find a small ABIDE and a small set of children and adults where it downloads.

    ``images`` are files that stand for the functional images, in turn; empty files without.
    """

    def fetch_files(folder, wanted, **_):
        return [_make(Path(folder) / name, list(images), people) for name, *_ in wanted]

    monkeypatch.setattr("nilearn.datasets.func.fetch_files", fetch_files)


def _make(path: Path, images: list[Path], people: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    number = int("".join(c for c in path.name.split("_")[0] if c.isdigit()) or 0)
    if path.name.startswith("Phenotypic"):
        _phenotypes(people).to_csv(path)
    elif path.name == "participants.tsv":
        _participants(people).to_csv(path, sep="\t", index=False)
    elif path.name.endswith(".1D"):
        rng = np.random.default_rng(int(path.name.split("_")[-3]))
        np.savetxt(path, 1000 + rng.normal(size=(VOLUMES, REGIONS)))
    elif path.name.endswith("_regressors.tsv"):
        _confounds(number).to_csv(path, sep="\t", index=False, na_rep="n/a")
    else:
        path.write_bytes(images[number % len(images)].read_bytes() if images else b"")
    return str(path)


def _phenotypes(people: int) -> pd.DataFrame:
    """Return ABIDE's table: every third person of another site, one without a file."""
    site = [SITES[i % 3 == 2] for i in range(people)]
    names = [f"{s}_{50000 + i:07d}" for i, s in enumerate(site)]
    names[0] = "no_filename"
    return pd.DataFrame({
        "SUB_ID": 50000 + np.arange(people), "SITE_ID": site, "FILE_ID": names,
        "DX_GROUP": 1 + np.arange(people) // 2 % 2, "AGE_AT_SCAN": 10 + np.arange(people) / 4,
        "SEX": 1 + np.arange(people) % 2, "MEDICATION_NAME": ["a, b"] * people, **PASSED,
    })  # fmt: skip


def _participants(people: int) -> pd.DataFrame:
    """Return the first people of the data set, a third of them adults."""
    adult = np.arange(people) % 3 == 0
    return pd.DataFrame({
        "participant_id": [f"sub-pixar{i:03d}" for i in range(1, people + 1)],
        "Age": np.where(adult, 25.5, 4.25) + np.arange(people) / 10,
        "AgeGroup": np.where(adult, "Adult", "4yo"),
        "Child_Adult": np.where(adult, "adult", "child"),
        "Gender": "F", "Handedness": "R",
    })  # fmt: skip


def _confounds(number: int) -> pd.DataFrame:
    rng = np.random.default_rng(number)
    columns = {name: rng.normal(size=VOLUMES) * 1e-3 for name in (*MOTION, *OTHERS)}
    moved = np.append(np.nan, np.abs(rng.normal(size=VOLUMES - 1)) * 0.1)
    return pd.DataFrame({**columns, "framewise_displacement": moved, "dvars": moved})

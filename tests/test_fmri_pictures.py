"""The carpet of a run: voxels by tissue or regions by network, on one time axis with its motion."""

from __future__ import annotations

from typing import Any

import nibabel
import numpy as np
import pytest
import xarray as xr

from bold_tree import AFFINE, atlas, plant, save_run
from rheobase.io.raw import Raw
from rheobase.io.readers import read
from rheobase.io.spaces import in_mni
from rheobase.io.tissues import CSF, GREY, ROWS, WHITE, sample, tissue_at
from rheobase.preprocess.clean import Cleaned, clean
from rheobase.report.fmri_carpet import stack


def cleaned(raw, **options) -> Cleaned:
    return clean(raw, modality="fmri", rate=0.5, time_unit="s", units=None, options=options,
                 name="sub-01")  # fmt: skip


def pictures_of(made: Cleaned) -> xr.Dataset:
    assert made.pictures is not None
    return made.pictures


def bold(rng, samples=300, regions=6):
    return 1000 + 10 * rng.normal(size=(samples, regions))


def test_tissues_are_where_anatomy_has_them():
    putamen, corona_radiata, ventricle, air = (26, 4, 2), (26, -20, 28), (-4, 8, 10), (0, 0, 120)
    found = tissue_at(np.array([putamen, corona_radiata, ventricle, air], float))
    assert found.tolist() == [1, 2, 3, 0]


def test_voxels_are_taken_evenly_and_ordered_by_tissue():
    shape, affine = (50, 59, 48), np.diag([4.0, 4, 4, 1])
    affine[:3, 3] = -98, -134, -72
    found = sample(np.ones(shape, bool), affine)
    assert found is not None
    voxels, kinds = found
    assert kinds.tolist() == [name for name, many in ROWS.items() for _ in range(many)]
    place = voxels @ affine[:3, :3].T + affine[:3, 3]
    assert (np.array([GREY, WHITE, CSF])[tissue_at(place) - 1] == kinds).all()
    assert np.ptp(voxels[kinds == GREY], axis=0).min() > 20
    assert sample(np.ones((3, 3, 3), bool), affine) is None


@pytest.mark.parametrize(
    ("name", "chosen", "expected"),
    [
        ("sub-01_space-MNI152NLin6Asym_bold.nii.gz", {"image": "a.nii.gz"}, True),
        ("sub-01_space-T1w_bold.nii.gz", {"image": "tpl-MNI152NLin6Asym_a.nii.gz"}, False),
        ("bold.nii.gz", "seitzman300", True),
        ("bold.nii.gz", {"image": "a.nii.gz"}, False),
        ("bold.nii.gz", "voxels", False),
        ("sub-01_space-MNIInfant_bold.nii.gz", "voxels", False),
    ],
)
def test_an_image_is_in_mni_space_by_its_name_or_its_atlas(tmp_path, name, chosen, expected):
    assert in_mni(tmp_path / name, chosen) == expected


def test_voxels_of_an_image_are_cleaned_as_its_regions_are(tmp_path):
    run = plant(tmp_path, samples=200, jumps=(60, 150))
    raw = read(run.image, reader={"format": "fmriprep"}, files={},
               preprocess={"atlas": atlas(tmp_path, 24), "denoise": "simple"})  # fmt: skip
    kinds = raw.extras["carpet_tissue"]
    assert raw.extras["carpet"].shape == (200, len(kinds)) == (200, 120)
    image: Any = nibabel.load(run.image)
    found = sample(np.asarray(nibabel.load(run.mask).dataobj) > 0, AFFINE)  # pyright: ignore[reportAttributeAccessIssue]
    assert found is not None
    stored = np.asarray(image.dataobj)[tuple(found[0].T)].T
    np.testing.assert_array_equal(raw.extras["carpet"], stored)
    made = pictures_of(cleaned(raw, denoise="simple", band_hz=[0.01, 0.1], n_dummy=0))
    assert made.attrs["carpet_kind"] == "voxel"
    assert made["carpet_group"].values.tolist() == kinds.tolist()
    shared = {
        when: np.abs(made[f"carpet_{when}"].values.mean(axis=0)).mean()
        for when in ("before", "after")
    }
    assert shared["after"] < 0.5 * shared["before"]


def test_smoothing_and_dummy_volumes_leave_the_voxels_on_the_time_axis(tmp_path):
    run = plant(tmp_path, samples=160, jumps=())
    options = {"atlas": atlas(tmp_path, 24), "denoise": "none", "n_dummy": 4, "smoothing_mm": 6}
    raw = read(run.image, reader={"format": "fmriprep"}, files={}, preprocess=options)
    made = pictures_of(cleaned(raw, **options))
    assert made["carpet_after"].shape == (120, 156)


def test_an_image_in_no_known_space_shows_its_regions(tmp_path, rng):
    path = tmp_path / "bold.nii.gz"
    save_run(path, rng.normal(1000, 10, (20, 24, 20, 60)), 2.0)
    raw = read(path, reader={"format": "nifti"}, files={},
               preprocess={"atlas": atlas(tmp_path, 24)})  # fmt: skip
    assert "carpet" not in raw.extras
    assert pictures_of(cleaned(raw, fd_mm=None)).attrs["carpet_kind"] == "region"


def test_regions_are_ordered_by_network_and_cut_at_two_deviations(rng):
    signal = bold(rng, 600, 200)
    networks = np.array(["b", "a"] * 100)
    raw = Raw(signal, tuple(map(str, range(200))), unit_labels={"network": networks})
    made = pictures_of(cleaned(raw))
    assert made["carpet_group"].values.tolist() == ["a"] * 60 + ["b"] * 60
    assert made["carpet_before"].shape == (120, 240)
    assert np.abs(made["carpet_before"].values).max() == 20
    assert made.attrs == {"carpet_kind": "region", "carpet_of": 200, "regions": 200}


def test_frames_that_are_not_used_do_not_set_the_scale(rng):
    signal, motion = bold(rng), np.zeros((300, 6))
    signal[100] += 5000
    motion[100:, 0] = 3
    raw = Raw(signal, tuple("abcdef"), extras={"motion": motion})
    made = pictures_of(cleaned(raw, band_hz=None)).carpet_before.values
    assert made.shape == (6, 240)
    assert (made.max(axis=0) == 20).any()
    assert made.std() > 8


def test_censored_frames_are_shaded_over_all_panels_and_groups_are_named(rng):
    carpet = ("carpet_row", "carpet_bin"), rng.integers(-20, 20, (40, 50)).astype(np.int8)
    groups = np.array(["Visual"] * 20 + ["Default"] * 18 + ["Limbic"] * 2)
    pictures = xr.Dataset(
        {"carpet_before": carpet, "carpet_after": carpet, "carpet_group": ("carpet_row", groups)},
        attrs={"carpet_kind": "region", "carpet_of": 90},
    )
    preview = {
        "series": {"framewise_displacement_mm": [0.1] * 50, "global_signal": [1.0, 2.0] * 25},
        "censored": [[10, 14], [60, 62]],
        "duration": 100.0,
    }
    figure = stack("sub-01", preview, pictures, {"framewise_displacement_mm": 0.5}, "s")
    assert figure is not None
    assert figure.body.count('class="shade"') == 2
    assert figure.body.count("<image") == 2
    assert figure.body.count(">Visual<") == figure.body.count(">Default<") == 2
    assert ">Limbic<" not in figure.body
    assert "2 stretches of frames are not used (shaded)" in figure.caption
    assert "40 of 90 regions, ordered by network" in figure.caption
    assert "framewise displacement (mm)" in figure.body
    assert stack("a", {}, xr.Dataset(), {}, "s") is None

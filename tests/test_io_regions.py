"""Regions of label images and spheres."""

from __future__ import annotations

from typing import Any

import nibabel
import numpy as np
import pytest
from nilearn.maskers import NiftiLabelsMasker, NiftiSpheresMasker

from rheobase.io.readers import read

AFFINE = np.asarray([[-3.0, 0, 0, 12], [0, 3, 0, -9], [0, 0, 4, -8], [0, 0, 0, 1]])
SHAPE = (8, 7, 5)


def save(path, values, affine=AFFINE, *, step=2.0, unit="sec", dtype: Any = np.float32):
    image = nibabel.Nifti1Image(np.asarray(values, dtype), affine)
    if image.ndim == 4:
        image.header.set_zooms((*image.header.get_zooms()[:3], step))
        image.header.set_xyzt_units("mm", unit)
    nibabel.save(image, path)
    return path


@pytest.fixture
def values(rng):
    return 1000 + rng.normal(size=(*SHAPE, 30)).astype(np.float32)


@pytest.fixture
def run(tmp_path, values):
    return save(tmp_path / "run.nii.gz", values)


@pytest.fixture
def labels():
    """Six slabs along x with the labels 1, 2, 5, 6, 7, 8 and background at both ends."""
    content = np.zeros(SHAPE, np.int16)
    for x, label in enumerate([1, 2, 5, 6, 7, 8], start=1):
        content[x] = label
    return content


@pytest.fixture
def atlas(tmp_path, labels):
    return save(tmp_path / "atlas.nii.gz", labels, dtype=np.int16)


def opened(path) -> Any:
    return nibabel.load(path)


def load(path, atlas=None, files=None, **reader):
    return read(
        path, reader={"format": "nifti", **reader}, files=files or {}, preprocess={"atlas": atlas}
    )


def table(path, *rows):
    path.write_text("\n".join("\t".join(map(str, row)) for row in rows) + "\n")
    return str(path)


def many_labels(tmp_path):
    content = np.arange(1, np.prod(SHAPE) // 10 + 1).repeat(10).reshape(SHAPE)
    return content, save(tmp_path / "many.nii", content, dtype=np.int32)


def test_label_means_equal_nilearns(run, atlas):
    raw = load(run, {"image": str(atlas)})
    masker = NiftiLabelsMasker(opened(atlas), standardize=False, reports=False)
    np.testing.assert_allclose(raw.signal, masker.fit_transform(opened(run)), rtol=1e-6)
    assert raw.names == (
        "region001",
        "region002",
        "region005",
        "region006",
        "region007",
        "region008",
    )


def test_sphere_means_equal_nilearns(tmp_path, run):
    centres = [(0, 0, 0), (3.4, 2, 1), (-6, 3, 4)]
    rows = [(f"s{i}", *centre, "Vis") for i, centre in enumerate(centres)]
    file = table(tmp_path / "c.tsv", ("name", "x", "y", "z", "network"), *rows)
    raw = load(run, {"coordinates": file, "radius_mm": 5})
    masker = NiftiSpheresMasker(
        centres, radius=5, allow_overlap=True, standardize=False, reports=False
    )
    np.testing.assert_allclose(raw.signal, masker.fit_transform(opened(run)), rtol=1e-6)
    assert raw.names == ("s0", "s1", "s2")
    assert raw.unit_labels["network"].tolist() == ["Vis"] * 3
    np.testing.assert_array_equal(raw.unit_labels["x"], [0, 3.4, -6])


def test_atlas_on_another_grid_is_brought_to_the_run(tmp_path, run, rng):
    fine = rng.integers(0, 4, size=(9, 8, 7)).repeat(3, 0).repeat(3, 1).repeat(3, 2)
    affine = np.asarray([[0.96, 0.1, 0, -12], [-0.1, 0.96, 0, -9], [0, 0, 1, -9], [0, 0, 0, 1]])
    atlas = save(tmp_path / "fine.nii", fine, affine, dtype=np.int16)
    raw = load(run, {"image": str(atlas)})
    masker = NiftiLabelsMasker(
        opened(atlas), resampling_target="data", standardize=False, reports=False
    )
    np.testing.assert_allclose(raw.signal, masker.fit_transform(opened(run)), rtol=1e-6)


def test_table_names_the_regions_and_networks(tmp_path, run, atlas):
    rows = [(i, f"r{i}", "Vis" if i < 6 else "Default") for i in (1, 2, 5, 6, 7, 8)]
    names = table(tmp_path / "l.tsv", ("index", "name", "network"), (0, "background", ""), *rows)
    raw = load(run, {"image": str(atlas), "labels": names})
    assert raw.names == ("r1", "r2", "r5", "r6", "r7", "r8")
    assert raw.unit_labels["network"].tolist() == ["Vis"] * 3 + ["Default"] * 3


def test_schaefer_names_give_their_network(tmp_path, run, atlas):
    rows = [(i, f"7Networks_LH_{'Vis' if i < 6 else 'Cont'}_{i}") for i in (1, 2, 5, 6, 7, 8)]
    raw = load(
        run, {"image": str(atlas), "labels": table(tmp_path / "l.tsv", ("index", "name"), *rows)}
    )
    assert raw.unit_labels["network"].tolist() == ["Vis"] * 3 + ["Cont"] * 3
    assert raw.unit_labels["hemisphere"].tolist() == ["LH"] * 6


def test_an_index_that_is_no_whole_number_is_refused(tmp_path, run, atlas):
    names = table(tmp_path / "l.tsv", ("index", "name"), (1.5, "a"), (2, "b"))
    with pytest.raises(ValueError, match=r"l.tsv: index 1.5 is no whole number"):
        load(run, {"image": str(atlas), "labels": names})


def test_regions_know_their_centre(run, atlas):
    raw = load(run, {"image": str(atlas)})
    np.testing.assert_allclose(raw.unit_labels["x"], 12 - 3 * np.arange(1, 7))
    np.testing.assert_allclose(raw.unit_labels["z"], 0, atol=1e-9)


def test_label_without_a_row_is_refused(tmp_path, run, atlas):
    names = table(tmp_path / "l.tsv", ("index", "name"), (1, "a"), (2, "b"))
    with pytest.raises(
        ValueError, match="l.tsv has no row for the labels 5, 6, 7, 8 of atlas.nii.gz"
    ):
        load(run, {"image": str(atlas), "labels": names})


def test_lost_labels_are_named(tmp_path, values):
    content, atlas = many_labels(tmp_path)
    values[content == 3] = 0
    raw = load(save(tmp_path / "run.nii", values), {"image": str(atlas)})
    assert raw.steps[0]["lost"] == ["region003"]
    assert raw.steps[0]["regions"] == 27
    lost = raw.names.index("region003")
    assert np.isnan(raw.signal[:, lost]).all()
    assert raw.extras["coverage"][lost] == 0


def test_more_than_a_tenth_of_labels_lost_is_refused(tmp_path, values):
    content, atlas = many_labels(tmp_path)
    values[content <= 3] = 0
    with pytest.raises(ValueError, match="3 of 28 regions.*region001, region002, region003.*10%"):
        load(save(tmp_path / "run.nii", values), {"image": str(atlas)})


def test_atlas_elsewhere_in_space_is_refused(tmp_path, run, labels):
    away = AFFINE.copy()
    away[:3, 3] += 500
    atlas = save(tmp_path / "away.nii", labels, away, dtype=np.int16)
    with pytest.raises(ValueError, match="6 of 6 regions of away.nii have no voxel.*same space"):
        load(run, {"image": str(atlas)})


def test_constant_and_nan_voxels_do_not_enter_a_mean(tmp_path, values, atlas):
    clean = values[1, 1:].reshape(-1, 30).mean(axis=0)
    values[1, 0] = 0
    values[1, 0, 0, 4] = np.nan
    raw = load(save(tmp_path / "run.nii", values), {"image": str(atlas)})
    np.testing.assert_allclose(raw.signal[:, 0], clean, rtol=1e-6)


def test_coverage_is_the_usable_share_of_a_region(tmp_path, values, atlas):
    values[1, :5] = 0
    raw = load(save(tmp_path / "run.nii", values), {"image": str(atlas)})
    np.testing.assert_allclose(raw.extras["coverage"], [2 / 7, 1, 1, 1, 1, 1])
    assert raw.steps[0]["low_coverage"] == ["region001"]


def test_mask_limits_the_regions(tmp_path, run, values, atlas):
    mask = np.zeros(SHAPE)
    mask[:, :3] = 1
    files = {"mask": save(tmp_path / "mask.nii", mask)}
    raw = load(run, {"image": str(atlas)}, files, mask="mask.nii")
    np.testing.assert_allclose(
        raw.signal[:, 1], values[2, :3].reshape(-1, 30).mean(axis=0), rtol=1e-6
    )


def test_seitzman_spheres_come_without_download(tmp_path, rng):
    affine = np.asarray([[6.0, 0, 0, -90], [0, 6, 0, -126], [0, 0, 6, -72], [0, 0, 0, 1]])
    brain = save(tmp_path / "brain.nii", rng.normal(size=(31, 37, 31, 4)), affine)
    raw = load(brain, "seitzman300")
    assert raw.signal.shape == (4, 300)
    assert len(set(raw.unit_labels["network"].tolist())) == 14


def test_missing_atlas_is_refused(run):
    with pytest.raises(ValueError, match="preprocess.atlas is missing"):
        load(run)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (np.ones((*SHAPE, 2)), "an atlas is a 3-D label image"),
        (np.linspace(0, 3, 280).reshape(SHAPE), "holds values that are no whole numbers"),
        (np.ones(SHAPE), "holds fewer than two labels"),
        (-np.arange(280).reshape(SHAPE), "they must be positive"),
    ],
)
def test_atlas_that_is_no_label_image_is_refused(tmp_path, run, content, words):
    with pytest.raises(ValueError, match=rf"bad\.nii.*{words}"):
        load(run, {"image": str(save(tmp_path / "bad.nii", content))})


def test_absent_atlas_is_named(run):
    with pytest.raises(
        FileNotFoundError, match=r"no.nii does not exist; correct preprocess.atlas.image or put"
    ):
        load(run, {"image": "no.nii"})


def test_run_without_a_place_in_space_takes_no_atlas(tmp_path, values, atlas):
    nibabel.Nifti1Image(values, None).to_filename(tmp_path / "r.nii")
    with pytest.raises(ValueError, match="header has neither sform nor qform"):
        load(tmp_path / "r.nii", {"image": str(atlas)})


def test_regions_without_a_number_are_said_to_hold_nan(tmp_path, values, atlas):
    values[1:3] = np.nan
    with pytest.raises(ValueError, match="2 of 6 regions .* hold NaN, are constant or"):
        load(save(tmp_path / "bad.nii", values), {"image": str(atlas)})

"""4-D images: grid, header, mask, voxels and damage."""

from __future__ import annotations

from typing import Any

import nibabel
import numpy as np
import pytest

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


def test_scaled_integers_are_scaled_back(tmp_path, values, atlas):
    image = nibabel.Nifti1Image(values, AFFINE)
    image.set_data_dtype(np.int16)
    nibabel.save(image, tmp_path / "scaled.nii")
    stored = opened(tmp_path / "scaled.nii")
    assert stored.dataobj.slope != 1
    raw = load(tmp_path / "scaled.nii", {"image": str(atlas)})
    np.testing.assert_allclose(
        raw.signal[:, 0], stored.get_fdata()[1].reshape(-1, 30).mean(axis=0), rtol=1e-6
    )


def test_many_chunks_give_the_same_means(run, atlas, monkeypatch):
    whole = load(run, {"image": str(atlas)})
    monkeypatch.setattr("rheobase.io.volumes.CHUNK_VALUES", 7 * int(np.prod(SHAPE)))
    np.testing.assert_array_equal(load(run, {"image": str(atlas)}).signal, whole.signal)


def test_voxels_of_the_mask_become_units(tmp_path, run, values):
    mask = np.zeros(SHAPE)
    mask[2, 3, 4] = mask[5, 1, 0] = 1
    raw = load(run, "voxels", {"mask": save(tmp_path / "mask.nii", mask)}, mask="mask.nii")
    assert raw.names == ("v0001", "v0002")
    np.testing.assert_array_equal(raw.signal, values[[2, 5], [3, 1], [4, 0]].T)
    assert [raw.unit_labels[axis][0] for axis in "xyz"] == [6, 0, 8]


@pytest.mark.parametrize(
    ("name", "atlas_space", "known"),
    [
        ("run.nii", None, None),
        ("run.nii", "MNI152NLin6Asym", "MNI152NLin6Asym"),
        ("sub-1_space-MNI152NLin2009cAsym_bold.nii", None, "MNI152NLin2009cAsym"),
    ],
)
def test_units_say_in_which_space_their_places_lie(
    tmp_path, values, atlas, name, atlas_space, known
):
    path = save(tmp_path / name, values)
    found = {"image": str(atlas)} | ({"space": atlas_space} if atlas_space else {})
    spaces = load(path, found).unit_labels.get("space")
    assert (None if spaces is None else set(spaces.tolist())) == (known and {known})


def test_voxels_need_a_mask(run):
    with pytest.raises(ValueError, match="atlas: voxels needs reader.mask"):
        load(run, "voxels")


@pytest.mark.parametrize(
    ("step", "unit", "rate"),
    [
        (2.0, "sec", 0.5),
        (720.0, "msec", 1 / 0.72),
        (0.0, "sec", None),
        (2.0, "unknown", None),
    ],
)
def test_rate_comes_from_a_header_that_says_it(tmp_path, values, atlas, step, unit, rate):
    raw = load(save(tmp_path / "r.nii", values, step=step, unit=unit), {"image": str(atlas)})
    assert raw.rate_hz == (None if rate is None else pytest.approx(rate))


def test_implausible_repetition_time_is_refused(tmp_path, values, atlas):
    with pytest.raises(
        ValueError, match="header says 2000 sec a volume, above 10 s; correct pixdim"
    ):
        load(save(tmp_path / "r.nii", values, step=2000.0), {"image": str(atlas)})


@pytest.mark.parametrize("shape", [SHAPE, (*SHAPE, 1)])
def test_single_volume_is_no_run(tmp_path, shape):
    with pytest.raises(ValueError, match="a run is a 4-D image of 2 volumes or more"):
        load(save(tmp_path / "r.nii", np.zeros(shape)), "seitzman300")


def test_mask_of_another_shape_is_refused(tmp_path, run):
    mask = save(tmp_path / "mask.nii", np.ones((8, 7, 4)))
    with pytest.raises(ValueError, match=r"mask.nii has shape \(8, 7, 4\), run.nii.gz \(8, 7, 5\)"):
        load(run, "voxels", {"mask": mask}, mask="x")


def test_mask_at_another_place_is_refused(tmp_path, run):
    shifted = AFFINE.copy()
    shifted[0, 3] += 0.5
    mask = save(tmp_path / "mask.nii", np.ones(SHAPE), shifted)
    with pytest.raises(
        ValueError, match="affine differs from that of run.nii.gz by 0.5, above 0.001"
    ):
        load(run, "voxels", {"mask": mask}, mask="x")


def test_empty_mask_is_refused(tmp_path, run):
    with pytest.raises(ValueError, match="mask.nii keeps no voxel"):
        load(run, "voxels", {"mask": save(tmp_path / "mask.nii", np.zeros(SHAPE))}, mask="x")


def test_flat_affine_is_refused(tmp_path, values, atlas):
    path = save(tmp_path / "r.nii", values)
    image = opened(path)
    image.header["srow_z"] = 0
    nibabel.Nifti1Image(image.dataobj, None, image.header).to_filename(tmp_path / "flat.nii")
    with pytest.raises(ValueError, match="flat.nii: its affine has determinant"):
        load(tmp_path / "flat.nii", {"image": str(atlas)})


@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.98])
def test_cut_image_is_refused(tmp_path, values, atlas, suffix, share):
    path = save(tmp_path / f"r.{suffix}", values)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(ValueError, match=rf"r\.{suffix} is not a readable nifti file"):
        load(path, {"image": str(atlas)})


def test_haxby_voxels_carry_categories_and_runs(shared_data):
    folder = shared_data / "haxby_slice"
    files = {"mask": folder / "mask.nii.gz", "labels_file": folder / "attributes_literal.txt"}
    raw = load(
        folder / "bold.nii.gz",
        "voxels",
        files,
        mask="x",
        labels_file="x",
        block_column=1,
        label_name="category",
    )
    image, mask = opened(folder / "bold.nii.gz"), opened(folder / "mask.nii.gz")
    np.testing.assert_array_equal(raw.signal, image.get_fdata()[mask.get_fdata() > 0].T)
    assert raw.signal.shape == (1452, 530)
    assert raw.rate_hz == pytest.approx(0.4)
    assert (raw.times["category"] == "face").sum() == 108
    assert np.bincount(raw.times["block"]).tolist() == [121] * 12


def test_bids_run_carries_its_motion(shared_data, tmp_path):
    stem = (
        shared_data
        / "haxby_slice"
        / "bids"
        / "sub-01"
        / "func"
        / "sub-01_task-objectviewing_run-01"
    )
    centres = table(
        tmp_path / "c.tsv", ("name", "x", "y", "z"), ("a", 0, -50, 0), ("b", 20, -70, 30)
    )
    motion = stem.with_name(f"{stem.name}_desc-motion.txt")
    raw = load(
        stem.with_name(f"{stem.name}_bold.nii.gz"),
        {"coordinates": centres, "radius_mm": 25},
        {"motion": motion},
        motion={"path": "x", "format": "fsl"},
    )
    assert raw.signal.shape == (121, 2)
    largest = np.abs(raw.extras["motion"]).max(axis=0)
    np.testing.assert_allclose(
        largest, [0.162484, 0.129626, 0.0387418, 0.00519082, 0.00393948, 0.0066341]
    )

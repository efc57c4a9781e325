"""Parcellated CIFTI series: names and rate from the axes, everything else refused."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from nibabel.cifti2.cifti2_axes import BrainModelAxis, ParcelsAxis, SeriesAxis

from rheobase.io.readers import read

NAMES = ["7Networks_LH_Vis_1", "7Networks_LH_Cont_1", "7Networks_RH_Vis_1"]


def parcels(names):
    grey = BrainModelAxis.from_mask(
        np.ones((len(names), 1, 1)), affine=np.eye(4), name="thalamus_left"
    )
    return ParcelsAxis.from_brain_models([(name, grey[i : i + 1]) for i, name in enumerate(names)])


HEMISPHERES = [name.split("_")[1] for name in NAMES]


def save(path, values, *, names=NAMES, step=0.72, unit="SECOND", axis=None):
    series = SeriesAxis(0, step, len(values), unit)
    image = nibabel.Cifti2Image(values.astype(np.float32), (series, axis or parcels(names)))
    nibabel.save(image, path)
    return path


@pytest.fixture
def values(rng):
    return rng.normal(size=(50, 3))


def load(path, **reader):
    return read(path, reader={"format": "cifti", **reader}, files={}, preprocess={})


def test_names_networks_and_rate_are_the_axes(tmp_path, values):
    raw = load(save(tmp_path / "a.ptseries.nii", values))
    np.testing.assert_allclose(raw.signal, values, rtol=1e-6)
    assert raw.names == tuple(NAMES)
    assert raw.rate_hz == pytest.approx(1 / 0.72)
    assert raw.unit_labels["network"].tolist() == ["Vis", "Cont", "Vis"]
    assert raw.unit_labels["hemisphere"].tolist() == HEMISPHERES


def test_names_that_tell_no_network_give_none(tmp_path, values):
    raw = load(save(tmp_path / "a.ptseries.nii", values, names=["a", "b", "c"]))
    assert raw.unit_labels == {}


def test_motion_may_lie_beside(tmp_path, values):
    np.savetxt(tmp_path / "m.par", np.random.default_rng(0).normal(0, 0.1, (50, 6)))
    path = save(tmp_path / "a.ptseries.nii", values)
    reader = {"format": "cifti", "motion": {"path": "m.par", "format": "fsl"}}
    raw = read(path, reader=reader, files={"motion": tmp_path / "m.par"}, preprocess={})
    assert raw.extras["motion"].shape == (50, 6)


@pytest.mark.parametrize(("step", "unit"), [(0.72, "HERTZ"), (0.0, "SECOND")])
def test_a_series_without_seconds_is_refused(tmp_path, values, step, unit):
    with pytest.raises(ValueError, match=r"needs seconds above 0, so correct the header"):
        load(save(tmp_path / "a.ptseries.nii", values, step=step, unit=unit))


def test_dense_series_are_refused(tmp_path, values):
    dense = BrainModelAxis.from_mask(np.ones((3, 1, 1)), affine=np.eye(4), name="thalamus_left")
    path = save(tmp_path / "a.dtseries.nii", values, axis=dense)
    with pytest.raises(ValueError, match="axes SeriesAxis and BrainModelAxis; .*parcellate it"):
        load(path)


def test_a_volume_is_no_cifti(tmp_path):
    path = tmp_path / "a.nii"
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2, 5), np.float32), np.eye(4)), path)
    with pytest.raises(ValueError, match="not CIFTI-2; use format nifti"):
        load(path)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "a.ptseries.nii").write_bytes(b"no image")
    with pytest.raises(ValueError, match="a.ptseries.nii is not a readable CIFTI file"):
        load(tmp_path / "a.ptseries.nii")


def test_parcels_of_one_name_are_refused(tmp_path, values):
    with pytest.raises(ValueError, match="unit names must be unique; a occur twice"):
        load(save(tmp_path / "a.ptseries.nii", values, names=["a", "a", "b"]))

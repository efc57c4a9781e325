"""Atlases that need no file, and coverage of regions on small images."""

from __future__ import annotations

from typing import Any

import nibabel
import numpy as np
import pytest
from nilearn.maskers import NiftiSpheresMasker

from bold_tree import AFFINE, SHAPE, atlas, painted, plant
from rheobase.io import atlases, confounds
from rheobase.io.readers import read
from rheobase.io.volumes import open_volumes

HEAD = np.diag([6.0, 6.0, 6.0, 1.0])
HEAD[:3, 3] = -78.3, -112.3, -70.3
HEAD_SHAPE = (27, 33, 27)


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """Return a run of 12 volumes that covers the whole head of MNI space with 6 mm voxels."""
    path = tmp_path_factory.mktemp("head") / "run.nii.gz"
    values = 1000 + np.random.default_rng(0).normal(size=(*HEAD_SHAPE, 12))
    image: Any = nibabel.Nifti1Image(values.astype(np.float32), HEAD)
    image.header.set_zooms((6, 6, 6, 2))
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, path)
    return path


def load(path, parcellation, **options):
    return read(
        path, reader={"format": "nifti"}, files={}, preprocess={"atlas": parcellation, **options}
    )


@pytest.mark.parametrize(
    ("name", "regions", "networks"),
    [
        ("seitzman300", 300, 14),
        ("seitzman300_voronoi", 285, 13),
        ("power264", 264, 0),
        ("dosenbach160", 160, 6),
    ],
)
def test_an_atlas_that_needs_no_file(head, name, regions, networks):
    raw = load(head, name)
    assert raw.signal.shape == (12, regions)
    assert np.isfinite(raw.signal).all()
    assert len(set(raw.unit_labels.get("network", np.array([])).tolist())) == networks
    assert raw.extras["coverage"].tolist() == [1.0] * regions
    assert {"x", "y", "z"} <= set(raw.unit_labels)


def test_spheres_of_power_are_those_of_nilearn(head):
    centres = atlases.power264().centres
    masker = NiftiSpheresMasker(
        centres.tolist(), radius=5, allow_overlap=True, standardize=False, reports=False
    )
    theirs = masker.fit_transform(nibabel.load(head))  # pyright: ignore[reportArgumentType]
    np.testing.assert_allclose(load(head, "power264").signal, theirs, rtol=1e-6)


def test_the_cells_of_grey_matter_have_the_published_sizes():
    cells = atlases.voronoi(4)
    sizes = np.bincount(cells.values[cells.values > 0])
    sizes = sizes[sizes > 0]
    assert (len(sizes), sizes.min(), np.median(sizes), sizes.max()) == (285, 23, 51, 105)
    assert cells.values.shape == (50, 59, 48)
    assert (cells.values > 0).sum() == 14_977
    assert "unassigned" not in cells.networks.values()
    assert len(cells.facts["labels_sha256"]) == 64


def test_every_grey_voxel_takes_the_nearest_centre():
    cells, centres = atlases.voronoi(4), atlases.seitzman300()
    voxel = np.argwhere(cells.values > 0)[::501]
    place = voxel @ cells.affine[:3, :3].T + cells.affine[:3, 3]
    named = centres.networks != "unassigned"  # pyright: ignore[reportOptionalOperand]
    away = np.linalg.norm(place[:, None] - centres.centres[None], axis=2)
    away[:, ~np.asarray(named)] = np.inf
    np.testing.assert_array_equal(cells.values[tuple(voxel.T)] - 1, away.argmin(axis=1))
    assert away.min(axis=1).max() <= 12


def test_an_unknown_name_is_refused(head):
    with pytest.raises(ValueError, match="'schaefer' is not voxels, seitzman300, power264"):
        load(head, "schaefer")


def test_parcels_equal_a_loop_over_voxels(tmp_path):
    run, regions = plant(tmp_path, samples=40, jumps=()), 24
    raw = load(run.image, atlas(tmp_path, regions))
    values = np.asarray(nibabel.load(run.image).dataobj)  # pyright: ignore[reportAttributeAccessIssue]
    labels = painted(regions)
    loop = np.zeros((40, regions))
    for region in range(regions):
        for voxel in np.argwhere(labels == region + 1):
            loop[:, region] += values[tuple(voxel)]
        loop[:, region] /= (labels == region + 1).sum()
    np.testing.assert_allclose(raw.signal, loop, rtol=1e-5)


def test_an_atlas_on_a_finer_grid_gives_the_same_series(tmp_path):
    run = plant(tmp_path, samples=40, jumps=())
    coarse, fine = (load(run.image, atlas(tmp_path, 24, factor=f)).signal for f in (1, 2))
    r = [np.corrcoef(coarse[:, i], fine[:, i])[0, 1] for i in range(24)]
    assert min(r) >= 0.98


def test_a_sphere_at_the_edge_of_the_image_knows_its_coverage(tmp_path):
    run = plant(tmp_path, samples=40, jumps=())
    table = tmp_path / "c.tsv"
    corner = AFFINE[:3, 3] + 4 * (np.array(SHAPE) - 1)
    rows = [("inside", 0, 0, 0), ("corner", *corner.tolist())]
    rows += [(f"more{i}", -10 + i, 4, 4) for i in range(8)]
    table.write_text("\n".join("\t".join(map(str, r)) for r in [("name", "x", "y", "z"), *rows]))
    values: Any = nibabel.load(run.image)
    moving = np.asarray(values.dataobj) + np.random.default_rng(0).normal(size=(*SHAPE, 40))
    image: Any = nibabel.Nifti1Image(moving.astype(np.float32), AFFINE)
    image.header.set_zooms((4, 4, 4, 2))
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, run.image)
    coverage = load(run.image, {"coordinates": str(table), "radius_mm": 9}).extras["coverage"]
    assert coverage[0] == 1
    assert 0.1 < coverage[1] < 0.35


def test_smoothing_is_that_of_nilearn(tmp_path):
    from nilearn.image import smooth_img
    from nilearn.maskers import NiftiLabelsMasker

    run, parcels = plant(tmp_path, samples=40, jumps=()), atlas(tmp_path, 24)
    raw = load(run.image, parcels, smoothing_mm=6)
    image: Any = nibabel.load(parcels["image"])
    masker = NiftiLabelsMasker(image, standardize=False, reports=False)
    theirs = masker.fit_transform(smooth_img(str(run.image), 6))
    np.testing.assert_allclose(raw.signal, theirs, rtol=1e-4)
    assert raw.steps[0] == {"step": "smooth", "fwhm_mm": 6}


def test_noise_components_are_those_of_nilearn(tmp_path):
    from nilearn.image import high_variance_confounds

    run = plant(tmp_path, samples=60, jumps=())
    mask: Any = nibabel.load(run.mask)
    ours = confounds.high_variance(open_volumes(run.image), np.asarray(mask.dataobj) > 0).values
    theirs = np.asarray(high_variance_confounds(str(run.image), mask_img=mask))
    for i in range(5):
        assert abs(np.corrcoef(ours[:, i], theirs[:, i])[0, 1]) > 0.999

"""What no fMRI recording may be, each refused in one sentence: file, value, limit, remedy."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import Any

import nibabel
import numpy as np
import pytest

from bold_tree import AFFINE, SHAPE, atlas, painted, plant, save_run, write_table
from rheobase.io.raw import Raw
from rheobase.io.readers import read
from rheobase.io.sides import read_table
from rheobase.preprocess.clean import clean
from rheobase.stages.prepare import agreed_rate

REGIONS = 24


@pytest.fixture
def run(tmp_path):
    return plant(tmp_path / "deriv", samples=80, jumps=())


@pytest.fixture
def parcels(tmp_path):
    return atlas(tmp_path, REGIONS)


def load(run, parcels, **options):
    return read(
        run.image,
        reader={"format": "fmriprep"},
        files={},
        preprocess={"atlas": parcels, **options},
    )


def cleaned(signal, *, rate=0.5, **options):
    names = tuple(f"region{i}" for i in range(signal.shape[1]))
    return clean(Raw(signal, names), modality="fmri", rate=rate, time_unit="s", units=None,
                 options=options, name="sub-01")  # fmt: skip


def noise(rng, samples=200):
    return 1000 + rng.normal(size=(samples, 4)).cumsum(axis=0)


@contextmanager
def refused(pattern, error: type[Exception] = ValueError):
    """Expect one sentence, on one line, that matches."""
    with pytest.raises(error, match=pattern) as caught:
        yield
    assert "\n" not in str(caught.value)
    assert not re.search(r"\. [A-Z]", str(caught.value))


def rewritten(path, change):
    """Change the columns of a confounds table in place."""
    columns = {
        name: np.where(texts == "n/a", "nan", texts).astype(float)
        for name, texts in read_table(path).items()
    }
    write_table(path, change(columns) or columns)


@pytest.mark.parametrize("value", [None, 0, 12.0, "2"])
def test_a_repetition_time_that_is_missing_or_impossible(run, parcels, value):
    run.sidecar.write_text(json.dumps({"RepetitionTime": value} if value is not None else {}))
    with refused(r"bold\.json: RepetitionTime is .*above 0 and at most 10, so complete"):
        load(run, parcels)


def test_a_header_that_contradicts_the_sidecar(run, parcels):
    run.sidecar.write_text(json.dumps({"RepetitionTime": 2.002}))
    with refused(r"2\.002 s a volume and the header of .* 2 s, more than 0\.001 s apart; correct"):
        load(run, parcels)
    run.sidecar.write_text(json.dumps({"RepetitionTime": 2.0009}))
    assert load(run, parcels).rate_hz == pytest.approx(1 / 2.0009)


def test_a_header_in_milliseconds_agrees(run, parcels):
    image: Any = nibabel.load(run.image)
    save_run(run.image, np.asarray(image.dataobj), 2000.0, unit="msec")
    assert load(run, parcels).rate_hz == pytest.approx(0.5)


def test_an_image_without_any_repetition_time(tmp_path):
    with refused("run.nii carries no sampling rate; give sampling_rate_hz"):
        agreed_rate(None, None, tmp_path / "run.nii")


def test_too_few_volumes_and_too_short_a_time(rng):
    with refused("a run has 33 volumes .*at least 34 .*lower n_dummy"):
        cleaned(noise(rng, 33))
    with refused("it lasts 40 s; at least 60 s .*exclude"):
        cleaned(noise(rng, 40), rate=1.0)


def test_an_edge_at_half_the_rate(rng):
    with refused(r"edge 0\.25 Hz must lie below half the sampling rate, 0\.25 Hz; lower it"):
        cleaned(noise(rng), band_hz=[0.01, 0.25])


def test_regions_that_are_not_finite_or_constant(rng):
    for value, words in ((np.nan, "holds NaN"), (np.inf, "holds NaN or inf"), (None, "constant")):
        signal = noise(rng)
        signal[:, 2] = 5 if value is None else signal[:, 2]
        signal[7, 2] = 5 if value is None else value
        with refused(f"sub-01: region region2 .*{words}.*mend the file"):
            cleaned(signal)


@pytest.mark.parametrize(("rows", "words"), [(79, ""), (76, r" \(they differ by n_dummy, 4\)")])
def test_confounds_of_another_length(run, parcels, rows, words):
    rewritten(run.confounds, lambda columns: {k: v[-rows:] for k, v in columns.items()})
    with refused(f"timeseries.tsv has {rows} rows but the image has 80 volumes{words}; they must"):
        load(run, parcels, n_dummy=4)


def test_a_confound_with_a_gap(run, parcels):
    def change(columns):
        columns["csf"][9] = np.nan

    rewritten(run.confounds, change)
    with refused("column 'csf' holds no number in volume 10; only the first may lack one"):
        load(run, parcels)


def test_confounds_that_a_strategy_lacks(run, parcels):
    rewritten(run.confounds, lambda c: {k: v for k, v in c.items() if "white" not in k})
    with refused("timeseries.tsv cannot give denoise: simple .*white_matter.*another strategy"):
        load(run, parcels, denoise="simple")


@pytest.mark.parametrize("kind", ["sidecar", "mask", "confounds"])
def test_a_file_that_fmriprep_writes_is_missing(run, parcels, kind):
    getattr(run, kind).unlink()
    with refused("does not exist: .*which fMRIPrep writes beside it; put", FileNotFoundError):
        load(run, parcels)


def test_a_missing_image_is_named(run, parcels):
    run.image.unlink()
    with refused("desc-preproc_bold.nii.gz does not exist", FileNotFoundError):
        load(run, parcels)


@pytest.mark.parametrize("shape", [SHAPE, (*SHAPE, 1)])
def test_an_image_that_is_no_run(run, parcels, shape):
    nibabel.save(nibabel.Nifti1Image(np.ones(shape, np.float32), AFFINE), run.image)
    with refused("has shape .*a run is a 4-D image of 2 volumes or more"):
        load(run, parcels)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.ones((*SHAPE, 2)), "an atlas is a 3-D label image"),
        (np.full(SHAPE, 1.5), "no whole numbers; an atlas is a label image"),
        (np.ones(SHAPE), "fewer than two labels; is it a mask"),
        (-painted(REGIONS), "they must be positive"),
    ],
)
def test_an_atlas_that_is_none(tmp_path, run, labels, words):
    nibabel.save(nibabel.Nifti1Image(labels.astype(np.float32), AFFINE), tmp_path / "a.nii")
    with refused(f"a.nii .*{words}"):
        load(run, {"image": str(tmp_path / "a.nii")})


def test_labels_without_a_voxel_are_named_and_a_tenth_is_too_many(run, parcels):
    mask: Any = nibabel.load(run.mask)
    for lost, regions in ((1, [1]), (3, [1, 2, 3])):
        kept = np.asarray(mask.dataobj) * ~np.isin(painted(REGIONS), regions)
        nibabel.save(nibabel.Nifti1Image(kept.astype(np.uint8), AFFINE), run.mask)
        if lost == 1:
            raw = load(run, parcels)
            assert raw.steps[0]["lost"] == ["r00"]
            made = clean(raw, modality="fmri", rate=0.5, time_unit="s", units=None, name="sub-01",
                         options={"least_valid_s": 0, "denoise": "simple"})  # fmt: skip
            assert "r00" not in made.names
            assert any("r00" in flag["text"] for flag in made.qc["flags"])
        else:
            with refused(r"3 of 24 regions .*\(r00, r01, r02\), above 10%.*same space"):
                load(run, parcels)


def test_an_affine_without_volume(tmp_path, run, parcels):
    flat = AFFINE.copy()
    flat[2, 2] = 0
    image: Any = nibabel.Nifti1Image(np.zeros((*SHAPE, 80), np.float32), None)
    image.header.set_sform(flat, code=1)
    nibabel.save(image, run.image)
    with refused("its affine has determinant 0 mm3.*repair the header"):
        load(run, parcels)


def test_two_versions_of_mni_space_are_a_warning(run, parcels):
    raw = load(run, {**parcels, "space": "MNI152NLin6Asym"})
    assert "two versions of MNI space" in raw.notes[0]
    made = clean(raw, modality="fmri", rate=0.5, time_unit="s", units=None, name="sub-01",
                 options={"least_valid_s": 0})  # fmt: skip
    assert {"level": "warning", "text": raw.notes[0]} in made.qc["flags"]
    assert load(run, {**parcels, "space": "MNI152NLin2009cAsym"}).notes == ()


@pytest.mark.parametrize("parcellation", ["seitzman300", {"space": "MNI152NLin6Asym"}])
def test_an_image_in_a_persons_own_space_under_an_atlas_of_mni(tmp_path, parcels, parcellation):
    run = plant(tmp_path / "own", samples=40, jumps=(), space="T1w")
    chosen = parcellation if isinstance(parcellation, str) else {**parcels, **parcellation}
    with refused("space-T1w.* lies in the space T1w and the atlas .* in MNI152.*; take the image"):
        load(run, chosen)


@pytest.mark.parametrize("spoil", ["shape", "affine"])
def test_a_mask_on_another_grid(run, parcels, spoil):
    affine = AFFINE.copy()
    affine[0, 3] += 0.01 if spoil == "affine" else 0
    shape = (20, 24, 19) if spoil == "shape" else SHAPE
    nibabel.save(nibabel.Nifti1Image(np.ones(shape, np.uint8), affine), run.mask)
    with refused("brain_mask.nii.gz.*resample the mask"):
        load(run, parcels)


def test_regions_of_one_name(tmp_path, run, parcels):
    table = tmp_path / "atlas.tsv"
    table.write_text(table.read_text().replace("r05", "r04"))
    with refused("atlas.tsv: every index and every name must occur once"):
        load(run, parcels)


def test_rotations_in_degrees(run, parcels):
    def change(columns):
        columns["rot_x"] = columns["rot_x"] + 2

    rewritten(run.confounds, change)
    with refused(r"rotations up to 2\.?\d* rad, above 50 mm or 0.5 rad; correct its"):
        load(run, parcels)


def test_data_already_z_scored_has_no_temporal_snr(rng):
    signal = noise(rng)
    made = cleaned((signal - signal.mean(axis=0)) / signal.std(axis=0))
    assert made.qc["metrics"]["tsnr_median"] is None
    assert made.qc["metrics"]["sd_percent_median"] is None
    assert "no temporal SNR" in made.qc["notes"][0]


def test_an_image_of_residuals_has_no_temporal_snr(run, parcels):
    image: Any = nibabel.load(run.image)
    values = np.asarray(image.dataobj)
    save_run(run.image, values - values.mean(axis=3, keepdims=True), 2.0)
    raw = load(run, parcels)
    assert "voxel_tsnr_median" not in raw.extras
    assert "std_dvars" in raw.extras

"""Censoring, resampling in time and voxel quality on planted signals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from nilearn.interfaces.fmriprep.load_confounds_scrub import optimize_scrub

from bold_tree import atlas, plant
from rheobase.io.raw import Raw
from rheobase.io.readers import read
from rheobase.preprocess.clean import clean
from rheobase.report.fmri_figures import mosaic

RATE = 0.5


def bold(rng, samples=300, regions=5):
    noise = rng.normal(size=(samples, regions))
    for t in range(1, samples):
        noise[t] += 0.7 * noise[t - 1]
    return 1000 + 10 * noise


def recording(signal, jumps=(), *, std_dvars=None, block=None):
    motion = np.zeros((len(signal), 6))
    for number, at in enumerate(jumps):
        motion[at:, 0] += 0.8 * (-1) ** number
    extras = {"motion": motion} | ({} if std_dvars is None else {"std_dvars": std_dvars})
    times = {} if block is None else {"block": block}
    return Raw(signal, tuple("abcdefgh"[: signal.shape[1]]), extras=extras, times=times)


def made(raw, *, rate=RATE, **options):
    return clean(raw, modality="fmri", rate=rate, time_unit="s", units=None, options=options,
                 name="sub-01")  # fmt: skip


def flagged(cleaned):
    return np.flatnonzero(~cleaned.valid).tolist()


@pytest.mark.parametrize("jumps", [(2, 150), (100, 104), (100, 106), (297,), (50, 53, 58, 200)])
def test_short_stretches_are_scrubbed_as_nilearn_does(rng, jumps):
    cleaned = made(recording(bold(rng), jumps), scrub=5)
    expected = optimize_scrub(np.array(jumps), 300, 5)
    assert flagged(cleaned) == sorted(expected.tolist())


def test_frames_around_a_flag_are_censored_on_request(rng):
    cleaned = made(recording(bold(rng), (100,)), censor_around=[1, 2])
    assert flagged(cleaned) == [99, 100, 101, 102]


def test_censoring_does_not_reach_into_another_run(rng):
    block = np.repeat([0, 1], 150)
    cleaned = made(recording(bold(rng), (148,), block=block), censor_around=[0, 4])
    assert flagged(cleaned) == [148, 149]


def test_jumps_of_the_voxels_are_flagged_by_their_limit(rng):
    jumps = np.ones(300)
    jumps[[40, 90]] = 1.6, 1.4
    raw = recording(bold(rng), std_dvars=jumps)
    assert flagged(made(raw, std_dvars=1.5)) == [40]
    assert flagged(made(raw, std_dvars=None)) == []


def test_a_run_of_which_little_is_left_is_refused(rng):
    raw = recording(bold(rng), tuple(range(10, 300, 12)))
    assert made(raw, scrub=0).valid.mean() > 0.9
    with pytest.raises(ValueError, match=r"sub-01: .*are left after censoring.*raise fd_mm"):
        made(raw, scrub=12)
    with pytest.raises(ValueError, match="92 % .*below least_valid_percent, 95; exclude"):
        made(raw, scrub=0, least_valid_percent=95)
    with pytest.raises(ValueError, match="550 s are left after censoring, below least_valid_s, 56"):
        made(raw, scrub=0, least_valid_s=560)


def test_series_without_motion_have_no_least_time(rng):
    signal = bold(rng, 60)
    assert made(Raw(signal, tuple("abcde"))).valid.all()
    with pytest.raises(ValueError, match="120 s are left after censoring, below least_valid_s"):
        made(recording(signal))


@pytest.mark.parametrize(("denoise", "count"), [("6p", 6), ("24p", 24)])
def test_motion_is_regressed_out_run_by_run(rng, denoise, count):
    raw = recording(bold(rng))
    raw.extras["motion"][:] = rng.normal(size=(300, 6)).cumsum(axis=0) * 0.01
    raw.signal[:] += 300 * raw.extras["motion"][:, [1]]
    cleaned = made(raw, denoise=denoise, fd_mm=None)
    (step,) = [s for s in cleaned.steps if s["step"] == "regress out confounds"]
    assert step["confounds"] == count
    r = np.corrcoef(cleaned.signal[cleaned.valid].T, raw.extras["motion"][cleaned.valid, 1])[-1, :5]
    assert np.abs(r).max() < 0.02


def test_runs_of_one_recording_each_need_their_degrees_of_freedom(rng):
    block = np.repeat(np.arange(6), 50)
    raw = recording(bold(rng), block=block)
    raw.extras["motion"][:] = rng.normal(size=(300, 6)) * 0.01
    cleaned = made(raw, denoise="6p", fd_mm=None)
    assert cleaned.qc["metrics"]["degrees_of_freedom"] == 6 * (50 - 6 - 1)
    with pytest.raises(ValueError, match="24 regressors leave a run 25 degrees of freedom of 50"):
        made(raw, denoise="24p", fd_mm=None)


def test_confounds_of_fmriprep_need_its_format(rng):
    with pytest.raises(ValueError, match="denoise: simple needs the confounds of fMRIPrep"):
        made(recording(bold(rng)), denoise="simple")
    with pytest.raises(ValueError, match="denoise: 6p needs head motion; give reader.motion"):
        made(Raw(bold(rng), tuple("abcde")), denoise="6p")


def test_a_tone_above_the_band_falls_by_twenty_decibels(rng):
    time = np.arange(600) / 1.0
    signal = np.stack([np.sin(2 * np.pi * f * time) for f in (0.05, 0.25)], axis=1)
    after = made(Raw(signal + 1e-6 * rng.normal(size=signal.shape), ("in", "out")), rate=1.0,
                 band_hz=[0.01, 0.1]).signal[100:500]  # fmt: skip
    before = signal[100:500]
    fall = 20 * np.log10(after.std(axis=0) / before.std(axis=0))
    assert abs(fall[0]) < 1
    assert fall[1] <= -20


def test_resampling_keeps_a_slow_tone_and_carries_flags_and_labels(rng):
    time = np.arange(300) * 2.0
    tones = np.stack([np.sin(2 * np.pi * f * time) for f in (0.02, 0.04)], axis=1)
    raw = recording(tones + 1000, (101,))
    raw = Raw(raw.signal, raw.names, extras=raw.extras, times={"label": np.arange(300)})
    cleaned = made(raw, band_hz=[0.005, 0.06], resample_s=1.0)
    assert cleaned.rate == pytest.approx(1.0)
    assert cleaned.signal.shape == (600, 2)
    expected = np.sin(2 * np.pi * 0.02 * np.arange(600))
    assert np.corrcoef(cleaned.signal[50:550, 0], expected[50:550])[0, 1] > 0.99
    assert flagged(cleaned) == [201, 202, 203]
    assert cleaned.times["label"][:5].tolist() == [0, 1, 1, 2, 2]
    assert cleaned.steps[-1]["to_s"] == 1.0


def test_a_slower_rate_flags_every_frame_that_a_flagged_one_enters(rng):
    cleaned = made(recording(bold(rng, 400), (101,)), rate=1.0, band_hz=[0.01, 0.1],
                   resample_s=2.0, least_valid_s=100)  # fmt: skip
    assert cleaned.signal.shape[0] == 200
    assert flagged(cleaned) == [50, 51]


@pytest.mark.parametrize("band", [None, [0.01, None], [0.01, 0.2]])
def test_resampling_needs_a_band_that_the_new_rate_carries(rng, band):
    with pytest.raises(ValueError, match=r"band that ends below 0\.133 Hz .*lower it"):
        made(recording(bold(rng)), band_hz=band, resample_s=3.0)


def test_standardised_dvars_of_voxels_is_near_one_and_jumps_where_planted(tmp_path):
    run = plant(tmp_path, samples=200, jumps=(60, 150), nuisance=0.0)
    reader: dict[str, Any] = {"format": "nifti", "mask": "m"}
    raw = read(run.image, reader=reader, files={"mask": run.mask},
               preprocess={"atlas": atlas(tmp_path, 24)})  # fmt: skip
    course = raw.extras["std_dvars"]
    assert np.isnan(course[0])
    assert np.nanmedian(course) == pytest.approx(1, abs=0.1)
    assert {60, 150} <= set(np.argsort(np.nan_to_num(course))[-4:].tolist())
    assert raw.extras["voxel_tsnr_median"] == pytest.approx(1000 / np.sqrt(200), rel=0.2)
    assert raw.extras["tsnr"].shape == (24,)
    values = raw.signal.mean(axis=1)
    np.testing.assert_allclose(raw.extras["global_signal"], values, rtol=1e-3)


def test_slices_of_the_image_are_kept_for_the_report(tmp_path):
    run = plant(tmp_path, samples=100, jumps=())
    raw = read(run.image, reader={"format": "nifti", "mask": "m"}, files={"mask": run.mask},
               preprocess={"atlas": atlas(tmp_path, 24)})  # fmt: skip
    assert raw.extras["map_mean"].shape == raw.extras["map_regions"].shape == (8, 24, 20)
    assert np.isnan(raw.extras["map_mean"][:, 0]).all()
    assert np.nanmean(raw.extras["map_mean"]) == pytest.approx(1000, rel=0.01)
    assert set(np.unique(raw.extras["map_regions"])) <= set(range(25))
    assert raw.extras["map_sd"].shape == (8, 24, 20)
    kept = made(raw).pictures
    assert kept is not None
    assert kept["map_mean"].values.max() == 255
    low, high = kept["map_sd_range"].values
    assert 10 < low < high < 40
    figure = mosaic("sub-01", kept)
    assert figure is not None
    assert figure.body.count("<image") == 3
    assert "SD, " in figure.body
    assert mosaic("sub-01", xr.Dataset()) is None


def test_slabs_of_voxels_give_the_same_quality(tmp_path, monkeypatch):
    run = plant(tmp_path, samples=60, jumps=())
    options = {"atlas": atlas(tmp_path, 24)}
    whole = read(run.image, reader={"format": "nifti"}, files={}, preprocess=options).extras
    monkeypatch.setattr("rheobase.io.volumes.CHUNK_VALUES", 24 * 20 * 60)
    parts = read(run.image, reader={"format": "nifti"}, files={}, preprocess=options).extras
    assert whole.pop("carpet_tissue").tolist() == parts["carpet_tissue"].tolist()
    for key, values in whole.items():
        np.testing.assert_allclose(parts[key], values, rtol=1e-6)


def test_real_runs_are_cleaned_with_their_motion(shared_data, tmp_path):
    import nibabel

    folder = shared_data / "haxby_slice" / "bids" / "sub-01" / "func"
    stem = "sub-01_task-objectviewing_run-01"
    image: Any = nibabel.load(folder / f"{stem}_bold.nii.gz")
    head = np.asarray(image.dataobj).mean(axis=3) > 250
    x, y, z = np.indices(head.shape)
    labels = np.where(head, 1 + (x // 2) * 25 + (y // 2) * 5 + z // 2, 0).astype(np.int16)
    for name, values in (("atlas.nii.gz", labels), ("mask.nii.gz", head.astype(np.uint8))):
        nibabel.save(nibabel.Nifti1Image(values, image.affine), tmp_path / name)
    options = {"atlas": {"image": str(tmp_path / "atlas.nii.gz")}, "std_dvars": 1.5}
    raw = read(
        folder / f"{stem}_bold.nii.gz",
        reader={"format": "nifti", "mask": "m", "motion": {"path": "m", "format": "fsl"}},
        files={"mask": tmp_path / "mask.nii.gz", "motion": folder / f"{stem}_desc-motion.txt"},
        preprocess=options,
    )
    plain, denoised = (made(raw, rate=0.4, denoise=kind, **options) for kind in ("none", "24p"))
    metrics = denoised.qc["metrics"]
    assert metrics["fd_mean_mm"] == pytest.approx(0.128, abs=0.01)
    assert metrics["tsnr_median"] == pytest.approx(75, abs=3)
    assert metrics["degrees_of_freedom"] == plain.qc["metrics"]["degrees_of_freedom"] - 24
    assert metrics["fc_mean_after"] < 0.7 * plain.qc["metrics"]["fc_mean_after"]
    assert "motion spikes" in denoised.qc["flags"][0]["text"]


def test_runs_of_a_real_slice_are_cut_at_their_borders(shared_data):
    folder = shared_data / "haxby_slice"
    raw = read(
        folder / "bold.nii.gz",
        reader={"format": "nifti", "mask": "m", "labels_file": "l", "block_column": 1},
        files={"mask": folder / "mask.nii.gz", "labels_file": folder / "attributes_literal.txt"},
        preprocess={"atlas": "voxels", "denoise": "highvar", "std_dvars": 1.5},
    )
    cleaned = made(raw, rate=0.4, denoise="highvar", std_dvars=1.5)
    starts = np.arange(0, 1452, 121)
    assert cleaned.signal.shape == (1452, 530)
    assert np.flatnonzero(np.isnan(raw.extras["std_dvars"])).tolist() == starts.tolist()
    assert cleaned.qc["metrics"]["degrees_of_freedom"] == cleaned.valid.sum() - 12 * 6
    assert cleaned.qc["metrics"]["gcor_after"] < cleaned.qc["metrics"]["gcor_before"]

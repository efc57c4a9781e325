"""fMRI cleaning on planted motion, drifts and tones."""

from typing import Any

import numpy as np
import pytest

from rheobase.io.raw import Raw
from rheobase.preprocess.clean import clean
from rheobase.preprocess.fmri_censor import framewise_displacement
from rheobase.preprocess.fmri_connectivity import global_correlation
from rheobase.preprocess.fmri_quality import dvars, temporal_snr
from rheobase.preprocess.quality import compare

RATE = 0.5


def made(signal, **options):
    return from_raw(raw(signal), **options)


def from_raw(recording, *, rate: Any = RATE, time_unit: Any = "s", **options):
    return clean(
        recording,
        modality="fmri",
        rate=rate,
        time_unit=time_unit,
        units=None,
        options=options,
        name="sub-01",
    )


def raw(signal, **more):
    return Raw(signal, tuple(f"region{i}" for i in range(signal.shape[1])), **more)


def bold(rng, n_time=300, n_regions=6):
    noise = rng.normal(size=(n_time, n_regions))
    for t in range(1, n_time):
        noise[t] += 0.6 * noise[t - 1]
    return 10_000 + 30 * noise


def tone(hertz, n_time=300):
    return np.sin(2 * np.pi * hertz * np.arange(n_time) / RATE)[:, None]


def flags(cleaned, level):
    return [f["text"] for f in cleaned.qc["flags"] if f["level"] == level]


def test_linear_drift_is_taken_out(rng):
    signal = bold(rng)
    drifting = signal + np.linspace(0, 500, len(signal))[:, None]
    np.testing.assert_allclose(made(drifting).signal, made(signal).signal, atol=1e-2)


def test_band_keeps_the_tone_inside_and_removes_the_one_outside(rng):
    inside, outside = 40 * tone(0.05), 40 * tone(0.2)
    noise = 0.01 * rng.normal(size=(300, 3))
    cleaned = made(10_000 + inside + outside + noise, band_hz=[0.01, 0.1]).signal
    middle = slice(50, 250)
    np.testing.assert_allclose(cleaned[middle], np.tile(inside, 3)[middle], atol=2)


def test_zscore_gives_unit_variance_and_says_it_uses_the_whole_recording(rng):
    cleaned = made(bold(rng), standardise="zscore")
    np.testing.assert_allclose(cleaned.signal.std(axis=0, ddof=1), 1, atol=1e-5)
    assert cleaned.steps[-1]["step"] == "z-score"
    assert cleaned.steps[-1]["acausal"]
    assert cleaned.units == "SD"


def test_zscore_equals_the_one_of_nilearn(rng):
    from nilearn.signal import clean as peer

    signal = bold(rng)
    theirs = peer(signal, detrend=True, standardize="zscore_sample", t_r=1 / RATE)
    np.testing.assert_allclose(made(signal, standardise="zscore").signal, theirs, atol=1e-4)


def test_nothing_is_done_when_nothing_is_asked_for(rng):
    signal = bold(rng)
    cleaned = made(signal, detrend="none")
    np.testing.assert_array_equal(cleaned.signal, signal.astype(np.float32))
    assert cleaned.steps == []


def test_motion_jumps_mark_exactly_the_moved_frames(rng):
    motion = np.zeros((300, 6))
    motion[100:, 0] += 0.8
    motion[200:, 4] += 0.02
    motion[250:, 1] += 0.3
    cleaned = from_raw(raw(bold(rng), extras={"motion": motion}))
    assert np.flatnonzero(~cleaned.valid).tolist() == [100, 200]
    assert cleaned.qc["metrics"]["fd_max_mm"] == pytest.approx(1.0)


def test_dummy_volumes_are_cut_from_signal_motion_and_labels(rng):
    motion = np.zeros((300, 6))
    motion[4:, 2] = 3
    motion[50:, 2] = 5
    labels = np.arange(300)
    cleaned = from_raw(
        raw(bold(rng), extras={"motion": motion}, times={"label": labels}), n_dummy=5
    )
    assert cleaned.signal.shape == (295, 6)
    assert np.flatnonzero(~cleaned.valid).tolist() == [45]
    assert cleaned.times["label"][0] == 5


def test_a_null_limit_keeps_moved_frames(rng):
    motion = np.zeros((300, 6))
    motion[100:, 0] = 9
    assert from_raw(raw(bold(rng), extras={"motion": motion}), fd_mm=None).valid.all()


def test_a_moved_frame_does_not_ring_into_its_neighbours(rng):
    signal, motion = bold(rng), np.zeros((300, 6))
    motion[150:, 0] += 2
    spiked = signal.copy()
    spiked[150] += 5_000
    options = {"band_hz": [0.01, 0.1]}
    calm = from_raw(raw(signal, extras={"motion": motion}), **options).signal
    shaken = from_raw(raw(spiked, extras={"motion": motion}), **options).signal
    np.testing.assert_allclose(shaken, calm, atol=1e-3)


def test_runs_are_cleaned_one_by_one(rng):
    first, second = bold(rng, 150), bold(rng, 150)
    block = np.repeat([1, 2], 150)
    options = {"band_hz": [0.01, 0.1]}
    both = from_raw(raw(np.vstack([first, second + 900]), times={"block": block}), **options)
    np.testing.assert_allclose(both.signal[:150], made(first, **options).signal, atol=1e-3)
    np.testing.assert_allclose(both.signal[150:], made(second, **options).signal, atol=1e-3)


def test_displacement_follows_power():
    motion = np.zeros((4, 6))
    motion[1] = [1, -2, 0.5, 0.01, 0, -0.02]
    moved = framewise_displacement(motion, np.zeros(4, int))
    np.testing.assert_allclose(moved, [0, 5, 5, 0])


def test_displacement_is_zero_at_the_start_of_a_run():
    motion = np.repeat([[0.0] * 6, [3.0] * 6], 5, axis=0)
    assert framewise_displacement(motion, np.repeat([0, 1], 5)).max() == 0


def test_standardised_dvars_of_an_autoregressive_recording_is_one(rng):
    _, standard = dvars(bold(rng, 3000, 40), np.zeros(3000, int))
    assert np.nanmedian(standard) == pytest.approx(1, abs=0.03)


def test_temporal_snr_is_mean_over_sd_without_the_trend(rng):
    noise = rng.normal(size=(2000, 2))
    trend = np.linspace(-1, 1, 2000)[:, None] ** 2 * 300
    np.testing.assert_allclose(temporal_snr(1000 + trend + noise), 1100, rtol=0.05)


def test_global_correlation_is_the_mean_of_the_correlation_matrix(rng):
    signal = rng.normal(size=(500, 7)) + rng.normal(size=(500, 1))
    expected = np.corrcoef(signal, rowvar=False).mean()
    assert global_correlation(signal) == pytest.approx(expected, rel=0.01)


def test_motion_spikes_are_bad(rng):
    signal = bold(rng)
    signal[::40] += 600
    assert "motion spikes" in flags(made(signal), "bad")[0]


def test_a_step_or_a_single_volume_that_jumps_is_a_warning(rng):
    for change in (slice(150, None), slice(150, 151)):
        signal = bold(rng)
        assert flags(made(signal), "warning") == []
        signal[change] *= 1.2
        [said] = [text for text in flags(made(signal), "warning") if "jumps" in text]
        assert "most at 300 s" in said or "most at 302 s" in said


def test_regions_with_the_same_signal_are_named(rng):
    signal = bold(rng)
    signal[:, 4] = 2 * signal[:, 1]
    [said] = [text for text in flags(made(signal), "warning") if "same signal" in text]
    assert said.endswith(": region1 and region4")


def test_white_noise_is_a_warning(rng):
    cleaned = made(10_000 + 30 * rng.normal(size=(300, 6)))
    assert "lag-1 autocorrelation" in flags(cleaned, "warning")[0]
    assert flags(cleaned, "bad") == []


def test_standard_deviation_is_measured_before_standardising(rng):
    metrics = made(bold(rng, 2000), standardise="zscore").qc["metrics"]
    assert metrics["sd_median"] == pytest.approx(30 / 0.8, rel=0.1)


def test_temporal_snr_is_left_out_of_demeaned_data(rng):
    signal = bold(rng)
    content = made(signal - signal.mean(axis=0)).qc
    assert content["metrics"]["tsnr_median"] is None
    assert "temporal SNR" in content["notes"][0]


def test_a_poorly_covered_region_is_left_out_with_the_reason(rng):
    signal = bold(rng)
    signal[:, 2] = np.nan
    coverage = np.array([1, 0.9, 0.2, 1, 1, 1])
    cleaned = from_raw(raw(signal, extras={"coverage": coverage}))
    assert "region2" not in cleaned.names
    assert "20 %" in cleaned.qc["units"][2]["excluded"]


def test_a_region_that_is_not_finite_is_named(rng):
    signal = bold(rng)
    signal[7, 3] = np.inf
    with pytest.raises(
        ValueError, match="sub-01: region region3 holds NaN or infinite .* name sub-01 with"
    ):
        made(signal)


def test_a_constant_region_is_named(rng):
    signal = bold(rng)
    signal[:, 1] = 7
    with pytest.raises(ValueError, match="sub-01: region region1 is constant"):
        made(signal)


def test_too_few_volumes_are_refused(rng):
    with pytest.raises(ValueError, match="30 volumes"):
        made(bold(rng, 40), n_dummy=10)


def test_too_short_a_recording_is_refused(rng):
    with pytest.raises(ValueError, match="it lasts 40 s; at least 60 s"):
        from_raw(raw(bold(rng, 40)), rate=1.0)


def test_an_edge_above_half_the_rate_is_refused(rng):
    with pytest.raises(ValueError, match=r"0\.3 Hz must lie below half the sampling rate, 0\.25"):
        made(bold(rng), band_hz=[0.01, 0.3])


def test_a_band_needs_a_rate(rng):
    with pytest.raises(ValueError, match="time counts frames"):
        from_raw(raw(bold(rng)), rate=1.0, time_unit="frame", band_hz=[0.01, 0.1])


def test_a_band_that_leaves_little_is_refused(rng):
    with pytest.raises(ValueError, match="degrees of freedom"):
        made(bold(rng, 60), band_hz=[0.01, 0.08])


def test_motion_in_degrees_is_refused(rng):
    motion = np.zeros((300, 6))
    motion[10:, 3] = 2
    with pytest.raises(ValueError, match=r"2 rad.*reader\.motion\.format"):
        from_raw(raw(bold(rng), extras={"motion": motion}))


def test_motion_of_another_length_is_refused(rng):
    with pytest.raises(ValueError, match=r"motion has shape \(290, 6\)"):
        from_raw(raw(bold(rng), extras={"motion": np.zeros((290, 6))}))


def test_a_recording_that_moves_all_the_time_is_refused(rng):
    motion = np.zeros((300, 6))
    motion[::2, 0] = 5
    with pytest.raises(
        ValueError,
        match=r"50 % of the volumes.*raise fd_mm|of 300 volumes are left after censoring",
    ):
        from_raw(raw(bold(rng), extras={"motion": motion}))


def test_filtered_resting_scans_are_not_bad(shared_data):
    files = sorted((shared_data / "stages_rest").glob("sub-*.npy"))[::4]
    content = {}
    for file in [*files, shared_data / "stages_rest" / "sub-043_ses-2.npy"]:
        cleaned = made(np.load(file).T, standardise="zscore")
        assert flags(cleaned, "bad") == []
        assert cleaned.qc["metrics"]["ac1_median"] == pytest.approx(0.88, abs=0.03)
        content[file.stem] = cleaned.qc
    levels = {flag["level"] for found in compare(content).values() for flag in found}
    assert "bad" not in levels


def test_a_repetition_time_that_no_scanner_has_is_refused(rng):
    with pytest.raises(ValueError, match=r"sub-01: a repetition time of 20 s is not one of fmri"):
        from_raw(raw(bold(rng)), rate=0.05)
    with pytest.raises(ValueError, match=r"time of 0.002 s .* time_column in ms"):
        from_raw(raw(bold(rng), rate_hz=500.0), rate=500.0)
    assert len(from_raw(raw(bold(rng)), rate=1.0, time_unit="frame").signal)

"""EMG cleaning on planted mains, gaps, clipping and broken channels."""

import json

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

from rheobase.io.raw import Raw
from rheobase.preprocess import filters
from rheobase.preprocess.clean import clean
from rheobase.preprocess.emg_channels import clipped

RATE = 1000.0


def made(signal, *, rate=RATE, units: str | None = "uV", times=None, own_units=None, **options):
    names = tuple(f"ch{i}" for i in range(signal.shape[1]))
    return clean(
        Raw(signal, names, units=own_units, times=times or {}),
        modality="emg",
        rate=rate,
        time_unit="s",
        units=units,
        options=options,
        name="sub-arm",
    )


def muscle(rng, n_time=20_000, n_channels=6, rate=RATE):
    """Noise of 100 uV between 20 Hz and 0.4 of the rate, a third of it common to all channels."""
    noise = rng.normal(size=(n_time, n_channels)) + 0.7 * rng.normal(size=(n_time, 1))
    band = butter(4, [20, 0.4 * rate], "bandpass", fs=rate, output="sos")
    signal = sosfiltfilt(band, noise, axis=0)
    return 100 * signal / signal.std()


def mains(n_time=20_000, rate=RATE, hertz=50.0):
    time = np.arange(n_time)[:, None] / rate
    return sum(80 / h * np.sin(2 * np.pi * h * hertz * time + h) for h in (1, 2, 3))


def reasons(cleaned):
    return {row["name"]: row["bad"] for row in cleaned.qc["units"] if row["bad"]}


def steps(cleaned, name):
    return [step for step in cleaned.steps if step["step"] == name]


def test_mains_and_harmonics_are_removed(rng):
    clean_one = muscle(rng)
    cleaned = made(clean_one + mains())
    assert steps(cleaned, "notch")[0]["lines_hz"] == [50, 100, 150, 200, 250, 300, 350, 400]
    metrics = cleaned.qc["metrics"]
    assert metrics["line_before_worst_db"] > 10
    assert metrics["line_after_worst_db"] <= 3
    for i in range(clean_one.shape[1]):
        assert np.corrcoef(cleaned.signal[:, i], clean_one[:, i])[0, 1] > 0.95


def test_auto_finds_60_hz(rng):
    cleaned = made(muscle(rng) + mains(hertz=60.0))
    assert steps(cleaned, "notch")[0]["lines_hz"][0] == 60


def test_auto_leaves_a_clean_recording_alone(rng):
    assert steps(made(muscle(rng)), "notch") == []


def test_auto_needs_more_of_a_short_recording(rng):
    cleaned = made(muscle(rng, 3000))
    assert "limit 10 dB" in steps(cleaned, "no notch")[0]["why"]


def test_a_notch_can_be_refused(rng):
    assert steps(made(muscle(rng) + 0.3 * mains(), notch_hz=None), "notch") == []


def test_band_pass_removes_drift_and_high_noise(rng):
    time = np.arange(20_000)[:, None] / RATE
    slow, fast = 300 * np.sin(2 * np.pi * 2 * time), 300 * np.sin(2 * np.pi * 480 * time)
    signal = muscle(rng)
    cleaned = made(signal + slow + fast + 4000, notch_hz=None)
    reference = made(signal, notch_hz=None)
    assert np.abs(cleaned.signal - reference.signal)[500:-500].max() < 10


def test_a_slow_recording_gets_a_high_pass_alone(rng):
    cleaned = made(muscle(rng, 8000, rate=200.0), rate=200.0)
    step = steps(cleaned, "high-pass")[0]
    assert (step["low_hz"], step["high_hz"]) == (20, None)


def test_the_default_band_follows_the_rate(rng):
    step = steps(made(muscle(rng, rate=800.0), rate=800.0), "band-pass")[0]
    assert (step["low_hz"], step["high_hz"]) == (20, 360)


def test_a_causal_filter_does_not_look_ahead(rng):
    signal = muscle(rng)
    changed = signal.copy()
    changed[10_000:] *= 3
    first, second = (
        made(x, causal=True, notch_hz=None, bad_channels="keep") for x in (signal, changed)
    )
    np.testing.assert_array_equal(first.signal[:10_000], second.signal[:10_000])
    assert not any(step.get("acausal") for step in first.steps)


def test_a_zero_phase_filter_says_that_it_looks_ahead(rng):
    assert steps(made(muscle(rng)), "band-pass")[0]["acausal"]


def test_nothing_rings_across_a_cut(rng):
    first, second = muscle(rng, 5000), muscle(rng, 5000)
    block = np.repeat([3, 4], 5000)
    both = np.vstack([first, second + 50_000])
    options = {"notch_hz": 50, "bad_channels": "keep"}
    cleaned = made(both, times={"block": block}, **options).signal
    alone = made(first, **options).signal
    np.testing.assert_allclose(cleaned[4000:5000].std(), alone[4000:].std(), rtol=0.05)
    assert np.abs(cleaned).max() < 1000


def test_pieces_are_filtered_like_recordings_of_their_own(rng):
    signal = rng.normal(size=(3000, 2))
    sections = filters.butterworth(20, None, rate=RATE)
    parts = [slice(0, 1000), slice(1200, 3000)]
    together = filters.filter_pieces(signal, parts, sections, causal=False, pad=200)
    alone = filters.filter_pieces(signal[1200:], [slice(0, 1800)], sections, causal=False, pad=200)
    np.testing.assert_array_equal(together[1200:], alone)
    assert not together[1000:1200].any()


def test_short_gaps_are_filled_and_counted(rng):
    signal = muscle(rng)
    holed = signal.copy()
    holed[5000:5006, 2] = np.nan
    cleaned = made(holed)
    assert cleaned.valid.all()
    assert steps(cleaned, "fill gaps")[0]["samples"] == 6
    away = np.r_[0:4900, 5100:20_000]
    np.testing.assert_allclose(cleaned.signal[away], made(signal).signal[away], atol=2)


def test_long_gaps_are_cut_out_and_both_sides_filtered_apart(rng):
    signal = muscle(rng)
    signal[5000:5100, 2] = np.nan
    cleaned = made(signal, notch_hz=None)
    assert np.flatnonzero(~cleaned.valid).tolist() == list(range(5000, 5100))
    assert not cleaned.signal[5000:5100].any()
    alone = made(signal[5100:], notch_hz=None)
    np.testing.assert_allclose(cleaned.signal[5100:], alone.signal, atol=1e-2)


def test_a_channel_with_much_missing_is_dropped_and_not_the_samples(rng):
    signal = muscle(rng)
    signal[5000:7000, 2] = np.nan
    cleaned = made(signal)
    assert reasons(cleaned)["ch2"] == "10.0 % missing, above 5 %"
    assert cleaned.valid.all()
    assert cleaned.names == ("ch0", "ch1", "ch3", "ch4", "ch5")


def test_broken_channels_are_found_and_no_others(rng):
    signal = muscle(rng, n_channels=12)
    signal[:, 1] = 3
    signal[:, 4] *= 40
    signal[:, 6] = np.clip(signal[:, 6], -100, 100)
    signal[:, 8] *= 0.01
    signal[:, 10] = 100 * rng.normal(size=20_000)
    found = reasons(made(signal))
    assert set(found) == {"ch1", "ch4", "ch6", "ch8", "ch10"}
    assert "constant" in found["ch1"]
    assert "noisy" in found["ch4"]
    assert "clipped" in found["ch6"]
    assert "quiet" in found["ch8"]
    assert "detached" in found["ch10"]


def test_a_channel_full_of_mains_is_bad(rng):
    signal = muscle(rng)
    signal[:, [3]] += 30 * mains()
    found = reasons(made(signal, notch_hz=None))
    assert list(found) == ["ch3"]
    assert "mains" in found["ch3"]


def test_bad_channels_can_be_kept(rng):
    signal = muscle(rng)
    signal[:, 1] = 3
    cleaned = made(signal, bad_channels="keep")
    assert len(cleaned.names) == 6
    assert cleaned.qc["units"][1]["excluded"] is None
    assert "constant" in cleaned.qc["units"][1]["bad"]


def test_clipping_is_a_run_at_the_largest_value():
    signal = np.zeros((100, 2))
    signal[10:14, 0] = 5
    signal[20, 0], signal[30, 1], signal[40:42, 1] = -5, 7, 7
    np.testing.assert_allclose(clipped(signal), [0.04, 0])


def test_full_scale_of_8_bits_is_a_warning(rng):
    counts = np.clip(np.rint(0.6 * muscle(rng)), -128, 127)
    texts = [flag["text"] for flag in made(counts, units="count").qc["flags"]]
    assert any("ends of 8 bits" in text for text in texts)


def test_units_become_microvolt(rng):
    signal = muscle(rng)
    in_volt, in_millivolt = made(signal / 1e6, units="V"), made(signal / 1e3, units="mV")
    assert in_volt.units == "uV"
    np.testing.assert_allclose(in_volt.signal, made(signal).signal, rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(in_volt.signal, in_millivolt.signal, rtol=1e-3, atol=1e-2)


def test_the_unit_of_the_file_wins_and_says_so(rng):
    cleaned = made(muscle(rng), units="V", own_units="uV")
    assert cleaned.qc["metrics"]["rms_median_uv"] == pytest.approx(100, rel=0.1)
    assert "the file is believed" in cleaned.qc["flags"][0]["text"]


def test_activity_is_compared_with_rest(rng):
    label = np.where(np.arange(20_000) < 10_000, 0, 3)
    signal = muscle(rng) * np.where(label == 0, 0.1, 1)[:, None]
    cleaned = made(signal, times={"label": label})
    assert cleaned.qc["metrics"]["snr_median_db"] == pytest.approx(20, abs=1)


def test_zscore_uses_valid_samples(rng):
    signal = muscle(rng)
    signal[5000:5100, 2] = np.nan
    cleaned = made(signal, standardise="zscore")
    np.testing.assert_allclose(cleaned.signal[cleaned.valid].std(axis=0), 1, atol=1e-3)


def test_an_envelope_is_not_filtered_again(rng):
    signal = np.abs(muscle(rng, rate=100.0))
    cleaned = made(signal, rate=100.0)
    np.testing.assert_array_equal(cleaned.signal, signal.astype(np.float32))


def test_the_same_signal_twice_is_a_warning(rng):
    signal = muscle(rng)
    signal[:, 4] = signal[:, 1]
    texts = [flag["text"] for flag in made(signal).qc["flags"]]
    assert any("ch1 and ch4 hold the same signal" in text for text in texts)


def test_quality_is_plain_json(rng):
    signal = muscle(rng)
    signal[:, 1] = 0
    json.dumps(made(signal).qc, allow_nan=False)


def test_an_envelope_has_no_band_to_pass(rng):
    with pytest.raises(ValueError, match="envelope already.*remove band_hz"):
        made(np.abs(muscle(rng, rate=100.0)), rate=100.0, band_hz=[10, 40])


def test_an_edge_above_half_the_rate_is_refused(rng):
    with pytest.raises(ValueError, match="sub-arm: the filter edge 600 Hz must lie below"):
        made(muscle(rng), band_hz=[20, 600])


def test_edges_in_the_wrong_order_are_refused(rng):
    with pytest.raises(ValueError, match="the lower edge 300 Hz must lie below the upper edge 20"):
        made(muscle(rng), band_hz=[300, 20])


def test_an_unlikely_amplitude_is_refused_with_the_factor(rng):
    with pytest.raises(ValueError, match=r"sub-arm: the median channel .* a factor 1e\+06 would"):
        made(muscle(rng) / 1e6)


def test_a_missing_unit_is_refused(rng):
    with pytest.raises(ValueError, match="set units to one of uV, mV, V, count"):
        made(muscle(rng), units=None)


def test_all_channels_bad_is_refused():
    with pytest.raises(ValueError, match="all 4 channels are bad"):
        made(np.ones((5000, 4)))


def test_real_gestures_keep_their_channels(shared_data):
    with np.load(shared_data / "myo_gestures" / "12345-1.npz") as file:
        signal, label, block = file["emg"].astype(float).T, file["label"], file["block"]
    cleaned = made(signal, rate=200.0, units="count", times={"label": label, "block": block})
    assert cleaned.signal.shape == signal.shape
    assert reasons(cleaned) == {}
    assert cleaned.qc["metrics"]["median_frequency_median_hz"] == pytest.approx(68, abs=6)

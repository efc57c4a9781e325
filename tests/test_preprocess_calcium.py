"""Calcium cleaning on planted transients, drift, neuropil and artefacts."""

import numpy as np
import pytest
from scipy.signal import lfilter

from rheobase.io.raw import Raw
from rheobase.preprocess.calcium_baseline import running_percentile
from rheobase.preprocess.calcium_quality import noise
from rheobase.preprocess.clean import clean
from rheobase.report.steps import describe_step

RATE = 10.0


def made(signal, *, rate=RATE, time_unit="s", extras=None, times=None, **options):
    names = tuple(f"cell{i}" for i in range(signal.shape[1]))
    return clean(
        Raw(signal, names, times=times or {}, extras=extras or {}),
        modality="calcium",
        rate=rate,
        time_unit=time_unit,
        units=None,
        options=options,
        name="sub-fish",
    )


def transients(rng, n_time=3000, n_cells=5):
    """Sparse events of size 1 that decay in 1 s."""
    spikes = (rng.random((n_time, n_cells)) < 0.005).astype(float)
    return np.asarray(lfilter([1], [1, -np.exp(-1 / RATE)], spikes, axis=0))


def fluorescence(rng, n_time=3000, n_cells=5, level=200.0, sigma=0.02):
    true = transients(rng, n_time, n_cells)
    return level * (1 + true + sigma * rng.normal(size=true.shape)), true


def excluded(cleaned):
    return {row["name"]: row["excluded"] for row in cleaned.qc["units"] if row["excluded"]}


def test_planted_relative_change_is_recovered(rng):
    signal, true = fluorescence(rng)
    cleaned = made(signal, baseline_percentile=30)
    assert cleaned.units == "dF/F"
    assert np.abs(cleaned.signal - true).mean() < 0.05
    assert np.corrcoef(cleaned.signal.ravel(), true.ravel())[0, 1] > 0.98


def test_bleaching_is_taken_out(rng):
    signal, true = fluorescence(rng)
    bleached = signal * np.exp(-np.arange(3000) / 3000)[:, None]
    cleaned = made(bleached, baseline_percentile=30)
    assert np.corrcoef(cleaned.signal.ravel(), true.ravel())[0, 1] > 0.97
    assert "drifts" in cleaned.qc["flags"][0]["text"]
    assert "fluorescence before dF/F" in cleaned.qc["flags"][0]["text"]
    assert cleaned.qc["metrics"]["drift_percent_per_min_median"] == pytest.approx(-20, abs=4)


def test_neuropil_is_subtracted_and_the_level_kept(rng):
    signal, true = fluorescence(rng)
    around = 150 + 30 * np.sin(np.arange(3000) / 8)[:, None] + rng.normal(size=(3000, 5))
    cleaned = made(signal + 0.7 * around, extras={"neuropil": around}, baseline_percentile=30)
    level = np.median(200 + 0.7 * 150)
    expected = true * 200 / level
    assert np.corrcoef(cleaned.signal.ravel(), expected.ravel())[0, 1] > 0.97
    assert abs(cleaned.qc["units"][0]["neuropil_r"]) < 0.1


def test_samples_that_neuropil_would_push_below_zero_are_counted(rng):
    signal, _ = fluorescence(rng)
    around = 50 + 0 * signal
    around[1000:1010, 2] += 1000 * np.median(signal[:, 2])
    step = next(s for s in made(signal, extras={"neuropil": around}).steps if "share" in s)
    assert step["raised_samples"] == 10
    assert step["raised_percent"] == round(100 * 10 / signal.size, 3)
    assert step["least_percent_of_median"] == 0.1
    assert "10 samples raised to 0.1 % of their cell's median" in describe_step(step)
    calm = next(s for s in made(signal, extras={"neuropil": 50 + 0 * signal}).steps if "share" in s)
    assert calm["raised_samples"] == 0
    assert "raised" not in describe_step(calm)


def test_corrected_traces_keep_their_neuropil(rng):
    signal, _ = fluorescence(rng)
    extras = {"neuropil": 50 + 10 * rng.normal(size=signal.shape)}
    cleaned = made(signal, extras=extras, input="neuropil_corrected")
    assert "subtract neuropil" not in [step["step"] for step in cleaned.steps]


def test_running_percentile_is_close_to_the_exact_one(rng):
    from scipy.ndimage import percentile_filter

    signal = rng.normal(size=(4000, 3)) + np.sin(np.arange(4000) / 500)[:, None]
    exact = percentile_filter(signal, 8, size=(601, 1), mode="mirror")
    strided = running_percentile(signal, window=600, percentile=8)
    assert np.abs(strided - exact).max() < 0.15


def test_a_window_longer_than_the_recording_shrinks(rng):
    signal = rng.normal(size=(200, 2))
    base = running_percentile(signal, window=10_000, percentile=50)
    assert base.shape == signal.shape
    assert np.abs(base).max() < 1


def test_the_baseline_does_not_look_across_a_cut(rng):
    signal, _ = fluorescence(rng, 1200)
    block = np.repeat([0, 1], 600)
    stepped = signal + np.where(block == 1, 1000, 0)[:, None]
    cut = made(stepped, times={"block": block}, baseline_percentile=30)
    alone = made(signal[:600], baseline_percentile=30)
    np.testing.assert_allclose(cut.signal[:600], alone.signal, atol=1e-4)


def test_noise_is_the_planted_one(rng):
    signal, _ = fluorescence(rng, 6000, sigma=0.03)
    cleaned = made(signal, baseline_percentile=30)
    assert cleaned.qc["metrics"]["noise_median"] == pytest.approx(0.03, rel=0.1)
    nu = 100 * 0.03 * 0.6745 * np.sqrt(2) / np.sqrt(RATE)
    assert cleaned.qc["metrics"]["nu_percent_per_root_hz_median"] == pytest.approx(nu, rel=0.1)


def test_noise_ignores_jumps_between_runs():
    signal = np.concatenate([np.zeros((5, 1)), np.full((5, 1), 9.0)])
    runs = np.repeat([0, 1], 5)
    assert noise(signal, runs, np.ones(10, bool)) == 0


def test_a_short_artefact_is_bridged_and_counted(rng):
    signal, _ = fluorescence(rng, n_cells=12)
    shaken = signal.copy()
    shaken[1000] += 900
    cleaned, calm = made(shaken), made(signal)
    assert cleaned.valid.all()
    assert np.abs(cleaned.signal[1000] - calm.signal[1000]).max() < 1
    step = next(step for step in cleaned.steps if step["step"] == "bridge bad frames")
    assert step["frames"] >= 1
    assert step["acausal"]


def test_a_long_stretch_of_missing_frames_is_not_valid(rng):
    signal, _ = fluorescence(rng)
    signal[1000:1100] = np.nan
    cleaned = made(signal)
    assert not cleaned.valid[1000:1100].any()
    assert cleaned.valid[:990].all()
    assert np.isfinite(cleaned.signal).all()


def test_constant_missing_and_unlikely_cells_stay_with_the_reason(rng):
    signal, _ = fluorescence(rng, n_cells=8)
    signal[:, 0] = 5
    signal[:1500, 1] = np.nan
    extras = {
        "is_cell": np.array([1, 1, 0, 1, 1, 1, 1, 1]),
        "cell_probability": np.array([1, 1, 1, 0.3, 1, 1, 1, 1]),
    }
    cleaned = made(signal, extras=extras)
    reasons = excluded(cleaned)
    assert reasons["cell0"] == "constant"
    assert reasons["cell1"] == "50 % missing, above 20 %"
    assert reasons["cell2"] == "not a cell"
    assert reasons["cell3"] == "cell probability 0.30, below 0.5"
    assert cleaned.names == ("cell4", "cell5", "cell6", "cell7")
    assert len(cleaned.qc["units"]) == 8


def test_cells_of_noise_alone_are_left_out(rng):
    signal, _ = fluorescence(rng)
    signal[:, 2] = 200 * (1 + 0.02 * rng.normal(size=3000))
    assert "signal-to-noise ratio" in excluded(made(signal))["cell2"]


def test_zscored_traces_are_left_as_they_are(rng):
    signal = rng.normal(size=(400, 4)).astype(np.float32)
    cleaned = made(signal, input="zscore")
    np.testing.assert_array_equal(cleaned.signal, signal)
    assert not any(step.get("acausal") for step in cleaned.steps)
    assert excluded(cleaned) == {}


def flags(cleaned):
    return [(flag["level"], flag["text"]) for flag in cleaned.qc["flags"]]


def test_true_zscores_are_in_standard_deviations(rng):
    cleaned = made(rng.normal(size=(400, 4)), input="zscore")
    assert cleaned.units == "SD"
    assert flags(cleaned) == []


@pytest.mark.parametrize("scale", [0.2, 3.0])
def test_zscores_that_are_none_get_a_warning_and_no_unit(rng, scale):
    cleaned = made(scale * rng.normal(size=(400, 4)), input="zscore")
    assert cleaned.units == "a.u."
    [(level, text)] = flags(cleaned)
    assert level == "warning"
    assert (
        f"standard deviation over cells is {cleaned.qc['metrics']['trace_sd_median']:.2g}" in text
    )


def test_many_excluded_cells_get_a_warning_with_the_commonest_reason(rng):
    signal, _ = fluorescence(rng, n_cells=8)
    signal[:, 0] = 5
    assert not [text for _, text in flags(made(signal)) if "left out" in text]
    signal[:, 1:3] = 200 * (1 + 0.02 * rng.normal(size=(3000, 2)))
    [(level, text)] = [flag for flag in flags(made(signal)) if "left out" in flag[1]]
    assert level == "warning"
    assert "3 of 8 cells (38 %) are left out, above 25 %" in text
    assert text.endswith("the commonest reason, for 2, is: signal-to-noise ratio, below 2")


def test_relative_traces_lose_their_baseline_and_no_more(rng):
    true = transients(rng)
    signal = true + 0.02 * rng.normal(size=true.shape) + np.linspace(0, 0.5, 3000)[:, None]
    cleaned = made(signal, input="dff", baseline_percentile=30)
    assert np.corrcoef(cleaned.signal.ravel(), true.ravel())[0, 1] > 0.98


def test_a_window_counts_frames_where_the_rate_is_unknown(rng):
    signal, _ = fluorescence(rng)
    cleaned = made(signal, rate=1.0, time_unit="frame")
    step = next(step for step in cleaned.steps if step["step"] == "dF/F")
    assert step["window_s"] == 60


def test_two_good_cells_are_too_few(rng):
    signal, _ = fluorescence(rng, n_cells=4)
    signal[:, :2] = 1
    with pytest.raises(ValueError, match="sub-fish: 2 of 4 cells are left, and 3 are needed"):
        made(signal)


def test_less_than_ten_seconds_are_refused(rng):
    with pytest.raises(ValueError, match="it lasts 9 s; at least 10 s"):
        made(fluorescence(rng, 90)[0])


def test_fluorescence_below_zero_is_refused(rng):
    with pytest.raises(ValueError, match=r"set preprocess\.input to dff"):
        made(rng.normal(size=(400, 4)))


def test_neuropil_of_another_shape_is_refused(rng):
    signal, _ = fluorescence(rng)
    with pytest.raises(ValueError, match=r"neuropil has shape \(3000, 4\)"):
        made(signal, extras={"neuropil": signal[:, :4]})


def test_dead_regions_of_a_real_plane_are_left_out(shared_data):
    plane = shared_data / "suite2p_plane" / "plane0"
    traces, around = (np.load(plane / f"{key}.npy").T for key in ("F", "Fneu"))
    cells = np.load(plane / "iscell.npy")
    extras = {"neuropil": around, "is_cell": cells[:, 0] > 0, "cell_probability": cells[:, 1]}
    cleaned = made(traces, rate=30.0, extras=extras)
    reasons = list(excluded(cleaned).values())
    assert reasons.count("constant") == 47
    assert len(cleaned.qc["units"]) == 219
    assert cleaned.signal.shape[1] + len(reasons) == 219


def test_an_unlikely_rate_is_refused(rng):
    raw = Raw(100 + rng.normal(size=(20000, 4)), ("a", "b", "c", "d"))
    with pytest.raises(ValueError, match=r"2e\+04 Hz is above 1000 Hz, the limit for calcium"):
        clean(raw, modality="calcium", rate=20000, time_unit="s", units=None, options={}, name="x")

"""F0 of planted drifts and bleaching, neuropil that is fitted, and what is kept beside dF/F."""

import json

import numpy as np
import pytest
from scipy.ndimage import percentile_filter
from scipy.signal import lfilter

from rheobase.io.raw import Raw
from rheobase.preprocess.calcium_baseline import maximin, running_percentile
from rheobase.preprocess.calcium_bleaching import bleaching
from rheobase.preprocess.calcium_neuropil import fitted_share
from rheobase.preprocess.clean import clean
from rheobase.report.steps import describe_step

RATE = 10.0


def made(signal, *, rate=RATE, extras=None, time_unit="s", **options):
    names = tuple(f"cell{i}" for i in range(signal.shape[1]))
    return clean(
        Raw(signal, names, extras=extras or {}), modality="calcium", rate=rate,
        time_unit=time_unit, units=None, options=options, name="sub-fish",
    )  # fmt: skip


def transients(rng, n_time=3000, n_cells=5):
    spikes = (rng.random((n_time, n_cells)) < 0.005).astype(float)
    return np.asarray(lfilter([1], [1, -np.exp(-1 / RATE)], spikes, axis=0))


def bleached(n_time=3000, n_cells=5):
    """Return F0 that halves and more, fast at first, another level a cell."""
    time = np.arange(n_time) / RATE
    curve = 100 + 150 * np.exp(-time / 20) + 80 * np.exp(-time / 150)
    return curve[:, None] * np.linspace(0.5, 2, n_cells)


def test_relative_change_on_a_known_bleaching_curve_is_right_within_2_percent(rng):
    true, base = transients(rng), bleached()
    signal = base * (1 + true + 0.002 * rng.normal(size=true.shape))
    cleaned = made(signal, baseline="exp")
    high = true > 0.5
    assert np.median(np.abs(cleaned.signal[high] / true[high] - 1)) < 0.01
    assert np.quantile(np.abs(cleaned.signal - true), 0.99) < 0.02
    assert cleaned.pictures is not None
    apart = np.abs(cleaned.pictures["baseline"].values / base - 1)
    assert np.quantile(apart, 0.99) < 0.02
    assert apart.mean() < 0.005


def test_a_fitted_bleaching_curve_follows_the_planted_one(rng):
    base = bleached()
    noisy = base * (1 + 0.02 * np.abs(rng.normal(size=base.shape)))
    found = bleaching(noisy, np.ones(3000, bool), percentile=2)
    assert np.abs(found / base - 1).max() < 0.02


def test_bleaching_is_fitted_without_frames_that_are_not_valid(rng):
    base, valid = bleached(), np.ones(3000, bool)
    valid[300:500] = False
    spoilt = base.copy()
    spoilt[~valid] = 1
    found = bleaching(spoilt, valid, percentile=8)
    assert np.abs(found[valid] / base[valid] - 1).max() < 0.02


def test_strided_percentile_is_within_a_noise_deviation_of_the_exact_one(rng):
    signal = rng.normal(size=(4000, 3)) + 3 * np.sin(np.arange(4000) / 700)[:, None]
    exact = percentile_filter(signal, 8, size=(601, 1), mode="mirror")
    strided = running_percentile(signal, window=600, percentile=8)
    assert np.abs(strided - exact).max() < 0.2
    centres = np.arange(0, 4000, 75)
    assert np.abs(strided - exact)[centres].max() < 0.02


def test_invalid_frames_do_not_count_in_the_percentile(rng):
    signal = rng.normal(size=(2000, 3))
    spoilt, valid = signal.copy(), np.ones(2000, bool)
    valid[900:1000] = False
    spoilt[~valid] = -1000
    assert running_percentile(spoilt, window=300, percentile=8).min() < -100
    assert running_percentile(spoilt, window=300, percentile=8, valid=valid).min() > -3


def test_a_window_without_a_valid_frame_takes_the_line_of_its_neighbours():
    signal, valid = np.ones((2000, 2)), np.ones(2000, bool)
    valid[500:1500] = False
    signal[~valid] = 9
    base = running_percentile(signal, window=80, percentile=50, valid=valid)
    np.testing.assert_array_equal(base, 1)


def test_maximin_passes_over_events_and_follows_drift(rng):
    drift = 100 + np.linspace(0, 30, 3000)[:, None]
    base = maximin(drift * (1 + transients(rng)), window=600, sigma=10)
    assert np.abs(base[600:-600] / drift[600:-600] - 1).max() < 0.1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"baseline": "maximin", "baseline_window_s": 30},
         "running maximum of the running minimum over 30 s (Gaussian of 10 s)"),
        ({"baseline": "exp"}, "constant and two exponential decays under each trace"),
        ({}, "running 8th percentile over 60 s as baseline"),
    ],
)  # fmt: skip
def test_each_baseline_recovers_events_and_says_what_it_did(rng, options, words):
    true = transients(rng)
    drift = 100 * np.exp(-np.arange(3000) / 5000)[:, None]
    signal = drift * (1 + true + 0.01 * rng.normal(size=true.shape))
    cleaned = made(signal, **options)
    assert np.corrcoef(cleaned.signal.ravel(), true.ravel())[0, 1] > 0.95
    step = next(step for step in cleaned.steps if step["step"] == "dF/F")
    assert words in describe_step(step)


def test_a_relative_trace_is_left_alone_without_a_baseline(rng):
    signal = transients(rng).astype(np.float32) + np.float32(0.01) * rng.normal(size=(3000, 5))
    cleaned = made(signal, input="dff", baseline="none")
    np.testing.assert_array_equal(cleaned.signal, signal.astype(np.float32))
    assert [step["step"] for step in cleaned.steps] == ["choose cells"]


def test_fluorescence_can_be_had_back_from_what_is_kept(rng):
    signal = bleached() * (1 + transients(rng) + 0.01 * rng.normal(size=(3000, 5)))
    cleaned = made(signal)
    beside = cleaned.pictures
    assert beside is not None
    base = beside["baseline"].values
    back = cleaned.signal * np.maximum(base, beside.attrs["least_baseline"]) + base
    np.testing.assert_allclose(back, signal, rtol=1e-5)
    noise = [row["noise"] for row in cleaned.qc["units"]]
    np.testing.assert_allclose(beside["noise"].values, noise, rtol=1e-4)
    assert json.loads(beside.attrs["steps"]) == cleaned.steps


def test_a_cell_whose_baseline_is_at_its_floor_is_flagged(rng):
    signal = bleached() * (1 + transients(rng) + 0.01 * rng.normal(size=(3000, 5)))
    signal[:, 2] -= signal[:, 2].min()
    signal[:, 2] *= 1e-3
    cleaned = made(signal, snr=0)
    rows = {row["name"]: row for row in cleaned.qc["units"]}
    assert "unstable baseline: at its floor in " in rows["cell2"]["flags"]
    assert "unstable" not in rows["cell1"]["flags"]
    assert any("an unstable baseline, at its floor" in f["text"] for f in cleaned.qc["flags"])


def test_the_share_of_neuropil_is_found(rng):
    around = 5 * rng.normal(size=(3000, 4))
    shares = np.array([0, 0.3, 0.6, 0.9])
    quiet = 100 + shares * around + 0.1 * rng.normal(size=(3000, 4))
    np.testing.assert_allclose(fitted_share(quiet, around), shares, atol=0.15)
    assert (fitted_share(100 - around, around) == 0).all()
    assert (fitted_share(100 + 3 * around, around) == 1).all()


def test_a_fitted_share_is_used_and_told(rng):
    around = 50 + 5 * np.asarray(lfilter([0.3], [1, -0.7], rng.normal(size=(3000, 5)), axis=0))
    cell = 100 * (1 + transients(rng)) + 0.3 * rng.normal(size=(3000, 5))
    cleaned = made(cell + 0.9 * around, extras={"neuropil": around}, neuropil="auto")
    shares = [row["neuropil_share"] for row in cleaned.qc["units"]]
    assert np.median(shares) > 0.6
    step = next(step for step in cleaned.steps if step["step"] == "subtract neuropil")
    assert "a share fitted to each cell, " in describe_step(step)
    assert cleaned.pictures is not None
    np.testing.assert_allclose(cleaned.pictures["neuropil_share"].values, shares, rtol=1e-4)


@pytest.mark.parametrize(("given", "share"), [(None, 0.4), (0.2, 0.2)])
def test_the_share_is_the_files_unless_the_config_gives_one(rng, given, share):
    around = 50 + rng.normal(size=(3000, 5))
    extras = {"neuropil": around, "neuropil_share": np.full(5, 0.4)}
    cleaned = made(100 * (1 + transients(rng)) + around, extras=extras, neuropil=given)
    assert [row["neuropil_share"] for row in cleaned.qc["units"]] == pytest.approx([share] * 5)

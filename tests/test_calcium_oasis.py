"""Deconvolution of planted spikes, against a general solver and the program of its authors."""

import numpy as np
import pytest
from scipy.linalg import toeplitz
from scipy.optimize import nnls
from scipy.signal import lfilter

from rheobase.io.raw import Raw
from rheobase.preprocess.calcium_decay import decay_times
from rheobase.preprocess.calcium_oasis import decay_factor, deconvolve, fixed_penalty
from rheobase.preprocess.clean import clean
from rheobase.report.steps import describe_step

RATE = 20.0


def planted(rng, *, n_time=2000, n_cells=4, tau=1.0, sigma=0.2, per_s=0.3):
    spikes = (rng.random((n_time, n_cells)) < per_s / RATE).astype(float)
    calcium = np.asarray(lfilter([1], [1, -float(decay_factor(tau, RATE))], spikes, axis=0))
    return spikes, calcium, calcium + sigma * rng.normal(size=calcium.shape)


@pytest.mark.parametrize("penalty", [0.0, 0.4, 5.0])
def test_calcium_is_that_of_a_general_solver(rng, penalty):
    _, _, noisy = planted(rng, n_time=150)
    gamma = np.array([0.5, 0.9, 0.97, 0.99])
    calcium, spikes = fixed_penalty(noisy, gamma, penalty)
    for cell, factor in enumerate(gamma):
        kernel = np.asarray(toeplitz(factor ** np.arange(150), np.eye(150)[0]))
        price = np.linalg.solve(kernel.T, np.full(150, penalty))
        found, _ = nnls(kernel, noisy[:, cell] - price)
        np.testing.assert_allclose(calcium[:, cell], kernel @ found, atol=1e-7)
        np.testing.assert_allclose(spikes[1:, cell], found[1:], atol=1e-7)


def test_cells_do_not_see_each_other(rng):
    _, _, noisy = planted(rng, n_cells=3)
    gamma = np.array([0.9, 0.95, 0.99])
    together, _ = fixed_penalty(noisy, gamma, 0.3)
    for cell in range(3):
        alone, _ = fixed_penalty(noisy[:, [cell]], gamma[cell], 0.3)
        np.testing.assert_array_equal(together[:, cell], alone[:, 0])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("penalty", [0.0, 0.5, 4.0])
def test_a_given_penalty_gives_what_the_authors_program_gives(rng, penalty):
    peer = pytest.importorskip("oasis.functions")
    _, _, noisy = planted(rng, n_time=5000)
    calcium, spikes = fixed_penalty(noisy, decay_factor(1.0, RATE), penalty)
    for cell in range(4):
        theirs = peer.deconvolve(
            noisy[:, cell].copy(), tau_d=1.0, framerate=RATE, penalty=None, lam=penalty
        )
        assert np.abs(calcium[:, cell] - theirs.c).max() < 1e-6
        assert np.abs(spikes[:, cell] - theirs.s).max() < 1e-6


@pytest.mark.filterwarnings("ignore")
def test_the_penalty_and_baseline_that_noise_asks_for_are_near_the_authors(rng):
    peer = pytest.importorskip("oasis.functions")
    _, _, noisy = planted(rng, n_time=5000)
    ours = deconvolve(noisy + 0.3, decay_factor(1.0, RATE), np.full(4, 0.2))
    for cell in range(4):
        theirs = peer.deconvolve(noisy[:, cell] + 0.3, tau_d=1.0, framerate=RATE, sn=0.2)
        assert ours.baseline[cell] == pytest.approx(theirs.b, abs=2e-3)
        assert ours.penalty[cell] == pytest.approx(theirs.lam, rel=0.02)


@pytest.mark.parametrize("level", [None, 0.5])
def test_the_residual_is_the_noise(rng, level):
    _, _, noisy = planted(rng)
    found = deconvolve(noisy + 0.5, decay_factor(1.0, RATE), np.full(4, 0.2), baseline=level)
    rest = noisy + 0.5 - found.baseline - found.calcium
    np.testing.assert_allclose((rest**2).mean(axis=0), 0.04, rtol=1e-6)
    assert (found.penalty > 0).all()
    if level is None:
        np.testing.assert_allclose(rest.mean(axis=0), 0, atol=1e-8)


def test_planted_spikes_are_found(rng):
    spikes, _, noisy = planted(rng)
    found = deconvolve(noisy, decay_factor(1.0, RATE), np.full(4, 0.2)).spikes
    assert found.min() >= 0
    for cell in range(4):
        ours, true = (x[:, cell].reshape(-1, 5).sum(axis=1) for x in (found, spikes))
        assert np.corrcoef(ours, true)[0, 1] > 0.85


def test_noise_that_explains_everything_leaves_no_spike(rng):
    quiet = 0.1 * rng.normal(size=(500, 3))
    assert not deconvolve(quiet, 0.95, np.full(3, 5.0)).spikes.any()


def test_the_decay_of_a_trace_is_estimated(rng):
    _, _, noisy = planted(rng, n_time=20_000, n_cells=3, tau=0.8, sigma=0.1)
    runs, valid = np.zeros(20_000, int), np.ones(20_000, bool)
    np.testing.assert_allclose(decay_times(noisy, runs, valid, rate=RATE), 0.8, rtol=0.2)


def test_white_noise_in_a_trace_does_not_shorten_its_decay(rng):
    _, calcium, _ = planted(rng, n_time=20_000, n_cells=3, tau=0.8)
    runs, valid = np.zeros(20_000, int), np.ones(20_000, bool)
    loud = calcium + 0.5 * rng.normal(size=calcium.shape)
    plain = decay_times(calcium, runs, valid, rate=RATE)
    np.testing.assert_allclose(decay_times(loud, runs, valid, rate=RATE), plain, rtol=0.3)


def test_a_trace_that_forgets_at_once_has_no_decay():
    flip = np.tile([1.0, -1.0], 200)[:, None]
    assert np.isnan(decay_times(flip, np.zeros(400, int), np.ones(400, bool), rate=RATE)).all()


def cleaned(rng, extras=None, **options):
    _, _, noisy = planted(rng, n_time=2000, sigma=0.05)
    names = ("a", "b", "c", "d")
    return clean(
        Raw(noisy, names, extras=extras or {}), modality="calcium", rate=RATE, time_unit="s",
        units=None, options={"input": "dff", "baseline": "none", **options}, name="sub-fish",
    )  # fmt: skip


def test_a_deconvolved_recording_holds_spikes_and_keeps_its_relative_trace_beside(rng):
    made = cleaned(rng, deconvolve="oasis", decay_s=1.0)
    plain = cleaned(np.random.default_rng(0))
    assert made.signal.min() == 0
    assert (made.signal > 0).mean() < 0.5
    assert made.pictures is not None
    np.testing.assert_array_equal(made.pictures["dff"].values, plain.signal)
    assert made.pictures["decay_s"].values.tolist() == [1, 1, 1, 1]
    assert "deconvolution (OASIS, AR(1)) (decay 1 s)" in describe_step(made.steps[-1])


@pytest.mark.parametrize(
    ("options", "extras", "decay", "told"),
    [
        ({"indicator": "gcamp6s"}, {}, 1.5, "the indicator gcamp6s"),
        ({}, {"decay_s": np.array(0.4)}, 0.4, "the file"),
        ({"decay_s": 2}, {"decay_s": np.array(0.4)}, 2, None),
    ],
)
def test_the_decay_is_taken_from_the_config_then_the_file(rng, options, extras, decay, told):
    step = cleaned(rng, extras, deconvolve="oasis", **options).steps[-1]
    assert step["decay_s"] == decay
    assert step.get("from") == told


def test_the_decay_is_estimated_where_auto_is_asked_for(rng):
    made = cleaned(rng, {"decay_s": np.array(0.4)}, deconvolve="oasis", decay_s="auto")
    assert made.steps[-1]["decay_s"] == pytest.approx(1, rel=0.3)
    assert made.pictures is not None
    assert len(set(made.pictures["decay_s"].values.tolist())) == 4


def test_traces_without_any_decay_ask_for_one(rng):
    raw = Raw(np.tile([1.0, -1.0], 200)[:, None] * [1, 2, 3], ("a", "b", "c"))
    with pytest.raises(ValueError, match="sub-x: no cell has a decay .*; give decay_s or indicat"):
        clean(
            raw, modality="calcium", rate=RATE, time_unit="s", units=None, name="sub-x",
            options={"input": "dff", "baseline": "none", "snr": 0, "deconvolve": "oasis"},
        )  # fmt: skip

"""Generators: what was planted can be found again, and the null holds nothing."""

from typing import Any

import numpy as np
import pytest
from scipy.signal import welch

from rheobase.config.entries import Entry
from rheobase.io.synthetic import calcium, emg, fmri, generate, rate
from rheobase.io.synthetic.muscles import gesture_coefficients, pool

SHORT: dict[str, Any] = {"gestures": 3, "repetitions": 2, "units": 20}


def correlations(runs) -> np.ndarray:
    """Return the mean correlation matrix of runs, (region, region)."""
    return np.mean([np.corrcoef(run.T) for run in runs], axis=0)


def between(made, kind: int) -> float:
    """Return the mean correlation of communities 0 and 1 over the runs of one class."""
    fc = correlations(made.series[made.classes == kind])
    first, second = made.communities == 0, made.communities == 1
    return float(fc[np.ix_(first, second)].mean())


@pytest.fixture(scope="module")
def bold():
    return fmri.simulate(seed=0, runs=12)


@pytest.fixture(scope="module")
def session():
    return emg.simulate(seed=0)


@pytest.fixture(scope="module")
def animals():
    return calcium.simulate(seed=0)


def test_regions_correlate_inside_communities_only(bold):
    fc = correlations(bold.series)
    same = bold.communities[:, None] == bold.communities
    apart = ~np.eye(len(fc), dtype=bool)
    assert fc[same & apart].mean() == pytest.approx(0.32, abs=0.03)
    assert fc[~same].mean() == pytest.approx(0, abs=0.02)


def test_series_are_standardised_and_as_long_as_asked(bold):
    assert bold.series.shape == (12, 300, 60)
    assert bold.states.shape == (12, 300)
    np.testing.assert_allclose(bold.series.mean(axis=1), 0, atol=1e-9)
    np.testing.assert_allclose(bold.series.std(axis=1), 1)


def test_planted_covariances_are_correlations_that_exist(bold):
    np.testing.assert_allclose(np.diagonal(bold.covariances, axis1=2, axis2=3), 1)
    assert np.linalg.eigvalsh(bold.covariances).min() > 0


def test_static_classes_differ_in_the_planted_pair():
    made = fmri.simulate(seed=1, runs=20, regions=24, delta=0.5)
    assert between(made, 1) - between(made, 0) > 0.05
    planted = made.covariances[1, :, 0, 1] - made.covariances[0, :, 0, 1]
    assert planted.min() > 0


def test_null_classes_share_everything():
    made = fmri.simulate(seed=1, runs=20, regions=24, difference="null")
    np.testing.assert_array_equal(made.covariances[0], made.covariances[1])
    assert abs(between(made, 1) - between(made, 0)) < 0.05


def test_dwell_classes_stay_as_long_as_planted():
    made = fmri.simulate(seed=0, runs=40, regions=24, samples=400, difference="dwell")
    changes = (np.diff(made.states, axis=1) != 0).mean(axis=1)
    assert 1 / changes[made.classes == 0].mean() == pytest.approx(8, rel=0.15)
    assert 1 / changes[made.classes == 1].mean() == pytest.approx(40, rel=0.3)


def test_order_classes_run_through_the_states_in_opposite_directions():
    made = fmri.simulate(seed=0, runs=6, regions=24, difference="order")
    for path, kind in zip(made.states, made.classes, strict=True):
        steps = np.diff(path) % 4
        assert set(steps[steps != 0]) == {1 if kind else 3}


def test_the_class_of_a_run_changes_no_other_run():
    ours = fmri.simulate(seed=0, runs=3, regions=24, difference="dwell", classes=[0, 0, 0])
    other = fmri.simulate(seed=0, runs=3, regions=24, difference="dwell", classes=[0, 1, 0])
    np.testing.assert_array_equal(ours.series[2], other.series[2])
    assert not np.allclose(ours.series[1], other.series[1])


def test_the_group_of_a_recording_is_its_class():
    source = {"generator": "fmri", "seed": 0, "params": {"groups": ["well", "ill"], "regions": 24}}
    ill, well = (Entry(g, {"subject": "1", "group": g}) for g in ("ill", "well"))
    signals, truth = generate(source, index=1, entry=ill, total=2)
    assert truth["class"] == 0
    assert generate(source, index=1, entry=well, total=2)[1]["class"] == 1
    assert generate(source, index=1, entry=Entry("x", {}), total=2)[1]["class"] == 1
    assert signals["signal"].shape == (300, 24)
    assert signals["network"][0] == "community0"
    with pytest.raises(ValueError, match="group 'sick' is not among"):
        generate(source, index=0, entry=Entry("x", {"group": "sick"}), total=2)


def test_motifs_have_the_planted_size_and_overlap(animals):
    assert animals.members.sum(axis=1).tolist() == [13, 13, 13, 13]
    medium = calcium.simulate(seed=0, level="medium")
    assert (medium.members.sum(axis=0) == 2).sum() == 16


def test_members_of_a_motif_fire_together_in_its_epochs(animals):
    for motif, members in enumerate(animals.members):
        during = animals.active[:, motif]
        fired = animals.spikes[0][:, members]
        assert fired[during].mean() > 5 * fired[~animals.active.any(axis=1)].mean()


def test_the_first_motif_is_absent_in_half_of_the_animals(animals):
    assert (animals.loadings[:3, 0] > 0).all()
    assert (animals.loadings[3:, 0] == 0).all()
    during, members = animals.active[:, 0], animals.members[0] & ~animals.members[1:].any(axis=0)
    fired = animals.spikes[:, during][:, :, members].mean(axis=(1, 2))
    assert fired[3:].max() < 0.2 * fired[:3].min()


def test_fluorescence_bleaches(animals):
    quiet = np.percentile(animals.fluorescence[0], 10, axis=1)
    assert quiet[:80].mean() - quiet[-80:].mean() == pytest.approx(0.24, abs=0.08)


def test_noise_grows_with_the_level():
    rough = [
        np.median(np.abs(np.diff(calcium.simulate(seed=0, level=level).fluorescence, axis=1)))
        for level in ("easy", "medium", "hard")
    ]
    assert rough[0] < rough[1] < rough[2]


def test_the_null_keeps_each_neuron_and_loses_the_motifs(animals):
    null = calcium.simulate(seed=0, level="null")
    np.testing.assert_array_equal(null.spikes.sum(axis=1), animals.spikes.sum(axis=1))
    core = animals.members[1]
    together = correlations(animals.spikes[:, :, core])[~np.eye(core.sum(), dtype=bool)].mean()
    apart = correlations(null.spikes[:, :, core])[~np.eye(core.sum(), dtype=bool)].mean()
    assert together > 0.15
    assert apart < 0.2 * together


def test_animals_of_one_simulation_share_motifs_and_differ_in_strength():
    source = {"generator": "calcium", "seed": 2}
    first, other = (generate(source, index=i, entry=Entry(str(i), {}), total=6)[1] for i in (0, 5))
    np.testing.assert_array_equal(first["members"], other["members"])
    assert first["loadings"][0] > 0
    assert other["loadings"][0] == 0


def test_movement_lags_the_cue_by_the_planted_delays(session):
    assert session.signal.shape == (193000, 8)
    agree = np.mean(session.stimulus == session.restimulus)
    assert agree == pytest.approx(1 - 64 * (0.3 + 0.125) / 193, abs=0.02)
    assert set(session.stimulus) == set(session.restimulus) == set(range(9))


def test_every_repetition_holds_every_gesture_and_changes_at_rest(session):
    assert sorted(set(session.repetition)) == list(range(1, 9))
    for repetition in range(1, 9):
        assert set(session.restimulus[session.repetition == repetition]) == set(range(9))
    assert not session.restimulus[np.flatnonzero(np.diff(session.repetition))].any()


def test_muscles_are_silent_at_rest_and_heard_when_active(session):
    active = session.restimulus > 0
    loud = np.sqrt(np.mean(session.clean[active] ** 2, axis=0))
    assert 30 < loud.min() < loud.max() < 160
    far = np.convolve(active, np.ones(101), mode="same") == 0
    assert np.abs(session.clean[far]).max() == 0


def test_clean_signals_have_the_spectrum_of_surface_emg(session):
    frequency, power = welch(session.clean, 1000, nperseg=1000, axis=0)
    share = np.cumsum(power, axis=0) / power.sum(axis=0)
    median = frequency[np.argmax(share >= 0.5, axis=0)]
    assert np.median(median) == pytest.approx(115, abs=5)


def test_mains_and_motion_are_there_and_white_noise_is_below(session):
    rest = session.signal[session.excitation.max(axis=1) == 0][:20000]
    frequency, power = welch(rest, 1000, nperseg=1000, axis=0)
    assert frequency[50] == 50
    for line in (50, 150, 250):
        assert (power[line] > 3 * power[line + 10]).all()
    hum = session.signal - session.clean
    assert np.sqrt((hum**2).mean(axis=0)).mean() == pytest.approx(38, abs=6)
    assert (power[1:10].mean(axis=0) > 20 * power[300:400].mean(axis=0)).all()


def test_units_are_recruited_by_size_and_fire_at_known_rates():
    units = pool(60)
    assert units.threshold[-1] == pytest.approx(30)
    assert units.twitch[-1] == pytest.approx(100)
    made = emg.simulate(seed=0, **{**SHORT, "units": 60})
    fired = np.array([[len(made.spikes[m, u]) for u in range(60)] for m in range(8)])
    assert (fired[:, :10].mean(axis=1) > fired[:, -10:].mean(axis=1)).all()
    gaps = np.concatenate([np.diff(s) for s in made.spikes.values() if len(s) > 1])
    assert gaps.min() >= 0.4 * 1000 / 35 - 1


def test_gestures_are_the_same_for_every_seed_and_mix_the_planted_synergies(session):
    np.testing.assert_array_equal(session.coefficients, gesture_coefficients(8, 4))
    np.testing.assert_array_equal(session.synergies.argmax(axis=1), [0, 2, 4, 6])
    other = emg.simulate(seed=5, **SHORT)
    np.testing.assert_array_equal(other.coefficients, gesture_coefficients(3, 4))


def test_displaced_electrodes_see_the_muscles_elsewhere():
    kept = emg.simulate(seed=0, **SHORT, contaminate=False)
    moved = emg.simulate(seed=0, **SHORT, contaminate=False, shift_rad=2 * np.pi / 8, shift_from=2)
    first = kept.repetition == 1
    np.testing.assert_allclose(moved.clean[first], kept.clean[first])
    before = (kept.clean[~first] ** 2).mean(axis=0)
    after = (moved.clean[~first] ** 2).mean(axis=0)
    turned = [np.corrcoef(np.roll(before, k), after)[0, 1] for k in range(8)]
    assert np.argmax(turned) in (1, 7)


def test_planted_faults_are_where_the_truth_says():
    names = ["pops", "dead", "clipped", "detached", "gap"]
    made = emg.simulate(seed=0, **SHORT, faults=names)
    where = {fault: (channel, start, stop) for fault, channel, start, stop in made.faults}
    assert len({where[name][0] for name in names[1:]}) == 4
    assert made.signal[:, where["dead"][0]].std() < 0.1
    clipped = np.abs(made.signal[:, where["clipped"][0]])
    assert np.mean(clipped == clipped.max()) > 0.05
    assert made.signal[:, where["detached"][0]].std() == pytest.approx(209, abs=5)
    channel, start, stop = where["gap"]
    assert stop - start == 300
    assert np.isnan(made.signal[start:stop, channel]).all()
    assert np.isnan(made.signal).sum() == 300


def test_sessions_differ_and_each_is_reproducible():
    source = {"generator": "emg", "seed": 0, "params": SHORT}
    made = [generate(source, index=i, entry=Entry("s", {}), total=2) for i in (0, 1, 0)]
    np.testing.assert_array_equal(made[0][0]["signal"], made[2][0]["signal"])
    assert not np.allclose(made[0][0]["signal"], made[1][0]["signal"])
    signals, truth = made[0]
    assert signals["label"].shape == signals["trial"].shape == signals["signal"].shape[:1]
    assert truth["spike_sample"].shape == truth["spike_unit"].shape


@pytest.mark.parametrize(
    ("generator", "params", "expected"),
    [("fmri", {"tr_s": 2.0}, 0.5), ("calcium", {}, 4.0), ("emg", {"rate_hz": 500.0}, 500.0)],
)
def test_the_rate_follows_the_parameters(generator, params, expected):
    assert rate({"generator": generator, "params": params}) == expected


@pytest.mark.parametrize(
    ("generator", "params", "message"),
    [
        ("fmri", {"noise": 1}, "unknown key 'noise'.*snr"),
        ("fmri", {"regions": 61}, "61 regions in 6 communities"),
        ("fmri", {"difference": "sex"}, "static, dwell, order, null"),
        ("fmri", {"dwell_s": [0.5, 20]}, "longer than one sample"),
        ("calcium", {"level": "harder"}, "easy, medium, hard, null"),
        ("calcium", {"duration_s": 60}, "too short for 4 motifs"),
        ("emg", {"faults": ["broken"]}, "faults has 'broken'"),
        ("emg", {"rate_hz": 100}, "too low"),
        ("eeg", {}, "there are fmri, calcium, emg, memory_capacity"),
    ],
)
def test_impossible_parameters_are_refused(generator, params, message):
    with pytest.raises(ValueError, match=message):
        generate({"generator": generator, "params": params}, index=0, entry=Entry("x", {}), total=2)


def series(generator, **params):
    source = {"generator": generator, "seed": 3, "params": {"samples": 300, **params}}
    assert rate(source) == 1
    return generate(source, index=0, entry=Entry("a", {}, {}), total=2)[0]


def test_narma_follows_its_input_and_is_the_value_after_it():
    made = series("narma10")
    u, y = made["signal"][:, 0] / 4 + 0.25, made["label"]
    for t in range(10, 60):
        want = 0.3 * y[t - 1] + 0.05 * y[t - 1] * y[t - 10 : t].sum() + 1.5 * u[t - 9] * u[t] + 0.1
        assert y[t] == pytest.approx(want, abs=1e-6)


@pytest.mark.parametrize(
    ("generator", "channels"), [("memory_capacity", 1), ("mackey_glass", 1), ("lorenz", 3)]
)
def test_benchmark_series_are_as_long_as_asked_and_each_its_own(generator, channels):
    source = {"generator": generator, "seed": 3, "params": {"samples": 300}}
    first, second = (generate(source, index=i, entry=Entry("a", {}, {}), total=2)[0]["signal"]
                     for i in (0, 1))  # fmt: skip
    assert first.shape == second.shape == (300, channels)
    assert np.abs(first - second).max() > 0.1


def test_a_benchmark_series_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match="unknown key 'tau' for the generator mackey_glass"):
        series("mackey_glass", tau=17)

"""Views of a recording: the envelope of EMG, the events of calcium."""

import numpy as np
import pytest

from rheobase.preprocess.views import view
from rheobase.recording import Recording


def emg(signal, *, rate=1000.0, **more):
    return Recording.build(
        signal,
        name="sub-arm",
        modality="emg",
        sampling_rate_hz=rate,
        units="uV",
        label={"name": "label", "kind": "class"} if "label" in more.get("times", {}) else {},
        **more,
    )


def calcium(signal, *, rate=10.0, **more):
    return Recording.build(
        signal, name="sub-fish", modality="calcium", sampling_rate_hz=rate, **more
    )


def modulated(rng, n_time=20_000, rate=1000.0):
    time = np.arange(n_time) / rate
    size = 50 * (1 + np.sin(2 * np.pi * 0.5 * time))
    return rng.normal(size=(n_time, 3)) * size[:, None], size


def test_signal_is_the_recording_itself(rng):
    recording = emg(rng.normal(size=(100, 2)))
    assert view(recording, "signal", {}) is recording


def test_envelope_follows_the_planted_amplitude(rng):
    signal, size = modulated(rng)
    made = view(emg(signal), "envelope", {"envelope_hz": 3})
    assert made.rate == 50
    assert made.signal.shape == (1000, 3)
    assert made.signal.min() >= 0
    expected = size[::20] * np.sqrt(2 / np.pi)
    for unit in made.signal.T:
        assert np.corrcoef(unit, expected)[0, 1] > 0.97
        assert unit.mean() == pytest.approx(expected.mean(), rel=0.05)


def test_labels_follow_the_envelope(rng):
    label = np.repeat([0, 1, 2, 3], 5000)
    made = view(emg(modulated(rng)[0], times={"label": label}), "envelope", {})
    np.testing.assert_array_equal(made.label, np.repeat([0, 1, 2, 3], 250))


@pytest.mark.parametrize("rate", [200.0, 2048.0, 1259.259])
def test_the_clock_does_not_drift_over_blocks(rng, rate):
    n_blocks, n_time = 40, int(rate) + 13
    block = np.repeat(np.arange(n_blocks), n_time)
    signal = np.abs(rng.normal(size=(len(block), 2))) * 0.01
    signal[block % 2 == 1] += 100
    made = view(emg(signal, rate=rate, times={"block": block}), "envelope", {})
    assert len(made.signal) == pytest.approx(len(block) / rate * 50, abs=1.5)
    at = made.data["block"].values
    assert made.signal[at % 2 == 1].min() > 90
    assert made.signal[at % 2 == 0].max() < 10


def test_envelope_does_not_cross_a_cut(rng):
    first, second = np.ones((4000, 2)), 900 * np.ones((4000, 2))
    block = np.repeat([0, 1], 4000)
    noise = 0.001 * rng.normal(size=(8000, 2))
    made = view(emg(np.vstack([first, second]) + noise, times={"block": block}), "envelope", {})
    np.testing.assert_allclose(made.signal[:200], 1, atol=0.01)
    np.testing.assert_allclose(made.signal[200:], 900, atol=0.01)


def test_invalid_samples_stay_invalid_and_zero(rng):
    valid = np.ones(20_000, bool)
    valid[6000:8000] = False
    made = view(emg(modulated(rng)[0], valid=valid), "envelope", {})
    assert not made.valid[300:400].any()
    assert made.valid[:300].all()
    assert not made.signal[300:400].any()


def test_a_causal_envelope_does_not_look_ahead(rng):
    signal, _ = modulated(rng)
    changed = signal.copy()
    changed[10_000:] *= 5
    first, second = (view(emg(x), "envelope", {"causal": True}) for x in (signal, changed))
    np.testing.assert_array_equal(first.signal[:500], second.signal[:500])
    assert not first.acausal
    assert view(emg(signal), "envelope", {}).acausal


def test_unit_labels_stay(rng):
    recording = emg(modulated(rng)[0], unit_labels={"muscle": np.array(["a", "b", "c"])})
    made = view(recording, "envelope", {})
    assert made.data["muscle"].values.tolist() == ["a", "b", "c"]


def test_planted_events_are_found(rng):
    signal = 0.05 * rng.normal(size=(3000, 4))
    truth = np.zeros(3000, bool)
    for start in range(200, 3000, 400):
        truth[start : start + 20] = True
    signal[truth] += 1
    made = view(calcium(signal), "events", {})
    assert made.signal.shape == signal.shape
    assert set(np.unique(made.signal)) == {0, 1}
    for unit in made.signal.T:
        assert unit[truth].mean() > 0.95
        assert unit[~truth].mean() < 0.02


def test_noise_has_few_events(rng):
    made = view(calcium(rng.normal(size=(20_000, 10))), "events", {})
    assert made.signal.mean() < 0.0005


def test_short_events_do_not_count(rng):
    signal = 0.01 * rng.normal(size=(500, 2))
    signal[100:102] += 1
    signal[200:203] += 1
    made = view(calcium(signal), "events", {}).signal[:, 0]
    assert np.flatnonzero(made).tolist() == [200, 201, 202]


def test_an_event_lasts_until_it_falls_below_the_lower_threshold():
    signal = np.tile([0.0, 0.1], 300)[:, None] - 0.05
    signal[100:110] = 2.0
    signal[110:120] = 0.2
    signal[120:130] = 0.0
    sigma = 0.1 / (0.6745 * np.sqrt(2))
    assert 1.5 * sigma < 0.25 < 3 * sigma
    signal[110:120] = 0.25
    made = view(calcium(signal), "events", {}).signal[:, 0]
    assert np.flatnonzero(made).tolist() == list(range(100, 120))


def test_an_unknown_view_is_refused(rng):
    with pytest.raises(ValueError, match="sub-arm: view 'spectrum' is unknown"):
        view(emg(rng.normal(size=(100, 2))), "spectrum", {})


def test_an_envelope_is_for_emg(rng):
    with pytest.raises(ValueError, match="sub-fish: the view envelope is for emg"):
        view(calcium(rng.normal(size=(100, 2))), "envelope", {})


def test_an_envelope_needs_a_fast_recording(rng):
    with pytest.raises(ValueError, match="envelope_hz is 6 Hz and must lie below"):
        view(emg(rng.normal(size=(100, 2)), rate=10.0), "envelope", {})

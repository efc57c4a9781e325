"""Events of windows: they follow the signal, look at no future, and know training data alone."""

import numpy as np
import pytest

from rheobase.models.spiking import encode
from rheobase.models.spiking.encode import Encoder
from rheobase.models.spiking.windows import cut, hudgins


def windows(seed=0, examples=6, samples=40, channels=3):
    return np.random.default_rng(seed).normal(size=(examples, samples, channels))


@pytest.mark.parametrize("kind", encode.KINDS)
def test_no_encoder_looks_ahead(kind):
    before = windows()
    after = before.copy()
    after[:, 24:] = 5 * windows(1)[:, 24:]
    coder = Encoder(kind, bin=4).fitted(before)
    told = [coder.encode(x, rng=np.random.default_rng(0)) for x in (before, after)]
    assert told[0].any()
    np.testing.assert_array_equal(told[0][:6], told[1][:6])
    if kind != "latency":
        assert (told[0][6:] != told[1][6:]).any()


def test_send_on_delta_follows_the_signal():
    x = windows().transpose(1, 0, 2)
    events, followed = encode.send_on_delta(x, 0.3)
    assert np.abs(x - followed).max() < 0.3
    up, down = np.split(events, 2, axis=-1)
    np.testing.assert_allclose(x[0] + 0.3 * np.cumsum(up - down, axis=0), followed, atol=1e-12)


def test_bins_keep_every_event():
    x = windows()
    fine, coarse = (Encoder(bin=size).encode(x) for size in (1, 4))
    np.testing.assert_array_equal(fine.reshape(10, 4, 6, 6).sum(1), coarse)


def test_delta_is_calibrated_to_a_rate():
    x = windows(examples=50, samples=200)
    found = encode.calibrated(x, target=0.1)
    events, _ = encode.send_on_delta(x.transpose(1, 0, 2), found)
    assert events.sum() / x.size == pytest.approx(0.1, abs=0.002)


def test_direct_is_the_mean_size_in_a_bin():
    x = windows()
    np.testing.assert_allclose(
        Encoder("direct", bin=8).encode(x)[2], np.abs(x[:, 16:24]).mean(1), rtol=1e-6
    )


def test_rates_rise_with_the_signal():
    x = np.abs(windows(examples=2000))
    coder = Encoder("rate").fitted(x)
    low, high = (coder.encode(x * f, rng=np.random.default_rng(0)).mean() for f in (0.3, 1.0))
    assert high == pytest.approx(low / 0.3, rel=0.1)


def test_larger_signals_fire_earlier_and_once():
    x = np.ones((1, 200, 3)) * [0.4, 0.8, 3.0]
    events = Encoder("latency").encode(x)[:, 0]
    assert events.sum(0).tolist() == [0, 1, 1]
    assert events[:, 2].argmax() < events[:, 1].argmax()


def test_crossings_have_one_channel_a_level():
    x = np.zeros((1, 20, 1))
    x[0, 8:] = 2.0
    coder = Encoder("crossing", bin=1, levels=((1.0,), (1.5,), (3.0,)))
    assert np.argwhere(coder.encode(x)[:, 0]).tolist() == [[8, 0], [8, 1]]


@pytest.mark.parametrize(
    ("wrong", "says"), [({"kind": "x"}, "encoder is 'x'"), ({"delta": 0}, "delta 0")]
)
def test_impossible_encoders_are_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        Encoder(**wrong)


def test_too_few_steps_are_refused():
    with pytest.raises(ValueError, match="hold 2 steps"):
        Encoder(bin=4).encode(windows(samples=10))


def test_windows_lie_within_a_label_and_a_trial_and_off_its_ends():
    label = np.repeat([0, 1, 2, 2], 100)
    trial = np.repeat([1, 1, 1, 2], 100)
    signal = np.arange(400.0)[:, None]
    made = cut(signal, label, trial, width=20, hop=10, trim_start=30, trim_end=15, ignore=(0,))
    first, last = made.signal[:, 0, 0] % 100, made.signal[:, -1, 0] % 100
    assert first.min() == 30
    assert last.max() == 79
    assert sorted(set(zip(made.label.tolist(), made.trial.tolist(), strict=True))) == [
        (1, 1), (2, 1), (2, 2)
    ]  # fmt: skip


def test_features_are_what_their_names_say():
    x = np.array([[1.0, -1, 2, 2, 0]])[:, :, None]
    assert hudgins(x)[0].tolist() == pytest.approx([1.2, np.sqrt(2.0), 7, 2, 3])
    assert hudgins(x, 2.5)[0].tolist() == pytest.approx([1.2, np.sqrt(2.0), 7, 1, 1])

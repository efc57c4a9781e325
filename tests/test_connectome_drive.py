"""Drives say when neurons change, kernels how alike two of them change."""

import numpy as np
import pytest
import torch

from rheobase.models.connectome.affinities import affinities
from rheobase.models.connectome.bins import binned, shifted
from rheobase.models.connectome.drive import DriveSettings, FrameDrive, frame_drive, steady
from rheobase.models.connectome.kernels import OF_DRIVES, affinity, drive_source
from rheobase.recording import Recording

RATE = 4.0


def bumps(rng, *, frames=400, units=5):
    """Return traces that rise and fall at random times, (time, unit) float32."""
    at = np.arange(frames)[:, None]
    made = 0.01 * rng.standard_normal((frames, units))
    for _ in range(6):
        made += np.exp(-0.5 * ((at - rng.uniform(0, frames, units)) / 8) ** 2)
    return made.astype(np.float32)


def drive(signal, *, valid=None, pieces=None, rate=RATE, **changes):
    valid = np.ones(len(signal), bool) if valid is None else valid
    pieces = [slice(0, len(signal))] if pieces is None else pieces
    return frame_drive(
        signal, valid=valid, pieces=pieces, rate=rate, settings=DriveSettings(**changes)
    )


def test_a_drive_is_high_where_the_signal_changes_and_zero_where_it_rests():
    at = np.arange(400)[:, None] / RATE
    signal = (np.clip(at - 40, 0, 5) + 0.0 * at).astype(np.float32)
    made = drive(signal)
    assert made.value[int(42.5 * RATE), 0] > 0.95
    assert made.value[: int(35 * RATE)].max() == 0
    np.testing.assert_allclose(made.slope[int(42.5 * RATE), 0], 1.0, atol=0.02)


def test_falling_counts_like_rising(rng):
    signal = bumps(rng)
    up, down = drive(signal), drive(-signal)
    np.testing.assert_array_equal(up.value, down.value)
    np.testing.assert_array_equal(up.slope, -down.slope)


@pytest.mark.parametrize("kind", ["derivative", "deconvolved", "zpos"])
def test_scale_does_not_matter(rng, kind):
    signal = bumps(rng)
    np.testing.assert_array_equal(
        drive(signal, kind=kind).value, drive(signal * 8, kind=kind).value
    )
    np.testing.assert_allclose(
        drive(signal, kind=kind).value, drive(signal * 3.7, kind=kind).value, atol=1e-4
    )


@pytest.mark.parametrize("kind", ["derivative", "deconvolved", "zpos"])
def test_drives_lie_between_0_and_1_and_reach_both(rng, kind):
    value = drive(bumps(rng), kind=kind).value
    assert value.min() == 0
    assert value.max() == 1
    assert value.dtype == np.float32


def test_a_higher_gate_lets_less_through(rng):
    low, high = (drive(bumps(np.random.default_rng(1)), theta=t).value for t in (0.5, 3.0))
    assert (high > 0).sum() < 0.8 * (low > 0).sum()


def test_short_runs_of_one_direction_do_not_count():
    slope = np.array([1, 1, 1, -1, 2, 2, -1, -1, 0, 0.0])[:, None]
    kept = steady(slope, [slice(0, 10)], least=2)[:, 0]
    np.testing.assert_array_equal(kept, [1, 1, 1, 0, 1, 1, 1, 1, 1, 1])
    parted = steady(slope, [slice(0, 2), slice(2, 10)], least=3)[:, 0]
    assert not parted.any()


def test_nothing_is_differentiated_across_a_cut(rng):
    signal = 0.01 * rng.standard_normal((200, 3)).astype(np.float32)
    signal[100:] += 5
    whole = drive(signal)
    parted = drive(signal, pieces=[slice(0, 100), slice(100, 200)])
    assert np.abs(whole.slope[98:102]).min() > 1
    assert np.abs(parted.slope).max() < 0.1


def test_masked_frames_have_no_drive_and_do_not_count(rng):
    signal, valid = bumps(rng), np.ones(400, bool)
    valid[100:120] = False
    pieces = [slice(0, 100), slice(120, 400)]
    made = drive(signal, valid=valid, pieces=pieces)
    assert not made.value[100:120].any()
    spoilt = signal.copy()
    spoilt[100:120] = 1e6
    np.testing.assert_array_equal(drive(spoilt, valid=valid, pieces=pieces).value, made.value)


def test_the_pieces_of_a_recording_fit_a_drive(rng):
    valid = np.ones(400, bool)
    valid[50:60] = False
    recording = Recording.build(
        bumps(rng), name="a", modality="calcium", sampling_rate_hz=RATE, valid=valid
    )
    made = drive(recording.signal, valid=recording.valid, pieces=recording.pieces())
    assert made.value.shape == (400, 5)
    assert not made.value[50:60].any()


def test_a_silent_neuron_has_no_drive(rng):
    signal = bumps(rng)
    signal[:, 2] = 0.3
    made = drive(signal)
    assert not made.value[:, 2].any()
    assert made.value[:, 1].any()


def test_a_recording_shorter_than_the_smoothing_has_a_drive():
    signal = np.array([[0.0, 1], [1, 0], [3, 0]], np.float32)
    made = drive(signal, rate=1.0, sigma_s=10.0, min_run_s=0.0)
    assert np.isfinite(made.value).all()
    assert made.slope[1, 0] > 0 > made.slope[1, 1]


def test_slow_recordings_get_nothing_finer_than_their_samples():
    slow = DriveSettings().for_slow_recording(1 / 0.72)
    assert slow.sigma_s == pytest.approx(1.08)
    assert slow.min_run_s == pytest.approx(1.44)
    assert slow.dt_s == pytest.approx(1.44)
    assert DriveSettings().for_slow_recording(10.0) == DriveSettings()


def test_bins_hold_the_mean_and_the_sign_of_the_mean_slope():
    value = np.array([0, 1, 0.5, 0.5, 1, 1, 0.3], np.float32)[:, None]
    slope = np.array([1, -3, 2, 2, 0, 0, 9], np.float32)[:, None]
    valid = np.array([True, True, True, False, False, False, True])
    made = binned(FrameDrive(value, slope, valid, 2.0), dt_s=1.0)
    np.testing.assert_allclose(made.value[:, 0], [0.5, 0.5, 1.0])
    np.testing.assert_array_equal(made.sign[:, 0], [-1, 1, 0])
    np.testing.assert_array_equal(made.valid, [True, True, False])
    np.testing.assert_allclose(made.signed[:, 0], [-0.5, 0.5, 1.0])


def test_bins_need_not_hold_whole_numbers_of_frames():
    ones = np.ones((37, 1), np.float32)
    made = binned(FrameDrive(ones, ones, np.ones(37, bool), 3.7), dt_s=1.0)
    assert made.value.shape == (10, 1)
    np.testing.assert_allclose(made.value, 1)


def test_shifts_keep_each_neuron_and_part_neurons(rng):
    signal, valid = bumps(rng), np.ones(400, bool)
    valid[200:210] = False
    made = drive(signal, valid=valid, pieces=[slice(0, 200), slice(210, 400)])
    moved = shifted(made, generator=np.random.default_rng(3))
    assert not moved.value[200:210].any()
    offsets = set()
    for unit in range(5):
        course, turned = made.value[valid, unit], moved.value[valid, unit]
        found = [k for k in range(390) if np.array_equal(np.roll(course, k), turned)]
        assert found
        assert all(40 <= k <= 350 for k in found)
        offsets.update(found)
    assert len(offsets) > 1
    short = FrameDrive(made.value[:60], made.slope[:60], valid[:60], RATE)
    with pytest.raises(ValueError, match="need more than 80 usable frames"):
        shifted(short, generator=rng)


@pytest.mark.parametrize("changes", [{"kind": "speed"}, {"sigma_s": 0.0}, {"theta": -1.0}])
def test_impossible_settings_are_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        DriveSettings(**changes)


def test_impossible_recordings_are_refused(rng):
    signal = bumps(rng)
    with pytest.raises(ValueError, match="pieces must cover"):
        drive(signal, pieces=[slice(0, 300)])
    with pytest.raises(ValueError, match="no frame"):
        drive(signal, valid=np.zeros(400, bool), pieces=[])
    with pytest.raises(ValueError, match="shorter than a frame"):
        binned(drive(signal), dt_s=0.1)
    with pytest.raises(ValueError, match="less than one bin"):
        binned(drive(signal), dt_s=1000.0)


def signed_drive(rng, *, neurons=6, animals=2, bins=30):
    made = rng.random((neurons, animals, bins)) ** 2 * rng.choice([-1, 1], (neurons, animals, bins))
    made[rng.random(made.shape) < 0.3] = 0
    return torch.from_numpy(made)


BY_HAND = {
    "geomean": lambda a, b: (abs(a) * abs(b)) ** 0.5,
    "product": lambda a, b: abs(a) * abs(b),
    "codirectional": lambda a, b: (a * b) ** 0.5 if a * b > 0 else 0.0,
    "min": lambda a, b: min(abs(a), abs(b)),
    "ratio": lambda a, b: (
        (abs(a) * abs(b)) ** 0.5 * min(abs(a), abs(b)) / max(abs(a), abs(b)) if a and b else 0.0
    ),
}


@pytest.mark.parametrize("kernel", OF_DRIVES)
def test_kernels_follow_their_formula_and_their_bounds(rng, kernel):
    a, b = signed_drive(rng)[:2].reshape(2, -1)
    made = affinity(kernel, a, b)
    by_hand = [BY_HAND[kernel](x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    np.testing.assert_allclose(made.numpy(), by_hand, atol=1e-12)
    assert 0 <= float(made.min()) <= float(made.max()) <= 1
    assert float(made.max()) > 0.1
    torch.testing.assert_close(made, affinity(kernel, b, a))
    assert not affinity(kernel, torch.zeros(3), torch.tensor([0.0, 0.5, -1.0])).any()


@pytest.mark.parametrize("kernel", OF_DRIVES)
def test_the_tensor_of_a_kernel_holds_its_formula(rng, kernel):
    signed = signed_drive(rng)
    tensor = affinities(drive_source(signed, kernel=kernel, levels=8))
    first, second = torch.triu_indices(6, 6, 1)
    made = tensor.values(first, second, slice(0, 60))
    flat = signed.reshape(6, -1)
    error = (made - affinity(kernel, flat[first], flat[second])).abs().max()
    assert error <= (1 / 16 + 1e-12 if kernel == "min" else 1e-12)


def test_more_levels_bring_the_minimum_closer(rng):
    signed = signed_drive(rng, bins=200)
    first, second = torch.triu_indices(6, 6, 1)
    flat = signed.reshape(6, -1)
    exact = affinity("min", flat[first], flat[second])
    worst = [
        float((drive_source(signed, kernel="min", levels=q).values(first, second) - exact)
              .abs().max()) for q in (4, 32)
    ]  # fmt: skip
    assert 1 / 16 < worst[0] <= 1 / 8
    assert worst[1] <= 1 / 64 + 1e-12


def test_impossible_tensors_are_refused(rng):
    signed = signed_drive(rng)
    with pytest.raises(ValueError, match="kernel is 'max'"):
        drive_source(signed, kernel="max")
    with pytest.raises(ValueError, match=r"\[-1, 1\]"):
        drive_source(signed * 10)
    with pytest.raises(ValueError, match="one neuron has no pairs"):
        drive_source(signed[:1])
    presence = torch.ones(6, 2, dtype=torch.bool)
    presence[1:, 1] = False
    with pytest.raises(ValueError, match="shares fewer than two neurons"):
        drive_source(signed, presence=presence)

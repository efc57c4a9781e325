"""Frames that are bad by file, config or jump, cells that are chosen, rates that change."""

import numpy as np
import pytest
from scipy.signal import lfilter

from rheobase.io.raw import Raw
from rheobase.preprocess.calcium_frames import jumps
from rheobase.preprocess.calcium_resample import resampled
from rheobase.preprocess.clean import clean
from rheobase.report.steps import describe_step

RATE = 10.0


def fluorescence(rng, n_time=3000, n_cells=12):
    spikes = (rng.random((n_time, n_cells)) < 0.005).astype(float)
    calcium = np.asarray(lfilter([1], [1, -np.exp(-1 / RATE)], spikes, axis=0))
    return 200 * (1 + calcium + 0.02 * rng.normal(size=calcium.shape))


def made(signal, *, extras=None, times=None, names=None, notes=(), time_unit="s", **options):
    names = names or tuple(f"cell{i}" for i in range(signal.shape[1]))
    rate = RATE if time_unit == "s" else 1.0
    return clean(
        Raw(signal, names, extras=extras or {}, times=times or {}, notes=notes),
        modality="calcium", rate=rate, time_unit=time_unit, units=None, options=options,
        name="sub-fish",
    )  # fmt: skip


def bridged(cleaned):
    return next(step for step in cleaned.steps if step["step"] == "bridge bad frames")


def test_frames_that_the_file_flags_are_bridged(rng):
    signal, flags = fluorescence(rng), np.zeros(3000, bool)
    flags[1000:1004] = flags[2000:2020] = True
    spoilt = signal.copy()
    spoilt[flags] = 5000
    cleaned = made(spoilt, extras={"bad_frames": flags}, jump_mads=None)
    assert np.flatnonzero(~cleaned.valid).tolist() == list(range(2000, 2020))
    assert cleaned.signal.max() < 10
    assert bridged(cleaned)["flagged_by_file"] == 24
    assert "24 flagged by the file" in describe_step(bridged(cleaned))
    assert cleaned.qc["metrics"]["bad_frames_percent"] == pytest.approx(100 * 24 / 3000)


def test_stretches_that_the_config_names_are_not_used(rng):
    stretches = {"sub-fish": [[10, 12.5], [299, 400]], "sub-other": [[50, 60]]}
    cleaned = made(fluorescence(rng), bad_s=stretches, jump_mads=None)
    expected = [*range(100, 125), *range(2990, 3000)]
    assert np.flatnonzero(~cleaned.valid).tolist() == expected
    assert bridged(cleaned)["named_in_config"] == 35


def test_a_stretch_beyond_the_recording_is_refused(rng):
    with pytest.raises(ValueError, match=r"bad_s names a stretch from 301 on, .* ends at 300"):
        made(fluorescence(rng), bad_s={"sub-fish": [[301, 302]]})


@pytest.mark.parametrize(("bridge_s", "valid"), [(0.5, True), (0.3, False), (0, False)])
def test_the_longest_stretch_that_is_bridged_can_be_chosen(rng, bridge_s, valid):
    flags = np.zeros(3000, bool)
    flags[1000:1005] = True
    cleaned = made(fluorescence(rng), extras={"bad_frames": flags}, bridge_s=bridge_s)
    assert cleaned.valid[1000:1005].all() == valid


def test_bad_frames_at_an_end_are_never_made_up(rng):
    flags = np.zeros(3000, bool)
    flags[:2] = True
    assert not made(fluorescence(rng), extras={"bad_frames": flags}).valid[:2].any()


def test_looking_for_jumps_can_be_turned_off(rng):
    shaken = fluorescence(rng)
    shaken[1000] += 900
    assert bridged(made(shaken))["jumps"] >= 1
    assert "bridge bad frames" not in [s["step"] for s in made(shaken, jump_mads=None).steps]


def test_a_jump_marks_its_neighbours_too(rng):
    shaken = rng.normal(size=(500, 20))
    shaken[250] += 100
    assert np.flatnonzero(jumps(shaken, np.zeros(500, int))).tolist() == [249, 250, 251, 252]


def test_flags_of_another_length_are_refused(rng):
    with pytest.raises(ValueError, match=r"bad_frames has shape \(10,\) and the traces have 3000"):
        made(fluorescence(rng), extras={"bad_frames": np.zeros(10, bool)})


def test_more_than_a_fifth_of_bad_frames_is_flagged_as_bad(rng):
    cleaned = made(fluorescence(rng), bad_s={"sub-fish": [[0, 70]]})
    assert ("bad", "23 % of the frames are bad, above 20 %") in [
        (flag["level"], flag["text"]) for flag in cleaned.qc["flags"]
    ]


def test_nothing_but_bad_frames_is_refused(rng):
    with pytest.raises(ValueError, match=r"every frame is bad \(.*3000 named in config\)"):
        made(fluorescence(rng), bad_s={"sub-fish": [[0, 300]]})


def test_cells_can_be_named(rng):
    signal = fluorescence(rng)
    some = made(signal, cells={"include": ["cell1", "cell2", "cell3", "cell4"],
                               "exclude": ["cell4"]})  # fmt: skip
    assert some.names == ("cell1", "cell2", "cell3")
    rows = {row["name"]: row["excluded"] for row in some.qc["units"]}
    assert len(rows) == 12
    assert rows["cell0"] == rows["cell4"] == "left out by preprocess.cells"
    assert "4 named to be taken" in describe_step(some.steps[0])


@pytest.mark.parametrize("cells", ["all", {"include": ["cell0", "cell1", "cell2"]}])
def test_a_region_that_is_no_cell_is_taken_where_it_is_asked_for(rng, cells):
    extras = {"is_cell": np.arange(12) > 5, "cell_probability": np.linspace(0, 1, 12)}
    assert "cell0" in made(fluorescence(rng), extras=extras, cells=cells).names
    assert "cell0" not in made(fluorescence(rng), extras=extras).names


def test_an_unknown_cell_is_refused(rng):
    with pytest.raises(ValueError, match=r"sub-fish: preprocess.cells.exclude names 'cell99', and"):
        made(fluorescence(rng), cells={"exclude": ["cell99"]})


def test_a_clock_is_not_taken_for_a_cell(rng):
    signal = fluorescence(rng, n_cells=4)
    signal[:, 0] = np.arange(3000) / RATE
    with pytest.raises(ValueError, match=r"the cell 'Time' rises in every frame, so it is a clock"):
        made(signal, names=("Time", "a", "b", "c"))
    assert "Time" in made(fluorescence(rng, n_cells=4), names=("Time", "a", "b", "c")).names


def test_notes_of_the_reader_are_shown(rng):
    cleaned = made(fluorescence(rng), notes=("the clock was uneven",))
    assert {"level": "warning", "text": "the clock was uneven"} in cleaned.qc["flags"]


@pytest.mark.parametrize("wanted", [5.0, 4.0, 3.3333, np.pi])
def test_a_slower_clock_keeps_what_it_can_hold(wanted):
    time = np.arange(6000) / RATE
    slow, fast = np.sin(2 * np.pi * 0.2 * time), np.sin(2 * np.pi * 4.5 * time)
    signal = np.column_stack([slow, slow + fast]).astype(np.float32)
    found = resampled(
        signal, np.ones(6000, bool), {}, [slice(0, 6000)], rate=RATE, wanted=wanted, summed=False
    )
    at = np.arange(len(found.signal)) / wanted
    assert len(at) == int(np.ceil(600 * wanted - 1e-9))
    inside = (at > 20) & (at < 580)
    expected = np.sin(2 * np.pi * 0.2 * at)[inside]
    assert np.abs(found.signal[inside, 0] - expected).max() < 0.02
    assert np.abs(found.signal[inside, 1] - expected).max() < 0.05


def test_resampling_does_not_look_across_a_cut():
    signal = np.repeat([[0.0], [100.0]], 3005, axis=0).astype(np.float32)
    parts = [slice(0, 3005), slice(3005, 6010)]
    found = resampled(
        signal, np.ones(6010, bool), {}, parts, rate=RATE, wanted=2.0, summed=False
    ).signal[:, 0]
    np.testing.assert_allclose(found[:601], 0, atol=1e-3)
    np.testing.assert_allclose(found[601:], 100, atol=0.1)


def test_spikes_are_summed_and_spoilt_samples_are_not_valid(rng):
    spikes = (rng.random((1000, 3)) < 0.1).astype(np.float32)
    valid, label = np.ones(1000, bool), np.repeat(["a", "b"], 500)
    valid[503] = False
    found = resampled(
        spikes, valid, {"label": label}, [slice(0, 1000)], rate=RATE, wanted=3.0, summed=True
    )
    assert len(found.signal) == 300
    np.testing.assert_allclose(found.signal.sum(axis=0), spikes.sum(axis=0))
    assert np.flatnonzero(~found.valid).tolist() == [150]
    assert found.times["label"].tolist() == ["a"] * 150 + ["b"] * 150


def test_a_recording_is_resampled_as_the_config_says(rng):
    block = np.repeat([0, 1], 1500)
    cleaned = made(fluorescence(rng), resample_hz=2.5, times={"block": block})
    assert cleaned.rate == 2.5
    assert cleaned.signal.shape == (750, len(cleaned.names))
    assert cleaned.times["block"].tolist() == [0] * 375 + [1] * 375
    assert "resampling from 10 to 2.5 Hz (low-pass)" in describe_step(cleaned.steps[-1])


def test_a_faster_clock_is_refused(rng):
    with pytest.raises(ValueError, match="resample_hz is 20 Hz; it must be in hertz, 10 Hz, or"):
        made(fluorescence(rng), resample_hz=20)

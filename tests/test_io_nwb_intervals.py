"""Trials and labels of NWB files over the samples of a series, and where its cells lie."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from pynwb import NWBHDF5IO, NWBFile
from pynwb.epoch import TimeIntervals
from pynwb.ophys import ImageSegmentation, OpticalChannel, RoiResponseSeries

from rheobase.io.readers import read

TRIALS = ((1.0, 3.0, "go", 0.5), (4.0, 5.0, "stop", 1.5))


def load(path, **reader):
    return read(path, reader={"format": "nwb", **reader}, files={}, preprocess={})


def save(path, *, trials=TRIALS, mask="pixel", start=0.0, rate=10.0, table="odours"):
    """Write four cells over 8 s with trials and a table of intervals, directly in a module."""
    file: Any = NWBFile(
        session_description="s", identifier="i", session_start_time=datetime(2024, 1, 1, tzinfo=UTC)
    )
    channel = OpticalChannel(name="green", description="G", emission_lambda=510.0)
    plane = file.create_imaging_plane(
        name="plane", optical_channel=channel, description="d",
        device=file.create_device(name="scope"), excitation_lambda=920.0, indicator="G",
        location="V1",
    )  # fmt: skip
    segmentation: Any = ImageSegmentation()
    regions = segmentation.create_plane_segmentation("r", plane, name="PlaneSegmentation")
    for i in range(4):
        if mask == "pixel":
            regions.add_roi(pixel_mask=[(2 * i, 3, 1.0), (2 * i + 2, 5, 3.0)])
        else:
            image = np.zeros((9, 9))
            image[i, 2 * i] = image[i, 2 * i + 1] = 1
            regions.add_roi(image_mask=image)
    module = file.create_processing_module(name="CalciumActivity", description="p")
    module.add(segmentation)
    where = regions.create_roi_table_region(description="r", region=list(range(4)))
    module.add(
        RoiResponseSeries(
            name="SignalRaw", data=np.arange(320.0).reshape(80, 4), rois=where, unit="a.u.",
            rate=rate, starting_time=start,
        )
    )  # fmt: skip
    if trials:
        file.add_trial_column(name="stimulus", description="what")
        file.add_trial_column(name="strength", description="how much")
        for begin, end, stimulus, strength in trials:
            file.add_trial(start_time=begin, stop_time=end, stimulus=stimulus, strength=strength)
    intervals = TimeIntervals(name=table, description="odours")
    intervals.add_column(name="odour", description="which")
    for begin, odour in ((0.0, "salt"), (6.0, "butanone")):
        intervals.add_interval(start_time=begin, stop_time=begin + 1, odour=odour)
    file.add_time_intervals(intervals)
    target: Any = NWBHDF5IO(path=path, mode="w")
    with target:
        target.write(container=file)
    return path


def test_a_series_directly_in_a_module_is_read(tmp_path):
    raw = load(save(tmp_path / "a.nwb"))
    np.testing.assert_array_equal(raw.signal, np.arange(320.0).reshape(80, 4))
    assert raw.times == {}


def test_trials_number_the_samples(tmp_path):
    trial = load(save(tmp_path / "a.nwb"), trial_key="trials").times["trial"]
    expected = np.zeros(80, int)
    expected[10:30], expected[40:50] = 1, 2
    np.testing.assert_array_equal(trial, expected)


def test_samples_begin_where_the_series_does(tmp_path):
    trial = load(save(tmp_path / "a.nwb", start=2.0), trial_key="trials").times["trial"]
    assert np.flatnonzero(trial == 1).tolist() == list(range(10))
    assert np.flatnonzero(trial == 2).tolist() == list(range(20, 30))


def test_a_column_of_the_trials_becomes_the_label(tmp_path):
    path = save(tmp_path / "a.nwb")
    label = load(path, label_key="stimulus", label_name="what").times["what"]
    assert label[[0, 10, 29, 30, 45, 60]].tolist() == ["", "go", "go", "", "stop", ""]
    value = load(path, label_key="strength").times["strength"]
    assert np.isnan(value[[0, 35, 79]]).all()
    assert value[[15, 45]].tolist() == [0.5, 1.5]


def test_other_intervals_can_be_named(tmp_path):
    path = save(tmp_path / "a.nwb")
    label = load(path, label_key="odours/odour").times["odour"]
    assert label[[5, 30, 65]].tolist() == ["salt", "", "butanone"]
    both = load(path, label_key="odour", trial_key="odours").times
    assert both["trial"][[5, 30, 65]].tolist() == [1, 0, 2]
    np.testing.assert_array_equal(both["odour"], label)


@pytest.mark.parametrize(
    ("reader", "words"),
    [
        ({"trial_key": "tests"}, "no table of intervals 'tests'; it has trials, odours"),
        ({"label_key": "smell"}, "the intervals 'trials' have no column 'smell'; they have start"),
    ],
)
def test_unknown_intervals_are_answered_with_those_there(tmp_path, reader, words):
    with pytest.raises(ValueError, match=words):
        load(save(tmp_path / "a.nwb"), **reader)


def test_a_file_without_trials_says_so(tmp_path):
    with pytest.raises(ValueError, match="no table of intervals 'trials'; it has odours"):
        load(save(tmp_path / "a.nwb", trials=()), trial_key="trials")


@pytest.mark.parametrize(
    ("trials", "words"),
    [
        (
            ((1.0, 3.0, "a", 0.0), (2.0, 4.0, "b", 0.0)),
            "intervals 1 and 2 of 'trials' overlap at 2",
        ),
        (((3.0, 1.0, "a", 0.0),), "interval 1 of 'trials' stops at 1 s, before it starts at 3 s"),
    ],
)
def test_trials_that_cannot_be_are_refused(tmp_path, trials, words):
    with pytest.raises(ValueError, match=words):
        load(save(tmp_path / "a.nwb", trials=trials), trial_key="trials")


@pytest.mark.parametrize(
    ("mask", "places"),
    [
        ("pixel", [[4.5, 1.5], [4.5, 3.5], [4.5, 5.5], [4.5, 7.5]]),
        ("image", [[0, 0.5], [1, 2.5], [2, 4.5], [3, 6.5]]),
    ],
)
def test_the_middle_of_a_mask_is_the_place_of_its_cell(tmp_path, mask, places):
    raw = load(save(tmp_path / "a.nwb", mask=mask))
    np.testing.assert_allclose(raw.extras["position_px"], places)

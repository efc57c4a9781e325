"""Findings that need all recordings of a data set."""

import json

import numpy as np
import pytest

from rheobase.preprocess import preview
from rheobase.preprocess.quality import compare, flag, number, unit_rows


def content(sd, *, mean: float | None = 9000.0, fast=30.0):
    return {
        "metrics": {
            "grand_mean": mean,
            "sd_median": sd,
            "sd_percent_median": 100 * sd / mean if mean else None,
            "power_above_0.1_hz_percent": fast,
        }
    }


def levels(found):
    return {name: [f["level"] for f in flags] for name, flags in found.items()}


def test_spread_far_from_the_median_is_bad():
    qc = {"a": content(30), "b": content(31), "c": content(62), "d": content(29), "e": content(15)}
    assert levels(compare(qc)) == {"a": [], "b": [], "c": ["bad"], "d": [], "e": ["bad"]}
    assert "2.07 times" in compare(qc)["c"][0]["text"]


def test_recordings_of_another_scale_are_compared_in_percent():
    qc = {"a": content(30), "b": content(31), "c": content(3, mean=900), "d": content(29)}
    assert levels(compare(qc)) == {"a": [], "b": [], "c": [], "d": []}


def test_filtered_recordings_are_only_warned_about():
    qc = {name: content(30, fast=0.01) for name in "abc"} | {"d": content(90, fast=0.01)}
    assert levels(compare(qc))["d"] == ["warning"]


def test_two_recordings_are_not_compared():
    assert levels(compare({"a": content(10), "b": content(100)})) == {"a": [], "b": []}


def test_recordings_without_these_metrics_have_no_finding():
    assert compare({"a": {"metrics": {}}, "b": {"metrics": {}}, "c": {}}) == {
        "a": [],
        "b": [],
        "c": [],
    }


def test_demeaned_recordings_are_compared_as_stored():
    qc = {name: content(1.0, mean=None) for name in "abc"} | {"d": content(2.0, mean=None)}
    assert levels(compare(qc))["d"] == ["bad"]


def test_numbers_are_short_and_never_nan():
    assert number(np.float32(1 / 3)) == 0.333333
    assert number(np.nan) is None
    assert number(np.int64(4)) == 4


def test_every_unit_has_a_row():
    rows = unit_rows(("a", "b"), {"sd": np.array([1.0, np.nan])}, {"b": "constant"})
    assert rows == [
        {"name": "a", "sd": 1.0, "excluded": None},
        {"name": "b", "sd": None, "excluded": "constant"},
    ]


def test_a_flag_is_a_warning_or_bad():
    with pytest.raises(ValueError, match="use warning or bad"):
        flag("fine", "all is well")


def test_a_carpet_is_small(rng):
    signal = rng.normal(size=(5000, 90))
    made = preview.carpet(signal, signal, [str(i) for i in range(90)], rate=2.0)
    shown = np.array(made["after"])
    assert shown.shape == (60, 200)
    assert np.abs(shown).max() <= 30
    assert len(made["time"]) == 200


def test_a_spectrum_shows_the_planted_tone(rng):
    tone = np.sin(2 * np.pi * 7 * np.arange(4000) / 100)[:, None] + 0.01 * rng.normal(
        size=(4000, 3)
    )
    parts = [slice(0, 4000)]
    made = preview.spectra(tone, 0 * tone, parts, rate=100.0, samples=2000)
    assert len(made["frequency_hz"]) == 128
    assert made["frequency_hz"][int(np.argmax(made["before"]))] == pytest.approx(7, abs=0.4)
    assert max(made["after"]) == 0


def test_traces_show_the_busiest_stretch(rng):
    signal = rng.normal(size=(9000, 8))
    signal[5000:5400] *= 20
    window = preview.busiest(signal, [slice(0, 4000), slice(4000, 9000)])
    assert window.start <= 5000
    assert window.stop >= 5400
    made = preview.traces(signal, signal, [str(i) for i in range(8)], rate=100.0, window=window)
    assert len(made["time"]) == 600
    assert np.array(made["before"]).shape == (3, 600)


def test_a_long_course_keeps_its_peaks():
    values = np.zeros(9001)
    values[0], values[4321] = np.nan, 5
    made = preview.course(values)
    assert len(made) == 2000
    assert max(v for v in made if v is not None) == 5
    json.dumps(made, allow_nan=False)

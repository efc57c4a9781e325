"""The rate that a column of times gives, and times that are refused."""

from __future__ import annotations

import numpy as np
import pytest

from rheobase.io.readers import read


@pytest.fixture
def write(tmp_path):
    def written(text):
        (tmp_path / "a.csv").write_text(text)
        return tmp_path / "a.csv"

    return written


def load(path, **reader):
    return read(path, reader={"format": "csv", **reader}, files={}, preprocess={})


def timed(times, decimals):
    return "t,a\n" + "".join(f"{t:.{decimals}f},{i}\n" for i, t in enumerate(times))


@pytest.mark.parametrize(("rate", "decimals"), [(30, 2), (30, 3), (7.5, 2), (100, 2), (2000, 4)])
def test_rounded_times_give_the_rate_of_the_whole_recording(write, rate, decimals):
    raw = load(write(timed(5 + np.arange(3000) / rate, decimals)), time_column="t")
    assert raw.rate_hz == pytest.approx(rate, rel=1e-3)


@pytest.mark.parametrize(
    "steps",
    [
        np.tile([0.13, 0.07], 100),  # 10 Hz on average, and never
        np.where(np.arange(200) == 100, 0.2, 0.1),  # a lost sample
        np.where(np.arange(200) == 100, 0.05, 0.1),  # one too many
        np.repeat([0.1, 0.2], 100),  # another rate from the middle on
        np.tile([0.01, 0.01, 0.02], 100),  # 75 Hz rounded, or every third sample lost at 100 Hz
    ],
    ids=["alternating", "long", "short", "changed", "coarse"],
)
def test_uneven_times_are_refused_with_both_steps(write, steps):
    times = np.concatenate([[0], np.cumsum(steps)])
    with pytest.raises(ValueError, match=r"time in column 't' is not even: it steps by .* average"):
        load(write(timed(times, 2)), time_column="t")


def test_time_that_jumps_is_refused_by_row(write):
    with pytest.raises(ValueError, match=r"row 4 \(line 5\): time .* not even: it steps by 1 s"):
        load(write("t,a\n0,1\n0.5,2\n1.0,3\n2.0,4\n2.5,1\n"), time_column="t")


def test_time_that_stands_still_is_refused_by_row(write):
    with pytest.raises(ValueError, match=r"row 3 \(line 4\): time in column 't' does not increase"):
        load(write("t,a\n0,1\n0.5,2\n0.5,3\n1.0,4\n"), time_column="t")


def test_time_with_a_gap_is_refused_by_row(write):
    with pytest.raises(ValueError, match=r"row 2 \(line 3\): time in column 't' needs"):
        load(write("t,a\n0,1\n,2\n0.5,3\n"), time_column="t")

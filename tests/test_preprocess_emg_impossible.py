"""EMG that no muscle makes: artefacts, wrong units, and signals rectified before."""

from __future__ import annotations

from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

EMG = run_path(str(Path(__file__).with_name("test_preprocess_emg.py")))
made, muscle = EMG["made"], EMG["muscle"]


def texts(cleaned, level="bad"):
    return [flag["text"] for flag in cleaned.qc["flags"] if flag["level"] == level]


@pytest.mark.parametrize("channels", [4, 8])
def test_one_huge_sample_is_an_artefact_and_no_wrong_unit(rng, channels):
    signal = muscle(rng, n_channels=channels)
    signal[7000] = 1e6
    cleaned = made(signal)
    assert len(cleaned.names) == channels
    (said,) = texts(cleaned)
    assert said.startswith("artefacts: ")
    assert "exceed 50000 uV" in said


def test_a_huge_sample_in_one_channel_names_that_channel(rng):
    signal = muscle(rng, n_channels=4)
    signal[7000, 2] = 1e6
    (said,) = texts(made(signal))
    assert " samples of ch2 exceed" in said


def test_a_wrong_unit_is_still_a_wrong_unit(rng):
    signal = 1000 * muscle(rng)
    with pytest.raises(ValueError, match=r"a factor 0\.001 would fit, so correct units"):
        made(signal)
    signal[7000] = 1e9
    with pytest.raises(ValueError, match="so correct units"):
        made(signal)


def test_an_artefact_does_not_hide_a_wrong_unit(rng):
    signal = muscle(rng) / 1e6
    signal[7000] = 1e6
    with pytest.raises(ValueError, match=r"a factor 1e\+06 would fit, so correct units"):
        made(signal)


def test_rectified_emg_at_a_high_rate_is_flagged(rng):
    (said,) = texts(made(np.abs(muscle(rng))))
    assert "ch0, ch1, ch2, ch3, ch4 and 1 more: rectified before" in said
    assert "give the raw signal" in said


def test_raw_emg_on_an_offset_is_not_called_rectified(rng):
    assert texts(made(muscle(rng) + 4000)) == []
    counts = np.clip(np.rint(512 + muscle(rng)), 0, 1023)
    assert texts(made(counts, units="count")) == []

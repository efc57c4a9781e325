"""Bare series pass unchanged or not at all."""

import json

import numpy as np
import pytest

from rheobase.io.raw import Raw
from rheobase.preprocess.clean import clean


def made(signal, modality="series", **more):
    names = tuple(more.pop("names", [f"x{i}" for i in range(signal.shape[1])]))
    settings = {"rate": 2.0, "time_unit": "s", "units": None, "options": {}, "name": "sub-1"}
    return clean(Raw(signal, names, **more), modality=modality, **settings)


def test_a_series_is_left_as_it_is(rng):
    signal = rng.normal(size=(100, 3)).astype(np.float32)
    cleaned = made(signal)
    np.testing.assert_array_equal(cleaned.signal, signal)
    assert cleaned.steps == []
    assert cleaned.valid.all()


def test_quality_is_plain_json(rng):
    json.dumps(made(rng.normal(size=(100, 3))).qc, allow_nan=False)


def test_a_series_with_gaps_is_refused(rng):
    signal = rng.normal(size=(100, 3))
    signal[4, 1] = np.nan
    with pytest.raises(ValueError, match="sub-1: x1 holds NaN"):
        made(signal)


def test_an_unknown_modality_is_refused(rng):
    with pytest.raises(ValueError, match="sub-1: modality 'eeg' is unknown"):
        made(rng.normal(size=(100, 3)), modality="eeg")


def test_names_must_be_unique(rng):
    with pytest.raises(ValueError, match="a occur twice"):
        made(rng.normal(size=(100, 3)), names=["a", "b", "a"])


def test_labels_must_have_the_length_of_the_signal(rng):
    with pytest.raises(ValueError, match="label has 90 samples and the signal 100"):
        made(rng.normal(size=(100, 3)), times={"label": np.zeros(90)})

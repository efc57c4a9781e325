"""A wrong config of calcium recordings is answered with key, value and remedy; movies are too."""

import pytest

from rheobase import config as settings
from rheobase.config.calcium_checks import usual_input
from rheobase.io.readers import OPTIONS, READERS, read


def content(*, reader=None, preprocess=None, **changes):
    dataset = {
        "modality": "calcium",
        "source": {"kind": "path", "path": "{subject}"},
        "entities": {"subject": ["a", "b", "c"]},
        "reader": reader or {"format": "suite2p"},
        "sampling_rate_hz": 30,
        "preprocess": preprocess or {},
        "split": {"by": "subject"},
        "models": ["base"],
        **changes,
    }
    dataset = {key: value for key, value in dataset.items() if value is not None}
    return {"datasets": {"mine": dataset}, "models": {"base": {"family": "linear"}}}


def problems(**given):
    with pytest.raises(settings.ConfigError) as caught:
        settings.parse(content(**given))
    return "\n".join(caught.value.problems)


@pytest.mark.parametrize(
    ("reader", "holds"),
    [
        ({"format": "suite2p"}, "raw"),
        ({"format": "suite2p", "key": "spks"}, "deconvolved"),
        ({"format": "caiman"}, "neuropil_corrected"),
        ({"format": "caiman", "key": "F_dff"}, "dff"),
        ({"format": "caiman", "key": "S"}, "deconvolved"),
        ({"format": "nwb", "key": "F_dff"}, "raw"),
    ],
)
def test_what_a_reader_holds_is_known(reader, holds):
    assert usual_input(reader) == holds
    parsed = settings.parse(content(reader=reader)).datasets["mine"]
    assert parsed.preprocess["input"] == holds
    assert parsed.raw["preprocess"]["input"] == holds


def test_the_file_may_carry_the_rate():
    assert settings.parse(content(reader={"format": "caiman"}, sampling_rate_hz=None))
    trusted = {"format": "suite2p", "trust_pickle": True}
    assert settings.parse(content(reader=trusted, sampling_rate_hz=None))
    assert "the sampling rate is missing" in problems(sampling_rate_hz=None)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"reader": {"format": "caiman", "key": "F_dff"}, "preprocess": {"input": "raw"}},
            "preprocess.input: 'raw' cannot be right: F_dff of caiman is dff; leave input out, or",
        ),
        (
            {"reader": {"format": "caiman", "key": "F_df"}},
            "reader.key: 'F_df' is not one of C+YrA, C, F_dff, S (did you mean 'F_dff'?)",
        ),
        (
            {"preprocess": {"bad_s": {"sub-d": [[1, 2]]}}},
            "bad_s.sub-d: no recording is called 'sub-d'",
        ),
        (
            {"preprocess": {"bad_s": {"sub-a": [[3, 2]]}}},
            "the stretch [3, 2] ends before it starts; swap the two",
        ),
        (
            {"preprocess": {"baseline": "none"}},
            "dF/F of raw traces needs a baseline; choose percentile, maximin or exp",
        ),
        (
            {"preprocess": {"input": "dff", "baseline": "exp"}, "reader": {"format": "nwb"}},
            "exp follows bleaching, which dF/F has no more",
        ),
        (
            {"preprocess": {"input": "zscore", "deconvolve": "oasis"}, "reader": {"format": "nwb"}},
            "oasis needs fluorescence or dF/F, and input is zscore; set none",
        ),
        (
            {"preprocess": {"deconvolve": "oasis", "decay_s": 1, "indicator": "gcamp6s"}},
            "preprocess.indicator: give indicator or decay_s, not both",
        ),
        (
            {"preprocess": {"decay_s": 1}},
            "preprocess.decay_s: it belongs to deconvolve: oasis only; set that or remove it",
        ),
        (
            {
                "preprocess": {"deconvolve": "oasis", "indicator": "gcamp6s"},
                "time_unit": "frame",
                "sampling_rate_hz": 1,
            },
            "its decay is in seconds and time_unit is frame; give decay_s in frames, or auto",
        ),
        (
            {"preprocess": {"resample_hz": 40}},
            "preprocess.resample_hz: 40 Hz is above the sampling rate, 30 Hz",
        ),
        (
            {"preprocess": {"resample_hz": 1}, "time_unit": "frame", "sampling_rate_hz": 1},
            "a rate in hertz needs the sampling rate, not frames",
        ),
        ({"preprocess": {"indicator": "gcamp6"}}, "'gcamp6' is not one of gcamp6f, gcamp6m"),
        ({"preprocess": {"baselin": "exp"}}, "baselin: unknown key (did you mean 'baseline'?)"),
        ({"preprocess": {"cells": {"includ": ["a"]}}}, "includ"),
        ({"reader": {"format": "caiman"}, "modality": "emg"}, "does not hold emg signals"),
    ],
)
def test_every_mistake_is_named(given, expected):
    assert expected in problems(**given)


@pytest.mark.parametrize(
    ("source", "reader"),
    [
        ({"kind": "path", "path": "{subject}.tif"}, {"format": "movie"}),
        ({"kind": "path", "path": "{subject}/movie.TIFF"}, {"format": "npy"}),
        ({"kind": "url", "url": "https://a.org/{subject}.avi", "sha256": "0" * 64},
         {"format": "mat", "key": "x", "orientation": "time_first"}),
    ],
)  # fmt: skip
def test_a_movie_is_answered_with_what_to_run_on_it(source, reader):
    said = problems(source=source, reader=reader, sampling_rate_hz=None)
    assert said.count("\n") == (0 if reader["format"] == "movie" else 1)
    assert "is a movie, and motion correction and finding cells are not done here" in said
    assert "run suite2p on it and read its folder with reader.format suite2p" in said
    assert "or run CaImAn, save the result as HDF5 and read that with reader.format caiman" in said


def test_the_reader_of_movies_reads_none(tmp_path):
    path = tmp_path / "m.tif"
    path.write_bytes(b"II*\0")
    with pytest.raises(ValueError, match=r"m\.tif is a movie, .* reader\.format suite2p"):
        read(path, reader={"format": "movie"}, files={}, preprocess={})


def test_every_format_has_its_options():
    assert set(READERS) == set(OPTIONS)

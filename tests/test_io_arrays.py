"""Matrices from npy, npz and mat files."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.io import savemat

from rheobase.io.readers import read


def load(path, files=None, **reader):
    reader = {"format": path.suffix[1:], **reader}
    return read(path, reader=reader, files=files or {}, preprocess={})


@pytest.fixture
def traces(rng):
    return rng.normal(size=(50, 4))


def save(path, content):
    np.save(path, content)
    return path


def test_npy_is_returned_time_first(tmp_path, traces):
    raw = load(save(tmp_path / "a.npy", traces.T), orientation="time_last")
    np.testing.assert_array_equal(raw.signal, traces)
    assert raw.names == ("0", "1", "2", "3")
    assert raw.rate_hz is None


def test_npy_time_first_is_left_as_it_is(tmp_path, traces):
    raw = load(save(tmp_path / "a.npy", traces), orientation="time_first")
    np.testing.assert_array_equal(raw.signal, traces)


def test_vector_is_one_unit(tmp_path, traces):
    raw = load(save(tmp_path / "a.npy", traces[:, 0]), orientation="time_last")
    np.testing.assert_array_equal(raw.signal, traces[:, :1])


def test_small_integers_become_floats(tmp_path):
    raw = load(save(tmp_path / "a.npy", np.full((9, 2), -128, np.int8)), orientation="time_first")
    assert raw.signal.dtype == np.float32
    assert (raw.signal == -128).all()


def test_nan_stays_in_place(tmp_path, traces):
    traces[7, 2] = np.nan
    raw = load(save(tmp_path / "a.npy", traces), orientation="time_first")
    np.testing.assert_array_equal(np.argwhere(np.isnan(raw.signal)), [[7, 2]])


def test_missing_orientation_is_refused(tmp_path, traces):
    with pytest.raises(ValueError, match=r"a\.npy: reader\.orientation is None; say time_first or"):
        load(save(tmp_path / "a.npy", traces))


def test_fewer_samples_than_units_are_refused(tmp_path, traces):
    with pytest.raises(ValueError, match="4 samples of 50 units: transposed.*reader.orientation"):
        load(save(tmp_path / "a.npy", traces), orientation="time_last")


def test_fewer_samples_than_units_pass_when_a_units_file_agrees(tmp_path, traces):
    units = tmp_path / "units.tsv"
    units.write_text("network\n" + "Vis\n" * 50)
    raw = load(
        save(tmp_path / "a.npy", traces),
        {"units_file": units},
        orientation="time_last",
        units_file=str(units),
    )
    assert raw.signal.shape == (4, 50)


def test_fewer_samples_than_units_fail_when_a_units_file_disagrees(tmp_path, traces):
    units = tmp_path / "units.tsv"
    units.write_text("network\n" + "Vis\n" * 4)
    with pytest.raises(ValueError, match="units.tsv has 4 rows but the signal has 50 units"):
        load(
            save(tmp_path / "a.npy", traces),
            {"units_file": units},
            orientation="time_last",
            units_file=str(units),
        )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (np.zeros((3, 4, 5)), r"shape \(3, 4, 5\); a signal is a matrix"),
        (np.zeros((0, 4)), "is empty"),
        (np.asarray([["a", "b"]]), "holds <U1 values; a signal must be real numbers"),
        (np.zeros((4, 2), complex), "holds complex128 values"),
        (np.zeros((1, 1)), "holds 1 samples of 1 units"),
    ],
)
def test_arrays_that_are_no_signal_are_refused(tmp_path, content, words):
    with pytest.raises(ValueError, match=rf"a\.npy.*{words}"):
        load(save(tmp_path / "a.npy", content), orientation="time_first")


def test_pickled_npy_is_never_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.asarray([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(
        ValueError, match=r"a\.npy is not a readable npy file.*without running code"
    ):
        load(tmp_path / "a.npy", orientation="time_first")


@pytest.mark.parametrize("suffix", ["npy", "npz", "mat"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_cut_file_is_refused(tmp_path, traces, suffix, share):
    path = tmp_path / f"a.{suffix}"
    {
        "npy": lambda: np.save(path, traces),
        "npz": lambda: np.savez(path, x=traces),
        "mat": lambda: savemat(path, {"x": traces}),
    }[suffix]()
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(ValueError, match=rf"a\.{suffix} is not a readable {suffix} file"):
        load(path, orientation="time_first")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.npy does not exist"):
        load(tmp_path / "a.npy", orientation="time_first")


def test_npz_and_npy_are_not_confused(tmp_path, traces):
    np.savez(tmp_path / "a.npz", x=traces)
    with pytest.raises(ValueError, match="is an npz archive, not an npy file; use format: npz"):
        load(tmp_path / "a.npz", format="npy", orientation="time_first")
    with pytest.raises(ValueError, match="is an npy file, not an npz archive; use format: npy"):
        load(save(tmp_path / "a.npy", traces), format="npz", orientation="time_first")


def test_more_regions_than_volumes_pass_with_their_table(shared_data):
    folder = shared_data / "stages_rest"
    raw = load(
        folder / "sub-006_ses-1.npy",
        {"units_file": folder / "regions.tsv"},
        orientation="time_last",
        units_file="regions.tsv",
    )
    assert raw.signal.shape == (234, 419)
    correlation = np.corrcoef(raw.signal.T)
    same = raw.unit_labels["network"][:, None] == raw.unit_labels["network"][None]
    apart = ~np.eye(419, dtype=bool)
    assert correlation[same & apart].mean() > correlation[~same].mean() + 0.1


def test_text_named_npy_gives_no_advice_to_run_its_code(tmp_path):
    (tmp_path / "a.npy").write_text("1 2 3\n4 5 6\n")
    with pytest.raises(ValueError, match="holds no array that can be read without") as caught:
        load(tmp_path / "a.npy", orientation="time_first")
    assert "pickle" not in str(caught.value)


def test_numbers_too_large_for_float32_are_not_called_nan(tmp_path, traces):
    traces[3, 1] = -1e300
    with pytest.raises(ValueError, match=r"the array reaches 1e\+300, too large for float32"):
        load(save(tmp_path / "a.npy", traces), orientation="time_first")
    traces[3, 1] = np.nan
    load(save(tmp_path / "a.npy", traces), orientation="time_first")

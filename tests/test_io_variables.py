"""Variables of npz and mat files that belong to a signal."""

from __future__ import annotations

import h5py
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


def save_matlab_73(path, **variables):
    """Write what MATLAB's save -v7.3 writes: reversed axes, text as uint16, cells as references."""
    with h5py.File(path, "w") as file:
        for key, value in variables.items():
            if isinstance(value, list):
                cells = [
                    file.create_dataset(f"#refs#/{key}{i}", data=codes(text))
                    for i, text in enumerate(value)
                ]
                for cell in cells:
                    cell.attrs["MATLAB_class"] = np.bytes_("char")
                item = file.create_dataset(
                    key, data=np.asarray([[cell.ref for cell in cells]], dtype=h5py.ref_dtype)
                )
                item.attrs["MATLAB_class"] = np.bytes_("cell")
            else:
                file[key] = np.asarray(value).T
                file[key].attrs["MATLAB_class"] = np.bytes_("double")
    return path


def codes(text):
    return np.asarray([[ord(letter)] for letter in text], dtype=np.uint16)


def test_cut_matlab_73_file_is_refused(tmp_path, traces):
    path = save_matlab_73(tmp_path / "a.mat", x=traces)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(ValueError, match=r"a\.mat is not a readable mat file"):
        load(path, orientation="time_first")


def full(traces):
    return {
        "emg": traces.T,
        "who": np.asarray(["a", "b", "c", "d"]),
        "gesture": np.repeat([0.0, 2.0], 25),
        "part": np.repeat(["first", "second"], 25),
        "rep": np.repeat([1, 2, 3, 4, 5], 10),
        "depth": np.asarray([1.5, 2.5, 3.5, 4.5]),
    }


KEYS = {
    "key": "emg",
    "orientation": "time_last",
    "names_key": "who",
    "label_key": "gesture",
    "block_key": "part",
    "trial_key": "rep",
    "unit_keys": {"z": "depth"},
}


def write_npz(folder, traces):
    np.savez(folder / "a.npz", **full(traces))
    return folder / "a.npz"


def write_mat(folder, traces):
    content = full(traces)
    cells = np.empty((4, 1), dtype=object)
    cells[:, 0] = list(content["who"])
    savemat(folder / "a.mat", {**content, "who": cells})
    return folder / "a.mat"


def write_mat_73(folder, traces):
    content = {
        key: value if key == "emg" else np.atleast_2d(value) for key, value in full(traces).items()
    }
    return save_matlab_73(
        folder / "a.mat",
        **{**content, "who": list("abcd"), "part": np.repeat([[0.0, 1.0]], 25, axis=1)},
    )


@pytest.mark.parametrize("write", [write_npz, write_mat, write_mat_73])
def test_named_variables_follow_the_signal(tmp_path, traces, write):
    raw = load(write(tmp_path, traces), **KEYS)
    np.testing.assert_allclose(raw.signal, traces)
    assert raw.names == ("a", "b", "c", "d")
    np.testing.assert_array_equal(raw.times["gesture"], np.repeat([0, 2], 25))
    np.testing.assert_array_equal(raw.times["block"], np.repeat([0, 1], 25))
    np.testing.assert_array_equal(raw.times["trial"], np.repeat([1, 2, 3, 4, 5], 10))
    np.testing.assert_array_equal(raw.unit_labels["z"], [1.5, 2.5, 3.5, 4.5])


def test_label_is_kept_under_its_name(tmp_path, traces):
    raw = load(write_npz(tmp_path, traces), **KEYS, label_name="movement")
    assert set(raw.times) == {"movement", "block", "trial"}


def test_whole_float_labels_become_integers(tmp_path, traces):
    raw = load(write_npz(tmp_path, traces), **KEYS)
    assert raw.times["gesture"].dtype == np.int64


def test_matlab_character_matrix_gives_names(tmp_path, traces):
    savemat(tmp_path / "a.mat", {"x": traces, "n": np.asarray(["ab", "c", "de", "f"])})
    raw = load(tmp_path / "a.mat", key="x", names_key="n", orientation="time_first")
    assert raw.names == ("ab", "c", "de", "f")


@pytest.mark.parametrize("write", [write_npz, write_mat, write_mat_73])
def test_unknown_key_lists_those_there(tmp_path, traces, write):
    with pytest.raises(ValueError, match=r"no variable 'nope' \(reader.key\).*emg"):
        load(write(tmp_path, traces), key="nope", orientation="time_last")


def test_unknown_label_key_is_named(tmp_path, traces):
    with pytest.raises(ValueError, match=r"no variable 'nope' \(reader.label_key\)"):
        load(write_npz(tmp_path, traces), **{**KEYS, "label_key": "nope"})


def test_single_variable_needs_no_key(tmp_path, traces):
    np.savez(tmp_path / "a.npz", x=traces)
    assert load(tmp_path / "a.npz", orientation="time_first").signal.shape == (50, 4)


def test_several_variables_need_a_key(tmp_path, traces):
    with pytest.raises(
        ValueError, match="reader.key must name the signal's variable; there are emg"
    ):
        load(write_npz(tmp_path, traces), orientation="time_last")


def test_label_of_another_length_is_refused(tmp_path, traces):
    np.savez(tmp_path / "a.npz", x=traces, y=np.zeros(49))
    with pytest.raises(ValueError, match=r"y has shape \(49,\) but the signal has 50 samples"):
        load(tmp_path / "a.npz", key="x", label_key="y", orientation="time_first")


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("save", ["npz", "mat"])
def test_places_of_units_are_read(tmp_path, traces, rng, save, turned):
    places = rng.normal(size=(4, 3))
    held = {"x": traces, "xyz": places.T if turned else places}
    path = tmp_path / f"a.{save}"
    np.savez(path, **held) if save == "npz" else savemat(path, held)
    raw = load(path, key="x", positions_key="xyz", orientation="time_first")
    made = np.stack([raw.unit_labels[axis] for axis in "xyz"], axis=1)
    np.testing.assert_allclose(made, places)


def test_places_that_do_not_fit_the_units_are_refused(tmp_path, traces):
    hole = np.zeros((4, 2))
    hole[1, 1] = np.nan
    np.savez(tmp_path / "a.npz", x=traces, few=np.zeros((3, 2)), hole=hole)
    for key, said in (
        ("few", r"few \(reader.positions_key\) has shape \(3, 2\); it needs x and y, .* 4 units"),
        ("hole", r"hole \(reader.positions_key\) holds NaN"),
        ("xy", r"has no variable 'xy' \(reader.positions_key\)"),
    ):
        with pytest.raises(ValueError, match=said):
            load(tmp_path / "a.npz", key="x", positions_key=key, orientation="time_first")


def test_names_must_be_unique(tmp_path, traces):
    np.savez(tmp_path / "a.npz", x=traces, n=np.asarray(["a", "b", "a", "c"]))
    with pytest.raises(ValueError, match="unit names must be unique; a occur twice"):
        load(tmp_path / "a.npz", key="x", names_key="n", orientation="time_first")


def test_pickled_member_of_npz_is_never_loaded(tmp_path, traces):
    np.savez(tmp_path / "a.npz", x=traces, n=np.asarray([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="not a readable npz file.*without running code"):
        load(tmp_path / "a.npz", key="x", names_key="n", orientation="time_first")


def test_matlab_structure_is_no_signal(tmp_path, traces):
    savemat(tmp_path / "a.mat", {"x": {"field": traces}})
    with pytest.raises(ValueError, match=r"a\.mat: x holds .* a signal must be real numbers"):
        load(tmp_path / "a.mat", key="x", orientation="time_first")


def test_block_text_is_numbered_by_appearance(tmp_path, traces):
    np.savez(tmp_path / "a.npz", x=traces, b=np.asarray(["z"] * 20 + ["a"] * 20 + ["z"] * 10))
    raw = load(tmp_path / "a.npz", key="x", block_key="b", orientation="time_first")
    np.testing.assert_array_equal(raw.times["block"], [0] * 20 + [1] * 20 + [0] * 10)


def test_worm_names_its_neurons(shared_data):
    raw = load(
        shared_data / "worm_atanas" / "2022-08-02-01.npz",
        key="trace",
        orientation="time_last",
        names_key="neuron",
    )
    assert raw.signal.shape == (1600, 98)
    left, right = (raw.signal[:, raw.names.index(name)] for name in ("AVAL", "AVAR"))
    assert np.corrcoef(left, right)[0, 1] == pytest.approx(0.97, abs=0.01)


def test_gestures_carry_labels_and_blocks(shared_data):
    raw = load(
        shared_data / "myo_gestures" / "12345-1.npz",
        key="emg",
        orientation="time_last",
        label_key="label",
        block_key="block",
    )
    assert raw.signal.shape[1] == 8
    assert len(np.flatnonzero(np.diff(raw.times["block"]))) == 7
    assert set(raw.times["label"].tolist()) == set(range(8))
    assert (raw.times["label"] == 0).mean() == pytest.approx(0.56, abs=0.02)

"""CaImAn's HDF5 files, written as CaImAn writes them, and what is wrong with some."""

import h5py
import numpy as np
import pytest
import scipy.sparse

from rheobase.io.readers import read
from rheobase.preprocess.clean import clean

CELLS, FRAMES = 5, 60


def save(path, rng, *, dims=(6, 4), **changes):
    """Write estimates and params; None is saved as CaImAn saves it, "absent" is left out."""
    masks = np.zeros((dims[0] * dims[1], CELLS))
    for cell in range(CELLS):
        row, column = cell, cell % dims[1]
        masks[column * dims[0] + row, cell] = 2.0
    values = {
        "estimates/C": rng.random((CELLS, FRAMES)) + 5,
        "estimates/YrA": 0.1 * rng.normal(size=(CELLS, FRAMES)),
        "estimates/F_dff": rng.random((CELLS, FRAMES)),
        "estimates/S": rng.random((CELLS, FRAMES)),
        "estimates/idx_components": np.array([0, 2, 3]),
        "estimates/SNR_comp": np.arange(CELLS) + 0.5,
        "estimates/dims": np.array(dims),
        "estimates/A": scipy.sparse.csc_matrix(masks),
        "params/data/fr": 15.0,
        "params/data/decay_time": 0.4,
    }
    values |= {key.replace("__", "/"): value for key, value in changes.items()}
    with h5py.File(path, "w") as file:
        for key, value in values.items():
            if isinstance(value, scipy.sparse.csc_matrix):
                for part in ("data", "indices", "indptr", "shape"):
                    file[f"{key}/{part}"] = getattr(value, part)
            elif not (isinstance(value, str) and value == "absent"):
                file[key] = "NoneType" if value is None else value
    return values


def load(path, **reader):
    return read(path, reader={"format": "caiman", **reader}, files={}, preprocess={})


def test_traces_with_their_noise_are_read_time_first(tmp_path, rng):
    told = save(tmp_path / "a.hdf5", rng)
    raw = load(tmp_path / "a.hdf5")
    np.testing.assert_array_equal(raw.signal, (told["estimates/C"] + told["estimates/YrA"]).T)
    assert raw.names == ("roi0", "roi1", "roi2", "roi3", "roi4")
    assert raw.rate_hz == 15
    assert raw.extras["is_cell"].tolist() == [True, False, True, True, False]
    np.testing.assert_array_equal(raw.extras["component_snr"], told["estimates/SNR_comp"])
    assert raw.extras["decay_s"] == 0.4


@pytest.mark.parametrize("key", ["C", "F_dff", "S"])
def test_other_traces_can_be_chosen(tmp_path, rng, key):
    told = save(tmp_path / "a.hdf5", rng)
    np.testing.assert_array_equal(
        load(tmp_path / "a.hdf5", key=key).signal, told[f"estimates/{key}"].T
    )


def test_components_that_were_never_judged_are_all_taken(tmp_path, rng):
    save(tmp_path / "a.hdf5", rng, estimates__idx_components=None, estimates__SNR_comp=None)
    extras = load(tmp_path / "a.hdf5").extras
    assert "is_cell" not in extras
    assert "component_snr" not in extras


def test_no_accepted_component_is_no_cell(tmp_path, rng):
    save(tmp_path / "a.hdf5", rng, estimates__idx_components=np.array([], float))
    assert not load(tmp_path / "a.hdf5").extras["is_cell"].any()


def test_the_middle_of_a_footprint_is_its_place(tmp_path, rng):
    save(tmp_path / "a.hdf5", rng)
    places = load(tmp_path / "a.hdf5").extras["position_px"]
    np.testing.assert_allclose(places, [[0, 0], [1, 1], [2, 2], [3, 3], [4, 0]])


def test_parameters_and_footprints_may_be_missing(tmp_path, rng):
    save(tmp_path / "a.hdf5", rng, params__data__fr="absent", params__data__decay_time=None,
         estimates__A=None)  # fmt: skip
    raw = load(tmp_path / "a.hdf5")
    assert raw.rate_hz is None
    assert not {"decay_s", "position_px"} & set(raw.extras)


@pytest.mark.parametrize(
    ("changes", "reader", "words"),
    [
        ({"estimates__F_dff": None}, {"key": "F_dff"},
         "holds no estimates/F_dff, .* it has C, YrA, S; run detrend_df_f and save again"),
        ({"estimates__YrA": "absent"}, {}, "holds no estimates/YrA, .* choose another key"),
        ({"estimates__YrA": np.zeros((4, FRAMES))}, {},
         r"estimates/YrA has shape \(4, 60\), estimates/C \(5, 60\)"),
        ({"estimates__idx_components": np.array([0, 5])}, {},
         "idx_components names components outside 0 to 4"),
        ({"params__data__fr": 0.0}, {}, "params/data/fr is 0; it must be above 0"),
        ({"params__data__fr": "fast"}, {}, "params/data/fr is .*which is no number"),
        ({}, {"key": "B"}, r"reader.key 'B' is not one of C\+YrA, C, F_dff, S"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(tmp_path, rng, changes, reader, words):
    save(tmp_path / "a.hdf5", rng, **changes)
    with pytest.raises(ValueError, match=rf"a\.hdf5.* ?{words}"):
        load(tmp_path / "a.hdf5", **reader)


def test_another_hdf5_file_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["mov"] = np.zeros(3)
    with pytest.raises(ValueError, match="no group 'estimates'; it has mov"):
        load(tmp_path / "a.hdf5")


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_cut_file_is_refused(tmp_path, rng, share):
    save(tmp_path / "a.hdf5", rng)
    path = tmp_path / "a.hdf5"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match=r"a\.hdf5 is not a readable CaImAn HDF5 file"):
        load(path)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"b\.hdf5 does not exist"):
        load(tmp_path / "b.hdf5")


def test_read_components_can_be_cleaned(tmp_path, rng):
    long = {"estimates__C": 50 + 10 * (rng.random((CELLS, 900)) < 0.02),
            "estimates__YrA": 0.2 * rng.normal(size=(CELLS, 900)),
            "estimates__F_dff": None, "estimates__S": None}  # fmt: skip
    save(tmp_path / "a.hdf5", rng, **long)
    raw = load(tmp_path / "a.hdf5")
    made = clean(
        raw, modality="calcium", rate=15, time_unit="s", units=None, name="sub-m",
        options={"input": "neuropil_corrected", "snr": 0},
    )  # fmt: skip
    assert made.names == ("roi0", "roi2", "roi3")
    rows = {row["name"]: row for row in made.qc["units"]}
    assert rows["roi1"]["excluded"] == "not a cell"
    assert rows["roi1"]["component_snr"] == 1.5

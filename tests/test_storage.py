"""Files appear whole, identical input gives identical bytes, and damage is seen."""

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from rheobase.storage import CorruptFile, atomic, read_dataset, read_json, write_dataset, write_json


@pytest.fixture
def dataset(rng):
    return xr.Dataset(
        {
            "weight": (("a", "b"), rng.normal(size=(40, 30))),
            "rival/ar1": ("a", rng.normal(size=40)),
        },
        coords={"b": [f"unit {i}" for i in range(30)]},
        attrs={"title": "größe", "n": 3},
    )


def test_dataset_with_groups_comes_back_equal(dataset, tmp_path):
    write_dataset(dataset, tmp_path / "a.nc")
    again = read_dataset(tmp_path / "a.nc")
    assert set(again.data_vars) == {"weight", "rival/ar1"}
    np.testing.assert_array_equal(again["rival/ar1"], dataset["rival/ar1"])
    assert again["b"].values.tolist() == dataset["b"].values.tolist()


def test_same_dataset_gives_same_bytes(dataset, tmp_path):
    for name in ("a.nc", "b.nc"):
        write_dataset(dataset, tmp_path / name)
    assert (tmp_path / "a.nc").read_bytes() == (tmp_path / "b.nc").read_bytes()


def test_any_flipped_byte_of_the_data_is_seen(dataset, tmp_path):
    path = tmp_path / "a.nc"
    write_dataset(dataset, path)
    whole = bytearray(path.read_bytes())
    seen = 0
    places = range(0, len(whole), max(1, len(whole) // 60))
    for place in places:
        broken = bytearray(whole)
        broken[place] ^= 0xFF
        path.write_bytes(broken)
        try:
            again = read_dataset(path)
        except CorruptFile:
            seen += 1
            continue
        xr.testing.assert_identical(again.drop_attrs(), dataset.drop_attrs())
    assert seen > 0.5 * len(places)


def test_what_a_killed_process_left_is_removed_by_the_next_writer(tmp_path):
    code = (
        "import os, sys\n"
        "from rheobase.storage import atomic\n"
        "with atomic(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half')\n"
        "    os._exit(9)"
    )
    path = tmp_path / "a.nc"
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    (left,) = tmp_path.iterdir()
    assert left.read_text() == "half"
    with atomic(path) as first, atomic(path) as second:
        assert set(tmp_path.iterdir()) == {first, second}
        second.write_text("whole")
        first.write_text("whole")
    assert list(tmp_path.iterdir()) == [path]


def test_truncated_file_is_corrupt_and_the_remedy_is_named(dataset, tmp_path):
    path = tmp_path / "a.nc"
    write_dataset(dataset, path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CorruptFile, match="delete it and run again"):
        read_dataset(path)


def test_changed_attribute_is_seen(dataset, tmp_path):
    import h5py

    path = tmp_path / "a.nc"
    write_dataset(dataset, path)
    with h5py.File(path, "a") as file:
        file.attrs["n"] = 4
    with pytest.raises(CorruptFile, match="checksum"):
        read_dataset(path)


def test_failure_while_writing_leaves_nothing(tmp_path):
    def fail():
        with atomic(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json({"x": float("nan")}, tmp_path / "a.json")
    assert list(tmp_path.iterdir()) == []


def test_broken_json_names_its_file(tmp_path):
    (tmp_path / "a.json").write_text('{"x": ')
    with pytest.raises(CorruptFile, match=r"a\.json"):
        read_json(tmp_path / "a.json")

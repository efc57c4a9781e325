"""Where files come from: places, checksums, and nothing half-written."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from rheobase.config.entries import Entry
from rheobase.io.sources import local_path
from source_files import DATA, bring, entries

pytestmark = pytest.mark.usefixtures("in_own_folder")


def place(source, entry=None):
    return local_path(source, dataset="set", entry=entry or entries()[0], data_dir=DATA)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"kind": "path", "path": "{data_dir}/s{subject}.npy"}, "data/s01.npy"),
        ({"kind": "package", "path": "p/{subject}/x.mat"}, "results/set/source/p/01/x.mat"),
        ({"kind": "url", "url": "http://h/a/s{subject}.npz?v=1"}, "results/set/source/s01.npz"),
        ({"kind": "url", "url": "http://h/a/{subject}/x.npz"}, "results/set/source/01/x.npz"),
        ({"kind": "url", "url": "http://h/get.npz?s={subject}"}, "results/set/source/sub-01.npz"),
        ({"kind": "url", "url": "http://h/all.zip", "path": "in/{subject}.npy"},
         "results/set/source/in/01.npy"),
        ({"kind": "nilearn", "field": "func"}, "results/set/source/sub-01.nii.gz"),
        ({"kind": "nilearn", "field": "rois_cc200"}, "results/set/source/sub-01.npy"),
        ({"kind": "openneuro", "path": "sub-{subject}/f.nii.gz"},
         "results/set/source/sub-01/f.nii.gz"),
        ({"kind": "wfdb", "path": "s{subject}/run"}, "results/set/source/s01/run.hea"),
        ({"kind": "synthetic"}, "results/set/source/sub-01.npz"),
    ],
)  # fmt: skip
def test_every_kind_has_its_place(source, expected):
    assert place(source) == Path(expected)


def test_an_unknown_placeholder_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"\{run\}.*data_dir, subject"):
        place({"kind": "path", "path": "{data_dir}/{run}.npy"})


@pytest.mark.parametrize("path", ["../x.npy", "/etc/x.npy", "a/../../x.npy", "C:/x.npy"])
def test_a_path_that_leads_out_of_its_folder_is_refused(path):
    with pytest.raises(ValueError, match="leads out of its folder"):
        place({"kind": "package", "path": path})


def test_an_entity_cannot_lead_out_of_the_folder():
    entry = Entry(name="sub-x", entities={"subject": "../../x"})
    with pytest.raises(ValueError, match="leads out of its folder"):
        place({"kind": "dandi", "path": "{subject}.nwb"}, entry)


def test_places_are_told_without_heavy_imports():
    code = """
        import sys
        from pathlib import Path
        from rheobase.io.sources import local_path
        from rheobase.config.entries import Entry
        entry = Entry("a", {"subject": "1"})
        local_path({"kind": "path", "path": "{subject}"}, dataset="d", entry=entry, data_dir=Path())
        print([m for m in ("numpy", "xarray", "requests", "scipy", "torch") if m in sys.modules])
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


def test_own_files_are_only_looked_for():
    Path("data").mkdir()
    Path("data/01.npy").write_bytes(b"x")
    source = {"kind": "path", "path": "{data_dir}/{subject}.npy"}
    assert bring(source, entries(1)) == [Path("data/01.npy")]
    with pytest.raises(FileNotFoundError, match=r"data/02\.npy does not exist; correct source"):
        bring(source, entries(2))


def test_synthetic_recordings_have_their_truth_beside_them():
    source = {"kind": "synthetic", "generator": "calcium", "seed": 3}
    paths = bring(source, entries())
    with np.load(paths[0], allow_pickle=False) as signals:
        assert signals["signal"].shape == (960, 60)
        assert signals["names"][59] == "neuron059"
    with np.load(paths[0].with_name("sub-01.truth.npz"), allow_pickle=False) as truth:
        assert truth["members"].shape == (4, 60)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    source = {"kind": "synthetic", "generator": "calcium", "seed": 3}
    first = [path.read_bytes() for path in bring(source, entries())]
    assert [path.read_bytes() for path in bring(source, entries())] == first
    assert bring({**source, "seed": 4}, entries())[0].read_bytes() != first[0]

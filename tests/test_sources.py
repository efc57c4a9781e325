"""Where files come from: places, checksums, and nothing half-written."""

import hashlib
import io
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from pathlib import Path

import numpy as np
import pytest

from rheobase.config.entries import Entry, from_entities
from rheobase.io.sources import fetch, local_path

HERE = Path("data"), Path("downloads")


@pytest.fixture(autouse=True)
def _work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def entries(count=2):
    return from_entities({"subject": [f"{i:02d}" for i in range(1, count + 1)]})


def bring(source, recordings):
    return fetch(source, dataset="set", entries=recordings, data_dir=HERE[0], download_dir=HERE[1])


def place(source, entry=None):
    return local_path(source, dataset="set", entry=entry or entries()[0], data_dir=HERE[0])


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def left_behind():
    """Return every file below the working folder."""
    return sorted(str(p) for p in Path().rglob("*") if p.is_file())


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


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


# The user's own files


def test_own_files_are_only_looked_for():
    Path("data").mkdir()
    Path("data/01.npy").write_bytes(b"x")
    source = {"kind": "path", "path": "{data_dir}/{subject}.npy"}
    assert bring(source, entries(1)) == [Path("data/01.npy")]
    with pytest.raises(FileNotFoundError, match=r"data/02\.npy does not exist; correct source"):
        bring(source, entries(2))


# Packages


def package(content: bytes, **changes):
    return {
        "kind": "package",
        "package": "Some_Data",
        "version": "1.0",
        "archive": "wheel",
        "sha256": sha256(content),
        "path": "some/data/{subject}.txt",
    } | changes


def wheel() -> bytes:
    metadata = b"Metadata-Version: 2.1\nName: some-data\nVersion: 1.0\n"
    return zipped(
        {
            "some/data/01.txt": b"one",
            "some/data/02.txt": b"two",
            "some_data-1.0.dist-info/METADATA": metadata,
            "some_data-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
            "some_data-1.0.dist-info/RECORD": b"",
        }
    )


def put(content: bytes, path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(content)


def forbid_programs(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "run", refuse)


@pytest.fixture
def offline_index(tmp_path, monkeypatch):
    """Let pip find packages in one folder only."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def test_a_kept_wheel_needs_no_network_and_no_program(monkeypatch):
    forbid_programs(monkeypatch)
    put(wheel(), "downloads/some_data-1.0-py3-none-any.whl")
    paths = bring(package(wheel()), entries())
    assert [path.read_text() for path in paths] == ["one", "two"]
    assert paths[0] == Path("results/set/source/some/data/01.txt")


def test_a_kept_source_archive_is_read_too(monkeypatch):
    forbid_programs(monkeypatch)
    content = tarred({"some_data-1.0/some/data/01.txt": b"one"})
    put(content, "downloads/some_data-1.0.tar.gz")
    source = package(content, archive="sdist", path="some_data-1.0/some/data/{subject}.txt")
    assert bring(source, entries(1))[0].read_text() == "one"


def test_pip_brings_a_wheel_that_is_then_kept(offline_index, monkeypatch):
    (offline_index / "some_data-1.0-py3-none-any.whl").write_bytes(wheel())
    assert bring(package(wheel()), entries(1))[0].read_text() == "one"
    forbid_programs(monkeypatch)
    assert bring(package(wheel()), entries(2))[1].read_text() == "two"


def test_a_wrong_checksum_keeps_nothing(offline_index):
    (offline_index / "some_data-1.0-py3-none-any.whl").write_bytes(wheel())
    before = left_behind()
    with pytest.raises(ValueError, match=f"{sha256(wheel())}, expected {'0' * 64}; nothing was"):
        bring(package(wheel(), sha256="0" * 64), entries(1))
    assert left_behind() == before


def test_a_source_archive_with_a_wrong_checksum_is_never_run(offline_index, tmp_path):
    ran = tmp_path / "ran"
    setup = f"open({str(ran)!r}, 'w').close()\n".encode()
    content = tarred({"some_data-1.0/setup.py": setup, "some_data-1.0/PKG-INFO": b"Name: x\n"})
    (offline_index / "some_data-1.0.tar.gz").write_bytes(content)
    source, before = package(content, archive="sdist", sha256="0" * 64), left_behind()
    with pytest.raises(ValueError, match=f"{sha256(content)}, expected {'0' * 64}; nothing was"):
        bring(source, entries(1))
    assert not ran.exists()
    assert left_behind() == before


def test_without_the_package_the_message_says_what_to_put_where(offline_index):
    with pytest.raises(ValueError, match="Some_Data==1.0") as caught:
        bring(package(wheel()), entries(1))
    text = str(caught.value)
    assert "wheel" in text
    assert sha256(wheel()) in text
    assert "into downloads by hand" in text
    assert "ERROR: " in text
    assert "\n" not in text
    assert left_behind() == []


def test_a_half_downloaded_wheel_in_the_folder_is_not_used(offline_index):
    put(wheel()[:50], "downloads/some_data-1.0-py3-none-any.whl")
    (offline_index / "some_data-1.0-py3-none-any.whl").write_bytes(wheel())
    assert bring(package(wheel()), entries(1))[0].read_text() == "one"


def test_a_missing_member_is_answered_with_close_names():
    put(wheel(), "downloads/some_data-1.0-py3-none-any.whl")
    with pytest.raises(ValueError, match=r"no file some/dat/01\.txt \(close: some/data/01\.txt"):
        bring(package(wheel(), path="some/dat/{subject}.txt"), entries(1))


def test_a_member_that_leads_out_of_the_archive_is_never_written():
    content = tarred({"../01.txt": b"bad", "ok/01.txt": b"good"})
    put(content, "downloads/some_data-1.0.tar.gz")
    source = package(content, archive="sdist", path="../{subject}.txt")
    with pytest.raises(ValueError, match="leads out of its folder"):
        bring(source, entries(1))
    assert bring({**source, "path": "ok/{subject}.txt"}, entries(1))[0].read_text() == "good"
    assert not list(Path("results").rglob("*bad*"))
    assert [p.name for p in Path("results").rglob("*") if p.is_file()] == ["01.txt"]


def test_a_link_in_an_archive_is_no_file():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        info = tarfile.TarInfo("p/01.txt")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(info)
    put(buffer.getvalue(), "downloads/some_data-1.0.tar.gz")
    source = package(buffer.getvalue(), archive="sdist", path="p/{subject}.txt")
    with pytest.raises(ValueError, match="has no file p/01.txt"):
        bring(source, entries(1))


@pytest.mark.slow
def test_the_gestures_come_out_of_the_real_source_archive():
    source = {
        "kind": "package",
        "package": "libemg",
        "version": "2.0.3",
        "archive": "sdist",
        "sha256": "0fc38a65ab1c035ae5b08786c6e06c72ed10a52f86622493902c6059e1ed3ca6",
        "path": "libemg-2.0.3/tests/data/myo_dataset/R_{run}_C_{task}_EMG.csv",
    }
    recordings = from_entities({"task": list("01234"), "run": list("0123")})
    try:
        paths = bring(source, recordings)
    except ValueError as error:
        if "pip could not download" in str(error):
            pytest.skip(str(error))
        raise
    assert len(paths) == 20
    assert np.loadtxt(paths[0], delimiter=",").shape[1] == 8


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

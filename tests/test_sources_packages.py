"""Packages of the index as sources: kept, brought by pip, and never trusted without a checksum."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from rheobase.config.entries import from_entities
from source_files import bring, entries, forbid_programs, left_behind, put, sha256, tarred, zipped

pytestmark = pytest.mark.usefixtures("in_own_folder")


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


def refused(source):
    """Return what is said of a wheel that was put into the folder of downloads."""
    put(wheel()[:50], "downloads/some_data-1.0-py3-none-any.whl")
    before = left_behind()
    with pytest.raises(ValueError, match=r"downloads/some_data-1\.0-py3-none-any\.whl") as caught:
        bring(source, entries(1))
    assert left_behind() == before
    assert Path("downloads/some_data-1.0-py3-none-any.whl").read_bytes() == wheel()[:50]
    return str(caught.value)


@pytest.mark.parametrize("online", [False, True])
def test_a_wrong_wheel_in_the_folder_is_named_and_never_replaced(offline_index, online):
    if online:
        (offline_index / "some_data-1.0-py3-none-any.whl").write_bytes(wheel())
    said = refused(package(wheel()))
    assert f"has the SHA-256 {sha256(wheel()[:50])}, expected {sha256(wheel())}; it is" in said
    assert "delete it" in said
    assert "by hand" not in said


def test_the_wheel_of_another_machine_does_not_stop_the_download(offline_index):
    put(b"other", "downloads/some_data-1.0-cp311-cp311-win_amd64.whl")
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
    assert left_behind() == ["downloads/some_data-1.0.tar.gz", "results/set/source/ok/01.txt"]


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

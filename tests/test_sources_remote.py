"""Files from addresses, each against a stand-in on this machine: whole, checked, or not there."""

import socket
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from urllib3.exceptions import MaxRetryError

from rheobase.config.entries import Entry
from rheobase.io.sources import physionet, transfer
from source_files import bring, entries, left_behind, put, sha256, tarred, zipped

pytestmark = pytest.mark.usefixtures("in_own_folder")


class Answer(BaseHTTPRequestHandler):
    """Serve files of a folder; addresses that begin with /cut announce more than they send."""

    def __init__(self, folder, asked, *arguments):
        self.folder, self.asked = folder, asked
        super().__init__(*arguments)

    def do_GET(self):  # noqa: N802
        self.asked.append(self.path)
        name = self.path.split("?")[0].lstrip("/")
        path = self.folder / name.removeprefix("cut/")
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if name.startswith("cut/") else content)

    def log_message(self, *arguments):
        return


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Yield (address, folder that it serves, list of what was asked for)."""
    folder, asked = tmp_path / "www", []
    folder.mkdir()
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = ThreadingHTTPServer(("127.0.0.1", 0), partial(Answer, folder, asked))
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}", folder, asked
    running.shutdown()
    running.server_close()
    thread.join()


def in_results():
    return [name for name in left_behind() if not name.startswith("www")]


def test_a_file_comes_from_its_address_and_is_not_asked_for_twice(server):
    address, folder, asked = server
    (folder / "s01.npy").write_bytes(b"signal")
    source = {"kind": "url", "url": f"{address}/s{{subject}}.npy", "sha256": sha256(b"signal")}
    assert bring(source, entries(1))[0].read_bytes() == b"signal"
    bring(source, entries(1))
    assert asked == ["/s01.npy"]


def test_each_of_several_files_has_its_own_checksum(server):
    address, folder, _ = server
    for number in (1, 2):
        put(f"{number}".encode(), str(folder / f"0{number}" / "x.npy"))
    recordings = [
        Entry(f"sub-0{n}", {"subject": f"0{n}"}, {}, sha256(f"{n}".encode())) for n in (1, 2)
    ]
    source = {"kind": "url", "url": f"{address}/{{subject}}/x.npy"}
    assert [p.read_text() for p in bring(source, recordings)] == ["1", "2"]


def test_a_file_without_a_checksum_is_refused(server):
    address, _, asked = server
    with pytest.raises(ValueError, match="has no checksum; give source.sha256"):
        bring({"kind": "url", "url": f"{address}/s{{subject}}.npy"}, entries(1))
    assert asked == []


def test_a_file_with_another_checksum_is_not_kept(server):
    address, folder, _ = server
    (folder / "s01.npy").write_bytes(b"other")
    source = {"kind": "url", "url": f"{address}/s{{subject}}.npy", "sha256": sha256(b"signal")}
    with pytest.raises(ValueError, match=f"{sha256(b'other')}, expected {sha256(b'signal')}"):
        bring(source, entries(1))
    assert in_results() == []


def test_a_download_that_breaks_off_leaves_nothing(server):
    address, folder, _ = server
    (folder / "s01.npy").write_bytes(b"signal" * 1000)
    source = {"kind": "url", "url": f"{address}/cut/s{{subject}}.npy", "sha256": "0" * 64}
    with pytest.raises(ValueError, match="cut/s01.npy ca.*by hand"):
        bring(source, entries(1))
    assert in_results() == []


def test_a_server_that_refuses_is_quoted(server):
    address, _, _ = server
    source = {"kind": "url", "url": f"{address}/none.npy", "sha256": "0" * 64}
    with pytest.raises(ValueError, match="the server answered 404"):
        bring(source, entries(1))


def test_without_a_network_the_message_says_where_to_put_the_file(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    source = {"kind": "url", "url": f"http://127.0.0.1:{port}/x.npy", "sha256": "0" * 64}
    with pytest.raises(ValueError, match="cannot be downloaded.*at downloads/x.npy by hand") as e:
        bring(source, entries(1))
    assert "(connection refused)" in str(e.value)
    assert left_behind() == []


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (socket.gaierror(-2, "Name or service not known"), "name not known"),
        (TimeoutError(), "timed out"),
    ],
)
def test_a_failed_download_names_the_root_cause_only(cause, said):
    wrapped = requests.ConnectionError(MaxRetryError(None, "/x", cause))  # pyright: ignore[reportArgumentType]
    assert transfer._reason(wrapped) == said


def test_a_file_put_there_by_hand_needs_no_network():
    put(b"signal", "downloads/x.npy")
    source = {"kind": "url", "url": "http://127.0.0.1:1/x.npy", "sha256": sha256(b"signal")}
    assert bring(source, entries(1))[0].read_bytes() == b"signal"


@pytest.mark.parametrize("archived", [{}, {"archive": "zip", "path": "{subject}.npy"}])
def test_a_wrong_file_put_there_by_hand_is_named_and_never_replaced(server, archived):
    address, folder, asked = server
    (folder / "x.zip").write_bytes(b"right")
    put(b"wrong", "downloads/x.zip")
    source = {"kind": "url", "url": f"{address}/x.zip", "sha256": sha256(b"right"), **archived}
    with pytest.raises(ValueError, match=f"^downloads/x.zip has the SHA-256 {sha256(b'wrong')}, e"):
        bring(source, entries(1))
    assert Path("downloads/x.zip").read_bytes() == b"wrong"
    assert asked == []


@pytest.mark.parametrize(("form", "pack"), [("zip", zipped), ("tar", tarred)])
def test_members_of_an_archive_are_taken_with_one_download(server, form, pack):
    address, folder, asked = server
    content = pack({"in/01.npy": b"1", "in/02.npy": b"2"})
    (folder / f"all.{form}").write_bytes(content)
    source = {
        "kind": "url", "url": f"{address}/all.{form}", "sha256": sha256(content),
        "archive": form, "path": "in/{subject}.npy",
    }  # fmt: skip
    assert [p.read_bytes() for p in bring(source, entries())] == [b"1", b"2"]
    bring(source, entries())
    assert len(asked) == 1


def test_a_wfdb_record_comes_with_the_signal_files_of_its_header(server, monkeypatch):
    address, folder, asked = server
    header = b"r1 2 1000 4\n# comment\nr1.dat 16 1 16 0 0 0 0 a\nr1.dat 16 1 16 0 0 0 0 b\n"
    files = {"ses1/r1.hea": header, "ses1/r1.dat": b"\0" * 16}
    for name, content in files.items():
        put(content, str(folder / "db" / "1.1.0" / name))
    sums = "".join(f"{sha256(content)} {name}\n" for name, content in files.items())
    put(sums.encode(), str(folder / "db" / "1.1.0" / "SHA256SUMS.txt"))
    monkeypatch.setattr(physionet, "ADDRESS", address)
    source = {"kind": "wfdb", "dataset": "db", "version": "1.1.0", "path": "ses1/r{subject}"}
    recordings = [Entry("sub-1", {"subject": "1"})]
    (path,) = bring(source, recordings)
    assert path.read_bytes() == header
    assert path.with_suffix(".dat").read_bytes() == b"\0" * 16
    bring(source, recordings)
    assert len(asked) == 3


def test_a_wfdb_file_that_is_not_as_published_is_not_kept(server, monkeypatch):
    address, folder, _ = server
    put(b"r1 1 1000 4\nr1.dat 16\n", str(folder / "db" / "1" / "r1.hea"))
    put(f"{'0' * 64} r1.hea\n".encode(), str(folder / "db" / "1" / "SHA256SUMS.txt"))
    monkeypatch.setattr(physionet, "ADDRESS", address)
    source = {"kind": "wfdb", "dataset": "db", "version": "1", "path": "r1"}
    with pytest.raises(ValueError, match="nothing was kept"):
        bring(source, entries(1))
    assert not list(Path("results").rglob("*.hea"))

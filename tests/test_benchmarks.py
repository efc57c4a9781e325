"""Benchmarks write the rows that others script against, and fail where results differ."""

import dataclasses
import json
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.harness import Case, Equal, Peer, measure, run_family, table
from benchmarks.processes import Call, Command

KEYS = {
    "case", "ours_cpu_s", "peer", "peer_version", "peer_cpu_s", "ratio", "equal", "ours_peak_mb",
    "peer_peak_mb",
}  # fmt: skip
MACHINE = {"cpu", "cores", "system", "python", "packages", "load_average", "load_average_end"}
SIDES = """
import numpy as np

def ramp(*, length, offset=0.0):
    return lambda: {"values": np.arange(length) + offset, "_length": np.asarray(length)}

def broken():
    def run():
        raise ValueError("the planted failure")
    return run
"""


@pytest.fixture
def sides(tmp_path, monkeypatch):
    """Write functions to compare into a module, in a folder that becomes the current one."""
    (tmp_path / "sides.py").write_text(SIDES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def case(*, offset: float = 0.0, package: str = "numpy") -> Case:
    theirs = Call("sides:ramp", {"length": 1000, "offset": offset})
    return Case(
        "a ramp",
        Call("sides:ramp", {"length": 1000}),
        Peer("numpy.arange", package, theirs),
        Equal("values", 1e-6),
        repeats=2,
    )


def test_a_family_has_the_shape_that_others_script_against(sides):
    alone = Case("Python alone", Command((sys.executable, "-c", "pass"), sides), limit_cpu_s=60.0)
    assert run_family("trivial", [measure(case()), measure(alone)]) == 0
    written = json.loads((sides / "results" / "benchmarks" / "trivial.json").read_text())
    assert set(written) == {"family", "machine", "rows"}
    assert written["family"] == "trivial"
    beside, own = written["rows"]
    assert set(beside) == KEYS | {"ours_length", "peer_length"}
    assert beside["equal"] == {"what": "values", "tolerance": 1e-6, "measured": 0.0}
    assert beside["ours_length"] == 1000
    assert beside["peer_version"]
    assert set(own) == KEYS | {"limit_cpu_s", "within_limit"}
    assert own["within_limit"] is True
    assert own["ratio"] is None
    assert own["equal"] == {"what": None, "tolerance": None, "measured": None}


def test_the_machine_is_described_without_its_name_or_paths(sides):
    run_family("trivial", [measure(Case("a", Command((sys.executable, "-c", ""), sides)))])
    machine = json.loads((sides / "results" / "benchmarks" / "trivial.json").read_text())["machine"]
    assert set(machine) == MACHINE
    assert not [text for text in (str(sides), sys.prefix) if text in json.dumps(machine)]


def test_ratio_is_the_peers_time_over_ours(sides):
    spin = "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass"
    short, long = (Command((sys.executable, "-c", spin.format(s)), sides) for s in (0.1, 1.0))
    row = measure(
        Case("spin", short, Peer("longer", "numpy", long), Equal("nothing", 0.0), repeats=1)
    )
    assert row["ratio"] == pytest.approx(row["peer_cpu_s"] / row["ours_cpu_s"], rel=0.01)
    assert row["ratio"] > 1


def test_results_that_differ_are_named_and_fail_the_run(sides, capsys):
    row = measure(case(offset=0.5))
    assert row["equal"]["measured"] == pytest.approx(0.5)
    assert run_family("trivial", [row]) == 1
    assert "a ramp: values differ from numpy.arange: 0.5, limit 1e-06" in capsys.readouterr().out


def test_results_of_other_shapes_cannot_be_equal(sides):
    other = Peer("shorter", "numpy", Call("sides:ramp", {"length": 999}))
    row = measure(Case("a", Call("sides:ramp", {"length": 1000}), other, Equal("values", 1.0)))
    assert row["equal"]["measured"] is None
    assert run_family("trivial", [row]) == 1


def test_an_absent_peer_is_skipped_with_the_reason(sides):
    row = measure(case(package="no-such-peer"))
    assert row["skipped"] == "the peer no-such-peer is not installed"
    assert row["ours_cpu_s"] is not None
    assert row["peer_cpu_s"] is None
    assert run_family("trivial", [row]) == 0


def test_a_failing_run_is_reported_with_its_last_words(sides):
    called = measure(Case("called", Call("sides:broken")))
    words = "import sys; sys.exit('the planted failure')"
    started = measure(Case("started", Command((sys.executable, "-c", words), sides)))
    assert "the planted failure" in called["failed"]
    assert "the planted failure" in started["failed"]
    assert run_family("trivial", [called, started]) == 1


def test_peak_memory_is_that_of_the_measured_process_alone(sides):
    held = bytearray(300 * 2**20)
    row = measure(Case("small", Command((sys.executable, "-c", "pass"), sides), repeats=1))
    assert len(held) > row["ours_peak_mb"] * 2**20 * 2


def test_children_count_towards_cpu_and_memory(sides):
    child = "import time\nx = bytearray(200 * 2**20)\nwhile time.process_time() < 0.5: pass"
    parent = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    )
    row = measure(Case("parent", Command((sys.executable, "-c", parent), sides), repeats=1))
    assert row["ours_cpu_s"] >= 0.5
    assert row["ours_peak_mb"] > 200


def test_the_table_names_limits_that_were_passed(sides):
    slow = Case("slow", Command((sys.executable, "-c", "pass"), sides), repeats=1, limit_cpu_s=0.0)
    assert "OVER the limit of 0 CPU s" in table([measure(slow)])


def test_bounds_beside_a_peer_are_kept_or_named(sides):
    bounded = dataclasses.replace(case(), least_ratio=1e9)
    row = measure(bounded)
    assert row["within_limit"] is False
    assert "OVER the limit of a ratio of at least 1e+09" in table([row])
    kept = measure(dataclasses.replace(case(), least_ratio=1e-9, limit_cpu_s=60.0))
    assert kept["within_limit"] is True
    assert "within the limit of 60 CPU s and a ratio of at least 1e-09" in table([kept])


def test_memory_beside_a_peer_is_bounded_by_a_share(sides):
    (sides / "held.py").write_text(
        "import numpy as np\n"
        "def made(extra):\n    return lambda: {'x': np.zeros(3), '_extra_mb': extra}\n"
    )
    peer = Peer("numpy", "numpy", Call("held:made", {"extra": 100.0}))
    row = measure(Case("a", Call("held:made", {"extra": 20.0}), peer, Equal("x", 0.0),
                       most_extra_share=1 / 8))  # fmt: skip
    assert row["extra_share"] == 0.2
    assert row["within_limit"] is False


def test_a_peer_without_an_equality_check_is_refused(sides):
    with pytest.raises(ValueError, match="go together"):
        Case("a", Call("sides:ramp"), Peer("b", "numpy", Call("sides:ramp")))


def test_an_unknown_family_is_answered_with_the_known_ones(capsys):
    assert command.main(["nonsense"]) == 2
    said = capsys.readouterr().err
    assert "'nonsense'" in said
    assert "workflow" in said


def test_every_file_of_the_benchmarks_is_short():
    folder = Path(command.__file__).parent
    long = [p.name for p in folder.glob("*.py") if len(p.read_text().splitlines()) > 300]
    assert long == []


def test_the_time_of_a_step_is_shared_out_whole():
    from benchmarks import brainmae

    found = brainmae.shares(steps=1)
    assert sum(found.values()) == pytest.approx(1)
    assert found["matrix products"] > found["layer norms"] > 0

"""A whole run on tiny recordings: what it leaves, that it is done, and that it can be repeated."""

import json
import os
import re
import shutil

import pytest

from rheobase.cli import main
from workflow_runs import RHEOBASE, hashes, run


def test_stable_names_are_on_disk(finished):
    made = {
        str(p.relative_to(finished / "results"))
        for p in (finished / "results").rglob("*")
        if p.is_file()
    }
    fit = "rest/models/baseline/fold-0_seed-0"
    assert {
        "index.html",
        "rest/report.html",
        "rest/provenance.json",
        "rest/splits.json",
        "rest/recordings/sub-0.nc",
        "rest/qc/sub-0.json",
        "rest/qc/sub-0.nc",
        "rest/models/baseline/metrics.json",
        f"{fit}/arrays.nc",
        f"{fit}/weights.safetensors",
        f"{fit}/metrics.json",
        f"{fit}/run.json",
    } <= made
    hidden = {name for name in made if "/." in name and not name.endswith("/.snakemake_timestamp")}
    assert hidden == set()


def test_small_files_have_their_stable_shape(finished):
    results = finished / "results" / "rest"
    splits = json.loads((results / "splits.json").read_text())
    assert splits["folds"][0]["train"][0].keys() == {"recording", "start", "stop"}
    metrics = json.loads((results / "models/baseline/metrics.json").read_text())
    assert metrics.keys() >= {"dataset", "model", "family", "scores"}
    wanted = {"name", "unit", "higher_is_better", "fold", "seed", "value", "rivals", "chance"}
    assert metrics["scores"]
    assert all(score.keys() >= wanted for score in metrics["scores"])
    ran = json.loads((results / "models/baseline/fold-0_seed-0/run.json").read_text())
    assert ran.keys() >= {
        "seed",
        "device",
        "versions",
        "seconds",
        "peak_memory_mb",
        "config",
        "config_sha256",
    }


def test_provenance_says_what_was_typed_and_what_was_used(finished):
    told = json.loads((finished / "results/rest/provenance.json").read_text())
    assert told["command"] == "rheobase run c.yaml --cores 2"
    assert told["device"] == "auto"
    assert told["device_used"] == {"cpu": ["baseline"]}
    by_rule = {row["rule"]: row for row in told["cost_by_rule"]}
    assert list(by_rule) == ["preprocess", "split", "fit", "evaluate", "aggregate"]
    assert by_rule["fit"]["jobs"] == 2
    page = (finished / "results/rest/report.html").read_text()
    assert "Rules of the workflow for this dataset" in page
    assert "Device used" in page


def test_second_run_does_nothing_and_says_so(copied):
    before = hashes(copied / "results")
    done = run(copied, "c.yaml", "--cores", "2")
    assert done.returncode == 0
    assert "everything is up to date; nothing was run" in done.stderr
    assert hashes(copied / "results") == before


def test_reproduce_agrees_with_itself(finished):
    provenance = "results/rest/provenance.json"
    done = run(finished, provenance, "--cores", "2", command=[*RHEOBASE, "reproduce"])
    assert done.returncode == 0, done.stderr
    assert re.search(r"\b0 within 0\.001, 0 differ", done.stdout), done.stdout


def verified(folder, capsys, monkeypatch):
    """Return the exit code of ``rheobase verify`` in a folder, and what it said."""
    monkeypatch.chdir(folder)
    code = main(["verify"])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_verify_finds_nothing_wrong_with_a_good_run(finished, capsys, monkeypatch):
    code, out, err = verified(finished, capsys, monkeypatch)
    assert code == 0, err
    assert " 0 problems" in out


@pytest.mark.parametrize(
    "name",
    [
        "recordings/sub-1.nc",
        "models/baseline/fold-0_seed-0/arrays.nc",
        "splits.json",
        "qc/sub-2.json",
        "qc/sub-2.nc",
    ],
)
def test_verify_finds_one_flipped_byte(copied, name, capsys, monkeypatch):
    path = copied / "results" / "rest" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    stat = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    code, _, err = verified(copied, capsys, monkeypatch)
    assert code == 1
    assert name in err


def test_verify_finds_a_swapped_subject(copied, capsys, monkeypatch):
    folder = copied / "results" / "rest" / "recordings"
    shutil.copyfile(folder / "sub-1.nc", folder / "sub-2.nc")
    code, _, err = verified(copied, capsys, monkeypatch)
    assert code == 1
    assert "sub-2.nc is corrupt (it holds the recording 'sub-1')" in err

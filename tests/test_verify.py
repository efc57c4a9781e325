"""Damaged results are found and named, and what was made again is compared number by number."""

import json
import shutil

import numpy as np
import pytest
import xarray as xr
from safetensors.numpy import save_file

from rheobase.cli import main
from rheobase.stages.verify import compare, told_outputs
from rheobase.storage import file_sha256, write_dataset, write_json

FIT = "models/m/fold-0_seed-0"
SCORE = {"name": "r2", "fold": 0, "seed": 0, "value": 0.5, "rivals": {"last": 0.25}, "chance": 0.0}


def results(folder, name="one", **changes):
    """Write a dataset's results with one fit, and their provenance; return the dataset's folder."""
    made = folder / name
    write_json({"folds": 2}, made / "splits.json")
    score = {**SCORE, **changes.get("score", {})}
    write_json({"scores": [score]}, made / "models/m/metrics.json")
    write_json({"seconds": changes.get("seconds", 1.0)}, made / FIT / "run.json")
    values = np.arange(6.0) + changes.get("shift", 0.0)
    write_dataset(xr.Dataset({"map": ("unit", values)}), made / FIT / "arrays.nc")
    save_file({"w": (values * changes.get("scale", 1)).astype("f4")}, made / FIT / "w.part")
    (made / FIT / "w.part").rename(made / FIT / "weights.safetensors")
    write_json(provenance(made, name), made / "provenance.json")
    return made


def provenance(folder, name):
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "provenance.json")
    outputs = {f"results/{name}/{p.relative_to(folder)}": file_sha256(p) for p in files}
    return {"dataset": name, "config": {}, "outputs": outputs}


def said(capsys, *words):
    code = main([str(word) for word in words])
    told = capsys.readouterr()
    return code, told.out, told.err.splitlines()


def test_good_results_pass_as_a_whole_and_one_by_one(tmp_path, capsys, monkeypatch):
    made = results(tmp_path / "results")
    for folder in (tmp_path / "results", made):
        assert said(capsys, "verify", folder) == (0, "6 files checked, 0 problems\n", [])
    monkeypatch.chdir(made)
    assert said(capsys, "verify", ".")[0] == 0
    moved = shutil.copytree(made, tmp_path / "elsewhere" / "renamed")
    assert said(capsys, "verify", moved)[0] == 0


def test_changed_weights_are_found(tmp_path, capsys):
    made = results(tmp_path)
    (made / FIT / "weights.safetensors").write_bytes(b"other")
    code, _, lines = said(capsys, "verify", made)
    assert code == 1
    assert len(lines) == 1
    assert "weights.safetensors is not the file that the provenance names" in lines[0]


def test_missing_output_is_named(tmp_path, capsys):
    made = results(tmp_path)
    (made / "splits.json").unlink()
    code, _, lines = said(capsys, "verify", tmp_path)
    assert code == 1
    assert lines == [f"{made / 'splits.json'} is missing; run the workflow again"]


def test_empty_folder_is_not_fine(tmp_path, capsys):
    code, out, lines = said(capsys, "verify", tmp_path)
    assert code == 1
    assert out.startswith("0 files checked")
    assert lines == [f"{tmp_path} holds no results to check; name the folder of results"]


def test_dataset_without_provenance_is_named(tmp_path, capsys):
    results(tmp_path, "good")
    bad = results(tmp_path, "bad")
    (bad / "provenance.json").unlink()
    for folder in (tmp_path, bad):
        code, _, lines = said(capsys, "verify", folder)
        assert code == 1
        assert len(lines) == 1
        assert lines[0].startswith(f"{bad} has no provenance.json")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"a": 1}, "'dataset' is missing"),
        ([], "no table"),
        ({"dataset": "one", "config": {}, "outputs": []}, "'outputs'"),
        ({"dataset": "one", "config": {}, "outputs": {}}, "names no output"),
        ({"dataset": "one", "config": {}, "outputs": {"/etc/passwd": "x"}}, "not in results/one"),
        ({"dataset": "one", "config": {}, "outputs": {"results/one/a": 1}}, "no checksum"),
    ],
)
@pytest.mark.parametrize("command", ["verify", "reproduce"])
def test_malformed_provenance_is_one_sentence(tmp_path, capsys, command, content, why):
    path = results(tmp_path) / "provenance.json"
    path.write_text(json.dumps(content))
    code, _, lines = said(capsys, command, tmp_path if command == "verify" else path)
    assert code == 1
    assert len(lines) == 1
    assert why in lines[0]
    assert "defect" not in lines[0]


def test_provenance_that_is_no_json_is_one_sentence(tmp_path, capsys):
    path = results(tmp_path) / "provenance.json"
    path.write_text("{")
    for words in (("verify", tmp_path), ("reproduce", path)):
        code, _, lines = said(capsys, *words)
        assert code == 1
        assert len(lines) == 1
        assert "provenance.json is corrupt" in lines[0]


def test_provenance_without_a_place_for_data_is_one_sentence(tmp_path, capsys):
    path = results(tmp_path) / "provenance.json"
    code, _, lines = said(capsys, "reproduce", path)
    assert code == 1
    assert lines == [f"rheobase: {path} has no data_dir in its config; run the workflow again"]


def compared(tmp_path, **changes):
    """Return what comparing one run with another, changed one, finds of each file."""
    old, new = results(tmp_path / "old"), results(tmp_path / "new", **changes)
    content = json.loads((old / "provenance.json").read_text())
    names = [str(p.relative_to(old)) for p in told_outputs(content, old)]
    return dict(zip(names, compare(old, new, content), strict=True))


def test_same_files_agree_exactly_but_for_times(tmp_path):
    found = compared(tmp_path, seconds=2.0)
    assert found.pop(f"{FIT}/run.json") == ("skipped", "")
    assert set(found.values()) == {("exact", "")}


def test_arrays_and_weights_may_differ_within_the_tolerance(tmp_path):
    found = compared(tmp_path, shift=1e-4)
    assert found[f"{FIT}/arrays.nc"] == ("close", "")
    assert found[f"{FIT}/weights.safetensors"] == ("close", "")
    assert found["models/m/metrics.json"] == ("exact", "")


def test_arrays_and_weights_that_differ_are_named_with_how_much(tmp_path):
    found = compared(tmp_path, shift=0.1)
    kind, text = found[f"{FIT}/arrays.nc"]
    assert kind == "differs"
    assert text == f"{FIT}/arrays.nc: map differs by up to 0.1; its largest value is 5"
    assert found[f"{FIT}/weights.safetensors"][0] == "differs"


@pytest.mark.parametrize(
    ("score", "text"),
    [
        ({"value": 0.6}, "value was 0.5 and is 0.6"),
        ({"rivals": {"last": 0.3}}, "rivals: last was 0.25 and is 0.3"),
        ({"rivals": {"mean": 0.25}}, "rivals: last is in one of the two only"),
        ({"chance": 0.1}, "chance was 0 and is 0.1"),
    ],
)
def test_scores_rivals_and_chance_that_differ_are_named(tmp_path, score, text):
    kind, told = compared(tmp_path, score=score)["models/m/metrics.json"]
    assert kind == "differs"
    assert told == f"models/m/metrics.json: scores r2, fold 0, seed 0: {text}"


def test_scores_may_differ_within_the_tolerance(tmp_path):
    found = compared(tmp_path, score={"value": 0.5001, "rivals": {"last": 0.2501}})
    assert found["models/m/metrics.json"] == ("close", "")

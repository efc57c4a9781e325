"""A wrong config gives all its errors at once, each with file, line, key, value and remedy."""

import copy
import shutil
from pathlib import Path

import pytest

from good_config import GOOD, replaced
from nilearn_files import serve
from rheobase import config as settings
from rheobase.config.entries import from_table, recording_name
from rheobase.config.schema import schema
from rheobase.stages.tables import write_tables

ROOT = Path(__file__).resolve().parents[1]


def problems(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(settings.ConfigError) as caught:
        settings.parse(settings.read(path), [path])
    return [p.removeprefix(f"{tmp_path}/") for p in caught.value.problems]


def test_good_config_is_filled_with_defaults(good):
    parsed = settings.parse(good)
    rest = parsed.datasets["rest"]
    assert parsed.seeds == (0, 1, 2)
    assert rest.sampling_rate_hz == 0.5
    assert rest.preprocess["detrend"] == "linear"
    assert rest.preprocess["standardise"] == "zscore"
    assert [entry.name for entry in rest.recordings] == ["sub-01", "sub-02", "sub-03"]


def test_splitting_by_time_never_standardises_over_the_test_part(good):
    good["datasets"]["rest"]["split"] = {"by": "time", "folds": 2}
    assert settings.parse(good).datasets["rest"].preprocess["standardise"] == "none"
    good["datasets"]["rest"]["preprocess"] = {"standardise": "zscore"}
    with pytest.raises(settings.ConfigError, match="models scale on their training part"):
        settings.parse(good)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "modality: fmri",
            "modality: fmrii",
            "c.yaml:4: datasets.rest.modality: 'fmrii' is not one of fmri, calcium, emg, "
            "series (did you mean 'fmri'?)",
        ),
        (
            "models: [baseline]",
            "models: [basline]",
            "c.yaml:10: datasets.rest.models.0: no model is called 'basline' (did you mean "
            "'baseline'?)",
        ),
        (
            "folds: 3",
            "folds: 4",
            "c.yaml:9: datasets.rest.split.folds: 4 folds need 4 subjects; there are 3",
        ),
        (
            "{subject}",
            "{subjct}",
            "c.yaml:5: datasets.rest.source.path: '{data_dir}/{subjct}.npy' names {subjct}, "
            "which is none of "
            "data_dir, subject",
        ),
        (
            "/{subject}.npy",
            "/all.npy",
            "c.yaml:5: datasets.rest.source.path: 3 recordings share the file",
        ),
        (
            ", orientation: time_first",
            "",
            "c.yaml:7: datasets.rest.reader: format npy needs `orientation: time_first` or "
            "`time_last`; it is never guessed",
        ),
        (
            "    repetition_time_s: 2.0\n",
            "",
            "c.yaml:3: datasets.rest: the sampling rate is missing",
        ),
        ("repetition_time_s: 2.0", "repetition_time_s: 2e0", "write exponents with a dot"),
        ('["01", "02", "03"]', "[01, 02, 03]", 'is not of type string; put it in quotes: "01"'),
        ('["01", "02", "03"]', '["01", "0-1", "03"]', "2 recordings would be called 'sub-01'"),
        (
            "family: linear",
            "family: linear, parms: {}",
            "models.baseline.parms: unknown key (did you mean 'params'?)",
        ),
        (
            "by: subject, folds: 3",
            "by: subject, folds: 3, gap_s: 5",
            "gap_s belongs to a split by time only",
        ),
        ("by: subject", "by: session", "recording sub-01 has no 'session'"),
        ("family: linear", "family: linear, on: nothing", "no model is called 'nothing'"),
        ("family: linear", "family: linear, on: baseline", "run on each other in a circle"),
        (
            "models: [baseline]",
            "models: [baseline]\n    preprocess: {band_hz: [0.01, 0.3]}",
            "the edge 0.3 Hz must be below half the sampling rate, 0.25 Hz",
        ),
        (
            "models: [baseline]",
            "models: [baseline]\n    preprocess: {notch_hz: 50}",
            "notch_hz: unknown key",
        ),
        (
            "models: [baseline]",
            "models: [baseline]\n    label: {name: group, kind: class}",
            "'group' is no entity",
        ),
        ("  rest:", "  benchmarks:", "'benchmarks' cannot be a name"),
        ("kind: path", "kind: package", "the key 'sha256' is missing"),
        ("modality: fmri", "modality: emg", "emg needs uV, mV, V or count"),
        (
            "repetition_time_s: 2.0",
            "sampling_rate_hz: 2.0\n    time_unit: frame",
            "set sampling_rate_hz: 1",
        ),
    ],
)
def test_every_mistake_is_named(tmp_path, old, new, expected):
    assert any(expected in problem for problem in problems(tmp_path, replaced(GOOD, (old, new))))


def test_all_errors_come_at_once(tmp_path):
    text = replaced(
        GOOD, ("modality: fmri", "modality: fmrii"), ("family: linear", "famly: linear")
    )
    assert len(problems(tmp_path, text)) >= 3


def test_wrong_yaml_names_its_line(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("datasets:\n  a: [1, 2\nmodels: {}\n")
    with pytest.raises(settings.ConfigError, match=r"c\.yaml:3: not valid YAML"):
        settings.read(path)


def test_key_given_twice_is_refused(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("seeds: [0]\nseeds: [1]\n")
    with pytest.raises(settings.ConfigError, match="duplicate key"):
        settings.read(path)


def test_table_rows_become_recordings_with_labels(tmp_path):
    (tmp_path / "scans.tsv").write_text(
        "subject\tsession\tgroup\nsub-006\tses-1\tpatient\nNAP_001\t2\tcontrol\n"
    )
    first, second = from_table(tmp_path / "scans.tsv")
    assert (first.name, first.labels) == ("sub-006_ses-1", {"group": "patient"})
    assert (second.name, second.entities["subject"]) == ("sub-NAP001_ses-2", "NAP_001")


def test_ragged_table_names_its_row(tmp_path):
    (tmp_path / "scans.tsv").write_text("subject\tgroup\n01\tpatient\n02\n")
    with pytest.raises(ValueError, match=r"scans\.tsv:3"):
        from_table(tmp_path / "scans.tsv")


def test_a_table_with_commas_is_told_what_it_lacks(tmp_path):
    (tmp_path / "people.csv").write_text("subject,group\na,x\n")
    with pytest.raises(ValueError, match="set apart by ',', save it with tabs"):
        from_table(tmp_path / "people.csv")


def tabled(tmp_path, monkeypatch, name="scans.tsv"):
    """Return a config of the folder ``study`` that names a table, read from the folder above."""
    (tmp_path / "study").mkdir()
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "study" / "c.yaml"
    path.write_text(replaced(GOOD, ('entities: {subject: ["01", "02", "03"]}', f"table: {name}")))
    return path


ROWS = "subject\n01\n02\n03\n"


def test_table_beside_the_config_is_found_and_its_place_told_to_jobs(tmp_path, monkeypatch):
    path = tabled(tmp_path, monkeypatch)
    (tmp_path / "study" / "scans.tsv").write_text(ROWS)
    rest = settings.parse(settings.read(path), [path]).datasets["rest"]
    assert rest.raw["table"] == "study/scans.tsv"
    again = settings.parse_dataset("rest", rest.raw, data_dir=Path())
    assert [entry.name for entry in again.recordings] == ["sub-01", "sub-02", "sub-03"]


def test_table_of_the_working_folder_keeps_its_name(tmp_path, monkeypatch):
    path = tabled(tmp_path, monkeypatch)
    (tmp_path / "scans.tsv").write_text(ROWS)
    assert settings.parse(settings.read(path), [path]).datasets["rest"].raw["table"] == "scans.tsv"


def test_missing_table_says_where_it_was_looked_for(tmp_path, monkeypatch):
    path = tabled(tmp_path, monkeypatch)
    with pytest.raises(settings.ConfigError) as caught:
        settings.parse(settings.read(path), [path])
    for folder in (tmp_path, tmp_path / "study"):
        assert str(folder / "scans.tsv") in caught.value.problems[0]


def test_two_tables_are_never_chosen_between(tmp_path, monkeypatch):
    path = tabled(tmp_path, monkeypatch)
    for folder in (tmp_path, tmp_path / "study"):
        (folder / "scans.tsv").write_text(ROWS)
    with pytest.raises(settings.ConfigError, match="could be .* write the full path"):
        settings.parse(settings.read(path), [path])


def test_names_follow_the_order_of_bids():
    assert (
        recording_name({"run": "2", "subject": "A_1", "zoom": "x", "task": "rest"})
        == "sub-A1_task-rest_run-2_zoom-x"
    )


def test_excluded_recording_is_left_out_with_its_reason(good):
    good["datasets"]["rest"]["exclude"] = {"sub-02": "fell asleep"}
    good["datasets"]["rest"]["split"]["folds"] = 2
    rest = settings.parse(good).datasets["rest"]
    assert [e.name for e in rest.recordings] == ["sub-01", "sub-03"]
    good["datasets"]["rest"]["exclude"] = {"sub-9": "typo"}
    with pytest.raises(settings.ConfigError, match="no recording is called 'sub-9'"):
        settings.parse(good)


def test_environment_overrides_the_data_folder(good, monkeypatch):
    monkeypatch.setenv("RHEOBASE_DATA", "/elsewhere")
    assert settings.parse(good).data_dir == Path("/elsewhere")


def test_parsing_leaves_the_given_config_alone(good):
    before = copy.deepcopy(good)
    settings.parse(good)
    assert good == before


@pytest.mark.parametrize("path", sorted((ROOT / "config").rglob("*.yaml")), ids=lambda p: p.stem)
def test_shipped_configs_are_right(path, tmp_path, monkeypatch):
    files = [path]
    if path.stem in ("abide_pcp", "development_fmri"):  # `rheobase table` writes who is in them
        serve(monkeypatch, people=155)
        monkeypatch.setenv("RHEOBASE_DOWNLOADS", str(tmp_path))
        files.append(Path(shutil.copy(path, tmp_path)))
        write_tables(files[-1])
    assert settings.parse(settings.read(path), files).datasets


def keys_of(part):
    for name, inner in part.get("properties", {}).items():
        yield name
        yield from keys_of(inner)
    for rule in (*part.get("allOf", []), *part.get("oneOf", [])):
        yield from keys_of(rule.get("then", rule))
    if isinstance(part.get("additionalProperties"), dict):
        yield from keys_of(part["additionalProperties"])


def test_every_key_is_explained_in_the_readme():
    text = (ROOT / "config" / "README.md").read_text()
    whole = schema()
    keys = {key for part in (whole, *whole["$defs"].values()) for key in keys_of(part)}
    explained = {
        cell
        for row in text.splitlines()
        if row.startswith("| `")
        for cell in row.split("`")[1::2][:1]
    }
    assert {
        key for key in keys if key not in {name.rpartition(".")[2] for name in explained}
    } == set()
    assert {name.rpartition(".")[2] for name in explained} - keys == set()

"""What is refused before anything is computed: all errors at once, and rates that nothing has."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from good_config import GOOD, replaced
from rheobase import cli
from rheobase import config as settings
from rheobase.config.read import marked
from rheobase.io.raw import Raw
from rheobase.preprocess.clean import clean
from rheobase.stages.check import checked


@pytest.fixture(autouse=True)
def _there(tmp_path, monkeypatch):
    """Let the three recordings be there."""
    marked.cache_clear()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RHEOBASE_DATA", raising=False)
    Path("data").mkdir()
    for subject in ("01", "02", "03"):
        Path(f"data/{subject}.npy").touch()


def problems(text, **keywords):
    Path("c.yaml").write_text(text)
    with pytest.raises(settings.ConfigError) as caught:
        checked(Path("c.yaml"), **keywords)
    return caught.value.problems


def test_errors_of_every_kind_come_at_once_in_the_order_of_lines():
    text = replaced(
        GOOD,
        ("  baseline: {family: linear}", "  baseline: {family: lineer}\n  other: {family: linear}"),
        ("datasets:", "device: gpu\ndatasets:"),
        (", orientation: time_first", ""),
    )
    text += """  fitted: {family: linear, params: {ridg: 1}}
  a: {family: linear, on: b}
  b: {family: linear, on: a}
  odd: {family: linear, sedes: [1]}
"""
    second = """
  twice:
    modality: emgg
    source: {kind: path, path: "{data_dir}/{subject}.npy"}
    entities: {subject: ["01"]}
    split: {by: time}
    models: [baseline]
models:"""
    found = problems(replaced(text, ("\nmodels:", second)))
    for part in (
        "device: 'gpu' is not one of",
        "format npy needs `orientation",
        "twice.modality: 'emgg' is not one of",
        "no family is called 'lineer'",
        "ridg",
        "the models run on each other in a circle: a -> b -> a",
        "models.odd.sedes: unknown key (did you mean 'seeds'?)",
    ):
        assert any(part in problem for problem in found), part
    numbers = [int(problem.split(":")[1]) for problem in found]
    assert numbers == sorted(numbers)


def test_a_broken_model_is_no_unknown_model():
    found = problems(replaced(GOOD, ("family: linear", "famly: linear")))
    assert any("famly" in problem for problem in found)
    assert not any("no model is called" in problem for problem in found)


@pytest.mark.parametrize("tag", ["!!python/object:os.system", "!mine"])
def test_an_unknown_tag_is_one_sentence_and_exit_code_2(tag, capsys):
    Path("c.yaml").write_text(replaced(GOOD, ("modality: fmri", f"modality: {tag} x")))
    assert cli.main(["check", "c.yaml"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("rheobase: c.yaml:4: not ")


@pytest.mark.parametrize("name", ["2024", "yes", "2026-01-01", "1.5", "null"])
def test_a_dataset_or_model_that_is_no_text_is_to_be_quoted(name, capsys):
    Path("c.yaml").write_text(replaced(GOOD, ("  rest:", f"  {name}:")))
    assert cli.main(["check", "c.yaml"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("rheobase: c.yaml:3: datasets.")
    assert said[0].endswith("is no text; put it in quotes and begin with a letter")


def test_a_key_that_is_no_text_is_to_be_quoted_wherever_it_stands():
    text = replaced(
        GOOD, ("time_first}", "time_first, 1: 2}"), ("{subject: [", "{1: [x], subject: [")
    )
    found = problems(text)
    assert any("c.yaml:7: datasets.rest.reader.1: the key 1 is no text; put" in p for p in found)
    assert any("c.yaml:6: datasets.rest.entities.1: the key 1 is no text; put" in p for p in found)


@pytest.mark.parametrize(
    "text", ["a: &x [*x]\n", "a: &x {b: *x}\n", "a: " + "[" * 1500 + "]" * 1500]
)
def test_an_alias_inside_its_own_anchor_is_one_sentence_and_exit_code_2(text, capsys):
    Path("c.yaml").write_text(GOOD + text)
    assert cli.main(["check", "c.yaml"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("rheobase: c.yaml: nested deeper than 40 levels, or an alias")


def test_a_date_that_does_not_exist_is_one_sentence_and_exit_code_2(capsys):
    Path("c.yaml").write_text(replaced(GOOD, ("modality: fmri", "modality: 2026-13-45")))
    assert cli.main(["check", "c.yaml"]) == 2
    assert "c.yaml: not plain YAML (month must be in 1..12" in capsys.readouterr().err


def test_a_missing_file_is_named_and_does_not_stop_a_run(capsys):
    Path("data/02.npy").unlink()
    Path("c.yaml").write_text(GOOD)
    assert cli.main(["check", "c.yaml"]) == 2
    assert "source.path: 1 of the 3 files do not exist (data/02.npy);" in capsys.readouterr().err
    assert checked(Path("c.yaml")).datasets
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("kind: path, path: ", "kind: url, url: ", "sub-01 has no checksum (3 of 3 recordings)"),
        (
            'kind: path, path: "{data_dir}/',
            'kind: url, url: "ftp://host/',
            "'ftp://host/{subject}.npy' is no http:// or https:// address",
        ),
        ("time_s: 2.0", "time_s: .nan", "repetition_time_s: nan is no finite number"),
        ("time_s: 2.0", "time_s: .inf", "repetition_time_s: inf is no finite number"),
        ('"02"', '"../02"', "subject '../02' holds / or .., which leads to another folder"),
        ("time_s: 2.0", "time_s: 2.0e0", "write exponents with a dot and a sign (2.0e+0)"),
        ("time_s: 2.0", "time_s: 2e0", "write exponents with a dot and a sign (2.0e+0)"),
        ('["01", "02", "03"]', "[010, 02, 03]", 'put it in quotes: "010"'),
    ],
)
def test_what_cannot_run_is_not_fine(old, new, expected):
    assert any(expected in problem for problem in problems(replaced(GOOD, (old, new))))


@pytest.mark.parametrize(
    ("modality", "rate", "expected"),
    [
        ("fmri", "sampling_rate_hz: 500", "a repetition time of 0.002 s is not one of fmri"),
        ("fmri", "sampling_rate_hz: 0.05", "a repetition time of 20 s is not one of fmri"),
        ("calcium", "sampling_rate_hz: 30000", "is above 1000 Hz, the limit for calcium"),
        ("calcium", "sampling_rate_hz: 0.01", "is below 0.05 Hz, the limit for calcium"),
        ("emg", "sampling_rate_hz: 1\n    units: uV", "is below 6 Hz, the limit for an EMG"),
    ],
)
def test_a_rate_that_no_recording_has_is_refused(modality, rate, expected):
    found = problems(
        replaced(GOOD, ("fmri", modality), ("repetition_time_s: 2.0", rate)), every_file=True
    )
    assert any("sampling_rate_hz: a " in problem and expected in problem for problem in found)


def test_counting_frames_needs_no_likely_rate(good):
    rest = good["datasets"]["rest"]
    del rest["repetition_time_s"]
    rest |= {"modality": "calcium", "sampling_rate_hz": 1, "time_unit": "frame"}
    assert settings.parse(good).datasets["rest"].time_unit == "frame"


def noise(rng):
    return 100 * (rng.normal(size=(20_000, 6)) + rng.normal(size=(20_000, 1)))


def made(signal, *, rate, own_rate=None):
    return clean(
        Raw(signal, tuple("abcdef"), units="uV", rate_hz=own_rate),
        modality="emg",
        rate=rate,
        time_unit="s",
        units=None,
        options={},
        name="sub-arm",
    )


def test_a_rate_that_no_emg_has_is_refused(rng):
    with pytest.raises(
        ValueError, match=r"sub-arm: a rate of 1 Hz is below 50 Hz, the limit for emg; Correct"
    ):
        made(noise(rng), rate=1.0)
    with pytest.raises(ValueError, match="is its time_column in ms"):
        made(noise(rng), rate=1.0, own_rate=1.0)


def test_an_envelope_may_be_slow_but_not_slower_than_muscles(rng):
    slow = made(np.abs(noise(rng)), rate=20.0)
    assert [step["step"] for step in slow.steps][:1] == ["no filter"]
    with pytest.raises(ValueError, match="2 Hz is below 6 Hz, the limit for an EMG envelope"):
        made(np.abs(noise(rng)), rate=2.0)


def test_muscle_over_motion_is_unknown_where_the_spectrum_ends_at_20_hz(rng):
    slow = made(np.abs(noise(rng)), rate=20.0)
    assert slow.qc["metrics"]["smr_median_db"] is None


def test_a_missing_modality_does_not_make_other_keys_wrong():
    found = problems(replaced(GOOD, ("    modality: fmri\n", "")))
    assert [problem.partition(": ")[2][:55] for problem in found] == [
        "datasets.rest: the key 'modality' is missing (what was "
    ]


def test_a_dataset_without_any_file_does_not_stop_the_others(capsys):
    config = yaml.safe_load(GOOD)
    other = {**config["datasets"]["rest"], "source": {"kind": "path", "path": "no/{subject}.npy"}}
    config["datasets"]["gone"] = other
    Path("c.yaml").write_text(yaml.safe_dump(config))
    assert set(checked(Path("c.yaml")).datasets) == {"rest", "gone"}
    assert cli.main(["check", "c.yaml"]) == 2
    assert "datasets.gone.source.path: none of the 3 files exists" in capsys.readouterr().err
    del config["datasets"]["rest"]
    Path("c.yaml").write_text(yaml.safe_dump(config))
    assert cli.main(["run", "c.yaml"]) == 2


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ("penalties: 3", "penalties is 3; it must be a list of numbers"),
        ("permutations: 1000000000", "permutations is 1000000000, above the limit 100000; lower"),
        ("order: two", "order is 'two'; it must be a whole number"),
    ],
)
def test_a_parameter_that_no_fit_can_use_is_refused(params, said):
    text = replaced(GOOD, ("family: linear", f"family: linear, params: {{{params}}}"))
    assert f"c.yaml:12: models.baseline: linear: {said}" in problems(text)[0]

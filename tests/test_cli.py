"""Exit codes, one sentence on stderr, nothing heavy before it is needed."""

import logging
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from rheobase.cli import main

HEAVY = {"torch", "nilearn", "mne", "xarray", "scipy", "pandas", "matplotlib", "sklearn", "numpy"}


def rheobase(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "rheobase", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )


def test_help_imports_nothing_heavy():
    code = (
        "import sys, contextlib, io\n"
        "from rheobase.cli import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()): "
        "main(['--help'])\n"
        "print(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_planning_imports_nothing_heavy():
    code = "import sys; import rheobase.stages.plan; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


def test_wrong_config_exits_with_2_and_one_line_an_error(tmp_path):
    (tmp_path / "c.yaml").write_text("datasets: {}\nmodls: {}\n")
    done = rheobase("check", tmp_path / "c.yaml")
    assert done.returncode == 2
    assert all(line.startswith("rheobase: ") for line in done.stderr.splitlines())
    assert "did you mean 'models'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_missing_config_exits_with_2(tmp_path):
    done = rheobase("check", tmp_path / "none.yaml")
    assert done.returncode == 2
    assert "cannot be read" in done.stderr


def test_wrong_usage_exits_with_2():
    assert rheobase("nonsense").returncode == 2


def test_missing_results_exit_with_1(tmp_path):
    done = rheobase("verify", tmp_path / "none")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


def test_unknown_parameter_names_the_known_ones(tmp_path, capsys):
    (tmp_path / "c.yaml").write_text(
        "datasets: "
        "{a: {modality: fmri, source: {kind: path, path: 'x/{subject}.npy'}, "
        "entities: {subject: [a, b]}, "
        "reader: {format: npy, orientation: time_first}, repetition_time_s: 2, split: "
        "{by: subject}, models: [m]}}\n"
        "models: {m: {family: linear, params: {permutation: 3}}}\n"
    )
    assert main(["check", str(tmp_path / "c.yaml")]) == 2
    assert (
        "unknown parameter 'permutation' (did you mean 'permutations'?)" in capsys.readouterr().err
    )


def test_traceback_goes_to_the_log_and_the_sentence_to_stderr(tmp_path):
    log = tmp_path / "x.log"
    done = rheobase("split", "--spec", "{", "--log", log)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Traceback" in log.read_text()
    assert log.read_text().splitlines()[-1].startswith("error: ")


def test_models_lists_every_family(capsys):
    from rheobase.models.base import FAMILIES

    assert main(["models"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in FAMILIES)


@pytest.mark.parametrize("command", ["fit", "evaluate"])
def test_rule_commands_say_what_they_need(command):
    done = rheobase(command)
    assert done.returncode == 2
    assert "--model" in done.stderr


def test_defect_names_its_place_and_no_option_that_is_not_there(monkeypatch, capsys):
    from rheobase.stages import check

    monkeypatch.setattr(check, "table", lambda: {}["x"])
    assert main(["models"]) == 1
    said = capsys.readouterr().err
    assert "--log" not in said
    assert "test_cli.py:" in said


def told(**fields) -> logging.LogRecord:
    """Return a record as Snakemake sends it."""
    return logging.makeLogRecord(fields)


def logger():
    import snakemake_logger_plugin_rheobase as plugin

    handler = plugin.LogHandler.__new__(plugin.LogHandler)
    settings: Any = SimpleNamespace(dryrun=False)
    handler.common_settings = settings
    handler.__post_init__()
    return handler


def progress(capsys, *events, **planned):
    """Return what the progress logger says last; times stand still, so a fit takes 100 s."""
    handler = logger()
    handler._plan(told(stats=planned))
    for number, (rule, fate, wildcards) in enumerate(events):
        handler._start(told(rule_name=rule, wildcards=wildcards, jobid=number))
        handler.jobs[number] = replace(handler.jobs[number], start=time.monotonic() - 100)
        (handler._finish if fate == "done" else handler._fail)(number)
    return capsys.readouterr().err.splitlines()[-1]


def a_fit(fold):
    return {"dataset": "d", "model": "m", "fold": fold, "seed": 0}


def test_time_left_is_an_estimate_while_nothing_failed(capsys):
    said = progress(capsys, ("fit", "done", a_fit(0)), fit=5, evaluate=5)
    assert said.endswith("   about 15 min left")


def test_time_left_drops_what_a_failed_fit_takes_along(capsys):
    events = ("fit", "failed", a_fit(0)), ("fit", "done", a_fit(1))
    said = progress(capsys, *events, fit=3, evaluate=3, aggregate=1, report=1, index=1)
    assert said.endswith("   at most about 5 min left")


def test_retried_job_counts_again(capsys):
    handler = logger()
    record = told(rule_name="fit", wildcards=a_fit(0), jobid=1)
    handler._start(record)
    handler._fail(1)
    handler._start(record)
    assert handler.failed == {}

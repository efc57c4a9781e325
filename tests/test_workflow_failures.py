"""Mistakes, failing jobs, crashes and damage: each is named, and costs nothing else."""

import json
import os
import re
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

from workflow_runs import (
    LINEAR,
    RHEOBASE,
    SNAKEMAKE,
    change,
    environment,
    hashes,
    run,
    series,
    tiny,
)

BAD = {"2": r"sub-2: region 2 holds NaN .*/2\.npy\)", "3": r"3\.npy does not exist"}
"""What is said of each subject whose recording is bad."""
SHORT = r"sub-\d: its longest unbroken stretch .* the longest horizon needs 502"
"""What is said of a model that looks further ahead than the recordings last."""


@pytest.fixture(scope="module")
def failing(tmp_path_factory):
    """Return the folder of a run in which one dataset was good, and the run as it ended."""
    folder = tmp_path_factory.mktemp("failing")
    path = tiny(folder, good=["baseline", "again"], rest=["baseline"], hasty=["baseline", "late"])

    def edit(config):
        config["models"]["again"] = {**LINEAR, "on": "baseline"}
        config["models"]["late"] = {"family": "linear", "params": {"horizons": [500]}}

    change(path, edit)
    signal = series(2)
    signal[5, 2] = np.nan
    np.save(folder / "in" / "rest" / "2.npy", signal)
    (folder / "in" / "rest" / "3.npy").unlink()
    return folder, run(folder, path, "--cores", "2")


def scores(folder, dataset, model):
    path = folder / "results" / dataset / "models" / model / "metrics.json"
    return json.loads(path.read_text())["scores"]


def page(folder, dataset):
    return (folder / "results" / dataset / "report.html").read_text()


def test_every_failure_is_one_sentence(failing):
    _, done = failing
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if line.startswith("rheobase: ")]
    expected = [*BAD.values(), SHORT, SHORT]
    assert len(said) == len(expected), said
    for sentence in expected:
        assert len([s for s in said if re.search(sentence, s)]) == expected.count(sentence), said
    assert "Traceback" not in done.stderr


def test_the_other_dataset_finishes(failing):
    folder, _ = failing
    assert "Failed jobs" not in page(folder, "good")
    assert scores(folder, "good", "baseline")


def test_bad_recordings_are_named_in_the_report_and_nothing_is_fitted(failing):
    folder, _ = failing
    for sentence in BAD.values():
        assert re.search(sentence, page(folder, "rest"))
    assert not (folder / "results" / "rest" / "models").exists()


def test_failing_model_is_named_in_the_report_and_the_other_is_scored(failing):
    folder, _ = failing
    failed = re.findall(r"<strong>([^<]+)</strong>: ([^<]+)</p>", page(folder, "hasty"))
    assert len(failed) == 2
    for job, message in failed:
        assert "late" in job
        assert re.search(SHORT, message)
    assert scores(folder, "hasty", "baseline")


def test_model_on_another_models_output_runs_on_the_same_fold(failing):
    folder, _ = failing

    def forecast(model):
        found = [s for s in scores(folder, "good", model) if s["name"] == "forecast_r2_h1"]
        assert {s["fold"] for s in found} == {0, 1}
        return np.mean([s["value"] for s in found])

    assert forecast("baseline") > 0.2
    assert abs(forecast("again")) < 0.1


def test_wrong_config_starts_no_job(tmp_path):
    config = tiny(tmp_path)
    change(config, lambda c: c["models"]["baseline"].update(family="lineal"))
    done = run(tmp_path, config)
    assert done.returncode == 2
    assert "did you mean 'linear'?" in done.stderr
    plain = run(tmp_path, "--cores", "1", "--configfile", config, command=SNAKEMAKE)
    assert plain.returncode == 1
    assert "did you mean 'linear'?" in plain.stderr
    assert not (tmp_path / "results" / "rest").exists()


def test_corrupted_recording_is_named_and_never_used(copied):
    path = copied / "results" / "rest" / "recordings" / "sub-1.nc"
    path.write_bytes(path.read_bytes()[:-200])
    shutil.rmtree(copied / "results" / "rest" / "models")
    os.utime(path, ns=(0, 0))
    done = run(copied, "c.yaml", "--cores", "2")
    assert done.returncode == 1
    assert "sub-1.nc is corrupt" in done.stderr
    assert "delete it and run again" in done.stderr
    assert not (copied / "results/rest/models/baseline/metrics.json").exists()


def killed_once_a_fit_is_there(folder):
    """Start a run on one core and kill it; returns its command."""
    command = [*RHEOBASE, "run", "c.yaml", "--cores", "1"]
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment(),
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as started:
        deadline = time.monotonic() + 300
        while not list(folder.glob("results/rest/models/*/*/run.json")):
            assert time.monotonic() < deadline
            assert started.poll() is None
            time.sleep(0.05)
        os.killpg(started.pid, signal.SIGKILL)
    return command


def test_mended_and_killed_run_goes_on_and_ends_like_one_on_two_cores(failing, finished, tmp_path):
    folder = shutil.copytree(failing[0], tmp_path / "run", symlinks=True)
    for subject in BAD:
        np.save(folder / "in" / "rest" / f"{subject}.npy", series(int(subject)))
    shutil.copyfile(finished / "c.yaml", folder / "c.yaml")
    again = run(folder, command=killed_once_a_fit_is_there(folder))
    assert again.returncode == 0, again.stderr
    assert "a stopped run left a lock" in again.stderr
    assert "Failed jobs" not in page(folder, "rest")
    assert hashes(folder / "results" / "rest") == hashes(finished / "results" / "rest")

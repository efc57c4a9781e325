"""The workflow as a user meets it: whole runs on tiny recordings, mistakes, crashes, edits."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from rheobase.storage import file_sha256

ROOT = Path(__file__).resolve().parents[1]
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]


def environment():
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }


def run(folder, *arguments, command=(sys.executable, "-m", "rheobase", "run"), **options):
    return subprocess.run(
        [*command, *map(str, arguments)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def series(subject, samples=240, units=6):
    rng = np.random.default_rng(subject)
    mixing = 0.5 * np.roll(np.eye(units), 1, axis=1) + 0.3 * np.eye(units)
    made = np.zeros((samples, units))
    for t in range(1, samples):
        made[t] = mixing @ made[t - 1] + rng.normal(size=units)
    return made + 100


def tiny(folder, *names, subjects=4):
    """Write recordings and a config with one small dataset a name; return the config's path."""
    datasets = {}
    for name in names or ("rest",):
        (folder / "in" / name).mkdir(parents=True)
        for subject in range(subjects):
            np.save(folder / "in" / name / f"{subject}.npy", series(subject))
        datasets[name] = {
            "modality": "fmri",
            "source": {"kind": "path", "path": f"in/{name}/{{subject}}.npy"},
            "entities": {"subject": [str(s) for s in range(subjects)]},
            "reader": {"format": "npy", "orientation": "time_first"},
            "repetition_time_s": 2.0,
            "split": {"by": "subject", "folds": 2},
            "models": ["baseline"],
        }
    config = {
        "seeds": [0],
        "datasets": datasets,
        "models": {"baseline": {"family": "linear", "params": {"permutations": 20}}},
    }
    (folder / "c.yaml").write_text(yaml.safe_dump(config))
    return folder / "c.yaml"


def change(path, **keys):
    config = yaml.safe_load(path.read_text())
    config.update(keys)
    path.write_text(yaml.safe_dump(config))


def hashes(folder):
    """Return the checksums of all results that do not hold a time."""
    timed = {
        "run.json",
        "provenance.json",
        "report.html",
        "index.html",
        ".lock",
        ".snakemake_timestamp",
    }
    files = [p for p in (folder / "results").rglob("*") if p.is_file() and p.name not in timed]
    return {str(p.relative_to(folder)): file_sha256(p) for p in files}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return a folder in which the tiny workflow ran once."""
    folder = tmp_path_factory.mktemp("finished")
    config = tiny(folder)
    done = run(folder, config, "--cores", "2")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def copied(finished, tmp_path):
    """Return a copy of the finished run, with its time stamps, that a test may spoil."""
    shutil.copytree(finished, tmp_path / "run", symlinks=True)
    return tmp_path / "run"


def test_plain_snakemake_plans_the_demonstration():
    done = run(ROOT, "-n", "--quiet", "rules", command=SNAKEMAKE)
    assert done.returncode == 0, done.stderr
    text = done.stdout + done.stderr
    assert re.search(r"^fit\s+10$", text, re.M) or "Nothing to be done" in text


def test_own_config_runs_only_what_it_names(finished):
    done = run(finished, "-n", "--forceall", "--configfile", "c.yaml", command=SNAKEMAKE)
    assert "results/rest/report.html" in done.stdout + done.stderr
    assert "hcp_rest" not in done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "config").rglob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_config_can_be_planned(path, tmp_path):
    (tmp_path / "config").symlink_to(ROOT / "config")
    done = run(tmp_path, "-n", "--quiet", "--configfile", path, command=SNAKEMAKE)
    assert done.returncode == 0, done.stderr


def test_linter_finds_nothing():
    assert run(ROOT, "--lint", command=SNAKEMAKE).returncode == 0


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


def test_second_run_does_nothing_and_says_so(copied):
    before = hashes(copied)
    done = run(copied, "c.yaml", "--cores", "2")
    assert done.returncode == 0
    assert "everything is up to date; nothing was run" in done.stderr
    assert hashes(copied) == before


def test_two_runs_give_identical_results(finished, tmp_path):
    tiny(tmp_path)
    assert run(tmp_path, "c.yaml", "--cores", "1").returncode == 0
    assert hashes(tmp_path) == hashes(finished)


def test_changed_parameter_runs_that_model_alone(copied):
    change(
        copied / "c.yaml", models={"baseline": {"family": "linear", "params": {"permutations": 30}}}
    )
    done = run(copied, "c.yaml", "--dry-run")
    planned = done.stderr + done.stdout
    assert "preprocess" not in planned
    counts = re.search(r"(\d+) jobs to do", planned)
    assert counts
    assert int(counts[1]) == 2 + 2 + 1 + 1 + 1 + 1


def planned(folder):
    """Return how many jobs of each rule would run, lots of preprocessing counted together."""
    done = run(folder, "-n", "--cores", "1", "--configfile", "c.yaml", command=SNAKEMAKE)
    assert done.returncode == 0, done.stderr
    table = re.search(r"^job +count\n[- ]+\n(.*?)^total", done.stdout + done.stderr, re.M | re.S)
    found = {}
    for name, count in re.findall(r"^(\w+) +(\d+)$", table[1] if table else "", re.M):
        rule = name.partition("_")[0]
        found[rule] = found.get(rule, 0) + int(count)
    found.pop("default", None)
    return found


def test_changed_licence_writes_the_pages_alone(copied):
    config = yaml.safe_load((copied / "c.yaml").read_text())
    config["datasets"]["rest"].update(licence="CC0", citation=["A 2020"])
    change(copied / "c.yaml", datasets=config["datasets"])
    assert planned(copied) == {"provenance": 1, "report": 1, "index": 1}


def test_added_model_fits_that_model_alone(copied):
    config = yaml.safe_load((copied / "c.yaml").read_text())
    config["datasets"]["rest"]["models"] = ["baseline", "more"]
    config["models"]["more"] = {"family": "linear", "on": "baseline"}
    change(copied / "c.yaml", **config)
    pages = {"provenance": 1, "report": 1, "index": 1}
    assert planned(copied) == {"fit": 2, "evaluate": 2, "aggregate": 1, **pages}


def test_added_seed_fits_nothing_again_that_is_there(copied):
    path = copied / "c.yaml"
    config = yaml.safe_load(path.read_text())
    for seeds, fits in (([0], 0), ([0, 1], 0), ([1], 2)):
        config["models"]["baseline"]["seeds"] = seeds
        change(path, **config)
        assert planned(copied).get("fit", 0) == fits


def test_changed_folds_clean_no_recording_again(copied):
    config = yaml.safe_load((copied / "c.yaml").read_text())
    config["datasets"]["rest"]["split"]["folds"] = 3
    change(copied / "c.yaml", **config)
    found = planned(copied)
    assert "preprocess" not in found
    assert found["split"] == 1
    assert found["fit"] == 3


def test_changed_preprocessing_fetches_nothing_again_and_cleans_again(copied):
    config = yaml.safe_load((copied / "c.yaml").read_text())
    config["datasets"]["rest"]["preprocess"] = {"detrend": "none"}
    change(copied / "c.yaml", **config)
    assert planned(copied)["preprocess"] == 1


def test_dry_run_lists_the_rules_with_their_counts_once(copied):
    shutil.rmtree(copied / "results" / "rest" / "models")
    done = run(copied, "c.yaml", "-n")
    assert done.returncode == 0, done.stderr
    said = [s for s in done.stderr.splitlines() if not s.startswith("Using workflow specific")]
    assert said == [
        "8 jobs to do",
        "  fit          2",
        "  evaluate     2",
        "  aggregate    1",
        "  provenance   1",
        "  report       1",
        "  index        1",
    ]


def test_provenance_says_what_was_typed_and_what_was_used(finished):
    told = json.loads((finished / "results/rest/provenance.json").read_text())
    assert told["command"].endswith("c.yaml --cores 2")
    assert told["command"].startswith("rheobase run ")
    assert told["device"] == "auto"
    assert told["device_used"] == {"cpu": ["baseline"]}
    by_rule = {row["rule"]: row for row in told["cost_by_rule"]}
    assert list(by_rule) == ["preprocess", "split", "fit", "evaluate", "aggregate"]
    assert by_rule["fit"]["jobs"] == 2
    page = (finished / "results/rest/report.html").read_text()
    assert "Rules of the workflow for this dataset" in page
    assert "Device used" in page


def test_verify_finds_nothing_wrong_with_a_good_run(finished):
    done = run(finished, command=(sys.executable, "-m", "rheobase", "verify"))
    assert done.returncode == 0, done.stderr
    assert "0 problems" in done.stdout


@pytest.mark.parametrize(
    "name",
    [
        "recordings/sub-1.nc",
        "models/baseline/fold-0_seed-0/arrays.nc",
        "splits.json",
        "qc/sub-2.json",
    ],
)
def test_verify_finds_one_flipped_byte(copied, name):
    path = copied / "results" / "rest" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    stat = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    done = run(copied, command=(sys.executable, "-m", "rheobase", "verify"))
    assert done.returncode == 1
    assert name in done.stderr


def test_verify_finds_a_swapped_subject(copied):
    folder = copied / "results" / "rest" / "recordings"
    shutil.copyfile(folder / "sub-1.nc", folder / "sub-2.nc")
    done = run(copied, command=(sys.executable, "-m", "rheobase", "verify"))
    assert done.returncode == 1
    assert "sub-2.nc is corrupt (it holds the recording 'sub-1')" in done.stderr


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


def test_reproduce_agrees_with_itself(finished):
    done = run(
        finished,
        "results/rest/provenance.json",
        "--cores",
        "2",
        command=(sys.executable, "-m", "rheobase", "reproduce"),
    )
    assert done.returncode == 0, done.stderr
    assert "0 differ" in done.stdout
    assert "0 within 0.001" in done.stdout


@pytest.mark.parametrize(
    ("spoil", "sentence"), [("nan", r"NaN"), ("missing", r"3\.npy does not exist")]
)
def test_bad_recording_is_named_and_the_other_dataset_finishes(tmp_path, spoil, sentence):
    config = tiny(tmp_path, "good", "bad")
    path = tmp_path / "in" / "bad" / "3.npy"
    path.unlink()
    if spoil == "nan":
        signal = series(3)
        signal[5, 2] = np.nan
        np.save(path, signal)
    done = run(tmp_path, config, "--cores", "2")
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if line.startswith("rheobase: ")]
    assert len(said) == 1, done.stderr
    assert re.search(sentence, said[0]), said
    assert "Traceback" not in done.stderr
    assert (tmp_path / "results/good/report.html").is_file()
    page = (tmp_path / "results/bad/report.html").read_text()
    assert re.search(sentence, page)
    assert not (tmp_path / "results/bad/models").exists()
    np.save(path, series(3))
    again = run(tmp_path, config, "--cores", "2")
    assert again.returncode == 0, again.stderr
    mended = (tmp_path / "results/bad/report.html").read_text()
    assert "No job failed" in mended or "preprocess 0" not in mended
    assert (tmp_path / "results/bad/models/baseline/metrics.json").is_file()


def test_failing_model_is_named_in_the_report(tmp_path):
    config = tiny(tmp_path)
    models = {
        "baseline": {"family": "linear"},
        "late": {"family": "linear", "params": {"horizons": [500]}},
    }
    content = yaml.safe_load(config.read_text())
    content["datasets"]["rest"]["models"] = ["baseline", "late"]
    config.write_text(yaml.safe_dump({**content, "models": models}))
    done = run(tmp_path, config, "--cores", "2")
    assert done.returncode == 1
    page = (tmp_path / "results/rest/report.html").read_text()
    assert "late" in page
    assert "baseline" in page
    assert (tmp_path / "results/rest/models/baseline/metrics.json").is_file()


def test_model_on_another_models_output_runs_on_the_same_fold(tmp_path):
    config = tiny(tmp_path)
    content = yaml.safe_load(config.read_text())
    content["datasets"]["rest"]["models"] = ["baseline", "again"]
    content["models"]["again"] = {
        "family": "linear",
        "on": "baseline",
        "params": {"permutations": 20},
    }
    config.write_text(yaml.safe_dump(content))
    done = run(tmp_path, config, "--cores", "2")
    assert done.returncode == 0, done.stderr

    def score(model):
        scores = json.loads((tmp_path / f"results/rest/models/{model}/metrics.json").read_text())[
            "scores"
        ]
        return np.mean([s["value"] for s in scores if s["name"] == "forecast_r2_h1"])

    assert score("baseline") > 0.2
    assert abs(score("again")) < 0.1


def test_wrong_config_starts_no_job(tmp_path):
    config = tiny(tmp_path)
    change(config, models={"baseline": {"family": "lineal"}})
    done = run(tmp_path, config)
    assert done.returncode == 2
    assert "did you mean 'linear'?" in done.stderr
    plain = run(tmp_path, "--cores", "1", "--configfile", config, command=SNAKEMAKE)
    assert plain.returncode == 1
    assert "did you mean 'linear'?" in plain.stderr
    assert not (tmp_path / "results" / "rest").exists()


def test_killed_run_goes_on_where_it_stopped(finished, tmp_path):
    config = tiny(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-m", "rheobase", "run", str(config), "--cores", "2"],
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as started:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("results/rest/models/*/*/run.json")):
            assert time.monotonic() < deadline
            assert started.poll() is None
            time.sleep(0.05)
        os.killpg(started.pid, signal.SIGKILL)
    again = run(tmp_path, config, "--cores", "2")
    assert again.returncode == 0, again.stderr
    assert "a stopped run left a lock" in again.stderr
    assert hashes(tmp_path) == hashes(finished)


def test_edited_module_runs_what_uses_it_and_a_comment_runs_nothing(tmp_path):
    from rheobase.stages import plan

    source = tmp_path / "thing.py"
    source.write_text("def f():\n    return 1\n")
    before, _ = plan._read_module(source)
    plan._read_module.cache_clear()
    source.write_text("# a comment\ndef f():\n    return  1\n")
    assert plan._read_module(source)[0] == before
    plan._read_module.cache_clear()
    source.write_text("def f():\n    return 2\n")
    assert plan._read_module(source)[0] != before
    plan._read_module.cache_clear()
    assert plan.code_hash("rheobase.models.linear") != plan.code_hash("rheobase.stages.cut")

"""What would run: for the shipped configs, and after an edit only what the edit touches."""

import re
import shutil

import pytest

from nilearn_files import serve
from rheobase.stages import plan
from rheobase.stages.tables import write_tables
from workflow_runs import LINEAR, ROOT, SNAKEMAKE, change, planned, run, tiny

PAGES = {"provenance": 1, "report": 1, "index": 1}
EXAMPLES = sorted((ROOT / "config" / "examples").rglob("*.yaml"))


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """Return a folder without results that has the shipped configs, and the tables to be made."""
    serve(monkeypatch, people=155)
    monkeypatch.setenv("RHEOBASE_DOWNLOADS", str(tmp_path / "downloads"))
    for name in ("abide_pcp", "development_fmri"):
        shutil.copy(ROOT / "config" / "examples" / f"{name}.yaml", tmp_path)
        write_tables(tmp_path / f"{name}.yaml")
    (tmp_path / "config").symlink_to(ROOT / "config")
    return tmp_path


def test_plain_snakemake_plans_the_demonstration(shipped):
    assert planned(shipped)["fit"] == 19


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_every_example_can_be_planned(path, shipped):
    assert planned(shipped, "--configfile", path)["fit"]


def test_every_shipped_config_is_planned_here():
    assert {*(ROOT / "config").rglob("*.yaml")} == {ROOT / "config" / "config.yaml", *EXAMPLES}


def test_own_config_runs_only_what_it_names(copied):
    done = run(copied, "-n", "--forceall", "--configfile", "c.yaml", command=SNAKEMAKE)
    assert done.returncode == 0, done.stderr
    named = set(re.findall(r"results/(\w+)/report\.html", done.stdout + done.stderr))
    assert named == {"rest"}


def test_target_is_no_config(tmp_path):
    words = [tiny(tmp_path), "--cores", "1", "--", "results/rest/splits.json", "--dry-run"]
    done = run(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    assert "2 jobs to do\n  preprocess   1\n  split        1\n" in done.stderr


def test_folder_called_default_is_no_profile(tmp_path):
    (tmp_path / "default").mkdir()
    done = run(tmp_path, tiny(tmp_path), "--cores", "1", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "profiles/default" in done.stderr


def test_linter_finds_nothing():
    done = run(ROOT, "--lint", command=SNAKEMAKE)
    assert done.returncode == 0, done.stderr


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


def after(folder, edit):
    """Return what is planned after an edit of the only dataset and of the models."""
    change(folder / "c.yaml", lambda config: edit(config["datasets"]["rest"], config["models"]))
    return planned(folder, "--configfile", "c.yaml")


def test_changed_parameter_runs_that_model_alone(copied):
    def edit(_, models):
        models["baseline"]["params"]["permutations"] = 30

    assert after(copied, edit) == {"fit": 2, "evaluate": 2, "aggregate": 1, **PAGES}


def test_changed_licence_writes_the_pages_alone(copied):
    def edit(rest, _):
        rest.update(licence="CC0", citation=["A 2020"])

    assert after(copied, edit) == PAGES


def test_added_model_fits_that_model_alone(copied):
    def edit(rest, models):
        rest["models"] = ["baseline", "more"]
        models["more"] = {"family": "linear", "on": "baseline"}

    assert after(copied, edit) == {"fit": 2, "evaluate": 2, "aggregate": 1, **PAGES}


@pytest.mark.parametrize(("seeds", "fits"), [([0, 1], 0), ([1], 2)])
def test_seeds_fit_nothing_again_that_is_there(copied, seeds, fits):
    def edit(_, models):
        models["baseline"] = {**LINEAR, "seeds": seeds}

    assert after(copied, edit).get("fit", 0) == fits


def test_changed_folds_clean_no_recording_again(copied):
    def edit(rest, _):
        rest["split"]["folds"] = 3

    found = after(copied, edit)
    assert "preprocess" not in found
    assert found["split"] == 1
    assert found["fit"] == 3


def test_changed_preprocessing_cleans_again(copied):
    def edit(rest, _):
        rest["preprocess"] = {"detrend": "none"}

    assert after(copied, edit)["preprocess"] == 1


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a folder that stands for the package; its ``user`` imports its ``used``."""
    monkeypatch.setattr(plan, "PACKAGE", tmp_path)
    (tmp_path / "used.py").write_text("def f():\n    return 1\n")
    (tmp_path / "user.py").write_text("from rheobase.used import f\n")
    (tmp_path / "other.py").write_text("x = 1\n")
    forget()
    yield tmp_path
    forget()


def forget():
    for cached in (plan.code_hash, plan._module_path, plan._read_module):
        cached.cache_clear()


def test_edited_module_changes_what_uses_it_and_a_comment_changes_nothing(package):
    def code():
        forget()
        return [plan.code_hash(f"rheobase.{name}") for name in ("used", "user", "other")]

    before = code()
    (package / "used.py").write_text("# a comment\ndef f():\n    return  1\n")
    assert code() == before
    (package / "used.py").write_text("def f():\n    return 2\n")
    used, user, other = code()
    assert used != before[0]
    assert user != before[1]
    assert other == before[2]

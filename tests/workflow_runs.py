"""How tests of the workflow make a tiny study, run it as a user would, and look at what it left."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml

from rheobase.storage import file_sha256

ROOT = Path(__file__).resolve().parents[1]
RHEOBASE = [sys.executable, "-m", "rheobase"]
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
LINEAR = {"family": "linear", "params": {"permutations": 20}}
TIMED = {
    "run.json",
    "provenance.json",
    "report.html",
    "index.html",
    ".lock",
    ".snakemake_timestamp",
}
"""Results that hold a time, or what was typed."""


def environment():
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }


def run(folder, *arguments, command=(*RHEOBASE, "run")):
    """Run a command in a folder; returns it as it ended, with what it said."""
    return subprocess.run(
        [*command, *map(str, arguments)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def series(subject, samples=240, units=6):
    rng = np.random.default_rng(subject)
    mixing = 0.5 * np.roll(np.eye(units), 1, axis=1) + 0.3 * np.eye(units)
    made = np.zeros((samples, units))
    for t in range(1, samples):
        made[t] = mixing @ made[t - 1] + rng.normal(size=units)
    return made + 100


def tiny(folder, subjects=4, **datasets):
    """Write recordings and a config; returns the config's path.

    ``datasets`` are the names of small datasets, each with its models: one of both if left out.
    """
    config = {"seeds": [0], "datasets": {}, "models": {"baseline": LINEAR}}
    for name, models in (datasets or {"rest": ["baseline"]}).items():
        (folder / "in" / name).mkdir(parents=True)
        for subject in range(subjects):
            np.save(folder / "in" / name / f"{subject}.npy", series(subject))
        config["datasets"][name] = {
            "modality": "fmri",
            "source": {"kind": "path", "path": f"in/{name}/{{subject}}.npy"},
            "entities": {"subject": [str(s) for s in range(subjects)]},
            "reader": {"format": "npy", "orientation": "time_first"},
            "repetition_time_s": 2.0,
            "split": {"by": "subject", "folds": 2},
            "models": models,
        }
    path = folder / "c.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def change(path, edit):
    """Rewrite a config after ``edit`` has changed it in place."""
    config = yaml.safe_load(path.read_text())
    edit(config)
    path.write_text(yaml.safe_dump(config))


def hashes(results):
    """Return the checksums of all files of a folder of results that do not hold a time."""
    files = [p for p in results.rglob("*") if p.is_file() and p.name not in TIMED]
    return {str(p.relative_to(results)): file_sha256(p) for p in files}


def planned(folder, *options):
    """Return how many jobs of each rule would run, lots of preprocessing counted together."""
    done = run(folder, "-n", "--cores", "1", *options, command=SNAKEMAKE)
    assert done.returncode == 0, done.stderr
    text = done.stdout + done.stderr
    table = re.search(r"^job +count\n[- ]+\n(.*?)^total", text, re.M | re.S)
    assert table or "Nothing to be done" in text, text
    found = {}
    for name, count in re.findall(r"^(\w+) +(\d+)$", table[1] if table else "", re.M):
        rule = name.partition("_")[0]
        found[rule] = found.get(rule, 0) + int(count)
    found.pop("default", None)
    return found

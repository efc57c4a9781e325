"""Emulators through the workflow: from planted states in files to the report."""

import json
import re

import numpy as np
import pytest
import yaml

from workflow_runs import run

STATES = {
    "states": 2, "folds": 2, "restarts": 1, "surrogates": 1, "rate_samples": 500,
    "stop": {"iterations": 15}, "emulate": True,
    "emulator": {"members": 1, "schedule": "tiny", "sequences": 64, "repeats": 3,
                 "analysis": "tiny"},
}  # fmt: skip


def signal(rng, samples=600):
    path = np.cumsum(rng.random(samples) > 0.97) % 2
    return 4 * path[:, None] * np.array([1.0, -1.0, 0.5]) + rng.normal(size=(samples, 3))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(1)
    for number in range(4):
        np.save(folder / f"{number}.npy", signal(rng))
    config = {
        "seeds": [1],
        "datasets": {"planted": {
            "modality": "series", "source": {"kind": "path", "path": "{subject}.npy"},
            "entities": {"subject": [str(n) for n in range(4)]},
            "reader": {"format": "npy", "orientation": "time_first"}, "sampling_rate_hz": 2.0,
            "split": {"by": "subject", "folds": 2}, "models": ["states"],
        }},
        "models": {"states": {"family": "hmm_rnn", "params": STATES}},
    }  # fmt: skip
    (folder / "c.yaml").write_text(yaml.safe_dump(config))
    done = run(folder, "c.yaml", "--cores", "2")
    assert done.returncode == 0, done.stderr
    return folder


def page(study):
    html = (study / "results/planted/report.html").read_text()
    return re.sub(r"\s+", " ", re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL))


def test_networks_stand_beside_sequences_that_know_nothing(study):
    told = json.loads((study / "results/planted/models/states/metrics.json").read_text())
    rows = [one for one in told["scores"] if one["name"] == "emulator_excess"]
    assert len(rows) == 2
    for row in rows:
        assert row["value"] < row["rivals"]["memoryless"]


def test_the_report_says_who_passed_and_what_orbits_are(study):
    text = page(study)
    assert re.search(r"Network 1 of 1 (emulates the chain|failed)", text)
    assert "describe the emulator, not the recorded brain" in text
    assert "Torre" in text
    for title in ("Do networks emulate the chain", "Does the recording itself turn",
                  "What networks of all folds and seeds do"):  # fmt: skip
        assert title in text


def test_weights_and_findings_are_on_disk_and_no_checkpoint(study):
    folder = study / "results/planted/models/states/fold-0_seed-1"
    run_file = json.loads((folder / "run.json").read_text())
    assert run_file["metrics"]["emulators"] == 1
    assert (folder / "weights.safetensors").stat().st_size > 4 * 64 * 64
    assert (folder / "figures/emulation.csv").exists()
    assert not list(folder.glob("checkpoint*"))

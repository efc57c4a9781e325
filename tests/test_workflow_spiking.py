"""A spiking network through the workflow: from planted EMG to a report with its rivals."""

import json
import re

import pytest
import yaml

from workflow_runs import run


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    config = {
        "seeds": [0],
        "datasets": {
            "arm": {
                "modality": "emg",
                "source": {
                    "kind": "synthetic", "generator": "emg", "seed": 3,
                    "params": {"gestures": 3, "repetitions": 4, "difficulty": 0.8},
                },
                "entities": {"subject": ["s1"]},
                "units": "uV",
                "label": {"name": "gesture", "kind": "class"},
                "split": {"by": "trial", "folds": 2},
                "models": ["spikes"],
            }
        },
        "models": {
            "spikes": {
                "family": "spiking", "preset": "demo",
                "params": {"hidden": [32], "windows": 400, "permutations": 50,
                           "training": {"epochs": 6, "updates": 120}},
            }
        },
    }  # fmt: skip
    (folder / "c.yaml").write_text(yaml.safe_dump(config))
    done = run(folder, "c.yaml", "--cores", "1")
    assert done.returncode == 0, done.stderr
    return folder


def test_gestures_that_were_planted_are_told(study):
    told = json.loads((study / "results/arm/models/spikes/metrics.json").read_text())
    rows = [one for one in told["scores"] if one["name"] == "decode_balanced_accuracy"]
    assert len(rows) == 2
    for row in rows:
        assert row["value"] > 0.75
        assert {"lda_on_features", "convolutional_network"} <= set(row["rivals"])


def test_the_report_shows_answers_spikes_and_costs(study):
    text = (study / "results/arm/report.html").read_text()
    for title in ("Decoding gesture", "Accuracy over the window and early answers",
                  "One window, its spikes, and when it was answered", "What an answer costs",
                  "Rates of hidden units", "Early answers as promised"):  # fmt: skip
        assert title in text
    assert re.search(r"Neftci", text)
    assert re.search(r"Li et al\. 2023", text)
    assert "not a measurement" in text


def test_a_fit_keeps_its_rivals_and_names_what_validated(study):
    from rheobase.storage import read_dataset

    arrays = read_dataset(study / "results/arm/models/spikes/fold-0_seed-0/arrays.nc")
    assert {f"rival/{name}" for name in ("lda", "mlp", "cnn", "gru")} <= set(arrays)
    assert str(arrays["validation_of"].values) == "trials"

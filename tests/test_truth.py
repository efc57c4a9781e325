"""The report's table of planted against recovered says what was planted, and finds it."""

import re

import numpy as np
import pytest

from rheobase.config.entries import Entry
from rheobase.evaluate.truth import compare_with_truth, told_apart
from rheobase.io.sources.planted import write_npz
from rheobase.io.synthetic import generate
from rheobase.recording import Recording

BOLD = {"regions": 12, "communities": 4, "samples": 2000, "snr": 2.0}
EMG = {"gestures": 3, "repetitions": 3, "units": 20}


def rows(tmp_path, source, *, modality, rate, n=8):
    """Return the table of generated recordings, cleaned by nothing, by what each row is about."""
    entries = [Entry(f"sub-{i}", {"subject": str(i)}) for i in range(n)]
    paths = []
    for index, entry in enumerate(entries):
        signals, truth = generate(source, index=index, entry=entry, total=n)
        write_npz(truth, tmp_path / f"{entry.name}.truth.npz")
        recording = Recording.build(
            signals["signal"],
            name=entry.name,
            modality=modality,
            sampling_rate_hz=rate,
            unit_names=signals["names"].tolist(),
        )
        paths.append(tmp_path / f"{entry.name}.nc")
        recording.save(paths[-1])
    return {row["what"]: row for row in compare_with_truth(source, paths, tmp_path)}


def bold(tmp_path, **params):
    source = {"kind": "synthetic", "generator": "fmri", "seed": 1, "params": {**BOLD, **params}}
    return rows(tmp_path, source, modality="fmri", rate=1.0)["where the two classes differ"]


def test_planted_static_difference_is_named_with_its_size_and_found(tmp_path):
    row = bold(tmp_path, difference="static", delta=0.8)
    assert "if" not in row["planted"].split()
    expected = float(re.findall(r"[-+]\d\.\d\d", row["planted"])[-1])
    found = float(re.findall(r"[-+]\d\.\d\d", row["recovered"])[-1])
    assert row["recovered"].startswith("most between communities 0 and 1")
    assert found == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize(
    ("kind", "planted"),
    [("dwell", "how long a state lasts"), ("order", "the order of"), ("null", "no difference")],
)
def test_other_kinds_say_what_was_planted_instead(tmp_path, kind, planted):
    row = bold(tmp_path, difference=kind)
    assert row["planted"].startswith(planted)
    assert "communities 0" not in row["planted"]


def test_planted_gestures_are_told_apart_without_a_model(tmp_path):
    source = {"kind": "synthetic", "generator": "emg", "seed": 3, "params": EMG}
    row = rows(tmp_path, source, modality="emg", rate=1000.0, n=2)["the gestures"]
    assert row["planted"] == "3 gestures, 9 contractions a session"
    assert float(row["recovered"].split()[0]) > 60


def test_patterns_of_noise_are_told_apart_by_chance_alone(rng):
    kinds = np.repeat([1, 2, 3, 4], 50)
    noise = rng.normal(size=(200, 8))
    assert told_apart(noise, kinds) == pytest.approx(0.25, abs=0.1)
    assert told_apart(noise + 5 * np.eye(8)[kinds], kinds) > 0.95

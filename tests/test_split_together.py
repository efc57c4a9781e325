"""Siblings stay on one side of every fold."""

from pathlib import Path

import numpy as np
import pytest

from rheobase import config as settings
from rheobase import layout
from rheobase.recording import Recording
from rheobase.splits import Fold
from rheobase.stages import cut
from rheobase.storage import read_json, write_json

FAMILIES = {f"{i:02d}": f"f{i // 2}" for i in range(12)}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def dataset(good, families=FAMILIES, sessions=("1",), column="family_id", **split):
    rows = [f"{s}\t{i}\t{family}" for s, family in families.items() for i in sessions]
    Path("t.tsv").write_text("\n".join([f"subject\tsession\t{column}", *rows]) + "\n")
    rest = {k: v for k, v in good["datasets"]["rest"].items() if k != "entities"}
    rest |= {
        "table": "t.tsv",
        "source": {"kind": "path", "path": "{subject}_{session}.npy"},
        "split": {"by": "subject", "together": "family_id", "folds": 3, **split},
    }
    good["datasets"]["rest"] = {k: v for k, v in rest.items() if v is not None}
    return settings.parse(good).datasets["rest"]


def facts(made):
    empty = np.zeros(0, int), np.zeros((0, 1))
    return {e.name: cut.Facts(100, 0.5, None, None, {}, "", "", *empty) for e in made.recordings}


def shared(made, folds: list[Fold]) -> int:
    """Return how many families have a sentinel, one of their members, on the other side."""
    family = {e.name: e.labels["family_id"] for e in made.recordings}
    sides = [({family[p.recording] for p in s} for s in (f.train, f.test)) for f in folds]
    return sum(len(train & test) for train, test in sides)


def test_no_sibling_of_a_tested_person_is_trained_on(good):
    made = dataset(good, sessions=("1", "2"))
    folds = cut.make_folds(made, facts(made))
    assert shared(made, folds) == 0
    assert sorted(p.recording for f in folds for p in f.test) == sorted(facts(made))


def test_a_split_by_subject_alone_would_tear_siblings_apart(good):
    made = dataset(good)
    alone = {e.name: e.entities["subject"] for e in made.recordings}
    assert shared(made, cut.splits.by_group(alone, 3)) > 0


def test_a_stale_file_of_folds_that_tears_siblings_apart_is_refused(good):
    made = dataset(good)
    for entry in made.recordings:
        signal = np.random.default_rng(0).normal(size=(40, 2))
        recording = Recording.build(
            signal,
            name=entry.name,
            modality="fmri",
            sampling_rate_hz=0.5,
            entities=entry.entities,
            labels=dict(entry.labels),
        )
        recording.save(layout.recording_path("rest", entry.name))
        rows = [{"name": name} for name in recording.unit_names]
        write_json({"units": rows}, layout.qc_path("rest", entry.name))
    alone = {e.name: e.entities["subject"] for e in made.recordings}
    content = cut.splits.to_json("subject", 0.0, cut.splits.by_group(alone, 3))
    write_json({**content, "units": None}, Path("splits.json"))
    with pytest.raises(ValueError, match="has family_id 'f[0-9]' in its training and in its test"):
        cut.load_parts(made, read_json(Path("splits.json")), 0, "train")


def test_number_of_folds_is_at_most_that_of_families(good):
    assert dataset(good, folds=6).n_folds == 6
    with pytest.raises(settings.ConfigError, match="7 folds need 7 family_ids; there are 6"):
        dataset(good, folds=7)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"families": {**FAMILIES, "03": ""}}, "sub-03_ses-1 has no family_id; fill it in"),
        ({"families": {**FAMILIES, "03": "n/a"}}, "sub-03_ses-1 has no family_id; fill it in"),
        ({"column": "family"}, "'family_id' is no column of the table.*family"),
        ({"by": "session", "sessions": ("1", "2")}, "people of a split by subject, not by session"),
    ],
)
def test_what_cannot_keep_people_together_is_an_error(good, changes, why):
    with pytest.raises(settings.ConfigError, match=why):
        dataset(good, **changes)


def test_a_missing_column_is_one_error_without_a_number_of_folds_too(good):
    good["datasets"]["rest"]["label"] = {"name": "family", "kind": "class"}
    with pytest.raises(settings.ConfigError, match="'family_id' is no column of the table"):
        dataset(good, column="family", folds=2)
    del good["datasets"]["rest"]["split"]["folds"]
    with pytest.raises(settings.ConfigError, match="'family_id' is no column of the table"):
        settings.parse(good)


def test_a_person_of_two_families_is_an_error(good):
    dataset(good)
    rows = "subject\tsession\tfamily_id\n1\t1\ta\n1\t2\tb\n2\t1\tc\n3\t1\td\n"
    Path("t.tsv").write_text(rows)
    with pytest.raises(settings.ConfigError, match="subject 1 has the family_id 'a' and 'b'"):
        settings.parse(good)

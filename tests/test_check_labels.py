"""What `check` sees in a table before any recording is read: open places, undecodable labels."""

from pathlib import Path

import pytest

from good_config import GOOD, replaced
from rheobase import config as settings
from rheobase.config.checks import VIEW_OF
from rheobase.config.parse import survey
from rheobase.config.read import marked
from rheobase.preprocess.views import VIEWS, view
from rheobase.recording import Recording


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    marked.cache_clear()
    monkeypatch.chdir(tmp_path)


def problems(rows, label=None, **changes):
    """Return the problems of a study of these rows: subject, session and a column ``group``."""
    lines = ["subject\tsession\tgroup", *("\t".join(row.split(",")) for row in rows)]
    Path("t.tsv").write_text("\n".join(lines) + "\n")
    text = replaced(
        GOOD,
        ('entities: {subject: ["01", "02", "03"]}', "table: t.tsv"),
        ("{subject}.npy", "{subject}{session}.npy"),
        ("folds: 3", "folds: 2"),
        ("    models: [baseline]", f"    label: {label}\n    models: [baseline]" if label else
         "    models: [baseline]"),
        *changes.values(),
    )  # fmt: skip
    Path("c.yaml").write_text(text)
    return survey(settings.read(Path("c.yaml")), [Path("c.yaml")])[1]


CLASS, VALUE = "{name: group, kind: class}", "{name: group, kind: value}"
TWO_EACH = ["01,1,a", "02,1,a", "03,1,b", "04,1,b"]


def test_a_table_that_is_filled_in_is_fine():
    assert problems(TWO_EACH, CLASS) == []


@pytest.mark.parametrize("label", [None, CLASS, VALUE])
def test_a_question_mark_in_the_table_is_still_unknown(label):
    rows = ["01,1,?", "02,1,?", "03,1,1", "04,1,1", "05,1,2", "06,1,2"]
    found = problems(rows, label)
    assert (
        "c.yaml:6: datasets.rest.table: column 'group' still holds ? for sub-01_ses-1, " in found[0]
    )
    assert "exclude" in found[0]
    left_out = '{sub-01_ses-1: "unknown", sub-02_ses-1: "unknown"}'
    assert not problems(rows, label, more=("    reader:", f"    exclude: {left_out}\n    reader:"))


@pytest.mark.parametrize(
    ("rows", "label", "expected"),
    [
        (TWO_EACH, VALUE, "group of sub-01_ses-1 is 'a', which is no number (4 of 4 recordings)"),
        (["01,1,3", "02,1,"], VALUE, "group of sub-02_ses-1 is '', which is no number (1 of 2"),
        (["01,1,3", "02,1,3"], VALUE, "all recordings have the one value '3' of group"),
        (["01,1,a", "02,1,a"], CLASS, "all recordings have the one class 'a' of group"),
        (["01,1,n/a", "02,1,n/a"], CLASS, "no recording has a group"),
        (["01,1,a", "02,1,b"], CLASS, "each of the 2 classes of group belongs to one subject only"),
        (["01,1,a", "01,2,a", "02,1,b"], CLASS, "belongs to one subject only"),
    ],
)
def test_a_label_that_no_fold_can_decode_is_named(rows, label, expected):
    assert any(expected in problem for problem in problems(rows, label))


def test_a_class_of_one_recording_may_be_decoded_over_time():
    assert not problems(
        ["01,1,a", "02,1,b"], CLASS, time=("by: subject, folds: 2", "by: time, folds: 2")
    )


@pytest.mark.parametrize("name", ["envelope", "events"])
def test_a_view_that_the_modality_lacks_is_named(name):
    viewed = ("family: linear", f"family: linear, view: {name}")
    assert any(
        f"models.0: 'baseline' has view: {name}, which is for {VIEW_OF[name]}, and this is fmri"
        in problem
        for problem in problems(TWO_EACH, viewed=viewed)
    )


def test_the_views_of_check_are_those_of_the_recordings(rng):
    assert {*VIEW_OF, "signal"} == set(VIEWS)
    recording = Recording.build(
        rng.normal(size=(50, 3)), name="a", modality="fmri", sampling_rate_hz=1.0,
        entities={"subject": "1"},
    )  # fmt: skip
    for name, modality in VIEW_OF.items():
        with pytest.raises(ValueError, match=f"the view {name} is for {modality} and this is fmri"):
            view(recording, name, {})

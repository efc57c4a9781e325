"""Labels of volumes from BIDS events, made up, real and beside fMRIPrep's derivatives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bold_tree import atlas, plant
from rheobase import config as settings
from rheobase.io.events import with_events
from rheobase.io.raw import Raw
from rheobase.io.side_files import reader_files
from rheobase.recording import Recording
from rheobase.stages.inputs import read as read_files
from rheobase.stages.plan import stage_spec
from rheobase.stages.prepare import preprocess

OPTIONS = {"column": "trial_type", "between": "rest"}


def table(path, *rows, header=("onset", "duration", "trial_type")):
    path.write_text("\n".join("\t".join(map(str, row)) for row in (header, *rows)) + "\n")
    return path


def labelled(path, *, volumes=10, tr_s=2.0, **options):
    raw = Raw(np.zeros((volumes, 1)), ("r",))
    return with_events(raw, path, {**OPTIONS, **options}, rate=1 / tr_s)


def told(path, **options):
    return labelled(path, **options).times[options.get("column", "trial_type")].tolist()


def test_a_volume_takes_the_event_that_holds_its_middle(tmp_path):
    path = table(tmp_path / "e.tsv", (2.9, 4.0, "face"), (7.1, 2.0, "house"))
    wanted = ["rest", "face", "face", "rest", "house", *["rest"] * 5]
    assert told(path) == wanted  # middles lie at 1, 3, 5, 7, 9, ... s


def test_an_event_ends_before_its_last_moment_and_may_begin_before_the_run(tmp_path):
    path = table(tmp_path / "e.tsv", (-5, 6, "a"), (1, 2, "b"), (17, 100, "c"))
    assert told(path) == ["b", *["rest"] * 7, "c", "c"]


def test_order_of_rows_and_rows_without_a_value_do_not_matter(tmp_path):
    rows = [(8, 4, "b"), (0, 4, "a"), (0, 20, "n/a")]
    assert (
        told(table(tmp_path / "e.tsv", *rows)) == ["a", "a", *["rest"] * 2, "b", "b"] + ["rest"] * 4
    )


def test_another_column_may_hold_numbers(tmp_path):
    path = table(tmp_path / "e.tsv", (0, 4, 1.5), (4, 4, 3), header=("onset", "duration", "load"))
    found = labelled(path, column="load", between="nan", volumes=5).times["load"]
    np.testing.assert_array_equal(found, [1.5, 1.5, 3, 3, np.nan])


def test_equal_events_may_overlap_and_rounding_is_no_overlap(tmp_path):
    path = table(tmp_path / "e.tsv", (0, 4, "a"), (3, 3, "a"), (5.9995, 2, "b"))
    assert told(path, volumes=4) == ["a", "a", "a", "b"]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (
            [(0, 4, "a"), (3, 4, "b")],
            r"row 1 \(a, 0 to 4 s\) and row 2 \(b, 3 to 7 s\) overlap.*cut",
        ),
        ([(0, 9, "a"), (1, 1, "a"), (5, 1, "b")], r"row 1 .* and row 3 .* overlap"),
        ([(0, -1, "a")], "duration in row 1 is -1 s; it must be 0 or more"),
        (
            [(0, 2, "a"), (20, 2, "b")],
            r"row 2 \(b, 20 to 22 s\) begins after the end of the run, 20",
        ),
        ([(0, "n/a", "a")], "duration in row 1 is 'n/a'; it must be seconds"),
        ([("x", 1, "a")], "onset in row 1 is 'x'"),
        ([(0, 0, "a"), (4, 0, "b")], "none of its 2 events.*give them durations"),
        ([(0, 2, "n/a")], "no event has a trial_type"),
        ([], "it needs a line of names and a row an event"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path, rows, why):
    with pytest.raises(ValueError, match=why) as caught:
        labelled(table(tmp_path / "e.tsv", *rows))
    assert "e.tsv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_columns_are_named_with_those_that_are_there(tmp_path):
    path = table(tmp_path / "e.tsv", (0, 4), header=("onset", "length"))
    with pytest.raises(ValueError, match=r"no column duration, trial_type.*it has onset, length"):
        labelled(path)


def test_a_label_that_is_taken_is_refused(tmp_path):
    path = table(tmp_path / "e.tsv", (0, 4, 1), header=("onset", "duration", "block"))
    with pytest.raises(ValueError, match="cannot be called 'block'; rename the column"):
        labelled(path, column="block")


def test_events_that_hold_no_volume_are_a_note(tmp_path):
    raw = labelled(table(tmp_path / "e.tsv", (0, 4, "a"), (9.5, 0.2, "b")))
    assert raw.notes[0].startswith("1 events of e.tsv hold the middle of no volume")
    assert raw.steps[-1] == {
        "step": "label volumes by events",
        "column": "trial_type",
        "events": 1,
    }


def config(good, **dataset):
    rest = {
        "modality": "fmri",
        "entities": {"subject": ["01", "02"], "task": ["faces"]},
        "label": {"name": "trial_type", "kind": "class"},
        "split": {"by": "time", "folds": 2},
        "models": ["baseline"],
    }
    good["datasets"] = {"rest": {**rest, **dataset}}
    return settings.parse(good)


def test_events_of_fmriprep_are_those_of_the_data_set_around_it(good, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    derivatives = tmp_path / "study" / "derivatives" / "fmriprep"
    for subject in ("01", "02"):
        plant(derivatives, subject=subject, task="faces", regions=24, samples=240)
        place = tmp_path / "study" / f"sub-{subject}" / "func"
        place.mkdir(parents=True)
        rows = [(20 * i, 10, "face" if i % 2 else "house") for i in range(24)]
        table(place / f"sub-{subject}_task-faces_events.tsv", *rows)
    found = config(
        good,
        source={"kind": "path", "path": str(derivatives)},
        reader={"format": "fmriprep", "events": {}},
        preprocess={"atlas": atlas(tmp_path, 24), "n_dummy": 2, "least_valid_s": 60},
    )
    dataset = found.datasets["rest"]
    entry = dataset.recordings[0]
    own = tmp_path / "study/sub-01/func/sub-01_task-faces_events.tsv"
    assert reader_files(dataset, entry, Path()) == {"events": own}
    assert str(own) in read_files(found, dataset, [entry], ())
    preprocess(stage_spec(found, dataset, "preprocess"), [entry.name])
    made = Recording.load(Path(f"results/rest/recordings/{entry.name}.nc"))
    assert np.asarray(made.label).tolist()[:11] == ["house"] * 3 + ["rest"] * 5 + ["face"] * 3


@pytest.mark.parametrize(
    ("dataset", "why"),
    [
        (
            {
                "source": {"kind": "path", "path": "out/fmriprep"},
                "reader": {"format": "fmriprep", "events": {}},
                "preprocess": {"atlas": "seitzman300"},
            },
            "events need `path`",
        ),
        (
            {
                "source": {"kind": "path", "path": "{subject}.npy"},
                "reader": {
                    "format": "npy",
                    "orientation": "time_first",
                    "events": {"path": "{subject}.tsv"},
                },
                "repetition_time_s": 2,
            },
            "events belong to cifti, fmriprep, nifti; format npy takes labels_file",
        ),
    ],
)
def test_events_without_a_place_or_meaning_are_errors_of_the_config(good, dataset, why):
    with pytest.raises(settings.ConfigError, match=why):
        config(good, **dataset)


def test_label_of_another_name_than_the_column_is_an_error(good):
    with pytest.raises(settings.ConfigError, match="'trial_typ' is no.*trial_type"):
        config(
            good,
            source={"kind": "path", "path": "{subject}.nii.gz"},
            reader={"format": "nifti", "events": {"path": "{subject}.tsv"}},
            preprocess={"atlas": "seitzman300"},
            label={"name": "trial_typ", "kind": "class"},
        )


def test_real_events_agree_with_the_labels_that_came_with_the_set(shared_data):
    folder = shared_data / "haxby_slice"
    if not folder.is_dir():
        pytest.skip("haxby_slice is not there")
    lines = (folder / "attributes_literal.txt").read_text().split("\n")
    theirs = np.asarray([line.split() for line in lines if line.strip()])
    for run in range(12):
        name = f"sub-01_task-objectviewing_run-{run + 1:02d}_events.tsv"
        ours = told(folder / "bids/sub-01/func" / name, volumes=121, tr_s=2.5)
        wanted = theirs[theirs[:, 1] == str(run), 0]
        assert np.mean(np.asarray(ours) == wanted) > 0.97
        assert set(ours) == set(wanted)

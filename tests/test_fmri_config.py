"""Keys of an fMRI dataset that do not fit together, told before anything is read."""

from __future__ import annotations

import pytest
import yaml

from good_config import GOOD
from rheobase.config import ConfigError, parse


def config(tmp_path, table="", **changes):
    content = yaml.safe_load(GOOD)
    dataset = content["datasets"]["rest"]
    if table:
        (tmp_path / "scans.tsv").write_text(table)
        del dataset["entities"]
        dataset["table"] = str(tmp_path / "scans.tsv")
    dataset |= changes
    return content


def told(content):
    with pytest.raises(ConfigError) as caught:
        parse(content)
    return " | ".join(caught.value.problems)


def test_a_class_with_fewer_people_than_folds(tmp_path):
    rows = "".join(f"{i:02d}\t{'patient' if i < 2 else 'control'}\n" for i in range(9))
    content = config(tmp_path, "subject\tgroup\n" + rows, split={"by": "subject", "folds": 5},
                     label={"name": "group", "kind": "class"})  # fmt: skip
    assert "class 'patient' of group has 2 subjects for 5 folds; set split.folds" in told(content)


def test_two_recordings_of_one_name(tmp_path):
    content = config(tmp_path, entities={"subject": ["a_1", "a1", "b"]})
    assert "2 recordings would be called 'sub-a1'" in told(content)


FMRIPREP = {
    "source": {"kind": "path", "path": "{data_dir}/deriv"},
    "entities": {"subject": ["01", "02", "03"], "task": ["rest"]},
    "reader": {"format": "fmriprep"},
}


def test_a_derivatives_folder_is_one_path_for_all(tmp_path):
    content = config(tmp_path, **FMRIPREP, preprocess={"atlas": "seitzman300_voronoi"})
    del content["datasets"]["rest"]["repetition_time_s"]
    dataset = parse(content).datasets["rest"]
    assert dataset.preprocess["denoise"] == "simple"
    assert dataset.preprocess["std_dvars"] == 1.5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({**FMRIPREP, "preprocess": {}}, "format fmriprep needs `atlas`"),
        (
            {**FMRIPREP, "entities": {"subject": ["1", "2"]}, "preprocess": {"atlas": "power264"}},
            "names files by task; add it",
        ),
        ({"preprocess": {"denoise": "simple"}}, "simple needs the confounds of fMRIPrep"),
        ({"preprocess": {"denoise": "24p"}}, "24p needs reader.motion"),
        ({"preprocess": {"atlas": "power264"}}, "atlas belongs to images"),
        ({"preprocess": {"std_dvars": 1.5}}, "std_dvars belongs to images"),
        ({"preprocess": {"n_dummy": "auto"}}, "`auto` needs format fmriprep"),
        (
            {**FMRIPREP, "preprocess": {"atlas": "power264", "denoise": "36p",
                                        "global_signal": "full"}},
            "36p holds it already",
        ),
        (
            {**FMRIPREP, "preprocess": {"atlas": "power264", "denoise": "scrubbing",
                                        "fd_mm": None}},
            "scrubbing needs fd_mm and std_dvars",
        ),
        (
            {"preprocess": {"resample_s": 1.0, "band_hz": [0.01, None]}},
            "1 s needs band_hz with an upper edge below 0.4 Hz",
        ),
        ({"preprocess": {"band_hz": [0, 0.1]}}, "edges above 0, null for an open side"),
        ({"preprocess": {"band_hz": [0.01, 0.25]}}, "must be below half the sampling rate"),
        ({"preprocess": {"denoise": "simpel"}}, "did you mean 'simple'"),
    ],
)  # fmt: skip
def test_keys_that_do_not_fit_together(tmp_path, changes, words):
    assert words in told(config(tmp_path, **changes))

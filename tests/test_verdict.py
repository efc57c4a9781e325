"""One test a rule: which numbers make which words."""

from __future__ import annotations

import dataclasses

import pytest

from rheobase.evaluate.aggregate import summarise
from rheobase.evaluate.statements import state
from rheobase.evaluate.verdict import judge
from rheobase.evaluate.words import number, p_text, score_text, spoken


def model(gain, *, folds=4, seeds=2, jitter=0.001, chance=None, p_value=None, name="echo"):
    scores = [
        {
            "name": "forecast_r2",
            "unit": "",
            "higher_is_better": True,
            "fold": k,
            "seed": s,
            "value": 0.5 + gain + jitter * ((k * 3 + s) % 4 - 1.5),
            "rivals": {"last_value": 0.5, "mean": 0.1},
            "chance": chance,
            "p_value": p_value,
            "note": "",
        }
        for k in range(folds)
        for s in range(seeds)
    ]
    return summarise({name: {"dataset": "d", "model": name, "family": "f", "scores": scores}})[name]


def verdict(summaries, **changes):
    known = {
        "qc": {"a": {"flags": []}},
        "group_flags": {},
        "excluded": {},
        "shifts": {},
        "folds": 4,
        "n_recordings": 4,
    }
    return judge(summaries=summaries, **{**known, **changes})


def test_a_clear_gain_is_called_better():
    found = state("echo", model(0.1))
    assert found.outcome == "better"
    assert (
        "echo is better than its best rival, last value: forecast R² 0.600 against 0.500"
        in found.headline
    )
    assert "95 % interval" in found.headline


def test_a_gain_within_the_noise_is_not_distinguishable():
    found = state("echo", model(0.01, jitter=0.05))
    assert found.outcome == "indistinct"
    assert "is not distinguishable from its best rival" in found.headline


def test_losing_is_said_in_plain_words():
    found = state("echo", model(-0.1))
    assert found.outcome == "worse"
    assert "echo loses to its best rival" in found.headline


GAPS = (-0.1563, -0.19, -0.2237)
"""Their corrected 95 % interval is -0.323 to -0.0585, p is 0.025."""


def planted(gaps, *, name="masked_r2_50", rivals=6, model="mae", level=0.373):
    """Return the scores of one name: ``level`` of the best rival, others far below it."""
    return [
        {
            "name": name,
            "unit": "",
            "higher_is_better": True,
            "fold": k,
            "seed": 0,
            "value": level + gap,
            "rivals": {"ridge": level} | {f"weak{n}": -0.5 - 0.1 * k for n in range(rivals - 1)},
            "chance": None,
            "p_value": None,
            "note": "",
        }
        for k, gap in enumerate(gaps)
    ]


def told(*scores, model="mae"):
    content = {"dataset": "d", "model": model, "family": "f", "scores": sum(scores, [])}
    return state(model, summarise({model: content})[model])


def test_behind_in_every_fold_is_said_though_the_test_does_not_settle_it():
    found = told(planted(GAPS))
    assert found.outcome == "behind"
    assert found.headline == (
        "mae is behind its best rival, ridge, in all 3 folds: masked R² 50 0.183 against 0.373 "
        "(advantage \N{MINUS SIGN}0.190, 95 % interval \N{MINUS SIGN}0.322 to "
        "\N{MINUS SIGN}0.0576; corrected p = 0.15), which the test does not settle."
    )


def test_ahead_in_every_fold_is_not_called_better_where_the_test_does_not_settle_it():
    found = told(planted([0.01, 0.2, 0.3]))
    assert found.outcome == "ahead"
    assert "mae is ahead of its best rival, ridge, in all 3 folds" in found.headline
    assert "which the test does not settle" in found.headline
    assert verdict({"mae": ()}).lights[1].level != "good"


def test_ahead_in_some_folds_only_is_not_distinguishable():
    found = told(planted([-0.1, 0.02, 0.01]))
    assert found.outcome == "indistinct"
    assert "(behind in 1 of 3 folds; corrected p" in found.short


def test_the_first_score_of_each_further_question_stands_in_the_verdict():
    scores = (
        planted([0.2, 0.21, 0.205], name="decode_r2"),
        planted(GAPS),
        planted(GAPS, name="masked_r2_75"),
    )
    found = told(*scores)
    assert "better than its best rival, ridge: decoding R² 0.578 against 0.373" in found.short
    assert (
        "On masked R² 50 it is behind its best rival, ridge, in all 3 folds: 0.183 against 0.373 "
        "(corrected p = 0.15), which the test does not settle." in found.short
    )
    assert "masked R² 75" not in found.short


def test_the_verdict_has_a_paragraph_on_the_data_on_each_model_and_on_doubts():
    found = verdict({"echo": model(0.1, seeds=1), "mae": ()}).paragraphs
    assert [text.partition(" ")[0] for text in found] == ["4", "echo", "mae", "The"]
    assert "One seed was run" in found[3]


def test_a_family_may_say_which_scores_answer_one_question():
    scores = [{**s, "question": "decode"} for s in planted(GAPS)]
    found = told(planted([0.2, 0.21, 0.205], name="decode_r2"), scores)
    assert "On masked" not in found.short


def test_further_scores_are_counted_by_what_was_measured_and_by_the_test():
    further = {
        "masked_r2_25": GAPS,
        "masked_r2_75": GAPS,
        "hidden_r": (0.01, 0.2, 0.3),
        "identification_r": (0.01, -0.1, 0.2),
        "hidden_third_r": (-0.2, -0.20001, -0.2),
    }
    found = told(planted(GAPS), *(planted(gaps, name=name) for name, gaps in further.items()))
    assert found.details.endswith(
        "On its 5 further scores it is behind the best rival in every fold on 3, ahead of the best "
        "rival in every fold on 1 and mixed on 1; by the test it loses on 1."
    )
    assert "by the test none is settled" in told(planted(GAPS), planted(GAPS, name="x")).details


def test_further_scores_of_two_folds_are_not_counted_as_tested():
    found = told(planted(GAPS[:2]), planted(GAPS[:2], name="x"))
    assert found.details.endswith(
        "further score it is on average behind its best rival on 1 (too few folds to test)."
    )


def test_models_behind_in_every_fold_say_nothing_beyond_their_rivals():
    content = {"dataset": "d", "model": "mae", "family": "f", "scores": planted(GAPS)}
    light = verdict(summarise({"mae": content})).lights[1]
    assert (light.level, light.word) == ("caution", "None beyond its rivals")
    assert light.reasons == (
        "Behind its best rival in every fold, which the test does not settle: mae.",
    )


def test_two_folds_are_not_tested():
    found = state("echo", model(0.1, folds=2))
    assert found.outcome == "untested"
    assert "ahead of its best rival" in found.headline
    assert "2 folds allow no interval and no test" in found.headline
    assert verdict({"echo": model(0.1, folds=2)}, folds=2).lights[2].level == "bad"


def test_better_than_the_rival_but_not_than_chance_wins_nothing():
    found = verdict({"echo": model(0.1, chance=0.55, p_value=0.4)})
    assert "not distinguishable from chance" in found.paragraph
    assert found.lights[1].level == "caution"


def test_above_chance_is_said():
    assert (
        "above chance (0.2; corrected p = 0.004)"
        in state("echo", model(0.1, chance=0.2, p_value=0.002)).details
    )


def test_the_winner_is_named_in_the_second_light():
    found = verdict({"echo": model(0.1), "mae": model(-0.1, name="mae")})
    assert (found.lights[1].level, found.lights[1].word) == ("good", "echo")
    assert "Loses to its best rival: mae." in found.lights[1].reasons


def test_only_losers_make_a_bad_light():
    assert verdict({"echo": model(-0.1)}).lights[1].level == "bad"


def test_a_model_without_results_is_named():
    found = verdict({"echo": model(0.1), "mae": ()})
    assert "mae has no result" in found.paragraph
    assert found.statements[1].outcome == "failed"
    assert found.lights[2].level == "caution"


def test_one_subject_says_nothing_about_others():
    assert "of one subject" in verdict({"echo": model(0.1, seeds=2)}, subjects=1).paragraph
    assert "of one subject" not in verdict({"echo": model(0.1, seeds=2)}, subjects=2).paragraph


@pytest.mark.parametrize(
    ("by", "subjects", "words"),
    [
        ("time", 8, "Folds leave out stretches of time, not subjects"),
        ("run", 8, "Folds leave out runs, not subjects"),
        ("subject", 3, "There are 3 subjects only"),
    ],
)
def test_what_is_unknown_about_new_subjects_is_said(by, subjects, words):
    summaries = {"echo": model(0.1, seeds=2)}
    found = verdict(summaries, by=by, subjects=subjects)
    assert words in found.paragraph
    assert found.lights[2].level == "caution"
    assert verdict(summaries, by="subject", subjects=8).lights[2].level == "good"


def test_without_a_split_nothing_is_said_about_what_folds_leave_out():
    found = verdict({"echo": ()}, folds=0, by="", subjects=8)
    assert "Folds leave out" not in found.paragraph
    assert "No folds were made, so nothing was tested." in found.lights[2].reasons
    assert found.lights[2].level == "bad"


def test_nobody_recorded_is_not_counted_as_few_subjects():
    assert "subjects only" not in verdict({"echo": ()}, folds=0, by="subject", subjects=0).paragraph


def test_a_headline_that_cannot_be_tested_against_chance_is_believed_with_care():
    (head,) = model(0.1, chance=0.5, p_value=0.3)
    assert head.chance is not None
    untestable = dataclasses.replace(head.chance, testable=False)
    found = verdict({"echo": (dataclasses.replace(head, chance=untestable),)})
    assert found.lights[2].level == "caution"
    assert "The first score of echo cannot be tested against chance." in found.lights[2].reasons
    assert verdict({"echo": (head,)}).lights[2].level == "good"


def test_what_speaks_against_the_headline_stands_in_the_verdict():
    (head,) = model(0.1, seeds=2)
    doubtful = {"echo": (dataclasses.replace(head, cautions=("forecasts are flattered",)),)}
    found = verdict(doubtful)
    assert "Forecasts are flattered." in found.paragraph
    assert found.lights[2].level == "caution"
    assert verdict({"echo": (head,)}).lights[2].level == "good"


def test_no_results_at_all_cannot_be_believed():
    found = verdict({"mae": ()})
    assert [light.level for light in found.lights[1:]] == ["unknown", "bad"]


def test_one_seed_is_said():
    assert "One seed was run for every model" in verdict({"echo": model(0.1, seeds=1)}).paragraph
    assert "One seed" not in verdict({"echo": model(0.1, seeds=2)}).paragraph


def test_a_shift_is_said():
    shifts = {
        2: {"flag": True, "text": "The variance is 3.4 times that of training (limit 3)."},
        3: {"flag": False, "text": "x"},
    }
    found = verdict({"echo": model(0.1)}, shifts=shifts)
    assert (
        "Fold 2 is shifted: the variance is 3.4 times that of training (limit 3)."
        in found.lights[2].reasons
    )
    assert found.lights[2].level == "caution"


def test_missing_folds_are_said():
    assert "Folds are missing for echo." in verdict({"echo": model(0.1, folds=3)}).lights[2].reasons


def test_clean_data_and_full_results_are_good():
    assert [light.level for light in verdict({"echo": model(0.1)}).lights] == [
        "good",
        "good",
        "good",
    ]


@pytest.mark.parametrize(("bad", "level"), [(1, "caution"), (2, "bad")])
def test_half_of_the_recordings_bad_makes_the_data_poor(bad, level):
    qc = {f"r{n}": {"flags": [{"level": "bad", "text": "t"}] if n < bad else []} for n in range(4)}
    found = verdict({"echo": model(0.1)}, qc=qc)
    assert found.lights[0].level == level
    assert "of bad quality: r0" in found.paragraph


def test_group_flags_and_exclusions_reach_the_verdict():
    found = verdict(
        {"echo": model(0.1)},
        group_flags={"a": [{"level": "warning", "text": "t"}]},
        excluded={"z": "short"},
    )
    assert "1 carries a quality warning: a." in found.paragraph
    assert "1 was left out: z." in found.paragraph


def test_data_without_quality_check_is_not_called_good():
    assert verdict({"echo": model(0.1)}, qc={}).lights[0].level == "unknown"


def test_numbers_in_words():
    assert number(None) == "n/a"
    assert number(-0.01234) == "\N{MINUS SIGN}0.0123"
    assert number(123456.0) == "123456"
    assert number(-9.25e-18) == "0"
    assert number(2e-9) == "2e\N{MINUS SIGN}09"
    assert score_text(0.61) == "0.610"
    assert score_text(500.0) == "500"
    assert p_text(0.0004) == "p < 0.001"
    assert p_text(0.0123) == "p = 0.012"
    assert p_text(None) == "not tested"


def test_names_are_spoken():
    assert spoken("forecast_r2_h1") == "forecast R² 1 step ahead"
    assert spoken("forecast_r2_h5") == "forecast R² 5 steps ahead"
    assert spoken("connectivity_loglik") == "connectivity log-likelihood"
    assert spoken("ar1") == "AR(1)"

"""Folds and seeds gathered, against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rheobase.evaluate.aggregate import size_ratio, summarise
from rheobase.evaluate.compare import side_by_side
from rheobase.evaluate.gather import gather
from rheobase.evaluate.statements import outcome
from rheobase.evaluate.statistics import combine_p, corrected_t, holm


def score(
    fold, value, *, name="r2", seed=0, rivals=None, chance=None, p_value=None, higher=True, null=()
):
    return {
        "name": name,
        "unit": "",
        "higher_is_better": higher,
        "fold": fold,
        "seed": seed,
        "value": value,
        "rivals": rivals or {},
        "chance": chance,
        "p_value": p_value,
        "note": "",
        "null": null,
    }


def metrics(scores, model="echo"):
    return {"dataset": "d", "model": model, "family": "reservoir", "scores": scores}


def one(scores, **options):
    return summarise({"echo": metrics(scores)}, **options)["echo"][0]


def chance_of(scores):
    chance = one(scores).chance
    assert chance is not None
    assert chance.p_value is not None
    return chance


def uncorrected(comparison):
    assert comparison.p_value is not None
    return comparison.p_value


def test_gather_keeps_the_order_of_scores_and_sorts_folds_and_seeds():
    fits = [
        metrics([score(f, 0.1, name="skill", seed=s), score(f, 0.2, name="accuracy", seed=s)])
        for f, s in ((1, 0), (0, 1), (0, 0))
    ]
    gathered = gather(fits)["scores"]
    assert [(s["name"], s["fold"], s["seed"]) for s in gathered] == [
        ("skill", 0, 0),
        ("skill", 0, 1),
        ("skill", 1, 0),
        ("accuracy", 0, 0),
        ("accuracy", 0, 1),
        ("accuracy", 1, 0),
    ]
    assert gather(list(reversed(fits)))["scores"] == gathered


def test_a_first_fold_without_the_headline_does_not_change_the_headline():
    fits = [metrics([score(0, 0.1, name="skill")]),
            metrics([score(1, 0.1, name="accuracy"), score(1, 0.2, name="skill")])]  # fmt: skip
    assert gather(fits)["scores"][0]["name"] == "accuracy"


def test_gather_refuses_the_same_fit_twice():
    with pytest.raises(ValueError, match="fold 0, seed 0 is there twice"):
        gather([metrics([score(0, 0.1)]), metrics([score(0, 0.2)])])


def test_gather_refuses_another_model():
    with pytest.raises(ValueError, match="one model at a time"):
        gather([metrics([score(0, 0.1)]), metrics([score(1, 0.2)], model="mae")])


def test_gather_refuses_nothing():
    with pytest.raises(ValueError, match="no fit to gather"):
        gather([])


def test_seeds_are_averaged_within_a_fold_first():
    found = one(
        [score(0, 0.0, seed=0), score(0, 1.0, seed=1), score(0, 2.0, seed=2), score(1, 5.0)]
    )
    assert found.fold_values == (1.0, 5.0)
    assert found.mean == 3.0
    assert found.seed_spread == pytest.approx(1.0)
    assert found.seeds == 3


def test_one_seed_has_no_spread():
    assert one([score(0, 0.1), score(1, 0.2)]).seed_spread is None


def test_interval_is_that_of_nadeau_and_bengio():
    interval, p = corrected_t([1.0, 2.0, 3.0, 4.0], 0.5)
    error = math.sqrt(5 / 3) * math.sqrt(1 / 4 + 1 / 2)
    assert interval is not None
    assert interval.low == pytest.approx(2.5 - 3.182446 * error, abs=1e-5)
    assert interval.high == pytest.approx(2.5 + 3.182446 * error, abs=1e-5)
    assert p == pytest.approx(0.1115, abs=2e-4)


def test_without_splits_the_ratio_is_that_of_plain_folds():
    assert corrected_t([1.0, 2.0, 3.0, 4.0]) == corrected_t([1.0, 2.0, 3.0, 4.0], 1 / 3)


def test_two_folds_give_no_interval():
    assert corrected_t([1.0, 2.0]) == (None, None)


def test_folds_that_agree_exactly_fall_back_to_the_sign_test():
    assert corrected_t([0.5] * 4) == (None, 0.125)
    assert corrected_t([0.0] * 4)[1] == 1.0


def test_sizes_come_from_the_splits():
    splits = {
        "folds": [
            {
                "fold": 0,
                "train": [{"recording": "a", "start": 0, "stop": 60}],
                "test": [{"recording": "a", "start": 70, "stop": None}],
            }
        ]
    }
    assert size_ratio(splits, {"a": 100}) == pytest.approx(0.5)
    assert size_ratio({}, {}) is None


def test_difference_to_a_rival_is_paired_and_turned_for_errors():
    folds = [score(k, 0.2 + k, rivals={"last": 0.5 + k}, higher=False) for k in range(3)]
    best = one(folds).comparisons[0]
    assert best.difference == pytest.approx(0.3)
    assert best.rival_mean == pytest.approx(1.5)
    assert best.p_value == 0.25


def test_best_rival_comes_first_and_is_the_headline():
    folds = [score(k, 0.5, rivals={"weak": 0.1, "strong": 0.4 + 0.01 * k}) for k in range(3)]
    compared = one(folds).comparisons
    assert [c.rival for c in compared] == ["strong", "weak"]
    assert [c.headline for c in compared] == [True, False]


def test_a_rival_missing_in_one_fold_is_paired_on_the_others():
    folds = [score(0, 1.0, rivals={"r": 0.0}), score(1, 2.0, rivals={"r": 0.5}), score(2, 9.0)]
    best = one(folds).comparisons[0]
    assert best.rival_folds == (0.0, 0.5, None)
    assert best.difference == pytest.approx(1.25)


def test_undefined_values_are_left_out_and_counted():
    found = one([score(0, 0.1), score(1, None), score(2, 0.3)])
    assert (found.folds, found.missing) == ((0, 2), 1)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_p_values_combine_to_twice_their_median():
    assert combine_p([0.01, 0.02, 0.9]) == pytest.approx(0.04)
    assert combine_p([0.8, 0.9]) == 1.0
    assert combine_p([0.03]) == 0.03


def test_draws_are_averaged_over_folds_before_p_is_taken():
    nulls = ((0.0, 1.0, 0.0, 1.0), (0.0, 1.0, 1.0, 0.0))
    chance = chance_of(
        [score(k, 1.0, chance=0.5, p_value=0.6, null=null) for k, null in enumerate(nulls)]
    )
    assert (chance.rule, chance.p_value) == ("permutation", pytest.approx(2 / 5))
    assert chance.least_p == pytest.approx(1 / 4)


def test_a_decoder_right_about_12_people_in_5_folds_is_above_chance(rng):
    folds = []
    for k, people in enumerate((3, 3, 2, 2, 2)):
        truth = np.array([0] + [1] * (people - 1))
        null = [float((rng.permutation(truth) == truth).mean()) for _ in range(2000)]
        folds.append(score(k, 1.0, chance=0.5, p_value=0.5, null=tuple(np.round(null, 6))))
    chance = chance_of(folds)
    assert uncorrected(chance) < 0.025
    assert chance.testable


def test_seeds_share_the_draws_of_the_first_and_untested_folds_are_left_out():
    null = tuple([0.4] * 19)
    fits = [score(0, 0.9, chance=0.5, p_value=0.05, null=null),
            score(0, 0.1, seed=1, chance=0.5, p_value=0.9, null=null),
            score(1, 0.0, chance=0.5)]  # fmt: skip
    assert chance_of(fits).p_value == pytest.approx(1 / 20)


def test_too_few_draws_are_said_to_allow_no_test_of_chance():
    few = one([score(k, 1.0, chance=0.5, p_value=0.1, null=(0.4, 0.6) * 5) for k in range(3)])
    assert few.chance is not None
    assert not few.chance.testable
    assert "chance cannot be tested" in few.notes[-1]
    null = (0.4, 0.45, 0.5, 0.6) * 50
    many = one([score(k, 0.3, chance=0.5, p_value=0.9, null=null) for k in range(3)])
    assert many.chance is not None
    assert many.chance.testable


def test_chance_without_draws_uses_the_p_values_of_the_fits():
    chance = chance_of(
        [score(k, 0.9, chance=0.5, p_value=p) for k, p in enumerate((0.01, 0.02, 0.3))]
    )
    assert (chance.rule, chance.level) == ("combined", 0.5)
    assert chance.p_value == pytest.approx(0.04)


def test_chance_without_p_values_is_tested_over_folds_one_sided():
    above = chance_of([score(k, 0.9 + 0.01 * k, chance=0.5) for k in range(4)])
    below = chance_of([score(k, 0.1 + 0.01 * k, chance=0.5) for k in range(4)])
    assert above.rule == "t"
    assert uncorrected(above) < 0.001
    assert uncorrected(below) > 0.999


def test_headline_comparisons_are_corrected_among_themselves():
    def folds(gain):
        return [score(k, gain + 0.01 * k, rivals={"r": 0.0, "worse": -1.0}) for k in range(3)]

    a, b = metrics(folds(0.1), "a"), metrics(folds(0.1), "b")
    alone = summarise({"a": a})["a"][0].comparisons
    both = summarise({"a": a, "b": b})["a"][0].comparisons
    assert alone[0].p_holm == alone[0].p_value
    assert both[0].p_holm == pytest.approx(2 * uncorrected(both[0]))
    assert both[1].p_holm == pytest.approx(2 * uncorrected(both[1]))


def asked(names, gain=0.1, rivals=1):
    """Return a model that is ahead of its best rival on every score, with further rivals below."""
    beside = {f"r{n}": -float(n) for n in range(rivals)}
    folds = [score(k, gain + 0.01 * k, name=n, rivals=beside) for n in names for k in range(3)]
    return summarise({"echo": metrics(folds)})["echo"]


def test_what_is_asked_first_is_not_corrected_for_what_is_looked_at_further():
    found = asked(
        ["decode_r2", "decode_auroc", "masked_r2_50", "masked_r2_75", "hidden_r"], rivals=4
    )
    assert [s.place for s in found] == ["first", "further", "question", "further", "question"]
    times = [(s.comparisons[0].p_holm or 0) / uncorrected(s.comparisons[0]) for s in found]
    assert times == pytest.approx([1, 2, 2, 2, 2])
    weakest = found[0].comparisons[1:]
    assert all((c.p_holm or 0) > uncorrected(c) for c in weakest)


def test_losing_counts_how_many_rivals_the_best_was_chosen_from():
    def best(rivals, gain):
        return asked(["r2"], gain, rivals)[0].comparisons[0]

    assert best(1, -0.1).p_holm == pytest.approx(uncorrected(best(1, -0.1)))
    assert best(4, -0.1).p_holm == pytest.approx(4 * uncorrected(best(4, -0.1)))
    assert best(4, 0.1).p_holm == pytest.approx(uncorrected(best(4, 0.1)))


def test_equal_rivals_are_seldom_called_better_or_worse(rng):
    found = []
    for _ in range(600):
        values = rng.normal(size=(4, 7))
        folds = [score(k, v[0], rivals={f"r{n}": x for n, x in enumerate(v[1:])})
                 for k, v in enumerate(values)]  # fmt: skip
        # Independent folds: without the correction for overlap the t test is exact.
        found.append(outcome(one(folds, ratio=0.0).comparisons[0]))
    assert found.count("better") / len(found) < 0.04
    assert found.count("worse") / len(found) < 0.04


def test_models_side_by_side_are_ranked_and_paired():
    a = metrics([score(k, 0.5 + 0.01 * k) for k in range(3)], "a")
    b = metrics([score(k, 0.7 + 0.012 * k) for k in range(3)], "b")
    (shared,) = side_by_side(summarise({"a": a, "b": b}))
    assert [s.model for s in shared.models] == ["b", "a"]
    assert shared.duel is not None
    assert shared.duel.difference == pytest.approx(0.202)
    assert shared.duel.p_holm == shared.duel.p_value
    assert uncorrected(shared.duel) < 0.001


def test_a_score_is_called_by_its_title_where_it_has_one():
    named = [{**score(k, 0.1), "title": "R² of hidden regions"} for k in range(3)]
    assert one(named).label == "R² of hidden regions"
    assert one([score(0, 0.1)]).label == "R²"
    both = {"a": metrics(named, "a"), "b": metrics(named, "b")}
    assert side_by_side(summarise(both))[0].label == "R² of hidden regions"


def test_models_without_a_common_fold_are_not_paired():
    shared = side_by_side(
        summarise({"a": metrics([score(0, 1.0)], "a"), "b": metrics([score(1, 1.0)], "b")})
    )
    assert shared[0].duel is None


def test_notes_that_differ_in_their_numbers_are_said_once_with_ranges():
    fits = [score(fold, 0.5) for fold in range(3)]
    for fit, value in zip(fits, ("0.90", "0.93", "0.91"), strict=True):
        fit |= {"note": f"AR(1) has {value}", "caution": f"autocorrelation {value}"}
    assert one(fits).notes == ("AR(1) has 0.90 to 0.93", "autocorrelation 0.90 to 0.93")
    assert one(fits).cautions == ("autocorrelation 0.90 to 0.93",)
    fits[1]["note"] = "something else"
    assert one(fits).notes[:2] == ("fold 0; fold 2: AR(1) has 0.90 to 0.91",
                                   "fold 1: something else")  # fmt: skip

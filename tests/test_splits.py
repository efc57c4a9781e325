"""Folds never let the test part into the training part."""

import numpy as np
import pytest

from rheobase import splits


def test_groups_stand_on_one_side_only():
    groups = {f"r{i}": f"s{i % 5}" for i in range(20)}
    folds = splits.by_group(groups, 5)
    tested = [part.recording for fold in folds for part in fold.test]
    assert sorted(tested) == sorted(groups)
    for fold in folds:
        train, test = ({groups[p.recording] for p in side} for side in (fold.train, fold.test))
        assert not train & test


def test_a_fold_with_a_group_on_both_sides_is_refused():
    groups = {f"r{i}": f"s{i // 2}" for i in range(8)}
    content = splits.to_json("subject", 0.0, splits.by_group(groups, 4))
    splits.refuse_leak(content, 0, groups)
    moved = content["folds"][0]["test"].pop()
    content["folds"][0]["train"].append(moved)
    with pytest.raises(ValueError, match=rf"fold 0 has subject '{groups[moved['recording']]}' in"):
        splits.refuse_leak(content, 0, groups)


def test_a_fold_that_learns_from_its_test_samples_is_refused():
    content = splits.to_json("time", 0.0, splits.by_time({"a": 1000, "b": 500}, 4, gap=30))
    for fold in range(4):
        splits.refuse_leak(content, fold, {})
    part = next(p for p in content["folds"][1]["train"] if p["recording"] == "b")
    part["stop"] = next(p for p in content["folds"][1]["test"] if p["recording"] == "b")["start"]
    splits.refuse_leak(content, 1, {})
    part["stop"] += 1
    with pytest.raises(ValueError, match="fold 1 is tested on samples of b that it learns from"):
        splits.refuse_leak(content, 1, {})


def test_classes_are_balanced_over_folds():
    groups = {f"r{i}": f"s{i}" for i in range(20)}
    strata = {f"r{i}": "ab"[i >= 10] for i in range(20)}
    for fold in splits.by_group(groups, 5, strata):
        assert sorted(strata[p.recording] for p in fold.test) == ["a", "a", "b", "b"]


def test_order_of_recruitment_plays_no_part():
    forward = splits.by_group({f"r{i}": f"s{i}" for i in range(10)}, 3)
    backward = splits.by_group({f"r{i}": f"s{i}" for i in reversed(range(10))}, 3)
    for a, b in zip(forward, backward, strict=True):
        assert {p.recording for p in a.test} == {p.recording for p in b.test}


def test_blocks_of_time_keep_the_gap():
    for fold in splits.by_time({"a": 1000, "b": 500}, 4, gap=30):
        for test in fold.test:
            for train in (p for p in fold.train if p.recording == test.recording):
                before, after = int(test.start or 0) - 30, int(test.stop or 0) + 30
                assert int(train.stop or 0) <= before or int(train.start or 0) >= after


def test_blocks_of_time_cover_everything_once():
    covered = np.zeros(1003, int)
    for fold in splits.by_time({"a": 1003}, 5, gap=0):
        for part in fold.test:
            covered[part.start : part.stop] += 1
    assert (covered == 1).all()


def test_too_short_recording_is_named():
    with pytest.raises(ValueError, match=r"short has 60 samples.*lower split\.folds"):
        splits.by_time({"long": 1000, "short": 60}, 5, gap=10)


def test_same_trial_number_falls_on_the_same_side_everywhere():
    trials = np.repeat([0, 1, 0, 2, 0, 3, 4], 30)
    folds = splits.by_trial({"a": trials, "b": trials[::-1].copy()}, 2)
    for fold in folds:
        numbers = {
            name: {int((trials if p.recording == "a" else trials[::-1])[p.start]) for p in side}
            for name, side in (("train", fold.train), ("test", fold.test))
        }
        assert not numbers["train"] & numbers["test"]
        assert 0 not in numbers["train"] | numbers["test"]


def test_too_few_groups_or_trials_are_refused():
    with pytest.raises(ValueError, match="3 folds need 3 groups; there are 2"):
        splits.by_group({"a": "1", "b": "2"}, 3)
    with pytest.raises(ValueError, match="3 folds need 3 trials; there are 1"):
        splits.by_trial({"a": np.ones(10, int)}, 3)


def held_out(folds, values, labels):
    """Return the (train, test) classes of each fold."""
    return [
        tuple({labels[int(values[p.start])] for p in side} for side in (fold.train, fold.test))
        for fold in folds
    ]


@pytest.mark.parametrize("n_folds", [2, 3, 4, 5])
def test_cyclic_cues_leave_no_class_out_of_training(n_folds):
    labels = {n: "abcd"[n % 4] for n in range(1, 25)}
    trials = np.repeat(np.arange(1, 25), 10)
    classes = {"r": {n: {name} for n, name in labels.items()}}
    for train, test in held_out(splits.by_trial({"r": trials}, n_folds, classes), trials, labels):
        assert train == set("abcd")
        assert len(test) == 4


def test_trials_of_a_class_are_kept_apart_where_recordings_cross():
    trials = np.repeat(np.arange(1, 7), 10)
    first = dict(enumerate("xxabca", start=1))
    second = dict(enumerate("bcxxxx", start=1))
    classes = {name: {n: {c} for n, c in of.items()} for name, of in (("r", first), ("s", second))}
    for fold in splits.by_trial({"r": trials, "s": trials}, 3, classes):
        numbers = {int(trials[p.start or 0]) for p in fold.train}
        assert {c for n in numbers for c in (first[n], second[n])} == set("abcx")


def test_class_that_one_trial_or_group_has_is_refused_with_its_remedy():
    sentence = r"class 'b' is only in one {}, which fold \d tests.*split by something else or drop"
    trials = np.repeat([1, 2, 3, 4], 10)
    classes = {"r": {1: {"a"}, 2: {"a"}, 3: {"a"}, 4: {"b"}}}
    with pytest.raises(ValueError, match=sentence.format("trial")):
        splits.by_trial({"r": trials}, 2, classes)
    groups = {f"r{i}": f"s{i}" for i in range(5)}
    with pytest.raises(ValueError, match=sentence.format("group")):
        splits.by_group(groups, 2, {r: "b" if r == "r3" else "a" for r in groups})


def test_shift_sees_other_amplitudes_and_nothing_else(rng):
    train, test = rng.normal(size=(200, 8)), rng.normal(size=(50, 8))
    assert not splits.shift(train, test)["flag"]
    assert splits.shift(train, test + 5)["flag"]

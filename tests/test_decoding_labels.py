"""What is said where a label loses classes, or chance, on the way to a decoder."""

from __future__ import annotations

import numpy as np
import pytest

from rheobase.models.decoding import examples, labels
from rheobase.models.linear import Linear
from rheobase.recording import Recording

QUICK = Linear(permutations=20, horizons=(1,))


def gestures(rng, stretches, *, name="s1", repeats=4, rate=100.0):
    """Return EMG with a gesture over time: ``stretches`` are pairs of class and seconds."""
    label = np.concatenate([np.full(round(s * rate), g) for g, s in stretches * repeats])
    return Recording.build(
        rng.normal(size=(len(label), 3)), name=name, modality="emg", sampling_rate_hz=rate,
        units="uV", times={"gesture": label}, label={"name": "gesture", "kind": "class"},
    )  # fmt: skip


def whole(rng, name, group, **more):
    return Recording.build(
        rng.normal(size=(200, 5)), name=name, modality="fmri", sampling_rate_hz=0.5,
        labels={"group": group}, label={"name": "group", "kind": "class"}, **more,
    )  # fmt: skip


def test_classes_shorter_than_the_trim_are_blamed_on_it_and_not_on_the_split(rng):
    made = [gestures(rng, [(1, 2.0), (0, 0.6), (2, 0.6)], name=f"s{i}") for i in range(3)]
    (notice,) = QUICK.fit(made, seed=0).notices[:1]
    assert "label 'gesture' has 3 classes in the training part, but only '1' is left" in notice
    assert "no window of 0.2 s (window_s) beginning 0.5 s or more after a switch" in notice
    assert "shorten trim_s or window_s" in notice
    assert "change the split" not in notice


def test_a_label_without_any_window_left_is_blamed_on_the_trim(rng):
    how = examples.choose(one := gestures(rng, [(0, 0.6), (1, 0.6)]), window_s=0.7, hop_s=0.1,
                          trim_s=0.5, ignore=())  # fmt: skip
    with pytest.raises(labels.NotDecodableError, match="has no example left: its stretches hold"):
        examples.gather([one], how)


def test_a_lost_class_beside_decoded_ones_is_said(rng):
    made = [gestures(rng, [(0, 2.0), (1, 2.0), (2, 0.6)], name=f"s{i}") for i in range(4)]
    fitted = QUICK.fit(made[:3], seed=0)
    assert "Not all classes are decoded: no example of 2 is left" in fitted.notices[0]
    score = QUICK.evaluate(fitted, made[3:])[0]
    assert score.name == "decode_balanced_accuracy"
    assert "in the test part no example of 2 is left" in score.caution


def test_nothing_is_lost_where_stretches_are_long(rng):
    made = [gestures(rng, [(0, 2.0), (1, 2.0)], name=f"s{i}") for i in range(4)]
    fitted = QUICK.fit(made[:3], seed=0)
    assert not any("decoded" in notice for notice in fitted.notices)
    assert QUICK.evaluate(fitted, made[3:])[0].caution == ""


def test_a_label_that_was_asked_for_and_not_decoded_is_a_caution_of_the_first_score(rng):
    made = [gestures(rng, [(1, 2.0), (0, 0.6)], name=f"s{i}") for i in range(4)]
    fitted = QUICK.fit(made[:3], seed=0)
    first = QUICK.evaluate(fitted, made[3:])[0]
    assert first.name == "forecast_r2_h1"
    assert first.caution.startswith("the label is not decoded: s0: label 'gesture' has 2 classes")


def test_few_units_speak_of_their_own_fold_only(rng):
    made = [whole(rng, f"sub-{i}", "ab"[i % 2], entities={"subject": str(i)}) for i in range(11)]
    fitted = QUICK.fit(made[:8], seed=0)
    note = QUICK.evaluate(fitted, made[8:])[0].note
    assert "too few units for p < 0.05 in this fold alone" in note
    assert "no result could reach" not in note


def test_few_people_to_identify_speak_of_their_own_fold_only(rng):
    made = [whole(rng, f"sub-{i}", "ab"[i % 2], entities={"subject": str(i)}) for i in range(11)]
    found = QUICK.evaluate(QUICK.fit(made[:8], seed=0), made[8:])
    note = next(score.note for score in found if score.name == "identification_accuracy")
    assert note.endswith("too few people for p < 0.05 in this fold alone")


def test_a_test_part_with_nothing_to_exchange_is_a_caution(rng):
    made = [whole(rng, f"sub-{i}", "ab"[i % 2], entities={"subject": str(i)}) for i in range(9)]
    score = QUICK.evaluate(QUICK.fit(made[:8], seed=0), made[8:])[0]
    assert score.p_value is None
    assert "no labels of a test part could be exchanged" in score.caution

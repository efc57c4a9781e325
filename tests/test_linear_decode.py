import dataclasses

import numpy as np
import pytest

from rheobase.models.decoding import classify, examples, null
from rheobase.models.linear import Linear
from rheobase.recording import Recording

SHORT = Linear(permutations=50, horizons=(1,))


def recording(signal, name="sub-a", modality="series", rate=10.0, **more):
    return Recording.build(signal, name=name, modality=modality, sampling_rate_hz=rate, **more)


def people(rng, count=6, time=300, **more):
    """Return recordings of people who each have a connectivity of their own."""
    made = []
    for i in range(count):
        mixing = np.eye(8) + 0.6 * rng.normal(size=(8, 8))
        signal = rng.normal(size=(time, 8)) @ mixing
        made.append(
            recording(signal, f"sub-{i}", "fmri", 0.5, entities={"subject": str(i)}, **more)
        )
    return made


def scores(model, fitted, test):
    return {score.name: score for score in model.evaluate(fitted, test)}


def emg(rng, gesture, run, spread=None):
    size = np.ones(8) if spread is None else spread
    entities = {"subject": "1", "task": str(gesture), "run": str(run)}
    name = f"sub-1_task-{gesture}_run-{run}"
    label = {"name": "task", "kind": "class"}
    signal = rng.normal(size=(600, 8)) * size
    return recording(signal, name, "emg", 200, units="count", entities=entities, label=label)


def test_gestures_are_decoded_from_windows(rng):
    sizes = 1 + 3 * rng.random((4, 8))
    runs = [[emg(rng, g, r, sizes[g]) for g in range(4)] for r in range(3)]
    score = scores(SHORT, SHORT.fit(runs[0] + runs[1], seed=0), runs[2])["decode_balanced_accuracy"]
    assert score.value > 0.95
    assert score.rivals["majority_class"] == 0.25
    assert score.chance == pytest.approx(0.25, abs=0.1)
    assert score.p_value is not None
    assert score.p_value < 0.15


def test_labels_without_meaning_are_decoded_at_chance(rng):
    values = []
    for _ in range(10):
        runs = [[emg(rng, g, r) for g in range(4)] for r in range(3)]
        found = scores(SHORT, SHORT.fit(runs[0] + runs[1], seed=0), runs[2])
        values.append(found["decode_balanced_accuracy"].value)
    assert np.mean(values) == pytest.approx(0.25, abs=0.06)


def test_windows_hold_one_label_in_one_piece_after_the_switch():
    label = np.repeat([0, 1, 0], 200)
    one = recording(np.ones((600, 2)), modality="emg", rate=100, units="count",
                    times={"g": label, "block": np.repeat([0, 1], 300)},
                    label={"name": "g", "kind": "class"})  # fmt: skip
    how = examples.choose(one, window_s=0.2, hop_s=0.1, trim_s=0.5, ignore=())
    made = examples.gather([one], how)
    for start, name in zip(made.order, made.y, strict=True):
        stop = start + 20
        assert set(label[start:stop].astype(str)) == {name}
        assert not start < 300 < stop
        assert not any(switch <= start < switch + 50 for switch in (200, 400))
    assert made.x == pytest.approx(np.log(2))


def test_the_delay_of_the_response_is_found_in_inner_folds(rng):
    made = []
    for i in range(4):
        state = np.repeat(rng.permutation(["a", "b", "c"] * 4), 8)
        signal = 0.7 * rng.normal(size=(96, 6))
        for k, name in enumerate("abc"):
            signal[2:, k] += 1.0 * (state[:-2] == name)
        made.append(recording(signal, f"sub-{i}", "fmri", 0.5, times={"state": state},
                              label={"name": "state", "kind": "class"}))  # fmt: skip
    fitted = SHORT.fit(made[:3], seed=0)
    assert fitted.metrics["decode_delay_samples"] == 2
    score = scores(SHORT, fitted, made[3:])["decode_balanced_accuracy"]
    assert score.value > 0.7
    assert score.p_value == pytest.approx(1 / 51)


def test_ignored_classes_are_neither_learnt_nor_scored(rng):
    state = np.repeat(["rest", "a", "rest", "b"] * 5, 10)
    made = people(rng, 4, 200, times={"state": state}, label={"name": "state", "kind": "class"})
    model = dataclasses.replace(SHORT, ignore_labels=("rest",), delay_s=0)
    fitted = model.fit(made[:3], seed=0)
    assert fitted.arrays["output"].values.tolist() == ["a", "b"]
    assert "2 classes, 100 examples" in model.evaluate(fitted, made[3:])[0].note


def test_diagnosis_is_decoded_from_connectivity_of_new_people(rng):
    made = []
    for i in range(16):
        signal = rng.normal(size=(200, 6))
        if i % 2:
            signal += rng.normal(size=(200, 1))
        made.append(recording(signal, f"sub-{i:02d}", "fmri", 0.5, labels={"group": "ab"[i % 2]},
                              label={"name": "group", "kind": "class"}))  # fmt: skip
    score = scores(SHORT, SHORT.fit(made[:10], seed=0), made[10:])["decode_balanced_accuracy"]
    assert score.value == 1
    assert "6 exchangeable units" in score.note


def test_a_value_over_time_is_decoded_and_beats_the_training_mean(rng):
    made = []
    for i in range(4):
        drive = np.convolve(rng.normal(size=409), np.ones(10), "valid") * 0.3
        signal = rng.normal(size=(400, 5))
        signal[:, 2] += 3 * drive
        made.append(recording(signal, f"sub-{i}", "calcium", times={"speed": drive},
                              label={"name": "speed", "kind": "value"}))  # fmt: skip
    score = scores(SHORT, SHORT.fit(made[:3], seed=0), made[3:])["decode_r2"]
    assert score.value > 0.5
    assert score.rivals["training_mean"] == 0
    assert score.p_value is not None
    assert score.p_value < 0.1


def test_wide_features_give_the_same_ridge_and_logistic_fit(rng):
    x = rng.normal(size=(20, 50))
    y = x[:, 0] + 1.0
    weights, bias = next(classify.ridge_path(x - x.mean(0), y, [3.0]))
    direct = np.linalg.solve((x - x.mean(0)).T @ (x - x.mean(0)) + 3 * np.eye(50),
                             (x - x.mean(0)).T @ (y - y.mean()))  # fmt: skip
    assert weights[:, 0] == pytest.approx(direct, abs=1e-8)
    assert bias == pytest.approx([y.mean()])


def test_labels_are_exchanged_between_whole_recordings_only(rng):
    unit = np.repeat(["r1", "r2", "r3", "r4"], 25)
    y = np.repeat(["a", "b", "a", "b"], 25)
    made = examples.Examples(np.zeros((100, 1)), y, unit, unit, unit, False, np.arange(100))
    values = null.classes_null(made, y, draws=200, rng=rng)
    assert set(np.round(values, 6)) <= {0.0, 0.5, 1.0}
    assert values.mean() == pytest.approx(0.5, abs=0.1)


def test_a_label_of_one_class_leaves_the_decoder_out_and_says_so(rng):
    made = people(rng, 4, labels={"group": "a"}, label={"name": "group", "kind": "class"})
    fitted = SHORT.fit(made, seed=0)
    assert "sub-0: label 'group' has the one class 'a'" in fitted.notices[0]
    assert SHORT.evaluate(fitted, made)[0].name == "forecast_r2_h1"


def grouped(rng, groups):
    return [
        recording(r.signal, r.name, "fmri", 0.5, labels={"group": g},
                  label={"name": "group", "kind": "class"})
        for r, g in zip(people(rng, len(groups)), groups, strict=True)
    ]  # fmt: skip


def test_too_few_labelled_recordings_leave_the_decoder_out(rng):
    fitted = SHORT.fit(grouped(rng, "ab"), seed=0)
    assert "2 labelled training recordings are too few" in fitted.notices[0]
    assert "decode_weights" not in fitted.arrays


def test_a_test_part_without_labels_still_has_its_other_scores(rng):
    made = grouped(rng, ["a", "b", "a", "b", "a", "b", ""])
    fitted = SHORT.fit(made[:6], seed=0)
    found = SHORT.evaluate(fitted, made[6:])
    assert found[0].name == "forecast_r2_h1"
    said = found[0].caution
    assert "the label is not decoded here: sub-6: no example carries a usable label" in said
    assert "decoding" not in SHORT.figures(fitted, made[6:])


@pytest.mark.parametrize("same", [True, False])
def test_acausal_steps_are_said_where_both_parts_share_a_recording(rng, same):
    state = np.repeat(["a", "b"] * 10, 20)
    made = [
        recording(rng.normal(size=(400, 4)), f"sub-{i}", times={"state": state},
                  label={"name": "state", "kind": "class"},
                  steps=[{"step": "detrend", "acausal": True}])
        for i in range(2)
    ]  # fmt: skip
    fitted = SHORT.fit([made[0].segment(0, 300)], seed=0)
    said = SHORT.evaluate(fitted, [made[0 if same else 1].segment(300, None)])[0].caution
    assert ("so decoding may be flattered" in said) == same


def test_a_class_unknown_to_the_training_part_is_said(rng):
    train = [emg(rng, g, r) for g in range(2) for r in range(2)]
    test = [emg(rng, g, 2) for g in range(3)]
    score = scores(SHORT, SHORT.fit(train, seed=0), test)["decode_balanced_accuracy"]
    assert "no example of 2 was learnt" in score.note


def test_a_missing_value_unlabels_only_the_windows_that_hold_it(rng):
    force = np.arange(600.0)
    force[100] = np.nan
    one = recording(rng.normal(size=(600, 2)), "sub-a", "emg", 100, units="count",
                    times={"force": force}, label={"name": "force", "kind": "value"})  # fmt: skip
    made = examples.gather([one], examples.choose(one, window_s=0.2, hop_s=0.1, trim_s=0.5,
                                                  ignore=()))  # fmt: skip
    assert made.order.max() == 580
    assert not any(start <= 100 < start + 20 for start in made.order)
    assert len(made.y) == 59 - 2
    assert made.y == pytest.approx(made.order + 9.5)


def labelled(people):
    """Return one example for each recording of ``people``, a list of the labels of each person."""
    y = np.array([label for person in people for label in person])
    subject = np.repeat([f"s{i}" for i in range(len(people))], [len(p) for p in people])
    name = np.array([f"r{i:02d}" for i in range(len(y))])
    x, at = np.zeros((len(y), 1)), np.arange(len(y))
    made = examples.Examples(x, y, subject, name, name, False, at)
    return examples.exchangeable(made)


def test_one_person_with_two_labels_leaves_the_others_whole():
    made = labelled([list("aaaa"), list("bbbb"), list("abab")])
    assert set(made.unit[:8]) == {"s0", "s1"}
    assert len(set(made.unit[8:])) == 4
    assert examples.strata(made).tolist() == ["people"] * 8 + ["person s2"] * 4
    assert null.smallest_p(made, 1000) == pytest.approx(1 / (2 * 6))


def test_a_label_too_smooth_to_test_is_said(rng):
    made = []
    for i in range(4):
        drive = np.sin(np.arange(200) / 40 + i)
        signal = rng.normal(size=(200, 5)) + drive[:, None]
        made.append(recording(signal, f"sub-{i}", "calcium", times={"speed": drive},
                              label={"name": "speed", "kind": "value"}))  # fmt: skip
    score = scores(SHORT, SHORT.fit(made[:3], seed=0), made[3:])["decode_r2"]
    assert score.value > 0.5
    assert score.p_value is None
    assert "too smooth or too short to test against chance" in score.caution


def test_a_value_decoded_worse_than_the_training_mean_is_not_above_chance(rng):
    drive = np.convolve(rng.normal(size=409), np.ones(10), "valid")
    unit = np.full(400, "r")
    made = examples.Examples(np.zeros((400, 1)), drive, unit, unit, unit, True, np.arange(400))
    values = null.values_null(made, 5 + 0.5 * drive, centre=0.0, draws=50, rng=rng)
    assert values.min() == 0
    assert len(values) == 50

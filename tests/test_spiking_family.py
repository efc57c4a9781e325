"""The spiking family: what validates, what is refused, what early answers and rivals are told."""

import dataclasses
import re

import numpy as np
import pytest

from rheobase import config as settings
from rheobase import metrics
from rheobase.models import base
from rheobase.models.decoding.examples import NotDecodableError
from rheobase.models.spiking import confidence, encode, hold, learn, probe, rivals
from rheobase.models.spiking.settings import Training, scale_of
from rheobase.models.spiking.taken import even, how_of, take
from rheobase.recording import Recording
from rheobase.stages.check import checked

SMALL = {
    "hidden": [24], "window_s": 0.1, "hop_s": 0.05, "bin_s": 0.005, "trim_s": 0.0, "windows": 300,
    "permutations": 20, "training": {"epochs": 5, "updates": 1, "rate": 1e-2, "batch": 32},
}  # fmt: skip
LOUD = 3.0


def session(number, rng, *, classes=3, trials=6, hold_s=0.6, rate=200.0, **changes):
    """Return EMG in which each gesture makes one channel loud, six contractions of each."""
    order = np.concatenate([rng.permutation(classes) for _ in range(trials)])
    label = np.repeat(order, round(hold_s * rate))
    gain = 1 + LOUD * (np.arange(classes) == label[:, None])
    values = {
        "name": f"sub-{number:02d}", "modality": "emg", "sampling_rate_hz": rate, "units": "count",
        "entities": {"subject": f"{number:02d}"}, "times": {"gesture": label},
        "label": {"name": "gesture", "kind": "class"},
    }  # fmt: skip
    return Recording.build(gain * rng.normal(size=(len(label), classes)), **{**values, **changes})


def single(number, rng, entities, label, **changes):
    """Return a recording of one label that stands among its entities or labels."""
    return Recording.build(
        rng.normal(size=(120, 2)), name="_".join(entities.values()), modality="emg", units="count",
        sampling_rate_hz=200.0, entities=entities, label={"name": label, "kind": "class"},
        **changes,
    )  # fmt: skip


def built(**changes):
    return base.build("spiking", params={**SMALL, **changes})


def taken(model, recordings):
    scale = scale_of(model, recordings[0])
    return take(recordings, how_of(scale, recordings[0], model.ignore_labels), scale)


@pytest.fixture(scope="module")
def done():
    rng = np.random.default_rng(0)
    recordings = [session(i, rng) for i in range(6)]
    model = built()
    return model, model.fit(recordings[:4], seed=0), recordings


def by_name(scores):
    return {one.name: one for one in scores}


def test_gestures_are_told_and_rivals_stand_beside(done):
    model, fit, recordings = done
    found = by_name(model.evaluate(fit, recordings[4:]))
    told = found["decode_balanced_accuracy"]
    assert told.value > 0.9
    assert set(told.rivals) == {
        "lda_on_features", "perceptron_on_features", "convolutional_network",
        "gated_recurrent_network", "majority_class",
    }  # fmt: skip
    assert told.rivals["lda_on_features"] > 0.9
    assert told.rivals["majority_class"] == pytest.approx(1 / 3)
    assert found["decode_macro_f1"].rivals["majority_class"] == pytest.approx(0.5 / 3, abs=0.01)
    assert found["decode_macro_f1"].value > 0.9
    assert 0.2 < told.chance < 0.5
    assert told.p_value < 0.06


def test_labels_that_mean_nothing_are_not_told():
    rng = np.random.default_rng(5)
    recordings = []
    for number in range(6):
        one = session(number, rng)
        recordings.append(session(number, rng, times={"gesture": one.data["gesture"].values}))
    model = built(training={**SMALL["training"], "epochs": 2})
    told = model.evaluate(model.fit(recordings[:4], seed=0), recordings[4:])[0]
    assert 0.2 < told.value < 0.5
    assert told.p_value > 0.04


def test_a_network_that_learns_nothing_loses_in_words():
    rng = np.random.default_rng(1)
    recordings = [session(i, rng) for i in range(4)]
    model = built(training={"epochs": 1, "updates": 1, "rate": 1e-9})
    told = model.evaluate(model.fit(recordings[:3], seed=0), recordings[3:])[0]
    assert told.value < told.rivals["lda_on_features"] - 0.2


def test_early_answers_are_those_of_the_rule(done):
    model, fit, recordings = done
    found = probe.judged(model, fit, recordings[4:])
    rule, steps = found.learnt.rule, found.ran.steps
    z = rule.alpha * np.cumsum(steps.astype(np.float64), axis=0) / len(steps)
    odds = np.exp(z - z.max(2, keepdims=True))
    p = (odds / odds.sum(2, keepdims=True)).max(2)
    with np.errstate(divide="ignore"):
        sure = np.log(p) - np.log1p(-p) >= rule.threshold
    stop = np.where(sure.any(0), sure.argmax(0) + 1, len(steps))
    assert (stop == found.stop).mean() > 0.99  # a rounding apart where log-odds are large
    scores = by_name(model.evaluate(fit, recordings[4:]))
    y, n = found.examples.y, np.arange(len(found.stop))
    early = found.learnt.classes[np.cumsum(steps, 0)[found.stop - 1, n].argmax(1)]
    assert scores["early_balanced_accuracy"].value == metrics.balanced_accuracy(y, early)
    assert scores["early_time"].value == pytest.approx(found.stop.mean() * 5.0)
    assert scores["early_time"].rivals["whole_window"] == pytest.approx(100)
    lost = scores["decode_balanced_accuracy"].value - scores["early_balanced_accuracy"].value
    assert scores["early_loss"].value == pytest.approx(100 * lost)
    assert scores["early_loss"].rivals["promised"] == 100 * float(fit.arrays["promised_loss"])
    assert scores["early_time"].value < 90
    assert 0 <= scores["calibration_error"].value < 0.2


def test_operations_are_counted_spike_by_spike(done):
    model, fit, recordings = done
    found = probe.judged(model, fit, recordings[4:])
    x = probe.standardised(found.taken.cut(), found.learnt.mean, found.learnt.spread)
    events = found.learnt.encoder.encode(x)
    spikes = probe.run(found.learnt.network, events).sent[1]
    score = by_name(model.evaluate(fit, recordings[4:]))["operations"]
    sent = (24 * events.sum() + 3 * spikes.sum()) / len(x)
    assert score.value == pytest.approx(sent + 20 * 3, rel=1e-5)  # one comparison a sample
    assert score.rivals["lda_on_features"] == 15 * 3 + 5 * 20 * 3
    assert score.rivals["same_network_dense"] == 20 * (6 * 24 + 24 * 3)
    assert score.rivals["convolutional_network"] > score.rivals["lda_on_features"]


def test_what_validates_changes_nothing_that_is_learnt_by_standardising(done):
    model, _, recordings = done
    model = dataclasses.replace(model, encoder="crossing")
    train = recordings[:4]
    inside = taken(model, train)
    _, held, whole = hold.held_out(inside)
    assert whole == "recordings"
    names = {train[i].name for i in np.unique(inside.segment[held])}
    assert len(names) == 1
    loud = [
        r.with_signal(100 * r.signal, unit_names=r.unit_names, step={"step": "louder"})
        if r.name in names else r for r in train
    ]  # fmt: skip
    kept = [learn.fit_training(model, part, seed=0, device="cpu", checkpoint=None).arrays
            for part in (train, loud)]  # fmt: skip
    for name in ("mean", "spread", "levels", "rival/lda"):
        np.testing.assert_array_equal(kept[0][name].values, kept[1][name].values)
    assert not kept[0]["validation"].equals(kept[1]["validation"])


def test_people_validate_whole_where_each_has_one_label(rng):
    recordings = [
        single(i, rng, {"subject": f"s{i // 2}", "session": str(i % 2)}, "group",
               labels={"group": "ab"[i // 8]}) for i in range(16)
    ]  # fmt: skip
    inside = taken(built(), recordings)
    _, held, whole = hold.held_out(inside)
    assert whole == "people"
    subject, y = inside.examples.subject, inside.examples.y
    assert not set(subject[held]) & set(subject[~held])
    assert set(y[held]) == set(y[~held]) == {"a", "b"}


def test_a_repetition_validates_whole_where_each_recording_has_one_gesture(rng):
    recordings = [
        single(0, rng, {"subject": "s", "task": task, "run": run}, "task")
        for task in "pqr" for run in "0123"
    ]  # fmt: skip
    inside = taken(built(), recordings)
    _, held, whole = hold.held_out(inside)
    names = {inside.segments[i].entities["run"] for i in np.unique(inside.segment[held])}
    assert whole == "recordings"
    assert len(names) == 1
    assert held.sum() == len(held) / 4


def test_trials_validate_whole_where_there_is_one_recording(rng):
    inside = taken(built(), [session(0, rng)])
    _, held, whole = hold.held_out(inside)
    assert whole == "trials"
    assert not set(inside.run[held]) & set(inside.run[~held])
    assert set(inside.examples.y[held]) == {"0", "1", "2"}


def test_a_class_with_one_trial_is_named(rng):
    with pytest.raises(NotDecodableError, match="class '0' of 'gesture' has one trial"):
        hold.held_out(taken(built(), [session(0, rng, trials=1)]))


def test_classes_are_made_alike_and_thinned_over_time():
    y = np.repeat(["a", "b", "c"], [1000, 100, 10])
    rows = even(y, 600)
    assert np.unique(y[rows], return_counts=True)[1].tolist() == [200, 200, 200]
    a = rows[y[rows] == "a"]
    assert np.diff(a).tolist() == [5] * 199
    assert set(rows[y[rows] == "b"]) == set(range(1000, 1100))
    assert even(np.repeat(["a", "b"], 5), 600).tolist() == list(range(10))


def test_windows_lie_in_one_trial_and_late_signals_are_read_late(rng):
    one = session(0, rng)
    model = built(delay_s=0.1, window_s=0.2)
    inside = taken(model, [one])
    label = one.data["gesture"].values.astype(str)
    for y, start in zip(inside.examples.y, inside.start, strict=True):
        assert set(label[start - 20 : start + 20]) == {y}
    row = len(inside) // 2
    start = inside.start[row]
    np.testing.assert_array_equal(inside.cut(np.array([row]))[0], one.signal[start : start + 40])


def test_a_test_part_that_was_learnt_from_is_refused(done):
    model, fit, recordings = done
    with pytest.raises(ValueError, match="sub-01: the test part from 0.5 to .* overlaps"):
        model.evaluate(fit, [recordings[4], recordings[1].segment(100, 300)])


def test_no_label_and_one_class_are_answered_in_one_sentence(rng):
    bare = [session(i, rng, label={}) for i in range(3)]
    with pytest.raises(NotDecodableError, match="tells a label, and here is none; give the"):
        built().fit(bare, seed=0)
    with pytest.raises(NotDecodableError, match="one class '0' in the training part"):
        built().fit([session(i, rng, classes=1) for i in range(3)], seed=0)


def test_windows_of_fewer_than_five_steps_are_refused(rng):
    with pytest.raises(ValueError, match="sub-00: a window of 0.02 s holds 4 steps of 0.005 s"):
        built(window_s=0.02).fit([session(0, rng)], seed=0)


@pytest.mark.parametrize(("params", "said"), [
    ({"hidden": []}, "hidden is"), ({"window_s": 0.0}, "window_s is 0.0"),
    ({"trim_s": -1.0}, "trim_s is -1"), ({"windows": 0}, "windows is 0"),
    ({"neuron": {"theta": 0.0}}, "theta is 0.0"), ({"neuron": {"tau_s": -1.0}}, "tau_s is -1"),
    ({"training": {"epochs": 0}}, "epochs, updates, batch and patience"),
    ({"stopping": {"loss": 1.5}}, "stopping.loss is 1.5"),
    ({"encoder": "morse"}, "encoder is 'morse'"), ({"delay_s": -1.0}, "delay_s is -1"),
], ids=str)  # fmt: skip
def test_impossible_parameters_are_named(params, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        base.build("spiking", params=params)


def test_too_few_validation_windows_mean_no_early_answer(rng):
    recordings = [session(i, rng, trials=2, hold_s=0.2) for i in range(4)]
    model = built(training={"epochs": 1, "updates": 1})
    fit = model.fit(recordings[:3], seed=0)
    assert any("It never answers early: a class has" in said for said in fit.notices)
    found = by_name(model.evaluate(fit, recordings[3:]))
    assert found["early_time"].value == found["early_time"].rivals["whole_window"]
    assert "never answers early" in found["early_balanced_accuracy"].caution


def test_few_windows_to_learn_from_leave_enough_to_set_a_threshold(rng):
    recordings = [session(i, rng) for i in range(4)]
    model = built(windows=30, training={"epochs": 1, "updates": 1})
    fit = model.fit(recordings[:3], seed=0)
    assert fit.metrics["training_windows"] == 30
    assert fit.metrics["validation_windows"] == 60
    assert not any("windows" in said for said in fit.notices)


def test_a_fit_goes_on_from_its_checkpoint(rng, tmp_path, monkeypatch):
    from rheobase.models.spiking import train

    recordings = [session(i, rng) for i in range(3)]
    model = built()
    whole = model.fit(recordings, seed=0)
    real = train.train
    monkeypatch.setattr(train, "train", lambda *a, **k: real(*a, **k, until=2))
    model.fit(recordings, seed=0, checkpoint=tmp_path / "c.safetensors")
    monkeypatch.setattr(train, "train", real)
    again = model.fit(recordings, seed=0, checkpoint=tmp_path / "c.safetensors")
    assert whole.history == again.history
    for name, value in whole.weights.items():
        np.testing.assert_array_equal(value, again.weights[name])


def swings(number, rng, samples=900, **changes):
    """Return calcium whose value is how strong the difference of two units is of late."""
    drive = np.convolve(rng.normal(size=samples + 30), np.ones(30) / 5.5, "valid")[:samples]
    signal = np.stack([drive, -drive, rng.normal(size=samples)], axis=1)
    values = {
        "name": f"sub-{number:02d}", "modality": "calcium", "sampling_rate_hz": 1.0,
        "time_unit": "frame", "entities": {"subject": f"{number:02d}"},
        "times": {"speed": 3 * drive + 7}, "label": {"name": "speed", "kind": "value"},
    }  # fmt: skip
    return Recording.build(signal + 0.3 * rng.normal(size=signal.shape), **{**values, **changes})


def test_values_are_told_beside_their_rivals(rng):
    recordings = [swings(i, rng) for i in range(4)]
    model = base.build("spiking", params={
        "hidden": [24], "window_s": 20.0, "hop_s": 5.0, "permutations": 20,
        "training": {"epochs": 20, "updates": 1, "rate": 1e-2, "batch": 32},
    })  # fmt: skip
    fit = model.fit(recordings[:3], seed=0)
    told = model.evaluate(fit, recordings[3:])
    assert told[0].name == "decode_r2"
    assert told[0].value > 0.6
    assert told[0].rivals["ridge_on_features"] > 0.8
    assert told[0].rivals["training_mean"] == 0
    assert {one.name for one in told[1:]} == {"operations", "energy", "energy_without_leak"}
    drawn = model.figures(fit, recordings[3:])
    assert "Decoding speed" in drawn["decoding"].title
    for one in drawn.values():
        one.figure.canvas.draw()


def test_blocks_of_one_recording_validate_values_and_touch_none_that_are_learnt_from(rng):
    model = base.build("spiking", params={"window_s": 20.0, "hop_s": 5.0})
    inside = taken(model, [swings(0, rng)])
    known, held, whole = hold.held_out(inside, values=True)
    assert whole == "blocks of time"
    apart = np.abs(inside.start[known][:, None] - inside.start[held])
    assert apart.min() >= 20
    assert held.sum() > 0.1 * len(held)
    long = base.build("spiking", params={"window_s": 100.0, "hop_s": 10.0})
    inside = taken(long, [swings(0, rng)])
    known, held, _ = hold.held_out(inside, values=True)
    apart = np.abs(inside.start[known][:, None] - inside.start[held])
    assert apart.min() >= 100
    assert held.sum() > 10
    with pytest.raises(NotDecodableError, match="holds 6 windows, too few to keep some apart"):
        hold.held_out(taken(long, [swings(0, rng, samples=150)]), values=True)


def test_rest_at_the_start_does_not_leave_the_network_silent(rng):
    order = np.repeat([0, 1, 2, 0, 1, 2, 1, 2, 1, 2], [4000, 200, 200, 400] + 6 * [200])
    size = np.where(order == 0, 1e-3, 1.0)[:, None] * (1 + LOUD * (np.arange(3) == order[:, None]))
    recordings = [
        Recording.build(
            size * rng.normal(size=size.shape), name=f"sub-{i:02d}", modality="emg", units="count",
            sampling_rate_hz=200.0, entities={"subject": f"{i:02d}"}, times={"gesture": order},
            label={"name": "gesture", "kind": "class"},
        ) for i in range(3)
    ]  # fmt: skip
    fit = built(training={"epochs": 1, "updates": 1, "batch": 32}).fit(recordings, seed=0)
    assert fit.history["rate"][0] > 0.01


@pytest.mark.parametrize("kind", encode.KINDS)
def test_every_encoder_fits_and_is_restored(kind, rng):
    recordings = [session(i, rng, trials=3) for i in range(3)]
    model = built(encoder=kind, delta=None if kind == "delta" else 0.7,
                  training={"epochs": 1, "updates": 1}, permutations=2)  # fmt: skip
    fit = model.fit(recordings[:2], seed=0)
    assert np.isfinite(model.evaluate(fit, recordings[2:])[0].value)
    if kind == "delta":
        x = taken(model, recordings[:2]).cut()
        held = probe.standardised(x, fit.arrays["mean"].values, fit.arrays["spread"].values)
        events = encode.Encoder(delta=float(fit.arrays["delta"]), bin=1).encode(held)
        assert events.mean() * 2 == pytest.approx(0.1, abs=0.04)


def test_rivals_answer_the_same_after_they_were_kept(rng):
    y = np.arange(90) % 2
    x = rng.normal(size=(90, 24, 3)) + y[:, None, None]
    flat = x.reshape(90, -1)
    for name, made, given, features, length in (
        ("lda", rivals.lda(flat, y), flat, 72, 24),
        ("mlp", rivals.mlp(flat, y, (flat, y), seed=0, epochs=3), flat, 72, 24),
        ("cnn", rivals.cnn(x, y, (x, y), seed=0, epochs=2), x, 3, 24),
        ("gru", rivals.gru(x, y, (x, y), seed=0, epochs=2), x, 3, 24),
    ):
        again = rivals.again(name, made.kept, features=features, length=length, classes=2)
        np.testing.assert_array_equal(made.answer(given), again.answer(given))
        assert made.multiply_adds == again.multiply_adds
        assert (made.answer(given) == y).mean() > 0.6


def test_few_windows_are_gone_through_more_often():
    training = Training(epochs=10, updates=600, batch=64, patience=5)
    assert training.for_windows(64 * 100) == training
    few = training.for_windows(64 * 20)
    assert (few.epochs, few.patience) == (30, 15)


def test_a_promise_says_how_long_it_takes(rng):
    y = np.arange(80) % 2
    steps = rng.normal(size=(10, 80, 2)) + 4 * np.eye(2)[y]
    rule = confidence.calibrate(steps, y, np.arange(80) // 8)
    at = confidence.stopped(steps, y, rule).step
    assert rule.promised_share == pytest.approx(at.mean() / 10)
    assert rule.promised_share < 1


def test_a_dataset_without_a_label_fails_its_check(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "c.yaml"
    path.write_text("""
datasets:
  rest:
    modality: fmri
    source: {kind: synthetic, generator: fmri, seed: 1, params: {regions: 12, communities: 4}}
    entities: {subject: [a, b, c]}
    split: {by: subject, folds: 3}
    models: [spikes]
models:
  spikes: {family: spiking, preset: demo}
""")
    with pytest.raises(settings.ConfigError, match="'spikes' .spiking. tells a label"):
        checked(path)


def test_windows_drawn_at_random_are_no_split(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "c.yaml"
    path.write_text("""
datasets:
  arm:
    modality: emg
    source: {kind: synthetic, generator: emg, seed: 3, params: {gestures: 4, repetitions: 6}}
    entities: {subject: [s1, s2]}
    units: uV
    label: {name: gesture, kind: class}
    split: {by: window, folds: 3}
    models: [spikes]
models:
  spikes: {family: spiking, preset: demo}
""")
    with pytest.raises(settings.ConfigError, match=r"by is 'window'|window"):
        checked(path)

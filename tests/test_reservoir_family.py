"""The family reservoir: nothing leaks, rivals are honest, scores are what they say."""

import json
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from rheobase import metrics
from rheobase.models import base
from rheobase.models.decoding import decode, examples
from rheobase.models.inputs import in_order
from rheobase.models.reservoir import folds, lags, probe, score, train, tune
from rheobase.models.reservoir.aims import Ahead, Recall, label_aim
from rheobase.models.reservoir.batched import BatchedReservoir
from rheobase.models.reservoir.choose import squared
from rheobase.models.reservoir.given import prepared
from rheobase.models.reservoir.labelled import class_weights, labelled
from rheobase.models.reservoir.scores import nrmse
from rheobase.models.reservoir.settings import Network
from rheobase.models.reservoir.stretches import cut, front_of, groups_of
from rheobase.models.reservoir.sums import WindowStream
from rheobase.recording import Recording

TINY = {
    "n_units": 50, "degree": 20, "members": 1, "horizons": [1, 3], "lags": [1, 2],
    "permutations": 50, "adapt": {"schedule": [[100, 1e-3]]}, "input_scale": 0.2,
    "search": {"n_trials": 1, "inner_folds": 2, "seeds_per_trial": 1, "samples": 1000},
}  # fmt: skip


def built(**more):
    return base.build("reservoir", params={**TINY, **more})


def recording(signal, number, **more):
    return Recording.build(signal, **{
        "name": f"sub-{number}", "modality": "series", "sampling_rate_hz": 1.0,
        "entities": {"subject": str(number)}, **more,
    })  # fmt: skip


def noise(rng, n=4, samples=400, units=2):
    return [recording(rng.normal(size=(samples, units)), i) for i in range(n)]


def autoregression(rng, n=4, samples=400):
    """Return recordings of x[t+1] = 0.8 x[t] + e, whose best error is known."""
    made = []
    for number in range(n):
        x = np.zeros((samples, 2))
        for t in range(1, samples):
            x[t] = 0.8 * x[t - 1] + rng.normal(size=2)
        made.append(recording(x, number))
    return made


def by_name(scores):
    return {one.name: one for one in scores}


def test_nothing_is_forecast_in_white_noise(rng):
    recordings = noise(rng, n=5, samples=800)
    model = built(horizons=[1, 2])
    found = by_name(model.evaluate(model.fit(recordings[:4], seed=0), recordings[4:]))
    for h in (1, 2):
        assert found[f"forecast_nrmse_h{h}"].value > 0.98
        assert found[f"forecast_r2_h{h}"].value < 0.02


def test_no_forecast_is_better_than_the_process_allows(rng):
    recordings = autoregression(rng, n=6, samples=600)
    model = built(horizons=[1])
    one = by_name(model.evaluate(model.fit(recordings[:4], seed=0), recordings[4:]))
    score_ = one["forecast_r2_h1"]
    count = 2 * 2 * (600 - 51)
    most = 0.64 + 3 * 2 * 0.36 / np.sqrt(count)
    for name, value in {"own": score_.value, **score_.rivals}.items():
        assert value < most, name
    assert score_.value > 0.5


def test_labels_exchanged_between_recordings_are_not_decoded(rng):
    label = [str(v) for v in rng.permutation(np.repeat([0, 1], 10))]
    recordings = [
        recording(rng.normal(size=(120, 3)), i, labels={"group": label[i]},
                  label={"name": "group", "kind": "class"}) for i in range(20)
    ]  # fmt: skip
    model = built(tasks=["classify"])
    found = model.evaluate(model.fit(recordings[:10], seed=0), recordings[10:])[0]
    assert 0.15 < found.value < 0.85
    assert found.p_value > 0.02


def test_what_comes_later_changes_no_earlier_forecast(rng):
    recordings = autoregression(rng)
    model = built()
    fit = model.fit(recordings[:3], seed=0)
    held = recordings[3]
    other = held.signal.copy()
    other[200:] = rng.normal(size=other[200:].shape) * 9
    told = []
    for one in (held, Recording(held.data.assign(signal=(("time", "channel"), other)))):
        ready = probe.ready(model, fit, [one])
        for learned in probe.learned(fit, "forecast", ready).values():
            states = learned.engine.states(ready.inputs)[0, 0, 0, :200]
            told.append(states @ learned.readout[0] + learned.bias[0])
        linear = probe.lagged(fit.arrays, "forecast")
        assert linear is not None
        told.append(linear.predict(ready.inputs[0], np.arange(51, 200)))
    half = len(told) // 2
    for first, second in zip(told[:half], told[half:], strict=True):
        np.testing.assert_array_equal(first, second)


def test_an_inner_fold_learns_from_its_training_side_alone(rng):
    model = built(components=2)
    recordings = noise(rng, units=4)
    before = tune.inner(model, cut(recordings, least=60), Ahead((1, 3)), washout=50)
    groups = groups_of(cut(recordings, least=60))
    held = [i for i in range(4) if folds.dealt(groups, 2)[i] == 0]
    for i in held:
        recordings[i] = recording(np.full((400, 4), 1e6) + rng.normal(size=(400, 4)), i)
    after = tune.inner(model, cut(recordings, least=60), Ahead((1, 3)), washout=50)
    assert before[0].training == len(recordings) - len(held)
    for old, new in zip(before[0].inputs[: before[0].training], after[0].inputs, strict=False):
        np.testing.assert_array_equal(old, new)
    for old, new in zip(before[0].targets[: before[0].training], after[0].targets, strict=False):
        np.testing.assert_array_equal(old, new)


def test_inner_blocks_of_one_recording_lie_a_washout_and_the_horizon_apart(rng):
    (one,) = noise(rng, n=1, samples=900)
    segments = [one.segment(0, 400), one.segment(450, 900)]
    stretches = cut(segments, least=60)
    made = folds.splits([s.length for s in stretches], groups_of(stretches), folds=2, gap=60,
                        least=20)  # fmt: skip
    starts = [0, 400]
    for split in made:
        last = max(starts[p.recording] + p.stop for p in split.train)
        first = min(starts[p.recording] + p.start for p in split.held)
        assert first - last >= 60


def test_the_washout_is_never_scored(rng):
    recordings = noise(rng)
    model = built(washout=70)
    fit = model.fit(recordings[:3], seed=0)
    ready = probe.ready(model, fit, recordings[3:])
    told = probe.foretold(model, fit, ready)
    for tally in told.tallies.values():
        assert tally.n == 400 - 70 - max(model.horizons)


def test_scores_are_those_of_the_states_and_readouts(rng):
    recordings = autoregression(rng)
    model = built(members=2)
    fit = model.fit(recordings[:3], seed=0)
    found = by_name(model.evaluate(fit, recordings[3:]))
    ready = probe.ready(model, fit, recordings[3:])
    z = ready.standard[0]
    at = np.arange(ready.washout, 400 - 3)
    one = probe.learned(fit, "forecast", ready)["adapted"]
    states = one.engine.states(ready.inputs)[:, 0, 0].astype(float)
    r2, errors, absolute = [], [], []
    for member in range(2):
        told = states[member, at] @ one.readout[member] + one.bias[member]
        truth, guess = z[at + 3], told[:, 2:]
        r2.append(metrics.r2(truth, guess))
        errors.append(nrmse(truth, guess))
        absolute.append(np.abs(truth - guess).sum() / np.abs(truth - z[at]).sum())
    assert found["forecast_r2_h3"].value == pytest.approx(np.mean(r2), rel=1e-5)
    assert found["forecast_nrmse_h3"].value == pytest.approx(np.mean(errors), rel=1e-5)
    assert found["forecast_mase_h3"].value == pytest.approx(np.mean(absolute), rel=1e-5)
    still = metrics.r2(z[at + 3], z[at])
    assert found["forecast_r2_h3"].rivals["persistence"] == pytest.approx(still)


def test_a_readout_may_see_inputs_and_squares_too(rng):
    recordings = autoregression(rng)
    plain, wide = (
        built(horizons=[1]),
        built(horizons=[1], readout={"features": ["states", "bias", "inputs", "squares"]}),
    )
    found = {}
    for name, model in (("plain", plain), ("wide", wide)):
        fit = model.fit(recordings[:3], seed=0)
        found[name] = model.evaluate(fit, recordings[3:])[0].value
        assert model.figures(fit, recordings[3:])["example"].data is not None
    assert fit.arrays["forecast_readout"].sizes["forecast_feature"] == 50 + 50 + 2
    assert found["wide"] > found["plain"] - 0.02


def test_penalties_of_short_recordings_go_further(rng):
    model = built()
    assert max(tune.alphas_of(model, "fmri")) == 1000
    assert max(tune.alphas_of(model, "emg")) == 10
    own = built(readout={"alphas": [0.1, 0.01]})
    assert tune.alphas_of(own, "fmri") == (0.01, 0.1)


def test_reservoirs_come_back_from_their_tensors_as_they_were(rng):
    recordings = noise(rng)
    model = built(search={**TINY["search"], "n_trials": 2})
    fit = model.fit(recordings[:3], seed=0)
    ready = probe.ready(model, fit, recordings[3:])
    first = probe.learned(fit, "forecast", ready)
    for kind in probe.kinds_of(fit.arrays):
        assert {one.kind for one in first.values()} == set(probe.kinds_of(fit.arrays))
        word = probe.kept.NAMES[kind]
        setting = json.loads(str(fit.arrays[f"{prefix(kind)}setting"].values))
        network = setting["network"]
        own = first[word].trial.network
        assert own.n_units == network["n_units"]
        assert own.input_scale == network["input_scale"]
    held = {k: v for k, v in fit.weights.items() if k.startswith("forecast/adapted/0/")}
    engine = first["adapted"].engine
    assert isinstance(engine, BatchedReservoir)
    np.testing.assert_array_equal(engine.weights[0].inputs, held["forecast/adapted/0/inputs"])
    np.testing.assert_array_equal(engine.inhibition.scale[0, :, 0],
                                  held["forecast/adapted/0/scale"])  # fmt: skip


@pytest.mark.parametrize("kind", ["adapted", "tanh", "uncoupled"])
def test_packed_networks_run_as_the_trained_ones(kind, rng):
    """With targets that cut synapses, so that no part of the inhibition is left out."""
    way = {"method": "iterative", "schedule": [[300, 2e-2]],
           "target": {"law": "homogeneous", "rate": 0.95}}  # fmt: skip
    model = built(adapt=way, input_scale=2.0, leak=0.3)
    given, _ = prepared(model, noise(rng), seed=0, device="cpu")
    trial = tune.configured(model, kind)
    engine, report = train.engine_for(given, trial)
    if report is not None:
        assert report.cut.max() > 0.01
    nothing = np.zeros((1, 50, 1)), np.zeros((1, 1)), np.zeros(1)
    variables, tensors = probe.kept.pack(
        probe.kept.Learned(kind, trial, engine, *nothing), "forecast", "adapted"
    )
    again = probe.kept.unpack(xr.Dataset(variables), tensors, "forecast", kind, "adapted",
                              channels=2)  # fmt: skip
    assert again.trial == trial
    np.testing.assert_array_equal(engine.states(given.inputs), again.engine.states(given.inputs))


def prefix(kind):
    return probe.kept.prefix("forecast", kind, "adapted")


def test_every_kind_is_searched_as_hard(rng):
    model = built(search={"n_trials": 4, "inner_folds": 2, "seeds_per_trial": 2, "samples": 1000})
    fit = model.fit(noise(rng), seed=0)
    runs = fit.arrays["forecast_runs"].values
    assert (runs == runs[0]).all()
    assert runs[0] == (4 + 2) * 2
    assert fit.arrays["forecast_search_error"].shape == (4, 4)


def test_what_adaptation_adds_stands_beside_the_tuned_balance_alone(rng):
    model = built()
    recordings = noise(rng)
    found = by_name(model.evaluate(model.fit(recordings[:3], seed=0), recordings[3:]))
    added = found["adaptation_forecast_r2"]
    assert set(added.rivals) == {"global_balance"}
    assert added.question != found["forecast_r2_h1"].question
    assert added.value == pytest.approx(np.mean([found[f"forecast_r2_h{h}"].value for h in (1, 3)]))


def test_without_adaptation_the_tuned_balance_is_the_model(rng):
    model = built(adapt={"enabled": False})
    recordings = noise(rng)
    found = model.evaluate(model.fit(recordings[:3], seed=0), recordings[3:])
    assert "global_balance" not in found[0].rivals
    assert not any(one.name.startswith("adaptation") for one in found)


def gestures(rng, n=4):
    """Return EMG-like amplitudes whose pattern follows a class that changes every 1.5 s."""
    made = []
    for number in range(n):
        label = np.repeat(rng.permutation(np.repeat(np.arange(3), 2)), 150)
        level = 1.0 + (label[:, None] == np.arange(3))
        signal = np.abs(level * rng.normal(size=(len(label), 3)))
        made.append(recording(signal, number, modality="emg", sampling_rate_hz=100.0,
                              times={"gesture": label.astype(str)},
                              label={"name": "gesture", "kind": "class"}))  # fmt: skip
    return made


def test_gestures_are_decoded_from_windows_beside_a_linear_decoder(rng):
    recordings = gestures(rng)
    model = built(tasks=["classify"])
    scores = model.evaluate(model.fit(recordings[:3], seed=0), recordings[3:])
    found, f1 = scores[0], next(s for s in scores if s.name == "decode_macro_f1")
    assert f1.value > 0.7 > 0.3 > f1.rivals["majority_class"]
    assert set(f1.rivals) == set(found.rivals)
    assert found.name == "decode_balanced_accuracy"
    assert found.value > 0.75
    assert set(found.rivals) == {
        "linear_decoder", "global_balance", "tanh_network", "no_recurrence", "majority_class"
    }  # fmt: skip
    assert found.p_value < 0.05


def test_windows_have_one_label_and_begin_after_washout_and_trim(rng):
    (one,) = gestures(rng, n=1)
    stretches = cut([one], least=60)
    how = examples.choose(one, window_s=0.2, hop_s=0.1, trim_s=0.5, ignore=())
    found = labelled(stretches, how, delay=0, washout=60)
    label = one.data["gesture"].values
    assert found.width == 20
    assert found.start.min() >= 60
    for start, name in zip(found.start, found.examples.y, strict=True):
        assert set(label[start : start + 20]) == {name}
        assert len(set(label[max(start - 49, 0) : start + 20])) == 1


def test_streamed_windows_are_means_and_ends_of_the_states(rng):
    inputs = [rng.normal(size=(700, 2)), rng.normal(size=(400, 2))]
    engine = BatchedReservoir([Network(n_units=40, degree=10)], [0, 1], channels=2)
    starts = [np.array([60, 240, 245, 480]), np.array([200, 380])]
    got = {}

    def keep(recording_, seed, numbers, x):
        got.update({(seed, int(k)): row for k, row in zip(numbers, x, strict=True)})

    engine.run(inputs, sink=WindowStream(starts, 20, keep), washout=50)
    states = engine.states(inputs)[:, 0].astype(float)
    place = 0
    for r, own in enumerate(starts):
        for start in own:
            for seed in (0, 1):
                window = states[seed, r, start : start + 20]
                want = np.concatenate([window.mean(axis=0), window[-1]])
                np.testing.assert_allclose(got[seed, place], want, atol=1e-6)
            place += 1
    assert len(got) == 12


def test_a_late_label_is_decoded_at_its_delay(rng):
    recordings = []
    for number in range(4):
        state = np.repeat(rng.integers(0, 2, 20), 15)
        signal = rng.normal(size=(300, 3)) + 2.0 * np.roll(state, 3)[:, None]
        recordings.append(recording(signal, number, modality="fmri", sampling_rate_hz=0.5,
                                    times={"task": np.array(["rest", "move"])[state]},
                                    label={"name": "task", "kind": "class"}))  # fmt: skip
    model = built(tasks=["classify"])
    fit = model.fit(recordings[:3], seed=0)
    assert int(fit.arrays["decode_delay"]) == 3
    assert model.evaluate(fit, recordings[3:])[0].value > 0.8


def test_the_label_of_an_aim_stands_where_its_state_is_read(rng):
    label = np.array(list("aabbbccaab"))
    one = recording(rng.normal(size=(10, 1)), 0, times={"c": label},
                    label={"name": "c", "kind": "class"})  # fmt: skip
    (stretch,) = cut([one], least=5)
    aim = label_aim(label, kind="class", delay=2)
    codes = aim.targets(stretch, one.signal, one.signal)
    assert np.isnan(codes[:2]).all()
    assert aim.classes[np.argmax(codes[2:], axis=1)].tolist() == label[:8].tolist()


def test_classes_count_alike_however_many_windows_they_have():
    y = np.array(["a"] * 90 + ["b"] * 10)
    weight = class_weights(y, kind="class")
    assert weight[y == "a"].sum() == pytest.approx(weight[y == "b"].sum())
    assert weight.mean() == pytest.approx(1)


def test_the_regression_on_lags_finds_as_many_lags_as_there_are(rng):
    x = rng.normal(size=(3000, 2))
    y = np.full((3000, 1), np.nan)
    y[6:, 0] = 2 * x[6:, 0] - x[1:-5, 1] + 0.1 * rng.normal(size=2994)
    labels, count = folds.labels([3000], ["a"], folds=3, gap=60)
    found = lags.fit([x], [y], labels, folds=count, tried=[1, 2, 6, 10], alphas=(1e-9, 1e-3),
                     blocks=[slice(0, 1)], washout=50, judge=squared)  # fmt: skip
    assert found.order.tolist() in ([6], [10])
    assert found.weights[0, 0, 0] == pytest.approx(2, abs=0.02)
    assert found.weights[5, 1, 0] == pytest.approx(-1, abs=0.02)
    at = np.arange(100, 200)
    np.testing.assert_allclose(found.predict(x, at)[:, 0], y[at, 0], atol=0.5)


def test_units_of_their_own_are_regressed_on_their_own_past(rng):
    z = np.zeros((4000, 2))
    for t in range(2, 4000):
        z[t] = [1.2, 0.5] * z[t - 1] + [-0.6, 0.0] * z[t - 2] + rng.normal(size=2)
    labels, count = folds.labels([4000], ["a"], folds=3, gap=60)
    own = lags.fit_own([z], labels, horizons=[1, 2], folds=count, tried=[1, 2], washout=50)
    np.testing.assert_allclose(own.weights[0], [[1.2, 0.5], [-0.6, 0.0]], atol=0.06)
    at = np.arange(100, 3990)
    assert metrics.r2(z[at + 1], own.predict(z, at)[:, 0]) > 0.3


def test_memory_is_that_of_a_delay_line_for_lags(rng):
    recordings = [recording(rng.uniform(-1, 1, (700, 1)), i) for i in range(3)]
    model = built(tasks=["memory"], delays=6, lags=[10], input_scale=0.05)
    found = model.evaluate(model.fit(recordings[:2], seed=0), recordings[2:])[0]
    assert found.rivals["linear_on_lags"] == pytest.approx(6, abs=0.05)
    assert 1 < found.value < 6.001


def test_recall_is_of_the_input_before(rng):
    x = rng.normal(size=(20, 1))
    made = Recall(3).targets(cut([recording(x, 0)], least=5)[0], x, x)
    np.testing.assert_array_equal(made[3:, 2], x[:-3, 0])
    assert np.isnan(made[:3, 2]).all()


def test_many_units_go_in_as_principal_components_of_the_training_part(rng):
    source = rng.normal(size=(500, 2))
    signal = source @ rng.normal(size=(2, 6)) + 0.01 * rng.normal(size=(500, 6))
    front = front_of([signal], components=2)
    inputs = front.inputs(front.standard(signal))
    assert inputs.shape == (500, 2)
    assert np.mean(inputs.var(axis=0)) == pytest.approx(1)
    assert abs(np.corrcoef(inputs.T)[0, 1]) < 1e-6


def test_recordings_of_one_class_each_are_dealt_to_inner_folds_by_class(rng):
    recordings = [
        recording(rng.normal(size=(100, 1)), i, labels={"g": "ab"[i // 3]},
                  label={"name": "g", "kind": "class"}) for i in range(6)
    ]  # fmt: skip
    stretches = cut(recordings, least=10)
    for split in folds.splits([100] * 6, groups_of(stretches), folds=3, gap=20, least=10):
        held = {stretches[p.recording].segment.labels["g"] for p in split.held}
        assert held == {"a", "b"}
    assert [s.segment for s in stretches] == sorted(in_order(recordings),
                                                    key=lambda r: str(r.labels["g"]))  # fmt: skip


def test_the_linear_rival_of_a_label_is_the_decoder_of_the_linear_family(rng):
    recordings = gestures(rng)
    model = built(tasks=["classify"])
    fit = model.fit(recordings[:3], seed=0)
    ready = probe.ready(model, fit, recordings[3:])
    found = probe.decoded(model, fit, ready)
    how = examples.choose(recordings[0], window_s=0.2, hop_s=0.1, trim_s=0.5, ignore=())
    linear = decode.fit(recordings[:3], how, cs=(1.0,), penalties=(1.0,), delay_s=None)
    told = found.classes[found.outputs["linear_decoder"][0].argmax(axis=1)]
    assert (told == linear.output(found.examples.x)).all()


def test_a_filter_that_looked_ahead_is_told_and_flagged(rng):
    steps = [{"step": "band-pass", "acausal": True}]
    recordings = [recording(rng.normal(size=(300, 2)), i, steps=steps) for i in range(4)]
    model = built()
    fit = model.fit(recordings[:3], seed=0)
    assert fit.metrics["acausal"] == 1
    assert any("later samples change earlier ones" in said for said in fit.notices)
    assert "flattered" in score.scores(model, fit, recordings[3:])[0].caution


def test_memory_is_refused_for_recordings_of_the_living(rng):
    one = recording(rng.normal(size=(300, 2)), 0, modality="fmri")
    with pytest.raises(ValueError, match="sub-0: memory is a task for bare series"):
        built(tasks=["memory"]).fit([one], seed=0)


def test_a_recording_that_the_washout_uses_up_is_named(rng):
    short = recording(rng.normal(size=(40, 2)), 9)
    with pytest.raises(ValueError, match="sub-9: .* 40 samples; a washout of 50 samples and"):
        built().fit([short], seed=0)
    fit = built().fit([*noise(rng, n=3), short], seed=0)
    assert any("sub-9" in said and "left out" in said for said in fit.notices)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"tasks": ["dream"]}, "tasks are .*forecast, classify, memory"),
        ({"horizons": [1, 1]}, "horizons is .*different numbers"),
        ({"members": 0}, "members is 0"),
        ({"window_s": 0}, "window_s is 0"),
        ({"balance": 1.0}, "balance 1 leaves no inhibition"),
        ({"search": {"n_trials": 0}}, "n_trials is 0; it must be 1 or more"),
        ({"search": {"space": {"gian": [1]}}}, "space holds 'gian'"),
        ({"search": {"space": {"gain": {"log": [0, 1]}}}}, "log needs more than 0"),
        ({"search": {"space": {"gain": {"between": [1, 2]}}}}, "give a list of values, or log"),
        ({"search": {"space": {"leak": []}}}, "give a list of values"),
        ({"sweep": {"balances": [2]}}, "at most 1"),
        ({"adapt": {"target": {"law": "homogeneous", "rate": 0.1}}}, "all units flip"),
    ],
)
def test_impossible_parameters_are_refused(params, said):
    with pytest.raises(ValueError, match=said):
        base.build("reservoir", params=params)


def test_the_methods_text_names_what_was_done():
    settings = json.loads(json.dumps(
        {**vars(built()), "adapt": vars(built().adapt), "readout": vars(built().readout),
         "search": vars(replace(built().search, n_trials=5))}, default=vars))  # fmt: skip
    label = {"name": "gesture", "kind": "class", "modality": "emg", "over_time": True,
             "tested": "every"}  # fmt: skip
    said = " ".join(built().methods(settings, lambda *keys: f"({', '.join(keys)})", frames=False,
                                    label=label))  # fmt: skip
    for part in ("50 units", "(srinivasan2025)", "5 settings", "(jaeger2001)", "1 and 3 samples",
                 "gesture was decoded from windows of 0.2 s"):  # fmt: skip
        assert part in said

"""The family hmm_rnn: planted states are found, nothing leaks, rivals see the same samples."""

import numpy as np
import pytest
import xarray as xr

from rheobase.models import base
from rheobase.models.hmm_rnn import (
    agreement,
    front,
    jumped,
    kept,
    labelled,
    memoryless,
    score,
    surrogates,
)
from rheobase.models.hmm_rnn.output import see
from rheobase.recording import Recording
from rheobase.storage import read_dataset, write_dataset

TINY = {
    "states": 3, "folds": 2, "restarts": 2, "surrogates": 1, "rate_samples": 0,
    "permutations": 100, "stop": {"iterations": 25, "tolerance": 1e-4},
}  # fmt: skip


def built(**more):
    return base.build("hmm_rnn", params={**TINY, **more})


def paths(rng, n, samples, states=3, stay=0.95):
    """Return paths of a chain that stays with some probability, else goes to any other state."""
    moves = rng.random((n, samples)) > stay
    steps = np.where(moves, rng.integers(1, states, (n, samples)), 0)
    return (rng.integers(states, size=(n, 1)) + np.cumsum(steps, axis=1)) % states


def recording(signal, number, **more):
    values = {"name": f"sub-{number:02d}", "modality": "series", "sampling_rate_hz": 2.0,
              "entities": {"subject": f"{number:02d}"}}  # fmt: skip
    return Recording.build(signal, **{**values, **more})


def labelled_by(path, name="task"):
    return {"times": {name: np.array(list("abcdefgh"))[path]},
            "label": {"name": name, "kind": "class"}}  # fmt: skip


def levels(rng, n=4, samples=300, units=4, apart=2.0, **more):
    """Return recordings whose mean follows a path of three states, labelled by it."""
    means = apart * rng.normal(size=(3, units))
    return [recording(means[path] + rng.normal(size=(samples, units)), i, **labelled_by(path),
                      **more) for i, path in enumerate(paths(rng, n, samples))]  # fmt: skip


def connectivity(rng, n=4, samples=500, units=6):
    """Return fMRI-like recordings in which correlations, not means, follow a path of two states."""
    roots = np.eye(units) + np.zeros((2, units, units))
    roots[0, :3, 0], roots[1, 3:, 5] = 1.5, 1.5
    return [
        recording(np.einsum("tij,tj->ti", roots[path], rng.normal(size=(samples, units))), i,
                  modality="fmri", sampling_rate_hz=0.5, **labelled_by(path))
        for i, path in enumerate(paths(rng, n, samples, 2, 0.97))
    ]  # fmt: skip


def amplitudes(rng, n=4, samples=400):
    """Return envelopes of EMG, as the view makes them, of three gestures."""
    level = np.array([[1.0, 0.2, 0.2], [0.2, 1.0, 0.3], [0.3, 0.2, 1.0]])
    steps = [{"step": "envelope"}]
    return [
        recording((level[path] * rng.gamma(3, 0.33, (samples, 3))) ** 2, i, modality="emg",
                  sampling_rate_hz=50.0, units="uV", steps=steps, **labelled_by(path, "gesture"))
        for i, path in enumerate(paths(rng, n, samples, 3, 0.985))
    ]  # fmt: skip


def dynamics(rng, n=3, samples=600):
    """Return recordings that turn one way in one state and the other way in another."""
    turn = 0.9 * np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]])
    made = []
    for number, path in enumerate(paths(rng, n, samples, 2, 0.98)):
        x = np.zeros((samples, 2))
        for t in range(1, samples):
            x[t] = (turn if path[t] else turn.T) @ x[t - 1] + 0.5 * rng.normal(size=2)
        made.append(recording(x, number, modality="calcium", **labelled_by(path)))
    return made


def by_name(scores):
    return {one.name: one for one in scores}


def fitted(model, recordings, train):
    fit = model.fit(recordings[:train], seed=0)
    return fit, by_name(model.evaluate(fit, recordings[train:]))


@pytest.mark.parametrize(("make", "states", "more", "least"), [
    (levels, 3, {}, 0.9),
    (connectivity, 2, {}, 0.5),
    (amplitudes, 3, {}, 0.6),
    (dynamics, 2, {"emission": "ar"}, 0.4),
], ids=["series", "fmri", "emg", "calcium"])  # fmt: skip
def test_planted_states_are_found_in_recordings_not_learnt_from(rng, make, states, more, least):
    recordings = make(rng)
    model = built(states=states, trim_s=0.0, **more)
    fit, found = fitted(model, recordings, len(recordings) - 1)
    assert found["label_rand"].value > least
    assert found["label_rand"].value > found["label_rand"].rivals["gaussian_mixture"]
    assert found["label_rand"].p_value < 0.05
    held = found["heldout_loglik"]
    assert held.value > max(held.rivals.values())
    gain = found["gain_over_single"]
    assert gain.value > gain.rivals["phase_randomised"]
    assert fit.metrics["states"] == states


def test_the_number_of_planted_states_is_chosen(rng):
    model = built(states="auto", grid=[2, 3, 4, 5], folds=3)
    fit = model.fit(levels(rng, n=5), seed=0)
    assert fit.metrics["states"] == 3
    assert fit.arrays["heldout_loglik"].shape == (4, 3)
    assert any("3 states were chosen" in said for said in fit.notices)
    assert "selection" in model.figures(fit, levels(rng, n=1))


def test_smooth_signals_without_states_are_said_to_be_told_better_by_an_autoregression(rng):
    made = []
    for number in range(4):
        x = np.zeros((400, 3))
        for t in range(1, 400):
            x[t] = 0.95 * x[t - 1] + rng.normal(size=3)
        made.append(recording(x, number))
    _, found = fitted(built(surrogates=4), made, 3)
    held, gain = found["heldout_loglik"], found["gain_over_single"]
    assert held.rivals["var"] > held.value
    assert "autoregression, which has no states, describes held-out samples better" in held.caution
    assert held.value > held.rivals["one_gaussian"]
    assert gain.value < gain.rivals["phase_randomised"] * 1.5
    assert gain.p_value > 0.05


def test_what_is_said_first_is_that_states_are_a_description(rng):
    recordings = levels(rng, n=3, samples=150)
    fit, _ = fitted(built(), recordings, 2)
    assert "no proof that the brain switches" in fit.notices[0]
    drawn = built().figures(fit, recordings[2:])
    assert "no proof that the brain switches" in drawn["states"].caption


def test_training_on_the_test_part_too_would_change_fit_and_score(rng):
    recordings = levels(rng, n=4, samples=200, apart=0.7)
    fit, found = fitted(built(), recordings, 3)
    peeked = built().fit(recordings, seed=0)
    own = by_name(built().evaluate(peeked, recordings[3:]))
    assert own["heldout_loglik"].value != found["heldout_loglik"].value
    assert not fit.arrays["means"].equals(peeked.arrays["means"])


def test_scaling_and_components_come_from_the_training_part(rng):
    recordings = [recording(rng.normal(size=(120, 20)) @ rng.normal(size=(20, 20)), i)
                  for i in range(3)]  # fmt: skip
    model = built(components=4)
    made = front.learn(model, recordings[:2], shortest=2)
    x = np.concatenate([r.signal for r in recordings[:2]]).astype(float)
    np.testing.assert_allclose(made.mean, x.mean(axis=0))
    np.testing.assert_allclose(made.scale, x.std(axis=0))
    assert made.axes is not None
    assert made.axes.shape == (20, 4)
    seen = made.series(recordings[2:], shortest=2)
    z = (recordings[2].signal - made.mean) / made.scale
    np.testing.assert_allclose(seen.x, z @ made.axes)
    again = front.unpack(xr.Dataset(made.pack()))
    np.testing.assert_array_equal(again.series(recordings[2:], shortest=2).x, seen.x)


def test_few_channels_are_taken_as_they_are_and_envelopes_by_their_root(rng):
    recordings = amplitudes(rng, n=2)
    made = front.learn(built(), recordings, shortest=2)
    assert made.axes is None
    assert made.root
    root = np.sqrt(np.concatenate([r.signal for r in recordings]).astype(float))
    np.testing.assert_allclose(made.mean, root.mean(axis=0))
    plain = front.learn(built(transform_of="none"), recordings, shortest=2)
    assert not plain.root


def test_no_stretch_crosses_a_cut_and_short_ones_are_left_out(rng):
    valid = np.ones(200, bool)
    valid[[50, 52]] = False
    one = recording(rng.normal(size=(200, 2)), 0, valid=valid,
                    times={"block": np.repeat([0, 1], 100)})  # fmt: skip
    made = front.learn(built(), [one], shortest=2).series([one], shortest=2)
    assert made.lengths == (50, 47, 100)
    assert made.skipped == 1


def test_one_gaussian_and_mixture_have_the_states_prior(rng):
    x = rng.normal(size=(200, 3)) * [1, 2, 3] + 1
    one = memoryless.one_gaussian(x, nu=5, centred=False)
    away = x - x.mean(axis=0)
    want = (away.T @ away + 5 * np.diag(away.var(axis=0))) / 205
    np.testing.assert_allclose(one.cov, want)
    prior = kept_prior()
    chain = memoryless.mixture(x, states=1, cov="full", prior=prior, starts=1, seed=0)
    np.testing.assert_allclose(chain.emission["covs"][0, 0].numpy(), want, rtol=1e-2)
    centred = memoryless.mixture(x, states=1, cov="zero-mean-full", prior=prior, starts=1, seed=0)
    second = (x.T @ x + 5 * np.diag((x**2).mean(axis=0))) / 205
    np.testing.assert_allclose(centred.emission["covs"][0, 0].numpy(), second, rtol=1e-2)
    told = memoryless.of_mixture(x, chain)[:, 0]
    assert told.mean() == pytest.approx(one.loglik(x).mean(), abs=1e-2)


def kept_prior():
    return built().prior


def test_the_autoregression_is_that_of_its_samples(rng):
    x = np.zeros((3000, 2))
    for t in range(1, 3000):
        x[t] = np.array([[0.7, 0.2], [0, 0.5]]) @ x[t - 1] + rng.normal(size=2)
    first = memoryless.one_gaussian(x, nu=4, centred=False)
    found = memoryless.linear(x, [1500, 1500], order=1, prior=kept_prior(), first=first)
    np.testing.assert_allclose(found.coefs[:, :2], [[0.7, 0.2], [0, 0.5]], atol=0.05)
    told = found.loglik(x, [1500, 1500])
    assert told[0] == pytest.approx(first.loglik(x)[0])
    assert told[1500] == pytest.approx(first.loglik(x)[1500])
    away = x[1] - found.coefs @ np.r_[x[0], 1]
    want = -0.5 * (away @ np.linalg.solve(found.cov, away) + np.linalg.slogdet(found.cov)[1]
                   + 2 * np.log(2 * np.pi))  # fmt: skip
    assert told[1] == pytest.approx(want)


def test_copies_keep_means_and_cross_spectra_of_every_segment(rng):
    x = np.cumsum(rng.normal(size=(201, 3)), axis=0)
    made = surrogates.randomised(x, [100, 101], np.random.default_rng(1))
    for part in (slice(0, 100), slice(100, 201)):
        a, b = (np.fft.rfft(one[part], axis=0) for one in (x, made))
        cross = [np.einsum("fi,fj->fij", s, s.conj()) for s in (a, b)]
        np.testing.assert_allclose(cross[0], cross[1], atol=1e-6 * np.abs(cross[0]).max())
        np.testing.assert_allclose(x[part].mean(axis=0), made[part].mean(axis=0))
    assert np.abs(np.corrcoef(x[:100, 0], made[:100, 0])[0, 1]) < 0.99


def test_the_adjusted_rand_index_is_scikit_learn_s(rng):
    from sklearn.metrics import adjusted_rand_score

    a = rng.integers(0, 3, 300)
    b = np.where(rng.random(300) < 0.6, a, rng.integers(0, 4, 300))
    assert score.agreement([a, b]) == pytest.approx(adjusted_rand_score(a, b))
    assert score.agreement([a, np.zeros(300, int)]) == pytest.approx(0)


def test_labels_exchanged_between_stretches_are_the_chance(rng):
    recordings = levels(rng, n=4, samples=300)
    moved = [recording(r.signal, i, **labelled_by(path)) for i, (r, path) in
             enumerate(zip(recordings, paths(rng, 4, 300), strict=True))]  # fmt: skip
    _, found = fitted(built(permutations=200), moved, 3)
    assert found["label_rand"].p_value > 0.02
    assert abs(found["label_rand"].value - found["label_rand"].chance) < 0.3


def test_samples_after_a_switch_and_ignored_classes_are_left_out(rng):
    recordings = amplitudes(rng, n=3, samples=200)
    fit, _ = fitted(built(trim_s=0.0), recordings, 2)
    plain = labelled.labelled(built(trim_s=0.0), see(built(), fit, recordings[2:]))
    trimmed = labelled.labelled(built(trim_s=0.1), see(built(), fit, recordings[2:]))
    label = recordings[2].data["gesture"].values
    switches = np.flatnonzero(label[1:] != label[:-1]) + 1
    late = {int(s) + k for s in switches for k in range(5)}
    assert set(plain.at.tolist()) - set(trimmed.at.tolist()) == {t for t in late if t < 200}
    some = labelled.labelled(built(trim_s=0.0, ignore_labels=["a"]),
                             see(built(), fit, recordings[2:]))  # fmt: skip
    assert set(some.classes) == {"b", "c"}


def test_a_late_signal_is_compared_with_its_own_label(rng):
    recordings = levels(rng, n=4, samples=200)
    late = []
    for r in recordings:
        label = np.roll(r.data["task"].values, -6)
        late.append(recording(r.signal, int(r.subject), times={"task": label},
                              label={"name": "task", "kind": "class"}))  # fmt: skip
    _, none = fitted(built(), late, 3)
    _, moved = fitted(built(label_delay_s=3.0), late, 3)
    assert moved["label_rand"].value > none["label_rand"].value


def test_a_value_is_no_class_and_that_is_said(rng):
    recordings = [recording(rng.normal(size=(150, 2)), i, times={"speed": rng.normal(size=150)},
                            label={"name": "speed", "kind": "value"})
                  for i in range(3)]  # fmt: skip
    _, found = fitted(built(), recordings, 2)
    assert "label_rand" not in found
    assert "the label 'speed' is a value, not a class" in found["heldout_loglik"].note


def test_transform_gives_probabilities_and_the_path_where_states_are_known(rng):
    valid = np.ones(150, bool)
    valid[[70, 72]] = False
    recordings = levels(rng, n=2, samples=150)
    holed = recording(recordings[0].signal, 7, valid=valid)
    fit, _ = fitted(built(), recordings, 1)
    (made,) = built().transform(fit, [holed])
    assert made.unit_names == ["state 1", "state 2", "state 3"]
    np.testing.assert_array_equal(made.valid, np.where(np.arange(150) == 71, False, valid))
    np.testing.assert_allclose(made.signal[made.valid].sum(axis=1), 1, atol=1e-5)
    path = made.data["state"].values
    assert set(np.unique(path)) <= {0, 1, 2, 3}
    assert (path[~made.valid] == 0).all()
    assert (path[made.valid] - 1 == made.signal[made.valid].argmax(axis=1)).mean() > 0.9
    assert made.acausal


def test_channels_that_follow_from_others_have_no_axis(rng):
    x = rng.normal(size=(200, 4))
    x[:, 3] = 1 - x[:, :3].sum(axis=1)
    made = front.learn(built(), [recording(x, 0)], shortest=2)
    assert made.axes is not None
    assert made.axes.shape == (4, 3)
    z = (x - made.mean) / made.scale
    np.testing.assert_allclose(z @ made.axes @ made.axes.T, z, atol=1e-5)


def test_states_of_another_family_s_output_are_found(rng):
    recordings = levels(rng, n=4, samples=200)
    below = built()
    low = below.fit(recordings[:3], seed=0)
    upper = [below.transform(low, part) for part in (recordings[:3], recordings[3:])]
    fit = built(drop_constant=True).fit(upper[0], seed=0)
    assert by_name(built().evaluate(fit, upper[1]))["label_rand"].value > 0.8
    assert not bool(fit.arrays["root"])


@pytest.mark.parametrize("more", [
    {"emission": "tde", "half": 3}, {"emission": "ar", "order": 2}, {"cov": "diag"},
    {"cov": "tied"}, {"cov": "spherical"}, {"cov": "zero-mean-full"}, {"precision": "fast"},
], ids=str)  # fmt: skip
def test_every_kind_of_state_is_scored_drawn_and_stored(rng, more, tmp_path):
    recordings = levels(rng, n=3, samples=150)
    model = built(states=2, rate_samples=0, **more)
    fit, found = fitted(model, recordings, 2)
    assert np.isfinite([s.value for s in found.values()]).all()
    assert ("var" in found["heldout_loglik"].rivals) == (more.get("emission") != "tde")
    write_dataset(fit.arrays, tmp_path / "arrays.nc")
    again = base.Fitted(read_dataset(tmp_path / "arrays.nc"))
    assert by_name(model.evaluate(again, recordings[2:])) == found
    if "emission" in more:
        drawn = set(model.figures(fit, recordings[2:]))
        assert {"states", "course", "times", "transitions"} <= drawn
    (made,) = model.transform(fit, recordings[2:])
    lost = 3 if more.get("emission") == "tde" else 0
    assert made.valid.sum() == 150 - 2 * lost


def test_an_autoregression_of_one_state_is_the_rival(rng):
    """The first samples have no likelihood; both sides leave them out."""
    recordings = dynamics(rng, n=3, samples=200)
    model = built(states=2, emission="ar", surrogates=0)
    fit, found = fitted(model, recordings, 2)
    seen = see(model, fit, recordings[2:])
    rivals = memoryless.unpack_linear(fit.arrays)
    want = rivals.loglik(seen.x, seen.lengths)[1:].mean()
    assert found["heldout_loglik"].rivals["var"] == pytest.approx(want)
    assert found["heldout_loglik"].value == pytest.approx(seen.loglik.sum() / 199)
    gain = found["gain_over_single"]
    assert gain.value == pytest.approx(found["heldout_loglik"].value - want)
    assert gain.chance is None
    assert "phase_randomised" not in gain.rivals


def test_the_likelihood_is_that_of_the_chain(rng):
    recordings = levels(rng, n=2, samples=60)
    fit, found = fitted(built(), recordings, 1)
    seen = see(built(), fit, recordings[1:])
    chain = kept.unpack(fit.arrays)
    logb = memoryless.of_mixture(seen.x, chain) - chain.pi[0].log().numpy()
    b = np.exp(logb)
    alpha, total = chain.pi[0].numpy(), 0.0
    for t, like in enumerate(b):
        alpha = (alpha if t == 0 else alpha @ chain.A[0].numpy()) * like
        total += np.log(alpha.sum())
        alpha /= alpha.sum()
    assert found["heldout_loglik"].value == pytest.approx(total / 60, rel=1e-9)


def test_rates_are_those_of_the_path_in_its_unit_of_time(rng):
    path = np.concatenate(paths(rng, 5, 1000, 2, 0.95))
    made, names, why = jumped.of_path(path, [1000] * 5, step=0.5, most=100_000, seed=0)
    assert why == ""
    assert names["jump"].tolist() == [1, 2]
    rate = made["rates_hz_value"][1]
    assert rate[0, 1] == pytest.approx(0.1, rel=0.25)
    part, lengths = jumped.thinned(path, [1000] * 5, 2500)
    assert sum(lengths) == len(part) <= 2500
    assert jumped.of_path(np.zeros(50, int), [50], step=1, most=99, seed=0)[2]


def test_states_of_two_fits_are_matched_whatever_their_order(rng):
    recordings = levels(rng, n=2, samples=200)
    fit = built().fit(recordings, seed=0)
    turned = fit.arrays.isel(state=[2, 0, 1])
    placed = [base.Placed("d", n, 0, base.Fitted(a)) for n, a in enumerate((fit.arrays, turned))]
    assert agreement.alike(*placed) == pytest.approx(1)
    drawing = built().across(placed)["agreement"]
    assert "find the same states" in drawing.caption


def refused(recordings, match, **more):
    with pytest.raises(ValueError, match=match) as raised:
        built(**more).fit(recordings, seed=0)
    said = str(raised.value)
    assert "\n" not in said
    assert said.count(". ") == 0


def test_impossible_recordings_are_refused_in_one_sentence(rng):
    still = rng.normal(size=(100, 3))
    still[:, 1] = 4.0
    refused([recording(still, 0)], r"sub-00: channel channel001 is constant in the training part")
    refused([recording(rng.normal(size=(25, 4)), 0)], "25 samples are too few for 3 states in 4")
    refused([recording(rng.normal(size=(15, 2)), 0, valid=np.arange(15) % 2 == 0)],
            "no unbroken stretch of these recordings has 2 samples")  # fmt: skip
    refused([recording(rng.normal(size=(16, 2)), 0)], "has 22 samples", emission="tde", half=10)
    refused([recording(rng.normal(size=(100, 2)), 0)], "dwell_s is 0.2, which is 0.4 samples",
            dwell_s=0.2)  # fmt: skip


def test_a_constant_channel_may_be_dropped_and_that_is_said(rng):
    recordings = levels(rng, n=2, samples=150)
    made = []
    for r in recordings:
        signal = np.concatenate([r.signal, np.full((150, 1), 3.0)], axis=1)
        made.append(recording(signal, int(r.subject)))
    fit, found = fitted(built(drop_constant=True), made, 1)
    assert any("left out: channel004" in said for said in fit.notices)
    assert fit.arrays.sizes["kept_unit"] == 4
    assert np.isfinite(found["heldout_loglik"].value)


@pytest.mark.parametrize(("params", "match"), [
    ({"states": 1}, "states is 1; give 2 to 50 states"),
    ({"states": 51}, "states is 51"),
    ({"states": "auto", "grid": [3, 3]}, "grid is"),
    ({"states": "auto", "grid": []}, "grid is"),
    ({"restarts": 0}, "restarts is 0"),
    ({"order": 0}, "order is 0"),
    ({"folds": 1}, "folds is 1; give 2 or more"),
    ({"variance": 0.0}, "variance is 0.0"),
    ({"components": 0}, "components is 0"),
    ({"surrogates": -1}, "surrogates is -1"),
    ({"emission": "poisson"}, "emission is 'poisson'; it must be one of"),
    ({"states": "many"}, "states is 'many'"),
])  # fmt: skip
def test_impossible_parameters_are_named(params, match):
    with pytest.raises(ValueError, match=match):
        built(**params)


def test_few_samples_for_many_states_are_a_caution(rng):
    fit = built().fit([recording(rng.normal(size=(50, 3)), 0)], seed=0)
    assert any("50 samples are few for 3 states in 3 dimensions" in said for said in fit.notices)


def test_states_that_tell_people_apart_are_flagged(rng):
    made = [recording(rng.normal(size=(120, 2)) + 8 * np.array([i % 3, i // 3]), i)
            for i in range(4)]  # fmt: skip
    fit = built().fit(made, seed=0)
    assert any("states tell people apart rather than moments" in said for said in fit.notices)

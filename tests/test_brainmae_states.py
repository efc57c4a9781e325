"""BrainMAE on labels that change over time: which volumes count, what is kept apart and found."""

import dataclasses

import numpy as np
import pytest
import torch

from rheobase.models import base
from rheobase.models.brainmae import blocks, states
from rheobase.models.brainmae.learn import network_of
from rheobase.models.brainmae.network import BrainMAENetwork, Sizes
from rheobase.models.brainmae.segments import Deck, Run, runs
from rheobase.models.decoding import classify
from rheobase.models.decoding.examples import NotDecodableError
from rheobase.recording import Recording
from rheobase.storage import read_dataset, write_dataset

SAMPLES = 4
SMALL = {
    "segment_s": 10.0, "crop_s": 60.0, "width": 8, "heads": 2, "spatial_layers": 1,
    "encoder_layers": 1, "decoder_layers": 1, "steps": 40, "learning_rate": 1e-2,
    "label_training": {"epochs": 6, "patience": 3, "encoder_rate": 1e-3, "permutations": 50,
                       "ignore_labels": ["rest"], "inverse_penalties": [0.01, 0.1]},
}  # fmt: skip
PAUSE = 3


def planted(rng, *, count=6, lag=0, size=1.5, regions=10, rounds=3, block=6, own=False, **more):
    """Return runs in which each state adds a pattern over regions, ``lag`` volumes late.

    The patterns are those of all runs, or of each run alone (``own``).
    """
    made, patterns = [], {}
    for number in range(count):
        if own or not patterns:
            patterns = dict(zip("abc", size * rng.normal(size=(3, regions)), strict=True))
        order = np.concatenate([rng.permutation(list("abc")) for _ in range(rounds)])
        label = np.concatenate([["rest"] * PAUSE + [name] * block for name in order])
        signal = rng.normal(size=(len(label), regions))
        for t, name in enumerate(label[: len(label) - lag]):
            signal[t + lag] += patterns.get(name, 0)
        made.append(recording(signal, label, number, **more))
    return made


def recording(signal, label, number, kind="class", subject="one", **more):
    return Recording.build(
        signal, name=f"sub-{subject}_run-{number}", modality="fmri", sampling_rate_hz=0.4,
        times={"state": label}, label={"name": "state", "kind": kind},
        entities={"subject": subject, "run": str(number)}, **more,
    )  # fmt: skip


def one_run(label, valid=None):
    """Return a run of noise with its label, and the recording that it is all of."""
    signal = np.random.default_rng(0).normal(size=(len(label), 5))
    made = recording(signal, np.array(label), 0, valid=valid)
    return Run(made.name, "one", made.signal, made.valid, 0.0), made


def found(label, delay=0, valid=None, ignore=("rest",)):
    run, made = one_run(label, valid)
    return blocks.find([made], [run], SAMPLES, delay=delay, ignore=ignore)


def fitted(made, seed=0, **changes):
    model = base.build("brainmae", params={**SMALL, **changes})
    return model, model.fit(made, seed=seed, device="cpu")


def test_segments_lie_inside_the_delayed_block():
    label = ["rest"] * 5 + ["a"] * 6 + ["rest"] * 5 + ["b"] * 4 + ["rest"] * 4
    made = found(label, delay=2)
    assert made.known.y.tolist() == ["a", "b"]
    assert [starts.tolist() for starts in made.starts] == [[7, 8, 9], [18]]
    run, _ = one_run(label)
    np.testing.assert_allclose(made.known.x[0], run.signal[7:13].mean(axis=0), rtol=1e-6)


def test_a_short_block_is_read_by_the_segment_centred_on_it():
    made = found(["a"] * 2 + ["rest"] * 8 + ["b"] * 2 + ["rest"] * 7 + ["a"])
    assert [starts.tolist() for starts in made.starts] == [[0], [9], [16]]
    run, _ = one_run(["a"] * 20)
    np.testing.assert_allclose(made.known.x[1], run.signal[10:12].mean(axis=0), rtol=1e-6)


def test_flagged_volumes_are_not_read():
    label = ["a"] * 8 + ["rest"] * 4 + ["b"] * 6 + ["rest"] * 2
    valid = np.ones(20, bool)
    valid[[5, 13, 14, 16]] = False
    made = found(label, valid=valid)
    assert made.known.y.tolist() == ["a"]
    assert made.starts[0].tolist() == [0, 1]
    run, _ = one_run(label)
    kept = [0, 1, 2, 3, 4, 6, 7]
    np.testing.assert_allclose(made.known.x[0], run.signal[kept].mean(axis=0), rtol=1e-6)
    with pytest.raises(NotDecodableError, match="no block of the label 'state' is left"):
        found(label, valid=valid, ignore=("a", "rest"))


def test_nothing_outside_a_block_reaches_its_vector():
    """A sentinel: what is written around the blocks must not be seen in them."""
    label = ["rest"] * 5 + ["a"] * 6 + ["rest"] * 5 + ["b"] * 5 + ["rest"] * 4
    run, made = one_run(label)
    inside = np.zeros(len(label), bool)
    inside[[*range(6, 12), *range(17, 22)]] = True
    told = {}
    for name, changed in (("as it was", ~np.ones_like(inside)), ("outside", ~inside),
                          ("inside", inside)):  # fmt: skip
        signal = np.where(changed[:, None], np.float32(1000), run.signal)
        one = dataclasses.replace(run, signal=signal)
        chosen = blocks.find([made], [one], SAMPLES, delay=1, ignore=("rest",))
        deck = Deck([one], samples=SAMPLES, period_s=2.5, device="cpu")
        torch.manual_seed(0)
        network = BrainMAENetwork(Sizes(5, SAMPLES, 8, 8, 2, 1, 1, 1, "sg", "flatten", "learned",
                                        False))  # fmt: skip
        reader = blocks.Reader.of(network)
        told[name] = reader.vectors(deck, chosen), chosen.known.x
        assert reader.groups() == {"encoder": 8, "courses of maps": 5}
        np.testing.assert_allclose(told[name][0][:, 8:], chosen.known.x @ reader.maps)
    for before, outside, within in zip(*told.values(), strict=True):
        np.testing.assert_array_equal(before, outside)
        assert not np.isclose(before, within).any()


def test_what_belongs_together_is_held_out_together(rng):
    def groups(made):
        stretches, _ = runs(made, SAMPLES)
        chosen = blocks.find(made, stretches, SAMPLES, delay=0, ignore=())
        return chosen, np.unique(chosen.groups()).tolist()

    people = [one for who in "xyz" for one in planted(rng, count=2, subject=who)]
    assert groups(people)[1] == ["x", "y", "z"]
    assert groups(planted(rng, count=3))[1] == [f"sub-one_run-{i}" for i in range(3)]
    length = len(planted(rng, count=1)[0].valid)
    block = np.repeat([0, 1, 2], length // 3)
    one = recording(rng.normal(size=(length, 4)), np.array(list("ab") * length)[:length], 0)
    cut = Recording(one.data.assign(block=("time", block)))
    chosen, names = groups([cut])
    assert names == ["stretch 0", "stretch 1", "stretch 2"]
    held = states.held_out(chosen.groups(), (chosen.known.y == "a").astype(int), 0)
    assert len(np.unique(chosen.groups()[held])) == 1
    assert not set(chosen.groups()[held]) & set(chosen.groups()[~held])
    assert not states.held_out(np.array(["x", "x", "y"]), np.array([0, 1, 0]), 0).any()
    only = np.array([0, 0, 0, 1])
    assert not states.held_out(np.array(["w", "x", "y", "z"]), only, 0)[3]


def test_planted_states_are_decoded_late_and_saved(rng, tmp_path):
    made = planted(rng, count=8, lag=3, size=0.9, block=4)
    model, fit = fitted(made[:6])
    assert int(fit.arrays["label/delay"]) == 3
    scores = model.evaluate(fit, made[6:])
    names = [f"decode{mode}_balanced_accuracy" for mode in ("", "_probe", "_scratch")]
    assert [score.name for score in scores[:3]] == names
    for score in scores[:3]:
        assert set(score.rivals) == {"activity_lr", "pca_lr", "meanmlp", "majority_class"}
        assert score.unit == "per block"
        assert "18 blocks of 18 exchangeable units" in score.note
        assert score.value > 0.8
        assert score.p_value < 0.05
        assert score.rivals["activity_lr"] > 0.9
        assert abs(score.chance - 1 / 3) < 0.1
    write_dataset(fit.arrays, tmp_path / "arrays.nc")
    again = dataclasses.replace(fit, arrays=read_dataset(tmp_path / "arrays.nc"))
    assert model.evaluate(again, made[6:]) == scores


def test_patterns_that_each_run_has_alone_tell_nothing(rng):
    """A sentinel: only what leaks from run to run could decode these, and within a run all does."""
    made = planted(rng, count=12, own=True)
    model, fit = fitted(made[:6])
    for score in model.evaluate(fit, made[6:])[:3]:
        for value in (score.value, *score.rivals.values()):
            assert abs(value - 1 / 3) < 0.2
    stretches, _ = runs(made[:6], SAMPLES)
    chosen = blocks.find(made[:6], stretches, SAMPLES, delay=0, ignore=("rest",))
    apart = states.grouped(chosen, chosen.known.x)
    anyhow = np.array([f"round {i % 9 // 3}" for i in range(len(apart.y))])
    mixed = dataclasses.replace(apart, subject=anyhow, recording=anyhow)
    found = [
        classify.logistic_accuracy(known, classify.folds(known, gap=0, stratify=True),
                                   np.unique(known.y), [0.1])[0]
        for known in (apart, mixed)
    ]  # fmt: skip
    assert found[0] < 0.55
    assert found[1] > 0.8


def test_one_test_run_says_nothing_of_another(rng):
    made = planted(rng, count=5)
    model, fit = fitted(made[:4])
    other = planted(rng, count=6)[5]
    signal = other.data["signal"]
    huge = Recording(other.data.assign(signal=signal * np.float32(99) + np.float32(7)))
    told, network = [], network_of(model, fit)
    for part in ([made[4]], [made[4], huge]):
        stretches, _ = runs(part, SAMPLES)
        known, out = states.outputs(model, fit, network, part, stretches, SAMPLES)
        told.append({name: values[known.recording == made[4].name] for name, values in out.items()})
    for name, values in told[0].items():
        np.testing.assert_allclose(values, told[1][name], rtol=1e-4, atol=1e-5)


def test_the_delay_can_be_given_and_rest_be_decoded(rng):
    made = planted(rng, count=4)
    how = {**SMALL["label_training"], "ignore_labels": [], "delay_s": 5.0, "epochs": 1}
    model, fit = fitted(made[:3], label_training=how)
    assert int(fit.arrays["label/delay"]) == 2
    assert fit.arrays["class"].values.tolist() == ["a", "b", "c", "rest"]
    assert "4 classes, 18 blocks" in model.evaluate(fit, made[3:])[0].note


@pytest.mark.parametrize(
    ("kind", "label", "sentence"),
    [
        ("value", lambda n: np.linspace(0, 1, n), "is a value that changes over time"),
        ("class", lambda n: np.where(np.arange(n) % 9 < 5, "a", "rest"), "has the one class 'a'"),
    ],
)
def test_what_cannot_be_decoded_is_said(rng, kind, label, sentence):
    made = [recording(rng.normal(size=(54, 6)), label(54), i, kind=kind) for i in range(4)]
    model, fit = fitted(made[:3], steps=2)
    assert any(sentence in notice for notice in fit.notices)
    scores = model.evaluate(fit, made[3:])
    assert scores[0].name == "masked_r2_50"
    assert sentence in scores[0].caution

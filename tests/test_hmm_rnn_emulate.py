"""Emulators in a fit: the chain that they get, the gate, resuming, and what is said of failures."""

import dataclasses

import numpy as np
import pytest
import torch
import xarray as xr

import planted_networks as planted
from rheobase.models import base
from rheobase.models.hmm_rnn import (
    emulated,
    emulator_score,
    emulators,
    gate,
    losses,
    symbols,
    targets,
    train,
)
from rheobase.models.hmm_rnn.settings import Emulators
from rheobase.models.hmm_rnn.symbols import NotEmulated
from rheobase.recording import Recording
from rheobase.storage import read_dataset, write_dataset

SMALL = {
    "states": 2, "folds": 2, "restarts": 1, "surrogates": 0, "rate_samples": 0,
    "stop": {"iterations": 15}, "emulate": True,
    "emulator": {"members": 2, "schedule": "tiny", "sequences": 64, "repeats": 3,
                 "analysis": "tiny"},
}  # fmt: skip
BRIEF = {"units": 8, "noise": 3, "batch": 16, "moment_steps": 30, "steps": 3, "length": 20,
         "sequences": 32}  # fmt: skip


def built(**more):
    own = {**SMALL["emulator"], **more}
    return base.build("hmm_rnn", params={**SMALL, "emulator": own})


def path_of(rng, samples, stay=0.97, states=2):
    moves = rng.random(samples) > stay
    return np.cumsum(np.where(moves, rng.integers(1, states, samples), 0)) % states


def recordings(rng, n=3, samples=600, apart=4.0):
    made = []
    for number in range(n):
        path = path_of(rng, samples)
        signal = apart * path[:, None] * np.array([1.0, -1.0, 0.5]) + rng.normal(size=(samples, 3))
        made.append(Recording.build(
            signal, name=f"sub-{number:02d}", modality="series", sampling_rate_hz=2.0,
            entities={"subject": f"{number:02d}"},
        ))  # fmt: skip
    return made


def certain(path, states):
    return np.eye(states)[path]


@pytest.fixture(scope="module")
def fit():
    given = recordings(np.random.default_rng(1))
    model = built(members=1)
    return model, model.fit(given[:2], seed=1), given


def test_a_path_is_thinned_so_that_stays_last_as_asked(rng):
    path = np.repeat(rng.permutation(np.arange(200) % 2), 60)
    assert symbols.mean_stay(np.repeat([0, 1, 0], 60), [180]) == 60
    x = rng.normal(size=(len(path), 2))
    A = np.array([[59, 1], [1, 59]]) / 60
    read, target = symbols.chain(path, certain(path, 2), x, [len(path)], A, stay_steps=15, seed=0)
    assert read.stride == round(symbols.mean_stay(path, [len(path)]) / 15)
    drawn, lengths = read.read(path, x, [len(path)])
    assert lengths == (len(drawn),)
    np.testing.assert_array_equal(drawn, path[:: read.stride])
    changes = (np.diff(drawn) != 0).mean()
    np.testing.assert_allclose(target.volatility, changes, rtol=0.1)
    np.testing.assert_allclose(target.pi, target.stationary)


def test_the_refitted_chain_is_the_planted_one(rng):
    A = np.array([[0.9, 0.08, 0.02], [0.02, 0.95, 0.03], [0.1, 0.0, 0.9]])
    path = np.zeros(20_000, int)
    for t in range(1, len(path)):
        path[t] = rng.choice(3, p=A[path[t - 1]])
    _, target = symbols.chain(path, certain(path, 3), np.zeros((len(path), 1)),
                              [12_000, 8_000], A, stay_steps=100, seed=0)  # fmt: skip
    np.testing.assert_allclose(target.A, A, atol=0.02)
    np.testing.assert_allclose(target.E, np.eye(3), atol=0.01)
    assert target.E.min() > 5e-4


def test_rare_states_join_the_one_that_they_are_confused_with():
    path = np.array([0] * 500 + [1] * 495 + [2] * 5)
    gamma = certain(path, 3)
    gamma[path == 1] = [0, 0.9, 0.1]
    assert symbols.merged(path, gamma).tolist() == [0, 1, 1]
    read = symbols.Alphabet(1, np.array([0, 1, 1]), None)
    assert read.names == ("state 1", "state 2 and 3")
    with pytest.raises(NotEmulated, match="one state holds more than 99%"):
        symbols.chain(np.zeros(999, int), np.ones((999, 1)), np.zeros((999, 1)), [999],
                      np.ones((1, 1)), stay_steps=15, seed=0)  # fmt: skip


def test_a_codebook_has_symbols_of_its_own(rng):
    path = path_of(rng, 3000)
    x = 3 * path[:, None] + rng.normal(size=(3000, 1))
    A = np.array([[0.97, 0.03], [0.03, 0.97]])
    read, target = symbols.chain(path, certain(path, 2), x, [3000], A, stay_steps=15, codes=4,
                                 seed=0)  # fmt: skip
    assert target.E.shape == (2, 4)
    assert read.names[3] == "symbol 4"
    again = symbols.alphabet(xr.Dataset(read.pack()))
    np.testing.assert_array_equal(again.read(path, x, [3000])[0], read.read(path, x, [3000])[0])


CHAIN = targets.Target(np.array([[0.93, 0.07], [0.07, 0.93]]), np.array([[0.99, 0.01],
                       [0.01, 0.99]]), np.full(2, 0.5))  # fmt: skip


def drawn(seed, count=256, length=50, chain=CHAIN):
    return chain.sample(count, length, generator=torch.Generator().manual_seed(seed))[0]


def test_the_gate_lets_the_chain_pass_and_nothing_that_is_trivial():
    wrong = dataclasses.replace(CHAIN, A=np.array([[0.7, 0.3], [0.3, 0.7]]))
    free = gate.ignorant(CHAIN, 256, 50, torch.Generator().manual_seed(2))
    given = torch.stack([drawn(1), drawn(3, chain=wrong), free["memoryless"], free["stuck"]])
    net = planted.leaky()
    four = type(net)(16, 16, 2, seeds=range(4))
    four.load_state_dict({n: w.expand(4, -1, -1) for n, w in net.state_dict().items()})
    found = gate.judged(four, given, CHAIN, repeats=5, seed=0)
    assert found.passed.tolist() == [True, False, False, False]
    assert "emulates the chain" in gate.said(found.members[0], 0, 4)
    assert "Nothing is said of its inside" in gate.said(found.members[1], 1, 4)
    assert "too little variety" in gate.said(found.members[3], 3, 4)
    stuck = found.trivial[1]["stuck"]["excess_nats"].value
    assert stuck < found.members[3].limits[0] < 0


def test_limits_are_a_quarter_of_what_trivial_sequences_lack_where_that_is_less():
    assert gate.bounds({"memoryless": 1.0, "stuck": -0.4}) == (-0.07, 0.07)
    assert gate.bounds({"memoryless": 0.04, "stuck": -0.08}) == (-0.02, 0.01)


def test_beginnings_do_not_count():
    slow = drawn(1)
    slow[:, : gate.SKIPPED] = torch.randint(0, 2, (256, gate.SKIPPED))
    found = gate.judged(planted.leaky(), slow[None], CHAIN, repeats=5, seed=0)
    assert found.members[0].scores[0]["excess_nats"].value > 0.1
    assert found.members[0].passed


def test_a_network_whose_activity_grows_fails():
    growing = planted.leaky(keep=1.02)
    found = gate.judged(growing, drawn(1)[None], CHAIN, repeats=5, seed=0)
    assert found.members[0].growth > 1000
    assert not found.passed[0]
    assert "activity grows" in gate.said(found.members[0], 0, 1)


def test_growth_costs_and_its_slope_slows_it():
    steps = 1.1 ** torch.arange(30.0)
    flat, up = torch.ones(1, 4, 30, 5), steps[None, None, :, None].expand(1, 4, 30, 5)
    assert float(losses.growth(flat)) == 0
    assert float(losses.growth(up)) == pytest.approx((10 * np.log(1.1) - np.log(1.1)) ** 2, rel=0.1)
    assert float(losses.growth(100 * up)) == pytest.approx(float(losses.growth(up)), rel=1e-5)


def test_a_network_of_a_fit_emulates_its_chain_and_is_taken_apart(fit):
    model, found, given = fit
    assert found.metrics["emulators_passed"] == 1
    assert found.weights["Wh"].shape == (1, 64, 64)
    assert "inside/flags" in found.arrays
    assert any("describe the emulator, not the recorded brain" in said for said in found.notices)
    assert any("Network 1 of 1 emulates the chain" in said for said in found.notices)
    scores = {one.name: one for one in model.evaluate(found, given[2:])}
    excess, held = scores["emulator_excess"], scores["emulator_loglik"]
    assert excess.value < 0.07 < excess.rivals["memoryless"]
    assert held.value > held.rivals["memoryless"] + 0.2
    assert not excess.higher_is_better


def test_drawings_of_networks_have_words_and_survive_saving(fit, tmp_path):
    model, found, given = fit
    write_dataset(found.arrays, tmp_path / "arrays.nc")
    again = dataclasses.replace(found, arrays=read_dataset(tmp_path / "arrays.nc"))
    drawings = model.figures(again, given[2:])
    assert {"emulation", "symbols", "training", "data_rotation", "orbit", "residency",
            "zones"} <= drawings.keys()  # fmt: skip
    for name in ("orbit", "residency", "zones"):
        assert "describes the emulator, not the recorded brain" in drawings[name].caption
        drawings[name].figure.canvas.draw()
    assert "A test of the recording" in drawings["data_rotation"].caption
    placed = [base.Placed("d", fold, 0, again) for fold in (0, 1)]
    table = model.across(placed)["emulators"].data
    assert len(table) == 2
    assert table["passed"].all()


def test_failed_networks_are_said_to_have_failed_and_not_looked_into(rng):
    given = recordings(rng)
    model = built(**BRIEF)
    found = model.fit(given[:2], seed=0)
    assert found.metrics["emulators_passed"] == 0
    assert not any(str(name).startswith("inside/") for name in found.arrays.data_vars)
    failed = [said for said in found.notices if "failed to emulate the chain" in said]
    assert len(failed) == 2
    score = model.evaluate(found, given[2:])[-2]
    assert score.name == "emulator_excess"
    assert "nothing is said of their inside" in score.caution
    drawings = model.figures(found, given[2:])
    assert "emulation" in drawings
    assert "orbit" not in drawings
    table = model.across([base.Placed("d", 0, 0, found)])["emulators"].data
    assert table["single_fixed_point"].isna().all()


def test_the_emulator_sees_the_training_part_alone(rng):
    given = recordings(rng)
    model = built(**BRIEF)
    found, peeked = model.fit(given[:2], seed=0), model.fit(given, seed=0)
    other = [*given[:2], given[2].with_signal(1e3 * given[2].signal, unit_names=given[2].unit_names,
                                              step={"step": "planted"})]  # fmt: skip
    model.evaluate(found, other[2:])
    again = model.fit(other[:2], seed=0)
    np.testing.assert_array_equal(found.weights["Wh"], again.weights["Wh"])
    assert not np.array_equal(found.arrays["emulator/A"], peeked.arrays["emulator/A"])
    assert not np.array_equal(found.weights["Wh"], peeked.weights["Wh"])


def test_a_stopped_fit_goes_on_bit_for_bit(rng, tmp_path, monkeypatch):
    given, path = recordings(rng), tmp_path / "checkpoint.safetensors"
    model = built(**{**BRIEF, "moment_steps": 40, "steps": 12})
    whole = model.fit(given[:2], seed=0)
    advance = train._Course.advance

    def stopped(course):
        if course.step == 33:
            raise KeyboardInterrupt
        advance(course)

    monkeypatch.setattr(train._Course, "advance", stopped)
    with pytest.raises(KeyboardInterrupt):
        model.fit(given[:2], seed=0, checkpoint=path)
    steps = []
    monkeypatch.setattr(train._Course, "advance", lambda course: (steps.append(course.step),
                                                                  advance(course)))  # fmt: skip
    again = model.fit(given[:2], seed=0, checkpoint=path)
    assert steps[0] == 25
    xr.testing.assert_identical(whole.arrays, again.arrays)
    for name, weights in whole.weights.items():
        np.testing.assert_array_equal(weights, again.weights[name])


def test_members_have_seeds_of_their_own_and_others_in_another_fit():
    first, other = emulators.member_seeds(0, 3), emulators.member_seeds(1, 3)
    assert len({*first, *other}) == 6
    assert emulators.member_seeds(0, 2) == first[:2]


def test_what_cannot_be_emulated_is_said_and_states_stand(rng, monkeypatch):
    def refuse(*_, **__):
        raise NotEmulated("one state holds more than 99% of the samples")

    monkeypatch.setattr(symbols, "chain", refuse)
    given, model = recordings(rng), built()
    found = model.fit(given[:2], seed=0)
    assert any("no network emulates these states: one state" in said for said in found.notices)
    scores = {one.name: one for one in model.evaluate(found, given[2:])}
    assert np.isfinite(scores["heldout_loglik"].value)
    assert np.isnan(scores["emulator_excess"].value)
    assert "one state holds more than" in scores["emulator_excess"].note
    assert "data_rotation" in model.figures(found, given[2:])


def test_likelihoods_of_symbols_are_those_of_their_pairs(rng):
    sequence, lengths = rng.integers(0, 2, 200), (120, 80)
    share, pairs = np.array([0.4, 0.6]), np.array([[0.3, 0.7], [0.8, 0.2]])
    chain = targets.Target(pairs, np.eye(2), share)
    own = emulator_score.markov(sequence, lengths, share, pairs)
    assert own == pytest.approx(emulator_score.loglik(sequence, lengths, chain))
    by_hand = np.log(share[sequence[[0, 120]]]).sum()
    for begin, end in ((0, 120), (120, 200)):
        part = sequence[begin:end]
        by_hand += np.log(pairs[part[:-1], part[1:]]).sum()
    assert own == pytest.approx(by_hand / 200)


def test_pairs_of_the_training_part_cross_no_cut():
    known = emulated._known(np.array([0, 0, 0, 1, 1, 1]), (3, 3), CHAIN)
    np.testing.assert_allclose(known["rival/symbol_pairs"][1], [[2.5 / 3, 0.5 / 3],
                                                                [0.5 / 3, 2.5 / 3]])  # fmt: skip


def test_sizes_are_those_of_the_schedule_unless_given():
    stays = targets.Target(np.array([[0.95, 0.05], [0.05, 0.95]]), np.eye(2), np.full(2, 0.5))
    assert emulators.scheduled(stays, Emulators(schedule="fast")).length == 100
    assert emulators.scheduled(stays, Emulators(schedule="demo")).length == 60
    made = emulators.scheduled(stays, Emulators(schedule="demo", units=20, steps=7, length=33))
    assert (made.units, made.steps, made.length, made.moment_steps) == (20, 7, 33, 300)


@pytest.mark.parametrize(("more", "match"), [
    ({"members": 0}, "emulator.members is 0; give 1 or more"),
    ({"sequences": 10}, "emulator.sequences is 10; give 32 or more"),
    ({"stay_steps": 1.0}, "emulator.stay_steps is 1.0"),
    ({"length": 5}, "emulator.length is 5; give 20 to 1000"),
    ({"codes": 4}, "emulator.codes is 4; give 2 to 12, with symbols codebook"),
    ({"steps": 0}, "emulator.steps is 0; give 1 or more, or null"),
    ({"schedule": "huge"}, "schedule is 'huge'; it must be one of tiny, demo"),
])  # fmt: skip
def test_impossible_settings_are_named(more, match):
    with pytest.raises(ValueError, match=match):
        built(**more)

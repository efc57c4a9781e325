"""The family connectome: alignment, masks, tests, scores, and what it gives to others."""

import dataclasses
import sys
import xml.etree.ElementTree as xml
from typing import Any

import numpy as np
import pytest
import xarray as xr

from rheobase.cli import main
from rheobase.models import base
from rheobase.models.base import Placed
from rheobase.models.connectome import align, arrange, output
from rheobase.models.connectome.factors import as_matrix
from rheobase.models.connectome.frames import frames_of
from rheobase.models.connectome.ordering import merges, ordered
from rheobase.models.connectome.reconstruct import Patterns, tallies
from rheobase.models.connectome.rivals import (
    flattened,
    mean_pattern,
    membership,
    principal_edges,
)
from rheobase.recording import Recording
from rheobase.storage import write_dataset, write_json

RATE = 4.0
SMALL = {
    "ntf": {"ranks": [3], "restarts": 3, "screen": 10, "keep": 2, "max_iter": 60,
            "holdout_folds": 2},
    "null": {"n": 4, "starts": 1, "max_iter": 30}, "communities": {"mcmc": 20}, "permutations": 9,
    "label_permutations": 30,
}  # fmt: skip
NAMES = [f"{group}{letter}" for group in ("AV", "SM", "RI") for letter in "ABCDEFGH"]
GROUPS = np.repeat(np.arange(3), 8)


def animal(rng, order=(0, 1, 2, 0, 1, 2, 0, 1, 2), *, name="sub-a", names=NAMES, **changes):
    """Return an animal whose three groups of eight neurons each move for 10 s in this order, with
    10 s of rest after each; events name the group.
    """
    frames = int(20 * RATE)
    signal = 0.02 * rng.standard_normal((frames * len(order), len(NAMES)))
    events = np.full(len(signal), "", dtype="<U2")
    for place, group in enumerate(order):
        at = slice(place * frames, place * frames + frames // 2)
        course = np.cumsum(rng.standard_normal(frames // 2))
        signal[at][:, group == GROUPS] += course[:, None]
        signal[at.stop :, group == GROUPS] += course[-1]
        events[at] = f"s{group}"
    chosen = [NAMES.index(n) for n in names] if set(names) <= set(NAMES) else slice(None)
    values = {
        "name": name, "modality": "calcium", "sampling_rate_hz": RATE,
        "unit_names": names, "entities": {"subject": name[4:]}, "times": {"stimulus": events},
        "label": {"name": "stimulus", "kind": "class"},
    }  # fmt: skip
    return Recording.build(signal[:, chosen], **{**values, **changes})


def built(**changes):
    return base.build("connectome", params={**SMALL, **changes})


def bare(recording):
    """Return the recording without events and label."""
    data = recording.data.drop_vars("stimulus")
    return Recording(data.assign_attrs(label="{}"))


def framed(*recordings, ignore=()):
    settings = arrange.settings_of(built(), RATE)
    return frames_of(recordings, settings, events=None, ignore=ignore)


@pytest.fixture
def animals(rng):
    orders = [(0, 1, 2) * 3, (2, 0, 1) * 3, (1, 2, 0) * 3, (0, 2, 1) * 3]
    return [animal(rng, order, name=f"sub-{n}") for n, order in zip("abcd", orders, strict=True)]


def test_auto_concatenates_one_recording_and_recordings_without_events(animals):
    choose = align.chosen
    assert choose("auto", framed(animals[0]), allow_misaligned=False) == "concatenated"
    still = [bare(r) for r in animals]
    assert choose("auto", framed(*still), allow_misaligned=False) == "concatenated"
    assert choose("auto", framed(*animals), allow_misaligned=False) == "event_locked"


def test_auto_takes_the_clock_where_events_come_at_the_same_time(rng):
    same = [animal(rng, name=f"sub-{n}") for n in "ab"]
    assert align.chosen("auto", framed(*same), allow_misaligned=False) == "absolute"


def test_alignments_that_make_no_sense_are_refused(rng, animals):
    few = animal(rng, name="sub-x", names=NAMES[:20])
    cases = [
        ("auto", [bare(animals[0]), bare(few)], "different neurons and no events"),
        ("concatenated", [animals[0], few], "needs the same neurons"),
        ("event_locked", [animals[0], bare(animals[1])], "none begins in sub-b"),
        ("absolute", animals[:2], "events of sub-a and sub-b come at different times"),
    ]
    for alignment, recordings, said in cases:
        with pytest.raises(ValueError, match=said):
            align.chosen(alignment, framed(*recordings), allow_misaligned=False)
    assert align.chosen("absolute", framed(*animals), allow_misaligned=True) == "absolute"


def test_event_locked_windows_stand_beside_each_other_whatever_the_order(animals):
    frames = framed(*animals[:2])
    plan = align.plan("event_locked", frames, bin_frames=4, before=2, after=12)
    assert plan.frames.shape == (2, 9 * 14, 4)
    assert (plan.frames[0, :2] == -1).all()
    assert (plan.frames[1, :2] >= 0).all()
    lengths = np.cumsum([0, len(frames[0].clock)])
    names = [f.events for f in frames]
    for k in range(plan.frames.shape[1]):
        here = [str(names[s][i - lengths[s]]) for s in (0, 1) if (i := plan.frames[s, k, 2]) >= 0]
        assert len(set(here)) == 1
        assert plan.events[k] == here[0]
    assert [plan.events[b.start + 2] for b in plan.blocks] == ["s0"] * 3 + ["s1"] * 3 + ["s2"] * 3


def test_what_an_animal_lacks_is_masked(rng, animals):
    short = animal(rng, (0, 1), name="sub-x", names=NAMES[:20])
    model = built(alignment="event_locked")
    frames = framed(animals[0], short)
    made = arrange.arranged(frames, arrange.plan_of(model, frames, "event_locked"), bin_s=1.0)
    assert made.presence.tolist() == [[True, True]] * 20 + [[True, False]] * 4
    first, second = made.observed
    assert first.all()
    assert not second[made.plan.events == "s2"].any()
    assert (made.signed[:, 1][:, ~second] == 0).all()


def test_what_no_animal_holds_is_left_out_or_told(rng):
    valid = np.ones(720, bool)
    valid[100:140] = False
    given = [
        Recording(animal(rng, name=f"sub-{n}", names=names).data.assign(valid=("time", valid)))
        for n, names in (("a", NAMES[:20]), ("b", NAMES[4:]), ("c", NAMES[4:20]))
    ]
    fit = built(null={"n": 0}, label=False).fit(given, seed=0)
    assert fit.arrays.sizes["bin"] == 170
    said = "16 pairs are together in no animal; their affinity is unknown and stands as 0"
    assert said in fit.notices
    first, second = fit.arrays["pair_first"].values, fit.arrays["pair_second"].values
    pattern = fit.arrays["pattern"].values
    assert pattern[:, (first < 4) & (second >= 20)].max() < 1e-12
    assert np.isfinite(pattern).all()


def test_absolute_bins_that_no_animal_has_are_left_out(rng):
    both = [animal(rng, name=f"sub-{n}") for n in "ab"]
    cut = [part for r in both for part in (r.segment(0, 200), r.segment(401, None))]
    plan = align.plan("absolute", framed(*cut), bin_frames=4, before=0, after=1)
    assert plan.clock[:50].tolist() == list(range(0, 200, 4))
    assert plan.clock[50] == 404
    assert [b.start for b in plan.blocks] == [0, 50]


def test_numbered_cells_of_two_animals_are_refused_unless_said_to_be_the_same(rng):
    names = [f"neuron{i:03d}" for i in range(24)]
    both = [animal(rng, name=f"sub-{n}", names=names) for n in "ab"]
    with pytest.raises(ValueError, match="sub-a: 24 of its neurons have numbers"):
        built().fit(both, seed=0)
    assert built(same_cells=True).fit(both, seed=0).arrays.sizes["animal"] == 2


def test_an_animal_that_shares_no_neuron_is_named(rng, animals):
    odd = animal(rng, name="sub-x", names=[f"Q{n}" for n in NAMES])
    with pytest.raises(ValueError, match="sub-x shares fewer than two neurons"):
        built(alignment="event_locked").fit([*animals[:2], odd], seed=0)


def test_too_many_components_are_left_out_or_refused(rng):
    four = animal(rng, names=NAMES[:4])
    with pytest.raises(ValueError, match="ntf.ranks begins at 7, but 6 pairs"):
        built(ntf={**SMALL["ntf"], "ranks": [7]}).fit([four], seed=0)
    fit = built(ntf={**SMALL["ntf"], "ranks": [2, 7]}, label=False).fit([four], seed=0)
    assert "more components than the tensor allows: 7" in fit.notices
    with pytest.raises(ValueError, match="sub-a has 3 neurons; 4 are needed"):
        built().fit([animal(rng, names=NAMES[:3])], seed=0)


def test_a_neuron_that_never_moves_is_named_and_all_silent_is_refused(rng):
    one = animal(rng)
    signal = one.signal.copy()
    signal[:, 5] = 1.0
    still = one.with_signal(signal, unit_names=NAMES, step={"step": "held"})
    fit = built(label=False).fit([still], seed=0)
    assert "never move in the training part: AVF" in fit.notices
    assert (fit.arrays["drive"].values[5] == 0).all()
    none = one.with_signal(np.zeros_like(signal), unit_names=NAMES, step={"step": "held"})
    with pytest.raises(ValueError, match="no two neurons ever change together"):
        built().fit([none], seed=0)


def test_recordings_too_short_for_hold_out_say_what_to_do(rng):
    short = animal(rng).segment(0, 12)
    with pytest.raises(ValueError, match="2 folds need 4 bins .* lower ntf.holdout_folds"):
        built(label=False).fit([short], seed=0)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"ntf": {"ranks": []}}, r"ntf.ranks is \[\]"),
        ({"ntf": {"ranks": [2, 2]}}, "give different numbers"),
        ({"ntf": {"holdout_folds": 1}}, "ntf.holdout_folds is 1; it must be 2 or more"),
        ({"affinity": {"kernel": "cosine"}}, "affinity.kernel is 'cosine'"),
        ({"affinity": {"drive": "spikes"}}, "kind is 'spikes'"),
        ({"affinity": {"kernel": "window_corr", "window_s": 0}}, "affinity.window_s is 0"),
        (
            {"affinity": {"kernel": "window_corr"}, "ntf": {"path": "implicit"}},
            "affinity.kernel window_corr has no rank form",
        ),
        ({"alignment": "by_eye"}, "alignment is 'by_eye'"),
        ({"communities": {"top_frac": 0.0}}, "top_frac is 0.0"),
        ({"null": {"shift_s": 0}}, "null.shift_s is 0"),
        ({"before_s": 0, "after_s": 0}, "both 0"),
    ],
)
def test_impossible_settings_are_refused(params, said):
    with pytest.raises(ValueError, match=said):
        base.build("connectome", params=params)


def test_deconvolved_drive_needs_events(rng):
    with pytest.raises(ValueError, match="set the dataset's preprocess.deconvolve to oasis"):
        built(affinity={"drive": "deconvolved"}).fit([animal(rng)], seed=0)


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(1)
    orders = [(0, 1, 2) * 3, (2, 0, 1) * 3, (1, 2, 0) * 3, (0, 2, 1) * 3]
    everyone = [animal(rng, o, name=f"sub-{n}") for n, o in zip("abcd", orders, strict=True)]
    model = built()
    return model, model.fit(everyone[:3], seed=0), everyone


def test_a_fit_that_was_stopped_goes_on_to_the_same_arrays(rng, tmp_path, monkeypatch):
    from rheobase.models.connectome import ranks, tested

    given, keep = [animal(rng)], tmp_path / "checkpoint.safetensors"
    model = built(ntf={**SMALL["ntf"], "ranks": [2, 3]})
    whole = model.fit(given, seed=0)
    weigh, done = tested.null_weight, []

    def stopped(*args, **options):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(weigh(*args, **options))
        return done[-1]

    monkeypatch.setattr(tested, "null_weight", stopped)
    with pytest.raises(KeyboardInterrupt):
        model.fit(given, seed=0, checkpoint=keep)
    monkeypatch.setattr(tested, "null_weight", weigh)
    monkeypatch.setattr(ranks, "hold_out", lambda *_, **__: pytest.fail("a rank was made again"))
    again = model.fit(given, seed=0, checkpoint=keep)
    xr.testing.assert_identical(again.arrays, whole.arrays)
    assert again.history == whole.history


def test_each_component_is_a_planted_group_locked_to_its_event(fitted):
    _, fit, _ = fitted
    arrays = fit.arrays
    found = []
    for number in range(3):
        strength = as_matrix(arrays["pattern"].values[number]).sum(axis=1)
        members = np.argsort(-strength)[:8]
        groups = set(GROUPS[members].tolist())
        assert len(groups) == 1
        group = groups.pop()
        found.append(group)
        event = arrays["event"].values.tolist().index(f"s{group}")
        assert arrays["locking_q"].values[number, event] < 0.05
        assert arrays["locking_auc"].values[number, event] > 0.9
        assert len(set(arrays["community"].values[number][members].tolist())) == 1
    assert sorted(found) == [0, 1, 2]


def test_every_run_leaves_its_course_and_every_component_its_consensus(fitted):
    arrays = fitted[1].arrays
    course = arrays["run_course"].values
    for row, count, end in zip(course, arrays["run_iterations"].values,
                               arrays["run_error"].values, strict=True):  # fmt: skip
        assert np.isfinite(row[:count]).all()
        assert np.isnan(row[count:]).all()
        assert row[count - 1] == end < row[0]
    assert arrays["community_consensus"].shape == arrays["community"].shape


def test_a_community_program_that_is_absent_is_told_before_anything_is_fitted(rng, monkeypatch):
    from rheobase.models.connectome import learn

    monkeypatch.setitem(sys.modules, "graspologic_native", None)
    monkeypatch.setattr(learn, "all_ranks", lambda *_, **__: pytest.fail("it was fitted"))
    with pytest.raises(RuntimeError, match="needs graspologic-native"):
        built(communities={"backend": "leiden"}).fit([animal(rng)], seed=0)


def test_envelopes_of_a_few_muscles_give_components_and_a_notice(rng):
    """Two groups of four muscles contract in turns; the groups come back as communities."""
    rate, names = 20.0, [f"{side}{i}" for side in ("flexor", "extensor") for i in range(4)]
    made = []
    for number in range(2):
        contracts = np.repeat(np.arange(12) % 2, 60)
        force = np.clip(np.convolve(rng.standard_normal(720), np.ones(8), "same"), 0, None)
        signal = 0.02 * np.abs(rng.standard_normal((720, 8)))
        for group in range(2):
            at = contracts == group
            signal[np.ix_(at, np.arange(4) + 4 * group)] += force[at, None]
        made.append(Recording.build(
            signal, name=f"sub-{number}", modality="emg", sampling_rate_hz=rate,
            unit_names=names, entities={"subject": str(number)},
        ))  # fmt: skip
    fit = built(ntf={**SMALL["ntf"], "ranks": [2]}, affinity={"sigma_s": 0.1, "dt_s": 0.5,
                "min_run_s": 0.1}, null={"n": 0}).fit(made, seed=0)  # fmt: skip
    first = [set(np.argsort(-as_matrix(a).sum(axis=1))[:4].tolist())
             for a in fit.arrays["pattern"].values]  # fmt: skip
    assert sorted(map(sorted, first)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert any("8 units are few" in said for said in fit.notices)


def test_scores_on_another_animal_beat_their_rivals(fitted):
    model, fit, everyone = fitted
    scores = {s.name: s for s in model.evaluate(fit, everyone[3:])}
    explained = scores["explained_hidden_pairs"]
    assert explained.value > max(v for k, v in explained.rivals.items() if k != "pca_of_edges")
    assert explained.p_value == pytest.approx(0.1)
    assert explained.chance is not None
    assert explained.value > explained.chance + 0.3
    assert scores["event_auc"].value > 0.9
    assert scores["event_auc"].value > scores["event_auc"].rivals["mean_drive"]
    assert scores["decode_balanced_accuracy"].value > 0.6
    assert scores["communities_explained_pairs"].value > 0.3


def test_names_without_structure_explain_no_more_than_chance(rng):
    noise = [
        bare(animal(rng, name=f"sub-{n}")).with_signal(
            rng.standard_normal((720, 24)), unit_names=NAMES, step={"step": "noise"}
        )
        for n in "ab"
    ]
    model = built(alignment="concatenated", permutations=19)
    fit = model.fit(noise[:1], seed=0)
    score = next(s for s in model.evaluate(fit, noise[1:]) if s.name == "explained_hidden_pairs")
    assert score.p_value is not None
    assert score.p_value > 0.05


@pytest.mark.slow
def test_components_of_white_noise_are_not_heavier_than_chance(rng):
    found = []
    for _ in range(5):
        noise = animal(rng).with_signal(
            rng.standard_normal((720, 24)), unit_names=NAMES, step={"step": "noise"}
        )
        model = built(null={"n": 19, "starts": 1, "max_iter": 30}, label=False)
        found.append(model.fit([bare(noise)], seed=0).arrays["component_p"].values.min())
    assert sum(p <= 0.05 for p in found) <= 1


def test_the_test_part_of_another_recording_changes_no_score_of_this_one(fitted):
    """A recording is scaled by itself, so another beside it moves nothing."""
    model, fit, everyone = fitted
    loud = everyone[3].with_signal(
        everyone[3].signal * 1000, unit_names=NAMES, step={"step": "louder"}
    )
    alone, beside = (
        model.transform(fit, given)[0].signal
        for given in ([everyone[3]], [everyone[3], everyone[0]])
    )
    np.testing.assert_array_equal(alone, beside)
    np.testing.assert_allclose(model.transform(fit, [loud])[0].signal, alone, atol=1e-3)


def test_missing_neurons_are_scored_by_the_others(rng, fitted):
    model, fit, _ = fitted
    kept = [n for i, n in enumerate(NAMES) if i % 4]
    new = animal(rng, name="sub-y", names=kept[::-1])
    scores = {s.name: s for s in model.evaluate(fit, [new])}
    assert scores["explained_hidden_pairs"].value > 0.5
    strange = animal(rng, name="sub-z", names=[*NAMES[:3], *(f"Q{i}" for i in range(21))])
    with pytest.raises(ValueError, match="sub-z: 3 of its neurons were in the training part"):
        model.evaluate(fit, [strange])


def test_courses_are_recordings_that_follow_the_groups(fitted):
    model, fit, everyone = fitted
    parts = [everyone[3].segment(0, 362), everyone[3].segment(402, None), everyone[0]]
    made = model.transform(fit, parts)
    assert [r.name for r in made] == ["sub-d", "sub-d", "sub-a"]
    assert [len(r.valid) for r in made] == [90, 79, 180]
    assert made[0].rate == 1.0
    assert float(made[1].time[0]) == pytest.approx(402 / RATE)
    whole = model.transform(fit, [everyone[3]])[0]
    events = whole.data["stimulus"].values.astype(str)
    best = [
        max(
            range(3),
            key=lambda c, e=event: (
                whole.signal[events == e, c].mean() - whole.signal[events != e, c].mean()
            ),
        )
        for event in ("s0", "s1", "s2")
    ]
    assert sorted(best) == [0, 1, 2]


def test_flagged_samples_give_bins_that_are_not_valid(fitted):
    model, fit, everyone = fitted
    valid = np.ones(720, bool)
    valid[100:140] = False
    flagged = Recording(everyone[3].data.assign(valid=("time", valid)))
    made = model.transform(fit, [flagged])[0]
    assert not made.valid[25:35].any()
    assert made.valid[:25].all()
    assert made.valid[35:].all()
    assert (made.signal[25:35] == 0).all()


def test_the_network_of_an_instant_is_the_sum_of_its_components(fitted):
    _, fit, _ = fitted
    arrays = fit.arrays
    whole = output.network(arrays, 7, animal="sub-b")
    parts = [output.network(arrays, 7, animal="sub-b", components=[c]) for c in (1, 2, 3)]
    np.testing.assert_allclose(whole, sum(parts), atol=1e-6)
    with pytest.raises(ValueError, match="animal is 'sub-q'; the fit has sub-a, sub-b, sub-c"):
        output.network(arrays, 7, animal="sub-q")
    with pytest.raises(ValueError, match="component is 4; the fit has 1 to 3"):
        output.network(arrays, 7, components=[4])
    with pytest.raises(ValueError, match="bin is 9999"):
        output.network(arrays, 9999)


def test_networks_are_exported_for_other_programs(fitted, tmp_path, capsys):
    from pynwb import NWBHDF5IO

    _, fit, _ = fitted
    folder, to = tmp_path / "fit", tmp_path / "out"
    write_dataset(fit.arrays, folder / "arrays.nc")
    write_json({"family": "connectome"}, folder / "run.json")
    arguments = ["export", str(folder), "--output", str(to), "--bin", "7", "--animal", "sub-b"]
    assert main(arguments) == 0
    tree = xml.parse(to / "component-1.graphml").getroot()
    space = "{http://graphml.graphdrawing.org/xmlns}"
    nodes = [n.get("id") for n in tree.iter(f"{space}node")]
    assert nodes == NAMES
    matrix = as_matrix(fit.arrays["pattern"].values[0])
    for edge in list(tree.iter(f"{space}edge"))[:5]:
        i, j = (NAMES.index(edge.get(side) or "") for side in ("source", "target"))
        assert float(edge[0].text or "nan") == pytest.approx(matrix[i, j], rel=1e-4)
    rows = (to / "courses.csv").read_text().splitlines()
    assert len(rows) == 1 + fit.arrays.sizes["bin"]
    assert (to / "network_bin-7_sub-b.graphml").is_file()
    opened: Any = NWBHDF5IO
    with opened(str(to / "courses.nwb"), "r") as io:
        stored = io.read().processing["connectome"]["courses"].data[:]
    np.testing.assert_allclose(stored, fit.arrays["time_course"].values.T)
    write_json({"family": "linear"}, folder / "run.json")
    assert main(arguments) == 1
    assert "holds a fit of linear; name a folder like" in capsys.readouterr().err


def test_a_fit_beside_itself_agrees_wholly_and_with_noise_less(fitted, rng):
    model, fit, _ = fitted
    arrays = fit.arrays.copy(deep=True)
    arrays["pattern"] = xr.zeros_like(arrays["pattern"]) + rng.random(arrays["pattern"].shape)
    other = dataclasses.replace(fit, arrays=arrays)
    same = model.across([Placed("d", 0, 0, fit), Placed("d", 1, 0, fit)])["agreement"].data
    less = model.across([Placed("d", 0, 0, fit), Placed("d", 0, 1, other)])["agreement"].data
    assert same["components"].tolist() == [1.0]
    assert less["components"].iloc[0] < 0.8
    assert less["pair"].tolist() == ["other seed"]


def test_mean_and_principal_edges_are_those_of_the_built_tensor(rng):
    one = animal(rng)
    frames = framed(one)
    model = built(ntf={"dtype": "float64", "ranks": [2]})
    made = arrange.arranged(frames, arrange.plan_of(model, frames, "concatenated"), bin_s=1.0)
    tensor = arrange.tensor_of(model, made, "cpu")
    root = np.sqrt(np.abs(made.signed[:, 0].astype(np.float64)))
    i, j = np.triu_indices(24, 1)
    x = root[i] * root[j]
    mean = mean_pattern(tensor)
    np.testing.assert_allclose(mean.numpy(), x.mean(axis=1), rtol=1e-9)
    axes = principal_edges(tensor, mean, count=3, seed=0).numpy()
    exact = np.linalg.svd(x - x.mean(axis=1, keepdims=True))[0][:, :3].T
    np.testing.assert_allclose(np.abs((axes * exact).sum(axis=1)), 1, atol=1e-6)


def test_patterns_that_made_the_affinities_explain_hidden_pairs_wholly(rng):
    import torch

    from rheobase.models.connectome.affinities import affinities
    from rheobase.models.connectome.kernels import drive_source

    groups = (np.arange(3)[:, None] == GROUPS).astype(float)
    drive = torch.from_numpy(groups[rng.integers(0, 3, 60)].T * rng.uniform(0.3, 1, 60))
    tensor = affinities(drive_source(drive[:, None]))
    i, j = np.triu_indices(24, 1)
    right = torch.from_numpy(groups[:, i] * groups[:, j])
    wrong = torch.from_numpy(rng.permuted(right.numpy(), axis=1))
    flat = torch.ones(1, 276, dtype=torch.float64)
    methods = {"right": Patterns(right), "wrong": Patterns(wrong), "flat": Patterns(flat)}
    found = tallies([(tensor, torch.arange(24))], methods, neurons=24, halves=4, generator=rng)
    assert found["right"].explained > 0.9
    assert found["wrong"].explained < 0.5
    assert found["flat"].explained < 0.5


def test_the_label_of_recordings_is_decoded_by_who_holds_which_component(rng):
    orders = {"a": (0, 1, 0, 1, 0, 1), "b": (2, 1, 2, 1, 2, 1)}
    made = [
        animal(rng, orders[group], name=f"sub-{group}{n}", labels={"group": group},
               label={"name": "group", "kind": "class"}, times={})
        for n in range(5) for group in "ab"
    ]  # fmt: skip
    model = built(ntf={**SMALL["ntf"], "ranks": [3]}, null={"n": 0})
    fit = model.fit(made[:6], seed=0)
    assert str(fit.arrays["alignment"].values) == "concatenated"
    score = model.evaluate(fit, made[6:])[0]
    assert score.name == "decode_balanced_accuracy"
    assert score.value == 1.0
    assert set(score.rivals) == {"connectivity", "majority_class", "nearest_class_mean"}
    assert np.isnan(fit.arrays["component_p"].values).all()
    assert "null" not in model.figures(fit, made[6:])


def test_a_label_that_cannot_be_decoded_is_told(rng):
    one = [
        animal(rng, name=f"sub-{n}", labels={"group": "a"}, times={},
               label={"name": "group", "kind": "class"})
        for n in range(4)
    ]  # fmt: skip
    model = built(null={"n": 0})
    fit = model.fit(one[:3], seed=0)
    assert any("the label is not decoded: the training part holds the one" in n
               for n in fit.notices)  # fmt: skip
    first = model.evaluate(fit, one[3:])[0]
    assert first.name == "explained_hidden_pairs"
    assert "the label is not decoded" in first.caution


def test_flattened_patterns_keep_the_mean_of_every_two_blocks(rng):
    labels = np.array([0, 0, 1, 1, 1])
    pattern = rng.random(10)
    made = as_matrix(flattened(pattern, labels))
    matrix = as_matrix(pattern)
    assert made[0, 1] == pytest.approx(matrix[0, 1])
    assert made[0, 2] == pytest.approx(matrix[:2, 2:].mean())
    assert made[2, 3] == pytest.approx((matrix[2, 3] + matrix[2, 4] + matrix[3, 4]) / 3)
    assert membership(labels).numpy().sum() == 4


def test_units_are_drawn_by_community_and_the_tree_joins_all():
    labels = np.array([2, 0, 1, 0, 2, 1])
    inside = np.array([0.1, 0.5, 0.2, 0.9, 0.3, 0.1])
    levels = np.array([labels, [0, 0, 1, 0, 0, 1], [0] * 6, [-1] * 6])
    made = ordered(labels, inside, levels)
    assert made.blocks.tolist() == [0, 0, 2, 2, 1, 1]
    assert made.units.tolist() == [3, 1, 4, 0, 2, 5]
    joints = merges(labels, levels, made)
    assert [j[4] for j in joints] == [1, 2]
    assert joints[0][:2] == (0.5, 2.5)
    assert joints[1][:2] == (1.5, 4.5)

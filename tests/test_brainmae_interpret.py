"""What is said of a trained network: against loops, other libraries, and planted answers."""

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.stats import spearmanr
from sklearn.metrics import adjusted_rand_score, silhouette_score

from rheobase import metrics
from rheobase.models.base import Fitted, Placed
from rheobase.models.brainmae import (
    course_figures,
    halves,
    importance,
    influence,
    interpret,
    run_map,
    stability,
)
from rheobase.models.brainmae.network import Block
from rheobase.models.brainmae.segments import Run
from rheobase.recording import Recording
from test_brainmae import deck, network, recording, some_runs


def alike(rng, n=12):
    mixing = rng.normal(size=(n, n + 5))
    made = np.corrcoef(mixing)
    return (made + made.T) / 2


def test_agreement_is_spearmans_over_pairs(rng):
    one, other = alike(rng), alike(rng)
    found = interpret.with_connectivity(one, other, seed=0)
    assert found.value == pytest.approx(spearmanr(metrics.edges(one), metrics.edges(other))[0])
    assert 0.01 < found.p_value <= 1
    same = interpret.with_connectivity(one, one**3, seed=0)
    assert same.value == pytest.approx(1)
    assert same.p_value == pytest.approx(1 / (interpret.DRAWS + 1))


def test_regions_are_shuffled_within_their_side(rng, monkeypatch):
    monkeypatch.setattr(interpret, "DRAWS", 20)
    left = np.array([True, False] * 5)
    orders = list(interpret.shuffles(10, rng, left))
    assert all(np.array_equal(left[order], left) for order in orders)
    assert all(np.array_equal(np.sort(order), np.arange(10)) for order in orders)
    assert len({tuple(order) for order in orders}) > 15


def regions(**labels):
    return xr.Dataset(coords={name: ("unit", np.asarray(v)) for name, v in labels.items()})


def test_sides_are_those_of_the_atlas_before_those_of_coordinates():
    mni = {axis: [-3.0, 4.0, 5.0] for axis in "xyz"} | {"space": ["MNI152NLin6Asym"] * 3}
    found = interpret.sides_of(regions(**mni, hemisphere=["R", "lh", "both"]))
    assert found is not None
    assert found.tolist() == ["right", "left", "other"]
    by_place = interpret.sides_of(regions(**mni, hemisphere=["a", "b", "c"]))
    assert by_place is not None
    assert by_place.tolist() == ["left", "right", "right"]


def test_coordinates_outside_mni_space_tell_no_side():
    native = {axis: [-3.0, 4.0] for axis in "xyz"}
    assert interpret.sides_of(regions(**native)) is None
    assert interpret.sides_of(regions(**native, space=["T1w"] * 2)) is None
    assert interpret.sides_of(regions()) is None


@pytest.mark.parametrize("name", ["hemisphere", "hemi", "side"])
def test_a_fit_keeps_what_a_file_of_units_says_of_sides(rng, name):
    made = Recording.build(rng.normal(size=(9, 2)), name="a", modality="fmri", sampling_rate_hz=1,
                           unit_labels={name: np.array(["L", "R"])})  # fmt: skip
    found = interpret.sides_of(xr.Dataset(coords=interpret.of_regions(made.data)))
    assert found is not None
    assert found.tolist() == ["left", "right"]


def test_two_sides_alone_are_no_finding(rng):
    left = np.arange(12) < 6
    matrix = np.where(left[:, None] == left[None], 1.0, 0.0) + 1e-3 * rng.normal(size=(12, 12))
    matrix, other = matrix + matrix.T, alike(rng) * 1e-3
    other += np.where(left[:, None] == left[None], 1.0, 0.0)
    assert interpret.with_connectivity(matrix, other, seed=0).p_value < 0.05
    assert interpret.with_connectivity(matrix, other, seed=0, sides=left).p_value > 0.05


def test_silhouette_is_that_of_scikit_learn(rng):
    networks = np.array(list("aaabbbbccccd"))
    matrix = alike(rng)
    distance = 1 - matrix
    np.fill_diagonal(distance, 0)
    wanted = silhouette_score(distance, networks, metric="precomputed")
    assert interpret.separation(matrix, networks, seed=0).value == pytest.approx(wanted)


def test_adjusted_rand_is_that_of_scikit_learn(rng):
    for one, other in (rng.integers(0, 4, (2, 30)), [np.arange(30) // 5] * 2, rng.random((2, 30))):
        found = interpret.adjusted_rand(interpret._members(one), interpret._members(other))
        wanted = adjusted_rand_score(one.astype(str), other.astype(str))
        assert found == pytest.approx(wanted)


def test_planted_networks_stand_apart(rng):
    networks = np.repeat(list("abc"), 4)
    centres = np.repeat(rng.normal(size=(3, 20)), 4, axis=0)
    found = interpret.separation(
        interpret.similarity(centres + 0.2 * rng.normal(size=(12, 20))), networks, seed=0
    )
    assert found.value > 0.5
    assert found.p_value < 0.01


def test_influence_equals_hiding_one_region_at_a_time(rng, monkeypatch):
    monkeypatch.setattr(influence, "TOKENS", 700)
    net, runs = network(), some_runs(rng, people=2, length=50)
    runs[0].valid[[7, 8]] = False
    cards = deck(runs)
    found = influence.influence(net, cards)
    batch = cards.deal(influence._places(cards), influence.SEGMENTS)
    hidden = influence._halves(batch)
    assert torch.all(hidden[:, 0] != hidden[:, 1])
    lost = batch.lost[..., None]

    def made(away):
        with torch.no_grad():
            return net(batch.signal, (away | lost)[..., None], batch.middle_s)

    before = made(hidden)
    for j in (0, 4):
        away = hidden.clone()
        away[..., j] = True
        change = ((made(away) - before) ** 2).numpy()
        for i in (1, 4, 8):
            frames = [
                change[r, k, i, t]
                for r in range(2)
                for k in range(10)
                for t in range(5)
                if hidden[r, k, i] and not hidden[r, k, j] and batch.weight[r, k, t] > 0
            ]
            if i == j:
                assert np.isnan(found[i, j])
            else:
                assert found[i, j] == pytest.approx(np.sqrt(np.mean(frames)), rel=1e-4)
    assert influence.strongest(found, list("abcdefghi"), 1) == [
        "abcdefghi"[np.nanargmax(np.nanmean(found, axis=0))]
    ]


def test_partial_correlation_sees_no_path_through_others(rng):
    chain = rng.normal(size=(20_000, 3))
    chain[:, 1] += chain[:, 0]
    chain[:, 2] += chain[:, 1]
    found = influence.partial_correlation(np.cov(chain, rowvar=False))
    assert abs(found[0, 2]) < 0.03
    assert found[0, 1] > 0.4


@pytest.mark.parametrize("cause", ["place", "content"])
def test_the_control_tells_place_from_content(rng, cause):
    net = network()
    with torch.no_grad():
        net.position_scale.fill_(3.0 if cause == "place" else 0.0)
        if cause == "place":
            net.pool_out.weight.zero_()
    found = importance.importance(net, deck(some_runs(rng, people=2, length=90)), 8)
    assert found.attention.shape == (8, 8)
    np.testing.assert_allclose(found.attention.sum(axis=1), 8, rtol=1e-5)
    np.testing.assert_allclose(found.of_segment.sum(axis=1), 8, rtol=1e-5)
    by_place, by_content = (found.correlation(x) for x in (found.at_place, found.of_segment))
    assert (by_place if cause == "place" else by_content) == pytest.approx(1, abs=1e-4)
    assert (by_content if cause == "place" else by_place) < 0.9


def test_a_window_is_looked_at_as_the_encoder_does(rng):
    net = network(encoder_layers=2)
    vectors = torch.randn(3, 6, 16, generator=torch.Generator().manual_seed(2))
    middle = (torch.arange(6) * 15.0).expand(3, 6)
    seen = {}
    last = net.encoder[-1]
    hook = last.register_forward_hook(lambda module, inputs, _: seen.update(x=inputs[0]))
    with torch.no_grad():
        net.encode(vectors, middle)
        found = importance.looks(net, vectors, middle)
    hook.remove()
    assert isinstance(last, Block)
    weights = last.weights(seen["x"])[:, :, 0, 1:].mean(dim=1)
    torch.testing.assert_close(found, 6 * weights / weights.sum(dim=1, keepdim=True))


def test_a_segment_has_its_most_frequent_label(rng):
    states = np.repeat(["rest", "left", "rest"], [7, 6, 67])
    one = recording(rng, 1, times={"task": states}, label={"name": "task", "kind": "class"})
    run = Run("sub-1", "1", one.signal[10:60], one.valid[10:60], float(one.time[10]))
    labels = importance.labels_of([one], run, 5)
    assert labels is not None
    assert labels[:2].tolist() == ["left", "rest"]
    assert importance.labels_of([recording(rng, 1)], run, 5) is None


def placed_runs(rng, motion, count=12):
    vectors = rng.normal(size=(count, 5)) + np.outer(np.arange(count), [3, -2, 2, 1, -3])
    told = {"motion": motion, "site": np.array([""] * count), "label": np.array(list("ab") * 6)}
    arrays = xr.Dataset(
        {"runs/vector": (("run", "run_feature"), vectors[:8].astype(np.float32)),
         **{f"runs/{k}": ("run", v[:8]) for k, v in told.items()}},
        coords={"run": [f"r{i}" for i in range(8)]},
    )  # fmt: skip
    rest = {key: values[8:] for key, values in told.items()}
    names = [f"r{i}" for i in range(8, count)]
    return run_map.of(arrays, names, vectors[8:], rest), arrays, names, vectors, rest


def test_an_axis_that_follows_motion_is_told(rng):
    found, arrays, names, vectors, rest = placed_runs(rng, 0.1 + 0.01 * np.arange(12.0))
    r = found.with_motion()
    assert r is not None
    assert r[0] > 0.95
    assert np.all(r[1:] < r[0] - 0.2)
    assert f"over 12 runs: PC1 {r[0]:.2f}" in course_figures.motion_line(found)
    far = run_map.of(arrays, names, vectors[8:] + 1000, rest)
    np.testing.assert_array_equal(far.scores[:8], found.scores[:8])


def test_motion_that_was_not_measured_is_said_to_be_unknown(rng):
    found, *_ = placed_runs(rng, np.full(12, np.nan))
    assert found.with_motion() is None
    assert "Motion was not measured" in course_figures.motion_line(found)
    few, *_ = placed_runs(rng, np.where(np.arange(12) < 4, np.arange(12.0), np.nan))
    assert few.with_motion() is None
    assert "fewer than 5 runs" in course_figures.motion_line(few)


def fit_of(matrix, units=None):
    names = list("abcdefghijkl") if units is None else units
    square = ("unit", "unit_from")
    arrays = xr.Dataset({"similarity": (square, matrix), "connectivity": (square, matrix**2)},
                        coords={"unit": names, "unit_from": names})  # fmt: skip
    return Fitted(arrays)


def compared(fits):
    """Return the agreement of embeddings of every two fits that are drawn, by what they share."""
    table = stability.across(fits)["agreement"].data
    assert table is not None
    found = {}
    for kind, value in zip(table["pair"].tolist(), table["similarity"].tolist(), strict=True):
        found.setdefault(kind, []).append(value)
    return found


def test_fits_are_compared_by_what_they_share(rng):
    one, other = alike(rng), alike(rng)
    fits = [Placed("d", fold, seed, fit_of(one if seed == 0 else other))
            for fold in (0, 1) for seed in (0, 1)]  # fmt: skip
    found = compared(fits)
    np.testing.assert_allclose(found["other fold"], 1)
    np.testing.assert_allclose(found["other seed"], stability.agreement(one, other), atol=1e-4)
    assert {kind: len(values) for kind, values in found.items()} == {
        "other seed": 2, "other fold": 2, "other fold and seed": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("labels", "site"),
    [
        ({"site": "a"}, "a"),
        ({"SITE_ID": "NYU", "AGE_AT_SCAN": 20.0}, "NYU"),
        ({"Scanner": "b", "acquisition site": "c"}, "c"),
        ({"centre": 3}, "3"),
        ({"websites": "a", "sit": "b"}, ""),
    ],
)
def test_the_site_is_found_under_its_usual_names(labels, site):
    assert run_map.site_of(labels) == site


def test_runs_are_told_with_the_site_of_abide(rng):
    made = [Recording.build(rng.normal(size=(9, 2)), name=f"sub-{i}", modality="fmri",
                            sampling_rate_hz=1, labels={"SITE_ID": "ab"[i]})
            for i in range(2)]  # fmt: skip
    assert run_map.told_of(made, ["sub-0", "sub-1"])["site"].tolist() == ["a", "b"]


def test_over_datasets_only_fits_of_the_same_regions_meet(rng):
    one = alike(rng)
    fits = [Placed("d", 0, 0, fit_of(one)), Placed("d", 1, 0, fit_of(one)),
            Placed("e", 0, 0, fit_of(one)),
            Placed("f", 0, 0, fit_of(one, list("mnopqrstuvwx")))]  # fmt: skip
    assert {kind: len(values) for kind, values in compared(fits).items()} == {"other dataset": 2}
    assert stability.across([fits[0], fits[3]]) == {}


def test_halves_share_no_person_and_train_as_the_model_does(rng, monkeypatch):
    from rheobase.models import base

    seen = []

    def train(network, deck, held, plan, *, seed, world, keep=None):
        people = {run.subject for part in (deck, held) if part for run in part.runs}
        seen.append((people, plan.steps, seed, float(network.embedding.detach().sum())))

    monkeypatch.setattr(halves.pretrain, "train", train)
    model = base.build("brainmae", params={"width": 8, "heads": 2, "steps": 7})
    runs = some_runs(rng, people=7)
    first = recording(rng, 0, regions=9)
    learnt = halves.fit(model, runs, 5, first, seed=0, device="cpu")
    assert seen[0][0] | seen[1][0] == {f"s{i}" for i in range(7)}
    assert not seen[0][0] & seen[1][0]
    assert [row[1] for row in seen] == [7, 7]
    assert seen[0][2] != seen[1][2]
    assert seen[0][3] != seen[1][3]
    assert learnt.arrays["half/similarity"][1].shape == (2, 9, 9)
    alone = halves.fit(model, runs[:1], 5, first, seed=0, device="cpu")
    assert "two training people" in alone.notices[0]


def test_a_fit_keeps_what_is_known_of_its_runs(rng):
    made = [
        Recording.build(
            rng.normal(size=(80, 9)), name=f"sub-{i}", modality="fmri", sampling_rate_hz=1 / 3,
            entities={"subject": str(i)}, labels={"group": "ab"[i % 2], "site": "north"},
            label={"name": "group", "kind": "class"}, quality={"fd_mean_mm": 0.1 * i},
        )
        for i in range(4)
    ]  # fmt: skip
    told = run_map.told_of(made, ["sub-1", "sub-3"])
    assert told["motion"].tolist() == pytest.approx([0.1, 0.3])
    assert told["site"].tolist() == ["north", "north"]
    assert told["label"].tolist() == ["b", "b"]

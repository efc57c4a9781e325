"""What a recording's vector is made of, and what a label is read from, beside loops."""

import dataclasses
from itertools import combinations, product

import numpy as np
import pytest
import torch
from nilearn.glm.first_level import spm_hrf
from sklearn.linear_model import LogisticRegression

from rheobase.models import base
from rheobase.models.brainmae import blocks, influence, represent, states, switching, tune
from rheobase.models.brainmae.segments import Run, runs
from rheobase.models.decoding import vectors
from test_brainmae import deck, network, recording, some_runs
from test_brainmae_states import SAMPLES, planted


def stretch(rng, name, frames=6, regions=5, flagged=()):
    signal = rng.normal(size=(frames, regions)).astype(np.float32)
    valid = np.ones(frames, bool)
    valid[list(flagged)] = False
    return Run(name, name, signal, valid, 0.0)


def courses(run, maps, period_s):
    """Return the deconvolved courses of a run's maps by sums over frequencies, standardised."""
    response = np.asarray(spm_hrf(period_s, oversampling=1), dtype=float)
    size = len(run.signal) + len(response)
    turn = np.exp(-2j * np.pi * np.outer(np.arange(size), np.arange(size)) / size)
    gain = turn[:, : len(response)] @ response
    power = np.abs(gain) ** 2
    made = turn[:, : len(run.signal)] @ (run.signal.astype(float) @ maps)
    made = turn.conj() @ (made * (gain.conj() / (power + 0.1 * power.max()))[:, None]) / size
    made = made.real[: len(run.signal)]
    return (made - made[run.valid].mean(axis=0)) / made[run.valid].std(axis=0)


def by_paths(x, valid, model, temper):
    """Return expected steps and times in states by going through every path."""
    frames, count = len(x), len(model.covariance)
    told = np.zeros((frames, count))
    for t, k in product(range(frames), range(count)):
        square = model.covariance[k].numpy()
        told[t, k] = valid[t] * temper * -0.5 * (
            x[t] @ np.linalg.solve(square, x[t]) + np.linalg.slogdet(square)[1]
        )  # fmt: skip
    paths = np.array(list(product(range(count), repeat=frames)))
    size = told[np.arange(frames), paths].sum(axis=1)
    size += np.log(model.transition.numpy()[paths[:, :-1], paths[:, 1:]]).sum(axis=1)
    weight = np.exp(size - size.max())
    weight /= weight.sum()
    steps, time = np.zeros((count, count)), np.zeros(count)
    for t in np.flatnonzero(valid):
        np.add.at(time, paths[:, t], weight)
        if t + 1 < frames and valid[t + 1]:
            np.add.at(steps, (paths[:, t], paths[:, t + 1]), weight)
    return steps, time


@pytest.mark.parametrize("period_s", [2.0, 3.5])
def test_states_of_a_recording_are_those_of_every_path(rng, monkeypatch, period_s):
    monkeypatch.setattr(switching, "MOST_RUNS", 2)
    parts = [stretch(rng, "a", flagged=[2]), stretch(rng, "b"), stretch(rng, "a", 5, flagged=[4])]
    mixing = rng.normal(size=(4, 3, 3))
    model = switching.Switching(
        torch.from_numpy(rng.normal(size=(5, 3))),
        torch.from_numpy(mixing @ mixing.transpose(0, 2, 1) + 0.5 * np.eye(3)),
        torch.from_numpy(rng.dirichlet(np.ones(4), size=4)),
    )  # fmt: skip
    found = switching.features(model, parts, ["b", "a"], period_s=period_s)
    for name, row in zip("ba", found, strict=True):
        steps, time, inner = np.zeros((4, 4)), np.zeros(4), np.zeros((3, 3))
        for part in (one for one in parts if one.name == name):
            x = courses(part, model.maps.numpy(), period_s)
            more = by_paths(x, part.valid, model, min(1.0, period_s / 3.0))
            steps, time = steps + more[0], time + more[1]
            inner += x[part.valid].T @ x[part.valid]
        size = np.sqrt(np.diag(inner))
        links = [np.arctanh(inner[i, j] / size[i] / size[j]) for i, j in ((1, 0), (2, 0), (2, 1))]
        stayed = np.trace(steps)
        switch = np.log((steps.sum() - stayed + 0.5) / (stayed + 0.5))
        order = [(steps[a, b] - steps[b, a]) / steps.sum() for a, b in combinations(range(4), 2)]
        wanted = [*links, switch, *order, *(time / time.sum())]
        np.testing.assert_allclose(row, wanted, rtol=1e-5, atol=1e-6)
    assert list(switching.groups(3).values()) == [3, 1, 6, 4]


def test_the_likeliest_restart_is_kept_and_its_last_step_taken(rng, monkeypatch):
    seen, exact = [], switching.forward_backward

    def watched(*given):
        seen.append((given, exact(*given)))
        return seen[-1][1]

    monkeypatch.setattr(switching, "forward_backward", watched)
    maps = torch.from_numpy(rng.normal(size=(9, 2)))
    made = some_runs(rng, people=3)
    made[0].valid[5:20] = False
    model = switching.fit(maps, made, period_s=3.0, seed=0)
    assert len(seen) == switching.ITERATIONS
    state, pairs, total = seen[-1][1]
    best = int(total.argmax())
    assert float(total.max() - total.min()) > 1e-3
    counts = pairs[best].sum(dim=0) + 1
    torch.testing.assert_close(model.transition, counts / counts.sum(dim=1, keepdim=True))
    for k in range(switching.STATES):
        square, weight = np.zeros((2, 2)), 0.0
        for i, one in enumerate(made):
            x = courses(one, maps.numpy(), 3.0)
            for t in np.flatnonzero(one.valid):
                share = float(state[best, i, t, k])
                square, weight = square + share * np.outer(x[t], x[t]), weight + share
        wanted = square / weight + switching.FLOOR * np.eye(2)
        np.testing.assert_allclose(model.covariance[k].numpy(), wanted, rtol=1e-4, atol=1e-6)


def test_maps_are_the_leading_ones(rng):
    embedded = rng.normal(size=(12, 10)) * np.geomspace(1, 50, 10)
    covariance = embedded @ embedded.T
    values, axes = np.linalg.eigh(covariance)
    order = np.argsort(values)[::-1]
    for found, count in ((switching.embedding_maps(torch.from_numpy(embedded)), 8),
                         (switching.embedding_maps(torch.from_numpy(embedded), None), 10),
                         (switching.principal_maps(covariance), 8)):  # fmt: skip
        assert found.shape == (12, count)
        alike = np.abs(found.numpy().T @ axes[:, order[:count]])
        np.testing.assert_allclose(alike, np.eye(count), atol=1e-6)


def pooled_by_hand(net, cards, number, start, count):
    """Return run vector, mean and deviation over the segments of one window that are not lost."""
    dealt = cards.deal([(number, start)], count)
    with torch.no_grad():
        embedded = net.embed(dealt.signal, dealt.lost[:, :, None, None])
        run, segments = net.encode(embedded, dealt.middle_s)
    kept = segments[0][~dealt.lost[0]].double().numpy()
    deviation = np.sqrt(kept.var(axis=0) + 1e-6)
    return np.concatenate([run[0].double().numpy(), kept.mean(axis=0), deviation])


def test_a_recording_is_the_mean_of_its_windows(rng):
    made = some_runs(rng, people=3, length=52)
    made[2] = dataclasses.replace(made[0], signal=made[2].signal[:16], valid=np.ones(16, bool))
    made[1].valid[[10, 11, 12]] = False
    net, cards = network(), deck(made)
    found = represent.features(net, cards, ["r1", "r0"], segments=4, batch=3)
    places = {"r1": [(1, s * 5, 4) for s in (0, 2, 4, 6)],
              "r0": [*((0, s * 5, 4) for s in (0, 2, 4, 6)), (2, 0, 3)]}  # fmt: skip
    for row, windows in zip(found, places.values(), strict=True):
        wanted = np.mean([pooled_by_hand(net, cards, *one) for one in windows], axis=0)
        np.testing.assert_allclose(row, wanted, atol=1e-4)


def test_a_vector_has_the_encoder_first_and_then_the_groups_of_the_states(rng):
    maps = torch.from_numpy(rng.normal(size=(9, 4)))
    model = switching.Switching(maps, torch.eye(4, dtype=torch.float64).expand(4, 4, 4),
                                torch.full((4, 4), 0.25, dtype=torch.float64))  # fmt: skip
    net, cards = network(), deck(some_runs(rng, people=3))
    names = ["r2", "r0"]
    alone = represent.features(net, cards, names, segments=4, batch=3)
    for encoder, sizes in ((net, [48, 6, 1, 6, 4]), (None, [6, 1, 6, 4])):
        reader = represent.Reader(encoder, model)
        told = reader.vectors(cards, names, segments=4, batch=3)
        assert list(reader.groups().values()) == sizes
        assert told.shape == (2, sum(sizes))
        np.testing.assert_allclose(told[:, -17:], reader.besides(cards, names))
        np.testing.assert_allclose(told[:, :-17], alone[:, : 0 if encoder is None else None])


def test_a_head_says_of_a_value_what_its_probe_says_standardised(rng):
    x = rng.normal(3, 2, size=(20, 51))
    who = np.array([f"s{i}" for i in range(20)])
    known = states.Examples(x, 40 + 5 * x[:, 0], who, who, who, False, np.arange(20))
    probe = vectors.fit_values(known, features="probe", penalties=(1.0,))
    names = tuple(known.recording.tolist())
    targets = tune.Targets(names, names, known.y, 1, float(known.y.mean()), float(known.y.std()))
    tuned = tune.Tuned(network(), 51, 1).start(probe, targets)
    parts = torch.from_numpy(x).float().split([48, 3], dim=1)
    wanted = (vectors.answers(probe, x) - known.y.mean()) / known.y.std()
    np.testing.assert_allclose(tuned(*parts).detach().numpy(), wanted, atol=1e-4)


def test_training_for_a_label_weighs_classes_alike_and_values_by_their_spread(rng):
    found, y = torch.from_numpy(rng.normal(size=(6, 3))), np.array([0, 0, 0, 1, 1, 2])
    targets = tune.Targets(tuple("abcdef"), tuple("abcdef"), y, 3)
    missed = -torch.log_softmax(found, dim=1).numpy()[np.arange(6), y]
    wanted = np.mean([missed[y == one].mean() for one in range(3)])
    assert float(tune.label_loss(found, range(6), targets, targets)) == pytest.approx(wanted)
    part = tune.label_loss(found[[4, 5]], [4, 5], targets, targets)
    assert float(part) == pytest.approx((missed[4] + 2 * missed[5]) / 3)
    values = tune.Targets(tuple("abcdef"), tuple("abcdef"), y * 10.0, 1, 5.0, 4.0)
    wanted = np.mean([(float(found[i, 0]) - (10 * y[i] - 5) / 4) ** 2 for i in (1, 5)])
    found = tune.label_loss(found[[1, 5], :1], [1, 5], values, values)
    assert float(found) == pytest.approx(wanted)


def test_people_that_stop_a_label_training_are_whole_and_of_each_class():
    subjects = tuple(f"s{i // 2}" for i in range(40))
    y = np.repeat([0, 1], [20, 20])
    names = tuple(f"r{i}" for i in range(40))
    held = tune.held_people(tune.Targets(names, subjects, y, 2), 0)
    people = np.array(subjects)
    assert not set(people[held]) & set(people[~held])
    assert [len(set(people[held & (y == one)])) for one in (0, 1)] == [2, 2]
    value = tune.held_people(tune.Targets(names, subjects, y * 1.0, 1), 0)
    assert value.sum() == 8


def found_blocks(rng, count=4):
    made = planted(rng, count=count, rounds=2)
    stretches, _ = runs(made, SAMPLES)
    return blocks.find(made, stretches, SAMPLES, delay=0, ignore=("rest",))


@pytest.mark.parametrize("count", [3, 10])
def test_principal_components_of_blocks_are_read_as_one_map(rng, count):
    made = found_blocks(rng)
    known, found = made.known, states.principal(made, count, [0.1])
    x = (known.x - known.x.mean(axis=0)) / known.x.std(axis=0)
    axes = np.linalg.svd(x)[2][:count].T
    parts = (x @ axes) / (x @ axes).std(axis=0)
    wanted = LogisticRegression(C=0.1, class_weight="balanced", tol=1e-8, max_iter=2000).fit(
        parts, known.y
    )
    np.testing.assert_allclose(vectors.answers(found, known.x), wanted.decision_function(parts),
                               atol=2e-3)  # fmt: skip


def test_a_fifth_of_the_groups_is_held_out_for_a_label_over_time():
    groups = np.repeat([f"s{i}" for i in range(10)], 4)
    y = np.tile([0, 1, 2, 0], 10)
    drawn = [states.held_out(groups, y, seed) for seed in range(8)]
    assert all(held.sum() == 8 for held in drawn)
    assert all(len(np.unique(groups[held])) == 2 for held in drawn)
    assert len({tuple(held) for held in drawn}) > 3


def test_given_influence_is_over_columns_and_taken_over_rows(rng):
    matrix = rng.random((5, 5))
    np.fill_diagonal(matrix, np.nan)
    given, taken = influence.given_and_taken(matrix)
    for i in range(5):
        others = np.arange(5) != i
        assert given[i] == pytest.approx(matrix[others, i].mean())
        assert taken[i] == pytest.approx(matrix[i, others].mean())
    wanted = [list("abcde")[i] for i in np.argsort(-given)[:3]]
    assert influence.strongest(matrix, list("abcde")) == wanted


def test_partial_correlation_is_that_of_residuals(rng):
    mixing = rng.normal(size=(6, 6))
    covariance = mixing @ mixing.T
    noisy = covariance + 0.01 * np.eye(6)
    found = influence.partial_correlation(covariance)
    rest = [0, 2, 3, 5]
    both = np.ix_([1, 4], [1, 4])
    left = noisy[both] - noisy[np.ix_([1, 4], rest)] @ np.linalg.solve(
        noisy[np.ix_(rest, rest)], noisy[np.ix_(rest, [1, 4])]
    )
    assert found[1, 4] == pytest.approx(left[0, 1] / np.sqrt(left[0, 0] * left[1, 1]))
    assert found[4, 1] == pytest.approx(found[1, 4])


def moved(rng, mixing, numbers):
    made = []
    for i in numbers:
        one = recording(rng, i, samples=120)
        signal = (one.signal @ mixing).astype(np.float32)
        made.append(type(one)(one.data.assign(signal=one.data["signal"].copy(data=signal))))
    return made


def test_data_unlike_those_of_the_first_fit_are_said_to_be_shifted(rng):
    one, other = rng.normal(size=(2, 6, 6))
    params = {"width": 8, "heads": 2, "steps": 1, "label": False}
    first = base.build("brainmae", params=params).fit(moved(rng, one, range(5)), seed=0)
    model = base.build("brainmae", params={**params, "init_from": "other/mae"})
    alike = model.fit(moved(rng, one, range(5, 10)), seed=0, initial=first).notices
    apart = model.fit(moved(rng, other, range(5, 10)), seed=0, initial=first).notices
    assert any("correlates" in notice for notice in alike)
    assert not any("shifted" in notice for notice in alike)
    assert any("less than any of its own recordings" in notice and "the data are shifted" in notice
               for notice in apart)  # fmt: skip

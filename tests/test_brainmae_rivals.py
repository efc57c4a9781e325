"""Rivals that fill in hidden regions, and whether what is filled in moves together as it should."""

import numpy as np
import pytest

from rheobase.models.brainmae import fidelity, reconstruct, ridge
from rheobase.models.brainmae.segments import Deck, Run
from test_brainmae import network

SAMPLES = 5


def run(signal, name="r", subject=None):
    signal = (signal - signal.mean(axis=0)) / signal.std(axis=0)
    valid = np.ones(len(signal), bool)
    return Run(name, subject or name, signal.astype(np.float32), valid, 0.0)


def mixed(rng, length=200, regions=9, sources=3, noise=0.3, **named):
    return run(rng.normal(size=(length, sources)) @ np.random.default_rng(1).normal(
        size=(sources, regions)) + noise * rng.normal(size=(length, regions)), **named)  # fmt: skip


def test_both_ways_to_condition_a_gaussian_are_the_same(rng):
    mixing = rng.normal(size=(7, 7))
    covariance = mixing @ mixing.T
    given = reconstruct.Conditional(covariance, 0.5)
    for hidden in (2, 5):
        away = np.sort(rng.choice(7, hidden, replace=False))
        seen = np.setdiff1d(np.arange(7), away)
        inside = covariance[np.ix_(seen, seen)] + 0.5 * np.eye(len(seen))
        wanted = covariance[np.ix_(away, seen)] @ np.linalg.inv(inside)
        np.testing.assert_allclose(given.weights(seen, away), wanted, atol=1e-9)
        np.testing.assert_allclose(given.weights(seen, away, slice(1, 2)), wanted[1:2], atol=1e-9)


def test_three_frames_equal_a_gaussian_over_all_that_is_seen(rng):
    one = mixed(rng, length=40)
    lagged = reconstruct.covariances([one])
    (hidden,) = reconstruct.hidden_sets([one], SAMPLES, 0.5)
    made = reconstruct.gaussian_3(one, hidden, samples=SAMPLES, covariance=lagged)
    seen, away = np.flatnonzero(~hidden[2]), np.flatnonzero(hidden[2])
    columns = np.concatenate([lag * 9 + seen for lag in range(3)])
    inside = lagged[np.ix_(columns, columns)] + reconstruct.NOISE * np.eye(len(columns))
    weights = lagged[np.ix_(9 + away, columns)] @ np.linalg.inv(inside)
    frame = 2 * SAMPLES + 3
    x = one.signal[frame - 1 : frame + 2][:, seen].astype(float).ravel()
    np.testing.assert_allclose(made[frame, away], weights @ x, atol=1e-6)


def test_a_small_penalty_is_chosen_where_regions_are_tied_and_a_large_one_where_they_are_not(rng):
    tied = [mixed(rng, noise=0.05, name=f"r{i}") for i in range(4)]
    loose = [run(rng.normal(size=(40, 9)), name=f"r{i}") for i in range(4)]
    assert ridge.penalty(tied, SAMPLES) <= 0.1
    assert ridge.penalty(loose, SAMPLES) >= 1


def test_the_penalty_is_chosen_on_whole_people_left_out(rng):
    signals = [rng.normal(size=(40, 20)) for _ in range(4)]
    twice = [run(x, name=f"r{i}{again}", subject=f"s{i}") for i, x in enumerate(signals)
             for again in "ab"]  # fmt: skip
    alone = [run(x.signal, name=x.name) for x in twice]
    assert ridge.penalty(twice, SAMPLES) == max(ridge.PENALTIES)
    assert ridge.penalty(alone, SAMPLES) < max(ridge.PENALTIES)


def test_with_two_recordings_nothing_can_be_left_out(rng):
    few = [run(rng.normal(size=(40, 9)), name=f"r{i}") for i in range(2)]
    assert ridge.penalty(few, SAMPLES) == min(ridge.PENALTIES)


def test_moments_equal_a_loop(rng):
    signal, counted = rng.normal(size=(50, 6)), rng.random((50, 6)) < 0.7
    threes = fidelity.triplets(6)
    assert len(threes) == 20
    moments = fidelity.Moments(6, threes)
    moments.add(signal[:20], counted[:20])
    moments.add(signal[20:], counted[20:])
    found = moments.found()
    pairs = [(i, j) for i in range(6) for j in range(i + 1, 6)]
    for order, sets in ((2, pairs), (3, [tuple(t) for t in threes])):
        for value, one in zip(found[order], sets, strict=True):
            x = signal[counted[:, list(one)].all(axis=1)][:, list(one)]
            size = np.sqrt((x**2).mean(axis=0).prod())
            assert value == pytest.approx(x.prod(axis=1).mean() / size)


def test_triplets_are_the_same_at_every_call_and_hold_three_regions():
    found = fidelity.triplets(40)
    np.testing.assert_array_equal(found, fidelity.triplets(40))
    assert found.shape == (fidelity.TRIPLETS, 3)
    assert len({tuple(row) for row in found}) == fidelity.TRIPLETS
    assert np.all(np.diff(found, axis=1) > 0)


def test_the_truth_agrees_in_all_orders_and_its_reverse_in_pairs_alone(rng):
    two = [mixed(rng, name=name) for name in "ab"]
    known = fidelity.of_runs([mixed(rng)])
    fills = {
        "brainmae": lambda run, hidden: run.signal[: len(hidden) * SAMPLES].astype(float),
        "pca": lambda run, hidden: -run.signal[: len(hidden) * SAMPLES].astype(float),
    }
    made = fidelity.measure(fills, two, SAMPLES, known)
    assert made.recordings == ["a", "b"]
    for order in (2, 3):
        np.testing.assert_allclose(made.agreement[order, "brainmae"], 1)
        np.testing.assert_allclose(made.own[order, "brainmae"], 1)
    np.testing.assert_allclose(made.agreement[2, "pca"], 1)
    np.testing.assert_allclose(made.agreement[3, "pca"], -1)
    assert made.mean(2, fidelity.AVERAGE) > 0.9
    assert made.tallies["brainmae"].r2 == pytest.approx(1)


def test_what_the_average_says_is_taken_out_of_the_own_part(rng):
    average = rng.normal(size=100)
    rest = fidelity.without(3 + 2 * average, average)
    np.testing.assert_allclose(rest, 0, atol=1e-9)
    own = rng.normal(size=100)
    left = fidelity.without(average + own, average)
    assert fidelity.correlation(left, own) > 0.95


def test_a_straight_line_is_drawn_between_visible_samples():
    time = np.arange(20.0)
    signal = np.column_stack([3 * time - 7, time**2, time + 1, 5 - time]).astype(np.float32)
    one = Run("r", "s", signal, np.ones(20, bool), 0.0)
    hidden = np.array([[0, 0, 1, 1], [1, 0, 1, 0], [0, 1, 1, 0], [0, 0, 1, 1]], bool)
    made = reconstruct.linear(one, hidden, samples=SAMPLES)
    np.testing.assert_allclose(made[:, 0], signal[:, 0], atol=1e-5)
    np.testing.assert_allclose(made[10:15, 1], 81 + (225 - 81) * np.arange(1, 6) / 6, atol=1e-4)
    np.testing.assert_allclose(made[:10, 1], signal[:10, 1])
    assert np.all(made[:, 2] == 0)
    np.testing.assert_allclose(made[:, 3], np.clip(5 - time, -9, 0), atol=1e-5)


def spoilt(rng, length=52, **named):
    """Return a run with flagged frames in which wild values stand, and a segment of many."""
    one = mixed(rng, length=length, **named)
    one.valid[[2, 14, 21, 22, 33, 50]] = False
    one.signal[~one.valid] = 40
    return one


def counted_of(one, hidden):
    """Return the entries that count, by a loop."""
    made = np.zeros((len(hidden) * SAMPLES, 9), bool)
    for k, away in enumerate(hidden):
        part = range(k * SAMPLES, (k + 1) * SAMPLES)
        if sum(not one.valid[t] for t in part) <= 1:
            made[[t for t in part if one.valid[t]]] = away
    return made


def test_flagged_frames_are_not_scored_whoever_fills_in(rng):
    two = [spoilt(rng), mixed(rng, length=40)]
    net = network()
    cards = Deck(two, samples=SAMPLES, period_s=3.0, device="cpu")
    fill = reconstruct.by_network(net, samples=SAMPLES, segments=6, period_s=3.0, device="cpu")
    sets = reconstruct.hidden_sets(two, SAMPLES, 0.5)
    error, power = np.zeros(9), np.zeros(9)
    for one, hidden in zip(two, sets, strict=True):
        entries, made = counted_of(one, hidden), fill(one, hidden)
        truth = one.signal[: len(made)]
        error += (((made - truth) ** 2) * entries).sum(axis=0)
        power += (truth**2 * entries).sum(axis=0)
    found = reconstruct.tally(fill, two, SAMPLES, 0.5)
    np.testing.assert_allclose(found.by_region, 1 - error / power, rtol=1e-5)
    assert found.r2 == pytest.approx(1 - error.sum() / power.sum())
    assert reconstruct.network_r2(net, cards, 6, 0.5) == pytest.approx(found.r2, abs=1e-5)
    longer = reconstruct.by_network(net, samples=SAMPLES, segments=20, period_s=3.0, device="cpu")
    assert not np.allclose(longer(two[0], sets[0]), fill(two[0], sets[0]), atol=1e-4)


def test_covariance_is_over_three_frames_that_all_count(rng):
    one = spoilt(rng)
    rows = [np.concatenate(one.signal[t - 1 : t + 2].astype(float))
            for t in range(1, 51) if one.valid[t - 1 : t + 2].all()]  # fmt: skip
    wanted = np.mean([np.outer(row, row) for row in rows], axis=0)
    found = reconstruct.covariances([one])
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(reconstruct.same_frame(found), wanted[9:18, 9:18], atol=1e-6)


@pytest.mark.parametrize(("frame", "lags"), [(0, [1, 2]), (4, [0, 1])])
def test_the_ends_of_a_segment_see_one_neighbour(rng, frame, lags):
    one = mixed(rng, length=40)
    lagged = reconstruct.covariances([one])
    (hidden,) = reconstruct.hidden_sets([one], SAMPLES, 0.5)
    made = reconstruct.gaussian_3(one, hidden, samples=SAMPLES, covariance=lagged)
    seen, away = np.flatnonzero(~hidden[2]), np.flatnonzero(hidden[2])
    columns = np.concatenate([lag * 9 + seen for lag in lags])
    inside = lagged[np.ix_(columns, columns)] + reconstruct.NOISE * np.eye(len(columns))
    weights = lagged[np.ix_(9 + away, columns)] @ np.linalg.inv(inside)
    at = 2 * SAMPLES + frame
    x = np.concatenate([one.signal[at + lag - 1, seen].astype(float) for lag in lags])
    np.testing.assert_allclose(made[at, away], weights @ x, atol=1e-6)
    np.testing.assert_allclose(made[at, seen], one.signal[at, seen])


@pytest.mark.parametrize("most", [200, 30])
def test_the_penalty_is_that_of_a_loop_over_left_out_people(rng, monkeypatch, most):
    grid = tuple(np.geomspace(1e-3, 30, 400))
    monkeypatch.setattr(ridge, "PENALTIES", grid)
    monkeypatch.setattr(ridge, "MOST_SEGMENTS", most)
    people = [spoilt(rng, name=f"r{i}{part}", subject=f"s{i}", noise=4)
              for i in range(3) for part in "ab"]  # fmt: skip
    sets, error = reconstruct.hidden_sets(people, SAMPLES, 0.5), np.zeros(len(grid))
    step = 2 if most == 30 else 1
    for who in ("s0", "s1", "s2"):
        x = np.concatenate([r.signal[r.valid].astype(float) for r in people if r.subject != who])
        covariance = x.T @ x / len(x)
        for one, hidden in zip(people, sets, strict=True):
            if one.subject != who:
                continue
            for k in range(0, len(hidden), step):
                away, part = hidden[k], slice(k * SAMPLES, (k + 1) * SAMPLES)
                kept = one.signal[part][counted_of(one, hidden)[part].any(axis=1)].astype(float)
                for i, weight in enumerate(grid):
                    inside = covariance[np.ix_(~away, ~away)] + weight * np.eye((~away).sum())
                    made = kept[:, ~away] @ np.linalg.solve(inside, covariance[np.ix_(~away, away)])
                    error[i] += ((made - kept[:, away]) ** 2).sum()
    assert 0 < np.argmin(error) < len(grid) - 1
    assert ridge.penalty(people, SAMPLES) == grid[np.argmin(error)]


def test_stretches_of_a_recording_are_one_and_flagged_frames_are_none(rng):
    two = [spoilt(rng, name="a"), spoilt(rng, name="a"), mixed(rng, name="b")]
    known = fidelity.of_runs(two)
    joined = np.concatenate([r.signal[r.valid].astype(float) for r in two])
    scale = np.sqrt((joined**2).mean(axis=0))
    wanted = joined.T @ joined / len(joined) / np.outer(scale, scale)
    np.testing.assert_allclose(known[2], wanted[np.triu_indices(9, 1)], rtol=1e-4)
    told = {"brainmae": lambda run, hidden: np.tanh(run.signal[: len(hidden) * SAMPLES] + 0.5)}
    found = fidelity.measure(told, two, SAMPLES, known)
    assert found.recordings == ["a", "b"]
    sets = reconstruct.hidden_sets(two, SAMPLES, 0.5)
    alone = {"truth": fidelity.Moments(9, fidelity.triplets(9)),
             "made": fidelity.Moments(9, fidelity.triplets(9))}  # fmt: skip
    for one, hidden in zip(two[:2], sets[:2], strict=True):
        entries = counted_of(one, hidden)
        alone["truth"].add(one.signal[: len(entries)].astype(float), entries)
        alone["made"].add(told["brainmae"](one, hidden), entries)
    for order in (2, 3):
        truth, guess = (one.found()[order] for one in alone.values())
        there = np.isfinite(truth)
        truth, guess, average = truth[there], guess[there], known[order][there]
        value = np.corrcoef(truth, guess)[0, 1]
        assert found.agreement[order, "brainmae"][0] == pytest.approx(value)
        value = np.corrcoef(truth, average)[0, 1]
        assert found.agreement[order, fidelity.AVERAGE][0] == pytest.approx(value)
        rest = [x - np.polyval(np.polyfit(average, x, 1), average) for x in (truth, guess)]
        assert found.own[order, "brainmae"][0] == pytest.approx(np.corrcoef(rest[0], rest[1])[0, 1])
        assert found.mean(order, "brainmae") == np.mean(found.agreement[order, "brainmae"])

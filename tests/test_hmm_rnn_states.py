"""States of fits: their order, number, statistics, and the models that find them."""

import numpy as np
import pytest

from rheobase.models.hmm_rnn import align, embed, select, stats
from rheobase.models.hmm_rnn.em import Stop
from rheobase.models.hmm_rnn.hmm import ARHMM, TDEHMM, CategoricalHMM, GaussianHMM

TOY = np.array([0, 0, 1, 1, 1, 0, 2, 2, 0, 0, 0, 1, 1, 2, 1])
"""Two segments, 9 and 6 samples: 00 111 0 22 0 | 00 11 2 1."""


def toy(**given):
    return stats.statistics(TOY, [9, 6], states=3, rate_hz=2.0, **given)


def test_statistics_of_a_path_done_by_hand():
    found = toy(subjects=["a", "a"])
    np.testing.assert_allclose(found.occupancy, [[6 / 15, 6 / 15, 3 / 15]])
    np.testing.assert_allclose(found.lifetime_s, [[1 / 2, 2.5 / 2, 1.5 / 2]])
    np.testing.assert_allclose(found.lifetime_all_s, [[1.5 / 2, 2 / 2, 1.5 / 2]])
    np.testing.assert_allclose(found.interval_s, [[2.5 / 2, 1 / 2, np.nan]])
    np.testing.assert_allclose(found.entries_hz, [[2 / 15 * 2, 3 / 15 * 2, 2 / 15 * 2]])
    np.testing.assert_allclose(found.switching_hz, [7 / 13 * 2])


def test_people_are_told_apart():
    found = toy(subjects=["a", "b"])
    assert found.subjects == ("a", "b")
    np.testing.assert_allclose(found.occupancy, [[4 / 9, 3 / 9, 2 / 9], [2 / 6, 3 / 6, 1 / 6]])
    assert not found.static
    still = stats.statistics(np.repeat([0, 1], 50), [50, 50], states=2, rate_hz=1.0)
    assert still.static


def test_an_interval_over_people_is_student_s():
    found = stats.over_subjects(np.array([[1.0, np.nan], [2.0, 5.0], [3.0, 5.0]]))
    np.testing.assert_allclose(found.value, [2, 5])
    np.testing.assert_allclose(found.high[0] - 2, 4.302653 / np.sqrt(3), rtol=1e-6)
    assert found.low[1] == found.high[1] == 5


def test_intervals_of_one_person_hold_the_truth(rng):
    held = 0
    for seed in range(20):
        draw = np.random.default_rng(seed)
        lengths = draw.geometric([0.1, 0.2] * 150)
        path = np.repeat([0, 1] * 150, lengths)
        found = stats.bootstrap(path, [len(path)], states=2, rate_hz=1.0, seed=seed, draws=100)
        held += int(found["lifetime_s"].low[0] <= 10 <= found["lifetime_s"].high[0])
    assert held >= 16


@pytest.mark.parametrize(
    ("given", "words"),
    [({"lengths": [5]}, "lengths sum to 5"), ({"states": 2}, "holds state 2"),
     ({"rate_hz": 0.0}, "rate_hz is 0.0"), ({"subjects": ["a"]}, "1 subjects are given")],
)  # fmt: skip
def test_wrong_paths_are_refused(given, words):
    arguments = {"lengths": [9, 6], "states": 3, "rate_hz": 2.0, **given}
    with pytest.raises(ValueError, match=words):
        stats.statistics(TOY, **arguments)


def test_the_stationary_distribution_stays():
    A = np.array([[0.9, 0.1, 0.0], [0.0, 0.8, 0.2], [0.5, 0.0, 0.5]])
    shares = stats.stationary(A)
    np.testing.assert_allclose(shares @ A, shares)
    np.testing.assert_allclose(stats.expected_dwell_s(A, 2.0), [5, 2.5, 1])


def test_states_are_matched_by_what_they_are(rng):
    profile = rng.normal(size=(4, 9))
    order = np.array([2, 0, 3, 1])
    found = align.match(profile, 3 * profile[order] + 0.1 * rng.normal(size=(4, 9)))
    np.testing.assert_array_equal(order[found], np.arange(4))
    gamma = rng.dirichlet(np.ones(4) * 0.1, 200)
    np.testing.assert_array_equal(order[align.match_paths(gamma, gamma[:, order])], np.arange(4))
    assert align.stability(np.stack([gamma, gamma[:, order]])) == pytest.approx(1)


def test_states_come_by_falling_occupancy():
    order = align.canonical(np.array([0.2, 0.3, 0.3, 0.2]), np.array([1.0, 2.0, 0.0, 0.5]))
    assert order.tolist() == [2, 1, 3, 0]


def test_the_rules_that_choose_a_number():
    grid = (2, 3, 4, 6)
    held = np.array(
        [[-3.0, -3.1, -2.9], [-2.02, -2.1, -1.9], [-2.0, -2.1, -1.9], [-2.3, -2.2, -2.1]]
    )
    alike = np.array([0.9, 0.8, 0.9, 0.9])
    assert select.decide(grid, held, alike)[:2] == (3, 3)
    assert select.decide(grid, held, np.array([0.9, 0.2, 0.9, 0.9]))[:2] == (3, 2)
    rule, chosen, reason = select.decide(grid, held, np.zeros(4))
    assert (rule, chosen) == (3, 3)
    assert "at no number" in reason


def test_folds_are_people_or_blocks_of_time():
    people = select.parts([10] * 6, list("abcdef"))
    assert people.lengths == (10,) * 6
    assert people.folds.sum(axis=0).tolist() == [4] * 6
    blocks = select.parts([60, 41], folds=5)
    assert sum(blocks.lengths) == 101
    assert (blocks.folds.sum(axis=0) == 4).all()
    out = (1 - blocks.folds) @ np.array(blocks.lengths)
    assert out.sum() == 101
    assert out.max() - out.min() <= 1
    assert np.abs(blocks.halves @ np.array(blocks.lengths) - 50.5).max() == 0.5


def planted(rng, samples=3000, states=3, dwell=20):
    path = rng.permutation(np.arange(samples // dwell) % states).repeat(dwell)
    return path, samples


def agreement(truth, found, states):
    table = np.zeros((states, states))
    np.add.at(table, (truth, found), 1)
    order = align.match_paths(np.eye(states)[truth], np.eye(states)[found])
    return table[np.arange(states), order].sum() / len(truth)


def test_gaussian_states_are_found(rng):
    truth, samples = planted(rng)
    x = 1.5 * rng.normal(size=(3, 4))[truth] + rng.normal(size=(samples, 4))
    fitted = GaussianHMM(3, restarts=3).fit(x, [2000, 1000], seed=0)
    path = fitted.viterbi(x, [2000, 1000])
    assert agreement(truth, path, 3) > 0.95
    gamma, loglik = fitted.posterior(x, [2000, 1000])
    np.testing.assert_allclose(gamma.sum(axis=1), 1)
    np.testing.assert_allclose(loglik, fitted.loglik, rtol=1e-9)
    np.testing.assert_allclose(gamma.mean(axis=0), fitted.occupancy, atol=1e-9)
    assert (np.diff(fitted.occupancy) <= 0).all()
    drawn, states = fitted.sample(4000, seed=1)
    means = np.stack([drawn[0][states[0] == k].mean(axis=0) for k in range(3)])
    np.testing.assert_allclose(means, fitted.chain.emission["means"][0], atol=0.2)


def test_states_of_covariance_alone_are_found(rng):
    truth, samples = planted(rng, dwell=50)
    mixed = rng.normal(size=(3, 4, 4))
    x = np.einsum("tij,tj->ti", mixed[truth], rng.normal(size=(samples, 4)))
    fitted = GaussianHMM(3, restarts=4, dwell=30, cov="zero-mean-full").fit(x, seed=0)
    assert agreement(truth, fitted.viterbi(x), 3) > 0.9
    assert fitted.chain.emission["means"].abs().max() == 0


def test_states_of_dynamics_are_found(rng):
    truth, samples = planted(rng, dwell=50, states=2)
    turns = np.array([[[0.9, 0.3], [-0.3, 0.9]], [[0.2, -0.8], [0.8, 0.2]]])
    x = np.zeros((samples, 2))
    for t in range(1, samples):
        x[t] = turns[truth[t]] @ x[t - 1] + rng.normal(size=2)
    fitted = ARHMM(2, restarts=3, dwell=30).fit(x, seed=0)
    assert agreement(truth, fitted.viterbi(x), 2) > 0.9


def test_states_of_frequency_are_found_through_lags(rng):
    truth, samples = planted(rng, dwell=100, states=2)
    phase = np.cumsum(np.array([0.2, 0.9])[truth])
    x = np.stack([np.sin(phase), np.cos(phase)], axis=1) + 0.3 * rng.normal(size=(samples, 2))
    fitted = TDEHMM(2, restarts=2, dwell=50, half=3).fit(x, [samples], seed=0)
    inside = fitted.embedding.inside([samples]) if fitted.embedding else np.zeros(0, bool)
    path = fitted.viterbi(x)
    assert len(path) == inside.sum() == samples - 6
    assert agreement(truth[inside], path, 2) > 0.9


def test_an_embedding_is_white(rng):
    x = rng.normal(size=(500, 2)).cumsum(axis=0)
    made = embed.fit(x, [300, 200], half=2, components=3)
    scores, lengths = made.apply(x, [300, 200])
    assert lengths == (296, 196)
    np.testing.assert_allclose(np.cov(scores, rowvar=False), np.eye(3), atol=1e-8)


def test_symbols_of_states_are_found(rng):
    truth, samples = planted(rng, states=2)
    probs = np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]])
    x = np.array([rng.choice(3, p=probs[k]) for k in truth])
    fitted = CategoricalHMM(2, restarts=3).fit(x, seed=0)
    found = fitted.chain.emission["probs"][0].numpy()
    assert min(np.abs(found - probs).max(), np.abs(found[::-1] - probs).max()) < 0.08


def test_a_seed_gives_one_fit(rng):
    truth, samples = planted(rng, 900)
    x = rng.normal(size=(3, 3))[truth] + rng.normal(size=(samples, 3))
    fits = [GaussianHMM(3, restarts=2).fit(x, seed=s).fits for s in (0, 0, 5)]
    np.testing.assert_array_equal(fits[0].trace, fits[1].trace)
    assert fits[0].trace[0, 0] != fits[2].trace[0, 0]


def test_a_fit_that_stops_early_says_so(rng):
    x = rng.normal(size=(400, 3))
    fitted = GaussianHMM(3, restarts=2, stop=Stop(iterations=3)).fit(x, seed=0)
    assert any("before it converged" in n for n in fitted.notices)
    assert any("restarts agree" in n for n in fitted.notices)


def spoilt(x, at, value):
    other = x.copy()
    other[at] = value
    return other


def test_bad_series_are_refused_by_name(rng):
    x = rng.normal(size=(200, 3))
    model = GaussianHMM(2, restarts=1)
    for given, lengths, words in (
        (spoilt(x, (7, 1), np.nan), None, r"\(7, 1\)"),
        (spoilt(x, (slice(None), 2), 1.0), None, "channel 2 is constant"),
        (x, [100, 99], "lengths sum to 199"),
        (x, [199, 1], "segment 1 has 1 samples"),
        (x[:12], None, "12 samples are too few for 2 states"),
        (x[:2], None, "3 channels and 2 samples"),
        (x + 1e4, None, "z-score the channels"),
        (x[:, 0], None, "give .time, channel."),
    ):
        with pytest.raises(ValueError, match=words):
            model.fit(given, lengths, seed=0)
    for made, words in ((lambda: GaussianHMM(1), "n_states is 1"),
                        (lambda: GaussianHMM(2, restarts=0), "restarts is 0"),
                        (lambda: GaussianHMM(2, dwell=1.0), "dwell is 1.0"),
                        (lambda: ARHMM(2, order=0), "order is 0"),
                        (lambda: CategoricalHMM(2).fit(x[:, :1], seed=0), "whole numbers"),
                        (lambda: CategoricalHMM(2).fit(np.ones(50), seed=0), "all symbols are 1"),
                        (lambda: CategoricalHMM(2, symbols=2).fit(np.arange(50) % 3, seed=0),
                         "a symbol 2")):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            made()

"""Rates of jump processes, what follows from them, and what contradicts them."""

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from rheobase.models.hmm_rnn import jump_checks, jumps, rates
from rheobase.models.hmm_rnn.observed import Irregular, Regular

Q = jumps.generator(np.array([[0, 1.0, 0.3], [0.4, 0, 0.8], [0.6, 0.2, 0]]))


def drawn(rng, times, noise=0.0):
    """Return labels of one process at some times."""
    state, path = rng.integers(0, 3), []
    for gap in np.diff(times, prepend=times[0]):
        state = rng.choice(3, p=expm(Q * gap)[state])
        path.append(rng.integers(0, 3) if rng.random() < noise else state)
    return np.array(path)


def labels(rng, segments=6, length=60, step=0.25, noise=0.05):
    times = step * np.arange(length)
    return np.concatenate([drawn(rng, times, noise) for _ in range(segments)]), [length] * segments


def test_what_follows_from_rates_solves_its_equations():
    shares = jumps.stationary(Q)
    np.testing.assert_allclose(shares @ Q, 0, atol=1e-12)
    np.testing.assert_allclose(jumps.dwell_s(Q), [1 / 1.3, 1 / 1.2, 1 / 0.8])
    m = jumps.first_passage_s(Q)
    for j in range(3):
        others = [i for i in range(3) if i != j]
        np.testing.assert_allclose(Q[np.ix_(others, others)] @ m[others, j], -1)
    assert np.diagonal(m).tolist() == [0, 0, 0]


def test_two_states_are_known_in_closed_form():
    two = jumps.generator(np.array([[0, 0.5], [2.0, 0]]))
    np.testing.assert_allclose(jumps.stationary(two), [0.8, 0.2])
    np.testing.assert_allclose(jumps.relaxation_s(two), [1 / 2.5])
    np.testing.assert_allclose(jumps.first_passage_s(two), [[0, 2], [0.5, 0]])
    assert jumps.entropy_production(two) == pytest.approx(0, abs=1e-12)


def test_only_a_cycle_with_a_direction_makes_entropy():
    ring = jumps.generator(np.array([[0, 2.0, 1], [1, 0, 2], [2, 1, 0]]))
    assert jumps.entropy_production(ring) == pytest.approx(np.log(2), rel=1e-9)
    balanced = jumps.generator(np.array([[0, 0.5, 0.5], [1.0, 0, 0.5], [1.0, 0.5, 0]]))
    assert jumps.entropy_production(balanced) == pytest.approx(0, abs=1e-12)


def test_samples_at_equal_steps_are_a_case_of_samples_at_any_times(rng):
    path, lengths = labels(rng, 3, 20)
    times = np.tile(0.25 * np.arange(20), 3)
    pi, B = torch.tensor([[0.2, 0.3, 0.5]]).double(), 0.9 * torch.eye(3).double() + 0.1 / 3
    P = torch.as_tensor(expm(Q * 0.25))[None, None]
    one = Regular(path, lengths, 3, 0.25).expect(pi, P, B[None])
    other = Irregular(path, lengths, 3, times).expect(pi, P, B[None])
    for name in ("loglik", "starts", "counts", "labels"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("even", [True, False])
def test_the_slope_of_the_likelihood_is_that_of_differences(rng, even):
    path, lengths = labels(rng, 2, 30)
    times = np.tile(np.cumsum(rng.choice([0.1, 0.25], 30)), 2)
    seen = Regular(path, lengths, 3, 0.25) if even else Irregular(path, lengths, 3, times)
    likelihood = rates._Likelihood(seen, 3, noise=True)
    z = 0.5 * rng.normal(size=likelihood.size) - 0.5
    slope = likelihood(z[None])[1][0]
    for n in range(likelihood.size):
        step = 1e-5 * np.eye(likelihood.size)[n]
        up, down = likelihood(np.stack([z + step, z - step]))[0]
        assert slope[n] == pytest.approx((up - down) / 2e-5, rel=1e-4, abs=1e-5)


def test_wrong_labels_are_not_taken_for_jumps(rng):
    path, lengths = labels(rng, 30, 60, noise=0.08)
    noisy = rates.fit(path, lengths, states=3, step_s=0.25)
    naive = rates.fit(path, lengths, states=3, step_s=0.25, noise=False)
    off = ~np.eye(3, dtype=bool)
    error = {name: np.sqrt(((f.Q - Q)[off] ** 2).mean()) for name, f in
             (("noisy", noisy), ("naive", naive))}  # fmt: skip
    assert error["noisy"] < 0.6 * error["naive"]
    assert noisy.noise.low < 0.08 < noisy.noise.high
    assert (noisy.rates_hz.low[off] < noisy.rates_hz.value[off]).all()
    assert noisy.converged
    assert (noisy.dwell_s.low <= noisy.dwell_s.value).all()


def test_a_transition_that_never_happens_has_only_an_upper_limit(rng):
    path = np.tile(np.repeat([0, 1, 2], 12), 25)
    found = rates.fit(path, states=3, step_s=0.5, noise=False)
    assert found.rates_hz.low[0, 2] == 0
    assert 0 < found.rates_hz.high[0, 2] < 0.1
    assert found.Q[0, 1] == pytest.approx(1 / 6, rel=0.1)


def test_equal_steps_and_their_times_give_one_fit(rng):
    path, lengths = labels(rng, 4, 25)
    one = rates.fit(path, lengths, states=3, step_s=0.25)
    other = rates.fit(path, lengths, states=3, times_s=np.tile(0.25 * np.arange(25), 4))
    assert one.loglik == pytest.approx(other.loglik, abs=1e-3)
    np.testing.assert_allclose(one.Q, other.Q, atol=0.02)


def test_stays_of_another_law_are_flagged(rng):
    def path(shape):
        parts = [np.repeat(k % 3, max(1, round(rng.gamma(shape, 16 / shape)))) for k in range(300)]
        return np.concatenate(parts)

    found = {}
    for shape in (1, 4):
        seen = path(shape)
        fitted = rates.fit(seen, states=3, step_s=0.1, noise=False)
        found[shape] = jump_checks.check(fitted, seen, step_s=0.1, seed=0, draws=39)
    assert found[4].dwell_p <= 0.05
    assert "wrong model" in found[4].verdict
    assert found[1].dwell_p > 0.05
    assert found[1].irreversible_p < 0.01


def test_detailed_balance_is_not_refused(rng):
    even = jumps.generator(np.full((3, 3), 0.5))
    state, path = 0, []
    for _ in range(1500):
        state = rng.choice(3, p=expm(even * 0.25)[state])
        path.append(state)
    assert jump_checks.reversal(np.array(path), [1500], 3, seed=0) > 0.05
    assert np.isnan(jump_checks.reversal(np.array(path) % 2, [1500], 2, seed=0))


@pytest.mark.parametrize(
    ("given", "words"),
    [({"path": [0, 1, 3] * 9}, "a symbol 3"), ({"path": [0, 2] * 9}, "state 1 never occurs"),
     ({"step_s": None}, "give step_s"), ({"step_s": 0.0}, "step_s is 0.0"),
     ({"step_s": None, "times_s": [0.0] * 27}, "times_s must grow"),
     ({"lengths": [5]}, "lengths sum to 5")],
)  # fmt: skip
def test_wrong_labels_are_refused(given, words):
    arguments = {"path": [0, 1, 2] * 9, "step_s": 0.5, "states": 3, **given}
    with pytest.raises(ValueError, match=words):
        rates.fit(**{**arguments, "path": np.array(arguments["path"])})

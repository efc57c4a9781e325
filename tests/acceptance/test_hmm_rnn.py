"""Hidden Markov models are exact, agree with a peer, find what was planted; rates are right."""

import numpy as np
import pytest
import torch

from rheobase.models.hmm_rnn import align, em, jump_checks, jumps, paths, rates, select, stats
from rheobase.models.hmm_rnn.batch import Chain, lay_out
from rheobase.models.hmm_rnn.emissions import Gaussian
from rheobase.models.hmm_rnn.hmm import GaussianHMM
from rheobase.models.hmm_rnn.scan import forward_backward

pytestmark = pytest.mark.slow
FAMILY = "hmm_rnn"
SEEDS = tuple(range(20))
OFF = ~np.eye(3, dtype=bool)


def looped(logb, A, pi):
    """Return state probabilities, transitions and log-likelihood, one step after the other."""
    b = np.exp(logb - logb.max(axis=1, keepdims=True))
    alpha, beta, scale = np.zeros_like(b), np.ones_like(b), np.zeros(len(b))
    for t in range(len(b)):
        alpha[t] = (pi if t == 0 else alpha[t - 1] @ A) * b[t]
        scale[t] = alpha[t].sum()
        alpha[t] /= scale[t]
    counts = np.zeros_like(A)
    for t in range(len(b) - 1, 0, -1):
        seen = b[t] * beta[t] / scale[t]
        counts += alpha[t - 1][:, None] * A * seen
        beta[t - 1] = A @ seen
    return alpha * beta, counts, np.log(scale).sum() + logb.max(axis=1).sum()


def sticky(states, stay):
    A = np.full((states, states), (1 - stay) / (states - 1))
    np.fill_diagonal(A, stay)
    return A


@pytest.mark.parametrize("spread", [0.1, 3.0])
def test_the_recursions_are_exact(spread, criterion):
    rng, K = np.random.default_rng(0), 8
    logb, A, pi = spread * rng.normal(size=(5000, K)), sticky(K, 0.95), np.full(K, 1 / K)
    gamma, counts, loglik = looped(logb, A, pi)
    worst = np.zeros(3)
    for chunk in (16, 71, 128):
        for guess in (True, False):
            given = [torch.as_tensor(a)[None] for a in (logb, A, pi)]
            found = forward_backward(given[0], given[1], given[2], chunk=chunk, guess=guess)
            off = (np.abs(found.gamma[0].numpy() - gamma).max(),
                   np.abs(found.counts[0].numpy() / counts - 1).max(),
                   abs(found.loglik.item() / loglik - 1))  # fmt: skip
            worst = np.maximum(worst, off)
    criterion(f"T1 spread {spread}", "gamma; transitions, log-likelihood (relative), beside a loop",
              "1e-10, 1e-9, 1e-12", [float(f"{w:.1e}") for w in worst],
              bool((worst <= [1e-10, 1e-9, 1e-12]).all()))  # fmt: skip


def planted(samples, dimensions, states, dwell, seed):
    rng = np.random.default_rng(seed)
    A = sticky(states, 1 - 1 / dwell)
    generator = torch.Generator().manual_seed(seed)
    drawn = paths.sample(torch.as_tensor(A), torch.full((states,), 1 / states).double(), samples, 1,
                         generator=generator)  # fmt: skip
    path = drawn[0].numpy()
    return rng.normal(size=(states, dimensions))[path] + rng.normal(
        size=(samples, dimensions)
    ), path


def test_log_likelihoods_are_the_peer_s(criterion):
    hmm = pytest.importorskip("hmmlearn.hmm")
    (x, _), K, D = planted(5000, 5, 4, 20, 0), 4, 5
    means, A = x[:: 5000 // K][:K], sticky(K, 0.9)
    peer = hmm.GaussianHMM(K, "full", n_iter=10, tol=-np.inf, covars_prior=0, init_params="")
    peer.startprob_, peer.transmat_ = np.full(K, 1 / K), A.copy()
    peer.means_, peer.covars_ = means.copy(), np.stack([np.eye(D)] * K)
    history = np.array(peer.fit(x).monitor_.history)
    emission = Gaussian(D, "full", 0.0, torch.ones(D, dtype=torch.float64))
    chain = Chain(torch.full((1, K), 1 / K).double(), torch.as_tensor(A)[None],
                  {"means": torch.as_tensor(means)[None],
                   "covs": torch.eye(D).double().expand(1, K, D, D).clone()})  # fmt: skip
    found = em.fit(lay_out(torch.as_tensor(x), [5000], emission), chain, reseed=False,
                   prior=em.Prior(0.0, 0.0, 0.0, 0.0, 0.0), stop=em.Stop(10, 0.0, 99))  # fmt: skip
    off, rises = (
        float(np.abs(found.trace[0] / history - 1).max()),
        bool((np.diff(history) > 0).all()),
    )
    criterion("T2", "log-likelihoods of ten iterations beside hmmlearn, relative; they rise",
              "1e-9, True", [float(f"{off:.1e}"), rises], off <= 1e-9 and rises)  # fmt: skip


def test_planted_states_are_found(criterion):
    x, path = planted(50_000, 20, 8, 20, 0)
    fitted = GaussianHMM(8, restarts=3).fit(x, seed=0)
    gamma, _ = fitted.posterior(x)
    truth = np.eye(8)[path]
    order = align.match_paths(truth, gamma)
    agreed = float((truth * gamma[:, order]).sum(axis=1).mean())
    off = float(np.abs(fitted.chain.A[0].numpy()[np.ix_(order, order)] - sticky(8, 0.95)).max())
    criterion("T3-states", "probability of the true state, T = 50,000, D = 20, K = 8", "0.98",
              round(agreed, 4), agreed >= 0.98)  # fmt: skip
    criterion("T3-A", "transitions, largest error", "0.02", round(off, 4), off <= 0.02)


def test_the_planted_number_of_states_is_chosen(criterion):
    x, _ = planted(8000, 6, 4, 20, 1)
    choice = select.choose(GaussianHMM(restarts=3), x, grid=(2, 3, 4, 5, 6), seed=0)
    criterion("T3-K", "number of states chosen, four planted, D = 6, T = 8,000", "4", choice.states,
              choice.states == 4)  # fmt: skip


def test_statistics_of_a_toy_path(criterion):
    path = np.array([0, 0, 1, 1, 1, 0, 2, 2, 0, 0, 0, 1, 1, 2, 1])
    found = stats.statistics(path, [9, 6], states=3, rate_hz=2.0, subjects=["a", "a"])
    by_hand = [[6 / 15, 6 / 15, 3 / 15], [0.5, 1.25, 0.75], [0.75, 1, 0.75], [1.25, 0.5, np.nan],
               [4 / 15, 6 / 15, 4 / 15]]  # fmt: skip
    told = [found.occupancy, found.lifetime_s, found.lifetime_all_s, found.interval_s,
            found.entries_hz]  # fmt: skip
    same = all(np.allclose(a[0], b, equal_nan=True) for a, b in zip(told, by_hand, strict=True))
    criterion("T9", "occupancy, lifetimes, intervals, entries, cut runs, as by hand", "equal",
              same, same)  # fmt: skip


def jumping(seed, *, shape=1, even=False, segments=50, length=50, step_s=0.2, noise=0.05):
    """Return labels, lengths and generator; rates have a deviation of 0.40 a second.

    They are 1.7 Beta(1, 2), mean 0.57, or ``even`` between 0.1 and 1.5, mean 0.8. Stays are of a
    gamma law, exponential for ``shape`` 1; segments begin in the middle.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.uniform(0.1, 1.5, (3, 3)) if even else 1.7 * rng.beta(1, 2, (3, 3))
    Q = jumps.generator(drawn)
    leave = np.where(OFF, Q, 0) / -np.diagonal(Q)[:, None]
    parts = []
    for _ in range(segments):
        time, state, ends, states = -20.0, int(rng.integers(3)), [], []
        while time < length * step_s:
            time += rng.gamma(shape, -1 / (Q[state, state] * shape))
            ends.append(time)
            states.append(state)
            state = int(rng.choice(3, p=leave[state]))
        parts.append(np.array(states)[np.searchsorted(ends, step_s * np.arange(length))])
    path = np.concatenate(parts)
    wrong = rng.random(len(path)) < noise
    return np.where(wrong, rng.integers(0, 3, len(path)), path), [length] * segments, Q


def fitted_rates(*, even):
    """Return the error of rates, the share of intervals that hold them, and the mean noise."""
    squared, held, noise = [], [], []
    for seed in SEEDS:
        path, lengths, Q = jumping(seed, even=even)
        found = rates.fit(path, lengths, states=3, step_s=0.2)
        squared.append(((found.Q - Q)[OFF] ** 2).mean())
        low, high = found.rates_hz.low[OFF], found.rates_hz.high[OFF]
        held.append(((low <= Q[OFF]) & (Q[OFF] <= high)).mean())
        noise.append(float(found.noise.value))
    return float(np.sqrt(np.mean(squared))), float(np.mean(held)), float(np.mean(noise))


def test_rates_and_their_intervals(criterion):
    error, coverage, noise = fitted_rates(even=False)
    more, wider, _ = fitted_rates(even=True)
    criterion("R1", f"error of rates, 1/s, 5 % wrong labels (found {noise:.3f}; larger rates, even "
              f"from 0.1 to 1.5: error {more:.3f})", "0.12", round(error, 4), error <= 0.12,
              seeds=20)  # fmt: skip
    criterion("R2", f"share of 95 % intervals that hold the rate (larger rates: {wider:.3f})",
              "0.88 to 0.99", round(coverage, 3), 0.88 <= coverage <= 0.99, seeds=20)  # fmt: skip


def test_first_passages_are_those_of_simulations(criterion):
    rng, worst = np.random.default_rng(0), 0.0
    Q = jumps.generator(np.array([[0, 1.0, 0.1], [0.5, 0, 0.8], [0.2, 0.6, 0]]))
    told = jumps.first_passage_s(Q)
    for i, j in np.argwhere(OFF):
        simulated = jumps.passages(Q, i, j, count=10_000, rng=rng).mean()
        worst = max(worst, abs(simulated / told[i, j] - 1))
    criterion("R3", "mean first-passage times beside 10,000 simulated, relative", "0.05",
              round(float(worst), 4), worst <= 0.05)  # fmt: skip


def test_stays_of_another_law_are_flagged(criterion):
    flagged = {}
    for shape in (1, 4):
        told = []
        for seed in SEEDS[:10]:
            path, lengths, _ = jumping(seed, shape=shape)
            found = rates.fit(path, lengths, states=3, step_s=0.2)
            told.append(not jump_checks.check(found, path, lengths, step_s=0.2, seed=seed).markov)
        flagged[shape] = int(sum(told))
    criterion("R4", "of ten paths flagged: gamma stays, shape 4; Markov", "at least 8; at most 3",
              [flagged[4], flagged[1]], flagged[4] >= 8 and flagged[1] <= 3, seeds=10)  # fmt: skip

"""Expectation-maximisation: emissions, priors, batches, and a peer's numbers."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from rheobase.models.hmm_rnn import em, emissions, starts
from rheobase.models.hmm_rnn.autoregressive import Autoregressive
from rheobase.models.hmm_rnn.batch import Chain, expect, join, lay_out
from rheobase.models.hmm_rnn.em import EMDivergence, Prior, Stop

PLAIN = Prior(0.0, 0.0, 0.0, 0.0, 0.0)


def planted(rng, samples=1200, dimensions=3, states=3, dwell=20):
    """Return a series (time, channel) and its states."""
    path = rng.integers(0, states, -(-samples // dwell)).repeat(dwell)[:samples]
    means = 2 * rng.normal(size=(states, dimensions))
    return means[path] + rng.normal(size=(samples, dimensions)), path


def gaussian(dimensions, cov: Any = "full", nu=0.0):
    return emissions.Gaussian(dimensions, cov, nu, torch.ones(dimensions, dtype=torch.float64))


def features(emission, x, lengths):
    """Return the features of a series, (time, feature)."""
    return emission.features(emission.base(torch.as_tensor(x), lengths).T[None])[0].T


def start(emission, states, rng, models=1):
    """Return starts with random means and unit covariances."""
    d = emission.dimensions
    A = torch.full((models, states, states), 0.1 / (states - 1), dtype=torch.float64)
    A[:, range(states), range(states)] = 0.9
    spread = np.eye(d) if emission.full else np.ones(d)
    covs = np.broadcast_to(spread, (models, states, *spread.shape)).copy()
    means = np.zeros((models, states, d)) if emission.centred else rng.normal(
        size=(models, states, d))  # fmt: skip
    emitted = {"means": torch.as_tensor(means), "covs": torch.as_tensor(covs)}
    return Chain(torch.full_like(A[:, 0], 1 / states), A, emitted)


@pytest.mark.parametrize("cov", emissions.COVS)
def test_likelihoods_are_scipy_s(rng, cov):
    x, emission = rng.normal(size=(20, 3)), gaussian(3, cov)
    chain = start(emission, 2, rng)
    draws = rng.normal(size=(2, 3, 3))
    covs = draws @ draws.swapaxes(1, 2) + np.eye(3)
    if not emission.full:
        covs = covs.diagonal(axis1=1, axis2=2)
    chain.emission["covs"] = torch.as_tensor(covs[None].copy())
    theta = emission.theta(chain.emission)[0].numpy()
    found = features(emission, x, [20]).numpy() @ theta.T
    for k in range(2):
        mean = chain.emission["means"][0, k].numpy()
        spread: Any = covs[k] if emission.full else np.diag(covs[k])
        np.testing.assert_allclose(found[:, k], multivariate_normal.logpdf(x, mean, spread))


@pytest.mark.parametrize("cov", ["full", "diag", "tied", "spherical"])
def test_log_likelihoods_are_hmmlearn_s(rng, cov):
    hmm = pytest.importorskip("hmmlearn.hmm")
    (x, _), lengths, K = planted(rng), [700, 500], 3
    emission = gaussian(3, cov)
    chain = start(emission, K, rng)
    peer = hmm.GaussianHMM(K, cov, n_iter=10, tol=-1e99, covars_prior=0, init_params="")
    peer.startprob_, peer.transmat_ = chain.pi[0].numpy().copy(), chain.A[0].numpy().copy()
    peer.means_ = chain.emission["means"][0].numpy().copy()
    peer.covars_ = {"full": np.stack([np.eye(3)] * K), "diag": np.ones((K, 3)), "tied": np.eye(3),
                    "spherical": np.ones(K)}[cov]  # fmt: skip
    peer.fit(x, lengths)
    data = lay_out(torch.as_tensor(x), lengths, emission)
    found = em.fit(data, chain, prior=PLAIN, stop=Stop(10, 0.0, 99), reseed=False)
    np.testing.assert_allclose(found.trace[0], peer.monitor_.history, rtol=1e-9)


def test_symbols_give_hmmlearn_s_log_likelihoods(rng):
    hmm = pytest.importorskip("hmmlearn.hmm")
    x = rng.integers(0, 4, 400)[:, None]
    A, probs = rng.dirichlet(np.ones(2) * 5, 2), rng.dirichlet(np.ones(4), 2)
    peer = hmm.CategoricalHMM(2, n_iter=8, tol=-1e99, init_params="", n_features=4)
    peer.startprob_, peer.transmat_, peer.emissionprob_ = np.array([0.4, 0.6]), A.copy(), probs
    peer.fit(x)
    data = lay_out(torch.as_tensor(x), [400], emissions.Categorical(4, 0.0))
    chain = Chain(torch.tensor([[0.4, 0.6]], dtype=torch.float64), torch.as_tensor(A)[None],
                  {"probs": torch.as_tensor(probs)[None]})  # fmt: skip
    found = em.fit(data, chain, prior=PLAIN, stop=Stop(8, 0.0, 99), reseed=False)
    np.testing.assert_allclose(found.trace[0], peer.monitor_.history, rtol=1e-9)


@pytest.mark.parametrize("kind", ["full", "diag", "tied", "spherical", "zero-mean-full", "ar"])
def test_the_objective_never_falls(rng, kind):
    x, _ = planted(rng, 600)
    series = torch.as_tensor(x)
    pooled = torch.as_tensor(x.var(axis=0))
    emission = (Autoregressive(3, 2, 5.0, pooled, 0.6) if kind == "ar"
                else emissions.Gaussian(3, kind, 5.0, pooled))  # fmt: skip
    data = lay_out(series, [400, 200], emission)
    first = starts.chains(data, series, 3, [0, 1])
    told = [em.fit(data, first, stop=Stop(n, 0.0, 99), reseed=False).objective.numpy()
            for n in (1, 2, 3, 6, 12)]  # fmt: skip
    assert (np.diff(told, axis=0) > -1e-9 * np.abs(told[0])).all()


def test_a_batch_gives_what_each_model_gives_alone(rng):
    x, _ = planted(rng, 900)
    emission = gaussian(3, nu=5.0)
    data, chain = lay_out(torch.as_tensor(x), [500, 400], emission), start(emission, 3, rng, 3)
    together = em.fit(data, chain)
    for m in range(3):
        alone = em.fit(data, chain.take([m]))
        np.testing.assert_allclose(together.loglik[m], alone.loglik[0], rtol=1e-10)
        assert np.isfinite(together.trace[m]).sum() == np.isfinite(alone.trace[0]).sum()


def test_segments_without_weight_are_not_learnt_from(rng):
    x, _ = planted(rng, 900)
    emission = gaussian(3, nu=5.0)
    chain = start(emission, 3, rng)
    whole = lay_out(torch.as_tensor(x), [500, 400], emission, chunk=100)
    weights = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    masked = em.fit(whole, chain, weights=weights, stop=Stop(15, 0.0, 99), reseed=False)
    part = lay_out(torch.as_tensor(x[:500]), [500], emission, chunk=100)
    alone = em.fit(part, chain, stop=Stop(15, 0.0, 99), reseed=False)
    np.testing.assert_allclose(masked.trace, alone.trace, rtol=1e-10)
    other = lay_out(torch.as_tensor(x[500:]), [400], emission)
    np.testing.assert_allclose(masked.loglik[0, 1], expect(other, alone.chain)[1][0, 0], rtol=1e-9)


def test_autoregressions_are_those_of_least_squares(rng):
    x = rng.normal(size=(300, 2)).cumsum(axis=0) * 0.1
    emission = Autoregressive(2, 2, 0.0, torch.ones(2, dtype=torch.float64), 0.0)
    sums = features(emission, x, [200, 100]).sum(0)[None, None]
    found = emission.update(sums)
    rows = [np.r_[x[t - 1], x[t - 2], 1] for t in (*range(2, 200), *range(202, 300))]
    ahead = np.concatenate([x[2:200], x[202:]])
    expected, *_ = np.linalg.lstsq(np.array(rows), ahead, rcond=None)
    np.testing.assert_allclose(found["coefs"][0, 0], expected.T, atol=1e-8)
    left = ahead - np.array(rows) @ expected
    np.testing.assert_allclose(found["covs"][0, 0], left.T @ left / len(left), atol=1e-10)
    told = features(emission, x, [200, 100]) @ emission.theta(found)[0, 0]
    assert told[[0, 1, 200, 201]].abs().max() == 0
    spread: Any = left.T @ left / len(left)
    expected = multivariate_normal.logpdf(left, np.zeros(2), spread)
    np.testing.assert_allclose(told[2:200], expected[:198], rtol=1e-8)


def test_a_lost_state_is_started_once_more_where_samples_are_fitted_worst(rng):
    x, _ = planted(rng, 1500)
    x[rng.choice(1500, 15, replace=False)] += 40
    emission = gaussian(3, nu=5.0)
    data, chain = lay_out(torch.as_tensor(x), [1500], emission), start(emission, 3, rng)
    course = em.Course(data, chain, Prior(), Stop(), None, reseed=True)
    found, _ = expect(data, chain)
    visits = torch.tensor([[700.0, 800.0, 0.0]])
    before = chain.emission["means"].clone()
    for _ in range(em.FEW_PATIENCE - 1):
        course._start_again(visits, found.evidence, None)
    torch.testing.assert_close(course.chain.emission["means"], before)
    course._start_again(visits, found.evidence, None)
    far = torch.as_tensor(x[x.mean(axis=1) > 30].mean(axis=0))
    torch.testing.assert_close(course.chain.emission["means"][0, 2], far)
    torch.testing.assert_close(course.chain.emission["means"][0, :2], before[0, :2])
    course.chain.emission["means"][0, 2] = 0.0
    for _ in range(em.FEW_PATIENCE):
        course._start_again(visits, found.evidence, None)
    assert course.chain.emission["means"][0, 2].abs().max() == 0


def test_float32_reaches_what_float64_does(rng):
    x, _ = planted(rng, 2000)
    emission = gaussian(3, nu=5.0)
    chain = start(emission, 3, rng)
    exact, fast = (em.fit(lay_out(torch.as_tensor(x), [2000], emission, precision=p), chain)
                   for p in ("exact", "fast"))  # fmt: skip
    assert fast.loglik[0, 0].item() == pytest.approx(exact.loglik[0, 0].item(), rel=1e-5)


def test_a_fall_of_the_objective_is_an_error(rng, monkeypatch):
    x, _ = planted(rng, 600)
    emission = gaussian(3, nu=5.0)
    data, chain = lay_out(torch.as_tensor(x), [600], emission), start(emission, 3, rng)
    update = emissions.Gaussian.update

    def spoilt(self, sums) -> dict[str, Any]:
        return {k: v + 5.0 * (k == "means") for k, v in update(self, sums).items()}

    monkeypatch.setattr(emissions.Gaussian, "update", spoilt)
    with pytest.raises(EMDivergence, match="the objective fell"):
        em.fit(data, chain, reseed=False)


def test_a_singular_state_is_named(rng):
    emission = gaussian(2)
    chain = start(emission, 2, rng)
    chain.emission["covs"][0, 1] = 0.0
    with pytest.raises(ValueError, match="covariance of state 1"):
        emission.theta(chain.emission)


def test_groups_of_k_means_are_those_that_are_far_apart(rng):
    label = rng.integers(0, 3, (2, 300))
    centres = np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 20.0]])
    points = centres[label] + rng.normal(size=(2, 300, 2))
    found = starts.kmeans(torch.as_tensor(points), 3, [0, 1]).numpy()
    for m in range(2):
        assert len(set(zip(label[m], found[m], strict=True))) == 3


def test_models_can_be_joined_and_taken_apart(rng):
    emission = gaussian(2)
    chain = start(emission, 2, rng, 3)
    again = join([chain.take([0]), chain.take([1, 2])])
    torch.testing.assert_close(again.emission["means"], chain.emission["means"])
    turned = chain.states([1, 0])
    torch.testing.assert_close(turned.emission["means"][:, 0], chain.emission["means"][:, 1])
    torch.testing.assert_close(turned.A[:, 0, 0], chain.A[:, 1, 1])

"""Hidden Markov models in one batch beside hmmlearn, one after the other, from the same starts.

First expectation-maximisation of Gaussian states with full covariances, then the recursions alone,
then a sweep over numbers of states, folds and restarts. Priors are off, but that of covariances in
the sweep, where states of few samples would become singular: it is the peer's, with D + 2 samples.
So both do the same arithmetic; log-likelihoods must agree before seconds are compared.
``python -m benchmarks.hmm_rnn`` prints where the time of an iteration goes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks import hmm_rnn_sinkhorn
from benchmarks.harness import Case, Equal, Peer, Row, measure
from benchmarks.processes import Call

PEER = "hmmlearn"
SAMPLES, CHANNELS, STATES, DWELL, ITERATIONS = 50_000, 20, 8, 20, 10
RESTARTS = (1, 4, 16)
SWEPT, FOLDS, SWEEP_RESTARTS, SWEEP_SAMPLES, SWEEP_ITERATIONS = (
    (2, 3, 4, 6, 8, 10, 12), 5, 10, 6000, 10)  # fmt: skip
EXACT, NEAR = 1e-9, 1e-6
"""Relative difference of log-likelihoods; float32 has seven digits, so it cannot meet the first."""


def rows() -> Iterator[Row]:
    """Yield B1 with one and four restarts, B2, B4, B3, and B1 with sixteen, the dearest last."""
    for restarts in RESTARTS[:2]:
        yield from fits(restarts)
    name = f"B2 recursions alone, T = {SAMPLES}, K = {STATES}"
    peer = Peer(PEER, PEER, call("peer_recursions"))
    same = Equal("log-likelihood", EXACT, relative_difference)
    yield measure(Case(name, call("our_recursions"), peer, same, repeats=5, limit_cpu_s=0.06))
    yield from hmm_rnn_sinkhorn.rows()
    name = (f"B3 K = 2 to 12, {FOLDS} folds, {SWEEP_RESTARTS} restarts, {SWEEP_ITERATIONS} "
            f"iterations, T = {SWEEP_SAMPLES}")  # fmt: skip
    peer = Peer(PEER, PEER, call("peer_sweep"))
    yield measure(Case(name, call("our_sweep"), peer, likelihoods(EXACT), repeats=1))
    yield from fits(RESTARTS[2])


def fits(restarts: int) -> Iterator[Row]:
    """Yield the fits of so many restarts in both precisions."""
    for precision, dtype, limit in (("exact", "float64", EXACT), ("fast", "float32", NEAR)):
        case = f"B1 R={restarts} {dtype}, T = {SAMPLES}, D = {CHANNELS}, K = {STATES}"
        ours = call("our_fits", restarts=restarts, precision=precision)
        peer = Peer(PEER, PEER, call("peer_fits", restarts=restarts))
        yield measure(Case(case, ours, peer, likelihoods(limit), repeats=3 if restarts == 1 else 1))


def call(name: str, **arguments: Any) -> Call:
    """Return the call of a function of this module."""
    return Call(f"benchmarks.hmm_rnn:{name}", arguments)


def likelihoods(tolerance: float) -> Equal:
    """Return the gate: the log-likelihoods of all iterations of all restarts."""
    return Equal("log-likelihoods, relative", tolerance, relative_difference)


def relative_difference(ours: Any, peer: Any) -> float:
    """Return the largest relative difference; infinite where shapes differ."""
    a, b = ours["loglik"], peer["loglik"]
    return float("inf") if a.shape != b.shape else float(np.abs(a / b - 1).max())


def series(samples: int, states: int) -> np.ndarray:
    """Return planted states with means one deviation apart, z-scored, (time, channel)."""
    rng = np.random.default_rng(0)
    path = rng.integers(0, states, -(-samples // DWELL)).repeat(DWELL)[:samples]
    x = rng.normal(size=(states, CHANNELS))[path] + rng.normal(size=(samples, CHANNELS))
    return (x - x.mean(axis=0)) / x.std(axis=0)


def starts(x: np.ndarray, states: int, restarts: int) -> tuple[np.ndarray, np.ndarray]:
    """Return transitions (state, state) and means (restart, state, channel) at random samples."""
    A = np.full((states, states), 0.1 / (states - 1))
    np.fill_diagonal(A, 0.9)
    chosen = [np.random.default_rng(r).choice(len(x), states, replace=False)
              for r in range(restarts)]  # fmt: skip
    return A, x[np.array(chosen)]


def our_chain(A: np.ndarray, means: np.ndarray) -> Any:
    """Return starts with unit covariances."""
    import torch

    from rheobase.models.hmm_rnn.batch import Chain

    models, states, channels = means.shape
    covs = np.broadcast_to(np.eye(channels), (models, states, channels, channels)).copy()
    transitions = torch.as_tensor(A).expand(models, -1, -1).contiguous()
    emission = {"means": torch.as_tensor(means), "covs": torch.as_tensor(covs)}
    return Chain(torch.full_like(transitions[:, 0], 1 / states), transitions, emission)


def our_data(x: np.ndarray, lengths: tuple[int, ...], precision: str, nu: float = 0.0) -> Any:
    """Return the features of a series; ``nu`` samples of unit covariance are the prior."""
    import torch

    from rheobase.models.hmm_rnn.batch import lay_out
    from rheobase.models.hmm_rnn.emissions import Gaussian

    torch.set_num_threads(1)
    emission = Gaussian(x.shape[1], "full", nu, torch.ones(x.shape[1], dtype=torch.float64))
    how: Any = precision
    return lay_out(torch.as_tensor(x), lengths, emission, precision=how)


def our_em(data: Any, chain: Any, iterations: int, weights: Any = None) -> Any:
    """Return fits after so many M-steps; the expectation after the last one comes on top."""
    from rheobase.models.hmm_rnn import em

    plain, stop = em.Prior(0.0, 0.0, 0.0, 0.0, 0.0), em.Stop(iterations + 1, 0.0, 10**6)
    return em.fit(data, chain, prior=plain, stop=stop, weights=weights, reseed=False)


def our_fits(*, restarts: int, precision: str) -> Callable[[], Any]:
    """Return a function that lays out the series and runs all restarts."""
    x = series(SAMPLES, STATES)
    chain = our_chain(*starts(x, STATES, restarts))
    our_em(our_data(x[:2000], (2000,), precision), chain, 1)

    def run() -> Callable[[], Any]:
        fits = our_em(our_data(x, (SAMPLES,), precision), chain, ITERATIONS)
        return lambda: {"loglik": fits.trace[:, :ITERATIONS]}

    return run


def peer_model(A: np.ndarray, means: np.ndarray, iterations: int, nu: float = 0.0) -> Any:
    """Return a model of hmmlearn at a start, with the same prior."""
    from hmmlearn.hmm import GaussianHMM

    states, channels = means.shape
    kind: Any = GaussianHMM
    model = kind(states, "full", n_iter=iterations, tol=-np.inf, init_params="",
                        covars_prior=nu * np.eye(channels), covars_weight=nu + channels,
                        implementation="scaling")  # fmt: skip
    model.startprob_, model.transmat_ = np.full(states, 1 / states), A.copy()
    model.means_, model.covars_ = means.copy(), np.stack([np.eye(channels)] * states)
    return model


def peer_fits(*, restarts: int) -> Callable[[], Any]:
    """Return a function that fits one restart after the other."""
    x = series(SAMPLES, STATES)
    A, means = starts(x, STATES, restarts)

    def run() -> dict[str, Any]:
        found = [peer_model(A, one, ITERATIONS).fit(x).monitor_.history for one in means]
        return {"loglik": np.array([list(one) for one in found])}

    return run


def our_recursions() -> Callable[[], Any]:
    """Return a function that runs the recursions on given likelihoods."""
    import torch

    from rheobase.models.hmm_rnn.scan import forward_backward

    torch.set_num_threads(1)
    logb, A, pi = (torch.as_tensor(a)[None] for a in given())
    forward_backward(logb[:, :500], A, pi)

    def run() -> Callable[[], Any]:
        found = forward_backward(logb, A, pi)
        return lambda: {"loglik": found.loglik[0].numpy()}

    return run


def given() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return log-likelihoods (time, state), transitions and beginnings."""
    A, _ = starts(np.zeros((SAMPLES, 1)), STATES, 1)
    logb = 3 * np.random.default_rng(0).normal(size=(SAMPLES, STATES))
    return logb, A, np.full(STATES, 1 / STATES)


def peer_recursions() -> Callable[[], Any]:
    """Return a function that runs the peer's compiled recursions and its sum of transitions."""
    from importlib import import_module

    compiled: Any = import_module("hmmlearn._hmmc")
    logb, A, pi = given()

    def run() -> dict[str, Any]:
        b = np.exp(logb - logb.max(axis=1, keepdims=True))
        shift = logb.max(axis=1).sum()
        told, alpha, scale = compiled.forward_scaling(pi, A, b)
        beta = compiled.backward_scaling(pi, A, b, scale)
        compiled.compute_scaling_xi_sum(alpha, A, beta, b)
        gamma = alpha * beta
        gamma /= gamma.sum(axis=1, keepdims=True)
        return {"loglik": np.array([told + shift])}

    return run


def blocks() -> tuple[np.ndarray, tuple[int, ...]]:
    """Return the series of the sweep and its folds, equal blocks of time."""
    return series(SWEEP_SAMPLES, 6), (SWEEP_SAMPLES // FOLDS,) * FOLDS


def our_sweep() -> Callable[[], Any]:
    """Return a function that fits folds and restarts of each K as one batch."""
    import torch

    x, lengths = blocks()
    learns = torch.as_tensor(1 - np.eye(FOLDS)).repeat_interleave(SWEEP_RESTARTS, 0)
    our_em(our_data(x, lengths, "exact", CHANNELS + 2), our_chain(*starts(x, 2, 1)), 1)

    def run() -> Callable[[], Any]:
        found = []
        data = our_data(x, lengths, "exact", CHANNELS + 2)
        for states in SWEPT:
            A, means = starts(x, states, SWEEP_RESTARTS)
            chain = our_chain(A, np.tile(means, (FOLDS, 1, 1)))
            found.append(our_em(data, chain, SWEEP_ITERATIONS, learns).trace)
        return lambda: {"loglik": np.stack(found)[:, :, :SWEEP_ITERATIONS]}

    return run


def peer_sweep() -> Callable[[], Any]:
    """Return a function that loops over all of them."""
    x, lengths = blocks()
    parts = np.split(x, FOLDS)

    def run() -> dict[str, Any]:
        found = []
        for states in SWEPT:
            A, means = starts(x, states, SWEEP_RESTARTS)
            for fold in range(FOLDS):
                kept = np.concatenate([p for n, p in enumerate(parts) if n != fold])
                for one in means:
                    model = peer_model(A, one, SWEEP_ITERATIONS, CHANNELS + 2)
                    model.fit(kept, lengths[1:])
                    found.append(list(model.monitor_.history))
        return {"loglik": np.array(found).reshape(len(SWEPT), -1, SWEEP_ITERATIONS)}

    return run


def profile(restarts: int, precision: str, rounds: int = 3) -> dict[str, float]:
    """Return the CPU milliseconds of the parts of an iteration, a restart; the best of rounds."""
    from rheobase.models.hmm_rnn.batch import expect, sums
    from rheobase.models.hmm_rnn.em import Course, Prior, Stop

    x = series(SAMPLES, STATES)
    data, chain = our_data(x, (SAMPLES,), precision), our_chain(*starts(x, STATES, restarts))
    course = Course(data, chain, Prior(0.0, 0.0, 0.0, 0.0, 0.0), Stop(9), None, reseed=False)
    spent: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        began = time.process_time()
        made = work()
        cost = 1e3 * (time.process_time() - began) / restarts
        spent[name] = min(spent.get(name, np.inf), cost)
        return made

    for _ in range(rounds):
        theta = data.emission.theta(chain.emission).flatten(0, 1).to(data.dtype)
        timed("likelihoods alone", lambda t=theta: [t @ phi for phi in data.phi])
        found, _ = timed("likelihoods and scan", lambda: expect(data, chain))
        total = timed("sums", lambda f=found: sums(data, f.gamma))
        timed("parameters", lambda s=total: course.data.emission.update(s))
    return spent


if __name__ == "__main__":
    for _restarts in RESTARTS:
        for _precision in ("exact", "fast"):
            _told = profile(_restarts, _precision)
            print(_restarts, _precision, {k: round(v, 1) for k, v in _told.items()}, "ms a restart")

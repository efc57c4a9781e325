"""The recursions of hidden Markov models, against enumeration and plain loops."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from rheobase.models.hmm_rnn import paths, scan
from rheobase.models.hmm_rnn.chunks import cut
from rheobase.models.hmm_rnn.scan import forward_backward


def chain(rng, models, states, stay=5.0):
    """Return transitions and beginnings of some models."""
    A = rng.dirichlet(np.ones(states), size=(models, states)) + stay * np.eye(states)
    return A / A.sum(axis=-1, keepdims=True), rng.dirichlet(np.ones(states), size=models)


def tensors(*arrays) -> Any:
    return [torch.as_tensor(a) for a in arrays]


def enumerated(logb, A, pi):
    """Return state probabilities, expected transitions and log-likelihood over all paths."""
    T, K = logb.shape
    total, gamma, counts, best = 0.0, np.zeros((T, K)), np.zeros((K, K)), (0.0, ())
    for path in product(range(K), repeat=T):
        p = pi[path[0]] * np.exp(logb[0, path[0]])
        for t in range(1, T):
            p *= A[path[t - 1], path[t]] * np.exp(logb[t, path[t]])
        total += p
        gamma[np.arange(T), path] += p
        for t in range(1, T):
            counts[path[t - 1], path[t]] += p
        best = max(best, (p, path))
    return gamma / total, counts / total, np.log(total), best[1]


def looped(logb, A, pi):
    """Return the same by scaled recursions, one step after the other."""
    T, K = logb.shape
    b = np.exp(logb - logb.max(axis=1, keepdims=True))
    alpha, beta, scale = np.zeros((T, K)), np.ones((T, K)), np.zeros(T)
    for t in range(T):
        alpha[t] = (pi if t == 0 else alpha[t - 1] @ A) * b[t]
        scale[t] = alpha[t].sum()
        alpha[t] /= scale[t]
    counts = np.zeros((K, K))
    for t in range(T - 1, 0, -1):
        seen = b[t] * beta[t] / scale[t]
        counts += alpha[t - 1][:, None] * A * seen
        beta[t - 1] = A @ seen
    return alpha * beta, counts, np.log(scale).sum() + logb.max(axis=1).sum()


@pytest.mark.parametrize("chunk", [1, 2, 4, "auto"])
@pytest.mark.parametrize("guess", [True, False])
def test_probabilities_are_those_of_all_paths(rng, chunk, guess):
    logb, (A, pi) = rng.normal(size=(2, 6, 3)), chain(rng, 2, 3)
    found = forward_backward(*tensors(logb, A, pi), chunk=chunk, guess=guess)
    ways = paths.viterbi(*tensors(logb, A, pi), chunk=chunk)
    for m in range(2):
        gamma, counts, loglik, best = enumerated(logb[m], A[m], pi[m])
        np.testing.assert_allclose(found.gamma[m], gamma, atol=1e-12)
        np.testing.assert_allclose(found.counts[m], counts, atol=1e-12)
        assert found.loglik[m].item() == pytest.approx(loglik, abs=1e-12)
        assert tuple(ways[m].tolist()) == best


@pytest.mark.parametrize("spread", [0.02, 1.0, 20.0])
@pytest.mark.parametrize("guess", [True, False])
def test_chunks_and_segments_change_nothing(rng, spread, guess):
    logb, (A, pi) = spread * rng.normal(size=(2, 1500, 5)), chain(rng, 2, 5)
    lengths = [700, 9, 791]
    edges = np.cumsum([0, *lengths])
    for chunk in (16, 71, 128, "auto"):
        found = forward_backward(*tensors(logb, A, pi), lengths=lengths, chunk=chunk, guess=guess)
        for m in range(2):
            parts = [looped(logb[m, a:b], A[m], pi[m])
                     for a, b in zip(edges[:-1], edges[1:], strict=True)]  # fmt: skip
            gamma = np.concatenate([p[0] for p in parts])
            np.testing.assert_allclose(found.gamma[m], gamma, atol=1e-10)
            counts = sum(p[1] for p in parts)
            np.testing.assert_allclose(found.counts[m], counts, rtol=1e-9, atol=1e-12)
            loglik = np.array([p[2] for p in parts])
            np.testing.assert_allclose(found.loglik[m], loglik, rtol=1e-12)


def laid(logb, A, pi, chunk) -> Any:
    chunks, b = scan.laid(torch.as_tensor(logb), torch.as_tensor(A), None, chunk)
    return b, *tensors(A, pi), chunks


def test_a_series_that_never_forgets_needs_the_products(rng):
    A = np.array([[[1 - 1e-9, 1e-9], [1e-9, 1 - 1e-9]]])
    pi = np.array([[0.9, 0.1]])
    logb = 1e-6 * rng.normal(size=(1, 400, 2))
    found = scan.smooth(*laid(logb, A, pi, 20))
    assert not found.guessed
    gamma, counts, _ = looped(logb[0], A[0], pi[0])
    np.testing.assert_allclose(laid(logb, A, pi, 20)[3].along(found.gamma)[:, 0], gamma, atol=1e-10)
    np.testing.assert_allclose(found.counts[0], counts, rtol=1e-9)


def test_a_series_that_forgets_needs_no_product(rng):
    logb, (A, pi) = 3 * rng.normal(size=(1, 2000, 4)), chain(rng, 1, 4)
    assert scan.smooth(*laid(logb, A, pi, 128)).guessed


def test_forbidden_transitions_and_impossible_samples_stay_finite():
    A = np.array([[[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5]]])
    pi = np.array([[1.0, 0.0, 0.0]])
    logb = np.full((1, 300, 3), -2000.0)
    logb[0, np.arange(300), np.arange(300) // 7 % 3] = 0.0
    for guess in (True, False):
        found = forward_backward(*tensors(logb, A, pi), chunk=16, guess=guess)
        assert torch.isfinite(found.gamma).all()
        np.testing.assert_array_equal(found.gamma[0].argmax(1), np.arange(300) // 7 % 3)
        np.testing.assert_allclose(found.counts[0][A[0] == 0], 0, atol=1e-12)


def test_float32_is_near(rng):
    logb, (A, pi) = 2 * rng.normal(size=(1, 3000, 6)), chain(rng, 1, 6)
    gamma, counts, loglik = looped(logb[0], A[0], pi[0])
    found = forward_backward(*(t.float() for t in tensors(logb, A, pi)))
    np.testing.assert_allclose(found.gamma[0], gamma, atol=1e-4)
    np.testing.assert_allclose(found.counts[0], counts, rtol=1e-3)
    assert found.loglik[0].item() == pytest.approx(loglik, rel=1e-6)


def best_path(logb, A, pi):
    score, came = np.log(pi) + logb[0], []
    for sample in logb[1:]:
        ways = score[:, None] + np.log(A)
        came.append(ways.argmax(axis=0))
        score = ways.max(axis=0) + sample
    path = [int(score.argmax())]
    for pointers in came[::-1]:
        path.append(int(pointers[path[-1]]))
    return path[::-1]


@pytest.mark.parametrize("spread", [0.05, 0.5, 3.0])
def test_the_best_path_is_that_of_one_long_loop(rng, spread):
    logb, (A, pi) = spread * rng.normal(size=(1, 900, 4)), chain(rng, 1, 4)
    expected = best_path(logb[0, :500], A[0], pi[0]) + best_path(logb[0, 500:], A[0], pi[0])
    for chunk in (16, 71, "auto"):
        found = paths.viterbi(*tensors(logb, A, pi), lengths=[500, 400], chunk=chunk)
        assert found[0].tolist() == expected


def test_drawn_paths_have_the_chain_s_transitions():
    A = torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.5, 0.3], [0.0, 0.6, 0.4]], dtype=torch.float64)
    pi = torch.tensor([0.2, 0.0, 0.8], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    drawn = paths.sample(A, pi, 50, 4000, generator=generator).numpy()
    counts = np.zeros((3, 3))
    np.add.at(counts, (drawn[:, :-1].ravel(), drawn[:, 1:].ravel()), 1)
    np.testing.assert_allclose(counts / counts.sum(axis=1, keepdims=True), A, atol=0.01)
    assert counts[0, 2] == counts[2, 0] == 0
    np.testing.assert_allclose(np.bincount(drawn[:, 0], minlength=3) / 4000, pi, atol=0.025)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"lengths": [4, 7]}, "lengths sum to 11"),
        ({"chunk": 0}, "chunk is 0"),
        ({"lengths": [10, 0]}, "each at least 1"),
        ({"A": torch.ones(1, 3, 3)}, "logb asks for"),
    ],
)
def test_wrong_shapes_are_refused(given: dict[str, Any], words):
    arguments = {"logb": torch.zeros(1, 10, 2), "A": torch.ones(1, 2, 2) / 2,
                 "pi": torch.ones(1, 2) / 2, **given}  # fmt: skip
    with pytest.raises(ValueError, match=words):
        forward_backward(**arguments)


def test_chunks_hold_every_sample_once():
    chunks = cut([130, 5, 260], chunk="auto")
    assert sorted(chunks.rows[chunks.valid].tolist()) == list(range(395))
    series = torch.arange(395, dtype=torch.float64)[:, None]
    torch.testing.assert_close(chunks.along(chunks.lay(series)), series)
    assert chunks.lay(series + 1)[~chunks.valid[:, None].expand(-1, 1, -1)].abs().sum() == 0

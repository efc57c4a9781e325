"""The factorisation finds planted components, by every path, with parts missing."""

from typing import Any

import numpy as np
import pytest
import torch

from rheobase.models.connectome import grams
from rheobase.models.connectome.affinities import affinities
from rheobase.models.connectome.explicit import ExplicitAffinities
from rheobase.models.connectome.factorise import factorise, objective, squared_error
from rheobase.models.connectome.factors import as_matrix, match_score, network_at, scaled_factors
from rheobase.models.connectome.hals import TINY, _Step, hals
from rheobase.models.connectome.implicit import ImplicitAffinities
from rheobase.models.connectome.kernels import RANK_FORMS, drive_source
from rheobase.models.connectome.layout import Mask
from rheobase.models.connectome.peer import factorise_with_tensorly, packed
from rheobase.models.connectome.project import nonnegative, project, projection_error
from rheobase.models.connectome.restarts import Restarts, fit
from rheobase.models.connectome.starts import Start, singular_start, uniform_starts
from rheobase.models.connectome.step import Settings, step

PLAIN = Settings(max_iter=10, tol=0, inner_tol=0)


def noisy(rng, *, neurons=12, animals=4, bins=30, dtype=torch.float64):
    """Return signed drives of three groups on noise, (neuron, animal, bin)."""
    at = np.arange(bins)
    made = 0.1 * rng.gamma(1, 1, (neurons, animals, bins))
    for k in range(3):
        course = np.exp(-0.5 * ((at - bins * (k + 0.5) / 3) / (bins / 12)) ** 2)
        members = (np.arange(neurons) % 3 == k) * rng.uniform(0.5, 1, neurons)
        made += members[:, None, None] * rng.uniform(0.3, 1, animals)[:, None] * course
    made *= rng.choice([-1, 1], made.shape)
    return torch.from_numpy(np.clip(made, -1, 1)).to(dtype)


def exact(rng, *, neurons=10, animals=5, bins=24, rank=3):
    """Return drives whose products are of exactly this rank, and the planted factors.

    Components take turns in time; within its turn a component's pairs are an outer product.
    """
    groups = rng.uniform(0.3, 1, (rank, neurons)) * (rng.random((rank, neurons)) < 0.8)
    course = rng.uniform(0.3, 1, bins)
    turn = np.arange(bins) * rank // bins
    shares = rng.uniform(0.3, 1, (rank, animals))
    drive = (groups[turn].T[:, None] * np.sqrt(shares[turn].T)) * np.sqrt(course)
    pairs = np.triu_indices(neurons, 1)
    patterns = groups[:, pairs[0]] * groups[:, pairs[1]]
    times = course * (turn == np.arange(rank)[:, None])
    return torch.from_numpy(drive), scaled_factors(patterns, times, shares)


def some_missing(rng, *, neurons=12, animals=4, share=0.25):
    made = rng.random((neurons, animals)) > share
    made[:3] = True
    return torch.from_numpy(made)


def some_bins(rng, *, animals=4, bins=30):
    return torch.from_numpy(rng.random((animals, bins)) > 0.2)


def missing_parts(rng) -> dict[str, Any]:
    return {"presence": some_missing(rng), "frames": some_bins(rng)}


def dense(tensor):
    """Return X and the mask of observed entries, (pair, animal, bin)."""
    size, mask = tensor.layout, tensor.mask
    x = torch.from_numpy(packed(tensor)).permute(0, 2, 1)
    seen = torch.ones(size.pairs, size.animals, size.bins, dtype=torch.bool)
    if mask.presence is not None:
        seen &= mask.pairs().T[:, :, None]
    if mask.frames is not None:
        seen &= mask.frames
    return x, seen


def model(start):
    return torch.einsum("krp,krs,krt->kpst", start.patterns, start.animals, start.times)


@pytest.mark.parametrize("kernel", RANK_FORMS)
@pytest.mark.parametrize("neurons", [2, 12, 41])
def test_products_without_the_tensor_are_those_with_it(rng, kernel, neurons):
    source = drive_source(noisy(rng, neurons=neurons), kernel=kernel, levels=8)
    x = source.block(slice(0, 120))
    tensor = affinities(source)
    assert isinstance(tensor, ImplicitAffinities)
    weights, patterns = (torch.from_numpy(rng.random((3, n))) for n in reversed(x.shape))
    near: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(tensor.pair_products(weights), weights @ x.T, **near)
    torch.testing.assert_close(tensor.column_products(patterns), patterns @ x, **near)
    torch.testing.assert_close(tensor.column_norms(), (x**2).sum(0), **near)


@pytest.mark.parametrize("kernel", ["geomean", "min"])
def test_streaming_changes_nothing(rng, kernel):
    source = drive_source(noisy(rng), kernel=kernel, levels=4)
    paths = [
        ImplicitAffinities(source),
        ImplicitAffinities(source, block_elements=100),
        affinities(source, path="explicit"),
        ExplicitAffinities(source, max_bytes=0, stream_bytes=5000),
    ]
    assert paths[2].kept
    assert not paths[3].kept
    start = uniform_starts(paths[0], rank=3, count=1, seed=0)
    errors = [factorise(tensor, start, PLAIN)[0].errors for tensor in paths]
    for other in errors[1:]:
        np.testing.assert_allclose(other, errors[0], atol=1e-12)


def test_implicit_and_explicit_agree_in_single_precision(rng):
    source = drive_source(noisy(rng, dtype=torch.float32))
    tensor = affinities(source)
    start = uniform_starts(tensor, rank=3, count=1, seed=0)
    twenty = Settings(max_iter=20, tol=0)
    ours = factorise(tensor, start, twenty)[0].errors
    theirs = factorise(affinities(source, path="explicit"), start, twenty)[0].errors
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_the_error_is_that_of_tensorly_from_the_same_start(rng):
    tensor = affinities(drive_source(noisy(rng)))
    start = uniform_starts(tensor, rank=3, count=2, seed=0)
    ours, theirs = (f(tensor, start, PLAIN) for f in (factorise, factorise_with_tensorly))
    assert ours[0].errors != ours[1].errors
    for own, other in zip(ours, theirs, strict=True):
        assert own.stop == other.stop == "max_iter"
        np.testing.assert_allclose(own.errors, other.errors, atol=1e-6)
        assert match_score(own.factors, other.factors) > 1 - 1e-6


def test_tensorly_as_backend_ends_where_ours_does(rng):
    tensor = affinities(drive_source(noisy(rng)))
    settings = Settings(max_iter=60, tol=1e-7)
    few = Restarts(starts=2, screen=5, keep=1)
    ours, theirs = (
        fit(tensor, rank=3, seed=0, restarts=few, settings=settings, backend=backend).best
        for backend in ("torch", "tensorly")
    )
    assert theirs.error == pytest.approx(ours.error, abs=1e-4)
    assert len(theirs.errors) > 5
    with pytest.raises(ValueError, match="backend is 'jax'"):
        fit(tensor, rank=3, seed=0, backend="jax")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("missing", [False, True])
def test_the_reported_error_is_the_recomputed_one(rng, dtype, missing):
    parts = missing_parts(rng) if missing else {}
    tensor = affinities(drive_source(noisy(rng, dtype=dtype), **parts))
    run = factorise(tensor, uniform_starts(tensor, rank=3, count=1, seed=0), PLAIN)[0]
    x, seen = dense(tensor)
    gap = (x - model(run.end)[0].double())[seen]
    again = float((gap.square().sum() / x[seen].square().sum()).sqrt())
    assert run.error == pytest.approx(again, abs=1e-5 if dtype == torch.float32 else 1e-12)
    assert float(squared_error(tensor, run.end, elements=100)) == pytest.approx(
        float(gap.square().sum()), rel=1e-6
    )


@pytest.mark.parametrize("rank", [1, 3, 5])
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("extrapolate", [False, True])
def test_the_error_never_rises(rng, rank, missing, extrapolate):
    parts = missing_parts(rng) if missing else {}
    tensor = affinities(drive_source(noisy(rng), **parts))
    start = uniform_starts(tensor, rank=rank, count=3, seed=1)
    settings = Settings(max_iter=40, tol=0, extrapolate=extrapolate, unseen=0)
    for run in factorise(tensor, start, settings):
        assert np.diff(run.errors).max() <= 1e-12
        assert run.errors[-1] < run.errors[0] - 1e-4


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("sparsity", [0.0, 0.3])
@pytest.mark.parametrize("smoothness", [0.0, 2.0])
def test_the_penalised_loss_never_rises(rng, sparsity, smoothness, missing):
    parts = missing_parts(rng) if missing else {}
    tensor = affinities(drive_source(noisy(rng), **parts))
    start = uniform_starts(tensor, rank=3, count=2, seed=1)
    losses = []
    for n in (1, 2, 3, 5, 10, 20):
        settings = Settings(max_iter=n, tol=0, sparsity=sparsity, smoothness=smoothness)
        ends = Start.joined([run.end for run in factorise(tensor, start, settings)])
        losses.append(objective(tensor, ends, settings).numpy())
    assert np.diff(losses, axis=0).max() <= 1e-10
    assert (losses[-1] < losses[0]).all()


def test_penalties_make_patterns_sparser_and_courses_smoother(rng):
    tensor = affinities(drive_source(noisy(rng)))
    start = uniform_starts(tensor, rank=3, count=1, seed=1)

    def end(**penalties):
        return factorise(tensor, start, Settings(max_iter=25, tol=0, **penalties))[0].factors

    plain, sparse, smooth = end(), end(sparsity=1.0), end(smoothness=5.0)
    assert (sparse.patterns > 1e-6).sum() < 0.9 * (plain.patterns > 1e-6).sum()
    rough = [(np.diff(f.times, axis=1) ** 2).sum() for f in (plain, smooth)]
    assert rough[1] < 0.8 * rough[0]


def test_smoothness_does_not_reach_across_joints(rng):
    tensor = affinities(drive_source(noisy(rng)))
    start = uniform_starts(tensor, rank=2, count=1, seed=1)
    joints = torch.ones(29, dtype=torch.float64)
    joints[14] = 0
    settings = Settings(max_iter=30, tol=0, smoothness=1000.0)
    made = factorise(tensor, start, settings, joints=joints)[0].factors.times
    steps = np.abs(np.diff(made, axis=1))
    assert steps[:, 14].min() > 20 * np.delete(steps, 14, axis=1).max()


@pytest.mark.parametrize("kind", ["presence", "frames", "both"])
def test_gram_matrices_with_missing_parts_are_those_of_the_least_squares(rng, kind):
    parts = missing_parts(rng)
    mask = Mask(**{name: parts[name] for name in parts if kind in (name, "both")})
    k, rank, n, s, t = 2, 3, 66, 4, 30
    a, b, c = (torch.from_numpy(rng.random((k, rank, m))) for m in (n, t, s))
    seen = torch.ones(n, s, t, dtype=torch.float64)
    if mask.presence is not None:
        seen *= mask.pairs().T[:, :, None]
    if mask.frames is not None:
        seen *= mask.frames
    by_pair = torch.einsum("krt,krs,kqt,kqs,pst->krqp", b, c, b, c, seen)
    by_bin = torch.einsum("krp,krs,kqp,kqs,pst->krqt", a, c, a, c, seen)
    by_animal = torch.einsum("krp,krt,kqp,kqt,pst->krqs", a, b, a, b, seen)
    over = grams.over_pairs(a, mask)
    made = grams.for_patterns(b, c, mask)
    made = made[..., None] if isinstance(made, torch.Tensor) else made(slice(0, n))
    torch.testing.assert_close(made.expand_as(by_pair), by_pair)
    made = grams.for_times(over, c, mask)
    made = made if made.ndim == 4 else made[..., None]
    torch.testing.assert_close(made.expand_as(by_bin), by_bin)
    made = grams.for_animals(over, b, mask)
    torch.testing.assert_close(made, by_animal)
    whole = torch.einsum("krp,krs,krt->kpst", a, c, b) * seen
    torch.testing.assert_close(grams.model_norm(c, made), whole.square().sum((1, 2, 3)))
    by_pair = torch.einsum("krt,krs,kqt,kqs,pst->krqp", b, c, b, c, seen + 0.1 * (1 - seen))
    made = grams.for_patterns(b, c, mask, 0.1)
    made = made[..., None] if isinstance(made, torch.Tensor) else made(slice(0, n))
    torch.testing.assert_close(made.expand_as(by_pair), by_pair)


@pytest.mark.parametrize("kind", ["presence", "frames", "both"])
def test_what_is_unseen_weighs_a_little_in_the_objective(rng, kind):
    missing = missing_parts(rng)
    parts: dict[str, Any] = {name: missing[name] for name in missing if kind in (name, "both")}
    tensor = affinities(drive_source(noisy(rng), **parts))
    settings = Settings(unseen=0.2)
    start = uniform_starts(tensor, rank=3, count=2, seed=0)
    x, seen = dense(tensor)
    made, _ = step(tensor, start, settings, norm=float(x[seen].square().sum()))
    gap = (x * seen - model(made.state)).square()
    by_hand = torch.where(seen, gap, 0.2 * gap).sum((1, 2, 3))
    torch.testing.assert_close(made.loss, by_hand)
    torch.testing.assert_close(objective(tensor, made.state, settings), by_hand)
    torch.testing.assert_close(made.silent, torch.where(seen, 0, 0.2 * gap).sum((1, 2, 3)))


def test_pairs_seen_only_where_a_component_is_absent_do_not_blow_up(rng):
    """Only the first of three animals has a group, and it alone lacks three of the neurons."""
    drive = noisy(rng, animals=3, bins=60)
    drive[drive.abs() < 0.15] = 0
    drive[::3, 1:] = 0
    presence = torch.ones(12, 3, dtype=torch.bool)
    presence[-3:, 0] = False
    tensor = affinities(drive_source(drive, presence=presence))

    def largest(unseen):
        settings = Settings(max_iter=300, unseen=unseen)
        found = fit(tensor, rank=4, seed=0, settings=settings, restarts=Restarts(starts=3))
        return float(found.best.factors.weights[0])

    x, seen = dense(tensor)
    size = float(x[seen].square().sum().sqrt())
    assert largest(0.01) < size
    assert largest(0.0) > 2 * size


def test_both_ways_of_a_sweep_give_the_same(rng):
    factor, products = (torch.from_numpy(rng.random((2, 4, 9))) for _ in range(2))
    basis = torch.from_numpy(rng.random((2, 4, 6)))
    both = _Step(5 * products, basis @ basis.mT, 0.5, None)
    host, device = factor.clone(), factor.clone()
    both.sweeper(host)()
    both._sweep(device)
    torch.testing.assert_close(host, device)
    assert float(host.max()) == 0.5
    assert float(host.min()) == TINY


def test_inner_sweeps_of_a_restart_do_not_depend_on_the_others(rng):
    factor, products = (torch.from_numpy(rng.random((3, 4, 9))) for _ in range(2))
    factor[1] *= 100
    basis = torch.from_numpy(rng.random((3, 4, 6)))
    gram = basis @ basis.mT
    together = factor.clone()
    hals(together, products, gram, sweeps=20, inner_tol=0.3)
    unlike = []
    for i in range(3):
        alone, full = factor[i : i + 1].clone(), factor[i : i + 1].clone()
        hals(alone, products[i : i + 1], gram[i : i + 1], sweeps=20, inner_tol=0.3)
        hals(full, products[i : i + 1], gram[i : i + 1], sweeps=20)
        torch.testing.assert_close(together[i : i + 1], alone)
        unlike.append(not torch.allclose(alone, full))
    assert any(unlike)


def test_planted_components_are_found_exactly(rng):
    drive, planted = exact(rng)
    tensor = affinities(drive_source(drive, kernel="product"))
    found = fit(tensor, rank=3, seed=0, restarts=Restarts(starts=4, keep=2))
    assert match_score(found.best.factors, planted) == pytest.approx(1, abs=1e-4)
    assert found.best.error < 1e-3
    np.testing.assert_allclose(found.best.factors.weights, planted.weights, rtol=1e-3)


def test_hidden_neurons_are_recovered_exactly(rng):
    drive, planted = exact(rng, animals=7)
    presence = some_missing(rng, neurons=10, animals=7, share=0.35)
    assert int((~presence).sum()) > 15
    tensor = affinities(drive_source(drive, kernel="product", presence=presence))
    settings = Settings(max_iter=400, tol=1e-12, unseen=0)
    found = fit(tensor, rank=3, seed=0, settings=settings, restarts=Restarts(keep=2)).best
    assert match_score(found.factors, planted) == pytest.approx(1, abs=1e-6)
    whole = affinities(drive_source(drive, kernel="product"))
    x, _ = dense(whole)
    _, seen = dense(tensor)
    hidden = (x - model(found.end)[0])[~seen]
    assert float(hidden.abs().max()) < 1e-3 * float(x.max())


def test_a_dead_component_gets_another_start(rng):
    drive, _ = exact(rng)
    tensor = affinities(drive_source(drive, kernel="product"))
    start = uniform_starts(tensor, rank=3, count=2, seed=0)
    start.times[1, 2] = 0
    start.patterns[1, 2] = 0
    alive, revived = factorise(tensor, start, Settings(max_iter=50))
    assert alive.reseeded == 0
    assert revived.reseeded >= 1
    left = factorise(tensor, start, Settings(max_iter=50, reseeds=0))[1]
    assert left.reseeded == 0
    assert revived.error < 0.02 < left.error
    assert np.diff(np.square(revived.errors)).max() <= 1e-12


def test_a_run_says_why_it_stopped(rng):
    tensor = affinities(drive_source(noisy(rng)))
    start = uniform_starts(tensor, rank=2, count=1, seed=0)
    short, long = (factorise(tensor, start, Settings(max_iter=n, tol=1e-4))[0] for n in (3, 500))
    assert (short.stop, len(short.errors)) == ("max_iter", 3)
    assert long.stop == "tolerance"
    assert 3 < len(long.errors) < 500
    falls = -np.diff(long.errors) / np.array(long.errors[:-1])
    assert (falls[-3:] < 1e-4).all()
    assert falls[-4] >= 1e-4


def test_restarts_in_one_batch_are_those_run_alone(rng):
    tensor = affinities(drive_source(noisy(rng)))
    start = uniform_starts(tensor, rank=3, count=3, seed=0)
    settings = Settings(max_iter=200, tol=1e-4)
    together = factorise(tensor, start, settings)
    assert len({len(run.errors) for run in together}) > 1
    for i, run in enumerate(together):
        alone = factorise(tensor, start.take(slice(i, i + 1)), settings)[0]
        np.testing.assert_allclose(run.errors, alone.errors, atol=1e-10)


@pytest.mark.parametrize("missing", [False, True])
def test_the_same_seed_gives_the_same_bits_and_another_does_not(missing):
    def made(seed):
        rng = np.random.default_rng(0)
        parts = missing_parts(rng) if missing else {}
        tensor = affinities(drive_source(noisy(rng, dtype=torch.float32), **parts))
        return fit(
            tensor, rank=3, seed=seed, restarts=Restarts(starts=3, screen=5, keep=2),
            settings=Settings(max_iter=20),
        )  # fmt: skip

    first, again, other = made(0), made(0), made(1)
    assert first.screened == again.screened
    for name in ("weights", "patterns", "times", "animals"):
        np.testing.assert_array_equal(
            getattr(first.best.factors, name), getattr(again.best.factors, name)
        )
    assert first.screened[0] != other.screened[0]


def test_order_of_neurons_and_animals_does_not_matter(rng):
    signed = noisy(rng)
    neurons, animals = rng.permutation(12), rng.permutation(4)
    tensor = affinities(drive_source(signed))
    moved = affinities(drive_source(signed[neurons][:, animals]))
    start = uniform_starts(tensor, rank=3, count=1, seed=0)
    pairs = torch.triu_indices(12, 12, 1)
    pattern = torch.zeros(3, 12, 12, dtype=torch.float64)
    pattern[:, pairs[0], pairs[1]] = pattern[:, pairs[1], pairs[0]] = start.patterns[0]
    pattern = pattern[:, neurons][:, :, neurons][:, pairs[0], pairs[1]]
    permuted = Start(pattern[None], start.times, start.animals[:, :, animals])
    plain, other = factorise(tensor, start, PLAIN)[0], factorise(moved, permuted, PLAIN)[0]
    np.testing.assert_allclose(plain.errors, other.errors, atol=1e-12)
    np.testing.assert_allclose(
        as_matrix(plain.factors.patterns[0])[np.ix_(neurons, neurons)],
        as_matrix(other.factors.patterns[0]), atol=1e-6,
    )  # fmt: skip
    np.testing.assert_allclose(plain.factors.animals[:, animals], other.factors.animals, atol=1e-6)


def test_the_singular_start_is_better_than_a_random_one(rng):
    tensor = affinities(drive_source(noisy(rng)))
    starts = [
        uniform_starts(tensor, rank=3, count=1, seed=0), singular_start(tensor, rank=3, seed=0)
    ]  # fmt: skip
    random, singular = (float(squared_error(tensor, s)) for s in starts)
    assert singular < 0.8 * random
    assert min(float(f.min()) for f in vars(starts[1]).values()) > 0


def test_weights_of_known_patterns_are_the_least_squares(rng):
    from scipy.optimize import nnls

    presence = some_missing(rng)
    tensor = affinities(drive_source(noisy(rng), presence=presence))
    patterns = torch.from_numpy(rng.random((3, 66)))
    made = project(tensor, patterns)
    x, seen = dense(tensor)
    squared = total = 0.0
    for s in range(4):
        at = seen[:, s, 0].numpy()
        for t in range(30):
            by_hand, rest = nnls(patterns.T.numpy()[at], x[at, s, t].numpy())
            np.testing.assert_allclose(made[:, s * 30 + t], by_hand, atol=1e-6)
            squared, total = squared + rest**2, total + float(x[at, s, t].square().sum())
    assert projection_error(tensor, patterns, made) == pytest.approx((squared / total) ** 0.5)


def test_a_pattern_of_zeros_gets_no_weight():
    gram = torch.tensor([[2.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    made = nonnegative(gram, torch.tensor([[4.0], [0.0]], dtype=torch.float64))
    np.testing.assert_allclose(made.ravel(), [2, 0], atol=1e-9)
    floor = torch.tensor([[2.0, 2e-16], [2e-16, 1e-32]], dtype=torch.float64)
    made = nonnegative(floor, torch.tensor([[4.0], [1e-15]], dtype=torch.float64))
    np.testing.assert_allclose(made.ravel(), [2, 0], atol=1e-9)


@pytest.mark.parametrize("alike", [False, True])
def test_weights_are_the_exact_minimum_also_where_components_are_alike(rng, alike):
    from scipy.optimize import nnls

    patterns = rng.random((7, 40))
    if alike:
        patterns[5] = patterns[2]
        patterns[6] = patterns[1] + 1e-9 * patterns[0]
    x = rng.standard_normal((60, 40)) + rng.gamma(0.5, 1, (60, 7)) @ patterns
    gram, products = torch.from_numpy(patterns @ patterns.T), torch.from_numpy(patterns @ x.T)
    made = nonnegative(gram, products).numpy()
    assert (made >= 0).all()
    best = [nnls(patterns.T, row) for row in x]
    left = np.linalg.norm(x - made.T @ patterns, axis=1)
    np.testing.assert_allclose(left, [rest for _, rest in best], rtol=1e-6)
    if not alike:
        np.testing.assert_allclose(made.T, [weights for weights, _ in best], atol=1e-10)
        assert (made == 0).any()


def test_a_network_is_put_together_from_chosen_components(rng):
    drive, planted = exact(rng)
    whole = affinities(drive_source(drive, kernel="product"))
    x, _ = dense(whole)
    first, second = np.triu_indices(10, 1)
    made = network_at(planted, 20, animal=3)
    np.testing.assert_allclose(made[first, second], x[:, 3, 20], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(made, made.T)
    assert not made.diagonal().any()
    active = int(np.argmax(planted.times[:, 20]))
    others = [r for r in range(3) if r != active]
    np.testing.assert_allclose(network_at(planted, 20, animal=3, components=[active]), made)
    assert not network_at(planted, 20, animal=3, components=others).any()


@pytest.mark.parametrize(("neurons", "animals", "bins"), [(2, 1, 20), (2, 3, 5), (12, 1, 20)])
def test_the_smallest_tensors_are_factorised(rng, neurons, animals, bins):
    tensor = affinities(drive_source(noisy(rng, neurons=neurons, animals=animals, bins=bins)))
    found = fit(tensor, rank=1, seed=0, restarts=Restarts(starts=1, keep=1))
    assert found.best.factors.patterns.shape == (1, neurons * (neurons - 1) // 2)
    if neurons == 2 and animals == 1:
        assert found.best.error < 1e-6


def test_a_silent_neuron_has_no_part_in_patterns(rng):
    signed = noisy(rng)
    signed[4] = 0
    tensor = affinities(drive_source(signed))
    found = fit(tensor, rank=2, seed=0, restarts=Restarts(starts=2, keep=1))
    own = [np.abs(as_matrix(p)[4]).max() for p in found.best.factors.patterns]
    assert max(own) < 1e-12
    none = affinities(drive_source(torch.zeros(4, 1, 9)))
    start = uniform_starts(none, rank=1, count=1, seed=0)
    with pytest.raises(ValueError, match="every affinity is 0"):
        factorise(none, start, PLAIN)


def test_impossible_ranks_and_settings_are_refused(rng):
    tensor = affinities(drive_source(noisy(rng, neurons=3, animals=1)))
    with pytest.raises(ValueError, match="rank is 4; .* from 1 to 3"):
        fit(tensor, rank=4, seed=0)
    few = affinities(drive_source(noisy(rng, animals=2, bins=2)))
    with pytest.raises(ValueError, match="from 1 to 4"):
        uniform_starts(few, rank=5, count=1, seed=0)
    with pytest.raises(ValueError, match="max_iter is 0"):
        Settings(max_iter=0)
    with pytest.raises(ValueError, match="keep is 0"):
        Restarts(keep=0)
    masked = affinities(drive_source(noisy(rng), presence=some_missing(rng)))
    start = uniform_starts(masked, rank=2, count=1, seed=0)
    with pytest.raises(ValueError, match="cannot leave out missing"):
        factorise_with_tensorly(masked, start, PLAIN)

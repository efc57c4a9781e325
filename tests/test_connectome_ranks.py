"""The number of components, and whether they mean anything."""

from typing import Any

import numpy as np
import pytest
import torch

from rheobase.models.connectome.affinities import affinities
from rheobase.models.connectome.factors import Factors, match_score, matched, participation_ratio
from rheobase.models.connectome.holdout import (
    half_error,
    hidden_presence,
    hold_out,
    presence_error,
    restricted,
)
from rheobase.models.connectome.kernels import drive_source
from rheobase.models.connectome.locking import area_under_curve, benjamini_hochberg, epoch_locking
from rheobase.models.connectome.null import component_p, null_weight
from rheobase.models.connectome.ranks import (
    Choice,
    RankRow,
    choose_rank,
    core_consistency,
    rank_row,
)
from rheobase.models.connectome.restarts import Restarts, fit
from rheobase.models.connectome.starts import Start
from rheobase.models.connectome.step import Settings

SMALL = Restarts(starts=3, screen=10, keep=3)


def planted(rng, *, neurons=12, animals=5, bins=60, rank=3, noise=0.0):
    """Return drives of groups that take turns, (neuron, animal, bin); products have this rank."""
    groups = rng.uniform(0.5, 1, (rank, neurons)) * (rng.random((rank, neurons)) < 0.7)
    turn = rng.permutation(np.arange(bins) % rank)
    shares = rng.uniform(0.4, 1, (rank, animals))
    drive = groups[turn].T[:, None] * shares[turn].T * rng.uniform(0.5, 1, bins)
    drive = drive + noise * rng.gamma(1, 1, drive.shape)
    return torch.from_numpy(np.clip(drive, 0, 1))


def tensor_of(drive, **options):
    return affinities(drive_source(drive, kernel="product", **options))


def factors(rng, *, rank=3):
    return Factors(
        np.ones(rank, np.float32),
        *(rng.random((rank, n)).astype(np.float32) for n in (15, 20, 4)),
    )


def test_the_match_score_ignores_order_and_falls_with_noise(rng):
    first = factors(rng)
    order = [2, 0, 1]
    parts = (first.patterns, first.times, first.animals)
    turned = Factors(first.weights, *(f[order] for f in parts))
    assert match_score(first, turned) == pytest.approx(1)
    columns, alike = matched(first, turned)
    np.testing.assert_array_equal(columns, np.argsort(order))
    np.testing.assert_allclose(alike, 1, rtol=1e-6)
    noisy = Factors(first.weights, turned.patterns, turned.times, rng.random((3, 4)))
    assert match_score(first, noisy) < 0.97
    with pytest.raises(ValueError, match="ranks 3 and 2 differ"):
        match_score(first, factors(rng, rank=2))


def test_the_match_score_is_the_product_of_the_three_cosines():
    a, b = (np.eye(2, dtype=np.float32) for _ in range(2))
    half = np.array([[1, 1], [0, 1]], np.float32)
    first = Factors(np.ones(2), a, a, a)
    second = Factors(np.ones(2), b, half, b)
    assert match_score(first, second) == pytest.approx((1 / np.sqrt(2) + 1) / 2)


def test_hidden_presence_hides_a_tenth_and_spares_every_neuron_and_animal(rng):
    presence = torch.from_numpy(rng.random((20, 6)) < 0.7)
    presence[:4] = True
    tensor = tensor_of(planted(rng, neurons=20, animals=6), presence=presence)
    kept = hidden_presence(tensor, generator=rng)
    assert not (kept & ~presence).any()
    assert int((presence & ~kept).sum()) == round(0.1 * int(presence.sum()))
    assert kept.any(1).all()
    alone = tensor_of(planted(rng, neurons=2, animals=2))
    with pytest.raises(ValueError, match="can be hidden"):
        hidden_presence(alone, generator=rng)


def test_hidden_entries_are_predicted_exactly_where_the_rank_is_right(rng):
    tensor, settings = tensor_of(planted(rng)), Settings(max_iter=150, unseen=0)
    rows = [
        rank_row(
            tensor,
            fit(tensor, rank=r, seed=0, restarts=SMALL, settings=settings),
            seed=0,
            folds=3,
            settings=settings,
        )
        for r in (2, 3)
    ]
    assert max(rows[1].holdout) < 0.01
    assert min(rows[0].holdout) > 0.2
    assert rows[1].stability > 0.999
    assert rows[1].error < 0.01 < rows[0].error
    assert choose_rank(rows) == Choice(3, stable=True)


def test_hidden_columns_of_one_animal_are_predicted_where_the_rank_is_right(rng):
    tensor = tensor_of(planted(rng, animals=1))
    settings = Settings(max_iter=80)

    def error(rank, fold):
        def fitter(part):
            return fit(part, rank=rank, seed=0, restarts=SMALL, settings=settings).best.end

        return hold_out(tensor, fitter, fold=fold, folds=3, seed=0)

    right, low = ([error(rank, fold) for fold in range(3)] for rank in (3, 1))
    assert max(right) < 0.05
    assert min(low) > 0.2
    with pytest.raises(ValueError, match="need 60 bins|31 folds need 62 bins"):
        hold_out(tensor, lambda part: pytest.fail("fitted"), fold=0, folds=31, seed=0)


def test_the_error_on_hidden_pairs_is_counted_over_them_alone(rng):
    drive = planted(rng, neurons=8, animals=3, noise=0.1)
    tensor = tensor_of(drive)
    kept = hidden_presence(tensor, generator=rng)
    made = Start(*(torch.from_numpy(rng.random((1, 2, n))) for n in (28, 60, 3)))
    first, second = torch.triu_indices(8, 8, 1)
    x = drive[first] * drive[second]
    model = torch.einsum("rp,rs,rt->pst", made.patterns[0], made.animals[0], made.times[0])
    known = kept[first] & kept[second]
    asked = ~known & known.any(1, keepdim=True)
    expected = ((x - model)[asked].square().sum() / x[asked].square().sum()).sqrt()
    assert presence_error(tensor, kept, made) == pytest.approx(float(expected))


def test_weights_from_half_the_neurons_score_the_other_half(rng):
    drive = planted(rng, animals=1)
    groups = torch.stack([drive[:, 0, t] for t in (0, 1, 2)])
    first, second = torch.triu_indices(12, 12, 1)
    patterns = groups[:, first] * groups[:, second]
    part = tensor_of(drive[:, :, :3].contiguous())
    assert half_error(part, patterns, generator=rng) < 1e-6
    wrong = patterns.roll(5, dims=1)
    assert half_error(part, wrong, generator=rng) > 0.3


def test_patterns_of_some_neurons_are_their_pairs():
    matrix = torch.arange(49.0).view(7, 7)
    first, second = torch.triu_indices(7, 7, 1)
    chosen = torch.tensor([1, 3, 4, 6])
    i, j = torch.triu_indices(4, 4, 1)
    made = restricted(matrix[first, second][None], chosen, 7)[0]
    torch.testing.assert_close(made, matrix[chosen][:, chosen][i, j])


def row(rank, holdout, stability=0.95):
    return RankRow(rank, 0.5, 0.0, stability, tuple(holdout), float("nan"))


def test_the_largest_stable_rank_within_one_standard_error_is_chosen():
    rows = [row(2, [0.9, 1.0]), row(3, [0.50, 0.54]), row(4, [0.51, 0.55]), row(5, [0.57, 0.58]),
            row(6, [0.4, 0.41], stability=0.5)]  # fmt: skip
    assert choose_rank(rows) == Choice(4, stable=True)
    assert choose_rank(rows[::-1]) == Choice(4, stable=True)


def test_equal_errors_go_to_the_smaller_rank_and_unstable_ones_to_the_most_stable():
    assert choose_rank([row(2, [0.5, 0.6]), row(3, [0.5, 0.6])]) == Choice(2, stable=True)
    unstable = [row(2, [0.5], stability=0.6), row(3, [0.4], stability=0.8),
                row(4, [0.3], stability=0.8), row(5, [0.1], stability=float("nan"))]  # fmt: skip
    assert choose_rank(unstable) == Choice(3, stable=False)
    with pytest.raises(ValueError, match="no ranks"):
        choose_rank([])


@pytest.mark.parametrize("missing", [False, True])
def test_the_core_is_superdiagonal_at_the_right_rank_and_not_above(rng, missing):
    presence = torch.from_numpy(rng.random((12, 5)) < 0.8)
    presence[:3] = True
    parts: dict[str, Any] = {"presence": presence} if missing else {}
    tensor = tensor_of(planted(rng, noise=0.02), **parts)
    settings = Settings(max_iter=40)
    right, above = (
        fit(tensor, rank=r, seed=0, restarts=SMALL, settings=settings).best.end for r in (3, 5)
    )
    assert core_consistency(tensor, right) > 95
    assert core_consistency(tensor, above) < 85
    alone = tensor_of(planted(rng, animals=1))
    made = fit(alone, rank=2, seed=0, restarts=SMALL, settings=settings).best.end
    assert np.isnan(core_consistency(alone, made))


def test_p_values_count_the_null_and_the_observation():
    null = np.array([1.0, 2.0, 3.0, 4.0])
    np.testing.assert_allclose(component_p(np.array([5, 3, 0.5]), null), [0.2, 0.6, 1.0])


def test_planted_components_exceed_the_null_and_draws_are_reproducible(rng):
    drive = planted(rng, noise=0.05)
    once = Restarts(starts=1, singular=False, keep=1, screen=15)
    few: dict[str, Any] = {"rank": 2, "restarts": once, "settings": Settings(max_iter=15)}

    def draw(generator):
        moved = drive.numpy().copy()
        for i in range(moved.shape[0]):
            for s in range(moved.shape[1]):
                moved[i, s] = np.roll(moved[i, s], generator.integers(10, 51))
        return tensor_of(torch.from_numpy(moved))

    null = np.array([null_weight(draw, index=i, seed=0, **few) for i in range(5)])
    assert null[3] == null_weight(draw, index=3, seed=0, **few)
    assert len(set(null)) == 5
    found = fit(tensor_of(drive), seed=0, **few).best.factors.weights
    np.testing.assert_allclose(component_p(found[:1], null), 1 / 6)


def epochs(bins=200):
    inside = np.zeros((2, bins), bool)
    inside[0, 20:40] = inside[0, 120:140] = True
    inside[1, 60:80] = True
    return inside


def test_a_component_is_locked_to_its_own_epochs(rng):
    inside = epochs()
    times = np.stack([inside[0] + 0.3 * rng.random(200), rng.random(200)]).astype(np.float32)
    made = epoch_locking(times, inside, seed=0)
    assert made.p[0, 0] < 0.01
    assert made.q[0, 0] < 0.04
    assert made.p[0, 1] > 0.5
    assert made.auc[0, 0] == 1
    assert made.p[1].min() > 0.01
    expected = times[0, inside[0]].mean() - times[0, ~inside[0]].mean()
    assert made.difference[0, 0] == pytest.approx(expected, rel=1e-6)
    again = epoch_locking(times, inside, seed=0)
    np.testing.assert_array_equal(made.p, again.p)


def test_shifts_of_epoch_locking_are_circular_and_stay_in_their_recording():
    times = np.zeros((1, 60))
    times[0, 5] = 1
    inside = np.zeros((1, 60), bool)
    inside[0, 5] = True
    whole = epoch_locking(times, inside, seed=0, shifts=3000)
    assert whole.p[0, 0] == 1 / 3001
    both = np.zeros((1, 60))
    both[0, :30], inside[0, :30] = 1, True
    parted = epoch_locking(both, inside, seed=0, blocks=[slice(0, 30), slice(30, 60)])
    assert parted.p[0, 0] == 1
    assert epoch_locking(both, inside, seed=0).p[0, 0] < 0.2
    with pytest.raises(ValueError, match="cover every bin"):
        epoch_locking(both, inside, seed=0, blocks=[slice(0, 30)])


def test_labels_that_cannot_be_tested_are_left_out(rng):
    inside = np.zeros((3, 50), bool)
    inside[1] = True
    inside[2, :10] = True
    made = epoch_locking(rng.random((2, 50)), inside, seed=0)
    assert np.isnan(made.p[:, :2]).all()
    assert np.isfinite(made.q[:, 2]).all()


def test_false_discovery_rate_is_that_of_benjamini_and_hochberg():
    p = np.array([[0.01, 0.04], [0.03, np.nan]])
    np.testing.assert_allclose(benjamini_hochberg(p), [[0.03, 0.04], [0.04, np.nan]])


def test_area_under_the_curve_counts_ties_by_half():
    assert area_under_curve(np.array([3, 2, 1, 0]), np.array([1, 1, 0, 0], bool)) == 1
    assert area_under_curve(np.ones(4), np.array([1, 1, 0, 0], bool)) == 0.5


def test_the_participation_ratio_runs_from_one_animal_to_all():
    made = participation_ratio(np.array([[1, 1, 1, 1], [0, 2, 0, 0], [1, 1, 0, 0.0]]))
    np.testing.assert_allclose(made, [1, 0.25, 0.5])

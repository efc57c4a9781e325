"""How BrainMAE and its rivals fill in hidden regions: every number beside a loop."""

from itertools import combinations

import numpy as np
import pytest
import torch

from rheobase.models import base
from rheobase.models.brainmae import learn, reconstruct
from rheobase.models.brainmae.segments import runs
from test_brainmae_values import REGIONS, SMALL, person, scored, standard

SAMPLES, TRAINED = 3, 12


@pytest.fixture(scope="module")
def filled_in():
    """Return a fit without a label, its test part, its scores and its training part."""
    rng = np.random.default_rng(1)
    made = [person(rng, i, rng.normal()) for i in range(TRAINED + 6)]
    model = base.build("brainmae", params={**SMALL, "label": False})
    fit = model.fit(made[:TRAINED], seed=0, device="cpu")
    return model, fit, made[TRAINED:], scored(model, fit, made[TRAINED:]), made[:TRAINED]


def parts(recordings):
    """Return signals of whole segments, (time, region), by their own mean and deviation."""
    return [standard(one)[: len(one.signal) // SAMPLES * SAMPLES] for one in recordings]


def covariance_of(recordings):
    """Return the covariance of frames that have one before and one after."""
    inside = np.concatenate([standard(one)[1:-1] for one in recordings])
    return inside.T @ inside / len(inside)


def filled(x, hidden, weights):
    """Return a signal whose hidden regions are made of its visible ones, frame by frame."""
    made = x.copy()
    for segment, away in enumerate(hidden):
        for t in range(segment * SAMPLES, (segment + 1) * SAMPLES):
            made[t, away] = weights(~away, away) @ x[t, ~away]
    return made


def of_network(model, fit, x, hidden):
    """Return what the network makes of a run that it reads in two windows of 13 segments."""
    network, made = learn.network_of(model, fit), []
    for first in (0, 13):
        part = x[first * SAMPLES : (first + 13) * SAMPLES].reshape(13, SAMPLES, REGIONS)
        shown = torch.from_numpy(part.transpose(0, 2, 1)[None].astype(np.float32))
        away = torch.from_numpy(hidden[first : first + 13])[None, ..., None]
        middle = (torch.arange(13) + 0.5)[None] * 15.0
        with torch.no_grad():
            made.append(network(shown, away, middle)[0].permute(0, 2, 1).reshape(-1, REGIONS))
    return torch.cat(made).numpy()


def straight(x, hidden):
    away, made = np.repeat(hidden, SAMPLES, axis=0), np.zeros_like(x)
    for i in range(REGIONS):
        seen = np.flatnonzero(~away[:, i])
        if len(seen):
            made[:, i] = np.interp(np.arange(len(x)), seen, x[seen, i])
    return made


def fills(model, fit, train, penalty):
    covariance = covariance_of(train)
    count = min(10, len(covariance) // 2)
    axes = np.linalg.eigh(covariance)[1][:, -count:]

    def given(noise):
        def weights(seen, away):
            inside = covariance[np.ix_(seen, seen)] + noise * np.eye(seen.sum())
            return covariance[np.ix_(away, seen)] @ np.linalg.inv(inside)

        return lambda x, hidden: filled(x, hidden, weights)

    def principal(seen, away):
        inside = axes[seen].T @ axes[seen] + 0.1 * np.eye(count)
        return axes[away] @ np.linalg.inv(inside) @ axes[seen].T

    return {
        "brainmae": lambda x, hidden: of_network(model, fit, x, hidden),
        "mean": lambda x, hidden: np.zeros_like(x),
        "linear_interpolation": straight,
        "pca": lambda x, hidden: filled(x, hidden, principal),
        "conditional_gaussian": given(0.01),
        "ridge": given(penalty),
    }


def hidden_in(test, share):
    """Return what is hidden in each run and which entries that are."""
    stretches, _ = runs(test, SAMPLES)
    hidden = reconstruct.hidden_sets(stretches, SAMPLES, share)
    assert all(np.all(one.sum(axis=1) == max(1, int(share * REGIONS + 0.5))) for one in hidden)
    return hidden


@pytest.mark.parametrize("percent", [15, 25, 50, 75])
def test_hidden_regions_are_scored_as_a_loop_scores_them(filled_in, percent):
    model, fit, test, found, train = filled_in
    hidden, score = hidden_in(test, percent / 100), found[f"masked_r2_{percent}"]
    told = {"brainmae": score.value, **score.rivals}
    for name, fill in fills(model, fit, train, float(fit.arrays["rival/ridge_penalty"])).items():
        error, power = 0.0, 0.0
        for x, away in zip(parts(test), hidden, strict=True):
            missed, entries = (fill(x, away) - x) ** 2, np.repeat(away, SAMPLES, axis=0)
            error, power = error + missed[entries].sum(), power + (x[entries] ** 2).sum()
        assert told.pop(name) == pytest.approx(1 - error / power, abs=2e-4), name
    assert list(told) == ["conditional_gaussian_3"]
    assert told["conditional_gaussian_3"] == pytest.approx(score.rivals["conditional_gaussian"],
                                                           abs=0.05)  # fmt: skip


def moments(signals, counted, order):
    """Return the standardised mean product of every set of regions where all of it is counted."""
    made = []
    for chosen in combinations(range(REGIONS), order):
        one = list(chosen)
        x = np.concatenate([s[c[:, one].all(axis=1)][:, one]
                            for s, c in zip(signals, counted, strict=True)])  # fmt: skip
        known = len(x) > 0
        made.append(
            x.prod(axis=1).mean() / np.sqrt((x**2).mean(axis=0).prod()) if known else np.nan
        )
    return np.array(made)


@pytest.mark.parametrize(("order", "name"), [(2, "connectivity"), (3, "third_order")])
def test_moments_of_what_is_filled_in_are_scored_as_a_loop_scores_them(filled_in, order, name):
    model, fit, test, found, train = filled_in
    score, hidden = found[f"hidden_{name}_r"], hidden_in(test, 0.5)
    told = {"brainmae": score.value, **score.rivals}
    everywhere = [np.ones((80, REGIONS), bool)] * TRAINED
    signals = [standard(one) for one in train]
    alone = [moments([x], [c], order) for x, c in zip(signals, everywhere, strict=True)]
    average = np.mean(alone, axis=0) if order == 2 else moments(signals, everywhere, order)
    ways = fills(model, fit, train, float(fit.arrays["rival/ridge_penalty"]))
    kept: dict[str, list[float]] = {key: [] for key in told}
    for x, away in zip(parts(test), hidden, strict=True):
        entries = [np.repeat(away, SAMPLES, axis=0)]
        truth = moments([x], entries, order)
        known = np.isfinite(truth)
        for key, values in kept.items():
            made = [] if key == "training_average" else [ways[key](x, away)]
            guess = moments(made, entries, order) if made else average
            values.append(float(np.corrcoef(truth[known], guess[known])[0, 1]))
    assert set(told) == {"brainmae", "pca", "conditional_gaussian", "ridge", "training_average"}
    for key, values in kept.items():
        assert told[key] == pytest.approx(np.mean(values), abs=2e-3), key

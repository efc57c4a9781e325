"""What BrainMAE must show where the truth is planted, and on resting people it has not seen."""

import functools

import numpy as np
import pytest

from rheobase import metrics
from rheobase.io.synthetic.fmri import simulate
from rheobase.models import base
from rheobase.models.brainmae import interpret
from rheobase.recording import Recording

pytestmark = pytest.mark.slow
FAMILY = "brainmae"
SEEDS = (0, 1, 2)
TRAINED = 36
TINY = {"label": False, "held_share": 0.0, "crop_s": 120}


def recordings(series, communities, **more):
    """Return a recording a run; ``series`` (run, time, region)."""
    network = np.array([f"community{k}" for k in communities])
    return [
        Recording.build(
            x.astype(np.float32), name=f"sub-{i:02d}", modality="fmri", sampling_rate_hz=1.0,
            entities={"subject": f"{i:02d}"}, unit_labels={"network": network}, **more,
        )
        for i, x in enumerate(series)
    ]  # fmt: skip


@functools.cache
def simulated(seed):
    return simulate(seed=seed, runs=48, regions=48, communities=6, samples=240, tr_s=1.0)


@functools.cache
def learnt(seed, **changes):
    """Return model, fit, training and test recordings of the generator's ``static`` runs."""
    made = simulated(seed)
    everyone = recordings(made.series, made.communities)
    model = base.build("brainmae", preset="tiny", params={**TINY, **changes})
    fitted = model.fit(everyone[:TRAINED], seed=seed, device="cpu")
    return model, fitted, everyone[TRAINED:]


def r2(model, fitted, test):
    """Return the three reconstruction scores by hidden share."""
    wanted = [f"masked_r2_{share}" for share in (25, 50, 75)]
    return {s.name: s for s in model.evaluate(fitted, test) if s.name in wanted}


@pytest.mark.parametrize("seed", SEEDS)
def test_hidden_regions_are_filled_in_better_than_by_a_gaussian(seed, criterion):
    scores = r2(*learnt(seed))
    found = [scores[f"masked_r2_{share}"].value for share in (25, 50, 75)]
    gaussian = scores["masked_r2_50"].rivals["conditional_gaussian"]
    ok = all(v >= limit for v, limit in zip(found, (0.22, 0.19, 0.14), strict=True))
    measured = [*np.round(found, 3).tolist(), round(gaussian, 3)]
    criterion(f"A10-{seed}", "R2 at 25, 50, 75 % hidden; Gaussian at 50 %",
              "0.22, 0.19, 0.14, the Gaussian", measured, ok and found[1] >= gaussian)  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_a_line_in_time_fills_in_nothing(seed, criterion):
    scores = r2(*learnt(seed))
    lines = [s.rivals["linear_interpolation"] for s in scores.values()]
    gaps = [s.value - s.rivals["linear_interpolation"] for s in scores.values()]
    measured = [round(max(lines), 3), round(min(gaps), 3)]
    criterion(f"A11-{seed}", "largest R2 of linear interpolation, least advantage over it",
              "below 0, at least 0.5", measured, max(lines) < 0 and min(gaps) >= 0.5)  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_embeddings_know_connectivity_and_communities(seed, criterion):
    _, fitted, _ = learnt(seed)
    found = interpret.summary(fitted.arrays)
    ratio = found["own_network_share"] / found["own_network_chance"]
    measured = [round(found["embedding_connectivity"], 3), round(found["network_rand"], 3),
                round(ratio, 2)]  # fmt: skip
    ok = measured[0] >= 0.5 and measured[1] >= 0.9 and ratio >= 2
    criterion(f"A12-{seed}", "embeddings against connectivity (rho), against communities (Rand), "
              "attention inside / chance", "0.5, 0.9, 2", measured, ok)  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_shuffled_regions_teach_nothing(seed, criterion):
    made, rng = simulated(seed), np.random.default_rng(seed)
    mixed = np.stack([x[:, rng.permutation(x.shape[1])] for x in made.series])
    everyone = recordings(mixed, made.communities)
    model = base.build("brainmae", preset="tiny", params=TINY)
    fitted = model.fit(everyone[:TRAINED], seed=seed, device="cpu")
    true = np.mean([metrics.correlation(x) for x in made.series[:TRAINED]], axis=0)
    rho = interpret.with_connectivity(fitted.arrays["similarity"].values, true, seed=seed).value
    value = r2(model, fitted, everyone[TRAINED:])["masked_r2_50"].value
    criterion(f"A13-{seed}", "regions shuffled in each run: rho with true connectivity, R2",
              "within 0.1 of 0, below 0.05", [round(rho, 3), round(value, 3)],
              abs(rho) <= 0.1 and value < 0.05)  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_white_noise_cannot_be_filled_in(seed, criterion):
    noise = np.random.default_rng(seed).normal(size=(48, 240, 48))
    everyone = recordings(noise, simulated(seed).communities)
    model = base.build("brainmae", preset="tiny", params=TINY)
    fitted = model.fit(everyone[:TRAINED], seed=seed, device="cpu")
    value = r2(model, fitted, everyone[TRAINED:])["masked_r2_50"].value
    criterion(f"A14-{seed}", "R2 on white noise", "-0.05 to 0.02", round(value, 4),
              -0.05 <= value <= 0.02)  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_left_out_is_missed(seed, criterion):
    whole = r2(*learnt(seed))["masked_r2_50"].value
    changes = {"embedding": "fixed_position"}, {"pretrain": "plain_autoencoder"}
    without = [r2(*learnt(seed, **change))["masked_r2_50"].value for change in changes]
    measured = np.round([whole, *without], 3).tolist()
    criterion(f"A15-{seed}", "R2 with learned embeddings and masking; fixed positions; no masking",
              "both lower", measured, max(without) < whole)  # fmt: skip

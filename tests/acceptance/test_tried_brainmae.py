"""What was tried to let BrainMAE fill in more of resting people, in half of the example's steps.

``FAMILY=tried_brainmae make accept``; about 20 minutes of one core each, twice the example's
steps 80.
"""

from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

from rheobase.models import base
from rheobase.models.brainmae.learn import LITTLE
from rheobase.recording import Recording

pytestmark = pytest.mark.slow
FAMILY = "tried_brainmae"
REST = run_path(str(Path(__file__).with_name("test_brainmae_rest.py")))
HALF = {**REST["FILLING"], "steps": 600}
SHARES = (25, 50, 75)
TRIED = {
    "half of the steps": {},
    "segments of 15 s": {"segment_s": 15, "crop_s": 80},
    "segments twice as wide": {"segment_width": 256},
    "regions hidden one by one": {"mask": "random_token"},
    "20 to 80 % hidden": {"mask_ratio": (0.2, 0.8)},
    "20 to 80 % hidden, all of the steps": {"mask_ratio": (0.2, 0.8), "steps": 1200},
    "twice the rate": {"learning_rate": 6e-3},
    "ten times the decay": {"weight_decay": 0.5},
    "twice the example's steps": {"steps": 2400},
}
BACKWARDS = "every run backwards too"

FACTORS = (16, 32, 64, 128, 256)
DAMPING = (1, 3, 10)


def test_few_factors_tell_as_much_as_all_of_the_covariance(shared_data, criterion):
    """How much there is to be had: a Gaussian of few factors, damped best on the tested scans."""
    train, unseen = (np.concatenate([REST["segments"](one, 1) for one in some])
                     for some in REST["apart"](REST["shared"](shared_data)))  # fmt: skip
    size, axes = np.linalg.eigh(train.T @ train / len(train))
    measured = {}
    for count in FACTORS:
        loads = axes[:, -count:] * np.sqrt(size[-count:])
        own = np.maximum(1 - (loads**2).sum(axis=1), 1e-3)
        found = [[filled(loads @ loads.T + np.diag(own), own * (more - 1), unseen, share / 100)
                  for share in SHARES] for more in DAMPING]  # fmt: skip
        measured[count] = np.round(np.max(found, axis=0).astype(float), 3).tolist()
    criterion("factors", "R2 at 25, 50, 75 % hidden of Gaussians of so many factors, damped best",
              "64 factors above 16", measured,
              all(np.greater(measured[64], measured[16])))  # fmt: skip


def filled(covariance, damping, frames, share, draws=4):
    """Return R2 of hidden regions given the others, in draws of which are hidden."""
    rng, left, power = np.random.default_rng(1), 0.0, 0.0
    for _ in range(draws):
        hidden = rng.permutation(len(covariance)) < share * len(covariance)
        seen = ~hidden
        inside = covariance[np.ix_(seen, seen)] + np.diag(damping[seen] + 0.01)
        made = frames[:, seen] @ np.linalg.solve(inside, covariance[np.ix_(seen, hidden)])
        left += ((frames[:, hidden] - made) ** 2).sum()
        power += (frames[:, hidden] ** 2).sum()
    return 1 - left / power


def backwards(one):
    return Recording.build(
        one.signal[::-1].copy(), name=f"{one.name}-backwards", modality="fmri",
        sampling_rate_hz=one.rate, entities=one.entities,
    )  # fmt: skip


@pytest.mark.parametrize("what", [*TRIED, BACKWARDS])
def test_tried_settings_fill_in_more_than_components(what, shared_data, criterion):
    train, unseen = REST["apart"](REST["shared"](shared_data))
    if what == BACKWARDS:
        train = [*train, *map(backwards, train)]
    model = base.build("brainmae", preset="small", params={**HALF, **TRIED.get(what, {})})
    fitted = model.fit(train, seed=0, device="cpu")
    found = {s.name: s for s in model.evaluate(fitted, unseen)}
    both = [(found[f"masked_r2_{s}"].value, found[f"masked_r2_{s}"].rivals["pca"]) for s in SHARES]
    criterion(what, "R2 at 25, 50, 75 % hidden, seed 0, people not trained on",
              "above that of 10 components", [round(value, 3) for value, _ in both],
              all(value > pca for value, pca in both))  # fmt: skip


@pytest.mark.parametrize("rate", [3e-3, 6e-3])
def test_a_fit_that_never_starts_is_said_to_have_learnt_little(rate, shared_data, criterion):
    """The people of A22 at its rate and at twice that, seed 0."""
    fitted, found, _ = REST["again"](REST["shared"](shared_data), 0, learning_rate=rate)
    filled_in = found["masked_r2_50"].value
    said = any(LITTLE in notice for notice in fitted.notices)
    measured = [round(filled_in, 3), said, round(found["identification_accuracy"].value, 3),
                round(found["identification_gradient_accuracy"].value, 3)]  # fmt: skip
    criterion(f"people, rate {rate:g}", "R2 at 50 % hidden; said to have learnt little; people "
              "found by what is left; by the gradient", "said where R2 is below 0.1", measured,
              said == (filled_in < 0.1))  # fmt: skip

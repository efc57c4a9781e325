"""What BrainMAE must show on resting people that it has not seen (52 scans of 35 people)."""

import csv
import functools

import numpy as np
import pytest

from rheobase.models import base
from rheobase.models.brainmae import interpret
from rheobase.models.brainmae.stability import agreement
from rheobase.recording import Recording

pytestmark = pytest.mark.slow
FAMILY = "brainmae"
TESTED_SCANS = 12
VOLUMES = 60
SEEDS = (0, 1, 2)
WIDE = {"segment_width": 128, "pool": "embedding", "embedding_start": "covariance",
        "learning_rate": 3e-3, "held_share": 0.0, "label": False}  # fmt: skip
FILLING = {**WIDE, "segment_s": 4, "crop_s": 40, "steps": 1200}
PEOPLE = {**WIDE, "crop_s": 80, "steps": 400}


@functools.cache
def scans(folder):
    """Return every scan, region by region standardised by the family itself."""
    with (folder / "regions.tsv").open() as file:
        network = np.array([row["network"] for row in csv.DictReader(file, delimiter="\t")])
    made = []
    for path in sorted(folder.glob("sub-*.npy")):
        subject, session = (part.split("-")[1] for part in path.stem.split("_"))
        made.append(
            Recording.build(
                np.load(path).T, name=path.stem, modality="fmri", sampling_rate_hz=0.5,
                entities={"subject": subject, "session": session},
                unit_labels={"network": network},
            )
        )  # fmt: skip
    return made


def shared(shared_data):
    folder = shared_data / "stages_rest"
    if not folder.is_dir():
        pytest.skip("stages_rest is not among the shared data")
    return scans(folder)


def cut(recording, volumes):
    return Recording.build(
        recording.signal[:volumes], name=recording.name, modality="fmri", sampling_rate_hz=0.5,
        entities=recording.entities,
    )  # fmt: skip


def apart(everyone):
    """Return the scans of people to train on and those of others, 12 at most, whole people."""
    people = sorted({r.subject for r in everyone})
    np.random.default_rng(0).shuffle(people)
    test, count = [], 0
    for person in people:
        own = sum(r.subject == person for r in everyone)
        if count + own <= TESTED_SCANS:
            test.append(person)
            count += own
    return ([r for r in everyone if r.subject not in test],
            [r for r in everyone if r.subject in test])  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_hidden_regions_of_new_people_are_filled_in_better_than_by_components(
    seed, shared_data, criterion
):
    train, unseen = apart(shared(shared_data))
    model = base.build("brainmae", preset="small", params=FILLING)
    fitted = model.fit(train, seed=seed, device="cpu")
    wanted = [f"masked_r2_{share}" for share in (15, 25, 50, 75)]
    found = {s.name: s for s in model.evaluate(fitted, unseen) if s.name in wanted}
    measured: dict[str, object] = {
        name: {"brainmae": round(s.value, 3), **{k: round(v, 3) for k, v in s.rivals.items()}}
        for name, s in found.items()
    }
    seen = {s.name: s for s in model.evaluate(fitted, train[:TESTED_SCANS])}
    measured["on people trained on"] = {
        name: {
            "brainmae": round(seen[name].value, 3),
            "ridge": round(seen[name].rivals["ridge"], 3),
        }
        for name in wanted
    }
    if seed == SEEDS[0]:
        measured["segments of 2 and 8 volumes by as many components"] = [
            round(by_components(train, unseen, samples), 3) for samples in (2, 8)
        ]
    criterion(f"A21-{seed}", "R2 on hidden regions of 12 scans of people not trained on",
              "above that of 10 components at 15, 25, 50 and 75 %", measured,
              all(s.value > s.rivals["pca"] for s in found.values()))  # fmt: skip


def test_regions_of_a_network_come_to_lie_together_in_people_at_rest(shared_data, criterion):
    """Embeddings that begin at random, two seeds; the null exchanges networks of regions."""
    train, _ = apart(shared(shared_data))
    model = base.build("brainmae", preset="tiny", params={
        "segment_s": 4, "crop_s": 40, "label": False, "held_share": 0.0,
    })  # fmt: skip
    fits = [model.fit(train, seed=seed, device="cpu").arrays for seed in (0, 1)]
    measured, ok = {}, True
    for seed, arrays in enumerate(fits):
        found = interpret.summary(arrays)
        ok &= found["network_rand_p"] < 0.05 and found["network_silhouette_p"] < 0.05
        measured[f"seed {seed}"] = {name: round(value, 3) for name, value in found.items()}
    for name in ("similarity", "attention", "connectivity"):
        measured[f"{name}, one seed against the other"] = round(
            agreement(*(arrays[name].values.astype(float) for arrays in fits)), 2
        )
    criterion("A23", "embeddings and attention against connectivity and the atlas's networks",
              "clusters and silhouette of networks p < 0.05", measured, ok, seeds=2)  # fmt: skip


def by_components(train, test, samples, count=WIDE["segment_width"]):
    """Return R2 of whole segments of which as many principal components are kept as numbers."""
    parts = [np.concatenate([segments(r, samples) for r in some]) for some in (train, test)]
    axes = np.linalg.svd(parts[0], full_matrices=False)[2][:count]
    left = parts[1] - parts[1] @ axes.T @ axes
    return 1 - float(np.sum(left**2) / np.sum(parts[1] ** 2))


def segments(recording, samples):
    signal = recording.signal
    signal = (signal - signal.mean(axis=0)) / signal.std(axis=0)
    return signal[: len(signal) // samples * samples].reshape(-1, samples * signal.shape[1])


def again(everyone, seed, **more):
    """Return a fit on people with one session, scores on the others' short scans, and these."""
    sessions = {}
    for one in everyone:
        sessions.setdefault(one.subject, []).append(one)
    train = [s[0] for s in sessions.values() if len(s) == 1]
    test = [cut(one, VOLUMES) for s in sessions.values() if len(s) == 2 for one in s]
    model = base.build("brainmae", preset="small", params={**PEOPLE, **more})
    fitted = model.fit(train, seed=seed, device="cpu")
    return fitted, {s.name: s for s in model.evaluate(fitted, test)}, test


@pytest.mark.parametrize("seed", SEEDS)
def test_people_are_found_again_in_their_other_session(seed, shared_data, criterion):
    _, found, test = again(shared(shared_data), seed)
    ways = [found[f"identification_{way}accuracy"] for way in ("", "gradient_", "vectors_")]
    measured = {
        one.title: {"brainmae": round(one.value, 3),
                    **{k: round(v, 3) for k, v in one.rivals.items()}}
        for one in ways
    }  # fmt: skip
    limit = "by what is left and by the gradient of the embeddings 0.77 and connectivity"
    criterion(f"A22-{seed}", f"people found again by {VOLUMES} volumes of another session, "
              f"{len(test) // 2} people", f"{limit} (by the encoder: told, no limit)", measured,
              all(one.value >= max(0.77, one.rivals["connectivity"])
                  for one in ways[:2]))  # fmt: skip

"""States of recordings: planted ones are found, real ones replicate above copies without states."""

import functools

import numpy as np
import pytest
import torch

from rheobase.models import base
from rheobase.models.hmm_rnn import agreement, surrogates
from rheobase.models.hmm_rnn.batch import Chain
from rheobase.models.hmm_rnn.decoder import Decoder
from rheobase.models.hmm_rnn.emissions import Gaussian
from rheobase.models.hmm_rnn.score import agreement as rand
from rheobase.preprocess import filters
from rheobase.preprocess.views import view
from rheobase.recording import Recording

pytestmark = pytest.mark.slow
FAMILY = "hmm_rnn"
SEEDS = (0, 1, 2)
PEOPLE, SAMPLES = 6, 500
SEARCH = {"grid": [2, 3, 4, 5, 6], "folds": 3, "restarts": 3, "surrogates": 1, "rate_samples": 0,
          "components": 10}  # fmt: skip
PERSONS = ("10000", "12345", "21547", "26082", "41924", "45612", "54321", "77777", "78945", "99999")


def sticky(states, stay):
    A = np.full((states, states), (1 - stay) / (states - 1))
    np.fill_diagonal(A, stay)
    return A


def gaussians(modality, rng):
    """Return means and covariances of planted states, their stays in samples, and the rate."""
    if modality == "fmri":
        roots = np.eye(10) + 0.5 * rng.normal(size=(4, 10, 10))
        return np.zeros((4, 10)), roots @ roots.transpose(0, 2, 1), 15, 0.5
    if modality == "calcium":
        return rng.normal(size=(4, 12)), np.stack([np.eye(12)] * 4), 20, 2.0
    level = 1.2 + 1.2 * (rng.random((4, 6)) < 0.4) + 0.1 * rng.random((4, 6))
    return level, np.stack([0.08 * np.eye(6)] * 4), 40, 50.0


def planted(modality, seed):
    """Return recordings of a chain of four states, and what the chain itself decodes.

    EMG is the square of what the states emit, as an envelope is; levels lie four deviations or
    more above 0, so that no root is folded.
    """
    rng = np.random.default_rng([seed, 5])
    means, covs, dwell, rate = gaussians(modality, rng)
    A, pi = sticky(4, 1 - 1 / dwell), np.full(4, 0.25)
    chain = Chain(torch.as_tensor(pi)[None], torch.as_tensor(A)[None],
                  {"means": torch.as_tensor(means)[None],
                   "covs": torch.as_tensor(covs)[None]})  # fmt: skip
    truth = Decoder(emission=Gaussian(means.shape[1], "full", 0.0, torch.ones(means.shape[1])),
                    chain=chain)  # fmt: skip
    made, decoded = [], []
    steps = [{"step": "envelope"}] if modality == "emg" else ()
    for number in range(PEOPLE):
        path = np.zeros(SAMPLES, int)
        path[0] = rng.integers(4)
        for t in range(1, SAMPLES):
            path[t] = rng.choice(4, p=A[path[t - 1]])
        x = np.stack([rng.multivariate_normal(means[k], covs[k]) for k in path])
        signal = np.abs(x) ** 2 if modality == "emg" else x
        made.append(Recording.build(
            signal, name=f"sub-{number}", modality=modality, sampling_rate_hz=rate, units="uV",
            entities={"subject": str(number)}, times={"truth": np.array(list("abcd"))[path]},
            label={"name": "truth", "kind": "class"}, steps=steps,
        ))  # fmt: skip
        decoded.append(rand([path, truth.viterbi(x)]))
    return made, decoded[-1]


@pytest.mark.parametrize("modality", ["fmri", "calcium", "emg"])
def test_planted_states_are_found_in_people_not_learnt_from(modality, criterion):
    chosen, found, best, beside = [], [], [], []
    for seed in SEEDS:
        recordings, oracle = planted(modality, seed)
        model = base.build("hmm_rnn", params={**SEARCH, "trim_s": 0.0})
        fit = model.fit(recordings[:-1], seed=seed)
        scores = {s.name: s for s in model.evaluate(fit, recordings[-1:])}
        chosen.append(int(fit.metrics["states"]))
        found.append(round(scores["label_rand"].value, 3))
        beside.append(round(max(scores["label_rand"].rivals.values()), 3))
        best.append(round(oracle, 3))
    close = [one >= 0.95 * limit for one, limit in zip(found, best, strict=True)]
    criterion(
        f"S-{modality}", f"{modality}: states chosen, four planted; adjusted Rand index in one "
        f"not learnt from (planted chain itself: {best}; best of k-means and mixture: {beside})",
        "4 and 0.95 of the chain's own, two of three seeds", [chosen, found],
        sum(k == 4 and ok for k, ok in zip(chosen, close, strict=True)) >= 2, seeds=3,
    )  # fmt: skip


@functools.cache
def scans(folder):
    where = folder / "stages_rest"
    if not where.is_dir():
        pytest.skip("stages_rest is not among the shared data")
    made = []
    for path in sorted(where.glob("sub-*.npy")):
        subject, session = (part.partition("-")[2] for part in path.stem.split("_"))
        made.append(Recording.build(
            np.load(path).T, name=path.stem, modality="fmri", sampling_rate_hz=0.5,
            entities={"subject": subject, "session": session},
        ))  # fmt: skip
    return [own_scale(r) for r in made]


def own_scale(recording):
    """Return a recording standardised by itself, as ``standardise: zscore`` does."""
    x = recording.signal
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    return recording.with_signal(z, unit_names=recording.unit_names, step={"step": "z-score"})


REST = {"grid": [2, 3, 4, 6], "folds": 3, "restarts": 3, "components": 10, "rate_samples": 0}


def test_states_of_resting_people_replicate_between_halves(shared_data, criterion):
    everyone = scans(shared_data)
    people = sorted({r.subject for r in everyone})
    rows, passed = [], []
    for fold in range(2):
        test = [r for r in everyone if r.subject in people[fold::2]]
        train = [r for r in everyone if r.subject not in people[fold::2]]
        model = base.build("hmm_rnn", params={**REST, "surrogates": 20})
        fit = model.fit(train, seed=0)
        scores = {s.name: s for s in model.evaluate(fit, test)}
        alike, gain = scores["replication_rand"], scores["gain_over_single"]
        held = scores["heldout_loglik"]
        rows.append(
            f"{int(fit.metrics['states'])} states; agree {alike.value:.3f} (k-means "
            f"{alike.rivals['kmeans']:.3f}, copies {alike.chance:.3f}, p {alike.p_value:.3f}); "
            f"gain {gain.value:.3f} nats (mixture {gain.rivals['gaussian_mixture']:.3f}, copies "
            f"{gain.chance:.3f}, p {gain.p_value:.3f}); held out {held.value:.2f} (VAR "
            f"{held.rivals['var']:.2f})"
        )
        passed.append(alike.p_value < 0.05 and gain.p_value < 0.05)
    criterion("S-rest-halves", "resting people: models of two halves agree on others, and states "
              "add to one state, more than in phase-randomised copies", "p < 0.05 in both folds",
              rows, all(passed), seeds=1)  # fmt: skip


def test_states_of_resting_people_replicate_between_sessions(shared_data, criterion):
    """Session 1 and 2 of the same people, three months apart, each fitted by itself."""
    everyone = scans(shared_data)
    both = {r.subject for r in everyone if r.entities["session"] == "2"}
    sides = [[r for r in everyone if r.entities["session"] == s and r.subject in both]
             for s in "12"]  # fmt: skip
    params = {**REST, "states": 2, "surrogates": 0, "restarts": 2, "folds": 2}

    def alike(parts):
        fits = [base.build("hmm_rnn", params=params).fit(part, seed=0) for part in parts]
        placed = [base.Placed("d", n, 0, fit) for n, fit in enumerate(fits)]
        found = agreement.alike(*placed)
        assert found is not None
        return found

    value = alike(sides)
    drawn = [alike([[copied(r, draw) for r in side] for side in sides]) for draw in range(10)]
    criterion(
        "S-rest-sessions", "resting people: correlation of what sets two matched states apart, "
        f"session 1 and 2 of {len(both)} people fitted apart (phase-randomised copies: "
        f"{min(drawn):.2f} to {max(drawn):.2f})", "above all 10 copies", round(value, 3),
        value > max(drawn), seeds=1,
    )  # fmt: skip


def copied(recording, draw):
    rng = np.random.default_rng([draw, int(recording.entities["session"])])
    made = surrogates.randomised(recording.signal.astype(float), [len(recording.valid)], rng)
    return recording.with_signal(made, unit_names=recording.unit_names, step={"step": "copy"})


@functools.cache
def envelopes(folder, person):
    where = folder / "myo_gestures"
    if not where.is_dir():
        pytest.skip("myo_gestures is not among the shared data")
    made = []
    for session in "123":
        with np.load(where / f"{person}-{session}.npz") as file:
            signal, label, block = file["emg"].astype(float).T, file["label"], file["block"]
        if len(signal) != len(label):
            signal = signal.T
        one = Recording.build(
            signal, name=f"sub-{person}_ses-{session}", modality="emg", sampling_rate_hz=200.0,
            units="count", entities={"subject": person, "session": session},
            times={"gesture": label, "block": block}, label={"name": "gesture", "kind": "class"},
        )  # fmt: skip
        passed = filters.filter_pieces(
            one.signal, one.pieces(), filters.butterworth(20, 95, rate=200.0), causal=False, pad=100
        )
        whole = one.with_signal(passed, unit_names=one.unit_names, step={"step": "band-pass"})
        made.append(view(whole, "envelope", {"envelope_hz": 4, "envelope_rate_hz": 10}))
    return made


def test_states_of_a_forearm_go_with_gestures_of_another_day(shared_data, criterion):
    params = {"states": 8, "folds": 2, "restarts": 3, "surrogates": 0, "rate_samples": 0,
              "precision": "fast", "permutations": 500, "stop": {"iterations": 100}}  # fmt: skip
    rows = []
    for person in PERSONS:
        days = envelopes(shared_data, person)
        model = base.build("hmm_rnn", params=params)
        fit = model.fit(days[:2], seed=0)
        scores = {s.name: s for s in model.evaluate(fit, days[2:])}
        rows.append((scores["label_rand"], scores["heldout_loglik"]))
    values = np.array([[s.value, s.rivals["kmeans"], s.rivals["gaussian_mixture"], s.chance]
                       for s, _ in rows])  # fmt: skip
    ahead = [int((values[:, 0] > values[:, k]).sum()) for k in (1, 2)]
    told = [int(sum(s.p_value < 0.05 for s, _ in rows)),
            *(round(float(v), 3) for v in values.mean(axis=0))]  # fmt: skip
    better = sum(h.value > max(h.rivals.values()) for _, h in rows)
    criterion(
        "S-gestures", "ten forearms, day 3 from days 1 and 2: people above chance; mean adjusted "
        "Rand index of eight states and gestures, of k-means, of a mixture, by chance (states "
        f"ahead of k-means in {ahead[0]}, of the mixture in {ahead[1]} people; likelihood above "
        f"all rivals in {better})", "at least 8 people, p < 0.05", told, told[0] >= 8, seeds=1,
    )  # fmt: skip

"""People found again by BrainMAE: what they are told apart by, beside loops and other libraries."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from rheobase.models import base
from rheobase.models.brainmae import people, pretrain, represent
from rheobase.models.brainmae.pretrain import Curves
from rheobase.recording import Recording
from test_brainmae import deck, network, some_runs
from test_brainmae_values import REGIONS, SMALL, links, person, scored

PEOPLE = 8


@pytest.fixture(scope="module")
def sessions():
    """Return two sessions of people, each person with links of their own and each session too."""
    rng, made = np.random.default_rng(3), []
    own = 0.6 * rng.normal(size=(PEOPLE, REGIONS, REGIONS))
    for session in "12":
        shared = np.eye(REGIONS) + 0.4 * rng.normal(size=(REGIONS, REGIONS))
        for number in range(PEOPLE):
            one = person(rng, number, 0, length=200, session=session)
            signal = rng.normal(size=(200, REGIONS)) @ (shared + own[number])
            signal = signal.astype(np.float32)
            made.append(Recording(one.data.assign(signal=one.data["signal"].copy(data=signal))))
    return made


@pytest.fixture(scope="module")
def fit(sessions):
    model = base.build("brainmae", params={**SMALL, "label": False})
    return model, model.fit(sessions[:3], seed=0, device="cpu")


@pytest.fixture(scope="module")
def found(fit, sessions):
    return scored(fit[0], fit[1], sessions)


def again(first, second):
    """Return how often the nearest by correlation is the same person, features standardised."""
    sides = [(x - x.mean(axis=0)) / x.std(axis=0) for x in (first, second)]
    far = cdist(sides[0], sides[1], "correlation")
    return np.mean([np.mean(far.argmin(axis=axis) == np.arange(len(first))) for axis in (0, 1)])


def test_people_are_found_again_by_what_is_their_own(found, sessions):
    found = found["identification_accuracy"]
    assert found.chance == 1 / PEOPLE
    assert "8 people, between sessions" in found.note
    assert found.p_value is not None
    assert found.p_value < 0.01
    assert found.value > 0.6
    profiles = links(sessions)
    assert found.rivals["connectivity"] == pytest.approx(again(profiles[:8], profiles[8:]))


def test_a_rival_leaves_what_its_components_leave(fit, found, sessions):
    axes = fit[1].arrays["rival/components"].values
    left = []
    for one in sessions:
        x = one.signal.astype(float)
        x = ((x - x.mean(axis=0)) / x.std(axis=0))[: len(x) // 3 * 3]
        left.append(np.corrcoef((x - x @ axes @ axes.T).T)[np.triu_indices(REGIONS, 1)])
    left = np.array(left)
    rivals = found["identification_accuracy"].rivals
    assert rivals["principal_components"] == pytest.approx(again(left[:8], left[8:]))


def test_every_way_stands_beside_the_network_before_training(fit, found, sessions):
    start = people.untrained(*fit)
    pairs = [([a], [b]) for a, b in zip(sessions[:8], sessions[8:], strict=True)]
    _, decks, short = people._long_enough(3, pairs)
    assert not short
    for name, read in (("identification_accuracy", people.residuals),
                       ("identification_gradient_accuracy", people.gradients),
                       ("identification_vectors_accuracy", people.vectors)):  # fmt: skip
        wanted = again(*read(fit[0], start, decks))
        assert found[name].rivals["untrained_network"] == pytest.approx(wanted)


def test_the_start_is_what_training_began_with(fit, sessions, monkeypatch):
    seen = {}

    def untouched(network, *given, **how):
        seen.update({name: value.clone() for name, value in network.state_dict().items()})
        return Curves([1.0], [1.0], [1.0])

    monkeypatch.setattr(pretrain, "train", untouched)
    model = base.build("brainmae", params={**SMALL, "label": False,
                                           "embedding_start": "covariance"})  # fmt: skip
    made = model.fit(sessions[:3], seed=5, device="cpu")
    before = torch.get_rng_state()
    for name, value in people.untrained(model, made).state_dict().items():
        torch.testing.assert_close(value, seen[name], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(torch.get_rng_state(), before)


def test_a_short_person_is_left_out_by_name(fit, sessions):
    def cut(one):
        return one.segment(0, 15)

    some = [cut(one) if one.subject == "02" else one for one in sessions]
    found = scored(fit[0], fit[1], some)["identification_accuracy"]
    assert found.chance == 1 / (PEOPLE - 1)
    assert found.note.endswith("left out, too short: 02")
    alone = [one if one.subject == "00" else cut(one) for one in sessions if one.subject < "02"]
    assert "identification_accuracy" not in (few := scored(fit[0], fit[1], alone))
    note = next(iter(few.values())).note
    assert "people are not looked for again, too short for it: 01" in note


def test_a_start_from_elsewhere_has_no_untrained_network(fit, sessions):
    model = dataclasses.replace(fit[0], init_from="other/mae")
    found = scored(model, fit[1], sessions)["identification_accuracy"]
    assert set(found.rivals) == {"connectivity", "principal_components"}


def test_a_deviation_is_scaled_as_the_others_on_its_side(rng):
    """One feature of a hundred times the size of the others decides nothing."""
    sides = [rng.normal(size=(6, 5)) for _ in "12"]
    assert people._accuracy([x * [1, 1, 100, 1, 1] for x in sides]) == people._accuracy(sides)


def test_a_gradient_is_that_of_the_error_of_all_valid_entries(rng):
    made = [some_runs(rng, people=1, length=27)[0], some_runs(rng, people=2, length=40)[1]]
    made[0].valid[[1, 12, 13, 14]] = False
    net, cards = network(), deck(made)
    net.embedding.requires_grad_(False)
    found = represent.embedding_gradient(net, cards, segments=5)
    assert not net.embedding.requires_grad

    def error():
        total, count = 0.0, 0
        for number, run in enumerate(made):
            whole = len(run.signal) // 5
            for part in np.array_split(np.arange(whole), -(-whole // 5)):
                dealt = cards.deal([(number, int(part[0]) * 5)], len(part))
                hidden = dealt.lost[..., None, None]
                back = net(dealt.signal, hidden, dealt.middle_s)[0].permute(0, 2, 1).flatten(0, 1)
                truth = run.signal[part[0] * 5 : (part[-1] + 1) * 5].astype(float)
                valid = run.valid[part[0] * 5 : (part[-1] + 1) * 5].copy()
                valid[np.repeat(1 - valid.reshape(-1, 5).mean(axis=1) > 0.2, 5)] = False
                total += float(((back.numpy() - truth)[valid] ** 2).sum())
                count += truth[valid].size
        return total / count

    with torch.no_grad():
        net, cards = net.double(), deck(made)
        cards.signals = [x.double() for x in cards.signals]
        for region, place in ((0, 0), (4, 3), (8, 7)):
            values = []
            for sign in (1, -1):
                net.embedding[region, place] += sign * 1e-4
                values.append(error())
                net.embedding[region, place] -= sign * 1e-4
            slope = (values[0] - values[1]) / 2e-4
            assert found[region, place] == pytest.approx(slope, rel=2e-3, abs=1e-6)


def test_flagged_volumes_say_nothing(rng):
    """A spike in a volume that is not valid changes neither gradient nor what is left."""
    net, made = network(), some_runs(rng, people=1, length=40)
    made[0].valid[[8, 21]] = False
    spiked = dataclasses.replace(made[0], signal=made[0].signal.copy())
    spiked.signal[-3:] = 50
    cut = dataclasses.replace(made[0], valid=made[0].valid.copy())
    cut.valid[-5:] = False
    spiked = dataclasses.replace(spiked, valid=cut.valid)
    assert spiked.valid.sum() == cut.valid.sum() == 33

    def zero(run):
        return np.zeros_like(run.signal)

    for read in (lambda cards: represent.embedding_gradient(net, cards, segments=8),
                 lambda cards: people.unexplained(cards, zero)):  # fmt: skip
        np.testing.assert_array_equal(read(deck([spiked])), read(deck([cut])))
        assert np.any(read(deck([made[0]])) != read(deck([cut])))

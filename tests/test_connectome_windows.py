"""The kernel window_corr: correlation of the signals in sliding windows."""

import numpy as np
import pytest
import torch

from rheobase.models import base
from rheobase.models.connectome import arrange
from rheobase.models.connectome.methods import sentences
from rheobase.models.connectome.windows import window_starts
from rheobase.recording import Recording

RATE = 4.0
NAMES = [f"N{letter}" for letter in "ABCDEFGHIJKL"]
HALF = np.arange(12) < 6
PARAMS = {
    "affinity": {"kernel": "window_corr", "window_s": 10.0, "dt_s": 2.0}, "label": False,
    "ntf": {"ranks": [2], "restarts": 3, "keep": 2, "max_iter": 60, "holdout_folds": 2},
    "null": {"n": 9, "starts": 1, "max_iter": 30}, "communities": {"mcmc": 20},
    "permutations": 4,
}  # fmt: skip


@pytest.fixture
def model():
    return base.build("connectome", params=PARAMS)


def recording(rng, *, seconds=240, name="sub-a", names=NAMES, **more):
    """Return a recording in which six units share a course in even fifths of a minute and the
    other six in odd ones; else all units are noise.
    """
    frames = int(seconds * RATE)
    signal = rng.standard_normal((frames, len(NAMES)))
    shared = 2 * rng.standard_normal(frames)
    even = np.arange(frames) // int(30 * RATE) % 2 == 0
    signal[:, HALF] += (shared * even)[:, None]
    signal[:, ~HALF] += (shared * ~even)[:, None]
    chosen = [NAMES.index(n) for n in names]
    return Recording.build(
        signal[:, chosen], name=name, modality="calcium", sampling_rate_hz=RATE,
        unit_names=names, entities={"subject": name[4:]}, **more,
    )  # fmt: skip


def tensor(model, recordings, alignment="concatenated"):
    frames = arrange.frames_for(model, recordings)
    plan = arrange.plan_of(model, frames, alignment)
    made = arrange.without_empty(arrange.arranged(frames, plan, bin_s=2.0))
    return arrange.tensor_of(model, made, "cpu"), made


def test_a_window_lies_around_its_frame_and_inside_its_stretch():
    starts = window_starts([slice(2, 12), slice(13, 16)], 17, 4)
    assert starts.tolist() == [-1, -1, 2, 2, 2, 3, 4, 5, 6, 7, 8, 8, *[-1] * 5]


def test_affinities_are_pearsons_where_positive(rng, model):
    one = recording(rng)
    made, _ = tensor(model, [one])
    first, second = torch.triu_indices(12, 12, 1)
    values = made.values(first, second, slice(None)).numpy()
    assert values.shape == (66, 120)
    middle = 50 * 8 + 4
    expected = np.corrcoef(one.signal[middle - 20 : middle + 20].T)[np.triu_indices(12, 1)]
    np.testing.assert_allclose(values[:, 50], np.maximum(expected, 0), atol=1e-6)
    few = made.values(first[:5], second[:5], slice(50, 51)).numpy()
    np.testing.assert_allclose(few, values[:5, 50:51], atol=1e-6)


def test_no_window_reaches_over_frames_that_may_not_be_used(rng, model):
    valid = np.ones(960, bool)
    valid[400:410] = False
    valid[440:445] = False
    one = recording(rng, valid=valid)
    spoilt = one.signal.copy()
    spoilt[~valid] = 1e6
    other = one.with_signal(spoilt, unit_names=NAMES, step={"step": "spoilt"})
    (a, made), (b, _) = (tensor(model, [r]) for r in (one, other))
    first, second = torch.triu_indices(12, 12, 1)
    clean = a.values(first, second, slice(None))
    torch.testing.assert_close(clean, b.values(first, second, slice(None)))
    inside = made.plan.clock // 8
    assert 49 in inside
    assert not {50, 51, 52, 53, 54, 55} & set(inside.tolist())


def test_a_unit_that_an_animal_lacks_and_one_that_rests_are_alike_to_none(rng, model):
    few = recording(rng, name="sub-b", names=NAMES[:8])
    still = recording(rng).signal.copy()
    still[:, 3] = 5.0
    whole = recording(rng).with_signal(still, unit_names=NAMES, step={"step": "held"})
    made, found = tensor(model, [whole, few], "absolute")
    assert found.presence[:, 1].tolist() == [True] * 8 + [False] * 4
    first, second = torch.triu_indices(12, 12, 1)
    values = made.values(first, second, slice(None)).view(66, 2, -1)
    assert not values[second >= 8, 1].any()
    assert not values[(first == 3) | (second == 3), 0].any()
    assert values[(first != 3) & (second < 8) & (second != 3)].amax() > 0.5


def test_groups_that_take_turns_are_found_and_mean_something(rng, model):
    one, other = recording(rng), recording(rng, name="sub-b")
    fit = model.fit([one], seed=0)
    assert (fit.arrays["component_p"].values <= 0.1).all()
    groups = set()
    for row in fit.arrays["community"].values:
        densest = HALF[row == 0]
        assert len(densest) >= 5
        groups.add(bool(densest[0]))
        assert (densest == densest[0]).all()
    assert groups == {True, False}
    same = model.transform(fit, [one, other])
    assert [r.signal.shape for r in same] == [(120, 2)] * 2
    even = np.arange(120) // 15 % 2 == 0
    own = [fit.arrays["community"].values[k][HALF].mean() for k in range(2)]
    course = same[0].signal[:, int(np.argmin(own))]
    assert course[even].mean() > 2 * course[~even].mean()
    score = next(s for s in model.evaluate(fit, [one]) if s.name == "explained_hidden_pairs")
    assert score.chance is not None
    assert score.value > score.chance + 0.2
    assert "correlation of both signals within 10 s" in model.figures(fit, [one])["pair"].caption


def test_the_methods_text_says_that_windows_were_correlated():
    from dataclasses import asdict

    told = sentences(asdict(base.build("connectome", params=PARAMS)), lambda key: f"[{key}]",
                     frames=False, label=None)  # fmt: skip
    assert "correlation of their signals, where positive, in windows of at least 10 s" in told[0]
    assert "drive" not in told[0]

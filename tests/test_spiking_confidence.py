"""When to stop: log-odds, thresholds, bounds and oracles are what their definitions say."""

import numpy as np
import pytest
from scipy import stats

from rheobase.models.spiking import calibration, confidence
from rheobase.models.spiking.confidence import Rule, Table


def drifting(seed=0, examples=600, steps=30, classes=4, drift=0.12):
    """Return readouts that point to the right class a little more than to others."""
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=examples)
    told = rng.normal(size=(steps, examples, classes))
    told[:, np.arange(examples), y] += drift * rng.uniform(1, 5, examples)
    return told, y


def test_sureness_is_the_log_odds_and_never_saturates():
    z = np.random.default_rng(0).normal(size=(5, 6, 4))
    p = np.exp(calibration.log_softmax(z)).max(-1)
    np.testing.assert_allclose(confidence.sureness(z), np.log(p / (1 - p)), rtol=1e-10)
    far = confidence.sureness(np.array([[[500.0, 0, 0]], [[600.0, 0, 0]]]))
    assert np.isfinite(far).all()
    assert far[0, 0] < far[1, 0]


@pytest.mark.parametrize("kind", confidence.RULES)
def test_every_kind_of_sureness_grows_with_evidence(kind):
    z = np.array([[[1.0, 0, 0]], [[3.0, 0, 0]], [[900.0, 0, 0]]])
    assert (np.diff(confidence.sureness(z, kind)[:, 0]) > 0).all()


def test_stops_are_those_of_a_loop():
    sure = np.random.default_rng(0).normal(size=(12, 50))
    for patience in (1, 3):
        for t_min in (1, 4):
            expected = []
            for one in sure.T:
                streak, at = 0, len(one)
                for step, value in enumerate(one, 1):
                    streak = streak + 1 if value >= 0.3 and step >= t_min else 0
                    if streak == patience:
                        at = step
                        break
                expected.append(at)
            found = confidence.first(sure, 0.3, patience=patience, t_min=t_min)
            assert found.tolist() == expected


def test_scale_of_evidence_recovers_the_planted_one():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1, 20000, 3))
    p = np.exp(calibration.log_softmax(3.0 * z[0]))
    y = (rng.random(20000)[:, None] > p.cumsum(1)).sum(1)
    assert calibration.scale(z, y) == pytest.approx(3.0, rel=0.05)


def test_calibration_error_is_that_of_its_bins():
    sure = np.array([0.95, 0.95, 0.55, 0.55])
    right = np.array([True, False, True, True])
    assert calibration.calibration_error(sure, right) == pytest.approx(0.45)


def test_a_rule_is_the_quickest_that_keeps_its_accuracy():
    steps, y = drifting()
    rule = confidence.calibrate(steps, y, np.arange(600) % 8, bounded=False)
    z = confidence.evidence(steps, rule.alpha)
    table = Table.of(confidence.sureness(z), z.argmax(-1) == y)
    place = int(np.flatnonzero(table.thresholds == rule.threshold)[0])
    assert table.lost[place].mean() <= confidence.LOSS
    assert all(table.lost[:place].mean(1) > confidence.LOSS)
    assert confidence.stopped(steps, y, rule).mean_step < 30


def test_front_holds_what_nothing_beats():
    steps, y = drifting()
    z = confidence.evidence(steps, 3.0)
    table = Table.of(confidence.sureness(z), z.argmax(-1) == y)
    points = np.stack([table.step.mean(1), table.lost.mean(1)], 1)
    for place, point in enumerate(points):
        beaten = ((points <= point).all(1) & (points < point).any(1)).any()
        assert beaten == (place not in table.front())


def test_bound_is_students_and_covers_as_it_says():
    rng = np.random.default_rng(0)
    values = rng.normal(0.01, 0.02, size=(1500, 8))
    bounds = np.array([confidence.one_sided(one) for one in values])
    assert (bounds >= 0.01).mean() == pytest.approx(0.95, abs=0.02)
    one = values[0]
    expected = stats.ttest_1samp(one, 0, alternative="less").confidence_interval(0.95).high
    assert bounds[0] == pytest.approx(expected)


def test_bound_judges_each_trial_by_what_the_others_chose():
    lost = np.array([[0.0, 0, 1, 1], [0.0, 0, 0, 1], [0, 0, 0, 0]])
    table = Table(np.array([1.0, 2.0, np.inf]), np.array([[1] * 4, [2] * 4, [3] * 4]), lost)
    trial = np.array([0, 0, 1, 1])
    found = confidence.upper_bound(table, trial, 0, loss=0.1)
    assert found == pytest.approx(confidence.one_sided(np.array([0.0, 1.0])))
    assert confidence.upper_bound(table, trial, 2, loss=0.1) == 0


def test_a_bounded_rule_is_never_quicker():
    steps, y = drifting(drift=0.06)
    trial = np.arange(600) % 8
    plain, safe = (confidence.calibrate(steps, y, trial, bounded=b) for b in (False, True))
    assert safe.threshold >= plain.threshold
    assert safe.bound <= confidence.LOSS


def test_it_never_stops_where_early_answers_are_surely_wrong_and_says_so():
    y = np.repeat([0, 1], 50)
    steps = np.zeros((10, 100, 2))
    steps[0, np.arange(100), 1 - y] = 10
    steps[-1, np.arange(100), y] = 11
    rule = confidence.calibrate(steps, y, np.arange(100) % 4)
    assert rule.threshold == np.inf
    assert rule.note == confidence.NEVER
    assert confidence.stopped(steps, y, rule).accuracy == 1


def test_few_windows_and_one_trial_are_refused():
    steps, y = drifting(examples=40)
    with pytest.raises(ValueError, match="calibration windows; give 20 or more"):
        confidence.calibrate(steps, y, np.arange(40))
    steps, y = drifting()
    with pytest.raises(ValueError, match="needs two or more"):
        confidence.calibrate(steps, y, np.zeros(600))


def test_oracles_stop_at_the_first_and_the_last_right_answer():
    right = np.array([[0, 1, 1, 0], [1, 1, 0, 0], [0, 1, 1, 0]], bool)
    wanted = np.stack([~right, right], axis=-1).astype(float)
    steps = np.diff(wanted, axis=0, prepend=0)
    first, stable = confidence.oracle(steps, np.ones(4, int))
    assert first.step.tolist() == [2, 1, 1, 3]
    assert first.right.tolist() == [True, True, True, False]
    assert stable.step.tolist() == [3, 1, 3, 3]
    assert confidence.stopped(steps, np.ones(4, int), Rule(1.0, np.inf)).accuracy == 0.5

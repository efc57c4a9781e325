import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from rheobase import metrics
from rheobase.models.base import Fitted
from rheobase.models.linear import Linear, forecast
from rheobase.models.linear.artefacts import unpack
from rheobase.recording import Recording
from rheobase.storage import read_dataset, write_dataset

QUICK = Linear(permutations=50)
SHORT = Linear(permutations=50, horizons=(1,))
WEIGHTS = 0.85 * np.linalg.qr(np.random.default_rng(7).normal(size=(6, 6)))[0]


def recording(signal, name="sub-a", modality="series", rate=10.0, **more):
    return Recording.build(signal, name=name, modality=modality, sampling_rate_hz=rate, **more)


def var1(rng, time=3000):
    signal = np.zeros((time, 6))
    for t in range(1, time):
        signal[t] = WEIGHTS @ signal[t - 1] + rng.normal(size=6)
    return signal


def people(rng, count=6, time=300, **more):
    """Return recordings of people who each have a connectivity of their own."""
    made = []
    for i in range(count):
        mixing = np.eye(8) + 0.6 * rng.normal(size=(8, 8))
        signal = rng.normal(size=(time, 8)) @ mixing
        made.append(
            recording(signal, f"sub-{i}", "fmri", 0.5, entities={"subject": str(i)}, **more)
        )
    return made


def scores(model, fitted, test):
    return {score.name: score for score in model.evaluate(fitted, test)}


def changed(one, **variables):
    return Recording(one.data.assign(**variables))


def test_white_noise_cannot_be_forecast(rng):
    fitted = QUICK.fit([recording(rng.normal(size=(2000, 6)))], seed=0)
    found = scores(QUICK, fitted, [recording(rng.normal(size=(1000, 6)), "sub-b")])
    for horizon in QUICK.horizons:
        assert -0.05 < found[f"forecast_r2_h{horizon}"].value < 0.01


def test_planted_dynamics_are_forecast_as_well_as_the_oracle_can(rng):
    train, test = var1(rng, 6000), var1(rng, 3000)
    found = scores(QUICK, QUICK.fit([recording(train)], seed=0), [recording(test, "sub-b")])
    for horizon in (1, 2, 5):
        oracle = test[:-horizon] @ np.linalg.matrix_power(WEIGHTS, horizon).T
        best = metrics.r2(test[horizon:], oracle, centre=train.mean(0))
        score = found[f"forecast_r2_h{horizon}"]
        assert best - 0.03 < score.value < best + 0.01
        assert score.value > score.rivals["ar1"] + 0.1
        assert score.rivals["training_mean"] == 0


def test_a_second_lag_helps_where_the_dynamics_have_one(rng):
    signal = np.zeros((4000, 3))
    for t in range(2, len(signal)):
        signal[t] = 0.9 * np.roll(signal[t - 2], 1) + rng.normal(size=3)
    train, test = [recording(signal[:3000])], [recording(signal[3000:])]
    values = []
    for order in (1, 2):
        model = Linear(order=order, horizons=(1,))
        values.append(model.evaluate(model.fit(train, seed=0), test)[0].value)
    assert values[0] < 0.05
    assert values[1] > 0.5


def test_the_future_does_not_reach_earlier_forecasts(rng):
    learnt = unpack(QUICK.fit([recording(var1(rng))], seed=0).arrays)
    signal = var1(rng, 200)
    later = signal.copy()
    later[120:] = rng.normal(size=(80, 6))
    for one in learnt.forecasts:
        assert np.array_equal(one.predict(signal)[:120], one.predict(later)[:120])
        assert not np.allclose(one.predict(signal)[120:], one.predict(later)[120:])


def test_the_test_part_does_not_change_what_is_fitted(rng):
    whole = recording(rng.normal(size=(400, 4)))
    signal = whole.signal.copy()
    signal[300:] += 1e6
    offset = recording(signal)
    first, second = (QUICK.fit([r.segment(0, 300)], seed=0).arrays for r in (whole, offset))
    xr.testing.assert_identical(first, second)


def test_pairs_never_cross_a_cut(rng):
    signal = rng.normal(size=(300, 3))
    block = np.repeat([0, 1, 2], 100)
    cut = recording(signal, times={"block": block})
    apart = [recording(signal[block == b], "sub-a") for b in range(3)]
    mean, scale = signal.mean(0), signal.std(0)
    options = {"horizon": 5, "order": 2, "penalties": (1.0, 100.0)}
    one, other = (forecast.fit(r, mean, scale, **options) for r in ([cut], apart))
    assert one.weights == pytest.approx(other.weights)
    assert forecast.evaluate(one, [cut], mean, scale).model == pytest.approx(
        forecast.evaluate(one, apart, mean, scale).model
    )


def test_inner_blocks_keep_a_gap_of_one_horizon(rng):
    signal = rng.normal(size=(100, 2))
    mean, scale = np.zeros(2), np.ones(2)
    total, folds = forecast._blocks([recording(signal)], mean, scale, 5, 1)
    assert total.n == 95
    assert [int(held.n) for _, held in folds] == [15] * 5
    assert [int(learn.n) for learn, _ in folds] == [70, 60, 60, 60, 70]


def test_the_order_of_recordings_does_not_matter(rng):
    train, test = people(rng, 5), people(rng, 2)
    forward, backward = QUICK.fit(train, seed=3), QUICK.fit(train[::-1], seed=3)
    xr.testing.assert_identical(forward.arrays, backward.arrays)
    assert QUICK.evaluate(forward, test) == QUICK.evaluate(forward, test[::-1])


def test_scores_survive_storage(rng, tmp_path):
    label = np.repeat(["rest", "grasp"] * 10, 30)
    parts = people(rng, 5, 600, times={"state": label}, label={"name": "state", "kind": "class"})
    fitted = SHORT.fit(parts[:3], seed=0)
    write_dataset(fitted.arrays, tmp_path / "arrays.nc")
    again = Fitted(read_dataset(tmp_path / "arrays.nc"))
    assert SHORT.evaluate(again, parts[3:]) == SHORT.evaluate(fitted, parts[3:])


def test_group_connectivity_describes_held_out_recordings(rng):
    mixing = np.eye(5) + 0.5
    made = [recording(rng.normal(size=(500, 5)) @ mixing, f"sub-{i}") for i in range(4)]
    found = scores(SHORT, SHORT.fit(made[:3], seed=0), made[3:])["connectivity_loglik"]
    assert found.value > found.rivals["independent_units"] + 0.1
    assert found.rivals["independent_units"] == pytest.approx(-(np.log(2 * np.pi) + 1) / 2)


def test_people_are_told_apart_by_their_connectivity(rng):
    made = people(rng, 12)
    score = scores(SHORT, SHORT.fit(made[:6], seed=0), made[6:])["identification_accuracy"]
    assert score.value == 1
    assert score.chance == pytest.approx(1 / 6)
    assert score.p_value is not None
    assert score.p_value < 0.05
    assert "halves" in score.note


def test_sessions_are_compared_where_people_have_two(rng):
    made = [
        recording(r.signal[part], f"{r.name}_ses-{s}", "fmri", 0.5,
                  entities={"subject": r.subject, "session": s})
        for r in people(rng, 4) for s, part in (("1", slice(150)), ("2", slice(150, None)))
    ]  # fmt: skip
    score = scores(SHORT, SHORT.fit(made, seed=0), made)["identification_accuracy"]
    assert "4 people, between sessions" in score.note
    assert score.value == 1


def test_residuals_of_planted_dynamics_are_white(rng):
    made = recording(var1(rng), times={"block": np.repeat([0, 1], 1500)})
    out = QUICK.transform(QUICK.fit([made], seed=0), [made])[0]
    assert (~out.valid).sum() == 2
    assert np.abs(metrics.lag1_autocorrelation(out.signal[1:1500])).max() < 0.1
    assert out.signal[out.valid].std() == pytest.approx(1, abs=0.05)
    assert out.steps[-1]["step"] == "one-step residual"


def test_smooth_signals_are_said_to_flatter_one_step_forecasts(rng):
    slow = np.cumsum(rng.normal(size=(600, 3)), axis=0)
    fitted = SHORT.fit([recording(slow[:400])], seed=0)
    score = SHORT.evaluate(fitted, [recording(slow[400:])])[0]
    assert "one-step scores say little" in score.caution


def test_offsets_between_recordings_are_said_to_flatter_forecasts(rng):
    made = [recording(rng.normal(100 * i, 1, (200, 3)), f"sub-{i}") for i in range(5)]
    score = SHORT.evaluate(SHORT.fit(made[:3], seed=0), made[3:])[0]
    assert score.rivals["persistence"] > 0.99
    assert "about their own means it is -" in score.note


@pytest.mark.parametrize("kind", ["class", "value"])
def test_every_figure_says_how_to_read_it(rng, kind):
    label = np.repeat(["a", "b"] * 6, 25) if kind == "class" else np.sin(np.arange(300) / 9)
    network = np.array(["Vis", "Vis", "Default", "Default", "Vis", "Limbic", "Limbic", "Vis"])
    made = people(rng, 5, times={"state": label}, label={"name": "state", "kind": kind},
                  unit_labels={"network": network})  # fmt: skip
    fitted = SHORT.fit(made[:3], seed=0)
    drawings = SHORT.figures(fitted, made[3:])
    assert set(drawings) == {"forecast", "connectivity", "decoding"}
    for drawing in drawings.values():
        drawing.figure.canvas.draw()
        assert len(drawing.caption) > 60
        assert len(drawing.alt) > 20
        assert drawing.data is not None
        assert len(drawing.data)


@pytest.mark.parametrize(("count", "named"), [(8, True), (40, False)])
def test_few_units_are_named_and_many_counted_in_whole_numbers(rng, count, named):
    made = [recording(rng.normal(size=(300, count)), f"sub-{i}", "fmri", 0.5) for i in range(4)]
    fitted = SHORT.fit(made[:3], seed=0)
    figure = SHORT.figures(fitted, made[3:])["connectivity"].figure
    figure.canvas.draw()
    axes = figure.axes[0]
    written = [label.get_text() for label in axes.get_yticklabels()]
    if named:
        assert written == list(made[0].unit_names)
    else:
        assert all(float(tick).is_integer() for tick in axes.get_yticks())


def test_units_that_differ_are_named_with_both_recordings(rng):
    train = people(rng, 2)
    odd = recording(rng.normal(size=(300, 7)), "sub-odd", "fmri", 0.5)
    with pytest.raises(
        ValueError, match="sub-odd has 7 rois and sub-0 has 8; they differ in roi007"
    ):
        SHORT.fit([*train, odd], seed=0)
    with pytest.raises(ValueError, match="sub-odd has 7 rois"):
        SHORT.evaluate(SHORT.fit(train, seed=0), [odd])


def test_a_recording_with_nan_is_named_with_the_unit(rng):
    made = people(rng, 2)
    made[1].signal[5, 3] = np.nan
    with pytest.raises(ValueError, match="sub-1: roi roi003 holds NaN"):
        SHORT.fit(made, seed=0)


def test_a_recording_shorter_than_the_longest_horizon_is_named(rng):
    made = recording(rng.normal(size=(11, 2)), "sub-short")
    with pytest.raises(ValueError, match="sub-short: .* 11 samples; the longest horizon needs 12"):
        QUICK.fit([made], seed=0)


def test_one_recording_that_is_too_short_is_left_out_and_named(rng):
    made = people(rng, 3)
    short = recording(rng.normal(size=(2, 8)), "sub-short", "fmri", 0.5)
    fitted = SHORT.fit([*made, short], seed=0)
    assert "sub-short: its longest unbroken stretch" in fitted.notices[0]
    assert "sub-short" not in fitted.arrays["recording"].values
    tested = SHORT.evaluate(
        fitted, [made[0], recording(short.signal[:1], "sub-short", "fmri", 0.5)]
    )
    assert tested[0].value == SHORT.evaluate(fitted, made[:1])[0].value
    assert "so it is left out" in tested[0].note


def test_modalities_and_rates_are_not_mixed(rng):
    signal = rng.normal(size=(100, 3))
    names = ["a", "b", "c"]
    slow = recording(signal, "sub-s", unit_names=names)
    fast = recording(signal, "sub-t", rate=20.0, unit_names=names)
    with pytest.raises(ValueError, match="sub-t has 20.0 samples"):
        SHORT.fit([slow, fast], seed=0)
    with pytest.raises(ValueError, match="sub-u is calcium but sub-s is series"):
        SHORT.fit([slow, recording(signal, "sub-u", "calcium", unit_names=names)], seed=0)


def test_a_horizon_below_one_is_refused():
    with pytest.raises(ValueError, match="horizons"):
        Linear(horizons=(0, 1))


def test_importing_the_family_does_not_import_torch_or_scikit_learn():
    heavy = "('torch', 'sklearn', 'matplotlib.figure')"
    code = (
        f"import sys, rheobase.models.linear as m; sys.exit(any(n in sys.modules for n in {heavy}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

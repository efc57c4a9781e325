"""The one container of signals."""

import numpy as np
import pytest

from rheobase.recording import Recording
from rheobase.storage import CorruptFile


def make(rng, n=100, units=4, **changes):
    values = {
        "name": "sub-01",
        "modality": "fmri",
        "sampling_rate_hz": 0.5,
        "entities": {"subject": "01"},
        "steps": [{"step": "detrend", "acausal": True}],
    }
    return Recording.build(rng.normal(size=(n, units)), **{**values, **changes})


def test_recording_survives_saving(rng, tmp_path):
    made = make(
        rng, times={"state": np.arange(100)}, unit_labels={"network": np.array(list("aabb"))}
    )
    made.save(tmp_path / "sub-01.nc")
    again = Recording.load(tmp_path / "sub-01.nc")
    np.testing.assert_array_equal(again.signal, made.signal)
    assert again.data.attrs["sampling_rate_hz"] == 0.5
    assert again.data["network"].values.tolist() == list("aabb")
    assert again.steps == made.steps
    assert again.signal.dtype == np.float32


def test_measures_of_quality_stay_with_the_recording(rng, tmp_path):
    make(rng, quality={"fd_mean_mm": 0.25}).save(tmp_path / "sub-01.nc")
    again = Recording.load(tmp_path / "sub-01.nc")
    turned = again.with_signal(again.signal, unit_names=again.unit_names, step={"step": "turn"})
    for made in (again, again.segment(10, 20), turned):
        assert made.quality == {"fd_mean_mm": 0.25}
    assert make(rng).quality == {}


def test_same_recording_gives_same_bytes(tmp_path):
    for folder in ("a", "b"):
        make(np.random.default_rng(3)).save(tmp_path / folder / "sub-01.nc")
    assert (tmp_path / "a" / "sub-01.nc").read_bytes() == (
        tmp_path / "b" / "sub-01.nc"
    ).read_bytes()


def test_file_of_another_subject_is_refused(rng, tmp_path):
    make(rng).save(tmp_path / "sub-02.nc")
    with pytest.raises(CorruptFile, match="sub-01"):
        Recording.load(tmp_path / "sub-02.nc")


def test_nan_names_the_region(rng):
    signal = rng.normal(size=(50, 3))
    signal[7, 1] = np.nan
    with pytest.raises(ValueError, match=r"sub-01: roi b holds NaN .* name sub-01 with the reason"):
        Recording.build(
            signal, name="sub-01", modality="fmri", sampling_rate_hz=1, unit_names=["a", "b", "c"]
        )


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"modality": "meg"}, "modality 'meg' is not one of"),
        ({"sampling_rate_hz": -1.0}, "must be above 0"),
        ({"unit_names": ["a", "a", "b", "c"]}, "a occur twice"),
        ({"time_unit": "hours"}, "must be s or frame"),
    ],
)
def test_wrong_values_are_refused(rng, changes, match):
    with pytest.raises(ValueError, match=match):
        make(rng, **changes)


def test_matrix_of_three_dimensions_is_refused(rng):
    with pytest.raises(ValueError, match=r"\(time, unit\)"):
        Recording.build(rng.normal(size=(5, 4, 3)), name="x", modality="emg", sampling_rate_hz=1)


def test_pieces_cross_no_block_and_no_invalid_sample(rng):
    valid = np.ones(100, bool)
    valid[20:25] = False
    block = np.repeat([0, 1], 50)
    pieces = make(rng, valid=valid, times={"block": block}).pieces()
    assert [(p.start, p.stop) for p in pieces] == [(0, 20), (25, 50), (50, 100)]


def test_segment_keeps_its_place_in_time(rng):
    part = make(rng).segment(10, 20)
    assert part.time[0] == pytest.approx(20.0)
    assert part.signal.shape == (10, 4)


def test_label_of_the_whole_recording_is_a_scalar(rng):
    made = make(rng, labels={"group": "patient"}, label={"name": "group", "kind": "class"})
    assert made.label == "patient"
    assert made.label_kind == "class"


def test_label_over_time_is_an_array(rng):
    made = make(rng, times={"state": np.arange(100)}, label={"name": "state", "kind": "class"})
    np.testing.assert_array_equal(made.label, np.arange(100))


def test_new_signal_on_its_own_clock_carries_labels(rng):
    made = make(rng, times={"state": np.arange(100)})
    half = made.with_signal(
        rng.normal(size=(50, 2)), unit_names=["a", "b"], rate=0.25, step={"step": "halve"}
    )
    np.testing.assert_array_equal(half.data["state"], np.arange(0, 100, 2))
    assert half.rate == 0.25
    assert half.steps[-1] == {"step": "halve"}


def test_zero_phase_step_makes_a_recording_acausal(rng):
    assert make(rng).acausal
    assert not make(rng, steps=[{"step": "centre"}]).acausal

"""EDF, BDF, BrainVision, FIF and WFDB recordings."""

from __future__ import annotations

from typing import Any

import mne
import numpy as np
import pytest

from rheobase.io.readers import read

RATE = 500


def load(path, form, **reader):
    return read(path, reader={"format": form, **reader}, files={}, preprocess={})


@pytest.fixture
def volts(rng):
    return rng.normal(scale=1e-4, size=(3, 4 * RATE))


def make(volts, names=("EMG1", "EMG2", "other"), kinds=("emg", "emg", "eeg")):
    types: Any = list(kinds)
    return mne.io.RawArray(volts, mne.create_info(list(names), RATE, types), verbose="error")


def save(folder, form, raw):
    path = (
        folder / {"edf": "a.edf", "bdf": "a.bdf", "brainvision": "a.vhdr", "fif": "a_raw.fif"}[form]
    )
    if form == "fif":
        raw.save(path, verbose="error")
    else:
        mne.export.export_raw(path, raw, verbose="error")
    return path


FORMS = ["edf", "bdf", "brainvision", "fif"]


@pytest.mark.parametrize("form", FORMS)
def test_emg_is_read_in_microvolt_with_its_rate(tmp_path, volts, form):
    raw = load(save(tmp_path, form, make(volts)), form)
    assert raw.names == ("EMG1", "EMG2")
    assert raw.rate_hz == RATE
    assert raw.units == "uV"
    np.testing.assert_allclose(raw.signal, 1e6 * volts[:2].T, atol=0.02)


def test_named_channels_win_and_keep_their_order(tmp_path, volts):
    raw = load(save(tmp_path, "edf", make(volts)), "edf", channels=["other", "EMG1"])
    assert raw.names == ("other", "EMG1")
    np.testing.assert_allclose(raw.signal, 1e6 * volts[[2, 0]].T, atol=0.02)


def test_channels_typed_emg_win_over_names(tmp_path, volts):
    made = make(volts, ("biceps", "emg ref", "triceps"), ("emg", "eeg", "emg"))
    assert load(save(tmp_path, "fif", made), "fif").names == ("biceps", "triceps")


def test_no_channel_called_emg_lists_those_there(tmp_path, volts):
    made = make(volts, ("a", "b", "c"), ("eeg", "eeg", "eeg"))
    with pytest.raises(
        ValueError,
        match=r"a\.edf: no channel is typed or called emg; list some of a, b, c \S+ reader",
    ):
        load(save(tmp_path, "edf", made), "edf")


@pytest.mark.parametrize("form", FORMS)
def test_unknown_channel_lists_those_there(tmp_path, volts, form):
    path = save(tmp_path, form, make(volts))
    with pytest.raises(
        ValueError, match=rf"^{path} has no channel nope; it has EMG1, EMG2, other$"
    ):
        load(path, form, channels=["EMG2", "nope"])


def test_channel_that_is_not_in_volt_is_refused(tmp_path, volts):
    made = make(volts, ("EMG1", "field", "c"), ("emg", "mag", "eeg"))
    with pytest.raises(ValueError, match="channels field are not in volt"):
        load(save(tmp_path, "fif", made), "fif", channels=["EMG1", "field"])


@pytest.mark.parametrize("form", FORMS)
def test_annotations_become_a_label_of_samples(tmp_path, volts, form):
    made = make(volts)
    made.set_annotations(mne.Annotations([1.0, 3.0], [0.5, 0.2], ["grasp", "open"]))
    label = load(save(tmp_path, form, made), form).times["annotation"]
    words = [str(word).rpartition("/")[2] for word in label]
    assert [words.index("grasp"), words.count("grasp")] == [RATE, RATE // 2]
    assert [words.index("open"), words.count("open")] == [3 * RATE, RATE // 5]
    assert words[0] == ""


def test_annotations_follow_a_crop(tmp_path, volts):
    made = make(volts)
    made.set_meas_date(0)
    made.set_annotations(mne.Annotations([1.0], [0.5], ["grasp"], orig_time=made.info["meas_date"]))
    label = load(save(tmp_path, "fif", made.crop(tmin=0.8)), "fif").times["annotation"]
    assert label.tolist().index("grasp") == round(0.2 * RATE)


def test_recording_without_annotations_has_no_label(tmp_path, volts):
    assert load(save(tmp_path, "edf", make(volts)), "edf").times == {}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.97])
def test_cut_recording_is_refused(tmp_path, volts, form, share):
    path = save(tmp_path, form, make(volts))
    cut = path.with_suffix(".eeg") if form == "brainvision" else path
    cut.write_bytes(cut.read_bytes()[: int(cut.stat().st_size * share) // 4 * 4 + 1])
    with pytest.raises(ValueError, match=rf"{cut.name} (is|holds).*(cut|fetch)"):
        load(path, form)


def test_brainvision_cut_between_samples_is_seen_by_its_count(tmp_path, volts):
    path = save(tmp_path, "brainvision", make(volts))
    path.write_text(
        path.read_text().replace("NumberOfChannels", f"DataPoints={4 * RATE}\nNumberOfChannels")
    )
    assert load(path, "brainvision").signal.shape == (4 * RATE, 2)
    data = path.with_suffix(".eeg")
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    with pytest.raises(ValueError, match="a.eeg holds 1000 samples of 3 channels and 0 bytes more"):
        load(path, "brainvision")


def test_brainvision_cut_between_samples_is_seen_by_its_markers(tmp_path, volts):
    made = make(volts)
    made.set_annotations(mne.Annotations([3.5], [0.1], ["grasp"]))
    path = save(tmp_path, "brainvision", made)
    data = path.with_suffix(".eeg")
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"a\.vhdr is cut off or damaged"):
        load(path, "brainvision")


@pytest.mark.parametrize("suffix", ["eeg", "vmrk"])
def test_brainvision_without_its_companion_is_named(tmp_path, volts, suffix):
    made = make(volts)
    made.set_annotations(mne.Annotations([1.0], [0.5], ["grasp"]))
    path = save(tmp_path, "brainvision", made)
    path.with_suffix(f".{suffix}").unlink()
    with pytest.raises(
        FileNotFoundError, match=rf"a\.{suffix} does not exist; .*a\.vhdr refers to it"
    ):
        load(path, "brainvision")


def test_bytes_that_are_no_edf_are_refused(tmp_path):
    (tmp_path / "a.edf").write_bytes(b"garbage" * 100)
    with pytest.raises(ValueError, match=r"a\.edf is not a readable edf file"):
        load(tmp_path / "a.edf", "edf")


def save_wfdb(folder, units=("mV", "uV"), names=("EMG1", "EMG2")):
    wfdb = pytest.importorskip("wfdb", reason="the package wfdb is not installed")
    values = np.column_stack([np.sin(np.arange(200) / 9), 100 * np.cos(np.arange(200) / 7)])
    wfdb.wrsamp(
        "rec",
        fs=2048,
        units=list(units),
        sig_name=list(names),
        p_signal=values,
        fmt=["16", "16"],
        write_dir=str(folder),
    )
    return values


@pytest.mark.filterwarnings("default")
def test_wfdb_record_is_read_in_microvolt(tmp_path):
    values = save_wfdb(tmp_path)
    raw = load(tmp_path / "rec", "wfdb")
    np.testing.assert_allclose(raw.signal, values * [1000, 1], atol=0.05)
    assert raw.names == ("EMG1", "EMG2")
    assert raw.rate_hz == 2048
    np.testing.assert_array_equal(load(tmp_path / "rec.hea", "wfdb").signal, raw.signal)


@pytest.mark.filterwarnings("default")
def test_wfdb_channel_that_is_not_in_volt_is_refused(tmp_path):
    save_wfdb(tmp_path, units=("mV", "N"))
    with pytest.raises(ValueError, match="channels EMG2 are not in volt"):
        load(tmp_path / "rec", "wfdb")


@pytest.mark.filterwarnings("default")
def test_cut_wfdb_record_is_refused(tmp_path):
    save_wfdb(tmp_path)
    data = tmp_path / "rec.dat"
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(ValueError, match="rec is not a readable wfdb file"):
        load(tmp_path / "rec", "wfdb")


def test_missing_wfdb_header_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"rec\.hea does not exist"):
        load(tmp_path / "rec", "wfdb")


def test_wfdb_without_its_package_says_how_to_get_it(tmp_path, monkeypatch):
    (tmp_path / "rec.hea").write_text("rec 1 100 10\n")
    monkeypatch.setitem(__import__("sys").modules, "wfdb", None)
    with pytest.raises(ValueError, match="format wfdb needs the package wfdb; pip install wfdb"):
        load(tmp_path / "rec", "wfdb")
